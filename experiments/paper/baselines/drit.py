"""DRIT++ (Lee et al. 2020, arXiv 1905.01270, section 3); docs/baseline.md compares it with the authors' code.

As in MUNIT an image is a content and an attribute vector. Here a content discriminator keeps contents from telling
their domain (section 3.1), attributes are those of a variational encoder, images must come back after two exchanges of
attributes (3.2), and translations with different attributes must differ (3.4).

Half of a batch is taken apart. The other half are the real images for the discriminators of translations with drawn
attributes. Of three steps the first two update the content discriminator alone.
"""

import dataclasses
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.paper.baselines.cyclegan import falling_factor
from experiments.paper.baselines.drit_networks import (
    SLOPE,
    AttributeEncoder,
    ContentDiscriminator,
    ContentEncoder,
    Generator,
)
from experiments.paper.baselines.munit_networks import MultiScaleDiscriminator
from experiments.paper.baselines.networks import ResidualBlock, initialize
from experiments.paper.baselines.state import Baseline, Settings, adam, judging, placed, update
from ui2i.errors import ConfigError

EPSILON = 1e-5  # added to a ratio that is divided by


@dataclasses.dataclass(frozen=True, kw_only=True)
class DRITSettings(Settings):
    """The settings that decide a run; the defaults are those of the released code, but the width and the precision."""

    batch_size: int = 2
    num_blocks: int = 4  # residual ones of a content encoder and of a generator; one of each is shared
    style_dim: int = 8
    num_scales: int = 3  # of the domain discriminators
    num_content_layers: int = 2  # strided ones of the content discriminator
    learning_rate: float = 1e-4
    content_learning_rate: float = 4e-5  # of the content discriminator
    content_gradient_norm: float = 5.0  # at most
    content_period: int = 3  # steps, of which the last one updates everything
    weight_decay: float = 1e-4
    content_adversarial_weight: float = 1.0
    cycle_weight: float = 10.0
    domain_adversarial_weight: float = 1.0
    reconstruction_weight: float = 10.0
    latent_weight: float = 10.0
    kl_weight: float = 0.01
    content_norm_weight: float = 0.01
    mode_seeking_weight: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size % 2:
            raise ConfigError(f"--batch-size is {self.batch_size}, expected an even number for DRIT++; correct it")


class Domain(nn.Module):
    """A domain's encoders and generator."""

    def __init__(self, settings: DRITSettings, shared: tuple[ResidualBlock, ResidualBlock]) -> None:
        super().__init__()
        num_own = settings.num_blocks - 1
        self.content = ContentEncoder(settings.width, num_own, shared[0])
        self.attributes = AttributeEncoder(settings.width, settings.style_dim)
        self.generator = Generator(settings.width, num_own, settings.style_dim, shared[1])


