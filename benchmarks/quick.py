"""What 90 seconds of training with the defaults give: `python -m benchmarks.quick [--seconds 90] [--out FOLDER]`.

Every family on MNIST, one after the other, beside PCA with as many numbers a code. A TopK code also has to say which units
its numbers belong to; the column `bits` counts that, at 32 bits a number. Test pictures are read once, for the table.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch

from core.data import load
from core.evaluation import PCA, evaluate, ssim
from core.families import FAMILIES
from core.pictures import as_bytes, as_floats, png, sheet
from core.training import Finished, Plan, Training, showcase, train

PICTURES = 1_000  # of the test set, for PCA's SSIM as for the models'


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=90)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--out", type=Path, help="a folder for a sheet of pictures per family")
    chosen = options.parse_args()
    data = load("mnist")
    print(
        f"MNIST {data.fingerprint}, seed {chosen.seed}, {chosen.seconds:g} s each, {len(data.test):,} test pictures\n"
    )
    head = "family | images/s, all included | MSE | SSE | SSIM | numbers | bits | PCA: MSE | SSIM"
    print(f"| {head} |\n|{'---|' * (head.count('|') + 1)}")
    for kind in FAMILIES:
        plan = Plan(seconds=chosen.seconds, seed=chosen.seed)
        torch.set_num_threads(plan.threads)
        model = kind(kind.Config(), data.shape)
        training = Training(model, plan)
        last = [event for event in train(training, data) if isinstance(event, Finished)][-1]
        scored = evaluate(model, data.test)
        pca = PCA(data, model.code_numbers())
        images = data.test.images[:PICTURES]
        similar = np.mean([ssim(a, b / 255) for a, b in zip(pca.reconstruct(images), images, strict=True)])
        row = [
            kind.key,
            f"{training.step * plan.batch_size / last.seconds:,.0f}",
            f"{scored['mse']:.5f}",
            f"{scored['sse']:.2f}",
            f"{scored['ssim']:.3f}",
            str(model.code_numbers()),
            f"{model.code_bits():.0f}",
            f"{pca.sse(data.test) / math.prod(data.shape):.5f}",
            f"{similar:.3f}",
        ]
        print(f"| {' | '.join(row)} |", flush=True)
        if chosen.out:
            chosen.out.mkdir(parents=True, exist_ok=True)
            x = as_floats(data.test.images[showcase(data.test)])
            with torch.inference_mode():
                samples = model.sample(40, torch.Generator().manual_seed(chosen.seed))
                shown = torch.cat([x, model.reconstruct(x), samples])
            (chosen.out / f"{kind.key}.png").write_bytes(png(sheet(as_bytes(shown), 10)))


if __name__ == "__main__":
    main()
