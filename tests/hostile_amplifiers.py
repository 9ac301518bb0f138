"""Small files that would cost gigabytes or hours: they multiply, with references of two bytes to something large.

Each writes a file at `path` of at most a few megabytes. `HOSTILE` says in a word of the message why it is refused.
"""

import json
import struct
import zipfile
import zlib
from pathlib import Path

import torch
from foreign_files import ada_content, module_state, storage_bytes, tiny_checkpoint, write_ada_content
from hostile_files import Hostile
from pickle_bytes import call, integer, pickled, text

from ui2i.converters.inert import Global
from ui2i.converters.pickle_writer import Call

TIMES = 40_000


def remembered(value: bytes, index: int) -> bytes:
    """Put a value into the memo, and off the stack."""
    return value + b"r" + struct.pack("<I", index) + b"0"


def repeated(function: bytes, argument: bytes, times: int = TIMES) -> bytes:
    """A list of the results of a function, called again and again with one argument out of the memo."""
    return remembered(argument, 1) + remembered(function, 2) + b"](" + b"h\x02h\x01R" * times + b"e"


def numbers(count: int, step: int = 1) -> bytes:
    """A list of whole numbers."""
    return b"](" + b"".join(b"\x8a\x10" + (step * i + 70_000).to_bytes(16, "little") for i in range(count)) + b"e"


def one_list_made_a_set_again_and_again(path: Path, trap: Path) -> None:
    path.write_bytes(pickled(repeated(b"cbuiltins\nset\n", numbers(10_000) + b"\x85")))


def one_list_made_a_frozen_set_again_and_again(path: Path, trap: Path) -> None:
    path.write_bytes(pickled(repeated(b"c__builtin__\nfrozenset\n", numbers(10_000) + b"\x85")))


def one_text_encoded_again_and_again(path: Path, trap: Path) -> None:
    arguments = b"(" + text("x" * 8190) + text("latin1") + b"t"
    path.write_bytes(pickled(repeated(b"c_codecs\nencode\n", arguments)))


def one_long_text_encoded_again_and_again(path: Path, trap: Path) -> None:
    arguments = b"(" + text("\u00ff" * 50_000) + text("latin1") + b"t"
    path.write_bytes(pickled(repeated(b"c_codecs\nencode\n", arguments)))


def one_stream_read_again_and_again(path: Path, trap: Path) -> None:
    data = storage_bytes(torch.zeros(4))
    arguments = b"B" + struct.pack("<I", len(data)) + data + b"\x85"
    path.write_bytes(pickled(repeated(b"ctorch.storage\n_load_from_bytes\n", arguments)))


def one_list_in_a_list_again_and_again(path: Path, trap: Path) -> None:
    """Each reference was followed into a copy of the inner list."""
    inner = b"](" + b"N" * 130_000 + b"e"
    path.write_bytes(pickled(remembered(inner, 1) + b"](" + b"h\x01" * 60_000 + b"e"))


def keys_of_one_hash(path: Path, trap: Path) -> None:
    prime = (1 << 61) - 1
    body = b"".join(b"\x8a\x10" + (i * prime).to_bytes(16, "little", signed=True) + b"N" for i in range(1, 60_000))
    path.write_bytes(pickled(b"}(" + body + b"u"))


def set_elements_of_one_hash(path: Path, trap: Path) -> None:
    path.write_bytes(pickled(call("builtins", "set", numbers(60_000, (1 << 61) - 1))))


def a_note_of_references(path: Path, trap: Path) -> None:
    """A card whose provenance doubles fifty times for whoever copies or saves it."""
    double = remembered(b"]", 1)
    for index in range(1, 50):
        double += remembered(b"](h" + bytes([index]) + b"h" + bytes([index]) + b"e", index + 1)
    card = b"}(" + text("domain") + text("x") + text("mode") + text("FT") + text("provenance")
    card += b"}" + text("a") + b"h\x32s" + b"u"
    note = b"}(" + text("version") + integer(1) + text("network") + b"}" + text("has_discriminator") + b"\x88"
    note += text("card") + card + b"u"
    state = b"}" + text("style.1.weight") + call("collections", "OrderedDict") + b"s"
    path.write_bytes(b"\x80\x04" + double + b"}(" + text("g_ema") + state + text("ui2i") + note + b"u.")


def attributes_of_references(path: Path, trap: Path) -> None:
    """An attribute that doubles 25 times for whoever prints it."""
    content = ada_content(tiny_checkpoint())
    tower = Call(Global("argparse", "Namespace"), ())
    for _ in range(25):
        tower = Call(Global("argparse", "Namespace"), ((tower, tower),))
    for name in ("conv0", "conv1"):
        module_state(content["G_ema"], f"synthesis.b8.{name}")["conv_clamp"] = tower
    write_ada_content(path, content)


def modules_that_share_many_tensors(path: Path, trap: Path) -> None:
    content = ada_content(tiny_checkpoint())
    shared = next(iter(module_state(content["G_ema"], "mapping.fc0")["_parameters"].values()))
    inner = {"_parameters": {f"p{i}": shared for i in range(400)}, "_buffers": {}, "_modules": {}}
    leaf = Call(Global("torch_utils.persistence", "_reconstruct_persistent_obj"), (described(inner),))
    outer = {"_parameters": {}, "_buffers": {}, "_modules": {f"m{i}": leaf for i in range(450)}}
    module = Call(Global("torch_utils.persistence", "_reconstruct_persistent_obj"), (described(outer),))
    write_ada_content(path, {"G_ema": module})


def described(state: dict[str, object]) -> dict[str, object]:
    """What a module is made from."""
    return {"type": "class", "class_name": "Generator", "state": state}


def many_empty_tensors_in_safetensors(path: Path, trap: Path) -> None:
    entries = {f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(60_000)}
    header = json.dumps(entries | {"__metadata__": {"ui2i": "{}"}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)


def many_empty_tensors_in_safetensors_of_others(path: Path, trap: Path) -> None:
    header = json.dumps({f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(60_000)})
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode())


def a_zip_that_unpacks_to_far_more(path: Path, trap: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.pt", bytes(200_000_000))


def a_zip_that_lies_about_its_size(path: Path, trap: Path) -> None:
    a_zip_that_unpacks_to_far_more(path, trap)
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        place = data.find(signature) + offset
        data[place : place + 4] = struct.pack("<I", 1000)
    path.write_bytes(data)


def a_gz_that_unpacks_to_far_more(path: Path, trap: Path) -> None:
    packer = zlib.compressobj(9, wbits=31)
    path.write_bytes(packer.compress(bytes(200_000_000)) + packer.flush())


HOSTILE: dict[Hostile, str] = {
    one_list_made_a_set_again_and_again: "out of few",
    one_list_made_a_frozen_set_again_and_again: "out of few",
    one_text_encoded_again_and_again: "out of few",
    one_long_text_encoded_again_and_again: "out of few",
    one_stream_read_again_and_again: "more than 200,000 pickle opcodes",
    one_list_in_a_list_again_and_again: "contains",
    keys_of_one_hash: "usual whole number",
    set_elements_of_one_hash: "usual whole number",
    a_note_of_references: "a note of more than 10,000 parts",
    attributes_of_references: "conv_clamp",
    modules_that_share_many_tensors: "more than 5,000 tensors",
    many_empty_tensors_in_safetensors: "a header of",
    many_empty_tensors_in_safetensors_of_others: "a header of",
    a_zip_that_unpacks_to_far_more: "unpacks to more than",
    a_zip_that_lies_about_its_size: "unpacks to more than",
    a_gz_that_unpacks_to_far_more: "unpacks to more than",
}
