from __future__ import annotations

import pytest

from ui.words import JOINER, as_written, command, counted, duration, paper


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (-3, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (90_000, "25 h"),
    ],
)
def test_a_duration_as_one_would_say_it(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_paper_is_a_link_where_its_address_follows_from_its_name() -> None:
    assert paper("arXiv:1312.6114") == "[arXiv:1312.6114](https://arxiv.org/abs/1312.6114)"
    assert (
        paper("doi:10.1126/science.1127647")
        == "[doi:10.1126/science.1127647](https://doi.org/10.1126/science.1127647)"
    )
    assert paper("JMLR 11:3371") == "JMLR 11:3371" and paper("[x](y)") == r"\[x\](y)"


def test_one_is_no_plural() -> None:
    assert (counted(1, "epoch"), counted(0, "epoch"), counted(1_200, "epoch")) == (
        "1 epoch",
        "0 epochs",
        "1,200 epochs",
    )


def test_text_from_outside_formats_nothing() -> None:
    assert as_written("![x](/x.png)") == r"!\[x\](/x.png)"
    assert as_written("*a* _b_ `c` ~d~ $e$ <f> &amp;") == r"\*a\* \_b\_ \`c\` \~d\~ \$e\$ \<f\> \&amp;"
    assert as_written("mnist-vae-7f3a: 3.5 %, ½") == "mnist-vae-7f3a: 3.5 %, ½"
    assert as_written("folder:digits@8gray") == "folder:digits@8gray"
    for text in (
        ":100:",
        ":material/home:",
        "https://example.invalid",
        "WWW.example.invalid",
        "a@example.invalid",
    ):
        written = as_written(text)
        assert text not in written and written.replace(JOINER, "") == text


def test_a_run_of_any_name_stays_within_its_command() -> None:
    assert command("map", "mnist-vae") == "`python -m core map mnist-vae`"
    assert command("map", "a b") == "`python -m core map 'a b'`"
    assert command("map", "a`*b*``c") == "```python -m core map 'a`*b*``c'```"
