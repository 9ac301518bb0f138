"""The styles there are. A style is one file of `styles/` with one function under `@register_style`.

Every file of that folder is imported on the first look-up, so that a further style needs no change anywhere else.
"""

import importlib
import pkgutil
from collections.abc import Callable

import numpy as np

from ui2i.datasets.drawing import styles
from ui2i.datasets.drawing.attributes import FaceAttributes
from ui2i.errors import ConfigError

Style = Callable[[FaceAttributes, int], np.ndarray]
"""Paints a person at a resolution: uint8 [R, R, 3]."""

_styles: dict[str, Style] = {}


def register_style(name: str) -> Callable[[Style], Style]:
    """Decorator that files a painting function under `name`."""

    def register(style: Style) -> Style:
        assert name not in _styles, f"two styles are called {name}"
        _styles[name] = style
        return style

    return register


def style_names() -> list[str]:
    """Names of all styles, in alphabetical order."""
    for module in pkgutil.iter_modules(styles.__path__):
        importlib.import_module(f"{styles.__name__}.{module.name}")
    return sorted(_styles)


def find_style(name: str) -> Style:
    """The painting function of a style.

    Raises:
        ConfigError: no style has that name.
    """
    if name not in _styles and name not in style_names():
        raise ConfigError(f"style {name!r} is unknown, expected one of {', '.join(style_names())}; choose one of these")
    return _styles[name]
