"""Write the emoji that lie in a mosaic as a folder of pictures: `python -m benchmarks.emoji MOSAIC CSV FOLDER`.

The mosaic holds 64×64 RGBA tiles of Noto Emoji, 60 a row, drawn from that font; the table names them in order, by `codepoints`,
`category` and `skin_tone`. What differs in skin tone alone is left out. Classes are the categories, so that `folder:FOLDER` is a
dataset with classes.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image

SIDE, PER_ROW = 64, 60


def main(mosaic: Path, table: Path, folder: Path) -> None:
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with Image.open(mosaic) as image:
        pixels = np.asarray(image.convert("RGBA"))
    tiles = pixels.reshape(-1, SIDE, PER_ROW, SIDE, 4).transpose(0, 2, 1, 3, 4).reshape(-1, SIDE, SIDE, 4)
    kept = 0
    for row, tile in zip(rows, tiles, strict=False):
        if not row["skin_tone"]:
            place = folder / row["category"].replace("&", "and")
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(tile).save(place / f"{row['codepoints'].replace(' ', '-')}.png")
            kept += 1
    print(f"{kept} of {len(rows)} drawings in {folder}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
