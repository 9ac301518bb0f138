"""Names in `params.yaml` that version 0.2 replaced; `tasks.running.upgrade` rewrites them."""

from collections.abc import Mapping
from typing import Any

SECTIONS = {"drawn": "synthetic", "judged": "evaluated"}
KEYS = {("perceptual", "trunk"): "backbone"}


def old_names(values: Mapping[str, Any]) -> list[str]:
    """Return the old names that settings have."""
    found = [section for section in values if section in SECTIONS]
    sections = ((section, key, values.get(section)) for section, key in KEYS)
    return found + [
        f"{section}.{key}" for section, key, inner in sections if isinstance(inner, Mapping) and key in inner
    ]
