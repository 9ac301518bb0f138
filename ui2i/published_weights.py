"""Weights that others published, read from a file: nothing in it is run, and it must be the file that was published.

Files are known by their publishers' names, most of which end with the beginning of the file's SHA-256. A file of
another name is somebody's own and is only looked through for values that are not finite.
"""

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ui2i.errors import BackboneError, is_out_of_memory
from ui2i.files import sha256_file
from ui2i.tensor_files import first_not_finite
from ui2i.untrusted import first_line, shortened

SHA256 = {
    "alex_shift_tolerant.pth": "b356b382f96010f77d085ee8343ecd9fd322d0a56e8de2b2d0549fafcad8b9ee",
    "alexnet-owt-7be5be79.pth": "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    "vgg16-397923af.pth": "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    "efficientnet-lite0-57934424.pth": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "squeezenet1_1-b8a52dc0.pth": "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
    "weights-inception-2015-12-05-6726825d.pth": "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
}


def packaged_file(package: str, inner: str) -> Path:
    """Return the path of a file in an installed package, which is found and not imported.

    Raises:
        BackboneError: the package is not installed, or has no such file.
    """
    spec = importlib.util.find_spec(package)
    folders = (spec.submodule_search_locations if spec is not None else None) or []
    paths = [Path(folder) / inner for folder in folders]
    if not any(path.is_file() for path in paths):
        came = f"the package {package} is not installed" if not paths else f"{paths[0]} is not there"
        raise BackboneError(f"{came}, expected the weights {inner} of it; install the package {package} again")
    return next(path for path in paths if path.is_file())


def read_published(path: Path, *, what: str, way_out: str) -> dict[str, Tensor]:
    """Return the tensors of a file by name, on the CPU.

    Args:
        what: the file is expected to hold, for messages.
        way_out: what to do if it does not, for messages.

    Raises:
        BackboneError: it is not the file that was published under its name, cannot be read, is no flat state dict, or
            has values that are not finite.
    """
    _check_hash(path, way_out)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the bytes of a damaged file can make the unpickler raise nearly anything
        if is_out_of_memory(error):
            raise
        raise BackboneError(
            f"{path} cannot be read as weights ({shortened(first_line(error))}), expected {what}; {way_out}"
        ) from error
    if not isinstance(state, Mapping) or not all(map(_is_entry, state.items())):
        raise BackboneError(
            f"{path} holds a {type(state).__name__} that is not a flat state dict, expected {what}; "
            f"save the network's state_dict(), or {way_out}"
        )
    if (name := first_not_finite(state)) is not None:
        raise BackboneError(
            f"{path} has values in {shortened(name)} that are not finite, expected trained weights; {way_out}"
        )
    return dict(state)


def _is_entry(item: tuple[object, object]) -> bool:
    name, value = item
    return isinstance(name, str) and isinstance(value, Tensor)


def _check_hash(path: Path, way_out: str) -> None:
    expected = SHA256.get(path.name)
    if expected is not None and (found := sha256_file(path)) != expected:
        raise BackboneError(
            f"{path} has the SHA-256 {found}, expected {expected}, which its publisher's file of that name has; it is "
            f"damaged or another file: remove it, then {way_out}"
        )
