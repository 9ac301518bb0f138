"""The state of an interrupted measurement of distances, from which it resumes.

The file belongs to one measurement: it holds a fingerprint of everything that decides its values (weights of generators
and backbone, settings, pairs), and a file of another measurement is passed over. What is taken up continues bit for
bit.
"""

import dataclasses
import io
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from torch import nn

from ui2i.files import is_whole_zip, sha256_bytes, sha256_listing, write_bytes
from ui2i.metrics.moments import Moments
from ui2i.perceptual import Perceptual
from ui2i.settings import DistanceConfig

SAVE_INTERVAL_SECONDS = 20.0

Pair = tuple[str, str]


class Unfinished:
    """The file of one measurement; with path None it saves and finds nothing."""

    def __init__(self, path: Path | None, fingerprint: str) -> None:
        self.path = path
        self.fingerprint = fingerprint
        self.saved_at = time.monotonic()

    def restore(self, moments: Mapping[Pair, Moments]) -> int:
        """Fill `moments` with what was measured, and return how many latents that was; 0: nothing to take up."""
        if self.path is None or not self.path.is_file():
            return 0
        try:
            if not is_whole_zip(self.path):
                return 0
            with np.load(self.path, allow_pickle=False) as arrays:
                if str(arrays["fingerprint"]) != self.fingerprint:
                    return 0
                saved = {name: arrays[name] for name in ("count", "mean", "squares", "values")}
        except (OSError, KeyError, ValueError):
            return 0  # half a file or another one: measuring anew is always right
        for place, moment in enumerate(moments.values()):
            moment.count = int(saved["count"])
            moment.mean, moment.squares = float(saved["mean"][place]), float(saved["squares"][place])
            if moment.kept is not None:
                moment.kept.append(saved["values"][place])
        return int(saved["count"])

    def save(self, moments: Mapping[Pair, Moments]) -> None:
        """Write the state, if the last time is a while ago."""
        if self.path is None or time.monotonic() - self.saved_at < SAVE_INTERVAL_SECONDS:
            return
        of_all = list(moments.values())
        kept = [moment.values for moment in of_all if moment.kept is not None]
        buffer = io.BytesIO()
        np.savez(
            buffer,
            fingerprint=np.array(self.fingerprint),
            count=np.array(of_all[0].count),
            mean=np.array([moment.mean for moment in of_all]),
            squares=np.array([moment.squares for moment in of_all]),
            values=np.array(kept, np.float64),
        )
        write_bytes(self.path, buffer.getvalue())
        self.saved_at = time.monotonic()

    def remove(self) -> None:
        """Remove the file: the measurement is finished."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def fingerprint(
    generators: Mapping[str, nn.Module],
    perceptual: Perceptual,
    config: DistanceConfig,
    pairs: Sequence[Pair],
    *,
    keep_values: bool,
) -> str:
    """Return a hash of all that decides the values of a measurement."""
    decides = {
        "generators": {name: _hash_weights(generator) for name, generator in generators.items()},
        "backbone": perceptual.weights_hash,
        "config": dataclasses.asdict(config),
        "pairs": pairs,
        "keep_values": keep_values,
    }
    return sha256_bytes(json.dumps(decides, sort_keys=True).encode())


def _hash_weights(network: nn.Module) -> str:
    """SHA-256 of a network's parameters and buffers by name."""
    state = network.state_dict()
    return sha256_listing((name, sha256_bytes(state[name].cpu().contiguous().numpy().tobytes())) for name in state)
