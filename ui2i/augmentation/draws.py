"""The random draws for each image of a batch, apart from how they are applied."""

import abc
import dataclasses
from collections.abc import Callable
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class AugmentationDraws(abc.ABC):
    """Random numbers of an augmentation; every field is a tensor with one row an image."""

    @abc.abstractmethod
    def apply(self, images: Float[Tensor, "n 3 r r"]) -> Float[Tensor, "n 3 r r"]:
        """Augment as many images [N, 3, R, R] as there are rows, each with its own."""

    def __getitem__(self, indices: slice | Tensor | list[int]) -> Self:
        """Return the draws of some images, in the order of `indices`."""
        return self._map(lambda rows: rows[indices.to(rows.device) if isinstance(indices, Tensor) else indices])

    def to(self, device: torch.device | str) -> Self:
        """Return the draws on `device`."""
        return self._map(lambda rows: rows.to(device))

    def _map(self, change: Callable[[Tensor], Tensor]) -> Self:
        changed = {field.name: change(getattr(self, field.name)) for field in dataclasses.fields(self)}
        return dataclasses.replace(self, **changed)


@dataclasses.dataclass(frozen=True)
class Unchanged(AugmentationDraws):
    """Nothing is done to any number of images."""

    def apply(self, images: Float[Tensor, "n 3 r r"]) -> Float[Tensor, "n 3 r r"]:
        """Return `images` themselves."""
        return images
