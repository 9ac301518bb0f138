"""Layer swap: which model each parameter comes from, its limits, and the images of the feature mode."""

import dataclasses
import itertools
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import random_generator, rosinality_expected, rosinality_generator

from ui2i.errors import CheckpointError, ConfigError
from ui2i.layer_swap import (
    SwapConfig,
    VariantName,
    blend_weights,
    source_share,
    swap,
    swap_weights,
    swapped_share,
    synthesize_feature_swap,
)
from ui2i.networks.generator import Generator
from ui2i.ops.resample import upsample2x
from ui2i.settings import NetworkConfig

SOURCE, TARGET = random_generator(1), random_generator(2)
RESOLUTIONS = (4, 8, 16, 32)


def image(generator: Generator) -> torch.Tensor:
    return generator.synthesis(some_ws())


def some_ws() -> torch.Tensor:
    return torch.randn(2, TARGET.config.num_ws, TARGET.config.w_dim, generator=torch.Generator().manual_seed(0))


@settings(max_examples=30, deadline=None)
@given(swap_resolution=st.sampled_from(RESOLUTIONS), torgb_from=st.sampled_from(["source", "target"]))
def test_each_tensor_comes_from_exactly_one_side(swap_resolution: int, torgb_from: str) -> None:
    before = [{name: value.clone() for name, value in model.state_dict().items()} for model in (SOURCE, TARGET)]
    swapped = swap_weights(SOURCE, TARGET, swap_resolution, torgb_from=torgb_from)
    source, target = SOURCE.state_dict(), TARGET.state_dict()
    for name, value in swapped.state_dict().items():
        assert not torch.equal(source[name], target[name])  # else the test could not tell
        block = re.match(r"synthesis\.b(\d+)\.", name)
        is_source = block is not None and int(block[1]) <= swap_resolution
        if ".torgb." in name and torgb_from == "target":
            is_source = False
        assert torch.equal(value, source[name] if is_source else target[name]), name
        assert value.data_ptr() not in (source[name].data_ptr(), target[name].data_ptr())
    for model, old in zip((SOURCE, TARGET), before, strict=True):
        assert all(torch.equal(value, old[name]) for name, value in model.state_dict().items())


def test_a_full_swap_with_torgb_is_the_source() -> None:
    assert torch.equal(image(swap_weights(SOURCE, TARGET, 32, torgb_from="source")), image(SOURCE))
    assert not torch.allclose(image(swap_weights(SOURCE, TARGET, 32)), image(SOURCE), atol=0.1)


@pytest.mark.parametrize("swap_resolution", RESOLUTIONS)
def test_swapping_a_model_with_itself_changes_nothing(swap_resolution: int) -> None:
    assert torch.equal(image(swap_weights(SOURCE, SOURCE, swap_resolution)), image(SOURCE))
    swapped = synthesize_feature_swap(SOURCE, SOURCE, some_ws(), swap_resolution)
    torch.testing.assert_close(swapped, image(SOURCE), atol=1e-5, rtol=0)


def test_the_result_is_an_ordinary_generator_with_the_targets_mode_and_flags() -> None:
    target = random_generator(3).train()
    target.synthesis.requires_grad_(True)
    swapped = swap_weights(SOURCE, target, 8)
    assert swapped.training
    assert swapped.config == target.config
    flags = [parameter.requires_grad for parameter in swapped.parameters()]
    assert flags == [parameter.requires_grad for parameter in target.parameters()]
    swapped.synthesis(some_ws()).sum().backward()  # and can be trained
    assert swapped.synthesis.b4.const.grad is not None
    assert target.synthesis.b4.const.grad is None


@pytest.mark.parametrize("swap_resolution", RESOLUTIONS)
def test_a_blend_of_width_0_is_the_swap(swap_resolution: int) -> None:
    blend, hard = blend_weights(SOURCE, TARGET, swap_resolution, 0), swap_weights(SOURCE, TARGET, swap_resolution)
    assert all(torch.equal(value, hard.state_dict()[name]) for name, value in blend.state_dict().items())
    sharp = blend_weights(SOURCE, TARGET, swap_resolution, 1e-3)
    torch.testing.assert_close(sharp.state_dict(), hard.state_dict())


def test_a_blend_of_endless_width_is_the_mean() -> None:
    blend = blend_weights(SOURCE, TARGET, 8, 1e6, torgb_from="source").synthesis.state_dict()
    target = TARGET.synthesis.state_dict()
    for name, value in SOURCE.synthesis.state_dict().items():
        torch.testing.assert_close(blend[name], (value + target[name]) / 2, atol=1e-5, rtol=1e-4)


