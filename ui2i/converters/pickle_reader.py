"""A reader of pickles that can run nothing: it knows the opcodes that build data and no way to call anything.

Python's own unpickler, and torch's `weights_only` on top of it, look names up and call what they find, against a list
of allowed ones. Here a name is a label that a `Vocabulary` turns into an inert description, or refuses. Long texts
(embedded source code) are stepped over undecoded, long byte strings stay views of the file, and all that opcodes make
is charged to the file's budget, so a file can take neither time nor memory beyond a small multiple of its size.
"""

from typing import Any

from ui2i.converters.inert import DAMAGED, Bystander, PersistentObject, RefusedError
from ui2i.converters.pickle_opcodes import HANDLERS
from ui2i.converters.pickle_stack import MAX_DEPTH, PickleStack, Vocabulary


def read_pickle(data: memoryview, vocabulary: Vocabulary, position: int = 0) -> tuple[Any, int]:
    """Return the value that a pickle inside `data` describes, and the position behind it.

    Raises:
        RefusedError: the bytes are no pickle of plain data, end early, or exceed a bound.
    """
    pickle = PickleStack(data, vocabulary, position)
    while True:
        pickle.budget.opcode()
        code = pickle.take(1)[0]
        if code == ord("."):
            value = pickle.pop()
            check_plain(value)
            return value, pickle.position
        if code not in HANDLERS:
            raise RefusedError(
                f"has the pickle opcode {code:#04x} at byte {pickle.position - 1:,}, expected protocol 2 to 5 and "
                f"plain data; {DAMAGED}"
            )
        HANDLERS[code](pickle)


def check_plain(root: Any) -> None:
    """Raise RefusedError if containers contain themselves, or nest deeper than `MAX_DEPTH`."""
    finished: dict[int, int] = {}  # levels below each container
    path: set[int] = set()
    stack: list[tuple[Any, bool]] = [(root, False)]
    while stack:
        value, is_done = stack.pop()
        if id(value) in finished and not is_done:  # before its children are listed: many may refer to it
            continue
        items = children(value)
        if not items:
            continue
        if is_done:
            path.discard(id(value))
            finished[id(value)] = 1 + max(finished.get(id(item), 0) for item in items)
            continue
        if id(value) in path:
            raise RefusedError(f"contains an object that contains itself, expected plain data; {DAMAGED}")
        path.add(id(value))
        stack.append((value, True))
        stack += [(item, False) for item in items if id(item) not in finished]
    if finished.get(id(root), 0) > MAX_DEPTH:
        raise RefusedError(f"nests deeper than {MAX_DEPTH} levels, expected plain data; {DAMAGED}")


def check_expanded_size(root: Any, maximum: int) -> None:
    """Raise RefusedError if a value has more parts than `maximum`, where what is shared counts as often as it occurs.

    Whoever copies, prints or saves a value follows every reference.
    """
    waiting, count = [root], 0
    while waiting:
        value = waiting.pop()
        count += 1
        waiting += children(value)
        if count + len(waiting) > maximum:
            raise RefusedError(f"has a note of more than {maximum:,} parts, expected about 100; {DAMAGED}")


def children(value: Any) -> list[Any]:
    """Return what a container contains."""
    if type(value) in (list, tuple):
        return list(value)
    if type(value) is dict:
        return list(value.values())
    if type(value) is PersistentObject:
        return [value.state]
    return [value.value, value.state] if type(value) is Bystander else []
