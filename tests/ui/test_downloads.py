from __future__ import annotations

import pandas as pd

from ui.downloads import csv


def test_nothing_in_a_table_is_a_formula() -> None:
    frame = pd.DataFrame({"=1+1": ["=cmd()", "+1", "a=b", None], "number": [-1.5, 2, float("nan"), 3]})
    assert csv(frame).decode().split("\n") == ["'=1+1,number", "'=cmd(),-1.5", "'+1,2.0", "a=b,", ",3.0", ""]


def test_categories_keep_what_they_say() -> None:
    frame = pd.DataFrame({"class": pd.Categorical(["-x", "y"])})
    assert csv(frame) == b"class\n'-x\ny\n"
