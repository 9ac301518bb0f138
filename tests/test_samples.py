"""The sheet of shared latents: a row of the same model is the same, a row of another is not."""

import numpy as np
import torch
from conftest import randomize

from ui2i.networks.generator import Generator
from ui2i.samples import shared_latents_sheet


def test_rows_follow_the_models_alone(generator, network_config):
    torch.manual_seed(5)
    other = randomize(Generator(network_config)).eval()

    def sheet(first: Generator, second: Generator) -> np.ndarray:
        return shared_latents_sheet({"a": first, "b": second}, num_images=3)

    assert np.array_equal(sheet(generator, other), sheet(generator, other))
    assert not np.array_equal(sheet(generator, other), sheet(generator, generator))


def test_psi_0_shows_one_image_in_every_column(generator):
    generator.mapping.w_avg.normal_()
    sheets = [shared_latents_sheet({"a": generator}, num_images=2, seed=s, truncation_psi=0) for s in (0, 1)]
    assert np.array_equal(*sheets)
