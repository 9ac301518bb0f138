"""How one batch is divided: over processes, and into micro-batches within a process.

Every process draws the random numbers of the whole batch and takes its part of them, and images that the discriminator
compares as a group stay together. So the cut changes which machine computes what, and nothing else: gradients, losses
and running means are those of the whole batch, and a run may go on with another number of processes.

Gradients are added up with torch.distributed's own collectives, one flat sum an update. Not with
DistributedDataParallel: it expects one forward and one backward pass through all parameters of its module, while a step
here makes up to four with different losses, two of which differentiate a gradient, and frozen parameters.
"""

import dataclasses
from collections.abc import Callable, Iterable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ui2i.errors import ConfigError


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """Images of a batch that one process works off together."""

    positions: Tensor  # [n] of the images in the whole batch
    share: float  # of the batch, 0 to 1

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def indices(self) -> Int[Tensor, " n"] | None:
        """Positions to pick from the batch; None: the part is the whole batch, and nothing is to be picked."""
        return None if self.share == 1 else self.positions


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sharding:
    """Which parts of each batch this process computes."""

    rank: int = 0
    num_processes: int = 1
    num_micro_batches: int = 1

    @property
    def num_parts(self) -> int:
        """Of each batch, over all processes."""
        return self.num_processes * self.num_micro_batches

    def parts(self, num_images: int, group_size: int = 1) -> list[Part]:
        """Cut a batch into `num_processes * num_micro_batches` parts and return this process's.

        Args:
            group_size: images of a minibatch-stddev group: image i belongs to group i modulo the number of groups.

        Raises:
            ConfigError: there are fewer groups than parts, or the groups do not divide the batch.
        """
        group_size = min(group_size, num_images)
        num_groups, rest = divmod(num_images, group_size)
        num_parts = self.num_parts
        if rest:
            raise ConfigError(
                f"the batch has {num_images} images, expected a multiple of the minibatch-stddev group of "
                f"{group_size}; change batch_size or mbstd_group_size"
            )
        if num_groups < num_parts:
            raise ConfigError(
                f"{num_images} images in groups of {group_size} make {num_groups} parts at most, expected "
                f"{num_parts} ({self.num_processes} processes x {self.num_micro_batches} micro-batches); "
                "raise batch_size or lower one of them"
            )
        table = torch.arange(num_images).reshape(group_size, num_groups)
        cuts = torch.arange(num_groups).tensor_split(num_parts)
        first = self.rank * self.num_micro_batches
        own = (table[:, groups].flatten() for groups in cuts[first : first + self.num_micro_batches])
        return [Part(positions, len(positions) / num_images) for positions in own]

    def positions(self, num_images: int, group_size: int = 1) -> Int[Tensor, " n"]:
        """Return which images of the batch this process needs, in the order of its parts [n]."""
        return torch.cat([part.positions for part in self.parts(num_images, group_size)])

    def mean(
        self, parts: Iterable[Part], compute: Callable[[Part], dict[str, Float[Tensor, "..."]]]
    ) -> dict[str, Float[Tensor, "..."]]:
        """Return the mean over the whole batch of what `compute` returns for this process's parts, detached."""
        totals: dict[str, Tensor] = {}
        for part in parts:
            for name, value in compute(part).items():
                share = value.detach() * part.share
                totals[name] = totals[name] + share if name in totals else share
        self.sum_over_processes(list(totals.values()))
        return totals

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each process's gradients by the sum over all processes."""
        self.sum_over_processes([parameter.grad for parameter in parameters if parameter.grad is not None])

    def sum_over_processes(self, tensors: list[Float[Tensor, "..."]]) -> None:
        """Replace tensors, in place, by their sums over all processes."""
        if self.num_processes == 1 or not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        torch.distributed.all_reduce(flat)
        for tensor, total in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(total.view_as(tensor))
