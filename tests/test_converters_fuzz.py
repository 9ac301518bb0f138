"""Whatever bytes a file has, it is read or refused: no other error, no crash, nothing run.

Three ways to make bytes: a good file with a few changes where its structure is, pickles put together at random from
the pieces that checkpoints are made of, and well-formed files with other values in a few places. The long run prints
how many files it tried.
"""

import contextlib
import itertools
import os
import pickletools
import struct
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from foreign_files import (
    ada_content,
    rosinality_content,
    save_torch,
    storage_bytes,
    tiny_checkpoint,
    write_ada_content,
)
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pickle_bytes import integer, text

from ui2i.converters.formats import read_checkpoint, write_checkpoint
from ui2i.converters.inert import Global
from ui2i.converters.pickle_writer import Call
from ui2i.converters.torch_pickling import tensor
from ui2i.errors import CheckpointError

SECONDS = float(os.environ.get("UI2I_FUZZ_SECONDS", "600"))
SHORT = settings(max_examples=60, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
LONG = settings(
    max_examples=100,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)

KINDS = ["ada.pkl", "new.pt", "old.pt", "native.safetensors"]
GLOBALS = [
    "collections OrderedDict",
    "dnnlib.util EasyDict",
    "torch_utils.persistence _reconstruct_persistent_obj",
    "torch.storage _load_from_bytes",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    "torch FloatStorage",
    "torch LongStorage",
    "torch Size",
    "argparse Namespace",
    "numpy dtype",
    "numpy.core.multiarray scalar",
    "numpy.core.multiarray _reconstruct",
    "_codecs encode",
    "builtins set",
    "builtins eval",
    "os system",
    "dnnlib.tflib.network Network",
]
WORDS = [
    "g_ema", "G_ema", "D", "d", "latent_avg", "ui2i", "type", "class", "class_name", "state", "Generator", "_modules",
    "_parameters", "_buffers", "synthesis", "mapping", "storage", "0", "cpu", "style.1.weight", "conv_clamp", "c_dim",
    "version", "generator", "card", "module_src", "latin1", "f8",
]  # fmt: skip


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Good files of every kind, as small as they come."""
    folder = tmp_path_factory.mktemp("good")
    tiny = tiny_checkpoint(channel_base=32, channel_max=2, z_dim=2, w_dim=2)
    for name in ("ada.pkl", "new.pt", "native.safetensors"):
        write_checkpoint(folder / name, tiny)
    save_torch(folder / "old.pt", rosinality_content(folder / "new.pt"), old_format=True)
    return {name: (folder / name).read_bytes() for name in KINDS}


@pytest.fixture(scope="module")
def places(good: dict[str, bytes]) -> dict[str, list[int]]:
    """Where each kind of file has structure: changed weights are only other weights."""
    result = {name: list(range(len(data))) for name, data in good.items()}
    result["ada.pkl"] = [
        position + offset
        for _, argument, position in pickletools.genops(good["ada.pkl"])
        for offset in range(12 if isinstance(argument, bytes) else 1 + len(str(argument or "")))
    ]
    size = struct.unpack_from("<Q", good["native.safetensors"])[0]
    result["native.safetensors"] = list(range(8 + size))
    return result


Edit = tuple[str, int, int, bytes]
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["replace", "insert", "delete", "copy", "number", "truncate"]),
        st.integers(0, 1 << 30),
        st.integers(0, 1 << 30),
        st.binary(min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=4,
)
EXTREMES = [0, 1, 0x7F, 0xFF, 0xFFFF, 1 << 31, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1, (1 << 64) - 1]


def edited(data: bytes, places: list[int], edits: list[Edit]) -> bytes:
    """Apply changes, most of them where the structure is."""
    result = bytearray(data)
    for kind, first, second, value in edits:
        place = places[first % len(places)] if second % 8 else first % max(1, len(result))
        place = min(place, len(result))
        if kind == "replace":
            result[place : place + len(value)] = value
        elif kind == "insert":
            result[place:place] = value
        elif kind == "delete":
            del result[place : place + 1 + second % 200]
        elif kind == "copy":
            source = places[second % len(places)]
            result[place:place] = result[source : source + 1 + first % 200]
        elif kind == "number":
            packed = struct.pack("<Q", EXTREMES[second % len(EXTREMES)])[: 1 + first % 8]
            result[place : place + len(packed)] = packed
        else:
            del result[place:]
    return bytes(result)


def pieces() -> st.SearchStrategy[bytes]:
    """Opcodes with arguments."""
    fixed = [bytes([code]) for code in b"()}]\x8fN\x88\x89R\x81btuesadl01\x85\x86\x87\x90\x91\x93\x94Q."]
    storage = storage_bytes(torch.zeros(3))
    return st.one_of(
        st.sampled_from(fixed),
        st.sampled_from(fixed),
        st.sampled_from(GLOBALS).map(lambda name: ("c" + name.replace(" ", "\n") + "\n").encode()),
        st.sampled_from(WORDS).map(text),
        st.integers(0, 9).map(lambda index: b"h" + bytes([index])),
        st.integers(0, 9).map(lambda index: b"q" + bytes([index])),
        st.integers(-(1 << 40), 1 << 40).map(integer),
        st.integers(-2, 5).map(integer),
        st.floats().map(lambda value: b"G" + struct.pack(">d", value)),
        st.binary(max_size=20).map(lambda value: b"C" + bytes([len(value)]) + value),
        st.just(b"B" + struct.pack("<I", len(storage)) + storage),
        st.just(b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + integer(3) + b"NtQ"),
        st.just(b"}(" + text("_modules") + b"}" + text("_parameters") + b"}" + text("_buffers") + b"}u"),
    )


def slots(value: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield every place of a value in a tree of dictionaries, calls and lists."""
    if isinstance(value, dict):
        for key in value:
            yield value, key
    below = value.values() if isinstance(value, dict) else value.arguments if isinstance(value, Call) else ()
    for child in below:
        yield from slots(child)


LABELS = [Global("torch", "FloatStorage"), Global("numpy", "ndarray")]
CALLS = [
    Call(Global("collections", "OrderedDict"), ()),
    Call(Global("argparse", "Namespace"), ()),
    Call(Global("torch", "Size"), ((1, 2),)),
]
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 60), 1 << 60),
    st.integers(-1, 9),
    st.floats(),
    st.sampled_from(WORDS),
    st.lists(st.integers(0, 3), max_size=3),
    st.dictionaries(st.sampled_from(WORDS), st.integers(0, 3), max_size=3),
)
SHAPES = st.lists(st.integers(0, 4), max_size=5)
REMOVED = object()


