"""Networks without numbers: names and shapes alone, to compare a file with before any memory is taken.

torch's own way, `with torch.device("meta")`, first imports its compiler for every initialiser that it meets, which
takes seconds. Here the initialisers that the layers use only make empty meta tensors; others take torch's way.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ui2i.config import NetworkConfig
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator

NetworkT = TypeVar("NetworkT", Generator, Discriminator)

_FILLED = (torch.randn, torch.zeros, torch.ones, torch.full)
_SCALED = (Tensor.div, Tensor.__truediv__, Tensor.mul, Tensor.__mul__)


def blank_network(network_type: type[NetworkT], config: NetworkConfig) -> NetworkT:
    """Return a network whose parameters and buffers are on the meta device."""
    with torch.device("meta"), _Blank():
        return network_type(config)


class _Blank(TorchFunctionMode):
    """Replaces initialisers by empty tensors, and leaves out their scaling by a number."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Take the place of every function of torch."""
        if func in _FILLED and args:
            size = args if type(args[0]) is int else args[0]
            return torch.empty(size, device="meta")
        if func in _SCALED and len(args) == 2 and type(args[1]) in (int, float):
            return args[0]
        return func(*args, **(kwargs or {}))
