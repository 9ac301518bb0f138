"""What one phase of a step asks of the optimizer: its gradients against those of the formulas."""

import copy
import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor
from training_run import CONFIG, real_batch

from ui2i.settings import NetworkConfig
from ui2i.training.sharding import Sharding
from ui2i.training.state import initial_state
from ui2i.training.step import Phase, Step


class Watched(Step):
    """A step that keeps its gradients instead of following them, and the images that its discriminator sees."""

    def __init__(self, network_config: NetworkConfig, **settings: Any) -> None:
        config = dataclasses.replace(CONFIG, **settings)
        super().__init__(initial_state(network_config, config), config, Sharding())
        self.state.augment_probability = 1.0
        self.gradients: list[Tensor | None] = []
        self.seen: list[Tensor] = []

    def phase(self, phase: Phase) -> list[Tensor]:
        """Compute a phase and return the gradients that are there."""
        torch.manual_seed(0)
        self.run(phase, real_batch(self.config.batch_size))
        return [gradient for gradient in self.gradients if gradient is not None]

    def _apply(self, optimizer: torch.optim.Optimizer) -> None:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self.gradients = [None if each.grad is None else each.grad.clone() for each in parameters]
        optimizer.zero_grad()

    def _discriminate(self, img: Tensor) -> Tensor:
        self.seen.append(img.detach().clone())
        return super()._discriminate(img)


def test_r1_has_half_of_gamma_for_each_step_of_its_interval(network_config: NetworkConfig) -> None:
    step = Watched(network_config, r1_gamma=3.0, r1_interval=7)
    discriminator = copy.deepcopy(step.state.discriminator)
    found = step.phase("regularize_discriminator")
    images = real_batch(step.config.batch_size).requires_grad_()
    (slopes,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
    penalty = slopes.square().sum(dim=(1, 2, 3)).mean()
    expected = torch.autograd.grad(penalty * 3.0 / 2 * 7, list(discriminator.parameters()), allow_unused=True)
    pairs = list(zip(found, [gradient for gradient in expected if gradient is not None], strict=True))
    assert pairs and all(torch.allclose(one, other, rtol=1e-3, atol=1e-6) for one, other in pairs)


def test_path_lengths_have_their_weight_for_each_step_of_their_interval(network_config: NetworkConfig) -> None:
    once, often, heavy = (
        Watched(network_config, path_length_weight=weight, path_length_interval=interval).phase("regularize_generator")
        for weight, interval in ((1.0, 1), (1.0, 4), (3.0, 1))
    )
    assert any(gradient.abs().max() > 0 for gradient in once)
    for factor, others in ((4, often), (3, heavy)):
        for one, other in zip(once, others, strict=True):
            assert torch.allclose(other, factor * one, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("phase", "place"), [("update_discriminator", 1), ("regularize_discriminator", 0)])
def test_real_images_are_augmented_as_generated_ones_are(
    network_config: NetworkConfig, phase: Phase, place: int
) -> None:
    real = real_batch(CONFIG.batch_size)
    plain, augmented = Watched(network_config), Watched(network_config, augment="ada")
    for step in (plain, augmented):
        step.phase(phase)
    assert torch.equal(plain.seen[place], real) and not torch.allclose(augmented.seen[place], real, atol=0.05)
