"""What the tests of datasets share."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from core import data, folders


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data folder, an empty cache folder, nothing remembered, no proxy between us and our own server."""
    monkeypatch.delenv("BOTTLENECK_DATA", raising=False)
    monkeypatch.setenv("BOTTLENECK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    data._read.cache_clear()
    folders._read_folder.cache_clear()


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", refuse)
