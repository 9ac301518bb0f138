"""Networks and images small enough for a test, and the place of the shared fixtures."""

import contextlib
import gc
import lzma
import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch
from filelock import FileLock
from hypothesis import settings
from PIL import Image
from tiny_project import make_project
from torch import nn

from flows.services.server import temporary_server, wait_for_server
from tasks.project.paths import Project
from ui2i.datasets.ingest import ingest
from ui2i.datasets.prepared import PreparedDataset
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual, load_perceptual
from ui2i.settings import IngestConfig, NetworkConfig, PerceptualConfig

# Bit-exact comparisons need one order of summation, and two threads gain nothing at these sizes. Processes that
# tests start inherit the variable: two threads of each would wait for those of the tests beside them.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"

# DVC starts a process to report each of its runs, where a project's settings do not forbid it.
os.environ["DVC_NO_ANALYTICS"] = "1"

# No test depends on how fast a machine is, or on what else runs on it.
settings.register_profile("ui2i", deadline=None)
settings.load_profile("ui2i")

# A shell starts what runs in the background, such as a CI job, with interrupts ignored. Processes of the tests would
# inherit that, and those that wait for a Ctrl-C would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

NetworkT = TypeVar("NetworkT", bound=nn.Module)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for no garbage in what is imported, which stays: that takes a sixth of the collection, and more later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with reference checkpoints and images beside the repository; skips where it is absent."""
    path = Path(__file__).resolve().parents[2] / "shared"
    if not path.is_dir():
        pytest.skip("needs ../shared, which is not part of the repository")
    return path


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with nothing made."""
    return make_project(tmp_path / "project")


@pytest.fixture(scope="session")
def perceptual() -> Perceptual:
    """LPIPS on an untrained backbone, which needs no download."""
    return load_perceptual(PerceptualConfig(backbone="random"))


@pytest.fixture(scope="session")
def prefect_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of Prefect, made by the first server that starts. Others start from a copy, as making it takes
    10 s of a core."""
    is_one_of_many = "PYTEST_XDIST_WORKER" in os.environ  # whose folders lie beside each other in one
    folder = tmp_path_factory.getbasetemp().parent if is_one_of_many else tmp_path_factory.getbasetemp()
    made = folder / "prefect.db"
    with FileLock(folder / "prefect.lock"):
        if not made.exists():
            home = tmp_path_factory.mktemp("prefect-database")
            with _server_of_tests(home):
                pass
            with contextlib.closing(sqlite3.connect(home / made.name)) as database:
                database.execute("VACUUM INTO ?", (str(home / "whole.db"),))  # with what is still in its journal
            (home / "whole.db").rename(made)
    return made


@pytest.fixture(scope="module")
def prefect_server(tmp_path_factory: pytest.TempPathFactory, prefect_database: Path) -> Iterator[None]:
    """A Prefect server of the tests' own, as a command starts one, with its state in a fresh folder."""
    from prefect.context import _temporary_global_settings_context, get_settings_context
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, PREFECT_HOME, temporary_settings

    from flows.services.session import _send_rest

    home = tmp_path_factory.mktemp("prefect")
    shutil.copy(prefect_database, home / "prefect.db")
    with _server_of_tests(home) as (url, password):
        settings = {PREFECT_HOME: home, PREFECT_API_URL: url, PREFECT_API_AUTH_STRING: password}
        with (
            temporary_settings(settings),
            _temporary_global_settings_context(get_settings_context()),  # for threads that were not told
        ):
            yield
            _send_rest()


@contextlib.contextmanager
def _server_of_tests(home: Path) -> Iterator[tuple[str, str]]:
    """Start the server of one command and wait for it; yields the address of its API and its password."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("no_proxy", "NO_PROXY"):  # which a server of the project's own changes
            patch.setenv(name, os.environ.get(name, ""))
        for name, value in {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}.items():
            patch.setenv(name, value)
        patch.setenv("PREFECT_HOME", str(home))
        with temporary_server(home) as url:
            password = os.environ["PREFECT_API_AUTH_STRING"]
            wait_for_server(url, password=password)
            yield url, password


@pytest.fixture(scope="session")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with checkpoints of other tools, and what they must produce; see `tests/golden/README.md`."""
    folder = tmp_path_factory.mktemp("golden")
    for path in (Path(__file__).parent / "golden").iterdir():
        if path.suffix == ".xz":
            (folder / path.stem).write_bytes(lzma.decompress(path.read_bytes()))
        else:
            shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="session")
def network_config() -> NetworkConfig:
    """32 px, with a different and partly odd width at 4, 8, 16 and 32 px (7, 7, 6, 3)."""
    return NetworkConfig(
        img_resolution=32, z_dim=10, w_dim=9, num_mapping_layers=2, channel_base=96, channel_max=7, mbstd_group_size=2
    )


@pytest.fixture
def generator(network_config: NetworkConfig) -> Generator:
    """A random generator, none of whose parameters is left at 0 or 1."""
    torch.manual_seed(1)
    return randomize(Generator(network_config)).eval()


@pytest.fixture
def discriminator(network_config: NetworkConfig) -> Discriminator:
    """A random discriminator, none of whose parameters is left at 0 or 1."""
    torch.manual_seed(2)
    return randomize(Discriminator(network_config)).eval()


@pytest.fixture
def base(generator: Generator, discriminator: Discriminator) -> tuple[Generator, Discriminator]:
    """A model to fine-tune."""
    return generator, discriminator


@pytest.fixture(scope="session")
def tiny_prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a prepared dataset: 24 images of 32 px, all but a few of them for training."""
    root = tmp_path_factory.mktemp("tiny")
    (root / "raw").mkdir()
    random = np.random.default_rng(0)
    for index in range(24):
        # Coarse blobs: smooth, all different.
        levels = Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        levels.resize((32, 32), Image.Resampling.BICUBIC).save(root / "raw" / f"{index:02d}.png")
    ingest(root / "raw", root / "prepared", IngestConfig(img_resolution=32, test_share=0.1), name="tiny")
    return root / "prepared"


@pytest.fixture
def tiny_dataset(tiny_prepared: Path) -> PreparedDataset:
    """The training split of `tiny_prepared`."""
    return PreparedDataset(tiny_prepared)


def randomize(network: NetworkT) -> NetworkT:
    """Move every parameter and buffer by noise, so that no bias, strength or mean hides a mistake."""
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            tensor.add_(0.3 * torch.randn_like(tensor))
    return network
