"""MUNIT (Huang et al. 2018, arXiv 1804.04732, sections 3 to 5 and appendix B); docs/baseline.md compares.

Each domain has an auto-encoder that takes an image apart into a content, which both domains share, and a style of its
own. A translation is the content of an image with a style drawn at random. Images and codes must come back
(Eq. 3 to 5) and translations must fool the target's discriminator (Eq. 6, least squares).
"""

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.paper.baselines.cyclegan import least_squares
from experiments.paper.baselines.munit_networks import ContentEncoder, Decoder, MultiScaleDiscriminator, StyleEncoder
from experiments.paper.baselines.state import Baseline, Settings, adam, judging, placed, update


@dataclasses.dataclass(frozen=True, kw_only=True)
class MUNITSettings(Settings):
    """The settings that decide a run; the defaults are the paper's except for the width and the precision."""

    num_blocks: int = 4
    style_dim: int = 8
    num_scales: int = 3  # of the discriminators
    learning_rate: float = 1e-4
    halving_steps: int = 100_000  # after which the learning rate is halved, again and again
    weight_decay: float = 1e-4
    image_weight: float = 10.0
    content_weight: float = 1.0
    style_weight: float = 1.0


class AutoEncoder(nn.Module):
    """A domain's encoders and decoder."""

    def __init__(self, settings: MUNITSettings) -> None:
        super().__init__()
        self.content = ContentEncoder(settings.width, settings.num_blocks)
        self.style = StyleEncoder(settings.width, settings.style_dim)
        self.decoder = Decoder(settings.width, settings.num_blocks, settings.style_dim)


class MUNIT(Baseline):
    """Networks, optimisers and counters."""

    system = "MUNIT"
    parts = (
        "target",
        "source",
        "discriminator_target",
        "discriminator_source",
        "generator_optimizer",
        "discriminator_optimizer",
    )
    is_multi_modal = True
    settings: MUNITSettings

    def __init__(self, settings: MUNITSettings, device: str = "cpu") -> None:
        super().__init__(settings, device)
        torch.manual_seed(settings.seed)
        self.target, self.source = (placed(AutoEncoder(settings), device) for _ in range(2))
        self.discriminator_target, self.discriminator_source = (
            placed(MultiScaleDiscriminator(settings.width, settings.num_scales), device) for _ in range(2)
        )
        discriminators = (self.discriminator_target, self.discriminator_source)
        rates = settings.learning_rate, settings.weight_decay
        self.generator_optimizer = adam((self.target, self.source), *rates)
        self.discriminator_optimizer = adam(discriminators, *rates)

    def train_step(self, source: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Update the auto-encoders, then the discriminators.

        Returns:
            Each the sum over both domains: `adversarial`, `image`, `content`, `style`, `discriminator`.
        """
        weights = self.settings
        with judging(self.discriminator_target, self.discriminator_source):
            terms, fake_target, fake_source = _generator_terms(self, source, target)
            update(
                self.generator_optimizer,
                terms["adversarial"]
                + weights.image_weight * terms["image"]
                + weights.content_weight * terms["content"]
                + weights.style_weight * terms["style"],
            )
        with self.autocast():
            terms["discriminator"] = discriminator_loss(
                self.discriminator_target, target, fake_target.detach()
            ) + discriminator_loss(self.discriminator_source, source, fake_source.detach())
        update(self.discriminator_optimizer, terms["discriminator"])
        return {name: term.detach() for name, term in terms.items()}

    def rate_factor(self, _share: float) -> float:
        factor: float = 0.5 ** (self.num_steps // self.settings.halving_steps)
        return factor

    def translate_batch(self, images: Tensor, random: torch.Generator) -> Tensor:
        styles = torch.randn(len(images), self.settings.style_dim, generator=random).to(self.device)
        translated: Tensor = self.target.decoder(self.source.content(images), styles)
        return translated


def discriminator_loss(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Return the least-squares loss of a discriminator of several scales (Eq. 6)."""
    losses = []
    for logits in discriminator(torch.cat([real, fake])):
        real_logits, fake_logits = logits.chunk(2)
        losses.append(least_squares(real_logits, 1) + least_squares(fake_logits, 0))
    return torch.stack(losses).sum()


def fooling_loss(discriminator: nn.Module, fake: Tensor) -> Tensor:
    """Return how far fakes are from being taken for real, over all scales."""
    return torch.stack([least_squares(logits, 1) for logits in discriminator(fake)]).sum()


def _generator_terms(model: MUNIT, source: Tensor, target: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Return the terms of the auto-encoders' loss (Eq. 7), and the fakes."""
    discriminators = (model.discriminator_target, model.discriminator_source)
    style_dim, batch = model.settings.style_dim, len(source)
    drawn_target, drawn_source = model.normal(2 * batch, style_dim).chunk(2)
    with model.autocast():
        contents = model.source.content(source), model.target.content(target)
        styles = model.source.style(source), model.target.style(target)
        # What goes through one decoder goes together: its own image back, and the other domain's content.
        same_source, fake_source = model.source.decoder(
            torch.cat(contents), torch.cat([styles[0], drawn_source])
        ).chunk(2)
        same_target, fake_target = model.target.decoder(
            torch.cat(contents[::-1]), torch.cat([styles[1], drawn_target])
        ).chunk(2)
        terms = {
            "adversarial": fooling_loss(discriminators[0], fake_target) + fooling_loss(discriminators[1], fake_source),
            "image": F.l1_loss(same_source, source) + F.l1_loss(same_target, target),
            "content": F.l1_loss(model.target.content(fake_target), contents[0])
            + F.l1_loss(model.source.content(fake_source), contents[1]),
            "style": F.l1_loss(model.target.style(fake_target), drawn_target)
            + F.l1_loss(model.source.style(fake_source), drawn_source),
        }
    return terms, fake_target, fake_source
