"""Images of numbered seeds, from a base or any variant of a domain -> a folder; the seeds of NVIDIA's tools."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.models.domain_models import Model, named_model
from tasks.project.params import load_params
from tasks.project.paths import Project
from tasks.running.stage_cli import default_device
from ui2i.errors import ConfigError
from ui2i.progress import Progress, no_progress

if TYPE_CHECKING:
    import numpy as np

MAX_SEEDS = 100_000
MAX_SEED = 2**32 - 1
MAX_GRID = 256  # images on the grid, the first ones
BATCH_SIZE = 32
GRID_FILE = "grid.png"
RECORD_FILE = "generated.json"


def parse_seeds(text: str) -> list[int]:
    """Return the seeds that a text names, in its order, each once.

    Raises:
        ConfigError: it names none, or too many.

    Examples:
        >>> parse_seeds("0-3,7")
        [0, 1, 2, 3, 7]
    """
    seeds: dict[int, None] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,10})\s*(?:-\s*(\d{1,10})\s*)?", part, re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last <= MAX_SEED or last - first + len(seeds) >= MAX_SEEDS:
            raise ConfigError(
                f"the seeds are {text[:80]!r}, expected numbers and ranges up to {MAX_SEED}, at most {MAX_SEEDS:,} of "
                "them; write them as in 0-15 or 3,8,20-29"
            )
        seeds |= dict.fromkeys(range(first, last + 1))
    return list(seeds)


def generate(
    project: Project,
    name: str,
    seeds: Sequence[int],
    out: Path,
    *,
    variant: str | None = None,
    psi: float = 1.0,
    progress: Progress = no_progress,
) -> Path:
    """Write an image of each seed, a grid of them and a record of what made them to a new folder, and return it.

    Args:
        name: a base, a domain, a model as tables name it (cartoon/FC-FT-LS8), or a .safetensors file.
        variant: of a domain; None: its first mode.
        psi: truncation; below 1: nearer to the model's mean.

    Raises:
        ConfigError: there is no such model, or psi is out of range.
        CheckpointError: its file is missing or damaged.
        DataError: `out` holds anything but generated images.
    """
    from ui2i.files import atomic_folder, write_text
    from ui2i.images import grid, save_png
    from ui2i.images.sources import check_destination
    from ui2i.provenance import provenance

    if not 0 <= psi <= 2:
        raise ConfigError(f"psi is {psi:g}, expected 0 (the model's mean) to 2; correct it")
    check_destination((), out, RECORD_FILE, "folder of generated images", _written_names)
    device = default_device()
    model = find_model(project, name, variant, device)
    shown: list[np.ndarray] = []
    with atomic_folder(out) as folder:
        for start in range(0, len(seeds), BATCH_SIZE):
            chosen = seeds[start : start + BATCH_SIZE]
            images = _images(model, chosen, psi)
            for seed, image in zip(chosen, images, strict=True):
                save_png(folder / _image_name(seed), image)
            shown += list(images[: MAX_GRID - len(shown)])
            progress(start + len(chosen), len(seeds))
        num_columns = -(-len(shown) // max(1, round(len(shown) ** 0.5)))
        save_png(folder / GRID_FILE, grid(_stack(shown), num_columns))
        record = {
            "model": model.name,
            "checkpoint_sha256": model.hash,
            "seeds": list(seeds),
            "truncation_psi": psi,
            "provenance": provenance(device),
        }
        write_text(folder / RECORD_FILE, json.dumps(record, indent=1) + "\n")
    return out


def find_model(project: Project, name: str, variant: str | None, device: str) -> Model:
    """Return a model by its name; arguments and errors are those of `generate`."""
    params = load_params(project)
    if name in params.domains:
        return named_model(project, params, f"{name}/{variant or params.domains[name].modes[0]}", device=device)
    if variant is not None:
        raise ConfigError(f"{name} is no domain, expected one of {', '.join(params.domains) or 'none'} for a variant")
    if "/" not in name and not name.endswith(".safetensors") and name not in {**params.bases, **params.imported}:
        known = ", ".join([*params.bases, *params.imported, *params.domains]) or "none"
        raise ConfigError(f"there is no model {name!r}, expected one of {known}, or a .safetensors file; correct it")
    return named_model(project, params, name, device=device)


def _image_name(seed: int) -> str:
    return f"seed{seed:04d}.png"


def _written_names(folder: Path) -> set[str]:
    """Return what the files of an earlier call in a folder are called; of a damaged record, without the images."""
    names = {RECORD_FILE, GRID_FILE}
    try:
        record = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
        return names | {_image_name(seed) for seed in record["seeds"]}
    except (OSError, ValueError, KeyError, TypeError):
        return names


def _images(model: Model, seeds: Sequence[int], psi: float) -> "np.ndarray":
    import torch

    from ui2i.images import to_uint8
    from ui2i.samples import seeded_latents

    z = seeded_latents(seeds, model.generator.config.z_dim).to(model.generator.w_avg.device)
    with torch.no_grad():
        return to_uint8(model.generator(z, truncation_psi=psi))


def _stack(images: "list[np.ndarray]") -> "np.ndarray":
    import numpy as np

    return np.stack(images)
