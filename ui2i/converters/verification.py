"""Is a checkpoint whole and alive? It is read, and its networks make a few images."""

import dataclasses
from pathlib import Path

import torch

from ui2i.converters.architecture import mean_w
from ui2i.converters.formats import Checkpoint, differences, read_checkpoint
from ui2i.errors import CheckpointError

NUM_IMAGES, SEED = 2, 0
MAX_MEAN_DISTANCE = 1.0  # of the stored mean of w from the networks' own, in standard deviations of w


@dataclasses.dataclass(frozen=True)
class Check:
    """One thing that was looked at, and what was found."""

    name: str
    result: str


def verify_checkpoint(path: Path, *, against: Path | None = None) -> list[Check]:
    """Read a checkpoint, run its networks, and return what was found.

    Args:
        against: another one, of any format, whose tensors must be the same bits.

    Raises:
        CheckpointError: it cannot be read, is not alive, or differs.
    """
    checkpoint = read_checkpoint(path)
    checks = [
        Check("read", _described(checkpoint)),
        _check_digest(checkpoint),
        _check_values(checkpoint),
        _check_mean(checkpoint),
        *_check_images(path, checkpoint),
    ]
    if against is not None:
        checks.append(_check_equal(path, checkpoint, against))
    return checks


def _described(checkpoint: Checkpoint) -> str:
    discriminator = "without" if checkpoint.discriminator is None else "with"
    return f"{checkpoint.format}, {checkpoint.generator.config.img_resolution} px, {discriminator} discriminator"


def _check_digest(checkpoint: Checkpoint) -> Check:
    """Reading has compared it."""
    return Check(
        "digest", "header and tensors are those that were written" if checkpoint.has_digest else "none recorded"
    )


def _check_values(checkpoint: Checkpoint) -> Check:
    """Reading has refused others."""
    networks = filter(None, (checkpoint.generator, checkpoint.discriminator))
    count = sum(tensor.numel() for network in networks for tensor in network.state_dict().values())
    return Check("values", f"{count:,}, all finite")


def _check_mean(checkpoint: Checkpoint) -> Check:
    """Compare `w_avg` with the mean of w, in standard deviations of w."""
    generator = checkpoint.generator
    random = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        w = generator.mapping(torch.randn(1000, generator.config.z_dim, generator=random))
    spread = float((w - w.mean(dim=0)).square().sum(dim=1).mean().sqrt())
    distance = float((generator.w_avg - mean_w(generator)).norm()) / max(spread, 1e-12)
    warning = "" if distance <= MAX_MEAN_DISTANCE else ": truncation pulls to another place than the networks' mean"
    return Check("mean of w", f"{distance:.2f} standard deviations from that of 10,000 latent codes{warning}")


def _check_images(path: Path, checkpoint: Checkpoint) -> list[Check]:
    generator, discriminator = checkpoint.generator, checkpoint.discriminator
    random = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        images = generator(torch.randn(NUM_IMAGES, generator.config.z_dim, generator=random), truncation_psi=0.7)
        logits = None if discriminator is None else discriminator(images)
    if not torch.isfinite(images).all() or float(images.std()) == 0:
        raise CheckpointError(
            f"{path} makes no images (all equal, or not finite), expected some; take an earlier snapshot"
        )
    outside = float((images.abs() > 1).float().mean())
    checks = [Check("images", f"mean {float(images.mean()):.2f}, {outside:.0%} of values beyond [-1, 1]")]
    if logits is not None:
        checks.append(Check("logits", ", ".join(f"{float(logit):.2f}" for logit in logits)))
    return checks


def _check_equal(path: Path, checkpoint: Checkpoint, against: Path) -> Check:
    found = differences(checkpoint, read_checkpoint(against))
    if found:
        raise CheckpointError(
            f"{path} differs from {against} in {len(found)} places ({'; '.join(found[:3])}), expected the same model"
        )
    return Check("equal", f"every bit is that of {against}")
