"""Where the state_dicts of networks are in a file, under whatever names tools and wrappers have put them.

A network is known by a tensor that only it has, so its place is found, not presumed: at the top level or in
dictionaries below it (`g_ema`, `state_dict`, `model`), behind prefixes (`decoder.`, `generator.`), and with the names
that DataParallel and torch.compile put in front of others.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from ui2i.converters.inert import RefusedError
from ui2i.converters.numpy_arrays import as_view
from ui2i.converters.tensor_views import TensorView
from ui2i.untrusted import shown

MAX_LEVELS, MAX_DICTS = 3, 100  # that are looked into
MAX_NAME_LENGTH = 200
_WRAPPERS = ("module", "_orig_mod")  # of DataParallel, of torch.compile


@dataclasses.dataclass(frozen=True)
class Place:
    """A state_dict inside a file."""

    label: str  # the keys and the prefix that lead to it, joined by dots; "": the file itself
    entries: Mapping[str, Any]  # by unwrapped name, without the prefix
    root_key: Any  # the key of the top level that it is below; None: it is in the top level
    prefix: str
    others: tuple[str, ...]  # names beside it, which have another prefix

    @property
    def is_top_level(self) -> bool:
        """Whether it is the file's top level as a whole."""
        return self.root_key is None and not self.prefix

    def tensors(self) -> dict[str, TensorView]:
        """Return its tensors by name.

        Raises:
            RefusedError: it contains something else, but for entries of the top level, such as a step or options.
        """
        result = {}
        for name, value in self.entries.items():
            view = as_view(value)
            if type(view) is TensorView:
                result[name] = view
            elif not self.is_top_level or "." in name:
                raise RefusedError(
                    f"has {shown(value)} as {shown(name)} of {shown(self.label or 'the file')}, expected a tensor; "
                    "save its state_dict"
                )
        return result


def places(tree: Mapping[Any, Any], anchor: str) -> list[Place]:
    """Return the state_dicts that have a tensor of the name `anchor`, behind any prefix."""
    found = []
    for root, keys, node in _dicts(tree):
        names = {unwrapped(key): key for key in node if type(key) is str and len(key) <= MAX_NAME_LENGTH}
        prefixes = [name.removesuffix(anchor) for name in names if name == anchor or name.endswith("." + anchor)]
        for prefix in prefixes:
            entries = {name.removeprefix(prefix): node[key] for name, key in names.items() if name.startswith(prefix)}
            others = tuple(name for name in names if not name.startswith(prefix))
            label = ".".join(filter(None, (*keys, prefix.rstrip("."))))
            found.append(Place(label, entries, root, prefix, others))
    return found


def entry(tree: Mapping[Any, Any], name: str) -> Any:
    """Return the first value of a name, from the top level down and behind any prefix; None: there is none."""
    for _, _, node in _dicts(tree):
        for key, value in node.items():
            if type(key) is str and len(key) <= MAX_NAME_LENGTH:
                bare = unwrapped(key)
                if bare == name or bare.endswith("." + name):
                    return as_view(value)
    return None


def _dicts(tree: Mapping[Any, Any]) -> Iterator[tuple[Any, tuple[str, ...], Mapping[Any, Any]]]:
    """Yield the dictionaries of a tree, top first: key of the top level, unwrapped keys, dict."""
    waiting: list[tuple[Any, tuple[str, ...], Mapping[Any, Any]]] = [(None, (), tree)]
    for _ in range(MAX_DICTS):
        if not waiting:
            return
        root, keys, node = waiting.pop(0)
        yield root, keys, node
        if len(keys) == MAX_LEVELS:
            continue
        for key, value in node.items():
            if type(key) is str and type(value) is dict and value and len(waiting) < MAX_DICTS:
                waiting.append((key if root is None else root, (*keys, unwrapped(key[:MAX_NAME_LENGTH])), value))


def unwrapped(name: str) -> str:
    """Return a name without what DataParallel and torch.compile put into it."""
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)