@given(st.sampled_from(RESOLUTIONS), st.floats(0, 100))
def test_the_sources_share_falls_with_resolution(swap_resolution: int, width: float) -> None:
    shares = [source_share(r, swap_resolution, width) for r in RESOLUTIONS]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] >= 0
    assert shares[0] <= 1
    # Half a block above and half a block below the middle are mirror images.
    middle = source_share(swap_resolution, swap_resolution, width) + source_share(
        2 * swap_resolution, swap_resolution, width
    )
    assert middle == pytest.approx(1)


def test_the_sources_share_is_a_sigmoid() -> None:
    # sigmoid((log2(32 / 8) + 1/2) / 2) = 1 / (1 + exp(-1.25))
    assert source_share(8, 32, 2.0) == pytest.approx(0.7772998611746911)


def test_swapped_share() -> None:
    config = NetworkConfig(img_resolution=256)  # 4, 8, ..., 256: 7 blocks
    assert [swapped_share(config, r) for r in (4, 32, 256)] == [1 / 7, 4 / 7, 1]


@pytest.mark.parametrize("swap_resolution", [8, 16, 32])
def test_feature_swap_gives_the_expected_images(shared: Path, swap_resolution: int) -> None:
    folder = shared / "fixtures"
    source, target = rosinality_generator(folder, "source"), rosinality_generator(folder, "target")
    expected = rosinality_expected(folder)
    ws = source.broadcast(source.mapping(expected["z"]))
    swapped = synthesize_feature_swap(source, target, ws, swap_resolution)
    torch.testing.assert_close(swapped, expected[f"feature_swap_{swap_resolution}"], atol=1e-5, rtol=0)


def test_feature_swap_uses_each_models_own_noise_or_the_one_given() -> None:
    ws = some_ws()
    maps = [torch.zeros(1, 1, r, r) for r in (4, 8, 8, 16, 16, 32, 32)]
    silent = synthesize_feature_swap(SOURCE, TARGET, ws, 8, noise_mode="none")
    torch.testing.assert_close(synthesize_feature_swap(SOURCE, TARGET, ws, 8, noise=maps), silent, atol=1e-5, rtol=0)
    assert not torch.allclose(synthesize_feature_swap(SOURCE, TARGET, ws, 8), silent, atol=1e-2)


def test_feature_swap_at_4_px_leaves_no_target_features() -> None:
    spoiled = random_generator(2)
    for parameter in (spoiled.synthesis.b4.const, spoiled.synthesis.b4.conv1.weight):
        parameter.zero_()
    expected = synthesize_feature_swap(SOURCE, TARGET, some_ws(), 4)
    assert torch.equal(synthesize_feature_swap(SOURCE, spoiled, some_ws(), 4), expected)


@pytest.mark.parametrize("swap_resolution", RESOLUTIONS)
def test_feature_swap_hands_over_activations_and_no_colours(swap_resolution: int) -> None:
    ws, (source, target) = some_ws(), (random_generator(seed) for seed in (1, 2))
    seen: dict[str, torch.Tensor] = {}

    def note_down(model: Generator, side: str) -> None:
        for r in RESOLUTIONS:
            block = model.synthesis.block(r)
            block.register_forward_hook(lambda _m, _a, made, r=r: seen.update({f"{side} x{r}": made[0]}))
            block.torgb.register_forward_hook(lambda _m, _a, made, r=r: seen.update({f"{side} rgb{r}": made}))

    note_down(source, "source")
    note_down(target, "target")
    target.synthesis(ws)
    own = dict(seen)
    swapped = synthesize_feature_swap(source, target, ws, swap_resolution)
    img = torch.zeros(2, 3, 2, 2)
    layers = target.synthesis.block_ws(ws)
    for r in RESOLUTIONS:
        if r < swap_resolution:
            assert torch.equal(seen[f"target rgb{r}"], own[f"target rgb{r}"]), "of the target's own activations"
        if r == swap_resolution:
            of_the_source = TARGET.synthesis.block(r).torgb(seen[f"source x{r}"], layers[r][:, -1])
            assert torch.equal(seen[f"target rgb{r}"], of_the_source)
        img = upsample2x(img) + seen[f"target rgb{r}"]
    torch.testing.assert_close(swapped, img, atol=1e-5, rtol=0)


def test_feature_swap_at_4_px_is_that_of_the_weights() -> None:
    expected = image(swap_weights(SOURCE, TARGET, 4))
    torch.testing.assert_close(synthesize_feature_swap(SOURCE, TARGET, some_ws(), 4), expected, atol=1e-5, rtol=0)


