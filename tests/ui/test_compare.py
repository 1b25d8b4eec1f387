from __future__ import annotations

import json
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from ui.components.compare import TRUTH, compare, served

GOOD: dict[str, Any] = {
    "before": "/media/noisy.jpg",
    "after": "data:image/png;base64,iVBORw0KGgo=",
    "size": (1200, 900),
    "labels": ("as it came", "denoised"),
    "alt": "a street at night",
    "key": "photo",
}


def drawn(**more: Any) -> dict[str, Any]:
    """What the browser is sent."""

    def page(arguments: dict) -> None:
        from ui.components.compare import compare

        compare(**arguments)

    app = AppTest.from_function(page, args=(GOOD | more,), default_timeout=30).run()
    assert not app.exception
    sent: dict[str, Any] = json.loads(app.get("bidi_component")[0].proto.json)
    return sent


def test_the_browser_gets_addresses_and_words() -> None:
    assert drawn() == {
        "pictures": [GOOD["before"], GOOD["after"]],
        "labels": ["as it came", "denoised"],
        "size": [1200, 900],
        "alt": "a street at night",
    }


def test_a_clean_picture_comes_third() -> None:
    sent = drawn(truth="/media/clean.png")
    assert sent["pictures"][2] == "/media/clean.png"
    assert sent["labels"] == ["as it came", "denoised", TRUTH]


@pytest.mark.parametrize(
    "address",
    [
        "",
        "/",
        "noisy.jpg",
        "https://example.org/noisy.jpg",
        "//example.org/noisy.jpg",
        "/\\example.org/noisy.jpg",
        "/\t/example.org/noisy.jpg",
        "/noisy.jpg\n",
        "javascript:alert(1)",
        "data:text/html;base64,PHA+",
        "data:image/svg+xml;base64,PHN2Zz4=",
    ],
)
@pytest.mark.parametrize("which", ["before", "after", "truth"])
def test_an_address_that_leads_elsewhere_is_refused(which: str, address: str) -> None:
    with pytest.raises(ValueError, match="neither a path on this server nor a data URI"):
        compare(**GOOD | {which: address})


@pytest.mark.parametrize("size", [(0, 900), (1200, -1), (1200.0, 900), (True, 900), (1200,), (1200, 900, 3)])
def test_what_is_no_size_is_refused(size: Any) -> None:
    with pytest.raises(ValueError, match="no width and height"):
        compare(**GOOD | {"size": size})


@pytest.mark.parametrize("more", [{"labels": ("one",)}, {"labels": ("one", "")}, {"alt": ""}])
def test_missing_words_are_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="needs a label"):
        compare(**GOOD | more)


def test_a_file_is_served_under_an_address_that_can_be_compared() -> None:
    def page() -> None:
        import streamlit as st

        from ui.components.compare import served

        st.text(served(b"\xff\xd8\xff", "image/jpeg", "before"))
        st.text(served(b"\x89PNG", "image/png", "after"))

    app = AppTest.from_function(page, default_timeout=30).run()
    assert not app.exception
    before, after = (one.value for one in app.text)
    assert before.endswith(".jpg") and after.endswith(".png")
    drawn(before=before, after=after)


@pytest.mark.parametrize("kind", ["image/svg+xml", "text/html", "image/tiff", ""])
def test_what_a_browser_might_run_or_cannot_show_is_not_served(kind: str) -> None:
    with pytest.raises(ValueError, match="no kind of picture"):
        served(b"", kind, "before")
