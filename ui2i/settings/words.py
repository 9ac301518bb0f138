"""A setting's allowed values in words, derived from the types of a config's fields."""

import dataclasses
import difflib
import math
import pathlib
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

Path = tuple[int | str, ...]

MOST = 2**31 - 1  # a bound that nobody needs to be told
_LONGEST = 200  # characters of a value in a message


@dataclasses.dataclass(frozen=True)
class Described:
    """Annotates a type with what its values are, for messages."""

    words: str


def shown(value: Any) -> str:
    """Return a value as messages quote it."""
    try:
        text = repr(list(value) if isinstance(value, tuple) else value)
    except ValueError:  # Python does not write out a number of thousands of digits
        text = f"a number of about {value.bit_length() * math.log10(2):.0f} digits"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def dotted(section: str, path: Sequence[int | str]) -> str:
    """Return the name of a setting, such as `domains.cartoon.finetune.r1_gamma`."""
    return ".".join(map(str, filter(None, (section, *map(str, path)))))


def expected_value(config_type: type, path: Path, came: Any, remedy: str) -> str:
    """Say what a setting may be, and what to do.

    Args:
        path: of the setting in `config_type`.
        came: its value, which is not allowed.
        remedy: what to do about a plain value.
    """
    hint = _hint_at(config_type, path)
    plain, _ = _parts(hint)
    if dataclasses.is_dataclass(plain):
        return "settings as key: value; write {} for the defaults"
    if typing.get_origin(plain) is Mapping:
        return "settings by name; write them, or {} for none"
    return f"{_words(hint, came)}; {remedy}"


def expected_key(config_type: type, path: Path) -> str:
    """Say what the keys of the mapping at `path` may be."""
    keys, _ = typing.get_args(_parts(_hint_at(config_type, path))[0])
    return _words(keys, None)


def unknown_key(config_type: type, path: Path) -> str:
    """Say that a key is unknown, and which is meant."""
    *parent, key = path
    known = [field.name for field in dataclasses.fields(_parts(_hint_at(config_type, tuple(parent)))[0])]
    return unknown_name(key, known)


def unknown_name(key: Any, known: Sequence[str]) -> str:
    """Say that a key is none of those that are known, and which is meant."""
    close = difflib.get_close_matches(str(key), known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(sorted(known))}"
    return f"has the unknown key {key!r}, expected one of {len(known)} settings; {hint}"


def missing_key(config_type: type, path: Path) -> str:
    """Say that a key is missing, and which are needed."""
    *parent, key = path
    fields = dataclasses.fields(_parts(_hint_at(config_type, tuple(parent)))[0])
    needed = [field.name for field in fields if {field.default, field.default_factory} == {dataclasses.MISSING}]
    plain, _ = _parts(_hint_at(config_type, path))
    is_section = dataclasses.is_dataclass(plain) or typing.get_origin(plain) is Mapping
    return f"lacks {key!r}, expected {', '.join(needed)}; add it{' ({} if it is empty)' if is_section else ''}"


def _hint_at(config_type: Any, path: Path) -> Any:
    """Return the type of the setting at `path`."""
    hint = config_type
    for part in path:
        plain, _ = _parts(hint)
        if dataclasses.is_dataclass(plain):
            hint = typing.get_type_hints(plain, include_extras=True)[str(part)]
        else:  # of a mapping the values, of a tuple the items
            hint = [option for option in typing.get_args(plain) if option is not ...][-1]
    return hint


def _parts(hint: Any) -> tuple[Any, list[Any]]:
    """Split an annotated or optional type into the plain one and what is annotated."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return _parts(next(option for option in typing.get_args(hint) if option is not types.NoneType))
    if not hasattr(hint, "__metadata__"):
        return hint, []
    plain, inner = _parts(typing.get_args(hint)[0])
    return plain, [*inner, *(each for extra in hint.__metadata__ for each in (extra, *getattr(extra, "metadata", ())))]


def _words(hint: Any, came: Any) -> str:
    plain, extras = _parts(hint)
    described = next((extra.words for extra in extras if isinstance(extra, Described)), None)
    is_number = type(came) is int or (type(came) is float and plain is float)
    if is_number and plain in (int, float):
        return _interval(_attributes(extras, "gt", "ge", "lt", "le"), described or "a number", came)
    return (described or _kind(plain, extras)) + (" or null" if _is_optional(hint) else "")


def _is_optional(hint: Any) -> bool:
    unannotated = typing.get_args(hint)[0] if hasattr(hint, "__metadata__") else hint
    return types.NoneType in typing.get_args(unannotated)


def _attributes(extras: list[Any], *names: str) -> dict[str, Any]:
    return {name: getattr(extra, name) for extra in extras for name in names if hasattr(extra, name)}


def _interval(bounds: Mapping[str, float], kind: str, came: float) -> str:
    """Say the ends of an interval, which is closed at `ge` and `le` and open at `gt` and `lt`."""
    if not bounds:
        return "a finite number"
    low, is_open = bounds.get("gt", bounds.get("ge", -math.inf)), "gt" in bounds
    high = bounds.get("lt", bounds.get("le", math.inf))
    if high in (MOST, math.inf) and not came > high:
        return f"{kind} above {low:g}" if is_open else f"at least {low:g}"
    return f"{kind} {'above' if is_open else 'from'} {low:.10g} to {'below ' if 'lt' in bounds else ''}{high:.10g}"


def _kind(plain: Any, extras: list[Any]) -> str:
    if typing.get_origin(plain) is Literal:
        return "one of " + ", ".join(map(str, typing.get_args(plain)))
    if typing.get_origin(plain) is tuple:
        return f"a list of {'one or more ' if _attributes(extras, 'min_length') else ''}different items"
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text", pathlib.Path: "a path"}
    return words.get(plain, str(plain))