class DRIT(Baseline):
    """Networks, optimisers and counters."""

    system = "DRIT++"
    parts = (
        "target",
        "source",
        "discriminator_target",
        "discriminator_source",
        "drawn_discriminator_target",
        "drawn_discriminator_source",
        "content_discriminator",
        "generator_optimizer",
        "attribute_optimizer",
        "discriminator_optimizer",
        "content_optimizer",
    )
    is_multi_modal = True
    settings: DRITSettings

    def __init__(self, settings: DRITSettings, device: str = "cpu") -> None:
        super().__init__(settings, device)
        torch.manual_seed(settings.seed)
        width = settings.width
        shared = ResidualBlock(4 * width).apply(initialize), ResidualBlock(4 * width).apply(initialize)
        self.target, self.source = (placed(Domain(settings, shared), device) for _ in range(2))
        (
            self.discriminator_target,
            self.discriminator_source,
            self.drawn_discriminator_target,
            self.drawn_discriminator_source,
        ) = self.discriminators = [
            placed(MultiScaleDiscriminator(width, settings.num_scales, SLOPE), device) for _ in range(4)
        ]
        content = ContentDiscriminator(4 * width, settings.num_content_layers)
        self.content_discriminator: nn.Module = placed(content, device)
        rate, decay = settings.learning_rate, settings.weight_decay
        domains = (self.source, self.target)
        self.generator_optimizer = adam(
            [network for domain in domains for network in (domain.content, domain.generator)], rate, decay
        )
        self.attribute_optimizer = adam([domain.attributes for domain in domains], rate, decay)
        self.discriminator_optimizer = adam(self.discriminators, rate, decay)
        self.content_optimizer = adam([self.content_discriminator], settings.content_learning_rate, decay)

    def train_step(self, source: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Update the content discriminator, and every `content_period` steps then everything else.

        Returns:
            Each the sum over both domains: `content_discriminator`, and of a whole step `discriminator` and the terms
            of `_exchange_terms` and `_draw_terms`.
        """
        is_whole = (self.num_steps + 1) % self.settings.content_period == 0
        images, others = zip(source.chunk(2), target.chunk(2), strict=True)
        if not is_whole:
            with self.autocast(), torch.no_grad():
                contents = (
                    _noisy_content(self, self.source, images[0], 0),
                    _noisy_content(self, self.target, images[1], 1),
                )
            return {"content_discriminator": self._update_content_discriminator(*contents)}
        with self.autocast():
            sides = _side(self, self.source, images[0], 0), _side(self, self.target, images[1], 1)
            made = _generated(sides[0], sides[1].content), _generated(sides[1], sides[0].content)
        terms = {"discriminator": self._update_discriminators(images, others, made)}
        contents = sides[0].content.detach(), sides[1].content.detach()
        terms["content_discriminator"] = self._update_content_discriminator(*contents)
        with judging(*self.discriminators, self.content_discriminator):
            with self.autocast():
                exchange, draw = _exchange_terms(self, images, sides, made), _draw_terms(self, sides, made)
            self._update_domains(exchange, draw)
        return {name: term.detach() for name, term in (terms | exchange | draw).items()}

    def rate_factor(self, share: float) -> float:
        return falling_factor(share)

    def translate_batch(self, images: Tensor, random: torch.Generator) -> Tensor:
        attributes = torch.randn(len(images), self.settings.style_dim, generator=random).to(self.device)
        translated: Tensor = self.target.generator(self.source.content(images), attributes)
        return translated

    def _update_content_discriminator(self, source: Tensor, target: Tensor) -> Tensor:
        with self.autocast():
            loss = judged(self.content_discriminator(source), 1) + judged(self.content_discriminator(target), 0)
        self.content_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.content_discriminator.parameters(), self.settings.content_gradient_norm)
        self.content_optimizer.step()
        return loss.detach()

    def _update_discriminators(
        self, images: tuple[Tensor, ...], others: tuple[Tensor, ...], made: tuple["_Generated", "_Generated"]
    ) -> Tensor:
        """Update the four domain discriminators; the ones of drawn attributes see two fakes for each real image."""
        to_source, to_target = made
        with self.autocast():
            loss = (
                discriminator_loss(self.discriminator_source, images[0], [to_source.exchanged])
                + discriminator_loss(self.discriminator_target, images[1], [to_target.exchanged])
                + discriminator_loss(self.drawn_discriminator_source, others[0], to_source.drawn_ones)
                + discriminator_loss(self.drawn_discriminator_target, others[1], to_target.drawn_ones)
            )
        update(self.discriminator_optimizer, loss)
        return loss

    def _update_domains(self, exchange: dict[str, Tensor], draw: dict[str, Tensor]) -> None:
        """Take a step of everything along the first loss, then one of all but the attribute encoders along the second.

        What is drawn teaches generators to show their attributes, not encoders to read them.
        """
        parameters = self.generator_optimizer.param_groups[0]["params"]
        drawn = torch.autograd.grad(_weighted(self.settings, draw), parameters, retain_graph=True)
        for optimizer in (self.generator_optimizer, self.attribute_optimizer):
            optimizer.zero_grad(set_to_none=True)
        _weighted(self.settings, exchange).backward()
        for optimizer in (self.generator_optimizer, self.attribute_optimizer):
            optimizer.step()
        for parameter, gradient in zip(parameters, drawn, strict=True):
            parameter.grad = gradient
        self.generator_optimizer.step()


def judged(logits: Tensor, label: float) -> Tensor:
    """Return the mean cross-entropy of logits with a label: 1 real or of the source, 0 fake or of the target."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


def discriminator_loss(discriminator: nn.Module, real: Tensor, fakes: list[Tensor]) -> Tensor:
    """Return the loss of a discriminator of several scales; real images count as often as there are sets of fakes."""
    return _summed(
        len(fakes) * judged(real_logits, 1) + _summed(judged(logits, 0) for logits in fake_logits)
        for real_logits, *fake_logits in (
            logits.split(len(real)) for logits in discriminator(torch.cat([real, *(fake.detach() for fake in fakes)]))
        )
    )


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the mean over images of KL(N(mean, variance) || N(0, 1))."""
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1).mean() / 2


def mode_seeking(first: Tensor, second: Tensor, attributes: Tensor, others: Tensor) -> Tensor:
    """Return the inverse of how much images differ for how much their attributes differ (section 3.4)."""
    return 1 / ((first - second).abs().mean() / (attributes - others).abs().mean() + EPSILON)


@dataclasses.dataclass(frozen=True)
class _Side:
    """An image taken apart, and attributes drawn for both domains."""

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
    def drawn_ones(self) -> list[Tensor]:
        return [self.drawn, self.other_drawn]


def _side(model: DRIT, domain: Domain, images: Tensor, number: int) -> _Side:
    """Args: number: 0 for the source, 1 for the target, which has random numbers of its own."""
    attributes, mean, log_variance = _sampled(model, domain, images, 2 + number)
    drawn, other_drawn = model.normal(2 * len(images), model.settings.style_dim, 4).chunk(2)
    content = _noisy_content(model, domain, images, number)
    return _Side(domain, content, attributes, mean, log_variance, drawn, other_drawn)


def _generated(side: _Side, other_content: Tensor) -> _Generated:
    contents = torch.cat([side.content, other_content, other_content, other_content])
    attributes = torch.cat([side.attributes, side.attributes, side.drawn, side.other_drawn])
    return _Generated(*side.domain.generator(contents, attributes).chunk(4))


def _noisy_content(model: DRIT, domain: Domain, images: Tensor, stream: int) -> Tensor:
    """Return contents with standard normal noise, which only training adds."""
    content: Tensor = domain.content(images)
    return content + model.normal(len(content), content[0].numel(), stream).view(content.shape)


def _sampled(model: DRIT, domain: Domain, images: Tensor, stream: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return attributes drawn from the encoder's distribution, its mean and the logarithm of its variance."""
    mean, log_variance = domain.attributes(images)
    noise = model.normal(len(images), model.settings.style_dim, stream)
    return mean + noise * (log_variance / 2).exp(), mean, log_variance


def _exchange_terms(
    model: DRIT, images: tuple[Tensor, ...], sides: tuple[_Side, _Side], made: tuple[_Generated, _Generated]
) -> dict[str, Tensor]:
    """Return the terms that train everything (Eq. 1 to 4 and 6)."""
    judges = (model.discriminator_source, model.discriminator_target)
    back = [
        own.domain.generator(
            _noisy_content(model, other.domain, translated.exchanged, 5 + number),
            _sampled(model, own.domain, exchanged.exchanged, 7 + number)[0],
        )
        for number, (own, other, exchanged, translated) in enumerate(((*sides, *made), (*sides[::-1], *made[::-1])))
    ]
    return {
        "content_adversarial": _summed(_undecided(model, side.content) for side in sides),
        "cycle": _summed(F.l1_loss(image, real) for image, real in zip(back, images, strict=True)),
        "reconstruction": _summed(F.l1_loss(it.same, real) for it, real in zip(made, images, strict=True)),
        "adversarial": _summed(_fooling_loss(judge, it.exchanged) for judge, it in zip(judges, made, strict=True)),
        "kl": _summed(kl_divergence(side.mean, side.log_variance) for side in sides),
        "content_norm": _summed(side.content.square().mean() for side in sides),
    }


def _draw_terms(model: DRIT, sides: tuple[_Side, _Side], made: tuple[_Generated, _Generated]) -> dict[str, Tensor]:
    """Return the terms of images with drawn attributes (Eq. 5, 7 and 9)."""
    judges = (model.drawn_discriminator_source, model.drawn_discriminator_target)
    return {
        "drawn_adversarial": _summed(
            _fooling_loss(judge, fakes) for judge, it in zip(judges, made, strict=True) for fakes in it.drawn_ones
        ),
        "latent": _summed(
            F.l1_loss(side.domain.attributes(it.drawn)[0], side.drawn) for side, it in zip(sides, made, strict=True)
        ),
        "mode_seeking": _summed(
            mode_seeking(it.drawn, it.other_drawn, side.drawn, side.other_drawn)
            for side, it in zip(sides, made, strict=True)
        ),
    }


def _weighted(weights: DRITSettings, terms: dict[str, Tensor]) -> Tensor:
    """Return the sum of terms with their weights (Eq. 8 and 9)."""
    factors = {
        "content_adversarial": weights.content_adversarial_weight,
        "cycle": weights.cycle_weight,
        "adversarial": weights.domain_adversarial_weight,
        "drawn_adversarial": weights.domain_adversarial_weight,
        "reconstruction": weights.reconstruction_weight,
        "latent": weights.latent_weight,
        "kl": weights.kl_weight,
        "content_norm": weights.content_norm_weight,
        "mode_seeking": weights.mode_seeking_weight,
    }
    return _summed(factors[name] * term for name, term in terms.items())


def _undecided(model: DRIT, content: Tensor) -> Tensor:
    """Return how far the content discriminator is from not knowing (Eq. 1)."""
    return judged(model.content_discriminator(content), 0.5)


def _fooling_loss(discriminator: nn.Module, fakes: Tensor) -> Tensor:
    return _summed(judged(logits, 1) for logits in discriminator(fakes))


def _summed(terms: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(terms)).sum()
