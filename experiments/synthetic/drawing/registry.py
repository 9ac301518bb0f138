"""The styles there are. A style is one file of `styles/` with one function under `@register_style`.

Every file of that folder is imported on the first look-up, so that a further style needs no change anywhere else.
"""

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from experiments.synthetic.drawing import styles
from experiments.synthetic.drawing.subjects import SUBJECTS, Subject
from ui2i.errors import ConfigError

Style = Callable[[Any, int], np.ndarray]
"""Paints the attributes of its subject at a resolution: uint8 [R, R, 3]."""
StyleT = TypeVar("StyleT", bound=Style)

_styles: dict[str, Style] = {}
_subjects: dict[str, str] = {}


def register_style(name: str, subject: str = "person") -> Callable[[StyleT], StyleT]:
    """Decorator that files a painting function of a subject, one of `SUBJECTS`, under `name`."""

    def register(style: StyleT) -> StyleT:
        assert name not in _styles, f"two styles are called {name}"
        assert subject in SUBJECTS, f"style {name} draws the unknown subject {subject}"
        _styles[name], _subjects[name] = style, subject
        return style

    return register


def style_names(subject: str | None = None) -> list[str]:
    """Names of the styles of a subject, or of all styles, in alphabetical order."""
    for module in pkgutil.iter_modules(styles.__path__):
        importlib.import_module(f"{styles.__name__}.{module.name}")
    return sorted(name for name in _styles if subject in (None, _subjects[name]))


def find_style(name: str) -> Style:
    """The painting function of a style.

    Raises:
        ConfigError: no style has that name.
    """
    if name not in _styles and name not in style_names():
        raise ConfigError(f"style {name!r} is unknown, expected one of {', '.join(style_names())}; choose one of these")
    return _styles[name]


def subject_of(style: str) -> Subject:
    """What a style is an image of.

    Raises:
        ConfigError: no style has that name.
    """
    find_style(style)
    return SUBJECTS[_subjects[style]]
