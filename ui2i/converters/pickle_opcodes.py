"""What each opcode of a pickle does to the stack. Those that could call or import are not among them.

REDUCE and NEWOBJ ask the vocabulary for an inert description; a GLOBAL is a label that it must know. The opcodes of
protocol 0, EXT1 to EXT4, INST, OBJ and PERSID, which no checkpoint has, are missing. See Python's `pickletools`.
"""

import functools
import struct
from collections.abc import Callable
from typing import Any

from ui2i.converters.inert import DAMAGED, Bystander, Global, RefusedError, SkippedText, hashable
from ui2i.converters.pickle_stack import MAX_INTEGER_BYTES, MAX_MARKS, MAX_TEXT_BYTES, PickleStack, decode
from ui2i.untrusted import shown


def _constant(pickle: PickleStack, value: Any) -> None:
    pickle.stack.append(value)


def _empty(pickle: PickleStack, kind: type) -> None:
    pickle.stack.append(kind())


def _number(pickle: PickleStack, layout: struct.Struct) -> None:
    pickle.stack.append(pickle.number(layout))


def _integer(pickle: PickleStack) -> None:
    size = pickle.take(1)[0]
    if size > MAX_INTEGER_BYTES:
        raise RefusedError(f"has a whole number of {size} bytes, expected at most {MAX_INTEGER_BYTES}; {DAMAGED}")
    pickle.stack.append(int.from_bytes(pickle.take(size), "little", signed=True))


def _text(pickle: PickleStack, layout: struct.Struct) -> None:
    data = pickle.take(pickle.number(layout))
    if len(data) > MAX_TEXT_BYTES:
        pickle.stack.append(SkippedText(data))
        return
    pickle.budget.make(len(data))
    pickle.stack.append(decode(data))


def _bytes(pickle: PickleStack, layout: struct.Struct) -> None:
    pickle.stack.append(pickle.take(pickle.number(layout)))


def _skip(pickle: PickleStack, size: int) -> None:
    pickle.take(size)


def _mark(pickle: PickleStack) -> None:
    if len(pickle.marked) > MAX_MARKS:
        raise RefusedError(f"has more than {MAX_MARKS} open containers, expected about 60; {DAMAGED}")
    pickle.marked.append(pickle.stack)
    pickle.stack = []


def _pop(pickle: PickleStack) -> None:
    pickle.pop()


def _pop_mark(pickle: PickleStack) -> None:
    pickle.pop_mark()


def _tuple(pickle: PickleStack, size: int) -> None:
    pickle.budget.list_elements(size)
    items = [pickle.pop() for _ in range(size)]
    pickle.stack.append(tuple(reversed(items)))


def _marked(pickle: PickleStack, kind: type) -> None:
    items = pickle.pop_mark()
    pickle.budget.list_elements(len(items))
    pickle.stack.append(_pairs(pickle, items) if kind is dict else kind(items))


def _append(pickle: PickleStack) -> None:
    item = pickle.pop()
    pickle.budget.list_elements(1)
    pickle.top(list).append(item)


def _appends(pickle: PickleStack) -> None:
    items = pickle.pop_mark()
    pickle.budget.list_elements(len(items))
    pickle.top(list).extend(items)


def _set_item(pickle: PickleStack) -> None:
    value, key = pickle.pop(), pickle.pop()
    pickle.top(dict).update(_pairs(pickle, [key, value]))


def _set_items(pickle: PickleStack) -> None:
    items = pickle.pop_mark()
    pickle.top(dict).update(_pairs(pickle, items))


def _add_items(pickle: PickleStack) -> None:
    items = pickle.pop_mark()
    pickle.budget.hash_elements(len(items))
    pickle.top(set).update(hashable(item) for item in items)


def _frozen_set(pickle: PickleStack) -> None:
    items = pickle.pop_mark()
    pickle.budget.hash_elements(len(items))
    pickle.stack.append({hashable(item) for item in items})


