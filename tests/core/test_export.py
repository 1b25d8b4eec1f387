from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator

from core import export
from core.__main__ import main
from core.data import load
from core.families import FAMILIES, Vanilla
from core.family import Autoencoder
from core.store import Run, Store, StoreError
from core.training import Plan


@pytest.mark.parametrize("Family", FAMILIES, ids=lambda one: one.key)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 12, 10)])
def test_every_decoder_decodes_alike_elsewhere(
    Family: type[Autoencoder], shape: tuple[int, int, int]
) -> None:
    model = Family(Family.Config(latent_dim=40, width=8, hidden=(16,)), shape)
    model.initialise(torch.Generator().manual_seed(0))
    found = onnx.load_from_string(export.onnx(model))
    onnx.checker.check_model(found)
    z = torch.randn(1, 40, generator=torch.Generator().manual_seed(1))
    (picture,) = ReferenceEvaluator(found).run(None, {found.graph.input[0].name: z.numpy()})
    with torch.inference_mode():
        np.testing.assert_allclose(picture, model.decode(z).numpy(), atol=1e-5)


def test_a_decoder_is_kept_for_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made(tmp_path)
    monkeypatch.setenv("BOTTLENECK_STORE", str(tmp_path))
    assert export.kept(run) is None
    assert main(["decoder", run.id, "--out", str(tmp_path / "copy.onnx")]) == 0
    file = export.kept(run)
    assert file is not None and file.read_bytes() == (tmp_path / "copy.onnx").read_bytes()
    model = run.load()
    with torch.no_grad():
        next(model.parameters()).add_(1)
    run.save_weights(model)
    assert export.kept(run) is None
    assert [export.keep(run, model)] == [*run.folder.rglob("*.onnx")] != [file]


def test_a_decoder_that_no_browser_is_sent_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made(tmp_path)
    monkeypatch.setattr(export, "MOST_BYTES", 1_000)
    with pytest.raises(StoreError, match="Decode on the server, or train a smaller net"):
        export.keep(run, run.load())
    assert not [*run.folder.rglob("*.onnx")]


def test_a_link_is_no_decoder(tmp_path: Path) -> None:
    run = made(tmp_path)
    (tmp_path / "secret").write_text("of somebody else")
    file = run.folder / "cache" / export.NAME.format(run.weights_hash())
    file.parent.mkdir(exist_ok=True)
    file.symlink_to(tmp_path / "secret")
    assert export.kept(run) is None


def made(folder: Path) -> Run:
    data = load("digits")
    model = Vanilla(Vanilla.Config(latent_dim=4, width=8, hidden=(16,)), data.shape)
    run = Store(folder).create(model, Plan(epochs=1, threads=1), data)
    training = run.begin(torch.device("cpu"))
    run.save_weights(training.model)
    return run
