"""The targets of a regressor, and its loss: the share of each attribute that it leaves unexplained.

Each part is divided by the loss of the best constant (the variance of a number, 1 for a hue's cosine and sine, the
entropy of a category), so that it begins near 1 and numbers, hues and categories weigh the same.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from experiments.paper.truth.columns import Column

_MIN_ENTROPY = 0.01  # nats; a class that hardly varies would else outweigh all others


@dataclasses.dataclass(frozen=True)
class Targets:
    """The true attributes of drawings, by kind, columns in their order."""

    numbers: Float[Tensor, "n numbers"]  # of mean 0 and variance 1
    phases: Float[Tensor, "n 2*hues"]  # cosine and sine of each
    classes: Int64[Tensor, "n categories"]
    num_classes: tuple[int, ...]
    entropies: tuple[float, ...]  # nats

    @classmethod
    def of(cls, columns: Sequence[Column], people: Sequence[object]) -> "Targets":
        """Encode the attributes of `people`, whose `columns` are."""
        numbers = [
            (column.values(people) - column.mean) / column.scale for column in columns if column.kind == "number"
        ]
        angles = [2 * np.pi * column.values(people) for column in columns if column.kind == "hue"]
        categories = [column for column in columns if column.kind == "category"]
        classes = [column.values(people).astype(np.int64) for column in categories]
        return cls(
            numbers=_stack(numbers, len(people)).float(),
            phases=_stack([part for angle in angles for part in (np.cos(angle), np.sin(angle))], len(people)).float(),
            classes=_stack(classes, len(people)).long(),
            num_classes=tuple(len(column.classes) for column in categories),
            entropies=tuple(max(_entropy(values), _MIN_ENTROPY) for values in classes),
        )

    def loss(self, outputs: Float[Tensor, "n outputs"], chosen: Int64[Tensor, " n"]) -> Float[Tensor, ""]:
        """Return the unexplained share, the mean over the columns.

        Args:
            outputs: of the network.
            chosen: the drawings that they belong to.
        """
        numbers, phases, classes = (
            values[chosen].to(outputs.device) for values in (self.numbers, self.phases, self.classes)
        )
        parts = outputs.float().split([numbers.shape[1], phases.shape[1], *self.num_classes], dim=1)
        unexplained = (parts[0] - numbers).square().mean(dim=0).sum() + (parts[1] - phases).square().mean(dim=0).sum()
        for column, (logits, entropy) in enumerate(zip(parts[2:], self.entropies, strict=True)):
            unexplained = unexplained + F.cross_entropy(logits, classes[:, column]) / entropy
        return unexplained / (numbers.shape[1] + phases.shape[1] // 2 + classes.shape[1])


def _stack(columns: Sequence[np.ndarray], num_rows: int) -> Tensor:
    return torch.from_numpy(np.stack(columns, axis=1) if columns else np.empty((num_rows, 0)))


def _entropy(values: np.ndarray) -> float:
    shares = np.unique(values, return_counts=True)[1] / len(values)
    return float(-(shares * np.log(shares)).sum())
