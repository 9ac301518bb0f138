"""A model as it came out of a foreign file."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Literal

import numpy as np
import torch

from ui2i.converters.inert import RefusedError
from ui2i.converters.note import Note
from ui2i.converters.tensor_views import Storage, TensorView, row_major_strides, tensor_view
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator
from ui2i.ops.resample import FIR_TAPS
from ui2i.untrusted import shown

ForeignName = Literal["rosinality", "ada"]
FILTER_TOLERANCE = 1e-4


@dataclasses.dataclass(frozen=True, kw_only=True)
class ForeignModel:
    """Networks, and what people should know of how they were read."""

    format: ForeignName
    generator: Generator
    discriminator: Discriminator | None
    note: Note | None
    remarks: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class ForeignFormat:
    """Files of another tool: how they are recognized, read and written."""

    tool: str
    content: str  # that every file has, in a word
    suffixes: tuple[str, ...]  # of new files
    holds: Callable[[Any], bool]  # whether the tree of a file's content is of this format
    read: Callable[..., ForeignModel]  # (tree, *, generator_only): RefusedError if it is no StyleGAN2 of this project's
    # Writes into an open file and returns what the tool will do differently; RefusedError if it has no place for it.
    write: Callable[[BinaryIO, Generator, Discriminator | None, Note], tuple[str, ...]]


def normalized_filter() -> torch.Tensor:
    """Return the 4x4 resampling filter with sum 1, as NVIDIA's files repeat it in every layer."""
    taps = torch.tensor(FIR_TAPS) / sum(FIR_TAPS)
    return torch.outer(taps, taps)


def check_filter(name: str, view: Any, gain: float = 1.0) -> None:
    """Raise RefusedError unless a filter in a file is the one that this project's operators have built in."""
    if type(view) is not TensorView or view.shape != (4, 4):
        matches = False
    else:
        matches = bool((view.to_tensor(name) - gain * normalized_filter()).abs().max() < FILTER_TOLERANCE)
    if not matches:
        raise RefusedError(
            f"has another resampling filter in {shown(name)}, expected [1, 3, 3, 1]; it cannot be converted"
        )


def random_noise(resolution: int, seed: int) -> TensorView:
    """Return a noise map [r, r] of fixed random numbers, for files without noise maps."""
    return view_of(np.random.RandomState(seed).randn(resolution, resolution))


def zeros(*shape: int) -> TensorView:
    """Return zeros, for what a file lacks."""
    return view_of(np.zeros(shape))


def view_of(values: np.ndarray) -> TensorView:
    """Return an array as what is read from a file, in float32."""
    storage = Storage(torch.float32, values.size)
    storage.attach(memoryview(bytearray(values.astype("<f4").tobytes())))
    return tensor_view(storage, 0, values.shape, row_major_strides(values.shape))


def tensors(name: str, state: Any) -> Mapping[str, TensorView]:
    """Return a state_dict's tensors by name.

    Raises:
        RefusedError: it is none.
    """
    if type(state) is not dict or not state:
        raise RefusedError(
            f"has {shown(state)} under {shown(name)}, expected a network's tensors by name; save its state_dict"
        )
    for key, value in state.items():
        if type(key) is not str or type(value) is not TensorView:
            raise RefusedError(
                f"has {shown(value)} as {shown(key)} of {shown(name)}, expected a tensor; save its state_dict"
            )
    return dict(state)
