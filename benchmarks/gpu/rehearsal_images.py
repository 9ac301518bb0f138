"""Write 64 small images of noise into a folder, for a rehearsal that needs some."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image


def main(folder: Path) -> None:
    """Write the images."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for index in range(64):
        Image.fromarray(random.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{index:02}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
