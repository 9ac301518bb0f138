"""The encoder: what it learns, its file, an interrupted training, and searches that start at its latent codes."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_encoders import model as model
from tiny_encoders import pictures as pictures
from tiny_encoders import train
from torch import Tensor

from ui2i.datasets.prepared import PreparedDataset
from ui2i.errors import CheckpointError, ConfigError, DataError, TrainingError
from ui2i.inversion import Encoder, code_spread, invert, load_encoder, save_encoder
from ui2i.inversion.encoder_state import read_state, settings_of, write_state
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual
from ui2i.settings import EncoderConfig, InversionConfig


@pytest.fixture(scope="module")
def trained(model: Generator, pictures: dict[str, PreparedDataset], perceptual: Perceptual) -> Any:
    return train(model, pictures, perceptual, base_hash="a" * 64)


@pytest.fixture(scope="module")
def images(model: Generator) -> Tensor:
    z = torch.randn(3, 8, generator=torch.Generator().manual_seed(1))
    return model(z).clamp(-1, 1)


def config(**settings: Any) -> InversionConfig:
    return InversionConfig(**({"num_steps": 4, "learning_rate": 0.05, "latent_noise": 0.0} | settings))


def test_it_learns_codes_and_images(trained: Any, model: Generator) -> None:
    assert [row["kimg"] for row in trained.log] == [0.08, 0.16, 0.24]
    for name in ("latent_error", "image_loss"):
        assert trained.log[-1][name] < 0.95 * trained.log[0][name], name
    held_out = trained.encoder.held_out
    assert held_out["generated_code_error"] < 0.97  # 1 is that of the mean
    assert set(held_out) == {"generated_code_error"} | {
        f"{k}_{m}" for k in ("generated", "real") for m in ("ssim", "lpips")
    }
    assert not trained.encoder.training
    assert not any(parameter.requires_grad for parameter in trained.encoder.parameters())


def test_the_measures_are_those_of_other_images(
    trained: Any, model: Generator, pictures: dict[str, PreparedDataset], perceptual: Perceptual
) -> None:
    from ui2i.images import to_tensor
    from ui2i.metrics.ssim import ssim

    real = to_tensor(pictures["test"].images(slice(6)))
    made = model.synthesis(model.broadcast(trained.encoder(real))).clamp(-1, 1)
    assert trained.encoder.held_out["real_ssim"] == pytest.approx(ssim(real, made).mean().item(), abs=1e-5)
    expected = perceptual.distance(real, made).mean().item()
    assert trained.encoder.held_out["real_lpips"] == pytest.approx(expected, abs=1e-5)


def test_an_image_does_not_depend_on_its_neighbours(trained: Any, images: Tensor) -> None:
    together = trained.encoder(images)
    apart = torch.cat([trained.encoder(image[None]) for image in images])
    torch.testing.assert_close(apart, together, atol=1e-5, rtol=1e-5)
    with pytest.raises(DataError, match=r"expected \[N, 3, 32, 32\]"):
        trained.encoder(images[..., :16, :16])


def test_equal_trainings_are_equal_and_leave_the_model_alone(
    model: Generator, pictures: dict[str, PreparedDataset], perceptual: Perceptual
) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random_state = torch.get_rng_state()
    first = train(model, pictures, perceptual, total_kimg=0.032).encoder
    assert torch.equal(torch.get_rng_state(), random_state)
    torch.manual_seed(5)
    again = train(model, pictures, perceptual, total_kimg=0.032).encoder
    other = train(model, pictures, perceptual, total_kimg=0.032, seed=4).encoder
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in first.state_dict().items())
    assert not torch.equal(first.out.weight, other.out.weight)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_stopped_training_goes_on_as_if_it_had_not_been(
    model: Generator, pictures: dict[str, PreparedDataset], perceptual: Perceptual, tmp_path: Path
) -> None:
    settings = {"total_kimg": 0.064, "snapshot_kimg": 0.016}
    whole = train(model, pictures, perceptual, **settings)

    def stop(done: int, total: int, note: str = "") -> None:
        if done == 48:  # before the state at 48 is written, so that it goes on from 32
            raise KeyboardInterrupt

    state_path = tmp_path / "state.pt"
    with pytest.raises(KeyboardInterrupt):
        train(model, pictures, perceptual, state_path=state_path, progress=stop, **settings)
    seen: list[int] = []
    resumed = train(
        model, pictures, perceptual, state_path=state_path, progress=lambda d, t, n="": seen.append(d), **settings
    )
    assert min(seen) > 32 and seen[-1] == 64, "from the saved state on, each step told"
    assert resumed.log == whole.log
    assert all(
        torch.equal(value, whole.encoder.state_dict()[name]) for name, value in resumed.encoder.state_dict().items()
    )


def test_a_state_of_version_0_1_is_taken_up(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    settings = settings_of(EncoderConfig(), base_hash="1", dataset_hash="2", backbone_hash="3")
    old = {"trunk_hash" if name == "backbone_hash" else name: value for name, value in settings.items()}
    write_state(path, {"settings": old, "step": 7})
    found = read_state(path, settings)
    assert found is not None and found["step"] == 7
    assert read_state(path, settings | {"backbone_hash": "4"}) is None


def test_states_of_other_settings_or_damaged_ones_are_passed_over(
    model: Generator, pictures: dict[str, PreparedDataset], perceptual: Perceptual, tmp_path: Path
) -> None:
    path = tmp_path / "state.pt"
    assert read_state(path, {}) is None
    train(model, pictures, perceptual, total_kimg=0.016, state_path=path)
    seen: list[int] = []

    def note_down(done: int, total: int, note: str = "") -> None:
        seen.append(done)

    train(model, pictures, perceptual, total_kimg=0.016, state_path=path, progress=note_down)
    assert seen == []  # it was finished
    train(model, pictures, perceptual, total_kimg=0.016, learning_rate=0.02, state_path=path, progress=note_down)
    assert seen[-1] == 16
    seen.clear()
    path.write_bytes(path.read_bytes()[:50])
    train(model, pictures, perceptual, total_kimg=0.016, learning_rate=0.02, state_path=path, progress=note_down)
    assert seen[-1] == 16


def test_a_loss_that_is_not_finite_is_told(
    model: Generator, pictures: dict[str, PreparedDataset], perceptual: Perceptual
) -> None:
    with pytest.raises(TrainingError, match=r"the encoder's loss is .* at step"):
        train(model, pictures, perceptual, learning_rate=1e18)


def test_the_file_gives_the_encoder_back(trained: Any, images: Tensor, tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    save_encoder(path, trained.encoder)
    loaded = load_encoder(path, base_hash="a" * 64)
    assert torch.equal(loaded(images), trained.encoder(images))
    assert loaded.held_out == trained.encoder.held_out
    assert loaded.config == trained.encoder.config
    with pytest.raises(CheckpointError, match=r"codes of the generator a{12}, expected b{12}; train it again"):
        load_encoder(path, base_hash="b" * 64)
    with pytest.raises(CheckpointError, match="does not exist, expected an encoder; train it with ui2i train-encoder"):
        load_encoder(tmp_path / "none.safetensors")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match="is no readable encoder"):
        load_encoder(path)


@pytest.mark.parametrize(
    "spoil",
    [
        {"kind": "generator"},
        {"format_version": 2},
        {"network": {"img_resolution": 31}},
        {"config": {"unknown": 1}},
        {"network": {"w_dim": 10**9}},
        {"held_out": {"ssim": float("nan")}},
        {"held_out": None},
        {"held_out": [1]},
    ],
)
def test_headers_that_lie_are_refused(trained: Any, spoil: dict[str, Any], tmp_path: Path) -> None:
    from safetensors import safe_open

    path = tmp_path / "encoder.safetensors"
    save_encoder(path, trained.encoder)
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["ui2i"])
    tensors = load_file(path)
    for name, value in spoil.items():
        header[name] = header[name] | value if isinstance(value, dict) else value
    save_file(tensors, path, metadata={"ui2i": json.dumps(header)})
    with pytest.raises(CheckpointError, match="is no readable encoder"):
        load_encoder(path)


def test_the_method_encoder_takes_no_steps(
    trained: Any, model: Generator, images: Tensor, perceptual: Perceptual
) -> None:
    result = invert(images, model, perceptual, config(method="encoder"), encoder=trained.encoder)
    assert torch.equal(result.ws, model.broadcast(trained.encoder(images)))
    assert (result.num_steps, result.learning_rate, len(result.losses)) == (0, 0.0, 1)


@pytest.mark.parametrize(
    "settings",
    [{"method": "w", "start": "encoder"}, {"method": "in_domain"}, {"method": "directions", "start": "encoder"}],
)
def test_searches_start_at_the_encoders_codes(
    trained: Any, model: Generator, images: Tensor, perceptual: Perceptual, settings: dict[str, Any]
) -> None:
    plain = invert(images, model, perceptual, config(method="encoder"), encoder=trained.encoder)
    settings = settings | {"domain_weight": 0.0}
    found = invert(images, model, perceptual, config(**settings, latent_noise=None), encoder=trained.encoder)
    torch.testing.assert_close(found.losses[0], plain.loss, atol=1e-5, rtol=0)  # without noise on the codes, too
    assert (found.loss < plain.loss).all()
    alone = invert(images[1:2], model, perceptual, config(**settings), encoder=trained.encoder)
    torch.testing.assert_close(alone.ws, found.ws[1:2], atol=1e-4, rtol=0)


def test_in_domain_pulls_codes_towards_the_encoders(
    trained: Any, model: Generator, images: Tensor, perceptual: Perceptual
) -> None:
    def away(weight: float) -> float:
        chosen = config(method="in_domain", domain_weight=weight, num_steps=20)
        result = invert(images, model, perceptual, chosen, encoder=trained.encoder)
        made = model.synthesis(result.ws)
        terms = (result.ws - trained.encoder(made)[:, None]).square().mean(dim=(1, 2)) / code_spread(model).variance
        l1 = (images - made).abs().mean(dim=(1, 2, 3))
        torch.testing.assert_close(
            l1 + perceptual.distance(images, made) + weight * terms, result.loss, atol=1e-4, rtol=1e-4
        )
        return terms.mean().item()

    assert away(10.0) < 0.8 * away(0.01)


def test_without_an_encoder_there_is_no_start(model: Generator, images: Tensor, perceptual: Perceptual) -> None:
    for settings in ({"method": "encoder"}, {"method": "in_domain"}, {"method": "w", "start": "encoder"}):
        with pytest.raises(ConfigError, match=r"came without an encoder, .* \(ui2i train-encoder\)"):
            invert(images, model, perceptual, config(**settings))


def test_widths_can_differ_from_the_generators(model: Generator) -> None:
    narrow = Encoder(model.config, EncoderConfig(channel_base=64, channel_max=4))
    assert narrow.b32.conv0.weight.shape[0] == 2
    assert narrow(torch.zeros(2, 3, 32, 32)).shape == (2, 8)


@pytest.mark.parametrize("settings", [{"real_share": 1.0}, {"total_kimg": 0}, {"channel_max": 0}, {"num_held_out": 0}])
def test_settings_out_of_range(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        EncoderConfig(**settings)
