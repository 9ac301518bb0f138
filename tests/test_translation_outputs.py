"""How each version of a translation is generated from an image's latent code, with a psi below 1."""

import dataclasses

import pytest
import torch
from tiny_models import random_generator, random_ws

from ui2i.translation import TranslationConfig, sample_style, semantic_step
from ui2i.translation.outputs import Output, Reference, plan_outputs

SOURCE, TARGET = random_generator(1), random_generator(2)  # with other mapping networks, so that none hides the other
PSI, NUM_STYLE_LAYERS = 0.5, 3


@pytest.fixture(scope="module")
def reference() -> Reference:
    ws = TARGET.w_avg + torch.randn(1, TARGET.config.num_ws, 8, generator=torch.Generator().manual_seed(4))
    return Reference(path="g.png", sha256="0" * 64, ws=ws)


@pytest.fixture(scope="module")
def outputs(reference: Reference) -> dict[str, Output]:
    config = TranslationConfig(
        truncation_psi=PSI, num_styles=1, num_style_layers=NUM_STYLE_LAYERS, directions=(2,), strengths=(-1.5,)
    )
    hashes = {"source_hash": "0" * 64, "target_hashes": {"new": "f" * 64}}
    planned = plan_outputs(SOURCE, {"new": TARGET}, **hashes, seed=5, config=config, references=[reference], force=True)
    return {output.variant: output for output in planned}


def test_psi_pulls_the_image_and_sampled_styles_towards_the_target_s_mean_and_nothing_else(
    outputs: dict[str, Output], reference: Reference
) -> None:
    ws = random_ws(SOURCE, 2)
    pulled = TARGET.w_avg + PSI * (ws - TARGET.w_avg)
    sampled = TARGET.w_avg + PSI * (sample_style(TARGET, 6) - TARGET.w_avg)
    content = pulled[:, :-NUM_STYLE_LAYERS]
    expected = {
        "new": pulled,
        "new-style1": torch.cat([content, sampled.expand(2, NUM_STYLE_LAYERS, -1)], dim=1),
        "new-reference1": torch.cat([content, reference.ws[:, -NUM_STYLE_LAYERS:].expand(2, -1, -1)], dim=1),
        "new-direction2-1.5": pulled + semantic_step(SOURCE, 2, -1.5),
    }
    assert set(outputs) == {"reconstruction", *expected}
    assert torch.equal(outputs["reconstruction"].generate(ws), SOURCE.synthesis(ws))
    for variant, codes in expected.items():
        torch.testing.assert_close(outputs[variant].generate(ws), TARGET.synthesis(codes), atol=1e-5, rtol=0)
        assert outputs[variant].columns()["truncation_psi"] == PSI


def test_a_version_with_a_reference_and_a_step_has_both(outputs: dict[str, Output]) -> None:
    ws, step = random_ws(SOURCE, 2), outputs["new-direction2-1.5"].step
    both = dataclasses.replace(outputs["new-reference1"], step=step)
    seen: list[torch.Tensor] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TARGET.synthesis, "forward", lambda ws, **_: seen.append(ws) or torch.zeros(2, 3, 32, 32))
        for output in (outputs["new-reference1"], both):
            output.generate(ws)
    torch.testing.assert_close(seen[1], seen[0] + step)
