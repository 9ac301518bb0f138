"""Table III: every inversion method on the same images: generated ones, with known latent codes, and real ones."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ui2i.errors import DataError
from ui2i.files import sha256_bytes
from ui2i.inversion.codes import code_spread
from ui2i.inversion.encoder import Encoder
from ui2i.inversion.optimize import InversionResult, invert
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual
from ui2i.progress import Progress, no_progress
from ui2i.settings import InversionConfig, InversionMethod

MEASURES = ("ssim", "lpips", "l2", "latent_error")
MEASURED = (*MEASURES, "loss", "seconds_per_image", "image")
"""Columns of a row that differ from image to image; the others say how it was inverted."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contestant:
    """Images of one kind."""

    kind: str  # generated, real
    images: Float[Tensor, "n 3 r r"]  # in [-1, 1]
    names: Sequence[str]
    w: Float[Tensor, "n w_dim"] | None = None  # their latent codes; None: not known

    @property
    def identity(self) -> list[str]:
        """What tells the images from others: their names, and where no latent code makes them, their pixels' hash."""
        if self.w is not None:
            return list(self.names)
        return [*self.names, sha256_bytes(self.images.cpu().contiguous().numpy().tobytes())]


def compare_inversions(
    contestants: Sequence[Contestant],
    generator: Generator,
    perceptual: Perceptual,
    configs: Sequence[InversionConfig],
    *,
    columns: Mapping[str, Any],
    encoder: Encoder | None = None,
    take_codes: Callable[[Tensor], object] | None = None,
    progress: Progress = no_progress,
) -> list[dict[str, Any]]:
    """Invert each kind of images with each setting.

    Args:
        columns: that all rows of `INVERTED_SCHEMA` have in common: base, base_hash, encoder_hash, commit, device.
        encoder: of the generator; for the settings that need one.
        take_codes: is called with the codes [N, num_ws, w_dim] that each setting found for each kind, in their order.
        progress: counts inversions of a kind with a setting.

    Returns:
        Rows of `tables.INVERTED_SCHEMA`, by kind, then setting, then image.

    Raises:
        UI2IError: as `invert`.
    """
    rows: list[dict[str, Any]] = []
    num_parts = len(contestants) * len(configs)
    for part, (contestant, config) in enumerate((it, config) for it in contestants for config in configs):

        def report(done: int, total: int, note: str = "", before: int = part, method: str = config.method) -> None:
            progress(before * 1000 + round(1000 * done / max(1, total)), num_parts * 1000, f"{method} {note}")

        result = invert(contestant.images, generator, perceptual, config, encoder=encoder, progress=report)
        shared = {
            **columns,
            "kind": contestant.kind,
            "method": config.method,
            "start": config.start,
            "steps": result.num_steps,
            "learning_rate": result.learning_rate,
            "seed": config.seed,
            "perceptual_loss": config.perceptual_loss,
            "backbone": perceptual.name,
            "backbone_hash": perceptual.weights_hash,
            "img_resolution": generator.config.img_resolution,
        }
        if not config.needs_encoder:
            shared["encoder_hash"] = None
        rows += [shared | own for own in _measure(contestant, generator, result)]
        if take_codes is not None:
            take_codes(result.ws)
    return rows


def generated_contestant(generator: Generator, count: int, *, seed: int, truncation_psi: float = 1.0) -> Contestant:
    """Return images of the generator itself, as files would store them, with their latent codes."""
    with torch.no_grad():
        z = torch.randn(count, generator.config.z_dim, generator=torch.Generator().manual_seed(seed))
        w = generator.truncate(generator.mapping(z.to(generator.w_avg.device)), truncation_psi)
        levels = generator.synthesis(generator.broadcast(w)).clamp(-1, 1).add(1).mul(127.5).round()
    names = [f"seed {seed}, {number}" for number in range(count)]
    return Contestant(kind="generated", images=levels.div(127.5).sub(1), names=names, w=w)


def summarize_inversions(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one row of `tables.INVERSION_SCHEMA` for each kind and setting: means with 95 % intervals.

    Raises:
        DataError: there are fewer than two images of a kind.
    """
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        key = tuple((name, value) for name, value in row.items() if name not in MEASURED)
        groups.setdefault(key, []).append(row)
    return [{**dict(key), **_summary(group)} for key, group in groups.items()]


def default_contest(config: InversionConfig, *, with_encoder: bool, encoder_steps: int) -> list[InversionConfig]:
    """Return the settings of Table III: each method at its own rate, and `w` from the encoder's latent code."""
    methods: tuple[InversionMethod, ...] = (
        "closed_form",
        "closed_form_mapping",
        "directions",
        "w",
        "closed_form_plus",
        "w_plus",
    )
    if with_encoder:
        methods += ("encoder", "in_domain")
    settings = [dataclasses.replace(config, method=method, learning_rate=None, start="mean") for method in methods]
    if with_encoder:
        settings.append(dataclasses.replace(settings[0], method="w", start="encoder", num_steps=encoder_steps))
    return settings


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean of at least two values and the ends of its 95 % interval (Student's t).

    Raises:
        DataError: there are fewer.
    """
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    if len(values) < 2:
        raise DataError(f"there is {len(values)} value, expected at least 2 for a mean with an interval; take more")
    mean, sem = float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values))
    half_width = float(stdtrit(len(values) - 1, 0.975)) * sem
    return mean, mean - half_width, mean + half_width


@torch.no_grad()
def _measure(contestant: Contestant, generator: Generator, result: InversionResult) -> list[dict[str, Any]]:
    """Return what differs from image to image."""
    images = contestant.images.to(result.ws)
    made = torch.cat(
        [generator.synthesis(ws, noise=[maps[part] for maps in result.noise] or None) for part, ws in _parts(result.ws)]
    ).clamp(-1, 1)
    l2 = (images - made).square().mean(dim=(1, 2, 3)).tolist()
    errors: list[float | None] = [None] * len(images)
    if contestant.w is not None:
        difference = (result.ws - contestant.w.to(result.ws)[:, None]).square().mean(dim=(1, 2))
        errors = list((difference / code_spread(generator).variance).tolist())
    return [
        {
            "image": name,
            "ssim": result.ssim[place].item(),
            "lpips": result.lpips[place].item(),
            "l2": l2[place],
            "latent_error": errors[place],
            "loss": result.loss[place].item(),
            "seconds_per_image": result.seconds / len(images),
        }
        for place, name in enumerate(contestant.names)
    ]


def _parts(ws: Tensor, size: int = 32) -> list[tuple[slice, Tensor]]:
    return [(slice(start, start + size), ws[start : start + size]) for start in range(0, len(ws), size)]


def _summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "num_images": len(rows),
        "seconds_per_image": float(np.mean([row["seconds_per_image"] for row in rows])),
    }
    for measure in MEASURES:
        values = [row[measure] for row in rows]
        ends = (None, None, None) if None in values else interval(values)
        summary |= dict(zip((measure, f"{measure}_ci95_low", f"{measure}_ci95_high"), ends, strict=True))
    return summary
