"""Whether augmentation leaks: a small generator learns images that its discriminator only ever sees augmented.

Images are of 8 px; a training takes about two seconds.
"""

import statistics

import pytest
import torch
from torch import Tensor, nn

from ui2i.augmentation import augment, matrices
from ui2i.augmentation.ada import AdaDraws, draw_ada
from ui2i.losses import discriminator_loss, generator_loss, r1_penalty

NUM_STEPS = 400
NUM_SEEDS = 3  # a generator circles about the letter: of eight trainings on AVX-512 one ended off by 0.2
BLIT, HUES = ("x_flip", "quarter_turn"), ("luma_flip", "hue")


def letter() -> Tensor:
    """A coloured F on grey [3, 8, 8]: its flips, turns and changes of hue all differ."""
    ink = torch.tensor([0.8, 0.2, -0.4])[:, None]
    image = torch.full((3, 8, 8), -0.6)
    image[:, 1:7, 2] = image[:, 1, 2:6] = image[:, 3, 2:6] = ink
    return image


def letters(num_images: int) -> Tensor:
    """Real images: the letter at varying contrast, whose standard deviation is 0.3."""
    return letter() * (1 + 0.3 * torch.randn(num_images, 1, 1, 1))


class TinyGenerator(nn.Module):
    """Images [N, 3, 8, 8] from a Gaussian of rank 8."""

    def __init__(self, start: Tensor):
        super().__init__()
        self.mean = nn.Parameter(start.flatten().clone())
        self.deviations = nn.Parameter(0.03 * torch.randn(8, start.numel()))

    def forward(self, num_images: int) -> Tensor:
        return (self.mean + torch.randn(num_images, 8) @ self.deviations).view(num_images, 3, 8, 8)


def learn(start: Tensor, probability: float, transforms: tuple[str, ...], *, seed: int = 0) -> Tensor:
    """Train a generator that begins at one image and return 1000 images of it."""
    torch.manual_seed(seed)
    generator = TinyGenerator(start)
    layers = nn.Linear(192, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1)
    discriminator = nn.Sequential(nn.Flatten(), *layers)
    optimizers = [torch.optim.Adam(m.parameters(), lr=0.007, betas=(0.0, 0.99)) for m in (generator, discriminator)]

    def augmented(images: Tensor) -> Tensor:
        return augment(images, draw_ada(len(images), 8, probability, transforms=transforms))

    for _ in range(NUM_STEPS):
        step(optimizers[0], generator_loss(discriminator(augmented(generator(64)))))
        images = augmented(torch.cat((letters(64), generator(64).detach()))).requires_grad_()
        real_logits, fake_logits = discriminator(images).chunk(2)
        step(optimizers[1], discriminator_loss(real_logits, fake_logits) + 8 * r1_penalty(images, real_logits))
    with torch.no_grad():
        return generator(1000)


def step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def error(images: Tensor) -> float:
    """Of the mean image, relative to the letter's size."""
    return ((images.mean(dim=0) - letter()).norm() / letter().norm()).item()


def contrast(images: Tensor) -> float:
    """Of the letter: its standard deviation from image to image."""
    return ((images * letter()).sum(dim=(1, 2, 3)) / letter().square().sum()).std().item()


def wrong_letter(transforms: tuple[str, ...]) -> Tensor:
    if transforms == BLIT:
        return letter().flip(2)
    hue = matrices.hue_rotation(torch.tensor([2.0], dtype=torch.float64))[:, :3].float()
    turned = augment(letter()[None], AdaDraws(torch.eye(2, 3)[None], hue))
    return turned[0]


@pytest.mark.parametrize("transforms", [BLIT, HUES])
def test_nothing_leaks_below_the_limit(transforms: tuple[str, ...]) -> None:
    """The generator begins at a wrong image, which augmentation makes of the right one, and leaves it."""
    trained = [learn(wrong_letter(transforms), 0.6, transforms, seed=seed) for seed in range(NUM_SEEDS)]
    assert statistics.median(error(images) for images in trained) < 0.1
    assert statistics.median(contrast(images) for images in trained) == pytest.approx(0.3, abs=0.1)


@pytest.mark.parametrize("transforms", [BLIT, HUES])
def test_everything_leaks_at_probability_one(transforms: tuple[str, ...]) -> None:
    """All flips, turns and hues are then equally likely for real images too: nothing says which is right."""
    images = learn(wrong_letter(transforms), 1.0, transforms)
    assert error(images) > 0.45
