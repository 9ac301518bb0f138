"""What this project adds to a file in a foreign format, so that nothing is lost on the way there and back.

Plain values under the key `ui2i`, which other tools pass over: the architecture's settings that the format has no
place for, and the model card.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from ui2i.checkpoints import ModelCard, card_from_mapping
from ui2i.config import NetworkConfig, from_mapping, to_mapping
from ui2i.converters.inert import RefusedError
from ui2i.converters.pickle_reader import check_expanded_size
from ui2i.errors import ConfigError
from ui2i.untrusted import shown

KEY = "ui2i"
NOTE_VERSION = 1
MAX_NOTE_PARTS = 10_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Note:
    """Architecture and card as this project knows them."""

    network: NetworkConfig
    has_discriminator: bool  # False: there is none, or one that is untrained
    card: ModelCard

    def to_mapping(self) -> dict[str, Any]:
        """Return it as numbers, texts and dictionaries."""
        return {
            "version": NOTE_VERSION,
            "network": to_mapping(self.network),
            "has_discriminator": self.has_discriminator,
            "card": json.loads(json.dumps(dataclasses.asdict(self.card))),  # no other types than JSON's
        }


def read_note(tree: Mapping[Any, Any]) -> Note | None:
    """Return the note of a file, or None if it has none.

    Raises:
        RefusedError: it has one that is not this project's.
    """
    values = tree.get(KEY)
    if values is None:
        return None
    check_expanded_size(values, MAX_NOTE_PARTS)
    try:
        if values["version"] != NOTE_VERSION:
            version = shown(values["version"])
            raise RefusedError(f"has a note of version {version}, expected {NOTE_VERSION}; update ui2i")
        return Note(
            network=from_mapping(NetworkConfig, values["network"], section="network"),
            has_discriminator=bool(values["has_discriminator"]),
            card=card_from_mapping(values["card"]),
        )
    except (ConfigError, KeyError, TypeError) as error:
        raise RefusedError(
            f"has an unusable note ({shown(error)}), expected one that ui2i wrote; fetch it again"
        ) from error
