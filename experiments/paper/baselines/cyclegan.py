"""CycleGAN (Zhu et al. 2017, arXiv 1703.10593, sections 3 and 4).

Two generators learn at once, source to target and back. Each must fool a discriminator (least squares), must be undone
by the other (cycle) and must leave images of its own target as they are (identity). The discriminators see fakes of
some steps ago too.
"""

import dataclasses
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.paper.baselines.networks import Discriminator, Generator
from experiments.paper.baselines.state import Baseline, Images, Settings, adam, judging, placed, update


@dataclasses.dataclass(frozen=True, kw_only=True)
class CycleGANSettings(Settings):
    """The settings that decide a run; the defaults are the paper's except for the width and the precision."""

    num_blocks: int = 6
    patch_size: int = 34  # pixels
    learning_rate: float = 2e-4
    cycle_weight: float = 10.0
    identity_weight: float = 5.0  # half of the cycle's
    buffer_size: int = 50  # fakes of each domain that are kept


class ImageBuffer:
    """The last fakes of a generator, handed out in the place of new ones every other time (section 4)."""

    def __init__(self, capacity: int, seed: int) -> None:
        self.capacity = capacity
        self.images: list[Tensor] = []  # each [3, R, R]
        self._random = torch.Generator().manual_seed(seed)

    def exchange(self, fakes: Tensor) -> Tensor:
        """Add fakes [N, 3, R, R] and return as many: each is the new one or, with probability 1/2, an older one.

        An older image that is handed out leaves its place to the new one. Until the buffer is full all are kept and
        handed out at once.
        """
        return torch.stack([self._exchange(fake) for fake in fakes]).contiguous(memory_format=torch.channels_last)

    def _exchange(self, fake: Tensor) -> Tensor:
        if len(self.images) < self.capacity:
            self.images.append(fake.clone())
            return fake
        if torch.rand((), generator=self._random) < 0.5:
            return fake
        place = int(torch.randint(self.capacity, (), generator=self._random))
        older, self.images[place] = self.images[place], fake.clone()
        return older

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` takes."""
        return {"images": self.images, "random": self._random.get_state()}

    def load_state_dict(self, values: dict[str, Any]) -> None:
        """Restore a state."""
        self.images = list(values["images"])
        self._random.set_state(values["random"].cpu())


class CycleGAN(Baseline):
    """Networks, optimisers, buffers and counters."""

    system = "CycleGAN"
    parts = (
        "to_target",
        "to_source",
        "discriminator_target",
        "discriminator_source",
        "generator_optimizer",
        "discriminator_optimizer",
        "fake_targets",
        "fake_sources",
    )
    settings: CycleGANSettings

    def __init__(self, settings: CycleGANSettings, device: str = "cpu") -> None:
        super().__init__(settings, device)
        torch.manual_seed(settings.seed)
        width, rate = settings.width, settings.learning_rate
        self.to_target = placed(Generator(width, settings.num_blocks), device)
        self.to_source = placed(Generator(width, settings.num_blocks), device)
        self.discriminator_target = placed(Discriminator(width, settings.patch_size), device)
        self.discriminator_source = placed(Discriminator(width, settings.patch_size), device)
        self.generator_optimizer = adam((self.to_target, self.to_source), rate)
        self.discriminator_optimizer = adam((self.discriminator_target, self.discriminator_source), rate)
        self.fake_targets = ImageBuffer(settings.buffer_size, 2 * settings.seed)
        self.fake_sources = ImageBuffer(settings.buffer_size, 2 * settings.seed + 1)

    def train_step(self, source: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Update the generators, then the discriminators.

        Returns:
            Each the sum over both directions: `adversarial`, `cycle`, `identity`, `discriminator`.
        """
        weights = self.settings
        with judging(self.discriminator_target, self.discriminator_source):
            terms, fake_target, fake_source = _generator_terms(self, source, target)
            loss = terms["adversarial"] + weights.cycle_weight * terms["cycle"]
            update(self.generator_optimizer, loss + weights.identity_weight * terms["identity"])
        with self.autocast():
            terms["discriminator"] = discriminator_loss(
                self.discriminator_target, target, self.fake_targets.exchange(fake_target.detach())
            ) + discriminator_loss(self.discriminator_source, source, self.fake_sources.exchange(fake_source.detach()))
        update(self.discriminator_optimizer, terms["discriminator"])
        return {name: term.detach() for name, term in terms.items()}

    def rate_factor(self, share: float) -> float:
        return falling_factor(share)

    def translate_batch(self, images: Tensor, _random: torch.Generator) -> Tensor:
        translated: Tensor = self.to_target(images)
        return translated

    @torch.no_grad()
    def translate_back(self, images: Images) -> Images:
        """Return translations from the target to the source."""
        from ui2i.images import to_tensor, to_uint8

        return to_uint8(self.to_source(to_tensor(images).to(self.device)))


def falling_factor(share: float) -> float:
    """Return the part of the learning rate at a share of the budget: 1 for the first half, then linearly to 0."""
    return max(0.0, min(1.0, 2 * (1 - share)))


def least_squares(logits: Tensor, label: float) -> Tensor:
    """Return the mean squared distance of logits from a label: 1 real, 0 fake (section 4)."""
    return (logits - label).square().mean()


def discriminator_loss(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Return the loss of a discriminator, halved so that it learns more slowly than the generator (section 4)."""
    real_logits, fake_logits = discriminator(torch.cat([real, fake])).chunk(2)
    return (least_squares(real_logits, 1) + least_squares(fake_logits, 0)) / 2


def _generator_terms(model: CycleGAN, source: Tensor, target: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Return the terms of the generators' loss, and the fakes."""
    discriminators = (model.discriminator_target, model.discriminator_source)
    with model.autocast():
        # Instance normalisation keeps images apart, so that what goes through one network can go together.
        fake_target, same_target = model.to_target(torch.cat([source, target])).chunk(2)
        fake_source, same_source = model.to_source(torch.cat([target, source])).chunk(2)
        terms = {
            "adversarial": least_squares(discriminators[0](fake_target), 1)
            + least_squares(discriminators[1](fake_source), 1),
            "cycle": F.l1_loss(model.to_source(fake_target), source) + F.l1_loss(model.to_target(fake_source), target),
            "identity": F.l1_loss(same_target, target) + F.l1_loss(same_source, source),
        }
    return terms, fake_target, fake_source
