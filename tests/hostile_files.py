"""Files that are made to harm whoever loads them, one function each. None of them may do anything but be refused.

Each writes a file at `path`; those that would run code would make the folder `trap`.
"""

import io
import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch
from foreign_files import ada_content, module_state, save_torch, storage_bytes, tiny_checkpoint, write_ada_content
from pickle_bytes import GIB, call, pickled, tensor_pickle, text, torch_zip
from safetensors.torch import save_file

from ui2i.converters.formats import write_checkpoint
from ui2i.converters.inert import Global
from ui2i.converters.pickle_writer import Call

Hostile = Callable[[Path, Path], None]


def os_system_in_pt(path: Path, trap: Path) -> None:
    torch_zip(path, pickled(call("os", "system", text(f"mkdir {trap}"))))


def os_system_in_pkl(path: Path, trap: Path) -> None:
    path.write_bytes(pickled(call("posix", "system", text(f"mkdir {trap}"))))


def os_system_in_an_old_pt(path: Path, trap: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(trap),)

    save_torch(path, {"g_ema": Bomb()}, old_format=True)


def os_system_in_an_embedded_storage(path: Path, trap: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(trap),)

    file = io.BytesIO()
    torch.save(Bomb(), file, _use_new_zipfile_serialization=False)
    data = b"B" + struct.pack("<I", len(file.getvalue())) + file.getvalue()
    path.write_bytes(pickled(call("torch.storage", "_load_from_bytes", data)))


def builtins_eval(path: Path, trap: Path) -> None:
    path.write_bytes(pickled(call("builtins", "eval", text(f"__import__('os').mkdir({str(trap)!r})"))))


def nested_reduce(path: Path, trap: Path) -> None:
    """getattr(getattr(__import__("os"), "mkdir")...)(trap)."""
    imported = call("builtins", "__import__", text("os"))
    function = call("builtins", "getattr", imported, text("mkdir"))
    path.write_bytes(pickled(function + b"(" + text(str(trap)) + b"tR"))


def reduce_of_a_result(path: Path, trap: Path) -> None:
    """Calls what an allowed call returned."""
    path.write_bytes(pickled(call("collections", "OrderedDict") + b"(" + text(str(trap)) + b"tR"))


def build_with_setstate(path: Path, trap: Path) -> None:
    """BUILD on what is no object, with attributes that would be called."""
    state = b"}" + text("__setstate__") + b"cos\nmkdir\ns"
    path.write_bytes(pickled(call("argparse", "Namespace") + state + b"b"))


def instance_opcode(path: Path, trap: Path) -> None:
    path.write_bytes(pickled(b"(" + text(str(trap)) + b"ios\nmkdir\n"))


def extension_opcode(path: Path, trap: Path) -> None:
    path.write_bytes(pickled(b"\x82\x01"))


def named_by_two_texts(path: Path, trap: Path) -> None:
    path.write_bytes(pickled(text("os") + text("mkdir") + b"\x93(" + text(str(trap)) + b"tR"))


def storage_larger_than_its_bytes(path: Path, trap: Path) -> None:
    torch_zip(path, tensor_pickle(1 << 31, (1 << 31,), (1,)), {"0": bytes(64)})


def storage_larger_than_its_bytes_in_pkl(path: Path, trap: Path) -> None:
    data = bytearray(storage_bytes(torch.zeros(1000)))
    position = data.rfind(struct.pack("<q", 1000))
    data[position : position + 8] = struct.pack("<q", 1 << 40)
    pushed = b"B" + struct.pack("<I", len(data)) + bytes(data)
    path.write_bytes(pickled(call("torch.storage", "_load_from_bytes", pushed)))


def tensor_larger_than_its_storage(path: Path, trap: Path) -> None:
    """torch.load itself grows the storage to what the tensor asks for."""
    torch_zip(path, tensor_pickle(16, (1 << 34,), (1,)), {"0": bytes(64)})


def tensor_of_one_number_repeated(path: Path, trap: Path) -> None:
    torch_zip(path, tensor_pickle(16, (1 << 17, 1 << 17), (0, 0)), {"0": bytes(64)})


def tensor_before_its_storage(path: Path, trap: Path) -> None:
    torch_zip(path, tensor_pickle(16, (-4, -4), (-4, -1)), {"0": bytes(64)})


def tensors_that_share_a_storage(path: Path, trap: Path) -> None:
    """A thousand tensors of a mebibyte, all of the same bytes."""
    shared = torch.zeros(1 << 18)
    save_torch(path, {"g_ema": {str(index): shared.view(512, 512) for index in range(1000)}})


def zip_bomb(path: Path, trap: Path) -> None:
    torch_zip(path, tensor_pickle(1 << 24, (1 << 24,), (1,)), {"0": bytes(1 << 26)}, zipfile.ZIP_DEFLATED)


