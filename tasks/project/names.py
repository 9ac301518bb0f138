"""Valid names and paths in `params.yaml`: each becomes part of files, locks, runs and commands."""

import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Any

from pydantic import BeforeValidator
from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode

from ui2i.errors import ConfigError
from ui2i.names import printable
from ui2i.settings.validation import Expected, naming

MAX_NAME_LENGTH = 64
MAX_LABEL_BYTES = 200  # with room for what a file's name has around it
NAME_PATTERN = f"[a-z0-9][a-z0-9-]{{0,{MAX_NAME_LENGTH - 1}}}"
"""Of datasets, bases and domains."""

_NAME = re.compile(NAME_PATTERN)
_TEXT_TAG = "tag:yaml.org,2002:str"
_TRUTHS = ("true", "false", "yes", "no", "on", "off", "y", "n", "null")


def check_name(name: Any, *, where: str) -> None:
    """Raise ConfigError unless `name` may name a dataset, base or domain, for every tool that reads `params.yaml`."""
    with naming(where, name):
        _name(name)


def check_key(name: Any, *, where: str) -> None:
    """Raise ConfigError unless `name` is safe as a part of a path and of a command."""
    with naming(where, name):
        _key(name)


def check_path(path: Any, *, where: str) -> None:
    """Raise ConfigError unless `path` is a path inside the project as `params.yaml` writes it."""
    with naming(where, path):
        _path(path)


def check_label(label: str, *, what: str, mend: str, names_file: bool = False) -> None:
    """Raise ConfigError unless a name that is no key of `params.yaml` can stand in tables.

    Args:
        what: it is, for the message.
        mend: what to do.
        names_file: it must also be fit for a part of a file's name.
    """
    is_shown = bool(label.strip()) and printable(label) == label and len(label.encode()) <= MAX_LABEL_BYTES
    if not is_shown or (names_file and re.search(r"[/\\]", label)):
        slashes = ", without slashes" if names_file else ""
        raise ConfigError(
            f"{what} is {label[:MAX_LABEL_BYTES]!r}, expected visible characters in UTF-8, at most {MAX_LABEL_BYTES} "
            f"bytes{slashes}; {mend}"
        )


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


def _key(name: Any) -> Any:
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise Expected(
            f"lower-case letters, digits and dashes, not beginning with a dash, at most {MAX_NAME_LENGTH}; rename it",
            came=f"has the name {repr(name)[:200]}",
        )
    return name


def _name(name: Any) -> Any:
    if not is_text_in_yaml(_key(name)):
        raise Expected(
            f"a name in letters; rename it, for example to {name}-images",
            came=f"has the name {name}, which YAML takes for a number, a date or a word such as true",
        )
    return name


def _digest(digest: Any) -> Any:
    if not (isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest)):
        raise Expected("a SHA-256 in 64 hexadecimal digits, in quotation marks; sha256sum FILE prints it")
    return digest


def _path(path: Any) -> Any:
    inside = isinstance(path, str) and path not in ("", ".") and "\\" not in path
    parts = PurePosixPath(path).parts if inside else ()
    if not inside or path.startswith("/") or ".." in parts or PureWindowsPath(path).drive:
        raise Expected(
            "a path inside the project, relative to it, with forward slashes; copy the files into data/ and name them "
            "there"
        )
    return path


Name = Annotated[str, BeforeValidator(_name)]
InnerPath = Annotated[str, BeforeValidator(_path)]
Digest = Annotated[str, BeforeValidator(_digest)]
"""SHA-256 of a file."""
