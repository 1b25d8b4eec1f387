"""Planes of small whole numbers as few bytes, and exactly back: what the code of a photograph costs on a disk.

    pack(code, height, width) -> bytes        unpack(bytes) -> Packed

Plane after plane, each from coarse to fine: every other column and row comes first, by the same rule again, and what lies
between is guessed from its two neighbours where that pays. A number is told as its difference from the guess, in a two-sided
geometric distribution. How wide that is follows from what both sides know by then: the mean of the plane, one byte, and how large
the neighbours and the same place in earlier planes were. Only whole numbers decide, so that any machine unpacks what another
packed. The coder is the range variant of asymmetric numeral systems (Duda 2013, arXiv:1311.2540) with interleaved states (Giesen
2014, arXiv:1402.3392), so that each of its steps is a few operations of NumPy on many numbers.
"""

from __future__ import annotations

import struct
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from core.intake import MAX_PIXELS, MAX_SIDE

STRIDE = 8  # pixels a side for one place of the code
MOST_PLANES = 192
MOST_NUMBERS = 2**26  # of a code; more would be a hostile file
HEADER = struct.Struct("<3sBBHH")  # signature, version, planes, height, width
SIGNATURE, VERSION = b"BNC", 1

WORD = 16  # bits that a state takes from the stream or gives to it
LOW = 1 << WORD  # a state lies between this and its square
PRECISION = 15  # bits of a probability
STEPS = 3_000  # numbers that one state codes, at least: it costs two bytes
MOST_STATES = 4_096

WIDTHS = 45  # distributions, each a third of an octave wider than the one before
NARROWEST = 2.0**-7  # mean magnitude
EMPTY, GUESSED = 255, 128  # of a plane's byte: nothing but zeros; the bit that says that neighbours foretell
USUAL = 256  # activity of a place that is like the mean of its plane
LOUD, QUIET = 8, -10  # thirds of an octave by which a place may differ from its plane
SHARE = 0.75  # exponent from activity to width


class Packed(NamedTuple):
    code: np.ndarray  # int8 (k,⌈height/8⌉,⌈width/8⌉)
    height: int  # of the picture, in pixels
    width: int


def pack(code: np.ndarray, height: int, width: int) -> bytes:
    """int8 (k,⌈height/8⌉,⌈width/8⌉) of a picture with that many pixels. Raises ValueError where these do not fit."""
    check(len(code), height, width)
    if code.dtype != np.int8 or code.shape != (len(code), *places(height, width)):
        raise ValueError(f"a picture of {width} × {height} pixels has no code of {code.dtype} {code.shape}")
    shape = places(height, width)
    walk, activity = order(*shape), Activity(shape)
    told = [tell(plane.ravel(), walk, activity) for plane in code]
    states = states_for(sum(len(one.symbols) for one in told))
    head = HEADER.pack(SIGNATURE, VERSION, len(code), height, width)
    return head + bytes(one.kind for one in told) + encoded(told, walk, states)


def unpack(data: bytes) -> Packed:
    """Raises ValueError in words where these are not the bytes of a code."""
    if len(data) < HEADER.size or data[:3] != SIGNATURE:
        raise ValueError("this is not the packed code of a photograph")
    _, version, planes, height, width = HEADER.unpack_from(data)
    if version != VERSION:
        raise ValueError(f"this code was packed by another version ({version}); this one reads {VERSION}")
    check(planes, height, width)
    kinds, stream = data[HEADER.size : HEADER.size + planes], data[HEADER.size + planes :]
    if len(kinds) < planes or any(kind != EMPTY and kind % GUESSED >= WIDTHS for kind in kinds):
        raise ValueError("the packed code is damaged: it does not say how its planes are told")
    shape = places(height, width)
    full = sum(kind != EMPTY for kind in kinds)
    decoder = Decoder(stream, states_for(full * shape[0] * shape[1]))
    code = np.zeros((planes, *shape), np.int8)
    walk, activity = order(*shape), Activity(shape)
    for plane, kind in zip(code.reshape(planes, -1), kinds, strict=True):
        if kind != EMPTY:
            fill(plane, kind, walk, activity, decoder)
    decoder.finish()
    return Packed(code, height, width)


