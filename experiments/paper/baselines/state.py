"""What all baselines have in common: the settings of a run, and a state that can be saved and resumed."""

import abc
import contextlib
import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from ui2i.errors import ConfigError, is_out_of_memory
from ui2i.files import atomic_file
from ui2i.images import to_tensor, to_uint8
from ui2i.precision import choose_precision

SUPERSEDED_FILE = "state-superseded.pt"
BATCH_SIZE = 32  # of translating
_COUNTERS = ("num_steps", "seconds", "processor_seconds", "log")

Images = UInt8[np.ndarray, "n r r 3"]
Precision = Literal["auto", "fp32", "bf16"]
NetworkT = TypeVar("NetworkT", bound=nn.Module)
SettingsT = TypeVar("SettingsT", bound="Settings")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings that every baseline has."""

    minutes: float | None = None  # of training by the clock; with several ends, the first counts
    core_minutes: float | None = None  # of training by processor time of all cores, which neighbours do not shorten
    kimg: float | None = None  # thousands of images of each domain
    width: int = 32  # channels of the first layer; the papers' 64 take about four times as long
    batch_size: int = 1  # of each domain
    precision: Precision = "auto"  # bf16 where the device computes it natively, else fp32
    seed: int = 0

    def __post_init__(self) -> None:
        if self.minutes is None and self.core_minutes is None and self.kimg is None:
            raise ConfigError("there is no end of training, expected --minutes, --core-minutes or --kimg; add one")
        for name in ("minutes", "core_minutes", "kimg", "width", "batch_size"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:  # so that NaN is refused too
                raise ConfigError(f"--{name.replace('_', '-')} is {value}, expected a number above 0; correct it")
        if self.seed < 0:
            raise ConfigError(f"--seed is {self.seed}, expected 0 or more; correct it")


class Baseline(abc.ABC):
    """Networks, optimisers and counters of one run.

    Attributes:
        num_steps: training steps so far.
        seconds: of training so far, by the clock.
        processor_seconds: the same of all cores together.
        log: rows of the means of the losses.
    """

    system: ClassVar[str]
    """As Table II calls it."""
    parts: ClassVar[tuple[str, ...]]
    """Attributes with a `state_dict` that a state consists of; the optimisers are among them."""
    is_multi_modal: ClassVar[bool] = False
    """Whether an image has many translations."""

    def __init__(self, settings: Any, device: str) -> None:
        self.settings = settings
        self.device = device
        self.num_steps = 0
        self.seconds = 0.0
        self.processor_seconds = 0.0
        self.log: list[dict[str, float]] = []

    @abc.abstractmethod
    def train_step(self, source: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Update all networks and return the terms of the losses, unweighted scalars.

        Args:
            source, target: [N, 3, R, R] in [-1, 1], not paired.
        """

    @abc.abstractmethod
    def rate_factor(self, share: float) -> float:
        """Return the part of the first learning rates that is left at a share of the budget."""

    @abc.abstractmethod
    def translate_batch(self, images: Tensor, random: torch.Generator) -> Tensor:
        """Return translations [N, 3, R, R] of source images [N, 3, R, R], with sampled styles if there are such."""

    @torch.no_grad()
    def translate(self, images: Images, *, seed: int = 0) -> Images:
        """Return translations of images, in single precision; the seed decides the styles."""
        random, parts = torch.Generator().manual_seed(seed), []
        for start in range(0, len(images), BATCH_SIZE):
            batch = to_tensor(images[start : start + BATCH_SIZE]).to(self.device)
            parts.append(to_uint8(self.translate_batch(batch, random)))
        return np.concatenate(parts)

    def set_learning_rate(self, share: float) -> None:
        """Give all optimisers the learning rates of a share of the budget."""
        for name in self.parts:
            part = getattr(self, name)
            if isinstance(part, torch.optim.Optimizer):
                for group in part.param_groups:
                    group["lr"] = group["initial_lr"] * self.rate_factor(share)

    def autocast(self) -> torch.autocast:
        """Return the context in which losses are computed."""
        kind = torch.device(self.device).type
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=self.settings.precision == "bf16")

    def normal(self, num_rows: int, num_columns: int, stream: int = 0) -> Float[Tensor, "n d"]:
        """Return the standard normal numbers that belong to this step, so that a resumed run draws the same ones."""
        random = np.random.Generator(np.random.PCG64([self.settings.seed, 1000 + stream, self.num_steps]))
        return torch.from_numpy(random.standard_normal((num_rows, num_columns), np.float32)).to(self.device)

    def save(self, path: Path, identity: str) -> None:
        """Write everything that the next step depends on, atomically."""
        counters = {name: getattr(self, name) for name in _COUNTERS}
        values = {name: getattr(self, name).state_dict() for name in self.parts}
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
        for name in self.parts:
            getattr(self, name).load_state_dict(values[name])
        for name in _COUNTERS:
            setattr(self, name, values[name])
        return "resumed"

    def _read(self, path: Path, identity: str) -> dict[str, Any] | None:
        try:
            values = torch.load(path, map_location=self.device, weights_only=True)
            return values if values["identity"] == identity else None
        except OSError:  # says nothing about the file
            raise
        except Exception as error:  # damaged: torch.load raises a dozen types for these
            if is_out_of_memory(error):
                raise
            return None


def settle_precision(settings: SettingsT, device: str, state_path: Path) -> SettingsT:
    """Return the settings with the precision that auto stands for: that of a saved run, else the fitting one here."""
    if settings.precision != "auto":
        return settings
    saved = _saved_precision(state_path)
    return dataclasses.replace(
        settings, precision=choose_precision(settings.precision, device) if saved is None else saved
    )


def spent_share(model: Baseline, settings: Settings) -> float:
    """Return how much of the budget is spent, 1 or more at the end: of time or of images, whichever is furthest."""
    shares = [0.0]
    if settings.minutes is not None:
        shares.append(model.seconds / (60 * settings.minutes))
    if settings.core_minutes is not None:
        shares.append(model.processor_seconds / (60 * settings.core_minutes))
    if settings.kimg is not None:
        shares.append(model.num_steps * settings.batch_size / (1000 * settings.kimg))
    return max(shares)


def adam(networks: Sequence[nn.Module], learning_rate: float, weight_decay: float = 0.0) -> torch.optim.Adam:
    """Return the optimiser that all three papers use; its groups keep the rate that a schedule starts from."""
    # A dictionary keeps a parameter that networks share once, and in order.
    parameters = dict.fromkeys(parameter for network in networks for parameter in network.parameters())
    group = {"params": list(parameters), "initial_lr": learning_rate}
    return torch.optim.Adam([group], learning_rate, betas=(0.5, 0.999), weight_decay=weight_decay, fused=True)


def update(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """Take one step along the gradient of a loss."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


@contextlib.contextmanager
def judging(*networks: nn.Module) -> Iterator[None]:
    """Let gradients pass through networks without computing those of their own weights, which nobody would use."""
    for network in networks:
        network.requires_grad_(False)
    try:
        yield
    finally:
        for network in networks:
            network.requires_grad_(True)


def placed(network: NetworkT, device: str) -> NetworkT:
    """Return a network on its device, in the layout that is fastest."""
    return network.to(device).to(memory_format=torch.channels_last)


def _saved_precision(path: Path) -> Precision | None:
    try:
        identity = torch.load(path, map_location="cpu", weights_only=True)["identity"]
        saved = json.loads(identity)["precision"]
        return saved if saved in ("fp32", "bf16") else None
    except Exception as error:  # none or a damaged one, of which `Baseline.resume` says more
        if is_out_of_memory(error):
            raise
        return None
