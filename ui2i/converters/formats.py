"""One way in and one way out for every format: this project's own, rosinality's and stylegan2-ada-pytorch's.

The format of a file is detected from its content, that of a new one from its name. A written file is read again and
compared bit for bit before it takes its place.
"""

import dataclasses
from pathlib import Path
from typing import Literal

import torch

from ui2i.checkpoints import ModelCard, load_network, save_discriminator, save_generator
from ui2i.converters import ada, rosinality
from ui2i.converters.ada_file import write_ada
from ui2i.converters.foreign import ForeignFormat, ForeignModel, ForeignName
from ui2i.converters.inert import RefusedError
from ui2i.converters.note import Note, network_digest
from ui2i.converters.safetensors_tree import is_native, is_safetensors, read_safetensors
from ui2i.converters.torch_files import map_file, read_tree, release
from ui2i.converters.wrappings import unwrapped
from ui2i.errors import CheckpointError
from ui2i.files import atomic_file, atomic_folder, sha256_file
from ui2i.model_files import DISCRIMINATOR_FILE, GENERATOR_FILE
from ui2i.names import printable
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator
from ui2i.untrusted import shown

Format = Literal["ui2i"] | ForeignName
IMPORTED_MODE = "imported"
UNKNOWN_LICENSE = "unknown: ask its publisher"

FOREIGN_FORMATS: dict[ForeignName, ForeignFormat] = {  # in the order in which they are tried
    "ada": ForeignFormat(
        tool="stylegan2-ada-pytorch",
        content="G_ema",
        suffixes=(".pkl",),
        holds=ada.is_ada,
        read=ada.read_ada,
        write=write_ada,
    ),
    "rosinality": ForeignFormat(
        tool="rosinality",
        content="g_ema",
        suffixes=(".pt", ".pth"),
        holds=rosinality.is_rosinality,
        read=rosinality.read_rosinality,
        write=rosinality.write_rosinality,
    ),
}
_NATIVE_SUFFIXES = ("", ".safetensors")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A model from a file of any format. Its tensors may be the file's own bytes: do not truncate it meanwhile."""

    format: Format
    generator: Generator
    discriminator: Discriminator | None
    card: ModelCard
    remarks: tuple[str, ...] = ()  # what was left out or filled in, in words
    has_digest: bool = False  # whether its file records what was written, and has it still


def read_checkpoint(path: Path, *, generator_only: bool = False) -> Checkpoint:
    """Read a model from a file, or from a folder of this project. Nothing that it contains is run.

    Args:
        generator_only: leave a discriminator where it is, so that one that does not fit is no hindrance.

    Raises:
        CheckpointError: it is missing, damaged, of another kind or architecture, or contains more than data.
    """
    path = Path(path)
    if path.is_dir():
        return _read_folder(path, generator_only=generator_only)
    try:
        with unwrapped(path) as inner:
            data = map_file(inner)
            if is_safetensors(data) and is_native(inner):
                return _read_native(inner, None, named=path)
            foreign = _read_foreign(inner, data, generator_only=generator_only)
            if foreign.note is not None:
                foreign.note.check(generator=foreign.generator, discriminator=foreign.discriminator)
            release(data)
    except RefusedError as error:
        raise CheckpointError(f"{path} {error}") from error
    card = foreign.note.card if foreign.note else _imported_card(path, foreign.format)
    return Checkpoint(
        format=foreign.format,
        generator=foreign.generator,
        discriminator=foreign.discriminator,
        card=card,
        remarks=foreign.remarks,
        has_digest=foreign.note is not None and bool(foreign.note.digests),
    )


def write_checkpoint(path: Path, checkpoint: Checkpoint, format_: Format | None = None) -> tuple[str, ...]:
    """Write a model atomically, after it was read again and found equal bit for bit.

    Args:
        path: a `.pt`, `.pkl` or `.safetensors` (the generator alone), or a folder (this project's).
        format_: None: as the path's ending says.

    Returns:
        What the file has not, or what other tools will do differently, in words.

    Raises:
        CheckpointError: the format cannot hold the model, or the written file is not equal.
    """
    path, format_ = Path(path), format_ or format_of(path)
    try:
        if format_ == "ui2i" and path.suffix != ".safetensors":
            with atomic_folder(path) as folder:
                write_folder(folder, checkpoint)
            return ()
        with atomic_file(path) as temporary:
            remarks = _write_file(temporary, checkpoint, format_)
            expected = checkpoint
            if format_ == "ui2i":
                expected = dataclasses.replace(checkpoint, discriminator=None)
            _verify(temporary, expected)
    except RefusedError as error:
        raise CheckpointError(f"the model {error}") from error
    return remarks


