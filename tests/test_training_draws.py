"""The random numbers of a step: codes and where they are mixed, noise maps, the rows that a part takes."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from ui2i.losses import path_lengths
from ui2i.networks.generator import Generator
from ui2i.settings import NetworkConfig
from ui2i.training.draws import draw_latents, draw_noise

CPU = torch.device("cpu")


def _sample_ws(generator: Generator, num_images: int, style_mixing_prob: float) -> Tensor:
    draws = draw_latents(generator.config, num_images, style_mixing_prob, CPU)
    return draws.map(generator, torch.arange(num_images))[1]


@torch.no_grad()
def test_style_mixing(generator: Generator) -> None:
    """At most one change of code, at a layer from 1 to num_ws - 1, uniformly; the same layer for a whole batch."""
    torch.manual_seed(0)
    cutoffs = []
    for _ in range(800):
        ws = _sample_ws(generator, 2, 0.75)
        assert ws.shape == (2, 8, 9)
        is_new = (ws[:, 1:] != ws[:, :-1]).any(dim=2)
        assert torch.equal(is_new[0], is_new[1]) and is_new[0].sum() <= 1
        cutoffs.append(int(is_new[0].int().argmax()) + 1 if is_new[0].any() else 8)
    counts = np.bincount(cutoffs, minlength=9)
    assert counts[0] == 0
    assert counts[8] / 800 == pytest.approx(0.25, abs=0.05)
    assert counts[1:8] / 800 == pytest.approx(0.75 / 7, abs=0.04)


@torch.no_grad()
@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_style_mixing_never_and_always(generator: Generator, probability: float) -> None:
    mixed = [bool((ws != ws[:, :1]).any()) for ws in (_sample_ws(generator, 2, probability) for _ in range(50))]
    assert set(mixed) == {probability == 1.0}


@torch.no_grad()
def test_codes_are_not_truncated(generator: Generator) -> None:
    torch.manual_seed(0)
    ws = _sample_ws(generator, 3, 0.0)
    torch.manual_seed(0)
    z = torch.randn(2, 3, 10)[0]
    assert torch.equal(ws, generator.broadcast(generator.mapping(z)))


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_path_lengths_of_codes_with_and_without_a_mapping(generator: Generator, probability: float) -> None:
    """As a node of the graph and as a leaf, ws give the same lengths; as a node it carries them to the mapping."""
    torch.manual_seed(0)
    node = _sample_ws(generator, 2, probability).contiguous()
    leaf = node.detach().requires_grad_()
    lengths = []
    for ws in (node, leaf):
        torch.manual_seed(1)
        lengths.append(path_lengths(generator.synthesis(ws), ws))
    assert torch.equal(*lengths)
    gradients = torch.autograd.grad(lengths[0].sum(), list(generator.mapping.parameters()))
    assert all(gradient.abs().max() > 0 for gradient in gradients)


@torch.no_grad()
@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_a_part_gets_the_codes_of_its_images(generator: Generator, probability: float) -> None:
    draws = draw_latents(generator.config, 6, probability, CPU)
    w, ws = draws.map(generator, torch.arange(6))
    part = torch.tensor([4, 1])
    part_w, part_ws = draws.map(generator, part)
    assert torch.allclose(part_w, w[part], atol=1e-6) and torch.allclose(part_ws, ws[part], atol=1e-6)
    assert not torch.allclose(ws[0], ws[1])


def test_noise_maps_fit_the_network(generator: Generator, network_config: NetworkConfig) -> None:
    """Given one map a convolution, the generator takes these and no others."""
    draws = draw_noise(network_config, 3, CPU)
    noise = draws.take(torch.tensor([2, 0]))
    assert noise is not None and draws.maps is not None
    assert [tuple(maps.shape) for maps in noise] == [(2, 1, r, r) for r in (4, 8, 8, 16, 16, 32, 32)]
    assert all(torch.equal(maps, every[[2, 0]]) for maps, every in zip(noise, draws.maps, strict=True))
    ws = generator.broadcast(torch.randn(2, network_config.w_dim))
    with torch.no_grad():
        images = [generator.synthesis(ws, noise_mode="random", noise=noise) for _ in range(2)]
    assert torch.equal(*images)


def test_no_noise_maps_for_a_network_without(network_config: NetworkConfig) -> None:
    draws = draw_noise(dataclasses.replace(network_config, use_noise=False), 3, CPU)
    assert draws.take(torch.arange(3)) is None
