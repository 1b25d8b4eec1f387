"""Runs put to use: scores, reconstructions, samples and codes."""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.verbs.console import BadInput, json_line, read_file, save, save_picture, say, terms, typed
from core.verbs.declaring import Parser, Verbs

if TYPE_CHECKING:
    from torch import Tensor

    from core.data import Dataset
    from core.family import Autoencoder
    from core.intake import Picture
    from core.store import Run

MOST_IN_A_ROW = 12  # numbers of a list on the terminal


def declare(verbs: Verbs) -> None:
    one = verbs.add(
        evaluate,
        "Measure a run on its test pictures: what it gives back, what its codes are worth, what it draws.",
        job=True,
        json=True,
    )
    describe_measures(one)
    one = verbs.add(reconstruct, "Put pictures through runs: a PNG per run and picture, and metrics.json.")
    one.add_argument("run", nargs="+", metavar="RUN")
    one.add_argument("--images", nargs="+", required=True, type=Path, metavar="FILE")
    one.add_argument(
        "--rate",
        type=int,
        metavar="K",
        help="of a photo autoencoder: numbers for 8×8 pixels; default: the middle one",
    )
    one.add_argument("--out", required=True, type=Path, metavar="FOLDER")
    one = verbs.add(sample, "Draw new pictures into one PNG.")
    one.add_argument("run", metavar="RUN")
    one.add_argument("-n", type=int, default=64)
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--out", required=True, type=Path, metavar="FILE.png")
    one = verbs.add(
        decoder, "Export a run's decoder as ONNX, for browsers and for programs without torch.", job=True
    )
    one.add_argument("run", metavar="RUN")
    one.add_argument("--out", type=Path, metavar="FILE.onnx", help="a copy; it is kept in the run")
    one = verbs.add(codes, "Write the codes of a split as arrays `codes` (N,Z) and `labels` (N,).")
    describe_split(one)
    one.add_argument("--out", required=True, type=Path, metavar="FILE.npz")
    one = verbs.add(
        lay_out,
        "Lay a run's codes out on a map, by UMAP where they are longer than two.",
        name="map",
        job=True,
    )
    describe_split(one)
    one.add_argument("--seed", type=int, default=0, metavar="N", help="of UMAP; default: 0")
    one.add_argument(
        "--out", type=Path, metavar="FILE.npz", help="arrays xy (N,2), labels (N,), and the quality"
    )
    one = verbs.add(robustness, "Damage test pictures and measure what runs give back.", job=True)
    describe_damage(one)


def describe_split(one: Parser) -> None:
    """The flags that say whose codes."""
    one.add_argument("run", metavar="RUN")
    one.add_argument("--dataset", metavar="D", help="default: the one the run was trained on")
    one.add_argument("--split", default="test", choices=("train", "validation", "test"))


def describe_measures(one: Parser) -> None:
    one.add_argument("run", metavar="RUN")
    one.add_argument("--keep", action="store_true", help="write measures, codes and examples into the run")
    one.add_argument(
        "--importance-samples",
        type=int,
        default=500,
        metavar="K",
        help="draws for the likelihood of a picture under a VAE, after dynamic binarisation; up to 5000, default: 500",
    )
    one.add_argument(
        "--pictures", type=int, default=1_000, metavar="N", help="whose likelihood is measured; default: 1000"
    )