def zip_of_one_record_many_times(path: Path, trap: Path) -> None:
    """Many entries of the directory point to the same bytes."""
    torch_zip(path, tensor_pickle(16, (16,), (1,)), {"0": bytes(64)})
    data = path.read_bytes()
    end = data.rfind(b"PK\x05\x06")
    count, size, start = struct.unpack_from("<HII", data, end + 10)
    copies = 3000
    directory = data[start : start + size] * copies
    fields = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count * copies, count * copies, len(directory), start, 0)
    path.write_bytes(data[:start] + directory + fields)


def zip_with_a_huge_directory(path: Path, trap: Path) -> None:
    torch_zip(path, tensor_pickle(16, (16,), (1,)), {"0": bytes(64)})
    data = path.read_bytes()
    end64 = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1 << 40, 1 << 40, 10 * GIB, 0)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, len(data), 1)
    fields = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    path.write_bytes(data + end64 + locator + fields)


def truncated_pt(path: Path, trap: Path) -> None:
    write_checkpoint(path.with_suffix(".pt"), tiny_checkpoint())
    path.write_bytes(path.with_suffix(".pt").read_bytes()[:-5000])


def truncated_pkl(path: Path, trap: Path) -> None:
    write_checkpoint(path.with_suffix(".pkl"), tiny_checkpoint())
    path.write_bytes(path.with_suffix(".pkl").read_bytes()[:-5000])


def wrong_magic(path: Path, trap: Path) -> None:
    path.write_bytes(b"PK\x03\x05" + bytes(1000))


def wrong_magic_number_of_torch(path: Path, trap: Path) -> None:
    data = bytearray(storage_bytes(torch.zeros(4)))
    data[5] ^= 1
    pushed = b"B" + struct.pack("<I", len(data)) + bytes(data)
    path.write_bytes(pickled(call("torch.storage", "_load_from_bytes", pushed)))


