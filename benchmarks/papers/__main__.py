"""Published tables, made again: `python -m benchmarks.papers [--only ROW] [--seconds S]`.

Each row trains what it needs for S seconds a model and seed, reads the test set once and prints a table. An interrupted training
goes on, a finished one is read from the folder. `--choose` holds out 10,000 training pictures and reads them for the test set.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch

from benchmarks.papers import features, generation, likelihood, reconstruction
from benchmarks.papers.protocol import Terms
from core.training import device_named, spare_cores

ROWS: dict[str, Callable[[Terms], Iterator[str]]] = {
    "linear": reconstruction.linear,
    "deep": reconstruction.deep,
    "sparse": features.sparse,
    "contractive": features.contractive,
    "denoising": features.denoising,
    "vae": partial(likelihood.row, samples=1),
    "iwae": partial(likelihood.row, samples=5),
    "iwae-50": partial(likelihood.row, samples=50),
    "mixture": generation.mixture,
    "samples": generation.samples,
}
ON_A_GPU = ("iwae-50",)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--only", nargs="+", choices=ROWS, metavar="ROW", help=f"of {', '.join(ROWS)}")
    options.add_argument("--seconds", type=float, default=600, metavar="S", help="a training; default: 600")
    options.add_argument(
        "--seeds", type=int, nargs="+", default=(0, 1, 2), metavar="N", help="default: 0 1 2"
    )
    options.add_argument("--threads", type=int, default=spare_cores(), metavar="N", help="of torch on a CPU")
    options.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    options.add_argument("--choose", action="store_true", help="leave the test set alone")
    options.add_argument(
        "--folder", type=Path, default=Path("papers"), help="of the trainings; default: papers"
    )
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    device = device_named(chosen.device)
    terms = Terms(chosen.seconds, tuple(chosen.seeds), chosen.choose, device, chosen.folder)
    for name in chosen.only or [name for name in ROWS if device.type == "cuda" or name not in ON_A_GPU]:
        kind = "10,000 held-out training pictures" if chosen.choose else "test set"
        print(
            f"\n### {name}: {chosen.seconds:g} s a training, seeds {', '.join(map(str, terms.seeds))}, {device.type}, {kind}\n"
        )
        for line in ROWS[name](terms):
            print(line, flush=True)


if __name__ == "__main__":
    main()
