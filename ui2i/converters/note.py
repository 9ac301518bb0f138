"""What this project adds to a file in a foreign format, so that nothing is lost on the way there and back.

Plain values under the key `ui2i`, which other tools pass over: the architecture's settings that the format has no
place for, and the model card.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from torch import nn

from ui2i.checkpoints import ModelCard, card_from_mapping
from ui2i.converters.inert import RefusedError
from ui2i.converters.pickle_reader import check_expanded_size
from ui2i.errors import ConfigError
from ui2i.settings import NetworkConfig, from_mapping, to_mapping
from ui2i.tensor_files import digest
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
    digests: Mapping[str, str] = dataclasses.field(default_factory=dict)  # of each network; none in files of before

    def check(self, **networks: nn.Module | None) -> None:
        """Raise RefusedError unless networks are those that were written."""
        for name, network in networks.items():
            if network is not None and name in self.digests and network_digest(network) != self.digests[name]:
                raise RefusedError(
                    f"has another {name} than was written (its digest is another), expected the same; the file is "
                    f"damaged: fetch it again, or, if it was changed on purpose, remove its entry {KEY!r}"
                )

    def to_mapping(self) -> dict[str, Any]:
        """Return it as numbers, texts and dictionaries."""
        return {
            "version": NOTE_VERSION,
            "network": to_mapping(self.network),
            "has_discriminator": self.has_discriminator,
            "digests": dict(self.digests),
            "card": json.loads(json.dumps(dataclasses.asdict(self.card))),  # no other types than JSON's
        }


def network_digest(network: nn.Module) -> str:
    """Return the digest of a network's tensors under this project's names."""
    return digest({}, network.state_dict())


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
            digests={str(name): str(found) for name, found in dict(values.get("digests", {})).items()},
        )
    except (ConfigError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise RefusedError(
            f"has an unusable note ({shown(error)}), expected one that ui2i wrote; fetch it again"
        ) from error
