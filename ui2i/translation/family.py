"""Whether two models are of one family: only then does a latent code mean the same to both.

Models of a family were fine-tuned from one base with its mapping network frozen, so that all of them have the same
one (freeze-FC; paper, section III-A).
"""

from collections.abc import Mapping

import torch

from ui2i.errors import CheckpointError
from ui2i.networks.generator import Generator


def share_mapping(first: Generator, second: Generator) -> bool:
    """Return whether the mapping networks are equal, bit for bit; the truncation means may differ."""
    ours, theirs = dict(first.mapping.named_parameters()), dict(second.mapping.named_parameters())
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name].cpu(), theirs[name].cpu()) for name in ours)


def check_family(source: Generator, targets: Mapping[str, Generator], *, force: bool = False) -> None:
    """Refuse models whose latent codes do not mean the same.

    Args:
        force: let other mapping networks pass; other shapes of latent codes never do.

    Raises:
        CheckpointError: a target takes latent codes of another shape than the source, or has another mapping network.
    """
    ours = source.config.num_ws, source.config.w_dim
    for variant, target in targets.items():
        theirs = target.config.num_ws, target.config.w_dim
        if theirs != ours:
            raise CheckpointError(
                f"{variant} takes latent codes of {theirs[0]} x {theirs[1]}, expected the source's {ours[0]} x "
                f"{ours[1]}; choose a model that was fine-tuned from the source"
            )
        if not force and not share_mapping(source, target):
            raise CheckpointError(
                f"{variant} has another mapping network than the source, expected the same one: a latent code does "
                "not mean the same to both; choose a model of the source's family (FC-FT), or force it"
            )