def evaluate(options: argparse.Namespace) -> None:
    """Every measure of a run's test pictures, by section."""
    from core.jobs import ANALYSIS

    if options.pictures < 1:
        raise BadInput(f"--pictures is at least 1, not {options.pictures}")
    told = ""

    def tell(fraction: float, text: str) -> None:
        nonlocal told
        options.work.progress(fraction, text)
        if text != told:
            say(f"{fraction:.0%}  {text}")
        told = text

    with options.work.lane(ANALYSIS):
        from core import elbo, evaluation, report
        from core.store import Store

        if not 1 <= options.importance_samples <= elbo.MOST_DRAWS:
            raise BadInput(
                f"--importance-samples lies between 1 and {elbo.MOST_DRAWS}, not {options.importance_samples}"
            )
        store = Store(options.store)
        run = store.run(options.run)
        if options.keep:
            run.check_finished()
        model, data = ready(run), fitting(run, kept=options.keep)
        chosen = dict(importance_samples=options.importance_samples, pictures=options.pictures)
        with typed():
            found = report.examine(model, data, store.root, **chosen, tell=tell)
        try:
            if options.keep:
                evaluation.summarise(run, model, data)
                report.keep(run, found)
        finally:
            print(json_line(found) if options.json else "\n\n".join(block(*one) for one in found.items()))


def block(title: str, numbers: Mapping[str, float | list[float]]) -> str:
    """A section with a line for each number."""
    width = max(len(name) for name in numbers)
    return "\n".join([title, *(f"  {name:{width}}  {in_words(value)}" for name, value in numbers.items())])


def in_words(value: float | list[float]) -> str:
    if isinstance(value, list):
        more = f" … ({len(value)}, all of them with --json)" if len(value) > MOST_IN_A_ROW else ""
        return " ".join(map(in_words, value[:MOST_IN_A_ROW])) + more
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def reconstruct(options: argparse.Namespace) -> None:
    from core.store import Store

    store = Store(options.store)
    models = {name: through(store.run(name), options.rate) for name in options.run}
    table, number = [], 0
    for number, picture in enumerate(readable(options.images), 1):
        for name, send in models.items():
            file = options.out / f"{number:03}-{Path(picture.name).stem}-{name}.png"
            try:
                back, scored = send(picture)
            except BadInput as error:
                say(f"left out: {error}")
                continue
            save_picture(file, back)
            table.append({"image": picture.name, "run": name, "file": file.name, **scored})
            say(f"{file.name}  {terms(scored)}")
    if not table:
        if number:
            raise BadInput("no picture came through")
        raise BadInput("no picture could be read: name PNG, JPEG, WebP, BMP, TIFF or GIF files")
    save(options.out / "metrics.json", (json_line(table, indent=1) + "\n").encode())
    print(options.out / "metrics.json")


def readable(paths: list[Path]) -> Iterator[Picture]:
    """Those that cannot be read are said and left out."""
    from core import intake

    for path in paths:
        try:
            yield intake.read(read_file(path, intake.MAX_BYTES), path.name)
        except (intake.Refused, BadInput) as error:
            say(f"left out: {error}")


def through(run: Run, rate: int | None) -> Callable[[Picture], tuple[Tensor, Mapping[str, float | None]]]:
    """What sends a picture through a run: to what comes back, (1,C,H,W) in [0,1], and its scores."""
    from core.families import family
    from core.families.photo_autoencoder import PhotoAutoencoder

    if issubclass(family(run.record.family), PhotoAutoencoder):
        return at_its_own_size(run, rate)
    if rate is not None:
        raise BadInput(f"--rate is for runs that squeeze photographs, which {run.id} does not")
    return in_its_frame(run)


def in_its_frame(run: Run) -> Callable[[Picture], tuple[Tensor, Mapping[str, float | None]]]:
    import torch

    from core import evaluation, intake
    from core.pictures import as_floats

    model = ready(run)

    @torch.inference_mode()
    def send(picture: Picture) -> tuple[Tensor, Mapping[str, float | None]]:
        x = as_floats(intake.to_shape(picture, model.shape))[None]
        back = model.reconstruct(x)
        return back, asdict(evaluation.scores(back[0].numpy(), x[0].numpy()))

    return send


