"""Frozen dataclasses that check what they are made from, and refuse it with this project's errors.

Pydantic checks: types strictly, bounds, and that no key is unknown. Wherever a config is made, by `from_mapping` from
values of a file or by its class in Python, the error is a ConfigError with the path of the setting.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import pydantic.dataclasses
from pydantic import ConfigDict, TypeAdapter, ValidationError

from ui2i.errors import ConfigError
from ui2i.settings.words import dotted, expected_key, expected_value, missing_key, shown, unknown_key

if TYPE_CHECKING:
    from dataclasses import dataclass  # what type checkers take ours for
else:

    def dataclass(*, frozen: bool, kw_only: bool) -> Callable[[type], type]:
        """Make a dataclass whose values are checked whenever one is made.

        Checks of several fields stand in its `__post_init__` and raise `Expected`.
        """

        def decorate(cls: type) -> type:
            cls.__get_pydantic_core_schema__ = classmethod(_accept_mappings)
            made = pydantic.dataclasses.dataclass(frozen=frozen, kw_only=kw_only, config=_STRICT)(cls)
            made.__init__ = _with_own_errors(made.__init__)
            return made

        return decorate


ConfigT = TypeVar("ConfigT")

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
_UNKNOWN = ("unexpected_keyword_argument", "invalid_key")


class Expected(ValueError):  # noqa: N818  # reads as what it says
    """A value that is not allowed, raised by a check.

    Args:
        expected: what should have come, and after a semicolon what to do.
        came: what did: in the check of a whole beginning with the name of the field, as in "patience is 3 without
            evaluation_kimg"; in that of a name, or for `naming`, without what it is called. None: the value itself.
    """

    def __init__(self, expected: str, *, came: str | None = None) -> None:
        super().__init__(expected)
        self.expected = expected
        self.came = came


def from_mapping(
    config_type: type[ConfigT], values: Mapping[str, Any], *, section: str = "", source: str = ""
) -> ConfigT:
    """Build a config from plain values, as a section of `params.yaml` or the header of a file has them.

    Args:
        section: the section's name, for error messages.
        source: the file to correct, for error messages.

    Raises:
        ConfigError: a key does not exist in `config_type`, or a value has the wrong type or lies outside its bounds.
    """
    known_type: Any = config_type  # mypy does not believe that a type is hashable
    with own_errors(config_type, section=section, source=source):
        made: ConfigT = _adapter(known_type).validate_python(values)
    return made


def to_mapping(config: Any) -> dict[str, Any]:
    """Return the config's fields as plain values, ready for JSON."""
    return dataclasses.asdict(config)


@contextlib.contextmanager
def own_errors(config_type: type, *, section: str = "", source: str = "") -> Iterator[None]:
    """Turn pydantic's error about a value of a type into a ConfigError; arguments as in `from_mapping`."""
    try:
        yield
    except ValidationError as error:
        raise _config_error(error, config_type, section, source) from None


@contextlib.contextmanager
def naming(where: str, value: Any) -> Iterator[None]:
    """Turn the `Expected` of a check that is called by hand into a ConfigError.

    Args:
        where: what is checked, in words.
        value: what is checked.
    """
    try:
        yield
    except Expected as error:
        raise ConfigError(f"{where} {error.came or f'is {shown(value)}'}, expected {error.expected}") from None


@functools.cache
def _adapter(config_type: Any) -> TypeAdapter[Any]:
    return TypeAdapter(config_type)


def _accept_mappings(_: type, source: Any, handler: Callable[[Any], Any]) -> Any:
    """Let a config be made of a mapping although everything in it is strict."""
    return handler(source) | {"strict": False}


def _with_own_errors(init: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(init)
    def checked(self: Any, /, *args: Any, **values: Any) -> None:
        with own_errors(type(self)):
            init(self, *args, **values)

    return checked


def _config_error(error: ValidationError, config_type: type, section: str, source: str) -> ConfigError:
    """Say the first problem in one line; an unknown key explains a missing one, so it goes before."""
    problem = min(error.errors(include_url=False), key=lambda problem: problem["type"] not in _UNKNOWN)
    path, cause = problem["loc"], problem.get("ctx", {}).get("error")
    outermost = section or source or config_type.__name__
    if problem["type"] in (*_UNKNOWN, "missing"):
        say = missing_key if problem["type"] == "missing" else unknown_key
        return ConfigError(f"{dotted(section, path[:-1]) or outermost} {say(config_type, path)}")
    if path[-1:] == ("[key]",):
        where = dotted(section, path[:-2])
        if isinstance(cause, Expected):
            return ConfigError(f"{where} {cause.came}, expected {cause.expected}")
        keys = expected_key(config_type, path[:-2])
        return ConfigError(f"{where} has the key {shown(problem['input'])}, expected {keys}; rename it")
    if isinstance(cause, Expected) and cause.came is not None:
        return ConfigError(f"{dotted(section, (*path, cause.came))}, expected {cause.expected}")
    came = f"{dotted(section, path) or outermost} is {shown(problem['input'])}"
    if isinstance(cause, Expected):
        return ConfigError(f"{came}, expected {cause.expected}")
    remedy = f"correct it in {source}" if source else "correct it"
    return ConfigError(f"{came}, expected {expected_value(config_type, path, problem['input'], remedy)}")
