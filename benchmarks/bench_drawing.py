"""Are 300 images of every style drawn a second on two cores, the same bytes by any number of them, and none twice?

For each style, at 64 px:

- processor time an image on one core, drawn only and drawn and written as PNG with its row of the table: the fairest
  measure where other programs run beside, and 6.67 ms are 300 a second on two cores;
- images a second by the clock with two processes, from the call to the finished folder, their start included;
- whether 1, 2 and 3 processes write the same bytes;
- LPIPS between all pairs of 1,000 images: how far each image is from the one most like it. That is set beside how
  far an image is from itself a moment later, the head turned by 3 degrees and all else equal, which nobody would call
  another image; and, for those who would not count that, from itself under another seed of chance details (strokes,
  hairs, grain).

    python benchmarks/bench_drawing.py --json docs/results/bench_drawing.json
"""

import argparse
import dataclasses
import json
import math
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.synthetic.drawing.files import draw_files
from experiments.synthetic.neighbours import nearest_neighbours, pairwise_distances
from experiments.synthetic.procedural import draw, draw_dataset, sample_attributes, style_names
from ui2i.files import sha256_folder
from ui2i.perceptual import Perceptual, load_perceptual
from ui2i.settings import PerceptualConfig

NUM_TIMED, REPEATS = 64, 12  # images whose drawing is timed, and how often; the quickest counts
NUM_WRITTEN = 1280  # images written by two processes
TURN = math.radians(3)
QUANTILES = (0.0, 0.01, 0.05, 0.5)
WEIGHTS = Path(__file__).parents[2] / "shared/weights/squeezenet1_1-caffe-features.pth"


def processor_milliseconds(work: Callable[[], Any]) -> float:
    """Least of several runs, an image."""
    spent = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return min(spent) * 1000 / NUM_TIMED


def speed(style: str, folder: Path) -> dict[str, float]:
    people = [sample_attributes(0, index, style) for index in range(NUM_TIMED)]
    draw(people[0], style)
    drawn = processor_milliseconds(lambda: [draw(person, style) for person in people])
    written = processor_milliseconds(lambda: draw_files(style, 0, range(NUM_TIMED), 64, folder))
    start = time.perf_counter()
    draw_dataset(style, NUM_WRITTEN, 0, folder / "two", num_workers=2)
    return {
        "draw_ms": drawn,
        "draw_and_write_ms": written,
        "images_per_second_two_workers": NUM_WRITTEN / (time.perf_counter() - start),
    }


def same_bytes(style: str, folder: Path) -> bool:
    hashes = {sha256_folder(draw_dataset(style, 300, 1, folder / f"{n}", num_workers=n)) for n in (1, 2, 3)}
    return len(hashes) == 1


def drawings(people: list[Any], style: str) -> torch.Tensor:
    images = np.stack([draw(person, style) for person in people])
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def variety(style: str, num_images: int, perceptual: Perceptual) -> dict[str, Any]:
    people = [sample_attributes(0, index, style) for index in range(num_images)]
    images = drawings(people, style)
    distances = pairwise_distances(images, perceptual)
    nearest, _ = nearest_neighbours(distances)

    def from_itself(change: Callable[[Any], dict[str, Any]]) -> list[float]:
        changed = drawings([dataclasses.replace(person, **change(person)) for person in people[:200]], style)
        values = perceptual.distance(images[:200], changed)
        return [float(value) for value in np.quantile(values.numpy(), (0.5, 0.95))]

    return {
        "nearest_neighbour": [float(value) for value in np.quantile(nearest, QUANTILES)],
        "mean_pair": float(distances.sum() / (num_images * (num_images - 1))),
        "turned": from_itself(lambda person: {"yaw": person.yaw + TURN}),
        "other_chance": from_itself(lambda person: {"texture_seed": person.texture_seed + 1}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--styles", nargs="+", default=style_names(), metavar="STYLE")
    parser.add_argument("--num", type=int, default=1000, help="images whose pairs are compared")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    options = parser.parse_args()
    torch.set_num_threads(1)
    trained = PerceptualConfig(backbone="squeeze", weights=str(WEIGHTS))
    perceptual = load_perceptual(trained if WEIGHTS.exists() else PerceptualConfig(backbone="random"))
    print(f"LPIPS with backbone {perceptual.name}; processor milliseconds an image, images a second, distances")
    print(
        "style      draw  +write  2 workers  same bytes   nearest: min   1 %    5 %    50 %   itself turned: 50 %  95 %"
    )
    setting = {"cores": os.cpu_count(), "backbone": perceptual.name, "backbone_hash": perceptual.weights_hash}
    results: dict[str, Any] = {}
    for style in options.styles:
        with tempfile.TemporaryDirectory() as folder:
            row = speed(style, Path(folder)) | {"same_bytes": same_bytes(style, Path(folder))}
        row |= variety(style, options.num, perceptual) | {"load": os.getloadavg()[0]}
        results[style] = row
        distances = "  ".join(f"{value:.3f}" for value in row["nearest_neighbour"])
        print(
            f"{style:9s} {row['draw_ms']:5.2f} {row['draw_and_write_ms']:7.2f} "
            f"{row['images_per_second_two_workers']:10.0f}  {'yes' if row['same_bytes'] else 'NO':>10s}          "
            f"{distances}                {row['turned'][0]:.3f} {row['turned'][1]:.3f}",
            flush=True,
        )
        if options.json:
            numbers = {"setting": setting | {"num_images": options.num}, "styles": results}
            options.json.write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
