"""Two photographs of one scene under a divider, and a lens that shows the same spot of both, pixel by pixel."""

from __future__ import annotations

import re

from streamlit.runtime import get_instance

from ui.components import declared

HTML = """<div class="compare" data-state="opening">
  <div class="frame">
    <div class="stage" role="application">
      <div class="layer after"><img alt="" draggable="false"><span class="label"></span></div>
      <div class="layer before"><img alt="" draggable="false"><span class="label"></span></div>
      <div class="spot"></div>
      <div class="divider" role="slider" tabindex="0" aria-valuemin="0" aria-valuemax="100">
        <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M9 7l-5 5 5 5M15 7l5 5-5 5"/></svg>
      </div>
    </div>
    <p class="said" role="status"></p>
  </div>
  <div class="bar">
    <button type="button" class="toggle" title="Show or hide the lens (key m)">Lens</button>
    <span class="zooms" role="group" aria-label="Magnification of the lens">
      <button type="button" value="1">1×</button><button type="button" value="2">2×</button
      ><button type="button" value="4">4×</button>
    </span>
    <span class="hint"></span>
  </div>
  <div class="panes">
    <div class="pane"><canvas role="img"></canvas><span class="label"></span></div>
    <div class="pane"><canvas role="img"></canvas><span class="label"></span></div>
    <div class="pane"><canvas role="img"></canvas><span class="label"></span></div>
  </div>
</div>"""

TRUTH = "clean original"
KINDS = ("image/jpeg", "image/png", "image/webp", "image/avif", "image/gif", "image/bmp")
DATA = re.compile(rf"data:({'|'.join(KINDS)});base64,")
PATH = re.compile(r"/(?!/)[^\s\\]+")  # browsers read // and /\ as the beginning of another site

_compare = declared("compare", HTML)


def compare(
    before: str,
    after: str,
    size: tuple[int, int],
    labels: tuple[str, str],
    alt: str,
    key: str,
    truth: str | None = None,
) -> None:
    """Draw `before` over `after`, and a lens on both. Moving it asks the server nothing.

    Args:
        before, after: addresses of pictures that a browser can open: from `served`, another path on this server, or
            a data URI.
        size: width and height in pixels, the same for all pictures.
        labels: a word or two on `before` and on `after`.
        alt: what is to be seen, for those who do not see it.
        truth: the address of a clean picture, which only the lens shows.

    Raises:
        ValueError: an address leads elsewhere or to no picture, the size is none, or words are missing.
    """
    pictures = [before, after] if truth is None else [before, after, truth]
    for address in pictures:
        if not (DATA.match(address) or PATH.fullmatch(address)):
            raise ValueError(
                f"{address[:60]!r} is neither a path on this server nor a data URI of a picture."
            )
    if len(size) != 2 or not all(type(side) is int and side > 0 for side in size):
        raise ValueError(f"{size} is no width and height in pixels.")
    if len(labels) != 2 or not all(labels) or not alt:
        raise ValueError("Each of the two pictures needs a label, and both together an alt text.")
    words = [*labels, TRUTH][: len(pictures)]
    _compare(data={"pictures": pictures, "labels": words, "size": list(size), "alt": alt}, key=key)


def served(file: bytes, kind: str, place: str) -> str:
    """The address of a picture file, good until a run of this page ends that did not ask for it again.

    Args:
        file: its bytes, encoded.
        kind: its media type, one of `KINDS`.
        place: a name of its own on the page; a second file in the same place takes it over.

    Raises:
        ValueError: browsers cannot show this kind, or might run it.
    """
    if kind not in KINDS:
        raise ValueError(
            f"{kind!r} is no kind of picture that every browser shows. Known: {', '.join(KINDS)}."
        )
    return get_instance().media_file_mgr.add(file, kind, place)
