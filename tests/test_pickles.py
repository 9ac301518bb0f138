"""The reader and the writer of pickles against Python's own, and against each other."""

import collections
import io
import pickle
import sys
import types
from typing import Any

import numpy as np
import pytest
import torch
from foreign_files import storage_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

from ui2i.converters.budget import Budget
from ui2i.converters.inert import Bystander, Global, RefusedError, SkippedText
from ui2i.converters.pickle_reader import read_pickle
from ui2i.converters.pickle_stack import MAX_TEXT_BYTES
from ui2i.converters.pickle_writer import Bytes, Call, write_pickle
from ui2i.converters.torch_pickling import parameter, tensor
from ui2i.converters.torch_stream import read_embedded_storage, read_stream
from ui2i.converters.vocabulary import TorchVocabulary
from ui2i.untrusted import shown

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 126), 1 << 126) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=5) | st.integers(-(1 << 40), 1 << 40), inner, max_size=4)
        | st.sets(st.text(max_size=5), max_size=4)
    ),
    max_leaves=20,
)


def read(data: bytes) -> Any:
    value, position = read_pickle(memoryview(data), TorchVocabulary(Budget(len(data))))
    assert position == len(data)
    return value


def written(value: Any) -> bytes:
    file = io.BytesIO()
    write_pickle(file, value)
    return file.getvalue()


@given(PLAIN, st.integers(2, 5))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_the_reader_reads_what_python_writes(value: Any, protocol: int) -> None:
    assert read(pickle.dumps(value, protocol)) == value


@given(PLAIN)
@settings(max_examples=80, deadline=None, derandomize=True)
def test_python_reads_what_the_writer_writes(value: Any) -> None:
    assert pickle.loads(written(value)) == value
    assert read(written(value)) == value


def test_bytes_stay_views_of_the_file() -> None:
    data = bytearray(pickle.dumps({"x": b"abcd" * 100}, 4))
    view = read(data)["x"]
    data[data.index(b"abcd")] = ord("X")
    assert bytes(view[:4]) == b"Xbcd"


def test_long_texts_are_stepped_over() -> None:
    assert read(pickle.dumps("x" * MAX_TEXT_BYTES)) == "x" * MAX_TEXT_BYTES
    assert read(pickle.dumps("x" * (MAX_TEXT_BYTES + 1))) == SkippedText(memoryview(b"x" * (MAX_TEXT_BYTES + 1)))
    broken = pickle.dumps("x" * 10_000).replace(b"xxxx", b"\xff\xff\xff\xff")  # no UTF-8: never decoded
    assert len(read(broken).data) == 10_000


def test_one_object_in_two_places_is_no_cycle() -> None:
    shared = [1]
    value = read(pickle.dumps({"a": shared, "b": [shared, shared]}))
    assert value == {"a": [1], "b": [[1], [1]]} and value["a"] is value["b"][0]


def test_ordered_dictionaries_with_attributes() -> None:
    state = collections.OrderedDict(weight=1)
    state._metadata = {"": {"version": 1}}  # type: ignore[attr-defined]
    assert read(pickle.dumps(state, 2)) == {"weight": 1}


@pytest.mark.parametrize("number", [np.float64(0.125), np.float32(0.5), np.int64(-7), np.bool_(True)])
@pytest.mark.parametrize("protocol", [2, 4])
def test_numbers_of_numpy(number: Any, protocol: int) -> None:
    assert read(pickle.dumps(number, protocol)) == number


def test_arrays_of_numpy_are_bystanders() -> None:
    assert type(read(pickle.dumps(np.arange(3), 2))) is Bystander


@pytest.mark.parametrize(
    "value", [1 << 200, {(1, 2): 3}, {1.5: 2}, {frozenset(): 1}, object(), print, complex(1, 2), range(3)]
)
def test_other_values_are_refused(value: Any) -> None:
    with pytest.raises(RefusedError, match="expected"):
        read(pickle.dumps(value))


def test_calls_are_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("made_for_this_test")
    module.make = lambda *arguments: list(arguments)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "made_for_this_test", module)
    call = Call(Global("made_for_this_test", "make"), (1, "two"))
    first, second, third = pickle.loads(written([call, call, Call(call.function, call.arguments)]))
    assert first == [1, "two"] and first is second and third == first and third is not first


def test_tensors_are_torch_s() -> None:
    values = torch.randn(3, 2)
    again, shared = pickle.loads(written([parameter(values), tensor(values.t())]))
    assert type(again) is torch.nn.Parameter and torch.equal(again, values) and not again.requires_grad
    assert torch.equal(shared, values.t())
    assert pickle.loads(written(tensor(torch.tensor(2.5)))) == 2.5


def test_byte_strings_in_parts() -> None:
    for size in range(130):  # every distance from the next aligned byte
        assert pickle.loads(written(["x" * size, Bytes((b"ab", memoryview(b"cd")))])) == ["x" * size, b"abcd"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_storages_that_torch_embeds(dtype: torch.dtype) -> None:
    values = torch.randn(5).to(dtype)
    storage = read_embedded_storage(memoryview(storage_bytes(values)), Budget(0))
    assert storage.dtype == dtype and storage.data is not None
    assert torch.equal(torch.frombuffer(bytearray(storage.data), dtype=dtype), values)


def test_a_stream_with_anything_but_a_storage_is_no_embedded_one() -> None:
    file = io.BytesIO()
    torch.save({"x": torch.zeros(2)}, file, _use_new_zipfile_serialization=False)
    assert list(read_stream(memoryview(file.getvalue()), Budget(0))) == ["x"]
    with pytest.raises(RefusedError, match="expected the numbers of a tensor"):
        read_embedded_storage(memoryview(file.getvalue()), Budget(0))


@pytest.mark.parametrize("value", ["x" * 500, "\x1b[31m", "a\nb", [[[[[1]]]]], {"k": "v" * 500}, 10**50, "\u202e"])
def test_what_is_shown_is_short_and_harmless(value: Any) -> None:
    text = shown(value)
    assert len(text) < 400 and text.isprintable() and text.isascii()
