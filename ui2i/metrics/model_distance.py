"""The distance between generators: how unlike their images of the same latent code are (paper, Eq. 1 and Table I).

    d(G_i, G_j) = E_z LPIPS(G_i(z), G_j(z)),   z ~ N(0, I)

The mean over `num_latents` latent codes (paper: 2000) estimates it. Both generators get the same z, the same noise maps
and the same truncation psi. Latent codes and maps come from a stream of their own, one latent after the other, so that
neither the batch size nor the number or order of the generators changes a value. One pass over the latent codes serves
every pair: K generators cost K passes through the generator and the backbone, and memory holds one batch of features a
generator.

With a `state_file`, a measurement that was interrupted and resumed is bit-identical.

What is not done here: no table is written, no time measured. Standard error and interval describe the choice of latent
codes, not what another training of the same model would give.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ui2i.errors import CheckpointError, ConfigError
from ui2i.metrics.moments import Moments
from ui2i.metrics.unfinished import Pair as Pair
from ui2i.metrics.unfinished import Unfinished, fingerprint
from ui2i.networks.equality import have_equal_tensors
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual
from ui2i.progress import Progress, no_progress
from ui2i.settings import DistanceConfig

LatentSpace = Literal["z", "w"]
_LATENT_STREAM, _NOISE_STREAM = 0, 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairDistance:
    """An estimate of d(source, target) with its uncertainty."""

    source: str
    target: str
    mean: float
    std: float  # of single latents, n - 1 in the denominator
    sem: float  # std / sqrt(num_latents)
    ci95_low: float  # 95 % interval of the mean: Student's t with num_latents - 1 degrees of freedom
    ci95_high: float
    num_latents: int
    latent_space: LatentSpace  # w: the mapping networks are equal, so w was shared as well as z
    values: np.ndarray | None = dataclasses.field(default=None, compare=False, repr=False)  # [num_latents] float64


def model_distances(
    generators: Mapping[str, Generator],
    perceptual: Perceptual,
    config: DistanceConfig,
    *,
    pairs: Sequence[Pair] | None = None,
    progress: Progress = no_progress,
    keep_values: bool = False,
    state_file: Path | None = None,
) -> list[PairDistance]:
    """Measure the distance of every pair of generators (paper, Eq. 1).

    `noise_mode` const gives all generators one set of drawn maps for all latents, random a set for each latent, none no
    noise. The maps stored in the checkpoints are not used, since they may differ from one generator to the next.

    Args:
        generators: by name, on the device of `perceptual`.
        pairs: names of (source, target); None: every pair once, in the order of `generators`.
        progress: called after each batch with the number of latents done.
        keep_values: also return each latent's own distance.
        state_file: where an unfinished measurement is kept and taken up; removed at the end. None: nowhere.

    Returns:
        One estimate a pair, in the order of `pairs`.

    Raises:
        ConfigError: there is no pair, or a pair names an unknown generator.
        CheckpointError: generators differ in z_dim or resolution, or make images that are not finite.
        DataError: the images are too small for the backbone.

    Examples:
        >>> from ui2i.perceptual import load_perceptual
        >>> from ui2i.settings import NetworkConfig, PerceptualConfig
        >>> tiny = NetworkConfig(img_resolution=32, w_dim=32, channel_max=16)
        >>> models = {"face": Generator(tiny), "cartoon": Generator(tiny)}
        >>> perceptual = load_perceptual(PerceptualConfig(backbone="random"))
        >>> [distance] = model_distances(models, perceptual, DistanceConfig(num_latents=4))
        >>> distance.source, distance.target, distance.mean > 0
        ('face', 'cartoon', True)
    """
    pairs = list(itertools.combinations(generators, 2)) if pairs is None else [(a, b) for a, b in pairs]
    used = _used_generators(generators, pairs)
    _check_compatible(used)
    first = next(iter(used.values()))
    moments = {pair: Moments(keep_values=keep_values) for pair in pairs}
    decides = "" if state_file is None else fingerprint(used, perceptual, config, pairs, keep_values=keep_values)
    unfinished = Unfinished(state_file, decides)
    done = unfinished.restore(moments)
    for z, noise in _inputs(config, first, start=done):
        for pair, values in _batch_distances(used, perceptual, config, list(moments), z, noise):
            moments[pair].add(values)
        done += len(z)
        progress(done, config.num_latents, f"{len(pairs)} pairs")
        unfinished.save(moments)
    unfinished.remove()
    return [_summary(a, b, moments[a, b], _latent_space(used[a], used[b])) for a, b in pairs]


def latents(config: DistanceConfig, z_dim: int) -> Float[Tensor, "num_latents z_dim"]:
    """Return the latent codes that `model_distances` uses [num_latents, z_dim]; fewer latents are a prefix of more."""
    return _draw(_stream(config, _LATENT_STREAM), config.num_latents, z_dim)


@torch.no_grad()
def _batch_distances(
    generators: Mapping[str, Generator],
    perceptual: Perceptual,
    config: DistanceConfig,
    pairs: Sequence[Pair],
    z: Tensor,
    noise: list[Tensor] | None,
) -> Iterator[tuple[Pair, np.ndarray]]:
    """Yield each pair's distances [N] as soon as both sides are there, and keep features no longer than needed."""
    features: dict[str, list[Tensor]] = {}
    pending = list(pairs)
    for name, generator in generators.items():
        w = generator.truncate(generator.mapping(z), config.truncation_psi)
        img = generator.synthesis(generator.broadcast(w), noise_mode=config.noise_mode, noise=noise)
        features[name] = perceptual.features(img)
        ready = [(a, b) for a, b in pending if a in features and b in features]
        for a, b in ready:
            values = perceptual.distance_from_features(features[a], features[b])
            yield (a, b), _finite(values, a, b)
        pending = [pair for pair in pending if pair not in ready]
        features = {kept: maps for kept, maps in features.items() if any(kept in pair for pair in pending)}


