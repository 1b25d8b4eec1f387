from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from core import export
from core.pictures import as_bytes
from core.store import Run
from tests.asgi import get, talk
from tests.core.test_export import made
from ui import decoding

FOREIGN = "rebound.example:8501"
HOME = {"origin": "http://127.0.0.1:8501", "host": "127.0.0.1:8501"}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("BOTTLENECK_STORE", str(tmp_path))
    return made(tmp_path)


def code(*numbers: float) -> bytes:
    return np.array(numbers, "<f4").tobytes()


def test_the_runtime_is_what_its_name_says_and_is_kept_for_ever() -> None:
    for name, kind in decoding.KINDS.items():
        answer = get(decoding.routes, f"/api/runtime/{name}", sec_fetch_site="same-origin")
        assert answer.status == 200 and answer.headers["content-type"].startswith(kind)
        assert hashlib.sha256(answer.body).hexdigest().startswith(name.split("-")[1].split(".")[0])
        assert "immutable" in answer.headers["cache-control"]
    for path in ("/api/runtime/LICENSE", "/api/runtime/..%2Fserver.py", "/api/runtime/../server.py"):
        assert get(decoding.routes, path).status == 404
    assert get(decoding.routes, f"/api/runtime/{decoding.SCRIPT}", sec_fetch_site="cross-site").status == 403


def test_a_decoder_comes_under_the_name_of_its_weights_alone(run: Run) -> None:
    address = decoding.address_of_decoder(run.id, export.NAME.format(run.weights_hash()))
    assert get(decoding.routes, address).status == 404
    file = export.keep(run, run.load())
    answer = get(decoding.routes, address)
    assert answer.status == 200 and answer.body == file.read_bytes()
    for other in (
        decoding.address_of_decoder(run.id, export.NAME.format("0" * 16)),
        address.replace(run.id, "nobody"),
    ):
        assert get(decoding.routes, other).status == 404
    assert get(decoding.routes, address, sec_fetch_site="cross-site").status == 403
    assert get(decoding.routes, address, host=FOREIGN).status == 403


def test_over_a_socket_codes_become_pictures(run: Run) -> None:
    sent = [code(0.1, 0.2, 0.3, 0.4), code(-1, 0, 1, 2)]
    found = talk(decoding.routes, f"/api/decode/{run.id}", sent, **HOME)
    for message, picture in zip(sent, found, strict=True):
        with torch.inference_mode():
            expected = as_bytes(run.load().decode(torch.tensor(np.frombuffer(message, "<f4"))[None]))[0]
        assert picture == expected.tobytes()


@pytest.mark.parametrize(
    "message",
    [
        b"",
        code(1, 2, 3),
        code(1, 2, 3, 4, 5),
        code(1, 2, 3, float("nan")),
        code(1, 2, 3, float("inf")),
        code(1, 2, 3, 1e9),
    ],
)
def test_what_is_no_code_ends_the_talk(run: Run, message: bytes) -> None:
    good = code(0, 0, 0, 0)
    found = talk(decoding.routes, f"/api/decode/{run.id}", [good, message, good], **HOME)
    assert isinstance(found[0], bytes) and found[1:] == [decoding.REFUSED]


def test_foreign_pages_and_unknown_runs_are_refused(run: Run) -> None:
    elsewhere = HOME | {"origin": "https://elsewhere.example"}
    assert talk(decoding.routes, f"/api/decode/{run.id}", [code(0, 0, 0, 0)], **elsewhere) == [
        decoding.REFUSED
    ]
    named = {"origin": f"http://{FOREIGN}", "host": FOREIGN}
    assert talk(decoding.routes, f"/api/decode/{run.id}", [code(0, 0, 0, 0)], **named) == [decoding.REFUSED]
    for id in ("nobody", "..%2F..", ".jobs"):
        assert talk(decoding.routes, f"/api/decode/{id}", [code(0, 0, 0, 0)], **HOME) == [decoding.REFUSED]


def test_nobody_is_answered_faster_than_hands_move(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "FASTEST", 5.0)
    found = talk(decoding.routes, f"/api/decode/{run.id}", [code(0, 0, 0, 0)] * 50, **HOME)
    assert len(found) < 20 and found[-1] == decoding.REFUSED
