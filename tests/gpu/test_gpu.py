"""What only a GPU shows: its kernels against the same formulas in double precision, and steps that wait for nothing.

`python -m pytest tests/gpu --confcutdir=tests/gpu` needs torch and the library's own packages, nothing else.
"""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ui2i.datasets.ingest import ingest
from ui2i.datasets.prepared import PreparedDataset
from ui2i.devices import fast_arithmetic
from ui2i.inversion import invert
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator
from ui2i.ops.activation import activate, scale_channels
from ui2i.ops.resample import blur, downsample2x, upsample2x
from ui2i.perceptual import load_perceptual
from ui2i.settings import IngestConfig, InversionConfig, NetworkConfig, PerceptualConfig, TrainingConfig
from ui2i.training.graphs import NUM_WARM_UPS, StepGraphs, suits_graphs
from ui2i.training.loop import train
from ui2i.training.sharding import Sharding
from ui2i.training.state import TrainingState, initial_state, restore_state, state_to_dict
from ui2i.training.step import train_step

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU with CUDA")

NETWORK = NetworkConfig(
    img_resolution=32, z_dim=16, w_dim=16, num_mapping_layers=2, channel_base=1024, channel_max=64, conv_clamp=256.0
)
CONFIG = TrainingConfig(batch_size=8, r1_interval=4, path_length_interval=2, snapshot_kimg=0.08, total_kimg=0.24)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def derivatives(function: Callable[..., Tensor], inputs: list[Tensor]) -> list[Tensor]:
    """The value, its gradients, and the gradients of a function of the gradient in the first input (as R1 takes it)."""
    inputs = [value.detach().requires_grad_() for value in inputs]
    y = function(*inputs)
    weight = random(*y.shape, seed=9).to(y)
    first = torch.autograd.grad((y * weight).sum(), inputs, retain_graph=True)
    (dx,) = torch.autograd.grad((y.square() * weight).sum(), inputs[:1], create_graph=True)
    second = torch.autograd.grad(dx.square().sum(), inputs, allow_unused=True)
    return [y, *first, dx, *(value for value in second if value is not None)]


def expect_equal(function: Callable[..., Tensor], inputs: list[Tensor], dtype: torch.dtype) -> None:
    """Compare on the GPU, the first input in `dtype`, with double precision on the CPU."""
    rounded = [inputs[0].to(dtype).double(), *inputs[1:]]
    expected = derivatives(function, rounded)
    came = derivatives(function, [rounded[0].to("cuda", dtype), *(value.float().cuda() for value in rounded[1:])])
    tolerance = {torch.float32: 2e-5, torch.bfloat16: 3e-2, torch.float16: 4e-3}[dtype]
    assert len(came) == len(expected)
    for index, (a, b) in enumerate(zip(came, expected, strict=True)):
        assert a.shape == b.shape
        error = ((a.double().cpu() - b).norm() / b.norm().clamp_min(1e-12)).item()
        assert error < tolerance, f"output {index}: {error}"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(2, 3, 8, 6), (3, 70, 18, 34), (2, 64, 64, 64)])
