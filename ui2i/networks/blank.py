"""Networks without numbers: names and shapes alone, to compare a file with before any memory is taken.

torch's own way, `with torch.device("meta")`, first imports its compiler for every initialiser that it meets, which
takes seconds. Here the initialisers that our layers and torch's convolutions use only make empty meta tensors; others
take torch's way.
"""

from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

ModuleT = TypeVar("ModuleT", bound=nn.Module)
Arguments = ParamSpec("Arguments")

_FILLED = (torch.randn, torch.zeros, torch.ones, torch.full)
_SCALED = (Tensor.div, Tensor.__truediv__, Tensor.mul, Tensor.__mul__)
_DRAWN = (nn.init.kaiming_uniform_, nn.init.uniform_)


def blank_network(make: Callable[Arguments, ModuleT], *args: Arguments.args, **kwargs: Arguments.kwargs) -> ModuleT:
    """Return what `make(*args, **kwargs)` makes, with its parameters and buffers on the meta device.

    Args:
        make: a network's class, or a function that makes one.
    """
    with torch.device("meta"), _Blank():
        return make(*args, **kwargs)


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
        if func in _DRAWN:
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))
