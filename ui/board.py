"""The board of reconstructions: pictures in rows, variants in columns; as HTML, as a table, as files."""

from __future__ import annotations

import io
import math
import zipfile
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from core.evaluation import Rebuilt
from core.family import Autoencoder
from core.pictures import png, sheet
from core.store import Run
from ui import downloads
from ui.html import block, difference, picture
from ui.inputs import Input
from ui.runs import Group, label
from ui.symbols import symbol
from ui.theme import colour

METRICS = ("PSNR", "SSIM", "MSE")
LIKE_NOTHING = 99.9  # percent of a model's test pictures that came back better
UNUSUAL = 95.0
READING = (
    "Each number compares a reconstruction with the picture the model saw, not with the file that was brought. "
    "PSNR in dB and SSIM: higher is better; MSE per pixel, pixels in 0…1: lower is better. "
    "A code has 32 bits for every number, and where it keeps some of many also those that name it. It is so many times "
    "smaller than its picture with 8 bits for every pixel and colour."
)
BETTER = "*Better than* counts the model's own test pictures that came back with a larger error."


@dataclass(frozen=True, eq=False)
class Column:
    """One variant and what it made of every picture."""

    id: str
    title: str
    symbol: str  # HTML
    colour: str
    code: str  # the size of its code, in words
    rebuilt: list[Rebuilt]

    @classmethod
    def of(cls, run: Run, model: Autoencoder, group: Group, rebuilt: list[Rebuilt], refined: bool) -> Column:
        title = label(run, group) + (" (code searched)" if refined else "")
        kind = run.record.family
        return cls(run.id, title, symbol(kind), colour(kind), code_size(model), rebuilt)

    @property
    def mean_mse(self) -> float:
        return float(np.mean([one.scores.mse for one in self.rebuilt]))


def code_size(model: Autoencoder) -> str:
    """How much a code keeps and what that saves against 8 bits for every pixel and channel."""
    numbers, bits, total = model.code_numbers(), model.code_bits(), model.config.latent_dim
    ratio = 8 * math.prod(model.shape) / max(1.0, bits)  # all units of a sparse code may have died
    size = f"{numbers} numbers" if numbers == total else f"{numbers} of {total} numbers"
    if 0 < numbers < total:
        size += f" + {bits / numbers - 32:.3g} bits each"
    return f"{size} · {ratio:.1f}× smaller" if ratio > 1 else f"{size} · no compression"


def value(one: Rebuilt, metric: str) -> float:
    return float(getattr(one.scores, metric.lower()))


def best(row: list[Rebuilt], metric: str) -> float:
    values = [value(one, metric) for one in row]
    return min(values) if metric == "MSE" else max(values)


def text(number: float, metric: str) -> str:
    if metric == "PSNR":
        return f"{number:.1f} dB" if math.isfinite(number) else "identical"
    return f"{number:.3f}" if metric == "SSIM" else f"{number:.4f}"


# --- on the page ------------------------------------------------------------------------------------------------


def html(pictures: list[Input], columns: list[Column], metric: str, errors: bool) -> str:
    cells = [
        '<div class="head first" style="border-color: transparent">Picture<small>as the models see it</small></div>'
    ]
    for column in columns:
        told = escape(column.code).replace(" · ", " ·<br>")
        words = f"<div>{column.symbol}</div>{escape(column.title)}<small>{told}</small>"
        cells.append(f'<div class="head" style="border-color: {column.colour}">{words}</div>')
    for index, one in enumerate(pictures):
        row = [column.rebuilt[index] for column in columns]
        cells.append(f'<div class="first">{picture(one.pixels, one.name)}{"".join(notes(one, row))}</div>')
        cells += [
            cell(one, column, column.rebuilt[index], metric, best(row, metric), errors) for column in columns
        ]
    widths = f"grid-template-columns: repeat({len(columns) + 1}, minmax(6rem, 10rem))"
    return block(f'<div class="scroll"><div class="board" style="{widths}">{"".join(cells)}</div></div>')


def notes(one: Input, row: list[Rebuilt]) -> list[str]:
    said = [
        f"<small><b>{escape(one.name)}</b></small>",
        *(f"<small>{escape(note)}</small>" for note in one.notes),
    ]
    places = [rebuilt.percentile for rebuilt in row if rebuilt.percentile is not None]
    if places and min(places) >= LIKE_NOTHING:
        said.append('<small class="far">like nothing these models have seen</small>')
    elif places and min(places) >= UNUSUAL:
        said.append('<small class="far">unusual for these models</small>')
    return said


def cell(one: Input, column: Column, rebuilt: Rebuilt, metric: str, best: float, errors: bool) -> str:
    title = f"{one.name}, {column.title}"
    pictures = picture(rebuilt.pixels, title)
    if errors:
        pictures += '<div style="height: 3px"></div>' + picture(
            difference(rebuilt.difference), f"error map of {title}"
        )
    number = text(value(rebuilt, metric), metric)
    if value(rebuilt, metric) == best:
        number = f'<span class="best" title="best in row">{number} ★</span>'
    place = (
        ""
        if rebuilt.percentile is None
        else f"<small>better than {100 - rebuilt.percentile:.0f}% of test pictures</small>"
    )
    return f"<div>{pictures}<small style='opacity: 1'>{number}</small>{place}</div>"


# --- to take away -----------------------------------------------------------------------------------------------


def table(pictures: list[Input], columns: list[Column]) -> pd.DataFrame:
    rows = []
    for index, one in enumerate(pictures):
        row = [column.rebuilt[index] for column in columns]
        for column, rebuilt in zip(columns, row, strict=True):
            wins = [metric for metric in METRICS if value(rebuilt, metric) == best(row, metric)]
            rows.append(
                {
                    "picture": one.name,
                    "variant": column.title,
                    **{metric: value(rebuilt, metric) for metric in METRICS},
                    "best in row": ", ".join(wins),
                    "better than (%)": None if rebuilt.percentile is None else 100 - rebuilt.percentile,
                    "code": column.code,
                    "run": column.id,
                }
            )
    return pd.DataFrame(rows)


def csv(pictures: list[Input], columns: list[Column]) -> bytes:
    return downloads.csv(table(pictures, columns))


def archive(pictures: list[Input], columns: list[Column]) -> bytes:
    """Every picture as the models saw it, every reconstruction and every error map."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for index, one in enumerate(pictures):
            stem = f"{index + 1:02}-{safe(one.name)}"
            file.writestr(f"{stem}.png", png(sheet(one.pixels[None], 1)))
            for column in columns:
                rebuilt = column.rebuilt[index]
                file.writestr(f"{stem}-{safe(column.id)}.png", png(sheet(rebuilt.pixels[None], 1)))
                file.writestr(
                    f"{stem}-{safe(column.id)}-error.png", png(sheet(difference(rebuilt.difference)[None], 1))
                )
    return buffer.getvalue()


def safe(name: str) -> str:
    """What of a name may stand in a file's."""
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name)[:60]
