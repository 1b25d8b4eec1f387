"""What the server keeps for all visitors."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from ui.memory import kept, remembered


def remember(key: str, value: bytes = b"") -> bytes:
    """Under "name", up to ten bytes."""
    return remembered("name", key, lambda: value, len, 10)


def test_what_is_kept_is_not_made_again() -> None:
    first = remember("a", bytes(4))
    assert remembered("name", "a", lambda: pytest.fail("it was made again"), len, 10) is first


def test_the_latest_stay_as_far_as_there_is_room_and_the_last_one_always() -> None:
    for key in ("a", "b", "a", "c"):
        remember(key, bytes(4))
    assert list(kept("name")) == ["a", "c"]
    remember("d", bytes(99))
    assert list(kept("name")) == ["d"]


def test_names_have_room_of_their_own() -> None:
    remember("a", bytes(9))
    remembered("other", "a", lambda: bytes(9), len, 10)
    assert list(kept("name")) == list(kept("other")) == ["a"]


def test_what_fails_leaves_nothing() -> None:
    with pytest.raises(ZeroDivisionError):
        remembered("name", "a", lambda: bytes(1 // 0), len, 10)
    assert not kept("name")


def test_visitors_share_one_budget() -> None:
    with ThreadPoolExecutor(8) as visitors:
        list(visitors.map(lambda n: remember(str(n % 7), bytes(3)), range(2_000)))
    assert sum(map(len, kept("name").values())) <= 10
