"""Named tensors on disk: safetensors with a JSON header, and in the header a digest of all of it.

Nothing in such a file is ever executed, and nothing in it can change unnoticed: the digest is a SHA-256 over the header
and over every tensor's name, type, shape and bytes. It tells accidents, not forgers, who can write a new one. Files
from before there were digests are read with a note. Values that are not finite are neither written nor read.
"""

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import stat
import struct
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ui2i.errors import CheckpointError, UI2IWarning
from ui2i.files import atomic_file, sha256_bytes
from ui2i.untrusted import shortened

KEY, DIGEST_KEY = "ui2i", "digest"
MAX_HEADER_BYTES = 1 << 20  # room for 10,000 tensors; a generator of 1024 px with its discriminator has 250
UNRECORDED = "records no digest, so whether it changed since it was written cannot be told"


class UnrecordedDigestWarning(UI2IWarning):
    """A file of before there were digests."""


@dataclasses.dataclass(frozen=True)
class TensorFile:
    """What a file holds: its tensors are the file's bytes, mapped."""

    path: Path
    header: dict[str, Any]
    recorded_digest: str | None
    tensors: dict[str, Tensor]

    def check(self, *, warn: bool = True) -> str | None:
        """Raise CheckpointError unless the tensors are finite and what was written.

        Args:
            warn: issue an UnrecordedDigestWarning where the file records no digest.

        Returns:
            What could not be checked, in words; None: everything was.
        """
        name = first_not_finite(self.tensors)
        if self.recorded_digest is not None and self.recorded_digest != digest(self.header, self.tensors):
            raise CheckpointError(
                f"{self.path} differs from what was written (its digest is another), expected the same bytes; it is "
                "damaged or was changed by another program: fetch or train it again"
            )
        if name is not None:
            raise CheckpointError(
                f"{self.path} has values in {name} that are not finite, expected trained weights; take an earlier "
                "snapshot"
            )
        if self.recorded_digest is not None:
            return None
        if warn:
            warnings.warn(f"{self.path} {UNRECORDED}", UnrecordedDigestWarning, stacklevel=4)
        return UNRECORDED


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors [any shape, on the CPU, contiguous] atomically; an interrupted call leaves the old file, or none.

    Args:
        header: JSON's types.

    Raises:
        CheckpointError: a value is not finite. Nothing is written then.
    """
    name = first_not_finite(tensors)
    if name is not None:
        raise CheckpointError(
            f"{path} is not written: values in {name} are not finite, expected trained weights; take an earlier state"
        )
    plain = json.loads(json.dumps(header))
    complete = plain | {DIGEST_KEY: digest(plain, tensors)}
    with atomic_file(path) as temporary:
        save_file(dict(tensors), temporary, metadata={KEY: json.dumps(complete, sort_keys=True)})
        with contextlib.suppress(PermissionError):  # a network drive may show every file as another user's
            temporary.chmod(usual_mode())


def read_tensors(path: Path, *, what: str, with_tensors: bool = True) -> TensorFile:
    """Map a file. Its tensors are not looked at before `check`.

    Args:
        what: the file is expected to hold, for messages.
        with_tensors: False: the header alone.

    Raises:
        CheckpointError: it is missing, damaged, or has no header of this project.
    """
    path = Path(path)
    refuse_pipe(path)
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist, expected {what}; train it first or correct the path")
    try:
        layout = read_layout(path)
        header = json.loads(layout["__metadata__"][KEY])
        with safe_open(path, framework="pt") as file:  # what checks the layout, and maps the file
            tensors = {name: file.get_tensor(name) for name in file.keys()} if with_tensors else {}  # noqa: SIM118
    except KeyError:
        raise CheckpointError(f"{path} has no ui2i header, expected {what} that ui2i wrote; name another") from None
    except (SafetensorError, ValueError, OSError, TypeError, RecursionError) as error:
        article, noun = what.split(maxsplit=1)
        said = f"not a readable {noun}" if article == "a" else f"no readable {noun}"
        raise CheckpointError(
            f"{path} is {said} ({shortened(last_line(error))}), expected safetensors; fetch or train it again"
        ) from error
    if not isinstance(header, dict):
        raise CheckpointError(f"{path} has an unusable header, expected one that ui2i wrote; fetch or train it again")
    recorded = header.pop(DIGEST_KEY, None)
    if recorded is not None and not isinstance(recorded, str):
        raise CheckpointError(f"{path} has an unusable digest, expected one that ui2i wrote; fetch or train it again")
    return TensorFile(path, header, recorded, tensors)


def read_layout(path: Path) -> dict[str, Any]:
    """Return what a safetensors file says of itself: type, shape and place of each tensor, and `__metadata__`.

    The safetensors library takes as many tensors as a file names; here the header must be of a usual size.

    Raises:
        ValueError: the header is damaged, or too large.
    """
    with path.open("rb") as file:
        start = file.read(8)
        size = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if size > MAX_HEADER_BYTES:
            raise ValueError(f"a header of {size:,} bytes, more than {MAX_HEADER_BYTES:,}")
        text = file.read(size)
    if len(text) < size or not text:
        raise ValueError("its header is cut off")
    layout = json.loads(text)
    if not isinstance(layout, dict):
        raise ValueError("its header is no mapping")
    return layout


def digest(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of a header and of tensors with their names, types and shapes, as hexadecimal digits."""
    names = sorted(tensors)
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:  # hashing lets other threads run
        hashes = list(threads.map(_tensor_hash, (tensors[name] for name in names)))
    entries = [
        [name, str(tensors[name].dtype), list(tensors[name].shape), found]
        for name, found in zip(names, hashes, strict=True)
    ]
    return sha256_bytes(json.dumps([header, entries], sort_keys=True).encode())


def first_not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """Return the name of a tensor with a value that is infinite or no number; None: there is none."""
    return next((name for name, tensor in tensors.items() if not is_finite(tensor)), None)


def is_finite(tensor: Tensor) -> bool:
    """Whether every value of a tensor is a finite number, in one pass without a copy."""
    if not tensor.is_floating_point() or tensor.numel() == 0:
        return True
    low, high = torch.aminmax(tensor)  # both are NaN if one value is
    return math.isfinite(low) and math.isfinite(high)


def refuse_pipe(path: Path) -> None:
    """Raise CheckpointError if a path is a pipe, socket or device: opening one may wait for ever."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # whoever opens it says so
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise CheckpointError(
            f"{path} is a pipe, socket or device, expected a checkpoint in a file; write its bytes to a file first"
        )


def usual_mode() -> int:
    """Return the permissions of new files; safetensors makes its own for their owner alone."""
    mask = os.umask(0o022)
    os.umask(mask)
    return 0o666 & ~mask


def last_line(error: Exception) -> str:
    """Return the last line of an error that says something."""
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)


def _tensor_hash(tensor: Tensor) -> str:
    numbers = tensor.contiguous().reshape(-1).view(torch.uint8).numpy()
    return hashlib.sha256(numbers.data).hexdigest()
