"""The networks and training steps of rosinality/stylegan2-pytorch and NVlabs/stylegan2-ada-pytorch, from checkouts.

Everything that is timed is the peers' own code, imported from a folder; nothing of it is part of this project. Three
things are done around it, none of which touches its arithmetic on a CPU:

- rosinality compiles CUDA kernels as it is imported. Its CPU path does not call them, so the compiler is kept out.
- rosinality's widths are a table in its constructors; the table of the benchmark's network takes its place.
- rosinality's training script imports lmdb for its datasets. Where lmdb is missing an empty module stands for it.

rosinality's training is its `train()`, from batch to moving average. NVIDIA's loop asks for CUDA events, so its
`StyleGAN2Loss` is driven here through the phases of a step, with lazy Adam, gradients made finite, and moving average.
"""

import argparse
import ast
import contextlib
import copy
import functools
import importlib
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.utils.cpp_extension
from torch import Tensor, nn

from ui2i.errors import ConfigError
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator
from ui2i.settings import NetworkConfig, TrainingConfig
from ui2i.training.state import initial_state
from ui2i.training.step import train_step

Inputs = dict[str, Any]


class Contestant(Protocol):
    """A generator and a discriminator, and how their code trains them."""

    generator: nn.Module
    discriminator: nn.Module

    def codes(self, z: Tensor) -> Tensor:
        """z [N, z_dim] -> w of every layer [N, num_ws, w_dim]."""
        ...

    def images(self, ws: Tensor, *, noise: bool = True) -> Tensor:
        """ws -> [N, 3, R, R], with the stored noise maps or with none."""
        ...

    def logits(self, img: Tensor) -> Tensor:
        """[N, 3, R, R] -> [N, 1]."""
        ...

    def train(self, real_img: Tensor, num_steps: int) -> None:
        """Take training steps on a batch; of 16 steps one has R1 and four have the path length."""
        ...


class Ours:
    """This library's networks and training step."""

    def __init__(self, generator: Generator, discriminator: Discriminator, config: TrainingConfig):
        self.config = config
        self.state = initial_state(generator.config, config, base=(generator, discriminator))
        self.generator, self.discriminator = self.state.generator, self.state.discriminator

    def codes(self, z: Tensor) -> Tensor:
        return self.generator.broadcast(self.generator.mapping(z))

    def images(self, ws: Tensor, *, noise: bool = True) -> Tensor:
        return self.generator.synthesis(ws, noise_mode="const" if noise else "none")

    def logits(self, img: Tensor) -> Tensor:
        return self.discriminator(img)

    def train(self, real_img: Tensor, num_steps: int) -> None:
        real_img = real_img.contiguous(memory_format=torch.channels_last)  # the layout of the training loop
        for _ in range(num_steps):
            train_step(self.state, real_img, self.config)


class Rosinality:
    """rosinality's networks with the weights of a `.pt`, and its `train()`."""

    def __init__(self, folder: Path, checkpoint: Path, network: NetworkConfig, config: TrainingConfig):
        model, self.script = load_rosinality(folder, network)
        content = torch.load(checkpoint, weights_only=True)
        make = functools.partial(model.Generator, network.img_resolution, network.w_dim, network.num_mapping_layers)
        self.generator, self.generator_ema = make(), make()
        self.discriminator = model.Discriminator(network.img_resolution)
        for module, name in ((self.generator, "g"), (self.generator_ema, "g_ema"), (self.discriminator, "d")):
            module.load_state_dict(content[name])
        self.generator_optimizer = lazy_adam(self.generator, config, config.path_length_interval)
        self.discriminator_optimizer = lazy_adam(self.discriminator, config, config.r1_interval)
        self.config, self.network = config, network

    def codes(self, z: Tensor) -> Tensor:
        return self.generator.style(z)[:, None].expand(-1, self.network.num_ws, -1)

    def images(self, ws: Tensor, *, noise: bool = True) -> Tensor:
        maps = None if noise else [torch.zeros_like(map_) for map_ in self.generator.noises.buffers()]
        return self.generator([ws], input_is_latent=True, noise=maps, randomize_noise=False)[0]

    def logits(self, img: Tensor) -> Tensor:
        return self.discriminator(img)

    def train(self, real_img: Tensor, num_steps: int) -> None:
        config = self.config
        args = argparse.Namespace(
            iter=num_steps,
            start_iter=1,  # step 0 would write samples and a checkpoint
            batch=len(real_img),
            latent=self.network.z_dim,
            mixing=config.style_mixing_prob,
            r1=config.r1_gamma,
            d_reg_every=config.r1_interval,
            path_regularize=config.path_length_weight,
            path_batch_shrink=config.path_length_batch_shrink,
            g_reg_every=config.path_length_interval,
            augment=False,
            augment_p=0,
            distributed=False,
            n_sample=1,
            wandb=False,
        )
        self.script.train(
            args,
            Loader(real_img),
            self.generator,
            self.discriminator,
            self.generator_optimizer,
            self.discriminator_optimizer,
            self.generator_ema,
            "cpu",
        )


