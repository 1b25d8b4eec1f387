"""Photographs of any size through restorers: in tiles with feathered seams, with the noise looked at first.

level      how strong the noise is, from places all over the picture
grain      whether it hangs together, as cameras and JPEG leave it, or is white, as sensors have it before
restored   tile by tile in bounded memory; a generator, so that whoever waits sees progress and may leave
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from core.camera import photographed
from core.crops import places
from core.data import sample_photos
from core.families.photo_denoiser import LUMA, PhotoDenoiser, drawn
from core.family import Restorer
from core.pictures import gray_as_one
from core.store import Run, Store, StoreError

T = TypeVar("T")

TILE = 1216  # pixels a side, and up to GRID more at the end of a picture
OVERLAP = 144  # of neighbouring tiles
UNSEEN = 48  # of it on either side: what a tile knows too little about, so close to its edge
STRIP = 256  # rows of a picture that are worked on at once
GRID = 16  # tiles begin at multiples, so that all of them are folded and halved alike
LOOK, LOOKS = 256, 4  # the noise is judged on LOOKS x LOOKS squares of LOOK pixels
BARELY = 0.1  # of a square: as much may be burnt out or black
LITTLE = 2.5 / 255  # noise of which one cannot tell whether it is a picture's own texture
WHITE = 0.2  # grain up to which noise counts as white; of white noise up to 0.17 was seen, of grass 0.3
COLOURFUL = 0.1  # of the noise, from where on that of its colours can be told by itself
MOST_OF = 0.5  # of the level that a model for cameras finds: of white noise 0.8 to 2.4 was seen, of a camera's to 0.2
LEAST_OF = 0.15  # likewise of fine textures: of clean grass a third was seen, of the remains of noise in a JPEG to 0.07
SQUARE = 8  # pixels a side of what a JPEG tells by itself
SEEN = 1024  # pixels a side of what is looked at for them
# of what is fine in them: to 0.38 was seen where little of the noise was left, of clean grass 0.5, of white noise of 2.5 1.0
FINE = 0.42 / 255
MOST_OF_SQUARES = (
    0.9  # instead of MOST_OF: of what a JPEG left little of 0.2 to 0.85 was seen, else 0.96 to 1.2
)
TEXTURE = 0.5  # of the variance, where neighbours alternate, as in grass and in no noise
SAMPLE = 128  # pixels a side of what is cleaned to rank models
SAMPLE_LEVELS = (15 / 255, 25 / 255, 50 / 255)
STRENGTHS = (0.0, 1.5)
ENDED = ("stopped", "completed")  # what may be chosen, the better last


class Span(NamedTuple):
    """Where a tile lies along one axis, and the weight of each of its pixels (end - start,)."""

    start: int
    end: int
    weight: Tensor


def spans(length: int) -> list[Span]:
    """Tiles along an axis whose weights add up to 1 everywhere."""
    count = max(1, math.ceil((length - OVERLAP) / (TILE - OVERLAP)))
    side = math.ceil((length + (count - 1) * OVERLAP) / count / GRID) * GRID
    starts = [min(i * (side - OVERLAP), max(0, length - side)) // GRID * GRID for i in range(count)]
    ends = [*(min(start + side, length) for start in starts[:-1]), length]
    tiles = zip(starts, ends, [None, *ends[:-1]], [*starts[1:], None], strict=True)
    return [Span(start, end, weight(start, end, before, after)) for start, end, before, after in tiles]


def weight(start: int, end: int, before: int | None, after: int | None) -> Tensor:
    """Rises inside the overlap with the tile that ends at `before`, falls inside that with the one that begins at `after`."""
    place = torch.arange(start, end) + 0.5
    one = torch.ones(end - start)
    rising = one if before is None else ((place - start - UNSEEN) / (before - start - 2 * UNSEEN)).clamp(0, 1)
    falling = one if after is None else ((end - UNSEEN - place) / (end - after - 2 * UNSEEN)).clamp(0, 1)
    return rising * falling


@torch.inference_mode()
def tiled(model: Restorer, x: Tensor, sigma: float | None) -> Generator[float, None, Tensor]:
    """x (3,H,W) -> (3,H,W), float and not clipped; yields the share that is done.

    Within 1/255 of what the whole picture at once would give.
    """
    device = model.device
    rows, columns = spans(x.shape[1]), spans(x.shape[2])
    told = level(model, x) if sigma is None else sigma
    if len(rows) == len(columns) == 1:
        yield 0.0
        return model.restore(x[None].to(device), told)[0].cpu()
    out = torch.zeros_like(x)
    for number, (row, column) in enumerate((row, column) for row in rows for column in columns):
        yield number / (len(rows) * len(columns))
        tile = x[None, :, row.start : row.end, column.start : column.end]
        back = model.restore(tile.to(device), told)[0].cpu()
        out[:, row.start : row.end, column.start : column.end] += back * row.weight[:, None] * column.weight
    return out


@torch.inference_mode()
def level(model: Restorer, x: Tensor) -> float:
    """The standard deviation of the noise in x (3,H,W), in units of x, as this model sees it; 0 for one that sees none."""
    if not isinstance(model, PhotoDenoiser):
        return 0.0
    return float(model.estimate(looks(x)[None].to(model.device)))


def looks(x: Tensor) -> Tensor:
    """Squares from all over the picture, side by side; a small picture as it is."""
    height, width = x.shape[1:]
    if height * width <= (LOOK * LOOKS) ** 2:
        return x
    rows, columns = (spread(length) for length in (height, width))
    return torch.cat([torch.cat([x[:, r : r + LOOK, c : c + LOOK] for c in columns], 2) for r in rows], 1)


def spread(length: int) -> list[int]:
    """Where squares to look at begin along an axis."""
    return places(length, LOOK, min(LOOKS, max(1, length // LOOK)))


@dataclass(frozen=True)
class Noise:
    """What a picture seems to suffer from."""

    sigma: float  # standard deviation for pixels in [0,1]
    grain: float  # correlation of neighbouring pixels: 0 of white noise, nan where there is none
    white: bool
    colour: float = math.nan  # grain of its colours alone, which JPEG halves in size; nan where it has none

    @property
    def smooth(self) -> bool:
        """Whether the colours of neighbours hang together, which those of white noise do not: 0.36 to 0.8 was seen of JPEG."""
        return self.colour > WHITE  # which nan is not

    @property
    def kind(self) -> str:
        if self.sigma < LITTLE:
            return "hardly any"
        if math.isnan(self.grain):
            return "too few pixels to tell its kind"
        return (
            "white, pixel by pixel" if self.white else "grain that hangs together, as from a camera or JPEG"
        )


@torch.inference_mode()
def noise(model: PhotoDenoiser, x: Tensor) -> Noise:
    """Of x (3,H,W): the level, and the grain of what the model takes away, in the midst of it if that is not empty.

    At one look: over 52 pictures, with nine kinds of noise each, more looks led to the same choice of model every time.
    """
    sigma = level(model, x)
    part = telling(looks(x))
    taken = part - model.restore(part[None].to(model.device), sigma, most=1)[0].cpu()
    taken = taken - taken.mean((1, 2), keepdim=True)
    shades = taken - taken.mean(0)
    gray = bool((part == part[:1]).all())  # what comes out of a net is never quite so
    coloured = not gray and shades.square().mean() >= COLOURFUL**2 * taken.square().mean()
    found = Noise(sigma, correlation(taken), False, correlation(shades) if coloured else math.nan)
    return replace(found, white=sigma >= LITTLE and abs(found.grain) < WHITE and not found.smooth)


def correlation(x: Tensor) -> float:
    """Of neighbouring pixels in x (C,H,W), whose mean is 0, across and down; nan where x is or has no neighbours."""
    power = x.square().mean()
    products = [part.mean() for part in (x[:, :, 1:] * x[:, :, :-1], x[:, 1:] * x[:, :-1]) if part.numel()]
    return float(sum(products) / len(products) / power) if products and power > 1e-9 else math.nan


def is_from_jpeg(x: Tensor) -> bool:
    """Whether x (3,H,W) lies on the grid of a JPEG, of whose squares hardly anything fine is left.

    A turned picture has its grid from another corner. What is burnt out or a frame has nothing fine either, and no say.
    """
    if min(x.shape[1:]) < SQUARE:
        return False
    rows = x[:, :SEEN], x[:, -SEEN:].flip(1)
    corners = [corner for half in rows for corner in (half[..., :SEEN], half[..., -SEEN:].flip(2))]
    return any(finest(corner.mean(0)) < FINE for corner in corners)


def finest(x: Tensor) -> float:
    """Half of the finest quarter of the cosines that make up squares of x (H,W), from the top left on, are no larger.

    Of those squares that are not of one colour; infinite where all are.
    """
    wave, place = torch.arange(SQUARE // 2, SQUARE), torch.arange(SQUARE) + 0.5
    cosines = (2 / SQUARE) ** 0.5 * torch.cos(math.pi / SQUARE * wave[:, None] * place)
    squares = x.unfold(0, SQUARE, SQUARE).unfold(1, SQUARE, SQUARE).flatten(0, 1)
    drawn_on = squares[squares.amax((1, 2)) > squares.amin((1, 2))]
    return (cosines @ drawn_on @ cosines.T).abs().median().item() if len(drawn_on) else math.inf


def telling(x: Tensor) -> Tensor:
    """x (C,H,W) -> at most LOOK a side: of the squares that are hardly burnt out or black the one nearest to the middle."""
    centre = [max(0, length - LOOK) // 2 for length in x.shape[1:]]
    rows, columns = (
        sorted({*spread(length), middle}) for length, middle in zip(x.shape[1:], centre, strict=True)
    )
    corners = [(r, c) for r in rows for c in columns]
    squares = torch.stack([x[:, r : r + LOOK, c : c + LOOK] for r, c in corners])
    if x.shape[2] < 2:
        return squares[0]
    empty = drawn(squares[None])[0].tolist()
    order = range(len(corners))
    return squares[min(order, key=lambda i: (max(empty[i], BARELY), math.dist(corners[i], centre)))]


@dataclass(frozen=True)
class Wish:
    """How much is to be taken away."""

    strength: float = 1.0  # of the noise level that is told, and below 1 of what is taken: 0 changes nothing
    texture: float = 0.0  # share of light and dark, grain and all, that is given back; never of colour
    sigma: float | None = None  # the noise level, where it is known

    def knowing(self, noise: Noise) -> Wish:
        """With the level that was found, so that it is not looked for twice."""
        return replace(self, sigma=noise.sigma)


def restored(model: Restorer, pixels: np.ndarray, wish: Wish = Wish()) -> Generator[float, None, np.ndarray]:
    """uint8 (H,W,3) or (H,W,1) -> the same, restored; yields the share that is done.

    A net that is told of no noise at all still takes most of it away. So below a strength of 1 a share is taken of what it
    takes. A level beyond those that it learnt on is told as it is: the net cleans better then. What is gray stays so, however
    it is stored.
    """
    x = as_colour(pixels)
    sigma = level(model, x) if wish.sigma is None else wish.sigma
    back = yield from tiled(model, x, wish.strength * sigma)
    if wish.strength < 1:
        back = x.lerp(back, wish.strength)
    channels = gray_as_one(pixels).shape[2]
    after = as_pixels(back, channels).repeat(pixels.shape[2] // channels, 2)
    return textured(pixels, after, wish.texture)


def textured(before: np.ndarray, after: np.ndarray, share: float) -> np.ndarray:
    """With a share of the light and dark that was taken away given back: uint8 (H,W,1|3), all three."""
    if not share:
        return after
    luma = np.array(LUMA if after.shape[2] == 3 else (1.0,), np.float32)
    found = np.empty_like(after)
    for top in range(0, len(after), STRIP):
        rows = slice(top, top + STRIP)
        taken = (before[rows].astype(np.float32) - after[rows]) @ luma
        found[rows] = (after[rows] + share * taken[..., None]).round().clip(0, 255)
    return found


def as_colour(pixels: np.ndarray) -> Tensor:
    """uint8 (H,W,3) or (H,W,1) -> float (3,H,W) in [0,1]."""
    x = torch.from_numpy(pixels.astype(np.float32)).div_(255).permute(2, 0, 1)
    return x.expand(3, -1, -1).contiguous()


def as_pixels(x: Tensor, channels: int) -> np.ndarray:
    """Float (3,H,W) -> uint8 (H,W,channels), rounded."""
    if channels == 1:
        x = x.mean(0, keepdim=True)
    return (x.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).contiguous().numpy()


# --- models -----------------------------------------------------------------------------------------------------


def denoisers(store: Store) -> dict[str, Run]:
    """The runs that can clean a photograph, by id, the best first: completed before stopped, then by `sample_psnr`."""
    able = [run for run in store.runs() if run.record.family == PhotoDenoiser.key and can_clean(run)]
    return {run.id: run for run in sorted(able, key=standing, reverse=True)}


def can_clean(run: Run) -> bool:
    """Whether its training is over, and was one on colours."""
    return run.record.status in ENDED and run.has_weights and run.record.shape[0] == len(LUMA)


def standing(run: Run) -> tuple[int, float, str]:
    """The greater, the better. Of two that are equal, or were never tested, the newer one is."""
    tested = run.record.metrics.get("test", {}).get("sample_psnr")
    known = type(tested) is float and math.isfinite(tested)
    return ENDED.index(run.record.status), tested if known else -math.inf, run.record.created


@torch.inference_mode()
def sample_psnr(model: PhotoDenoiser) -> float:
    """Decibels, in the mean over the middles of the sample photographs, with one noise for all models of a kind.

    A test tells how a run does on pictures and levels of its own: scores of two that learnt from others say nothing of which
    is better.
    """
    rng, errors = torch.Generator().manual_seed(0), []
    for photo in sample_photos().values():
        top, left = ((length - SAMPLE) // 2 for length in photo.shape[:2])
        clean = as_colour(photo[top : top + SAMPLE, left : left + SAMPLE]).expand(
            len(SAMPLE_LEVELS), -1, -1, -1
        )
        if model.config.noise == "camera":
            noisy = photographed(clean, rng)
        else:
            noisy = clean + torch.tensor(SAMPLE_LEVELS).view(-1, 1, 1, 1) * torch.randn(
                clean.shape, generator=rng
            )
        back = model.restore(noisy.to(model.device), most=1).cpu().clamp(0, 1)
        errors.append((back - clean).square().mean((1, 2, 3)))
    return -10 * torch.cat(errors).log10().mean().item()


def opened(
    runs: Mapping[str, Run], load: Callable[[Run], Restorer] = Run.restorer
) -> tuple[dict[str, PhotoDenoiser], list[str]]:
    """Those that can be loaded, by id and in this order, and what is wrong with the others."""
    models: dict[str, PhotoDenoiser] = {}
    problems: list[str] = []
    for id, run in runs.items():
        try:
            model = load(run)
        except StoreError as error:
            problems.append(str(error))
            continue
        if isinstance(model, PhotoDenoiser):
            models[id] = model
        else:
            problems.append(f"{id} does not remove noise.")
    return models, problems


def fitting(models: Mapping[str, PhotoDenoiser], x: Tensor) -> tuple[str, Noise]:
    """Which model suits the noise in x (3,H,W), and that noise. Raises ValueError where there is none to choose from.

    Of several for one kind of noise the first is taken. A net that has learnt white noise alone is blind to any other: it finds
    as much as one that knows cameras only where the noise is white. A fine texture looks like noise to it as well, but what
    it takes away there is not white: where neighbours differ more than chance would have it, as no camera's noise does, it is
    chosen even where it finds little, and half of the variance is taken for the picture's own. Of 43 photographs with the noise
    of a camera none was; grass was, in which it finds a third of what the other does, and gravel with white noise of sigma 5.
    White noise that went through a JPEG of fewer colours than pixels is white no more: in that of sigma 25 and quality 95 the
    model for cameras has 2.5 dB more. Where a JPEG has left little of it, colours or not, the squares tell, as a rule: of sigma
    13 and quality 75, gray, the model for cameras has up to 9 dB more. So clean grass in a JPEG is smoothed. Of colours at full
    size that changed 11 of 45 choices, four by up to 2 dB for the worse, seven by up to 6 for the better.
    """
    if not models:
        raise ValueError("there is no model that cleans photographs")
    by_kind: dict[str, str] = {}
    for id, model in models.items():
        by_kind.setdefault(model.config.noise, id)
    if len(by_kind) == 1:
        (id,) = by_kind.values()
        return id, noise(models[id], x)
    white, sigma = noise(models[by_kind["gaussian"]], x), level(models[by_kind["camera"]], x)
    squares = is_from_jpeg(x)
    alternates = not squares and white.grain < -WHITE and white.sigma >= LEAST_OF * sigma
    most = MOST_OF_SQUARES if squares else MOST_OF
    seen = white.sigma >= max(LITTLE, most * sigma) and white.grain < WHITE  # which nan is not
    if white.smooth or not (seen or alternates):
        return by_kind["camera"], replace(white, sigma=sigma, white=False)
    texture = TEXTURE if alternates else 0.0
    return by_kind["gaussian"], replace(white, sigma=(1 - texture) ** 0.5 * white.sigma, white=True)


def finished(work: Generator[float, None, T]) -> T:
    """What a generator gives at its end, for whoever needs no progress."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value
