from __future__ import annotations

import pytest

from ui.words import as_written, duration


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


def test_text_from_outside_formats_nothing() -> None:
    assert as_written("![x](https://example.invalid/x.png)") == r"!\[x\](https://example.invalid/x.png)"
    assert as_written("*a* _b_ `c` ~d~ $e$ <f> &amp;") == r"\*a\* \_b\_ \`c\` \~d\~ \$e\$ \<f\> \&amp;"
    assert as_written("mnist-vae-7f3a: 3.5 %, ½") == "mnist-vae-7f3a: 3.5 %, ½"
