"""Closed-form factorisation against NumPy and the fixture of the paper's code."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import random_generator, rosinality_expected, rosinality_generator

from ui2i.errors import ConfigError
from ui2i.factorization import directions, gram, mapping_weights, style_weights


@pytest.fixture
def tall() -> torch.Tensor:
    return torch.randn(40, 12, generator=torch.Generator().manual_seed(0))


def test_style_weights_stack_the_affine_layers_lowest_first() -> None:
    generator = random_generator()
    block = generator.synthesis.block
    convs = [block(4).conv1] + [getattr(block(r), name) for r in (8, 16, 32) for name in ("conv0", "conv1")]
    assert torch.equal(style_weights(generator), torch.cat([conv.affine.weight for conv in convs]))
    with_first = style_weights(generator, include_torgb="first")
    assert torch.equal(with_first[8:16], block(4).torgb.affine.weight)
    assert len(with_first) == 7 * 8 + 8
    assert len(style_weights(generator, include_torgb=True)) == 7 * 8 + 4 * 8


def test_style_weights_say_how_a_step_moves_the_styles() -> None:
    generator = random_generator()  # Eq. 6
    w, n = torch.randn(2, 1, 8)
    layers = [generator.synthesis.b4.conv1.affine, generator.synthesis.b8.conv0.affine]
    moved = torch.cat([layer(w + 3 * n) - layer(w) for layer in layers], dim=1)
    torch.testing.assert_close(moved[0], 3 * style_weights(generator)[:16] @ n[0] / 8**0.5)


def test_mapping_weights_are_those_of_layers_that_take_w() -> None:
    """V against a sum over layers and units, written out: V_ij = sum over them of a_i a_j."""
    generator = random_generator()
    config = generator.config
    layers = [getattr(generator.mapping, f"fc{index}") for index in range(config.num_mapping_layers)]
    first = 0 if config.z_dim == config.w_dim else 1
    expected = np.zeros((config.w_dim, config.w_dim))
    for layer in layers[first:]:
        for unit in layer.weight.detach().double().numpy():
            for i in range(config.w_dim):
                for j in range(config.w_dim):
                    expected[i, j] += unit[i] * unit[j]
    found = gram(mapping_weights(generator))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-7)
    assert len(mapping_weights(generator)) == config.w_dim * (config.num_mapping_layers - first)


def test_directions_are_numpys_with_the_sign_fixed(tall: torch.Tensor) -> None:
    values, rows = directions(tall)
    _, numpy_values, numpy_rows = np.linalg.svd(tall.numpy().astype(np.float64), full_matrices=False)
    np.testing.assert_allclose(values.numpy(), numpy_values, rtol=1e-6)
    np.testing.assert_allclose(np.abs((rows.numpy() * numpy_rows).sum(axis=1)), 1, atol=1e-6)
    assert (rows.gather(1, rows.abs().argmax(dim=1, keepdim=True)) > 0).all()
    torch.testing.assert_close(directions(-tall)[1], rows)


def test_directions_are_eigenvectors_of_the_gram_matrix(tall: torch.Tensor) -> None:
    values, rows = directions(tall)  # Eq. 8
    v = gram(tall)
    np.testing.assert_allclose(v.numpy(), tall.numpy().T.astype(np.float64) @ tall.numpy(), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(rows @ v, values.square()[:, None] * rows, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(rows @ rows.T, torch.eye(12), atol=1e-5, rtol=0)


def test_fewer_styles_than_dimensions_still_give_a_whole_basis() -> None:
    values, rows = directions(torch.randn(3, 8))
    torch.testing.assert_close(rows @ rows.T, torch.eye(8), atol=1e-5, rtol=0)
    assert (values[:3] > 0.1).all()
    assert (values[3:] < 1e-5).all()


def test_directions_match_the_fixture(golden: Path) -> None:
    expected = rosinality_expected(golden)
    values, rows = directions(style_weights(rosinality_generator(golden, "source"), include_torgb="first"))
    torch.testing.assert_close(values, expected["sefa_singular_values"], atol=1e-4, rtol=0)
    cosines = (rows * expected["sefa_directions"]).sum(dim=1).abs()
    torch.testing.assert_close(cosines, torch.ones(64), atol=1e-4, rtol=0)


def test_an_unknown_set_of_layers_is_refused() -> None:
    with pytest.raises(ConfigError, match="include_torgb is 'last'"):
        style_weights(random_generator(), include_torgb="last")  # type: ignore[arg-type]
