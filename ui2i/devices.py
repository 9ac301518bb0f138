"""Where computations run, and how a GPU computes them."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ui2i.errors import ConfigError

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda", "mps")


def find_device(name: str = "auto") -> str:
    """Return `cpu`, `cuda` or `mps`; `auto` takes the fastest there is, in the order cuda, mps, cpu.

    Raises:
        ConfigError: the name is unknown, or this machine has no such device.
    """
    import torch

    if name not in DEVICES:
        raise ConfigError(f"the device is {name!r}, expected one of {', '.join(DEVICES)}; correct it")
    available = [kind for kind in ("cuda", "mps") if getattr(torch, kind).is_available()] + ["cpu"]
    if name == "auto":
        return available[0]
    if name not in available:
        raise ConfigError(
            f"the device is {name}, expected one that this machine has ({', '.join(available)}); use auto"
        )
    return name


@contextlib.contextmanager
def fast_arithmetic(device: "torch.device | str") -> Iterator[None]:
    """Let a GPU multiply single precision in TF32 (10 bits of mantissa) and try out its convolution algorithms."""
    import torch

    if torch.device(device).type != "cuda":
        yield
        return
    precision, cudnn = torch.get_float32_matmul_precision(), torch.backends.cudnn
    before = cudnn.allow_tf32, cudnn.benchmark
    torch.set_float32_matmul_precision("high")
    cudnn.allow_tf32, cudnn.benchmark = True, True
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
        cudnn.allow_tf32, cudnn.benchmark = before