class Loader:
    """The same batch in each step, as a tensor of its own, which a training step may mark."""

    def __init__(self, batch: Tensor):
        self.batch = batch

    def __iter__(self) -> Iterator[Tensor]:
        yield self.batch.detach()


class Nvidia:
    """NVIDIA's networks with the weights of a `.pkl`, and a step through the phases of its `StyleGAN2Loss`."""

    def __init__(self, folder: Path, checkpoint: Path, _network: NetworkConfig, config: TrainingConfig):
        legacy, losses = load_nvidia(folder)
        with checkpoint.open("rb") as file:
            content = legacy.load_network_pkl(file)
        self.generator = copy.deepcopy(content["G_ema"]).train()
        self.discriminator = content["D"].train()
        self.generator_ema = content["G_ema"].eval()
        self.generator_optimizer = lazy_adam(self.generator, config, config.path_length_interval)
        self.discriminator_optimizer = lazy_adam(self.discriminator, config, config.r1_interval)
        self.loss = losses.StyleGAN2Loss(
            torch.device("cpu"),
            self.generator.mapping,
            self.generator.synthesis,
            self.discriminator,
            style_mixing_prob=config.style_mixing_prob,
            r1_gamma=config.r1_gamma,
            pl_batch_shrink=config.path_length_batch_shrink,
            pl_decay=config.path_length_decay,
            pl_weight=config.path_length_weight,
        )
        self.config = config

    def codes(self, z: Tensor) -> Tensor:
        return self.generator.mapping(z, None)

    def images(self, ws: Tensor, *, noise: bool = True) -> Tensor:
        return self.generator.synthesis(ws, noise_mode="const" if noise else "none")

    def logits(self, img: Tensor) -> Tensor:
        return self.discriminator(img, None)

    def train(self, real_img: Tensor, num_steps: int) -> None:
        for parameters in (self.generator.parameters(), self.discriminator.parameters()):
            for parameter in parameters:
                parameter.requires_grad_(False)
        for step in range(num_steps):
            self._phase("Gmain", real_img, 1)
            if step % self.config.path_length_interval == 0:
                self._phase("Greg", real_img, self.config.path_length_interval)
            self._phase("Dmain", real_img, 1)
            if step % self.config.r1_interval == 0:
                self._phase("Dreg", real_img, self.config.r1_interval)
            self._update_ema(len(real_img))

    def _phase(self, name: str, real_img: Tensor, interval: int) -> None:
        is_generator = name.startswith("G")
        module = self.generator if is_generator else self.discriminator
        optimizer = self.generator_optimizer if is_generator else self.discriminator_optimizer
        labels = torch.zeros(len(real_img), 0)
        z = torch.randn(len(real_img), self.generator.z_dim)
        optimizer.zero_grad(set_to_none=True)
        module.requires_grad_(True)
        self.loss.accumulate_gradients(name, real_img, labels, z, labels, sync=True, gain=interval)
        module.requires_grad_(False)
        for parameter in module.parameters():
            if parameter.grad is not None:
                torch.nan_to_num(parameter.grad, nan=0, posinf=1e5, neginf=-1e5, out=parameter.grad)
        optimizer.step()

    @torch.no_grad()
    def _update_ema(self, batch_size: int) -> None:
        weight = 1 - 0.5 ** (batch_size / (self.config.ema_half_life_kimg * 1000))
        for averaged, current in zip(self.generator_ema.parameters(), self.generator.parameters(), strict=True):
            averaged.lerp_(current, weight)
        for averaged, current in zip(self.generator_ema.buffers(), self.generator.buffers(), strict=True):
            averaged.copy_(current)


