"""Plain values of a YAML file to dataclasses, with errors that name the place."""

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import ScalarNode

from tasks.project.paths import PARAMS_FILE
from ui2i.config import from_mapping
from ui2i.errors import ConfigError

_T = TypeVar("_T")
_TEXT_TAG = "tag:yaml.org,2002:str"
_TRUTHS = ("true", "false", "yes", "no", "on", "off", "y", "n", "null")


def parse_yaml(text: str) -> Any:
    """Return what the text of `params.yaml` says.

    Raises:
        ConfigError: it is no YAML.
    """
    try:
        return YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = " ".join(str(error.problem).split())
        raise ConfigError(f"{PARAMS_FILE} line {line}: {problem}, expected valid YAML; correct it") from error
    except YAMLError as error:
        raise ConfigError(f"{PARAMS_FILE} cannot be read ({error}), expected valid YAML; correct it") from error


def is_text_in_yaml(word: str) -> bool:
    """Whether a word that stands in YAML without quotes is itself, and no number, date or truth value.

    By the rules of YAML 1.2, which this project and DVC follow, and of 1.1, which others do.

    Args:
        word: of letters, digits and dashes.
    """
    if word[:1].isalpha():
        return word.lower() not in _TRUTHS  # numbers and dates begin with a digit; composing takes a millisecond
    for version in ("1.2", "1.1"):
        node = YAML(typ="rt", pure=True).compose(f"%YAML {version}\n---\n{word}\n")
        if not isinstance(node, ScalarNode) or node.tag != _TEXT_TAG:
            return False
    return True


def as_mapping(value: Any, *, where: str) -> Mapping[str, Any]:
    """Return the value if it has settings by name.

    Raises:
        ConfigError: it is something else.
    """
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where} is {value!r}, expected settings by name; write them, or {{}} for none")
    return value


def as_list(values: Any, item_type: type[_T], *, where: str) -> tuple[_T, ...]:
    """Return the items of a list.

    Raises:
        ConfigError: there is none, one has another type, or two are equal.
    """
    items = values if isinstance(values, list) else []
    if not items or any(type(item) is not item_type for item in items) or len(set(items)) < len(items):
        raise ConfigError(
            f"{where} is {values!r}, expected a list of one or more different {item_type.__name__}; correct it"
        )
    return tuple(items)


def check_keys(values: Mapping[str, Any], known: Iterable[str], *, where: str, need_all: bool = False) -> None:
    """Refuse keys that are not known.

    Raises:
        ConfigError: there is one, or with `need_all` one is missing.
    """
    known = list(known)
    for key in values:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else "remove it"
            raise ConfigError(f"{where} has the unknown key {key!r}, expected one of {', '.join(known)}; {hint}")
    missing = [key for key in known if key not in values]
    if need_all and missing:
        raise ConfigError(f"{where} lacks {missing[0]!r}, expected it beside the others; add it ({{}} if it is empty)")


def parse_entry(entry_type: type[_T], values: Mapping[str, Any], where: str) -> _T:
    """Build a dataclass, some of whose fields must be there.

    Raises:
        ConfigError: a key is missing or unknown, or a value is not allowed.
    """
    fields = dataclasses.fields(entry_type)  # type: ignore[arg-type]
    needed = [field.name for field in fields if field.default is dataclasses.MISSING]
    missing = [name for name in needed if name not in values]
    if missing:
        raise ConfigError(f"{where} lacks {missing[0]!r}, expected {', '.join(needed)}; add it")
    return from_mapping(entry_type, values, section=where)
