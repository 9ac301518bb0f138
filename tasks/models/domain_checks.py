"""The domain check of a model: the one that came with it, else made of the images it was trained on, else of samples.

What is made is kept in `data/runs/domain-checks`, under the hashes of what it was made of.
"""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.models.domain_models import Model
from tasks.project.params import load_params
from tasks.project.paths import Project
from tasks.running.stage_cli import default_device
from ui2i.errors import CheckpointError, DataError
from ui2i.files import sha256_bytes, sha256_file
from ui2i.model_files import DISCRIMINATOR_FILE, DOMAIN_CHECK_FILE, GENERATOR_FILE

if TYPE_CHECKING:
    import numpy as np

    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.domain_check import DomainCheck, DomainReference, Extractor
    from ui2i.inversion import Inverter
    from ui2i.networks.generator import Generator

NUM_REFERENCE = 1000
NUM_HELD_OUT = 250
NUM_SAMPLES = 500, 200  # as reference, and to hold out
NUM_RECONSTRUCTED = 64
SAMPLE_SEED = 0


def find_check(project: Project, source: Model, inverter: "Inverter", *, device: str) -> "DomainCheck":
    """Return what tells whether images look like those of a source model.

    Args:
        inverter: of the images that are to be judged. What it once found of the model's own held-out images tells how
            well it reconstructs such images.
    """
    from ui2i.domain_check import DomainCheck, reconstructions_of

    resolution = source.generator.config.img_resolution
    known = inverter.known(held_out_images(project, source.domain, resolution, NUM_RECONSTRUCTED))
    measured = reconstructions_of([latent.ssim for latent in known], inverter.columns)
    extractor = extractor_of(source, device=device)
    reference = find_reference(project, source, extractor)
    return DomainCheck(reference, extractor, source=source.domain, reconstructions=measured)


def extractor_of(source: Model, *, device: str) -> "Extractor":
    """Return what reads the features of images: the model's discriminator, else thumbnails."""
    from ui2i.checkpoints import load_discriminator
    from ui2i.domain_check import discriminator_extractor, thumbnail_extractor

    path = source.path.with_name(DISCRIMINATOR_FILE)
    if path.is_file():
        return discriminator_extractor(load_discriminator(path, device=device)[0])
    return thumbnail_extractor(device)


def find_reference(project: Project, source: Model, extractor: "Extractor") -> "DomainReference":
    """Return the reference kept for a model, or the one that came with it; made now and kept where there is none."""
    from ui2i.domain_check import load_reference

    shipped = [folder / DOMAIN_CHECK_FILE for folder in (source.path.parent, _imported_from(project, source.domain))]
    for path in (kept_check(project, source.domain, source.hash), *shipped):
        with contextlib.suppress(CheckpointError):
            reference = load_reference(path)
            if (reference.base_hash, reference.features_hash) == (source.hash, extractor.hash):
                return reference
    reference = make_reference(project, source.domain, source.hash, source.generator, extractor)
    keep_reference(project, source, reference)
    return reference


def _imported_from(project: Project, domain: str) -> Path:
    """Return the folder of the model that import@ copied, which leaves its check there."""
    base = load_params(project).imported.get(domain)
    return project.checkpoint(domain) if base is None else project.root / base.checkpoint


def keep_reference(project: Project, source: Model, reference: "DomainReference") -> None:
    """Keep a reference for a model."""
    from ui2i.domain_check import save_reference

    save_reference(kept_check(project, source.domain, source.hash), reference)


def kept_check(project: Project, domain: str, base_hash: str) -> Path:
    """Return the file of a model's reference: of its generator, and of its images as they are now."""
    made_of = f"{base_hash} {_dataset_hash(project, domain)}"
    return project.domain_check(sha256_bytes(made_of.encode())[:24])


