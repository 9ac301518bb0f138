"""The examples in docstrings run, and what a notebook calls first has one."""

import doctest
import importlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from experiments.synthetic.procedural import draw
from ui2i.checkpoints import load_generator
from ui2i.factorization import directions
from ui2i.images import to_tensor, to_uint8
from ui2i.inversion import invert
from ui2i.layer_swap import SwapConfig, VariantName, swap
from ui2i.metrics.model_distance import model_distances
from ui2i.perceptual import load_perceptual
from ui2i.settings import config_of_mode
from ui2i.tables import read_table
from ui2i.translation.edits import semantic_step
from ui2i.translation.folder import translate_folder

ROOT = Path(__file__).parents[1]
SOURCES = [
    path for package in ("ui2i", "tasks", "flows", "cli", "experiments") for path in (ROOT / package).rglob("*.py")
]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in SOURCES
    if re.search(r"(?m)^ +>>> ", path.read_text(encoding="utf-8"))
)
FIRST_CALLED = [
    config_of_mode,
    directions,
    draw,
    invert,
    load_generator,
    load_perceptual,
    model_distances,
    read_table,
    semantic_step,
    swap,
    SwapConfig,
    to_tensor,
    to_uint8,
    translate_folder,
    VariantName,
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # some write files
    torch.manual_seed(0)
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("called", FIRST_CALLED, ids=lambda called: called.__name__)
def test_what_is_called_first_has_an_example(called: Callable[..., object]) -> None:
    assert doctest.DocTestParser().get_examples(called.__doc__ or "")
    assert called.__module__ in MODULES