def check(planes: int, height: int, width: int) -> None:
    if not (1 <= planes <= MOST_PLANES and min(height, width) >= 1):
        raise ValueError(f"there is no code of {planes} planes for {width} × {height} pixels")
    if not fits(planes, height, width):
        raise ValueError(f"a code of {planes} planes for {width} × {height} pixels is too large to be read")


def fits(planes: int, height: int, width: int) -> bool:
    """Whether such a code would be read again."""
    rows, columns = places(height, width)
    return (
        max(height, width) <= MAX_SIDE
        and height * width <= MAX_PIXELS
        and planes * rows * columns <= MOST_NUMBERS
    )


def places(height: int, width: int) -> tuple[int, int]:
    return -(-height // STRIDE), -(-width // STRIDE)


# --- what is told of a plane ------------------------------------------------------------------------------------


class Activity:
    """How large the numbers of earlier planes were at each place, in units of the mean of their plane."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.sum = np.zeros(shape, np.int64)
        self.planes = 0
        self.around = np.full(shape[0] * shape[1], USUAL, np.int64)

    def add(self, sizes: np.ndarray, base: int) -> None:
        self.sum += sizes.reshape(self.sum.shape) * scale(base)
        self.planes += 1
        padded = np.pad(self.sum, 1, mode="edge")
        rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
        self.around = ((rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) // (16 * self.planes)).ravel()


class Order(NamedTuple):
    """The places of a plane from coarse to fine, without (0, 0), each with two neighbours that come earlier: (places - 1,)."""

    here: np.ndarray
    before: np.ndarray
    after: np.ndarray
    parts: list[slice]  # of these arrays: no place is a neighbour of another of its part

    def part(self, which: slice) -> Order:
        return Order(self.here[which], self.before[which], self.after[which], [slice(None)])


def order(height: int, width: int) -> Order:
    """The way over a grid: steps halve, and every place lies midway between two that came earlier.

    A row of six: 4 (guessed from 0), then 2 (from 0 and 4), then 1, 3 and 5 (from 0 and 2, 2 and 4, 4 alone). At each step first
    the columns between those of coarse rows, then whole rows between rows.
    """
    number = np.arange(height * width).reshape(height, width)
    found = []
    step = 1 << max(height - 1, width - 1).bit_length()
    while step := step // 2:
        found.append(between(number[:: 2 * step], step))
        found.append([axis.T for axis in between(number[:, ::step].T, step)])
    sizes = np.cumsum([0] + [here.size for here, *_ in found]).tolist()
    axes = zip(*found, strict=True) if found else [[number[:0]]] * 3
    here, before, after = (np.concatenate([one.ravel() for one in axis]) for axis in axes)
    return Order(here, before, after, [slice(first, last) for first, last in pairwise(sizes) if first < last])


def between(number: np.ndarray, step: int) -> list[np.ndarray]:
    """Columns step, 3·step, …, and those on either side of them; the last may have but one."""
    columns = np.arange(step, number.shape[1], 2 * step)
    after = np.where(columns + step < number.shape[1], columns + step, columns - step)
    return [number[:, columns], number[:, columns - step], number[:, after]]


def guesses(plane: np.ndarray, kind: int, order: Order) -> np.ndarray:
    if not kind & GUESSED:
        return np.zeros(len(order.here), np.int64)
    return (plane[order.before].astype(np.int64) + plane[order.after]) // 2


def widths(sizes: np.ndarray, kind: int, order: Order, activity: Activity) -> np.ndarray:
    """Which distribution tells each place, by how large the differences at its neighbours and in earlier planes were."""
    base = kind % GUESSED
    beside = (sizes[order.before] + sizes[order.after]) * scale(base) // 2
    seen = (beside + activity.around[order.here]) // 2 if activity.planes else beside
    return np.clip(base + loudness(seen), 0, WIDTHS - 1)


class Told(NamedTuple):
    """A plane for the coder, first place first."""

    kind: int
    symbols: np.ndarray  # uint8, differences above -128
    widths: np.ndarray  # uint8, which distribution


def tell(plane: np.ndarray, order: Order, activity: Activity) -> Told:
    """The cheapest way to tell a plane (places,); adds it to what is known."""
    if not plane.any():
        return Told(EMPTY, np.zeros(0, np.uint8), np.zeros(0, np.uint8))
    ways = [(differences(plane, guessed, order), guessed) for guessed in (0, GUESSED)]
    change, guessed = min(ways, key=lambda way: int(np.abs(way[0]).sum()))
    sizes = np.abs(change)
    symbols = change[np.append(0, order.here)] + 128
    base = base_for(float(sizes.mean()))
    found = []
    for near in range(max(0, base - 2), min(WIDTHS, base + 3)):
        wide = np.append(WIDTHS - 1, widths(sizes, near, order, activity))
        found.append((float(costs()[wide, symbols].sum()), near, wide))
    _, base, wide = min(found, key=lambda one: one[:2])
    activity.add(sizes, base)
    return Told(base | guessed, symbols.astype(np.uint8), wide.astype(np.uint8))


def differences(plane: np.ndarray, kind: int, order: Order) -> np.ndarray:
    """From the guesses, around the circle of int8: int64 (places,)."""
    change = plane.copy()
    change[order.here] = (plane[order.here] - guesses(plane, kind, order)).astype(np.int8)
    return change.astype(np.int64)


def fill(plane: np.ndarray, kind: int, order: Order, activity: Activity, decoder: Decoder) -> None:
    """The inverse of `tell`, into a plane of zeros (places,)."""
    sizes = np.zeros(len(plane), np.int64)
    plane[0] = decoder.take(np.array([WIDTHS - 1]))[0] - 128
    sizes[0] = abs(int(plane[0]))
    for which in order.parts:
        part = order.part(which)
        change = decoder.take(widths(sizes, kind, part, activity)) - 128
        plane[part.here] = (guesses(plane, kind, part) + change).astype(np.int8)
        sizes[part.here] = np.abs(change)
    activity.add(sizes, kind % GUESSED)


# --- distributions ----------------------------------------------------------------------------------------------


def mean_of(base: int) -> float:
    return NARROWEST * 2 ** (base / 3)


def base_for(mean: float) -> int:
    return min(range(WIDTHS), key=lambda base: abs(mean_of(base) - mean))


def scale(base: int) -> int:
    """From a magnitude to activity."""
    return round(USUAL / mean_of(base))


@cache
def edges() -> np.ndarray:
    """Activities at which the width goes to the next third of an octave."""
    steps = np.arange(QUIET, LOUD) + 0.5
    return np.array([round(USUAL * 2 ** (step / 3 / SHARE)) for step in steps.tolist()])


def loudness(activity: np.ndarray) -> np.ndarray:
    return np.searchsorted(edges(), activity) + QUIET


@cache
def starts() -> np.ndarray:
    """Cumulative frequencies of the differences from -128 to 127, for each width: int64 (WIDTHS, 257), the last is the whole."""
    table = np.zeros((WIDTHS, 257), np.int64)
    for base, row in enumerate(table):
        mean = mean_of(base)
        fall = ((1 + mean * mean) ** 0.5 - 1) / mean
        share = np.array([fall ** abs(n) for n in range(-128, 128)])
        counts = 1 + np.floor(share / share.sum() * ((1 << PRECISION) - 256)).astype(np.int64)
        counts[128] += (1 << PRECISION) - counts.sum()
        row[1:] = counts.cumsum()
    return table


@cache
def costs() -> np.ndarray:
    """Bits of each symbol: float (WIDTHS, 256)."""
    return PRECISION - np.log2(np.diff(starts()))


@cache
def symbols_at() -> np.ndarray:
    """The symbol at each point of the cumulative frequencies: uint8 (WIDTHS, 2^PRECISION)."""
    return np.stack([np.repeat(np.arange(256, dtype=np.uint8), np.diff(row)) for row in starts()])


# --- the coder --------------------------------------------------------------------------------------------------


def states_for(numbers: int) -> int:
    return max(1, min(MOST_STATES, numbers // STEPS))


def encoded(told: list[Told], order: Order, states: int) -> bytes:
    """Part by part, as the decoder asks: the first number of a part belongs to the first state, and so on around."""
    state = np.full(states, LOW, np.uint64)
    words: list[np.ndarray] = []
    for plane in reversed(told):
        symbols = plane.symbols.astype(np.int64)
        low = starts()[plane.widths, symbols].astype(np.uint64)
        count = starts()[plane.widths, symbols + 1].astype(np.uint64) - low
        words += [
            push(state[: some.stop - some.start], low[some], count[some])
            for some in reversed(turns(order, states) if len(low) else [])
        ]
    return state.astype("<u4").tobytes() + b"".join(one.tobytes() for one in reversed(words))


def turns(order: Order, states: int) -> list[slice]:
    """Of the numbers of a plane, first place first, those that the states code at once."""
    parts = [slice(0, 1), *(slice(part.start + 1, part.stop + 1) for part in order.parts)]
    return [
        slice(first, min(first + states, part.stop))
        for part in parts
        for first in range(part.start, part.stop, states)
    ]


def push(state: np.ndarray, low: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Take one number into each state, in place; gives the words that had to leave."""
    full = state >= count << np.uint64(2 * WORD - PRECISION)
    words = (state[full] & np.uint64(LOW - 1)).astype("<u2")
    state[full] >>= np.uint64(WORD)
    times, rest = np.divmod(state, count)
    state[:] = (times << np.uint64(PRECISION)) + rest + low
    return words


class Decoder:
    """Gives back what `encoded` was told, in order. Raises ValueError where the stream ends early or does not end well."""

    def __init__(self, stream: bytes, states: int) -> None:
        if len(stream) < 4 * states or len(stream) % 2:
            raise ValueError("the packed code is damaged: it ends too early")
        self.state = np.frombuffer(stream, "<u4", states).astype(np.uint64)
        self.words = np.frombuffer(stream, "<u2", offset=4 * states).astype(np.uint64)
        self.place = 0

    def take(self, widths: np.ndarray) -> np.ndarray:
        """Distributions (n,) -> symbols int64 (n,)."""
        symbols = np.empty(len(widths), np.int64)
        for first in range(0, len(widths), len(self.state)):
            some = widths[first : first + len(self.state)]
            x = self.state[: len(some)]
            point = (x & np.uint64((1 << PRECISION) - 1)).astype(np.int64)
            symbol = symbols_at()[some, point].astype(np.int64)
            start = starts()[some, symbol]
            count = (starts()[some, symbol + 1] - start).astype(np.uint64)
            x = count * (x >> np.uint64(PRECISION)) + (point - start).astype(np.uint64)
            empty = x < LOW
            x[empty] = (x[empty] << np.uint64(WORD)) | self.next(int(empty.sum()))
            self.state[: len(some)] = x
            symbols[first : first + len(some)] = symbol
        return symbols

    def next(self, count: int) -> np.ndarray:
        found = self.words[self.place : self.place + count]
        if len(found) < count:
            raise ValueError("the packed code is damaged: it ends too early")
        self.place += count
        return found

    def finish(self) -> None:
        if self.place < len(self.words) or (self.state != LOW).any():
            raise ValueError("the packed code is damaged: its end does not fit its beginning")
