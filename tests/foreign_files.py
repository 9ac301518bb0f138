"""Files in the formats of other tools, whole and tampered with, for the tests of what reads them."""

import io
import json
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from conftest import randomize
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from ui2i.checkpoints import ModelCard
from ui2i.converters.ada_modules import discriminator_module, generator_module
from ui2i.converters.formats import Checkpoint, write_checkpoint
from ui2i.converters.pickle_writer import Call, write_pickle
from ui2i.converters.torch_files import map_file, read_tree
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator
from ui2i.settings import NetworkConfig

CARD = ModelCard(domain="tiny", mode="scratch", images_seen=7, provenance={"commit": "12", "versions": {"torch": "2"}})


def tiny_config(**settings: Any) -> NetworkConfig:
    """32 px, a few numbers a layer."""
    default = {
        "img_resolution": 32,
        "z_dim": 8,
        "w_dim": 8,
        "num_mapping_layers": 2,
        "channel_base": 128,
        "channel_max": 6,
        "mbstd_group_size": 4,
    }
    return NetworkConfig(**(default | settings))


def tiny_checkpoint(seed: int = 0, *, discriminator: bool = True, **settings: Any) -> Checkpoint:
    """A random model, none of whose values is left at 0 or 1."""
    torch.manual_seed(seed)
    config = tiny_config(**settings)
    return Checkpoint(
        format="ui2i",
        generator=randomize(Generator(config)).eval().requires_grad_(False),
        discriminator=randomize(Discriminator(config)).eval().requires_grad_(False) if discriminator else None,
        card=CARD,
    )


def write_tiny(path: Path) -> Path:
    """Write a tiny checkpoint in the format of its suffix."""
    write_checkpoint(path, tiny_checkpoint())
    return path


def load_expected(folder: Path, name: str) -> dict[str, Tensor]:
    """What a reference checkpoint must produce."""
    with np.load(folder / f"{name}-expected.npz") as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays}


def raw_tree(path: Path) -> Any:
    """The content of a file, before it is made networks of."""
    return read_tree(map_file(path))


def ada_content(checkpoint: Checkpoint) -> dict[str, Any]:
    """What a `.pkl` of stylegan2-ada-pytorch contains, ready to be changed."""
    assert checkpoint.discriminator is not None
    generator = generator_module(checkpoint.generator)
    return {"G": generator, "D": discriminator_module(checkpoint.discriminator), "G_ema": generator}


def module_state(module: Call, path: str = "") -> dict[str, Any]:
    """The attributes of a submodule, to be changed."""
    state = module.arguments[0]["state"]
    for name in path.split(".") if path else ():
        state = state["_modules"][name].arguments[0]["state"]
    return state


def all_modules(module: Call) -> Iterable[Call]:
    """A module and all below it."""
    yield module
    for child in module_state(module)["_modules"].values():
        yield from all_modules(child)


def write_ada_content(path: Path, content: Any) -> Path:
    """Write what `ada_content` gave."""
    with path.open("wb") as file:
        write_pickle(file, content)
    return path


def rosinality_content(path: Path) -> dict[str, Any]:
    """Read a written `.pt` back with torch, to be changed."""
    return torch.load(path, weights_only=True)


def save_torch(path: Path, content: Any, *, old_format: bool = False) -> Path:
    """Write with torch, in its format of today or of before 2020."""
    torch.save(content, path, _use_new_zipfile_serialization=not old_format)
    return path


def storage_bytes(values: Tensor) -> bytes:
    """A storage as torch embeds it in a plain pickle."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # typed storages are deprecated
        torch.save(values.contiguous().storage(), file, _use_new_zipfile_serialization=False)
    return file.getvalue()


def replace_once(path: Path, old: bytes, new: bytes) -> Path:
    """Change some bytes of a file."""
    data = path.read_bytes()
    assert data.count(old) >= 1
    path.write_bytes(data.replace(old, new, 1))
    return path


def native_header(path: Path) -> dict[str, Any]:
    """The header of a native file."""
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["ui2i"])


def set_value(path: Path, name: str, value: float, *, keep_digest: bool = True) -> Path:
    """Change the first value of a tensor in a native file, as another program would: the header stays as it is.

    Args:
        keep_digest: False: write the header of before there were digests.
    """
    header, tensors = native_header(path), load_file(path)
    tensors[name].view(-1)[0] = value
    if not keep_digest:
        del header["digest"]
    save_file(tensors, path, metadata={"ui2i": json.dumps(header)})
    return path


Change = Callable[[dict[str, Any]], None]
