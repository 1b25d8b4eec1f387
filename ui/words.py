"""Words that several pages share. Widgets bound to the address write these words into it, so they have to be the same."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Mapping


def data_title(title: str, shape: tuple[int, int, int]) -> str:
    """What runs were trained on: "MNIST · 28×28 gray"."""
    channels, height, width = shape
    size = f"{width}×{height}"
    kind = "gray" if channels == 1 else "colour"
    return f"{title} · {kind}" if size in title else f"{title} · {size} {kind}"


def counted(number: int, thing: str) -> str:
    """ "1 epoch", "1,200 epochs"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def signed(value: float, digits: int = 2) -> str:
    """With a minus as long as a plus is."""
    return f"{value:.{digits}f}".replace("-", "−")


def unlike(titles: Mapping[str, str]) -> dict[str, str]:
    """Title by key. Where two have the same, their keys are added: widgets and the address tell options by their titles."""
    same = Counter(titles.values())
    return {key: title if same[title] == 1 else f"{title} · {key}" for key, title in titles.items()}


def duration(seconds: float) -> str:
    """As one would say it: "40 s", "3 min 20 s", "2 h 5 min"."""
    whole = max(0, round(seconds))
    minutes, hours = whole // 60, whole // 3600
    if minutes < 1:
        return f"{whole} s"
    if hours < 1:
        return f"{minutes} min {whole % 60} s" if whole % 60 else f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"


RESOLVERS = {"arXiv": "https://arxiv.org/abs/", "doi": "https://doi.org/"}


def paper(reference: str) -> str:
    """Markdown of a paper's name, as "arXiv:1312.6114": a link where its address follows from it."""
    kind, _, number = reference.partition(":")
    return f"[{reference}]({RESOLVERS[kind]}{number})" if kind in RESOLVERS else as_written(reference)


JOINER = "\u2060"  # is not seen, and no line breaks there


def as_written(text: str) -> str:
    """Text from outside as it may stand in Markdown: it formats nothing, and asks no other machine for pictures.

    Nor does it become an icon, an emoji or a link, which Streamlit looks for where nothing can be escaped any more.
    """
    apart = re.sub(r"(?i):(?=[\w+/-]+:|//)|\bwww(?=\.)|@(?=[\w.-]*\.)", rf"\g<0>{JOINER}", text)
    return re.sub(r"([\\`*_\[\]<>~$#|&])", r"\\\1", apart)


def command(*words: str) -> str:
    """Markdown of a line for the shell, as `python -m core map RUN`: a span of code that no name leaves."""
    line = " ".join(shlex.join(("python", "-m", "core", *words)).split())
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    return f"{fence}{line}{fence}"
