"""Pairs to train a translator on: the same latent codes by two models of a family, generated once and kept.

A pair follows from the models and its number alone. So a generation that was stopped goes on behind its last part, and
a larger `num_pairs` keeps what is there.
"""

import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from ui2i.errors import ConfigError, is_out_of_memory
from ui2i.files import atomic_file, sha256_bytes
from ui2i.images import to_tensor, to_uint8
from ui2i.networks.equality import have_equal_tensors
from ui2i.networks.generator import Generator
from ui2i.progress import Progress, no_progress
from ui2i.samples import HELD_OUT, step_seed
from ui2i.settings import TranslatorConfig
from ui2i.translation.family import check_family

PART = 256  # pairs in a file
BATCH = 32

Images = UInt8[np.ndarray, "n r r 3"]


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Pairs in parts of `PART`: each [2, n, R, R, 3], the source's images first, in memory or mapped from files."""

    parts: Sequence[UInt8[np.ndarray, "2 n r r 3"]]
    identity: str  # SHA-256 of what made them

    def __len__(self) -> int:
        return sum(part.shape[1] for part in self.parts)

    def batch(self, places: Sequence[int] | np.ndarray) -> tuple[Tensor, Tensor]:
        """Return the images at some places by the source and by the target, each [N, 3, R, R] in [-1, 1]."""
        chosen = np.stack([self.parts[place // PART][:, place % PART] for place in map(int, places)], axis=1)
        return to_tensor(chosen[0]), to_tensor(chosen[1])


class PairMaker:
    """Generates pairs of two models of one family."""

    def __init__(
        self, source: Generator, target: Generator, config: TranslatorConfig, *, source_hash: str, target_hash: str
    ) -> None:
        """Set up; nothing is generated yet.

        Args:
            source_hash: SHA-256 of the source's checkpoint.
            target_hash: the same of the target.

        Raises:
            CheckpointError: the models are of two families.
            ConfigError: the target is the source, or a copy of it.
        """
        check_family(source, {"the target": target})
        if source_hash == target_hash or have_equal_tensors(source.synthesis, target.synthesis):
            raise ConfigError(
                f"the target is the source itself ({source_hash[:12]}), expected a model fine-tuned from it; name one"
            )
        self._models = source, target
        self._config = config
        made_of = [source_hash, target_hash, config.min_truncation_psi, config.seed]
        self.identity = sha256_bytes(json.dumps(made_of).encode())

    def cached(self, folder: Path, progress: Progress = no_progress) -> Pairs:
        """Return the pairs to train on, mapped from files below `folder`; those that are missing are generated.

        Args:
            folder: for these pairs alone. Those of other models or settings, hundreds of megabytes, are removed.
            progress: counts pairs.
        """
        own, total, parts = folder / self.identity[:16], self._config.num_pairs, []
        for other in folder.glob("[0-9a-f]" * 16):
            if other != own:
                shutil.rmtree(other)
        for number, start in enumerate(range(0, total, PART)):
            count = min(PART, total - start)
            path = own / f"{number:05d}.npy"
            part = self._read(path, count)
            if part is None:
                part = self._generate(count, step_seed(self._config.seed, number))
                with atomic_file(path) as temporary, temporary.open("wb") as file:
                    np.save(file, part)
                progress(start + count, total, "pairs")
            parts.append(part)
        return Pairs(parts, self.identity)

    def held_out(self) -> Pairs:
        """Return further pairs, to measure with."""
        starts = range(0, self._config.num_held_out, PART)
        counts = [min(PART, self._config.num_held_out - start) for start in starts]
        seed = self._config.seed + HELD_OUT
        parts = [self._generate(count, step_seed(seed, number)) for number, count in enumerate(counts)]
        return Pairs(parts, self.identity)

    def _read(self, path: Path, count: int) -> np.ndarray | None:
        """Return the first pairs of a file; None: it is not there, damaged or too short."""
        try:
            part: np.ndarray = np.load(path, mmap_mode="r")
        except Exception as error:  # a damaged header raises what parsing it happens to
            if is_out_of_memory(error):
                raise
            return None
        size = self._models[0].config.img_resolution
        fits = part.dtype == np.uint8 and part.shape[:1] + part.shape[2:] == (2, size, size, 3)
        return part[:, :count] if fits and part.shape[1] >= count else None

    @torch.no_grad()
    def _generate(self, count: int, seed: int) -> UInt8[np.ndarray, "2 n r r 3"]:
        source, target = self._models
        ws = source.broadcast(self._latents(seed)[:count].to(source.w_avg.device))
        sides = [[to_uint8(model.synthesis(batch)) for batch in ws.split(BATCH)] for model in (source, target)]
        return np.stack([np.concatenate(side) for side in sides])

    def _latents(self, seed: int) -> Float32[Tensor, "part w_dim"]:
        """Return the latent codes of a part, each truncated by its own psi."""
        source, random = self._models[0], torch.Generator().manual_seed(seed)
        z = torch.randn(PART, source.config.z_dim, generator=random).to(source.w_avg.device)
        least = self._config.min_truncation_psi
        psi = least + (1 - least) * torch.rand(PART, 1, generator=random).to(z.device)
        return source.w_avg.lerp(source.mapping(z), psi)
