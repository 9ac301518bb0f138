"""The settings of a CycleGAN training, and its state (arXiv 1703.10593, section 4)."""

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from experiments.paper.cyclegan.networks import Discriminator, Generator
from ui2i.errors import ConfigError
from ui2i.files import atomic_file
from ui2i.precision import choose_precision

SUPERSEDED_FILE = "state-superseded.pt"

Precision = Literal["auto", "fp32", "bf16"]
NetworkT = TypeVar("NetworkT", bound=nn.Module)

_NETWORKS = ("to_target", "to_source", "discriminator_target", "discriminator_source")
_PARTS = (*_NETWORKS, "generator_optimizer", "discriminator_optimizer", "fake_targets", "fake_sources")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings that decide a run; the defaults are the paper's except for the width and the precision."""

    minutes: float | None = None  # of training by the clock; None: `kimg` alone ends it
    kimg: float | None = None  # thousands of images of each domain; None: `minutes` alone end it
    width: int = 32  # channels of the first layer; the paper's 64 take four times as long
    num_blocks: int = 6
    patch_size: int = 34  # pixels
    batch_size: int = 1  # of each domain
    learning_rate: float = 2e-4
    cycle_weight: float = 10.0
    identity_weight: float = 5.0  # half of the cycle's
    buffer_size: int = 50  # fakes of each domain that are kept
    precision: Precision = "auto"  # bf16 where the device computes it natively, else fp32
    seed: int = 0

    def __post_init__(self) -> None:
        if self.minutes is None and self.kimg is None:
            raise ConfigError("there is no end of training, expected --minutes, --kimg or both; add one")
        for name in ("minutes", "kimg", "width", "batch_size"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:  # so that NaN is refused too
                raise ConfigError(f"--{name.replace('_', '-')} is {value}, expected a number above 0; correct it")
        if self.seed < 0:
            raise ConfigError(f"--seed is {self.seed}, expected 0 or more; correct it")


def settle_precision(settings: Settings, device: str, state_path: Path) -> Settings:
    """Return the settings with the precision that auto stands for: that of a saved run, else the fitting one here."""
    if settings.precision != "auto":
        return settings
    saved = _saved_precision(state_path)
    return dataclasses.replace(
        settings, precision=choose_precision(settings.precision, device) if saved is None else saved
    )


def _saved_precision(path: Path) -> Precision | None:
    try:
        identity = torch.load(path, map_location="cpu", weights_only=True)["identity"]
        saved = json.loads(identity)["precision"]
        return saved if saved in ("fp32", "bf16") else None
    except Exception:  # none or a damaged one, of which `CycleGAN.resume` says more
        return None


class ImageBuffer:
    """The last fakes of a generator, handed out in the place of new ones every other time (section 4)."""

    def __init__(self, capacity: int, seed: int) -> None:
        self.capacity = capacity
        self.images: list[Tensor] = []  # each [3, R, R]
        self._random = torch.Generator().manual_seed(seed)

    def exchange(self, fakes: Tensor) -> Tensor:
        """Add fakes [N, 3, R, R] and return as many: each is the new one or, with probability 1/2, an older one.

        An older image that is handed out leaves its place to the new one. Until the buffer is full all are kept and
        handed out at once.
        """
        return torch.stack([self._exchange(fake) for fake in fakes]).contiguous(memory_format=torch.channels_last)

    def _exchange(self, fake: Tensor) -> Tensor:
        if len(self.images) < self.capacity:
            self.images.append(fake.clone())
            return fake
        if torch.rand((), generator=self._random) < 0.5:
            return fake
        place = int(torch.randint(self.capacity, (), generator=self._random))
        older, self.images[place] = self.images[place], fake.clone()
        return older

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` takes."""
        return {"images": self.images, "random": self._random.get_state()}

    def load_state_dict(self, values: dict[str, Any]) -> None:
        """Restore a state."""
        self.images = list(values["images"])
        self._random.set_state(values["random"].cpu())


class CycleGAN:
    """Networks, optimisers, buffers and counters."""

    def __init__(self, settings: Settings, device: str = "cpu") -> None:
        torch.manual_seed(settings.seed)
        width, rate = settings.width, settings.learning_rate
        self.device = device
        self.to_target = _placed(Generator(width, settings.num_blocks), device)
        self.to_source = _placed(Generator(width, settings.num_blocks), device)
        self.discriminator_target = _placed(Discriminator(width, settings.patch_size), device)
        self.discriminator_source = _placed(Discriminator(width, settings.patch_size), device)
        self.generator_optimizer = _adam((self.to_target, self.to_source), rate)
        self.discriminator_optimizer = _adam((self.discriminator_target, self.discriminator_source), rate)
        self.fake_targets = ImageBuffer(settings.buffer_size, 2 * settings.seed)
        self.fake_sources = ImageBuffer(settings.buffer_size, 2 * settings.seed + 1)
        self.num_steps = 0
        self.seconds = 0.0  # of training so far
        self.log: list[dict[str, float]] = []

    def save(self, path: Path, identity: str) -> None:
        """Write everything that the next step depends on, atomically."""
        counters = {"num_steps": self.num_steps, "seconds": self.seconds, "log": self.log}
        values = {name: getattr(self, name).state_dict() for name in _PARTS}
        with atomic_file(path) as temporary:
            torch.save({"identity": identity, **counters, **values}, temporary)

    def resume(self, path: Path, identity: str) -> str:
        """Take up the state of this run if there is one, and return in a few words what was done.

        A state of other settings or data, or a damaged one, is set aside as `state-superseded.pt`.
        """
        if not path.exists():
            return "start"
        values = self._read(path, identity)
        if values is None:
            path.replace(path.with_name(SUPERSEDED_FILE))
            return "start afresh: the saved state is damaged or of other settings or data, and was set aside"
        for name in _PARTS:
            getattr(self, name).load_state_dict(values[name])
        self.num_steps, self.seconds, self.log = values["num_steps"], values["seconds"], values["log"]
        return "resumed"

    def _read(self, path: Path, identity: str) -> dict[str, Any] | None:
        try:
            values = torch.load(path, map_location=self.device, weights_only=True)
            return values if values["identity"] == identity else None
        except (OSError, MemoryError):  # says nothing about the file
            raise
        except Exception:  # damaged: torch.load raises a dozen types for these
            return None


def learning_rate_factor(share: float) -> float:
    """Return the part of the learning rate at a share of the budget: 1 for the first half, then linearly to 0."""
    return max(0.0, min(1.0, 2 * (1 - share)))


def spent_share(model: CycleGAN, settings: Settings) -> float:
    """Return how much of the budget is spent, 1 or more at the end: of time or of images, whichever is further."""
    shares = [0.0]
    if settings.minutes is not None:
        shares.append(model.seconds / (60 * settings.minutes))
    if settings.kimg is not None:
        shares.append(model.num_steps * settings.batch_size / (1000 * settings.kimg))
    return max(shares)


def _adam(networks: Sequence[nn.Module], learning_rate: float) -> torch.optim.Adam:
    parameters = [parameter for network in networks for parameter in network.parameters()]
    return torch.optim.Adam(parameters, lr=learning_rate, betas=(0.5, 0.999), fused=True)


def _placed(network: NetworkT, device: str) -> NetworkT:
    return network.to(device).to(memory_format=torch.channels_last)