def path_traversal_in_a_record(path: Path, trap: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", tensor_pickle(16, (16,), (1,)))
        archive.writestr(f"../../../..{trap}", "here")


def path_traversal_in_a_key(path: Path, trap: Path) -> None:
    torch_zip(path, tensor_pickle(16, (16,), (1,), key="../../../../etc/passwd"), {"0": bytes(64)})


def ten_gigabyte_header_of_safetensors(path: Path, trap: Path) -> None:
    path.write_bytes(struct.pack("<Q", 10 * GIB) + b'{"x":' + bytes(1000))


def ten_gigabyte_text(path: Path, trap: Path) -> None:
    path.write_bytes(b"\x80\x04\x8d" + struct.pack("<Q", 10 * GIB) + b"x" * 1000)


def ten_gigabyte_bytes(path: Path, trap: Path) -> None:
    path.write_bytes(b"\x80\x04\x8e" + struct.pack("<Q", 10 * GIB) + b"x" * 1000)


def huge_memo_index(path: Path, trap: Path) -> None:
    """Python's unpickler makes a table as long as the largest index."""
    path.write_bytes(b"\x80\x04" + b"}r" + struct.pack("<I", 0xFFFFFFFF) + b".")


def huge_whole_number(path: Path, trap: Path) -> None:
    path.write_bytes(b"\x80\x04\x8a\xff" + b"\x7f" * 255 + b".")


def cyclic_list(path: Path, trap: Path) -> None:
    path.write_bytes(pickled(b"]\x94h\x00a"))


def cyclic_module(path: Path, trap: Path) -> None:
    """A generator among whose submodules is itself."""
    meta = b"}\x94" + text("type") + text("class") + b"s" + text("class_name") + text("Generator") + b"s"
    state = text("state") + b"}" + text("_modules") + b"}" + text("me") + b"h\x00sss"
    path.write_bytes(pickled(b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n" + meta + state + b"\x85R"))


def nested_deep(path: Path, trap: Path) -> None:
    path.write_bytes(b"\x80\x04)" + b"\x85" * 20_000 + b".")


def many_open_containers(path: Path, trap: Path) -> None:
    path.write_bytes(b"\x80\x04" + b"(" * 50_000 + b"t" * 50_000 + b".")


def a_billion_laughs(path: Path, trap: Path) -> None:
    """t = (t, t), 60 times: exponential for whoever follows every reference, or hashes it."""
    double = b"".join(b"h" + bytes([index]) + b"h" + bytes([index]) + b"\x86\x94" for index in range(60))
    path.write_bytes(b"\x80\x04)\x94" + double + b"}h\x3cNs.")


def many_empty_sets(path: Path, trap: Path) -> None:
    path.write_bytes(b"\x80\x04(" + b"\x8f" * 250_000 + b"t.")


def streams_inside_streams(path: Path, trap: Path) -> None:
    data = storage_bytes(torch.zeros(1))
    for _ in range(100):
        inner = call("torch.storage", "_load_from_bytes", b"B" + struct.pack("<I", len(data)) + data)
        header = storage_bytes(torch.zeros(1))
        data = header[: header.index(b"\x80\x02(")] + b"\x80\x02" + inner + b".\x80\x02]."
    path.write_bytes(pickled(call("torch.storage", "_load_from_bytes", b"B" + struct.pack("<I", len(data)) + data)))


def many_modules(path: Path, trap: Path) -> None:
    """Modules that share their submodules: 2^20 by name."""
    content = ada_content(tiny_checkpoint())
    module = content["D"]
    for _ in range(15):
        state = {"_parameters": {}, "_buffers": {}, "_modules": {"a": module, "b": module}}
        meta = {"type": "class", "class_name": "Generator", "state": state}
        module = Call(Global("torch_utils.persistence", "_reconstruct_persistent_obj"), (meta,))
    write_ada_content(path, {"G_ema": module})


def escape_sequences(path: Path, trap: Path) -> None:
    """Names that would steer the terminal of whoever prints them."""
    path.write_bytes(pickled(b"c\x1b]0;evil\x07\nname\n"))


def huge_network_in_a_header(path: Path, trap: Path) -> None:
    network = {"img_resolution": 1024, "channel_base": 1 << 40, "channel_max": 1 << 30, "num_mapping_layers": 2}
    header = {"format_version": 1, "kind": "generator", "network": network, "card": {"domain": "x", "mode": "FT"}}
    tensors = {name: torch.zeros(1) for name in "abc"}
    save_file(tensors, path, metadata={"ui2i": json.dumps(header)})


def endless_network_in_a_header(path: Path, trap: Path) -> None:
    header = {
        "format_version": 1,
        "kind": "generator",
        "network": {"num_mapping_layers": 10**12},
        "card": {"domain": "x", "mode": "FT"},
    }
    save_file({"a": torch.zeros(1)}, path, metadata={"ui2i": json.dumps(header)})


def nested_header(path: Path, trap: Path) -> None:
    save_file({"a": torch.zeros(1)}, path, metadata={"ui2i": "[" * 200_000})


def a_clamp_that_is_a_tower(path: Path, trap: Path) -> None:
    """An attribute, in two layers, that would take exponential time to compare."""
    content = ada_content(tiny_checkpoint())
    for name in ("conv0", "conv1"):
        tower = Call(Global("argparse", "Namespace"), ())
        for _ in range(18):
            tower = Call(Global("argparse", "Namespace"), ((tower, tower),))
        module_state(content["G_ema"], f"synthesis.b8.{name}")["conv_clamp"] = tower
    write_ada_content(path, content)


# Why each must be refused, in a word of the message.
HOSTILE: dict[Hostile, str] = {
    os_system_in_pt: "names 'os.system'",
    os_system_in_pkl: "names 'posix.system'",
    os_system_in_an_old_pt: "names 'posix.mkdir'",
    os_system_in_an_embedded_storage: "names 'posix.mkdir'",
    builtins_eval: "names 'builtins.eval'",
    nested_reduce: "names 'builtins.getattr'",
    reduce_of_a_result: "applies {}",
    build_with_setstate: "names 'os.mkdir'",
    instance_opcode: "opcode 0x69",
    extension_opcode: "opcode 0x82",
    named_by_two_texts: "names 'os.mkdir'",
    storage_larger_than_its_bytes: "64 bytes for a storage that claims 8,589,934,592",
    storage_larger_than_its_bytes_in_pkl: "another length for storage",
    tensor_larger_than_its_storage: "claims a tensor of shape (17179869184,)",
    tensor_of_one_number_repeated: "claims a tensor of shape (131072, 131072)",
    tensor_before_its_storage: "claims a tensor of shape (-4, -4)",
    tensors_that_share_a_storage: "MiB of tensors",
    zip_bomb: "compressed or encrypted record",
    zip_of_one_record_many_times: "two records named",
    zip_with_a_huge_directory: "announces 1,099,511,627,776 records",
    truncated_pt: "has no directory at its end",
    truncated_pkl: "more were announced",
    wrong_magic: "begins with b'PK",
    wrong_magic_number_of_torch: "expected torch's magic number",
    path_traversal_in_a_record: "expected names inside the archive",
    path_traversal_in_a_key: "lacks the storage '../../../../etc/passwd'",
    ten_gigabyte_header_of_safetensors: "begins with",
    ten_gigabyte_text: "10,737,418,240 more were announced",
    ten_gigabyte_bytes: "10,737,418,240 more were announced",
    huge_memo_index: "contains []",
    huge_whole_number: "whole number of 255 bytes",
    cyclic_list: "contains itself",
    cyclic_module: "contains itself",
    nested_deep: "nests deeper than 64 levels",
    many_open_containers: "more than 1000 open containers",
    a_billion_laughs: "has the key",
    many_empty_sets: "more than 200,000 pickle opcodes",
    streams_inside_streams: "gives a storage the arguments",
    many_modules: "more than 2000 modules",
    escape_sequences: r"names '\x1b]0;evil\x07.name'",
    huge_network_in_a_header: "has an unusable header",
    endless_network_in_a_header: "has an unusable header",
    nested_header: "is not a readable checkpoint",
    a_clamp_that_is_a_tower: "conv_clamp",
}
