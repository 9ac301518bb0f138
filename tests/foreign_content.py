"""A file's content as another tool writes it, and how it is read or refused."""

from pathlib import Path
from typing import Any

import pytest
from foreign_files import rosinality_content, tiny_checkpoint

from ui2i.converters.formats import read_checkpoint, write_checkpoint
from ui2i.errors import CheckpointError

GOLDEN = ["ada-auto-64.pkl", "ada-stylegan2-32.pkl", "rosinality-source-32.pt"]


@pytest.fixture
def content(tmp_path: Path) -> dict[str, Any]:
    """A rosinality file of somebody else: without this project's note."""
    write_checkpoint(tmp_path / "own.pt", tiny_checkpoint())
    loaded = rosinality_content(tmp_path / "own.pt")
    del loaded["ui2i"]
    return loaded


def refuse(path: Path, **settings: Any) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path, **settings)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message and "expected" in message and ";" in message
    return message