def test_a_feature_swap_maps_as_the_target_and_passes_its_arguments_on() -> None:
    swapped, ws, z = swap(SOURCE, TARGET, SwapConfig(resolution=8, mode="features")), some_ws(), torch.ones(1, 8)
    assert torch.equal(swapped.mapping(z), TARGET.mapping(z)) and torch.equal(swapped.w_avg, TARGET.w_avg)
    assert not torch.equal(TARGET.w_avg, SOURCE.w_avg)
    maps = [torch.ones(1, 1, r, r) for r in (4, 8, 8, 16, 16, 32, 32)]
    for options in ({"noise_mode": "none"}, {"noise": maps}, {"dtype": torch.bfloat16}):
        expected = synthesize_feature_swap(SOURCE, TARGET, ws, 8, **options)  # type: ignore[arg-type]
        assert torch.equal(swapped.synthesis(ws, **options), expected)
        assert not torch.equal(expected, synthesize_feature_swap(SOURCE, TARGET, ws, 8))


@pytest.mark.parametrize("swap_resolution", [0, 2, 12, 64])
def test_a_resolution_without_a_block_is_refused(swap_resolution: int) -> None:
    message = rf"swap_resolution is {swap_resolution}, expected one of 4, 8, 16, 32"
    with pytest.raises(ConfigError, match=message):
        swap_weights(SOURCE, TARGET, swap_resolution)
    with pytest.raises(ConfigError, match=message):
        blend_weights(SOURCE, TARGET, swap_resolution, 1.0)
    with pytest.raises(ConfigError, match=message):
        synthesize_feature_swap(SOURCE, TARGET, some_ws(), swap_resolution)
    with pytest.raises(ConfigError, match=message):
        swapped_share(TARGET.config, swap_resolution)


def test_other_refusals() -> None:
    other = random_generator(channel_max=4)
    with pytest.raises(CheckpointError, match="channel_max 4 and 8"):
        swap_weights(other, TARGET, 8)
    with pytest.raises(CheckpointError, match="channel_max 4 and 8"):
        synthesize_feature_swap(other, TARGET, some_ws(), 8)
    with pytest.raises(ConfigError, match="torgb_from is 'both'"):
        swap_weights(SOURCE, TARGET, 8, torgb_from="both")  # type: ignore[arg-type]
    for width in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="width is"):
            blend_weights(SOURCE, TARGET, 8, width)
    with pytest.raises(ConfigError, match=r"ws has shape \(2, 3, 8\), expected \(N, 8, 8\)"):
        synthesize_feature_swap(SOURCE, TARGET, some_ws()[:, :3], 8)


def test_models_may_differ_in_what_no_layer_of_the_synthesis_sees() -> None:
    source = random_generator(1)
    source.config = dataclasses.replace(source.config, mbstd_group_size=2)
    assert torch.equal(image(swap_weights(source, TARGET, 8)), image(swap_weights(SOURCE, TARGET, 8)))


NAMES = {
    "FC-FT": None,
    "FC-FT-LS8": SwapConfig(resolution=8),
    "FT-LS16-torgb": SwapConfig(resolution=16, torgb_from="source"),
    "FC-FT-LS8-blend": SwapConfig(resolution=8, mode="blend"),
    "FC-FT-LS8-blend0.5-torgb": SwapConfig(resolution=8, mode="blend", blend_width=0.5, torgb_from="source"),
    "FT-LS16-blend1e-05": SwapConfig(resolution=16, mode="blend", blend_width=1e-5),  # all but LS16 of weights
    "scratch-LS4-features": SwapConfig(resolution=4, mode="features"),
}


@pytest.mark.parametrize("name", NAMES)
def test_names_of_variants(name: str) -> None:
    parsed = VariantName.parse(name)
    assert str(parsed) == name and parsed.swap == NAMES[name]


@pytest.mark.parametrize("name", ["ours-LS8-blend1.2.3", "ours-LS8-blend.", "ours-LS0", f"ours-LS{'9' * 5000}"])
def test_names_of_other_systems_name_no_swap(name: str) -> None:
    assert VariantName.parse(name) == VariantName(mode=name)


def test_different_models_have_different_names_and_one_function_makes_them() -> None:
    configs = [config for config in NAMES.values() if config is not None and config.resolution == 8]
    configs += [SwapConfig(resolution=8, torgb_from="source"), SwapConfig(resolution=8, mode="features")]
    images = {str(VariantName(mode="FT", swap=config)): image(swap(SOURCE, TARGET, config)) for config in configs}
    assert len(images) == len(configs)
    pairs = itertools.combinations(images.values(), 2)
    assert not any(torch.allclose(one, other, atol=1e-3) for one, other in pairs)
    assert torch.equal(images["FT-LS8"], image(swap_weights(SOURCE, TARGET, 8)))


def test_a_swap_of_no_kind() -> None:
    with pytest.raises(ConfigError, match="mode is 'mix', expected one of weights, blend, features"):
        SwapConfig(resolution=8, mode="mix")  # type: ignore[arg-type]
