"""Where computations run."""

from ui2i.errors import ConfigError

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
