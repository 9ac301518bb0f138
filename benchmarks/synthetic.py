"""Prepared datasets of synthetic images, of any size in little time: a few hundred different ones repeat."""

from pathlib import Path

import numpy as np

from ui2i.datasets.ingestion.shards import ShardWriter
from ui2i.datasets.manifest import SCHEMA_VERSION, SHARD_SIZE, Manifest, dataset_hash
from ui2i.images import encode_png

NUM_DIFFERENT = 300


def write_dataset(folder: Path, count: int, resolution: int) -> int:
    """Write a prepared dataset; return its size in bytes."""
    folder.mkdir()
    different = [encode_png(image(seed, resolution)) for seed in range(NUM_DIFFERENT)]
    writer = ShardWriter(folder, SHARD_SIZE)
    for image_id in range(count):
        writer.add(
            {
                "id": image_id,
                "source_path": f"{image_id:06d}.png",
                "sha256": f"{image_id:064x}",
                "width": resolution,
                "height": resolution,
                "crop": [0, 0, resolution, resolution],
                "split": "train",
                "png": different[image_id % NUM_DIFFERENT],
            }
        )
    writer.close()
    Manifest(
        name=folder.name,
        img_resolution=resolution,
        num_images=count,
        num_train=count,
        num_test=0,
        num_rejected=0,
        rejected_by_reason={},
        source_sha256="",
        dataset_sha256=dataset_hash(writer.shards),
        shards=tuple(writer.shards),
        schema_version=SCHEMA_VERSION,
        library_version="",
    ).write(folder)
    return sum(path.stat().st_size for path in folder.iterdir())


def image(seed: int, resolution: int) -> np.ndarray:
    """Clouds whose spectrum falls as that of photographs, a little different in each colour; uint8 [R, R, 3]."""
    random = np.random.default_rng(seed)
    frequencies = np.fft.fftfreq(resolution)
    magnitudes = np.hypot(frequencies[:, None], frequencies)
    magnitudes[0, 0] = 1 / resolution
    spectra = np.fft.fft2(random.standard_normal((4, resolution, resolution))) / magnitudes**1.6
    clouds = np.fft.ifft2(spectra).real
    grey, *colours = clouds / clouds.std(axis=(1, 2), keepdims=True)
    return (128 + 50 * grey[..., None] + 15 * np.stack(colours, axis=-1)).clip(0, 255).astype(np.uint8)