def lazy_adam(module: nn.Module, config: TrainingConfig, interval: int) -> torch.optim.Adam:
    """torch's Adam as both peers make it, corrected for lazy regularisation (arXiv 1912.04958, appendix B)."""
    ratio = interval / (interval + 1)
    return torch.optim.Adam(module.parameters(), lr=config.learning_rate * ratio, betas=(0.0, config.adam_beta2**ratio))


def load_rosinality(folder: Path, network: NetworkConfig) -> tuple[Any, Any]:
    """Return rosinality's modules `model`, with the network's widths, and `train`.

    Raises:
        ConfigError: the folder is not a checkout of it.
    """
    _require(folder, "rosinality/stylegan2-pytorch", "model.py", "train.py", "op/__init__.py")
    widths = {resolution: network.num_channels(resolution) for resolution in network.block_resolutions}
    if "lmdb" not in sys.modules and importlib.util.find_spec("lmdb") is None:
        sys.modules["lmdb"] = types.ModuleType("lmdb")
    with _imports_from(folder), _without_compiler():
        model = _with_widths(folder / "model.py", widths)
        script = importlib.import_module("train")
    script.tqdm = functools.partial(script.tqdm, disable=True)
    return model, script


def load_nvidia(folder: Path) -> tuple[Any, Any]:
    """Return NVIDIA's modules `legacy` and `training.loss`. Their packages stay importable: files refer to them.

    Raises:
        ConfigError: the folder is not a checkout of it.
    """
    _require(folder, "NVlabs/stylegan2-ada-pytorch", "legacy.py", "training/loss.py", "torch_utils/persistence.py")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    return importlib.import_module("legacy"), importlib.import_module("training.loss")


def _require(folder: Path, repository: str, *names: str) -> None:
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise ConfigError(
            f"{folder} has no {missing[0]}, expected a checkout of {repository}; git clone "
            f"https://github.com/{repository} and give its folder"
        )


@contextlib.contextmanager
def _imports_from(folder: Path) -> Iterator[None]:
    """Import modules with names as common as `model` and `train`, and forget the names afterwards."""
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).is_relative_to(folder):
                del sys.modules[name]


@contextlib.contextmanager
def _without_compiler() -> Iterator[None]:
    original: Callable[..., Any] = torch.utils.cpp_extension.load
    torch.utils.cpp_extension.load = lambda *_, **__: None
    try:
        yield
    finally:
        torch.utils.cpp_extension.load = original


def _with_widths(file: Path, widths: dict[int, int]) -> types.ModuleType:
    """Run a module with each table {4: ..., 8: ..., 16: ...} of channels by resolution replaced by `widths`."""
    tree = _WidthTable(widths).visit(ast.parse(file.read_text()))
    module = types.ModuleType(file.stem)
    module.__file__ = str(file)
    exec(compile(ast.fix_missing_locations(tree), str(file), "exec"), module.__dict__)
    return module


class _WidthTable(ast.NodeTransformer):
    def __init__(self, widths: dict[int, int]):
        self.table = ast.parse(repr(widths), mode="eval").body

    def visit_Dict(self, node: ast.Dict) -> ast.expr:
        keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
        return self.table if keys[:3] == [4, 8, 16] else node