@contextlib.contextmanager
def swapped(tree: dict[str, Any], swaps: list[tuple[int, Any]]) -> Iterator[None]:
    """Put other values into some places of a tree for a while."""
    places = list(slots(tree))
    old = []
    for index, value in swaps:
        container, key = places[index % len(places)]
        if key in container:
            old.append((container, dict(container)))
            if value is REMOVED:
                del container[key]
            else:
                container[key] = value
    try:
        yield
    finally:
        for container, before in reversed(old):
            container.clear()
            container.update(before)


def attempt(path: Path, data: bytes) -> str:
    """Read a file. Anything but a model or the project's own error passes on and fails the test."""
    path.write_bytes(data)
    try:
        read_checkpoint(path)
    except CheckpointError as error:
        message = str(error)
    else:
        return "read"
    assert "expected" in message and "\n" not in message
    return "refused"


def check_edited(
    path: Path, good: dict[str, bytes], places: dict[str, list[int]], counts: Counter[str]
) -> Callable[..., Any]:
    @given(st.sampled_from(KINDS), EDITS)
    def check(kind: str, edits: list[Edit]) -> None:
        counts[f"{kind}: {attempt(path, edited(good[kind], places[kind], edits))}"] += 1

    return check


def check_assembled(path: Path, counts: Counter[str]) -> Callable[..., Any]:
    @given(st.lists(pieces(), max_size=60), st.booleans())
    def check(parts: list[bytes], is_zip: bool) -> None:
        some = b"}]N)" + text("g_ema") + integer(1)  # so that the first opcodes find something on the stack
        body = b"\x80\x02" + some * 2 + b"".join(parts) + b"."
        if is_zip:
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("archive/data.pkl", body)
                archive.writestr("archive/data/0", bytes(12))
            body = path.read_bytes()
        counts[f"assembled: {attempt(path, body)}"] += 1

    return check


def check_swapped(path: Path, trees: list[dict[str, Any]], counts: Counter[str]) -> Callable[..., Any]:
    ada, rosinality = trees
    numbers = st.integers(0, 1 << 30)
    tensors = SHAPES.map(lambda shape: torch.ones(shape))
    for_ada = st.one_of(PLAIN, st.sampled_from([REMOVED, *LABELS, *CALLS]), tensors.map(tensor))
    for_rosinality = st.one_of(PLAIN, st.just(REMOVED), tensors)

    @given(
        st.lists(st.tuples(numbers, for_ada), min_size=1, max_size=3),
        st.lists(st.tuples(numbers, for_rosinality), min_size=1, max_size=3),
    )
    def check(ada_swaps: list[tuple[int, Any]], rosinality_swaps: list[tuple[int, Any]]) -> None:
        with swapped(ada, ada_swaps):
            write_ada_content(path, ada)
        counts[f"swapped ada: {attempt(path, path.read_bytes())}"] += 1
        with swapped(rosinality, rosinality_swaps):
            save_torch(path, rosinality)
        counts[f"swapped rosinality: {attempt(path, path.read_bytes())}"] += 1

    return check


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The content of a good `.pkl` and of a good `.pt`."""
    path = tmp_path_factory.mktemp("trees") / "model.pt"
    tiny = tiny_checkpoint(channel_base=32, channel_max=2, z_dim=2, w_dim=2)
    write_checkpoint(path, tiny)
    return [ada_content(tiny), rosinality_content(path)]


def test_good_files_are_good(tmp_path: Path, good: dict[str, bytes]) -> None:
    assert {attempt(tmp_path / "file", data) for data in good.values()} == {"read"}


def test_changed_files(tmp_path: Path, good: dict[str, bytes], places: dict[str, list[int]]) -> None:
    counts: Counter[str] = Counter()
    SHORT(check_edited(tmp_path / "file", good, places, counts))()
    assert sum(counts.values()) >= 50


def test_assembled_pickles(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    SHORT(check_assembled(tmp_path / "file", counts))()
    assert sum(counts.values()) >= 50


@pytest.mark.slow
def test_long(
    tmp_path: Path, good: dict[str, bytes], places: dict[str, list[int]], trees: list[dict[str, Any]], capfd: Any
) -> None:
    """All three ways in turn for UI2I_FUZZ_SECONDS (600)."""
    counts: Counter[str] = Counter()
    path = tmp_path / "file"
    ways = (check_edited(path, good, places, counts), check_assembled(path, counts), check_swapped(path, trees, counts))
    checks = itertools.cycle([LONG(way) for way in ways])
    started = time.monotonic()
    while time.monotonic() - started < SECONDS:
        next(checks)()
    seconds = time.monotonic() - started
    with capfd.disabled():
        print(f"\n{sum(counts.values()):,} files in {seconds:.0f} s: {dict(sorted(counts.items()))}")  # noqa: T201