def _pairs(pickle: PickleStack, items: list[Any]) -> dict[Any, Any]:
    if len(items) % 2:
        raise RefusedError(f"has a key without a value, expected a pickle; {DAMAGED}")
    pickle.budget.hash_elements(len(items) // 2)
    return {hashable(key): value for key, value in zip(items[::2], items[1::2], strict=True)}


def _put(pickle: PickleStack, layout: struct.Struct) -> None:
    _memoize(pickle, pickle.number(layout))


def _memoize(pickle: PickleStack, index: int | None = None) -> None:
    if not pickle.stack:
        raise RefusedError(f"remembers nothing at byte {pickle.position:,}, expected a pickle; {DAMAGED}")
    pickle.memo[len(pickle.memo) if index is None else index] = pickle.stack[-1]


def _get(pickle: PickleStack, layout: struct.Struct) -> None:
    index = pickle.number(layout)
    if index not in pickle.memo:
        raise RefusedError(f"refers to object {index} before it is there, expected a pickle; {DAMAGED}")
    pickle.stack.append(pickle.memo[index])


def _global(pickle: PickleStack) -> None:
    module, name = pickle.line(), pickle.line()
    _push_global(pickle, module, name)


def _stack_global(pickle: PickleStack) -> None:
    name, module = pickle.pop(), pickle.pop()
    _push_global(pickle, module, name)


def _push_global(pickle: PickleStack, module: Any, name: Any) -> None:
    if type(module) is not str or type(name) is not str:
        raise RefusedError(f"names {shown(module)} {shown(name)}, expected texts; {DAMAGED}")
    label = Global(module, name)
    pickle.vocabulary.check(label)
    pickle.stack.append(label)


def _reduce(pickle: PickleStack) -> None:
    arguments, function = pickle.pop(), pickle.pop()
    if type(function) is not Global or type(arguments) is not tuple:
        raise RefusedError(f"applies {shown(function)}, expected the name of a tensor or container; {DAMAGED}")
    pickle.stack.append(pickle.vocabulary.build(function, arguments))


def _build(pickle: PickleStack) -> None:
    state = pickle.pop()
    if pickle.stack and type(pickle.stack[-1]) is dict:
        return  # the attributes of an OrderedDict: torch's notes on versions
    pickle.top(Bystander).state = state


def _persistent(pickle: PickleStack) -> None:
    pickle.stack.append(pickle.vocabulary.persistent(pickle.pop()))


def _handlers() -> dict[int, Callable[[PickleStack], None]]:
    """Return what each opcode does."""
    byte, short, word, long = (struct.Struct(layout) for layout in ("<B", "<H", "<I", "<Q"))
    table: dict[bytes, Callable[[PickleStack], None]] = {
        b"\x80": functools.partial(_skip, size=1),  # protocol
        b"\x95": functools.partial(_skip, size=8),  # frame
        b"(": _mark, b"0": _pop, b"1": _pop_mark, b"\x94": _memoize,
        b"a": _append, b"e": _appends, b"s": _set_item, b"u": _set_items, b"\x90": _add_items, b"\x91": _frozen_set,
        b"c": _global, b"\x93": _stack_global, b"R": _reduce, b"\x81": _reduce, b"b": _build, b"Q": _persistent,
        b"\x8a": _integer,
    }  # fmt: skip
    constants = {b"N": None, b"\x88": True, b"\x89": False}
    numbers = {b"K": byte, b"M": short, b"J": struct.Struct("<i"), b"G": struct.Struct(">d")}
    texts = {b"\x8c": byte, b"X": word, b"\x8d": long}
    strings = {b"C": byte, b"B": word, b"\x8e": long, b"\x96": long}
    tuples = {b")": 0, b"\x85": 1, b"\x86": 2, b"\x87": 3}
    empties, marked = {b"]": list, b"}": dict, b"\x8f": set}, {b"t": tuple, b"l": list, b"d": dict}
    table |= {code: functools.partial(_constant, value=value) for code, value in constants.items()}
    table |= {code: functools.partial(_number, layout=layout) for code, layout in numbers.items()}
    table |= {code: functools.partial(_text, layout=layout) for code, layout in texts.items()}
    table |= {code: functools.partial(_bytes, layout=layout) for code, layout in strings.items()}
    table |= {code: functools.partial(_tuple, size=size) for code, size in tuples.items()}
    table |= {code: functools.partial(_empty, kind=kind) for code, kind in empties.items()}
    table |= {code: functools.partial(_marked, kind=kind) for code, kind in marked.items()}
    table |= {code: functools.partial(_put, layout=layout) for code, layout in ((b"q", byte), (b"r", word))}
    table |= {code: functools.partial(_get, layout=layout) for code, layout in ((b"h", byte), (b"j", word))}
    return {code[0]: handler for code, handler in table.items()}


HANDLERS = _handlers()
