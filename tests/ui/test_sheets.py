from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from starlette.applications import Starlette

from core.data import load
from core.evaluation import summarise
from core.families import Vanilla
from core.pictures import tiles
from core.store import Run, Store
from core.training import Plan
from ui import sheets


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("BOTTLENECK_STORE", str(tmp_path))
    data = load("digits")
    model = Vanilla(Vanilla.Config(latent_dim=4, width=8, hidden=(16,)), data.shape)
    made = Store(tmp_path).create(model, Plan(epochs=1, threads=1), data)
    training = made.begin(torch.device("cpu"))
    made.save_weights(training.model)
    summarise(made, training.model, data)
    return made


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def get(path: str, **headers: str) -> Answer:
    """What the server answers."""
    found: list[dict[str, Any]] = []
    scope = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        found.append(message)

    asyncio.run(Starlette(routes=[sheets.route])(scope, receive, send))
    told = {name.decode(): value.decode() for name, value in found[0]["headers"]}
    return Answer(found[0]["status"], told, b"".join(one.get("body", b"") for one in found[1:]))


def test_a_sheet_holds_the_test_pictures_in_order(run: Run) -> None:
    answer = get(sheets.address(run.id, 1).format(0).partition("?")[0])
    assert answer.status == 200 and answer.headers["content-type"] == "image/webp"
    with Image.open(io.BytesIO(answer.body)) as image:
        pixels = np.asarray(image.convert("L"))
    found = tiles(pixels, (1, 8, 8))
    np.testing.assert_array_equal(found[:300], load("digits").test.images)


@pytest.mark.parametrize(
    "path",
    ["nobody/0", "..%2F..%2Fetc/0", "../0", ".jobs/0", "{run}/1", "{run}/-1", "{run}/x", "{run}/99999"],
)
def test_what_is_not_there_is_not_found(run: Run, path: str) -> None:
    assert get(f"/api/pictures/{path.format(run=run.id)}").status == 404


@pytest.mark.parametrize(
    ("site", "status"), [("same-origin", 200), ("none", 200), ("cross-site", 403), ("same-site", 403)]
)
def test_other_sites_may_not_show_them(run: Run, site: str, status: int) -> None:
    assert get(f"/api/pictures/{run.id}/0", sec_fetch_site=site).status == status


def test_a_run_whose_weights_are_broken_has_none(run: Run) -> None:
    run.weights_file.write_bytes(b"\x80\x04")
    assert get(f"/api/pictures/{run.id}/0").status == 404