def make_reference(
    project: Project, domain: str, base_hash: str, generator: "Generator", extractor: "Extractor"
) -> "DomainReference":
    """Return the reference of a model from its images in the project; of its samples where there are too few."""
    from ui2i.domain_check import MIN_IMAGES, fit_reference

    values: dict[str, Any] = {
        "features": extractor.kind,
        "features_hash": extractor.hash,
        "base_hash": base_hash,
    }
    images = _own_images(project, domain, generator.config.img_resolution)
    if images is not None and sum(map(len, images)) >= MIN_IMAGES:
        own, held_out = images
        return fit_reference(
            extractor(own),
            extractor(held_out),
            origin="images",
            dataset_hash=_dataset_hash(project, domain),
            **values,
        )
    samples = samples_of(generator, sum(NUM_SAMPLES))
    own, held_out = samples[: NUM_SAMPLES[0]], samples[NUM_SAMPLES[0] :]
    return fit_reference(extractor(own), extractor(held_out), origin="samples", dataset_hash=None, **values)


def write_check(project: Project, domain: str, folder: Path) -> None:
    """Write the reference of a model of a domain into the model's folder."""
    from ui2i.checkpoints import load_generator
    from ui2i.domain_check import save_reference

    path, device = folder / GENERATOR_FILE, default_device()
    generator, card = load_generator(path, device=device)
    model = Model(name=domain, domain=domain, path=path, generator=generator, card=card)
    reference = make_reference(project, domain, sha256_file(path), generator, extractor_of(model, device=device))
    save_reference(folder / DOMAIN_CHECK_FILE, reference)


def held_out_images(project: Project, domain: str, resolution: int, count: int) -> "np.ndarray":
    """Return images of a domain's test split, from all over it; none where the project has none of this resolution."""
    import numpy as np

    dataset = _dataset(project, domain, "test")
    if dataset is None or dataset.resolution != resolution:
        return np.empty((0, 1, 1, 3), np.uint8)
    return dataset.images(_spread(len(dataset), count))


def _own_images(project: Project, domain: str, resolution: int) -> "tuple[np.ndarray, np.ndarray] | None":
    """Return images of the training split, and of the test split or the training split's end; None: there are none."""
    train = _dataset(project, domain, "train")
    if train is None or train.resolution != resolution:
        return None
    test = held_out_images(project, domain, resolution, NUM_HELD_OUT)
    own = train.images(_spread(len(train), NUM_REFERENCE + NUM_HELD_OUT))
    if len(test) >= len(own) // 20:
        return own[:NUM_REFERENCE], test
    place = min(NUM_REFERENCE, len(own) * 4 // 5)
    return own[:place], own[place:]


def _spread(num_images: int, count: int) -> "np.ndarray":
    """Return places of at most `count` of a dataset's images, evenly spread: its order may be that of kinds."""
    import numpy as np

    return np.unique(np.linspace(0, num_images - 1, min(num_images, count)).round().astype(np.int64))


def _dataset(project: Project, domain: str, split: Any) -> "PreparedDataset | None":
    from ui2i.datasets.prepared import PreparedDataset

    try:
        return PreparedDataset(project.prepared(domain), split, verify=False, memory_budget_bytes=0)
    except DataError:  # there is none, or this split of it is empty
        return None


def _dataset_hash(project: Project, domain: str) -> str | None:
    dataset = _dataset(project, domain, None)
    return None if dataset is None else dataset.hash


def samples_of(generator: "Generator", count: int) -> "np.ndarray":
    """Return images [count, R, R, 3] of a generator, always the same."""
    import numpy as np
    import torch

    from ui2i.domain_check.features import BATCH_SIZE
    from ui2i.images import to_uint8

    random = torch.Generator().manual_seed(SAMPLE_SEED)
    z = torch.randn(count, generator.config.z_dim, generator=random).to(generator.w_avg.device)
    with torch.no_grad():
        return np.concatenate([to_uint8(generator(part)) for part in z.split(BATCH_SIZE)])
