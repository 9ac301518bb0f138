"""DRIT++ (Lee et al. 2020, arXiv 1905.01270), written from the paper's sections 3 and 4.

As in MUNIT an image is a content and an attribute vector. Here a content discriminator keeps contents from telling
their domain (section 3.1), attributes are those of a variational encoder, images must come back after two exchanges of
attributes (3.2), and translations with different attributes must differ (3.4).
"""

import dataclasses
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.paper.baselines.multi_modal_networks import (
    ContentEncoder,
    Decoder,
    MultiScaleDiscriminator,
    StyleEncoder,
    initialize,
)
from experiments.paper.baselines.networks import InstanceNorm
from experiments.paper.baselines.state import Baseline, Settings, adam, placed, update

EPSILON = 1e-5  # added to a ratio that is divided by


@dataclasses.dataclass(frozen=True, kw_only=True)
class DRITSettings(Settings):
    """The settings that decide a run. The defaults have not been checked against the paper yet."""

    num_blocks: int = 4
    style_dim: int = 8
    num_scales: int = 3  # of the domain discriminators
    learning_rate: float = 1e-4
    content_adversarial_weight: float = 1.0
    cycle_weight: float = 10.0
    domain_adversarial_weight: float = 1.0
    reconstruction_weight: float = 10.0
    latent_weight: float = 10.0
    kl_weight: float = 0.01
    content_norm_weight: float = 0.01
    mode_seeking_weight: float = 1.0


class ContentDiscriminator(nn.Module):
    """Tells from a content which domain it is of: three strided convolutions and one logit."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        strided = (
            layer
            for _ in range(2)
            for layer in (nn.Conv2d(num_channels, num_channels, 3, 2, 1), InstanceNorm(), nn.LeakyReLU(0.2))
        )
        self.layers = nn.Sequential(*strided, nn.Conv2d(num_channels, num_channels, 3, 2, 1), nn.LeakyReLU(0.2))
        self.output = nn.Linear(num_channels, 1)
        self.apply(initialize)

    def forward(self, content: Tensor) -> Tensor:
        """[N, C, H, H] -> [N, 1], float32: above 0 if it seems to be of the source."""
        logits: Tensor = self.output(self.layers(content).mean(dim=(2, 3)))
        return logits.float()


class Domain(nn.Module):
    """A domain's encoders and generator. The attribute encoder returns a mean and the logarithm of a variance."""

    def __init__(self, settings: DRITSettings) -> None:
        super().__init__()
        self.content = ContentEncoder(settings.width, settings.num_blocks)
        self.attributes = StyleEncoder(settings.width, 2 * settings.style_dim)
        self.generator = Decoder(settings.width, settings.num_blocks, settings.style_dim)