def _inputs(
    config: DistanceConfig, generator: Generator, *, start: int = 0
) -> Iterator[tuple[Tensor, list[Tensor] | None]]:
    """Yield batches of z [N, z_dim] and the noise maps [N or 1, 1, r, r], lowest resolution first.

    Args:
        start: latents that are passed over, whole batches of them.
    """
    device = generator.w_avg.device
    z_stream, noise_stream = _stream(config, _LATENT_STREAM), _stream(config, _NOISE_STREAM)
    noise = _draw_noise(noise_stream, 1, generator) if config.noise_mode == "const" else None
    for place in range(0, config.num_latents, config.batch_size):
        num_latents = min(config.batch_size, config.num_latents - place)
        z = _draw(z_stream, num_latents, generator.config.z_dim).to(device)
        if config.noise_mode == "random":
            noise = _draw_noise(noise_stream, num_latents, generator)
        if place >= start:
            yield z, noise


def _draw_noise(stream: np.random.RandomState, num_latents: int, generator: Generator) -> list[Tensor]:
    resolutions = generator.config.noise_resolutions
    sizes = [resolution**2 for resolution in resolutions]
    maps = _draw(stream, num_latents, sum(sizes)).to(generator.w_avg.device).split(sizes, dim=1)
    return [part.reshape(num_latents, 1, r, r) for part, r in zip(maps, resolutions, strict=True)]


def _stream(config: DistanceConfig, index: int) -> np.random.RandomState:
    """NumPy's frozen generator: the same numbers in every version, however many are drawn at once."""
    return np.random.RandomState([config.seed, index])


def _draw(stream: np.random.RandomState, num_rows: int, num_columns: int) -> Tensor:
    return torch.from_numpy(stream.standard_normal((num_rows, num_columns))).float()


def _summary(source: str, target: str, moments: Moments, latent_space: LatentSpace) -> PairDistance:
    estimate = dataclasses.asdict(moments.estimate())
    num_latents = estimate.pop("count")
    return PairDistance(
        source=source,
        target=target,
        num_latents=num_latents,
        latent_space=latent_space,
        values=moments.values,
        **estimate,
    )


def _used_generators(generators: Mapping[str, Generator], pairs: Sequence[Pair]) -> dict[str, Generator]:
    """Return the generators that pairs name, in the order of their first use."""
    if not pairs:
        raise ConfigError(
            f"{len(generators)} generators make no pair, expected at least two; name a second one or the pairs"
        )
    names = dict.fromkeys(itertools.chain.from_iterable(pairs))
    unknown = [name for name in names if name not in generators]
    if unknown:
        raise ConfigError(
            f"pairs name {', '.join(unknown)}, expected some of {', '.join(generators)}; correct the pairs or load "
            "the missing generators"
        )
    return {name: generators[name] for name in names}


def _check_compatible(generators: Mapping[str, Generator]) -> None:
    for setting in ("z_dim", "img_resolution"):
        values = {name: getattr(generator.config, setting) for name, generator in generators.items()}
        if len(set(values.values())) > 1:
            listing = ", ".join(f"{name} {value}" for name, value in values.items())
            raise CheckpointError(
                f"generators differ in {setting}: {listing}; expected one value, since they must share their latent "
                "codes and image size; compare generators of one architecture"
            )


def _latent_space(source: Generator, target: Generator) -> LatentSpace:
    return "w" if have_equal_tensors(source.mapping, target.mapping) else "z"


def _finite(values: Tensor, source: str, target: str) -> np.ndarray:
    array = values.double().cpu().numpy()
    if not np.isfinite(array).all():
        raise CheckpointError(
            f"the distance between {source} and {target} is infinite or NaN for some latents, expected finite "
            "images; one of the two generators is damaged: fetch or train it again"
        )
    return array