@pytest.mark.parametrize(
    "function",
    [
        upsample2x,
        downsample2x,
        lambda x: blur(x, padding=1, gain=4.0),
        lambda x: blur(x, padding=2),
    ],
    ids=["up", "down", "blur1", "blur2"],
)
def test_resampling(function: Callable[[Tensor], Tensor], shape: tuple[int, ...], dtype: torch.dtype) -> None:
    expect_equal(function, [random(*shape)], dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("clamp", [None, 1.0])
@pytest.mark.parametrize("shape", [(2, 3, 8, 6), (3, 70, 18, 34)])
def test_activation(shape: tuple[int, ...], clamp: float | None, dtype: torch.dtype) -> None:
    num_images, channels, height, width = shape
    inputs = [
        random(*shape),
        random(num_images, channels, seed=1),
        random(channels, seed=2),
        random(num_images, 1, height, width, seed=3),
    ]

    def everything(x: Tensor, scale: Tensor, bias: Tensor, noise: Tensor) -> Tensor:
        return activate(x * 1, scale=scale, bias=bias, noise=noise, clamp=clamp)

    if dtype == torch.float32:  # rounding moves values across the bends, which no tolerance covers
        expect_equal(everything, inputs, dtype)
        shared_noise = [*inputs[:3], inputs[3][0, 0]]
        expect_equal(everything, shared_noise, dtype)
        expect_equal(lambda x, bias: activate(x * 1, bias=bias, clamp=clamp), [inputs[0], inputs[2]], dtype)
    expect_equal(scale_channels, inputs[:2], dtype)


@pytest.fixture
def exact() -> None:
    torch.backends.cudnn.allow_tf32 = False


def test_networks(exact: None) -> None:
    torch.manual_seed(0)
    generator, discriminator = Generator(NETWORK), Discriminator(NETWORK)
    z = torch.randn(4, NETWORK.z_dim)
    with torch.no_grad():
        img = generator(z)
        logits = discriminator(img)
        on_gpu = copy.deepcopy(generator).cuda()(z.cuda())
        logits_on_gpu = copy.deepcopy(discriminator).cuda()(img.cuda())
    assert (on_gpu.cpu() - img).abs().max() < 1e-4 * img.abs().max()
    assert (logits_on_gpu.cpu() - logits).abs().max() < 1e-4 * logits.abs().max().clamp_min(1)


def advance(state: TrainingState, config: TrainingConfig, num_steps: int, *, graphs: bool) -> list[dict[str, Tensor]]:
    run = StepGraphs(state, config).run if graphs else None
    images = torch.rand(config.batch_size, 3, 32, 32, generator=torch.Generator().manual_seed(9)) * 2 - 1
    real_img = images.cuda().contiguous(memory_format=torch.channels_last)
    return [train_step(state, real_img, config, run=run) for _ in range(num_steps)]


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_step_does_not_wait_for_the_gpu(precision: str) -> None:
    config = TrainingConfig(**{**CONFIG.__dict__, "precision": precision})
    state = initial_state(NETWORK, config, device="cuda")
    advance(state, config, 4, graphs=False)  # kernels are compiled, algorithms chosen
    torch.cuda.set_sync_debug_mode("error")
    try:
        rows = advance_prepared(state, config)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert all(torch.isfinite(value) for row in rows for value in row.values())


def advance_prepared(state: TrainingState, config: TrainingConfig) -> list[dict[str, Tensor]]:
    real_img = torch.zeros(config.batch_size, 3, 32, 32, device="cuda").contiguous(memory_format=torch.channels_last)
    return [train_step(state, real_img, config) for _ in range(4)]


def test_recorded_steps_are_the_same(exact: None) -> None:
    """Graphs draw the same random numbers. Few steps are compared: Adam turns noise in tiny gradients into updates."""
    config = TrainingConfig(**{**CONFIG.__dict__, "r1_interval": 1, "path_length_interval": 1})
    rows, recorded = (
        advance(initial_state(NETWORK, config, device="cuda"), config, NUM_WARM_UPS + 2, graphs=graphs)
        for graphs in (False, True)
    )
    for step, (row, other) in enumerate(zip(rows, recorded, strict=True)):
        assert row.keys() == other.keys()
        for name, value in row.items():
            assert other[name].item() == pytest.approx(value.item(), rel=0.02, abs=0.02), (step, name)


def test_a_frozen_mapping_stays() -> None:
    config = TrainingConfig(**{**CONFIG.__dict__, "freeze_mapping": True})
    state = initial_state(NETWORK, config, device="cuda")
    before = copy.deepcopy(state.generator.mapping.state_dict())
    weight = state.generator.synthesis.b8.conv1.weight.detach().clone()
    advance(state, config, 16, graphs=True)
    assert all(torch.equal(value, before[name]) for name, value in state.generator.mapping.state_dict().items())
    assert not torch.equal(weight, state.generator.synthesis.b8.conv1.weight)


def test_a_state_moves_between_devices() -> None:
    state = initial_state(NETWORK, CONFIG, device="cuda")
    advance(state, CONFIG, 3, graphs=False)
    values = copy.deepcopy(state_to_dict(state))
    again = initial_state(NETWORK, CONFIG, device="cuda")
    restore_state(again, values)
    advance(again, CONFIG, 4 * (NUM_WARM_UPS + 1), graphs=True)
    on_cpu = initial_state(NETWORK, CONFIG)
    restore_state(on_cpu, values)
    train_step(on_cpu, torch.zeros(8, 3, 32, 32), CONFIG)


def test_augmentation_is_not_recorded() -> None:
    state = initial_state(NETWORK, CONFIG, device="cuda")
    assert suits_graphs(state, CONFIG, Sharding())
    assert not suits_graphs(state, TrainingConfig(augment="ada"), Sharding())
    assert not suits_graphs(state, CONFIG, Sharding(num_micro_batches=2))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    folder = tmp_path_factory.mktemp("images")
    pixels = np.random.default_rng(0)
    (folder / "raw").mkdir()
    for index in range(40):
        Image.fromarray(pixels.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / "raw" / f"{index}.png")
    ingest(folder / "raw", folder / "prepared", IngestConfig(img_resolution=32), name="noise", num_workers=1)
    return PreparedDataset(folder / "prepared")


@pytest.mark.parametrize("augment", ["none", "ada"])
def test_training_is_resumed(dataset: PreparedDataset, tmp_path: Path, augment: str) -> None:
    config = TrainingConfig(**{**CONFIG.__dict__, "augment": augment, "precision": "bf16"})
    longer = TrainingConfig(**{**config.__dict__, "total_kimg": 0.4})
    first = train(dataset, tmp_path / "run", NETWORK, config, device="cuda")
    assert first.num_steps == 30
    notes: list[str] = []
    state = train(
        dataset, tmp_path / "run", NETWORK, longer, device="cuda", progress=lambda done, total, note: notes.append(note)
    )
    assert notes[0].startswith("resumed") and state.num_steps == 50
    assert all(np.isfinite(row["loss_generator"]) for row in state.log)


def test_a_loss_that_is_not_finite_is_found(dataset: PreparedDataset, tmp_path: Path) -> None:
    from ui2i.errors import TrainingError

    config = TrainingConfig(**{**CONFIG.__dict__, "learning_rate": 1e18})
    with pytest.raises(TrainingError, match="became infinite or NaN"):
        train(dataset, tmp_path / "run", NETWORK, config, device="cuda")


def test_inversion() -> None:
    torch.manual_seed(0)
    generator = Generator(NETWORK).cuda().eval().requires_grad_(False)
    perceptual = load_perceptual(PerceptualConfig(backbone="random"), "cuda")
    with torch.no_grad():
        images = generator(torch.randn(3, NETWORK.z_dim, device="cuda")).clamp(-1, 1)
    result = invert(images, generator, perceptual, InversionConfig(method="w", num_steps=40))
    assert (result.loss < 0.8 * result.losses[0]).all()


def test_single_precision_is_restored() -> None:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark
    with fast_arithmetic("cuda"):
        assert torch.backends.cudnn.benchmark
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark) == before
