"""Latent codes that were found, as rows of Parquet: beside a translation, and in a store for the next inversion.

A store is a folder with one small table an image, named by the hash of all that decides the latent code: the pixels,
the generator, the settings of the inversion, the backbone of its loss and the encoder. So equal work is never done
twice, by whichever run, a run that was killed resumes after its last batch, and two runs can share a store.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from ui2i.columns import described, required
from ui2i.errors import DataError
from ui2i.files import sha256_bytes
from ui2i.images import to_tensor
from ui2i.inversion.encoder import Encoder
from ui2i.inversion.optimize import InversionResult, invert
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual
from ui2i.progress import Progress, no_progress
from ui2i.settings import InversionConfig, NetworkConfig, to_mapping
from ui2i.tables import read_table, write_table

STORE_VERSION = 1  # raised when equal settings come to give other latent codes
_NAMES_IN_KEYS = {"backbone_hash": "trunk_hash"}


def _list(kind: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", kind))  # what Parquet calls a list's items when read back


LATENTS_SCHEMA = pa.schema(
    described(
        "latents",
        [
            required("index", pa.int64()),
            required("input_path", pa.string()),
            required("input_sha256", pa.string()),
            required("base_hash", pa.string()),
            required("method", pa.string()),
            required("start", pa.string()),
            required("settings", pa.string()),
            pa.field("encoder_hash", pa.string()),
            required("backbone_hash", pa.string()),
            required("learning_rate", pa.float64()),
            required("steps", pa.int64()),
            required("loss", pa.float64()),
            required("losses", _list(pa.float32())),
            required("ssim", pa.float64()),
            required("lpips", pa.float64()),
            required("seconds", pa.float64()),
            required("num_ws", pa.int64()),
            required("w_dim", pa.int64()),
            required("ws", _list(pa.float32())),
            pa.field("noise", _list(pa.float32())),
        ],
    ),
    metadata={"table": "latents", "schema_version": "3"},
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Latent:
    """The latent code of one image, how good it is and what it cost."""

    ws: Float32[np.ndarray, "num_ws w_dim"]
    noise: Float32[np.ndarray, " values"] | None  # all maps, lowest resolution first; None: the generator's own
    losses: Float32[np.ndarray, " evaluations"]
    loss: float
    ssim: float
    lpips: float
    seconds: float
    steps: int
    learning_rate: float

    @property
    def sha256(self) -> str:
        """Hash of the latent code and the noise maps."""
        noise = b"" if self.noise is None else self.noise.tobytes()
        return sha256_bytes(self.ws.tobytes() + noise)

    def row(self) -> dict[str, Any]:
        """Return the columns of the table that the latent code knows by itself."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        num_ws, w_dim = self.ws.shape
        return values | {"ws": self.ws.ravel(), "num_ws": num_ws, "w_dim": w_dim}


