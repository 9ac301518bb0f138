"""Draws docs/results/family-data.webp: every style, one row each; a column is one person and one animal.

python benchmarks/family_data.py
"""

from pathlib import Path

import numpy as np
from PIL import Image

from experiments.synthetic.procedural import draw, sample_attributes
from ui2i.contact_sheet import Row, contact_sheet

STYLES = ("face", "portrait", "cartoon", "anime", "cat", "dog", "wild")
SEED = 5
INDICES = (1, 2, 4, 6, 7, 11, 13, 16, 18)
SHEET = Path(__file__).parents[1] / "docs/results/family-data.webp"


def main() -> None:
    rows = [
        Row(style, np.stack([draw(sample_attributes(SEED, index, style), style) for index in INDICES]))
        for style in STYLES
    ]
    sheet = contact_sheet(rows, upscale=2, title="The same people, and the same animals, in every style")
    Image.fromarray(sheet).save(SHEET, quality=90, method=6)
    print(f"{SHEET}: {SHEET.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
