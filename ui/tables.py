"""Tables to take away."""

from __future__ import annotations

import pandas as pd

from core.findings import harmless


def csv(frame: pd.DataFrame) -> bytes:
    """In which a spreadsheet finds no formulas: names of files, runs and classes may begin like one."""
    plain = frame.map(lambda value: harmless(value) if isinstance(value, str) else value)
    return plain.rename(columns=lambda name: harmless(str(name))).to_csv(index=False).encode()