def write_folder(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a model into a folder that is there, in this project's format, and read it again to compare."""
    save_generator(folder / GENERATOR_FILE, checkpoint.generator, checkpoint.card)
    if checkpoint.discriminator is not None:
        save_discriminator(folder / DISCRIMINATOR_FILE, checkpoint.discriminator, checkpoint.card)
    _verify(folder, checkpoint)


def format_of(path: Path) -> Format:
    """Return the format that a new file's name asks for.

    Raises:
        CheckpointError: its ending is unknown.
    """
    suffix = path.suffix.lower()
    if suffix in _NATIVE_SUFFIXES:
        return "ui2i"
    for name, foreign in FOREIGN_FORMATS.items():
        if suffix in foreign.suffixes:
            return name
    known = ", ".join(f"{foreign.suffixes[0]} ({foreign.tool})" for foreign in FOREIGN_FORMATS.values())
    raise CheckpointError(f"{path} ends in {path.suffix}, expected {known}, .safetensors or a folder (ui2i); rename it")


def differences(first: Checkpoint, second: Checkpoint) -> list[str]:
    """Return in what two models differ, in words; every tensor is compared bit for bit."""
    found = []
    for name in ("generator", "discriminator"):
        one, other = getattr(first, name), getattr(second, name)
        if one is None or other is None:
            if one is not other:
                found.append(f"only one has a {name}")
            continue
        if one.config != other.config:
            found.append(f"the {name}s' architectures")
        state, other_state = one.state_dict(), other.state_dict()
        found += [f"{name} {key}" for key in state if not _is_equal(state[key], other_state.get(key))]
        found += [f"{name} {key}" for key in other_state if key not in state]
    return found


def _is_equal(one: torch.Tensor, other: torch.Tensor | None) -> bool:
    if other is None or one.shape != other.shape or one.dtype != other.dtype:
        return False
    return torch.equal(one.contiguous().view(torch.int32), other.contiguous().view(torch.int32))


def _read_folder(folder: Path, *, generator_only: bool) -> Checkpoint:
    second = folder / DISCRIMINATOR_FILE
    return _read_native(folder / GENERATOR_FILE, second if second.exists() and not generator_only else None)


def _read_native(generator_path: Path, discriminator_path: Path | None, *, named: Path | None = None) -> Checkpoint:
    """Read native files; `named` is what to call a file that was unpacked from another."""
    try:
        generator = load_network(generator_path, Generator, share_file=True)
    except CheckpointError as error:
        raise CheckpointError(str(error).replace(str(generator_path), str(named or generator_path))) from error
    discriminator, notes = None, [generator.note]
    if discriminator_path is not None:
        second = load_network(discriminator_path, Discriminator, share_file=True)
        discriminator, notes = second.network, [*notes, second.note]
    return Checkpoint(
        format="ui2i",
        generator=generator.network,
        discriminator=discriminator,
        card=generator.card,
        remarks=tuple(dict.fromkeys(note for note in notes if note)),
        has_digest=not any(notes),
    )


def _read_foreign(path: Path, data: memoryview, *, generator_only: bool) -> ForeignModel:
    tree = read_safetensors(path, data) if is_safetensors(data) else read_tree(data)
    for foreign in FOREIGN_FORMATS.values():
        if foreign.holds(tree):
            return foreign.read(tree, generator_only=generator_only)
    keys = list(tree) if type(tree) is dict else type(tree).__name__
    known = " or ".join(f"{foreign.content} ({foreign.tool})" for foreign in FOREIGN_FORMATS.values())
    raise RefusedError(f"contains {shown(keys)}, expected {known}; check which file it is")


def _imported_card(path: Path, format_: str) -> ModelCard:
    origin = {"file": printable(path.name), "format": format_, "sha256": sha256_file(path)}
    return ModelCard(
        domain=printable(path.stem), mode=IMPORTED_MODE, license=UNKNOWN_LICENSE, provenance={"imported": origin}
    )


def _write_file(path: Path, checkpoint: Checkpoint, format_: Format) -> tuple[str, ...]:
    generator, discriminator, card = checkpoint.generator, checkpoint.discriminator, checkpoint.card
    if format_ == "ui2i":
        save_generator(path, generator, card)
        return () if discriminator is None else ("the discriminator is left out: name a folder to keep it",)
    networks = {"generator": generator} | ({} if discriminator is None else {"discriminator": discriminator})
    note = Note(
        network=generator.config,
        has_discriminator=discriminator is not None,
        card=card,
        digests={name: network_digest(network) for name, network in networks.items()},
    )
    with path.open("wb") as file:
        return FOREIGN_FORMATS[format_].write(file, generator, discriminator, note)


def _verify(path: Path, expected: Checkpoint) -> None:
    found = differences(expected, read_checkpoint(path))
    assert not found, f"the written file differs from the model: {found[:3]}"