def at_its_own_size(
    run: Run, rate: int | None
) -> Callable[[Picture], tuple[Tensor, Mapping[str, float | None]]]:
    """Likewise, with JPEG and WebP of as many bytes beside it."""
    import torch

    from core import packing, rates
    from core.families.photo_autoencoder import PhotoAutoencoder
    from core.pictures import as_floats
    from core.training import spare_cores

    torch.set_num_threads(spare_cores())
    model = run.restorer()
    assert isinstance(model, PhotoAutoencoder)
    sizes = model.config.rates
    k = sizes[len(sizes) // 2] if rate is None else rate
    if k not in sizes:
        raise BadInput(f"--rate of {run.id} is one of {', '.join(map(str, sizes))}, not {k}")

    def send(picture: Picture) -> tuple[Tensor, Mapping[str, float | None]]:
        height, width = picture.pixels.shape[:2]
        if not packing.fits(k, height, width):
            raise BadInput(
                f"{picture.name} of {width} × {height} pixels is too large for {k} numbers a square; choose a smaller --rate"
            )
        ours, *others = rates.compared(rates.coloured(picture.pixels), model, k)
        scored = {"numbers": k, "bytes": ours.size, "psnr": ours.psnr, "ssim": ours.ssim}
        for one in others:
            name = one.title.lower()
            scored |= {f"{name}_bytes": one.size, f"{name}_psnr": one.psnr, f"{name}_ssim": one.ssim}
        return as_floats(ours.picture.transpose(2, 0, 1))[None], scored

    return send


def decoder(options: argparse.Namespace) -> None:
    """The decoder as ONNX: kept in the run, and written to a file where one is named."""
    from core.jobs import ANALYSIS

    with options.work.lane(ANALYSIS):
        from core import export
        from core.store import Store

        run = Store(options.store).run(options.run)
        file = export.keep(run, ready(run))
    if options.out:
        save(options.out, file.read_bytes())
    print(options.out or file)


def sample(options: argparse.Namespace) -> None:
    import torch

    from core.store import Store

    if not 1 <= options.n <= 10_000:
        raise BadInput(f"-n lies between 1 and 10000, not {options.n}")
    check_seed(options.seed)
    model = ready(Store(options.store).run(options.run))
    with torch.inference_mode():
        pictures = model.sample(options.n, torch.Generator().manual_seed(options.seed))
    save_picture(options.out, pictures)
    print(options.out)


def codes(options: argparse.Namespace) -> None:
    import numpy as np

    from core import evaluation
    from core.store import Store

    run = Store(options.store).run(options.run)
    found = evaluation.codes(ready(run), fitting(run, options.dataset).split(options.split))
    labels = np.full(len(found.codes), -1) if found.labels is None else found.labels.numpy()
    archive = io.BytesIO()
    np.savez_compressed(archive, codes=found.codes.numpy(), labels=labels)
    save(options.out, archive.getvalue())
    print(options.out)


def lay_out(options: argparse.Namespace) -> None:
    """Codes of test pictures on a plane; those of the run's own data are kept beside it for the page."""
    import numpy as np

    from core.jobs import ANALYSIS

    own = not options.dataset and options.split == "test"
    check_seed(options.seed)
    with options.work.lane(ANALYSIS):
        from core import evaluation, latent
        from core.store import Store

        run = Store(options.store).run(options.run)
        if own:
            run.check_finished()
        codes = run.codes() if own else None
        if codes is None:
            options.work.progress(0.0, "Coding pictures")
            data = fitting(run, options.dataset, kept=own)
            codes = evaluation.codes(ready(run), data.split(options.split))
        whole, codes = len(codes.codes), latent.sampled(codes)
        if len(codes.codes) < whole:
            say(f"{len(codes.codes):,} of {whole:,} codes are on the map")
        plain = latent.at_once(codes)
        found = [latent.Map(plain.kind, codes, plain.places, latent.quality(codes, plain.places))]
        if codes.codes.shape[1] > 2 and len(codes.codes) > latent.FEWEST:
            found.append(latent.umap(codes, options.seed, options.work.progress))
        if own:
            latent.keep(run, *found)
    best = found[-1]
    numbers = dict(vars(best.quality))
    if options.out:
        known = np.full(len(codes.codes), -1) if codes.labels is None else codes.labels.numpy()
        arrays: dict[str, Any] = {"xy": best.places.numpy(), "labels": known}
        arrays |= {name: np.array(np.nan if value is None else value) for name, value in numbers.items()}
        archive = io.BytesIO()
        np.savez_compressed(archive, **arrays)
        save(options.out, archive.getvalue())
    print(json_line({"kind": best.kind, **numbers}))


def describe_damage(one: Parser) -> None:
    one.add_argument("run", nargs="+", metavar="RUN")
    one.add_argument("--dataset", metavar="D", help="default: the one the first run was trained on")
    one.add_argument("--pictures", type=int, default=1_000, metavar="N", help="default: 1000")
    one.add_argument("--noise-seeds", type=int, default=3, metavar="N", help="default: 3")
    one.add_argument("--corruptions", metavar="A,B", help="default: all")
    one.add_argument(
        "--classical",
        action="store_true",
        help="NL-means, total variation and wavelets, too, on 100 pictures",
    )
    one.add_argument("--search", action="store_true", help="codes searched by descent, too, on 100 pictures")
    one.add_argument("--out", type=Path, metavar="FILE.csv", help="the table")


def robustness(options: argparse.Namespace) -> None:
    """Damage a dataset's test pictures and measure what the runs still give back; what was measured before is read again."""
    from core.jobs import ANALYSIS

    with options.work.lane(ANALYSIS):
        import torch

        from core.findings import as_csv
        from core.lab import Lab
        from core.robustness import Protocol
        from core.store import Store
        from core.training import spare_cores

        store = Store(options.store)
        torch.set_num_threads(spare_cores())
        runs = tuple(store.run(id) for id in dict.fromkeys(options.run))
        data = fitting(runs[0], options.dataset, kept=True)
        for run in runs:
            run.check_finished()
            if not options.dataset and run.record.dataset["name"] == data.name:
                check_same(run, data)
            if run.record.shape != data.shape:
                raise BadInput(f"{run.id} sees pictures of {run.record.shape}, {data.name} has {data.shape}")
        with typed():
            chosen = {"corruptions": tuple(options.corruptions.split(","))} if options.corruptions else {}
            protocol = Protocol(min(options.pictures, len(data.test)), options.noise_seeds, **chosen)
        lab = Lab(store, runs, protocol, options.classical, options.search)
        for step in lab.measure(data):
            options.work.progress(step.fraction, step.text)
            say(f"{step.fraction:.0%}  {step.text}")
    entries, _ = lab.entries(data, store.runs())
    if options.out:
        save(options.out, as_csv(entries, protocol, data.shape).encode())
        print(options.out)


def check_seed(seed: int) -> None:
    if not 0 <= seed < 2**31:
        raise BadInput(f"--seed lies between 0 and {2**31 - 1}, not {seed}")


def ready(run: Run) -> Autoencoder:
    import torch

    from core.training import spare_cores

    torch.set_num_threads(spare_cores())
    return run.load()


def fitting(run: Run, name: str | None = None, *, kept: bool = False) -> Dataset:
    """The dataset with this name, by default the run's own. Raises BadInput where the run cannot see its pictures.

    Likewise where its own have changed since it learnt from them, and what comes of it is to be kept: in another split, the
    test may hold some of these.
    """
    from core.data import load

    data = load(name or run.record.dataset["name"])
    if data.shape != run.record.shape:
        raise BadInput(
            f"{run.id} sees pictures of {run.record.shape}, {data.name} has {data.shape}: name another dataset"
        )
    if not name and kept:
        check_same(run, data)
    elif not name and data.fingerprint != run.record.dataset.get("fingerprint"):
        say(f"note: {data.name} no longer holds the pictures that {run.id} was trained on")
    return data


def check_same(run: Run, data: Dataset) -> None:
    """Raises BadInput where a dataset has changed since a run learnt from it."""
    if data.fingerprint != run.record.dataset.get("fingerprint"):
        raise BadInput(
            f"{data.name} no longer holds the pictures that {run.id} was trained on, and its test may hold some of them. "
            "Train a new run."
        )