class DRIT(Baseline):
    """Networks, optimisers and counters."""

    system = "DRIT++"
    parts = (
        "target",
        "source",
        "discriminator_target",
        "discriminator_source",
        "content_discriminator",
        "generator_optimizer",
        "discriminator_optimizer",
        "content_optimizer",
    )
    is_multi_modal = True
    settings: DRITSettings

    def __init__(self, settings: DRITSettings, device: str = "cpu") -> None:
        super().__init__(settings, device)
        torch.manual_seed(settings.seed)
        rate = settings.learning_rate
        self.target, self.source = (placed(Domain(settings), device) for _ in range(2))
        # Both domains share the last layer of the content encoders and the first of the generators (section 3.1).
        self.source.content.layers[-1] = self.target.content.layers[-1]
        self.source.generator.blocks[0] = self.target.generator.blocks[0]
        self.discriminator_target, self.discriminator_source = (
            placed(MultiScaleDiscriminator(settings.width, settings.num_scales), device) for _ in range(2)
        )
        self.content_discriminator = placed(ContentDiscriminator(4 * settings.width), device)
        self.generator_optimizer = adam((self.target, self.source), rate)
        self.discriminator_optimizer = adam((self.discriminator_target, self.discriminator_source), rate)
        self.content_optimizer = adam((self.content_discriminator,), rate)

    def train_step(self, source: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Update the content discriminator, encoders and generators, then the domain discriminators.

        Returns:
            Each the sum over both domains: the terms of `_generator_terms`, `content_discriminator`, `discriminator`.
        """
        with self.autocast(), torch.no_grad():
            contents = self.source.content(source), self.target.content(target)
        with self.autocast():
            content_loss = judged(self.content_discriminator(contents[0]), 1) + judged(
                self.content_discriminator(contents[1]), 0
            )
        update(self.content_optimizer, content_loss)
        terms, fake_target, fake_source = _generator_terms(self, source, target)
        update(self.generator_optimizer, _weighted(self.settings, terms))
        with self.autocast():
            terms["discriminator"] = discriminator_loss(
                self.discriminator_target, target, fake_target.detach()
            ) + discriminator_loss(self.discriminator_source, source, fake_source.detach())
        update(self.discriminator_optimizer, terms["discriminator"])
        terms["content_discriminator"] = content_loss
        return {name: term.detach() for name, term in terms.items()}

    def learning_rate(self, _share: float) -> float:
        return self.settings.learning_rate

    def translate_batch(self, images: Tensor, random: torch.Generator) -> Tensor:
        attributes = torch.randn(len(images), self.settings.style_dim, generator=random).to(self.device)
        translated: Tensor = self.target.generator(self.source.content(images), attributes)
        return translated


def judged(logits: Tensor, label: float) -> Tensor:
    """Return the mean cross-entropy of logits with a label: 1 real or of the source, 0 fake or of the target."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


def discriminator_loss(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Return the loss of a discriminator of several scales; there may be more fakes than real images."""
    return _summed(
        judged(logits[: len(real)], 1) + judged(logits[len(real) :], 0)
        for logits in discriminator(torch.cat([real, fake]))
    )


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the mean over images of KL(N(mean, variance) || N(0, 1))."""
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1).mean() / 2


def mode_seeking(first: Tensor, second: Tensor, attributes: Tensor, others: Tensor) -> Tensor:
    """Return the inverse of how much images differ for how much their attributes differ (section 3.4)."""
    ratio = (first - second).abs().mean() / ((attributes - others).abs().mean() + EPSILON)
    return 1 / (ratio + EPSILON)


def _weighted(weights: DRITSettings, terms: dict[str, Tensor]) -> Tensor:
    """Return the loss of encoders and generators (Eq. 8 and 9)."""
    factors = {
        "content_adversarial": weights.content_adversarial_weight,
        "cycle": weights.cycle_weight,
        "adversarial": weights.domain_adversarial_weight,
        "reconstruction": weights.reconstruction_weight,
        "latent": weights.latent_weight,
        "kl": weights.kl_weight,
        "content_norm": weights.content_norm_weight,
        "mode_seeking": weights.mode_seeking_weight,
    }
    return torch.stack([factor * terms[name] for name, factor in factors.items()]).sum()


def _generator_terms(model: DRIT, source: Tensor, target: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Return the terms of the loss of encoders and generators, and the fakes of each domain."""
    judges = (model.discriminator_target, model.discriminator_source, model.content_discriminator)
    for judge in judges:
        judge.requires_grad_(False)  # or gradients would be computed that nobody uses
    with model.autocast():
        first, second = _side(model, model.source, source, 0), _side(model, model.target, target, 1)
        to_source, to_target = _generated(first, second.content), _generated(second, first.content)
        back_source = first.domain.generator(
            second.domain.content(to_target.exchanged), _sampled(model, first.domain, to_source.exchanged, 4)[0]
        )
        back_target = second.domain.generator(
            first.domain.content(to_source.exchanged), _sampled(model, second.domain, to_target.exchanged, 5)[0]
        )
        sides = ((first, to_source, judges[1]), (second, to_target, judges[0]))
        terms = {
            "content_adversarial": _undecided(model, first.content) + _undecided(model, second.content),
            "cycle": F.l1_loss(back_source, source) + F.l1_loss(back_target, target),
            "adversarial": _summed(_fooling_loss(judge, made.fakes) for _, made, judge in sides),
            "reconstruction": F.l1_loss(to_source.same, source) + F.l1_loss(to_target.same, target),
            "latent": _summed(F.l1_loss(_moments(side.domain, made.drawn)[0], side.drawn) for side, made, _ in sides),
            "kl": _summed(kl_divergence(side.mean, side.log_variance) for side, _, _ in sides),
            "content_norm": _summed(side.content.abs().mean() for side, _, _ in sides),
            "mode_seeking": _summed(
                mode_seeking(made.drawn, made.other_drawn, side.drawn, side.other_drawn) for side, made, _ in sides
            ),
        }
    for judge in judges:
        judge.requires_grad_(True)
    return terms, to_target.fakes, to_source.fakes


@dataclasses.dataclass(frozen=True)
class _Side:
    """An image taken apart, and attributes drawn for its domain."""

    domain: Domain
    content: Tensor
    attributes: Tensor
    mean: Tensor
    log_variance: Tensor
    drawn: Tensor
    other_drawn: Tensor


@dataclasses.dataclass(frozen=True)
class _Generated:
    """What a domain's generator makes: of the other image's content, except `same`."""

    same: Tensor
    exchanged: Tensor  # with the own image's attributes
    drawn: Tensor  # with drawn attributes
    other_drawn: Tensor

    @property
    def fakes(self) -> Tensor:
        return torch.cat([self.exchanged, self.drawn])


def _side(model: DRIT, domain: Domain, images: Tensor, stream: int) -> _Side:
    attributes, mean, log_variance = _sampled(model, domain, images, stream)
    drawn, other_drawn = model.normal(2 * len(images), model.settings.style_dim, 2 + stream).chunk(2)
    return _Side(domain, domain.content(images), attributes, mean, log_variance, drawn, other_drawn)


def _generated(side: _Side, other_content: Tensor) -> _Generated:
    contents = torch.cat([side.content, other_content, other_content, other_content])
    attributes = torch.cat([side.attributes, side.attributes, side.drawn, side.other_drawn])
    return _Generated(*side.domain.generator(contents, attributes).chunk(4))


def _sampled(model: DRIT, domain: Domain, images: Tensor, stream: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return attributes drawn from the encoder's distribution, its mean and the logarithm of its variance."""
    mean, log_variance = _moments(domain, images)
    noise = model.normal(len(images), model.settings.style_dim, stream)
    return mean + noise * (log_variance / 2).exp(), mean, log_variance


def _moments(domain: Domain, images: Tensor) -> tuple[Tensor, Tensor]:
    mean, log_variance = domain.attributes(images).float().chunk(2, dim=1)
    return mean, log_variance.clamp(-10, 10)  # so that its exponential is finite from the first step on


def _undecided(model: DRIT, content: Tensor) -> Tensor:
    """Return how far the content discriminator is from not knowing (Eq. 1)."""
    logits = model.content_discriminator(content)
    return (judged(logits, 1) + judged(logits, 0)) / 2


def _fooling_loss(discriminator: nn.Module, fakes: Tensor) -> Tensor:
    return _summed(judged(logits, 1) for logits in discriminator(fakes))


def _summed(terms: Iterator[Tensor]) -> Tensor:
    return torch.stack(list(terms)).sum()
