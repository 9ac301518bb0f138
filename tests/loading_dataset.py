"""What tests of loading share: a dataset in shards, and what its batches must be."""

import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from test_ingest import make_folder, many

from ui2i.datasets import ingest as ingest_module
from ui2i.datasets.ingest import ingest
from ui2i.datasets.ingestion import shards as shards_module
from ui2i.datasets.prepared import PreparedDataset
from ui2i.settings import IngestConfig


@pytest.fixture(scope="module")
def shared_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """23 images of 16 px in three shards, of which the largest has two row groups."""
    root = tmp_path_factory.mktemp("loading")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest_module, "SHARD_SIZE", 10)
        patch.setattr(shards_module, "ROW_GROUP_SIZE", 6)
        config = IngestConfig(img_resolution=16, test_share=0.2)
        ingest(make_folder(root / "raw", many(23)), root / "out", config, name="loading")
    return root / "out"


@pytest.fixture
def path(shared_path: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(shared_path, tmp_path / "copy"))


@pytest.fixture
def dataset(path: Path) -> PreparedDataset:
    """One that is too large for memory."""
    return PreparedDataset(path, memory_budget_bytes=0, verify=False)


@pytest.fixture(autouse=True)
def no_threads_left() -> Any:
    before = threading.active_count()
    yield
    assert threading.active_count() == before