class Inverter:
    """Inverts images with one generator and one setting, and remembers what it found.

    Attributes:
        columns: what the rows of all its latent codes have in common.
        num_reused: images whose latent codes were taken from the store.
    """

    def __init__(
        self,
        generator: Generator,
        perceptual: Perceptual,
        config: InversionConfig,
        *,
        base_hash: str,
        encoder: Encoder | None = None,
        encoder_hash: str | None = None,
        store: Path | None = None,
    ) -> None:
        """Set up.

        Args:
            base_hash: SHA-256 of the generator's checkpoint.
            encoder_hash: of the encoder's, if there is one.
            store: folder of latent codes found before, which is made; None: nothing is remembered.
        """
        self._generator = generator
        self._perceptual = perceptual
        self._config = config
        self._encoder = encoder
        self._store = store
        self.num_reused = 0
        # How many images advance together changes a code by rounding alone: any of these codes counts as the same.
        settings = {name: value for name, value in to_mapping(config).items() if name != "batch_size"}
        self.columns: Mapping[str, Any] = {
            "base_hash": base_hash,
            "method": config.method,
            "start": config.start,
            "settings": json.dumps(settings, sort_keys=True),
            "encoder_hash": encoder_hash if config.needs_encoder else None,
            "backbone_hash": perceptual.weights_hash,
        }

    def find(self, images: UInt8[np.ndarray, "n r r 3"], *, progress: Progress = no_progress) -> list[Latent]:
        """Return the latent codes of images, from the store where they are there, and remember the others.

        Args:
            progress: counts steps, as `invert` does.

        Raises:
            UI2IError: as `invert`.
        """
        found = [self._read(image) for image in images]
        missing = [place for place, latent in enumerate(found) if latent is None]
        self.num_reused += len(images) - len(missing)
        if missing:
            result = invert(
                to_tensor(images[missing]),
                self._generator,
                self._perceptual,
                self._config,
                encoder=self._encoder,
                progress=progress,
            )
            for place, latent in zip(missing, split_result(result), strict=True):
                found[place] = latent
                self._write(images[place], latent)
        return [latent for latent in found if latent is not None]

    def known(self, images: UInt8[np.ndarray, "n r r 3"]) -> list[Latent]:
        """Return the latent codes that are in the store; images without one are passed over."""
        return [latent for latent in map(self._read, images) if latent is not None]

    def _path(self, image: UInt8[np.ndarray, "r r 3"]) -> Path:
        assert self._store is not None
        # The names that columns had in version 0.1, whose latent codes are thus found again.
        columns = {_NAMES_IN_KEYS.get(name, name): value for name, value in self.columns.items()}
        made_of = [STORE_VERSION, columns, list(image.shape), sha256_bytes(image.tobytes())]
        key = sha256_bytes(json.dumps(made_of, sort_keys=True).encode())
        return self._store / key[:2] / f"{key[2:]}.parquet"

    def _read(self, image: UInt8[np.ndarray, "r r 3"]) -> Latent | None:
        if self._store is None:
            return None
        path = self._path(image)
        if not path.is_file():
            return None
        try:
            return latent_from_row(read_table(path, LATENTS_SCHEMA).iloc[0], self._generator.config)
        except (DataError, IndexError):  # damaged, or of an older version: found again and replaced
            return None

    def _write(self, image: UInt8[np.ndarray, "r r 3"], latent: Latent) -> None:
        if self._store is None:
            return
        digest = sha256_bytes(image.tobytes())
        # The store knows pixels, not files: two equal images share a latent code.
        own = {"index": 0, "input_path": f"pixels:{digest}", "input_sha256": digest}
        write_table(self._path(image), [{**self.columns, **own, **latent.row()}], LATENTS_SCHEMA)


def latent_from_row(row: Any, config: NetworkConfig) -> Latent:
    """Return the latent code in a row of the table.

    Args:
        row: by column, as pandas gives it.
        config: of the generator whose latent code it is.

    Raises:
        DataError: the latent code does not fit the generator.
    """
    ws = np.asarray(row["ws"], np.float32)
    if ws.size != config.num_ws * config.w_dim:
        raise DataError(
            f"a latent code has {ws.size} values, expected {config.num_ws} x {config.w_dim}; name the model that it "
            "is of"
        )
    noise = row["noise"]
    return Latent(
        ws=ws.reshape(config.num_ws, config.w_dim),
        noise=None if noise is None else np.asarray(noise, np.float32),
        losses=np.asarray(row["losses"], np.float32),
        **{name: float(row[name]) for name in ("loss", "ssim", "lpips", "seconds", "learning_rate")},
        steps=int(row["steps"]),
    )


def split_result(result: InversionResult) -> list[Latent]:
    """Return the images of a result one by one."""
    ws, losses = result.ws.cpu().numpy(), result.losses.cpu().numpy()
    maps = [noise.flatten(1).cpu().numpy() for noise in result.noise]
    return [
        Latent(
            ws=ws[place].copy(),
            noise=np.concatenate([noise[place] for noise in maps]) if maps else None,
            losses=losses[:, place].copy(),
            loss=result.loss[place].item(),
            ssim=result.ssim[place].item(),
            lpips=result.lpips[place].item(),
            seconds=result.seconds / len(ws),
            steps=result.num_steps,
            learning_rate=result.learning_rate,
        )
        for place in range(len(ws))
    ]


def stack_latents(
    latents: list[Latent], generator: Generator
) -> tuple[Float[Tensor, "n num_ws w_dim"], list[Float[Tensor, "n 1 _ _"]] | None]:
    """Return latent codes [N, num_ws, w_dim] and noise maps [N, 1, r, r] (None: the generator's own), on its device.

    Raises:
        DataError: noise maps do not fit the generator.
    """
    device = generator.w_avg.device
    ws = torch.from_numpy(np.stack([latent.ws for latent in latents])).to(device)
    values = [latent.noise for latent in latents]
    if any(value is None for value in values):
        return ws, None
    flat = torch.from_numpy(np.stack([value for value in values if value is not None])).to(device)
    sides = generator.config.noise_resolutions
    if flat.shape[1] != sum(side**2 for side in sides):
        raise DataError(
            f"noise maps have {flat.shape[1]} values, expected {sum(side**2 for side in sides)} for "
            f"{generator.config.img_resolution} px; name the model that they are of"
        )
    parts = flat.split([side**2 for side in sides], dim=1)
    return ws, [part.reshape(-1, 1, side, side) for part, side in zip(parts, sides, strict=True)]
