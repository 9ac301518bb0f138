"""What `precision: auto` means on each kind of machine, and that a run keeps what it began with."""

import dataclasses
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from training_run import CONFIG, differences, snapshot

from experiments.paper.settings import RegressorConfig
from experiments.paper.truth import cache
from experiments.paper.truth.cache import cached_regressor
from tasks.running.warning_lines import warnings_as_lines
from ui2i import precision
from ui2i.datasets.prepared import PreparedDataset
from ui2i.errors import SlowPrecisionWarning
from ui2i.inversion.encoder_state import read_state, write_state
from ui2i.precision import choose_precision, is_native, warn_if_emulated
from ui2i.settings import EncoderConfig, NetworkConfig, TrainingConfig
from ui2i.training.loop import train
from ui2i.training.plan import plan_training
from ui2i.training.snapshots import STATE_FILE, SUPERSEDED_FILE
from ui2i.training.state import initial_state

AUTO = dataclasses.replace(CONFIG, precision="auto", total_kimg=0.012)
LONGER = dataclasses.replace(AUTO, total_kimg=0.02)


@pytest.fixture(params=["fp32", "bf16"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A machine of each kind; its name is what auto stands for there."""
    be(monkeypatch, request.param)
    return request.param


def be(monkeypatch: pytest.MonkeyPatch, chosen: str) -> None:
    """Let this processor have bf16 instructions, or none."""
    monkeypatch.setattr(precision, "_is_native_to_cpu", lambda name: name == "bf16" == chosen)


# -- what a processor has ---------------------------------------------------------------------------------------------

X86 = {"architecture": "x86_64"}
ARM = {"architecture": "aarch64"}


@pytest.mark.parametrize(
    ("capabilities", "accepted", "limit", "native"),
    [
        (X86, False, None, False),
        (X86, True, None, False),  # AVX-512 without bf16: oneDNN takes it, and emulates
        (X86 | {"avx512_bf16": True}, True, None, True),
        (X86 | {"amx_bf16": True}, True, None, True),
        (X86 | {"avx512_bf16": True}, True, "avx512_core", False),
        (X86 | {"avx512_bf16": True}, True, "AVX512_CORE_BF16", True),
        (X86 | {"avx512_bf16": True}, True, "ALL", True),
        (X86 | {"avx512_bf16": True}, False, "AVX2", False),
        (X86 | {"avx512_fp16": True}, True, None, False),
        (ARM, True, None, True),
        (ARM, False, None, False),
    ],
)
def test_processors(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, Any], accepted: bool, limit: str | None, native: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    monkeypatch.setattr(precision, "_onednn_accepts", lambda _: accepted)
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
        if limit is not None:
            monkeypatch.setenv(name, limit)
            break
    assert is_native("bf16", "cpu") == native
    assert choose_precision("auto", "cpu") == ("bf16" if native else "fp32")
    assert is_native("fp32", "cpu") and [choose_precision(name, "cpu") for name in ("fp32", "bf16")] == ["fp32", "bf16"]


@pytest.mark.parametrize(("capability", "chosen"), [((7, 5), "fp32"), ((8, 0), "bf16"), ((9, 0), "bf16")])
def test_gpus(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], chosen: str) -> None:
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    assert choose_precision("auto", "cuda:0") == chosen
    assert is_native("fp16", "cuda") and choose_precision("auto", "mps") == "fp32"


def test_this_processor_and_its_instructions_forbidden() -> None:
    """What is chosen agrees with the processor's flags, and without the instructions it is fp32 on any."""
    code = "from ui2i.precision import choose_precision; print(choose_precision('auto', 'cpu'))"

    def chosen(**variables: str) -> str:
        environment = {name: value for name, value in os.environ.items() if "MAX_CPU_ISA" not in name} | variables
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    assert chosen(ONEDNN_MAX_CPU_ISA="AVX2") == "fp32"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and "avx2" in (text := cpuinfo.read_text()):
        assert chosen() == ("bf16" if "avx512_bf16" in text or "amx_bf16" in text else "fp32")


# -- the warning ------------------------------------------------------------------------------------------------------


def test_an_emulated_precision_warns_once_and_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    be(monkeypatch, "fp32")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        with warnings_as_lines():
            for _ in range(2):
                warn_if_emulated("bf16", "cpu")
            warn_if_emulated("fp32", "cpu")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: precision is bf16, which ") and "about 10 times slower than fp32" in line
    assert "set precision: auto" in line
    be(monkeypatch, "bf16")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_emulated("bf16", "cpu")


def test_asked_for_by_name_it_trains(
    tiny_dataset: PreparedDataset, network_config: NetworkConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    be(monkeypatch, "fp32")
    config = dataclasses.replace(AUTO, precision="bf16", total_kimg=0.004)
    with pytest.warns(SlowPrecisionWarning) as caught:
        assert train(tiny_dataset, tmp_path, network_config, config).precision == "bf16"
    assert len(caught) == 1


# -- what stands where ------------------------------------------------------------------------------------------------


def test_auto_is_the_default_everywhere() -> None:
    assert {config().precision for config in (TrainingConfig, EncoderConfig, RegressorConfig)} == {"auto"}


def test_a_training_computes_in_what_was_chosen_and_says_so(
    tiny_dataset: PreparedDataset, network_config: NetworkConfig, tmp_path: Path, machine: str
) -> None:
    notes: list[str] = []
    state = train(
        tiny_dataset, tmp_path / "a", network_config, AUTO, progress=lambda _done, _total, note="": notes.append(note)
    )
    assert state.precision == machine and notes[0] == f"start, in {machine}"
    named = train(tiny_dataset, tmp_path / "b", network_config, dataclasses.replace(AUTO, precision=machine))
    assert differences(snapshot(state), snapshot(named)) == []


def test_a_plan_names_it(network_config: NetworkConfig, machine: str) -> None:
    assert f" images/s in {machine} on cpu" in plan_training(network_config, AUTO, num_training_images=9).describe()


# -- going on ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("now", ["fp32", "bf16"])
def test_a_run_goes_on_elsewhere_in_its_own_precision(
    tiny_dataset: PreparedDataset,
    network_config: NetworkConfig,
    tmp_path: Path,
    machine: str,
    now: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train(tiny_dataset, tmp_path, network_config, AUTO)
    be(monkeypatch, now)
    notes: list[str] = []
    state = train(
        tiny_dataset, tmp_path, network_config, LONGER, progress=lambda _done, _total, note="": notes.append(note)
    )
    assert notes[0] == f"resumed, in {machine}" and state.precision == machine and state.num_steps == 5
    named = train(tiny_dataset, tmp_path, network_config, dataclasses.replace(LONGER, precision=machine))
    assert named.num_steps == 5 and not (tmp_path / SUPERSEDED_FILE).exists(), "the same by name"
    other = dataclasses.replace(LONGER, precision="bf16" if machine == "fp32" else "fp32")
    assert train(tiny_dataset, tmp_path, network_config, other).precision == other.precision
    assert (tmp_path / SUPERSEDED_FILE).exists(), "another one by name begins anew"


@pytest.mark.parametrize("wanted", ["auto", "bf16"])
def test_states_from_before_precisions_were_recorded(
    tiny_dataset: PreparedDataset, network_config: NetworkConfig, tmp_path: Path, machine: str, wanted: str
) -> None:
    train(tiny_dataset, tmp_path, network_config, dataclasses.replace(AUTO, precision="bf16"))
    values = torch.load(tmp_path / STATE_FILE, weights_only=True)
    assert values.pop("precision") == json.loads(values["identity"])["training"]["precision"] == "bf16"
    torch.save(values, tmp_path / STATE_FILE)
    state = train(tiny_dataset, tmp_path, network_config, dataclasses.replace(LONGER, precision=wanted))
    assert state.precision == "bf16" and not (tmp_path / SUPERSEDED_FILE).exists()


def test_a_state_in_memory_has_what_was_chosen(network_config: NetworkConfig, machine: str) -> None:
    assert initial_state(network_config, AUTO).precision == machine


def test_the_states_of_encoders(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"

    def is_taken_up(wanted: str) -> bool:
        found = read_state(path, {"seed": 0, "precision": wanted})
        assert found is None or found["precision"] == "bf16"
        return found is not None

    write_state(path, {"settings": {"seed": 0, "precision": "auto"}, "precision": "bf16"})
    assert [is_taken_up(wanted) for wanted in ("auto", "bf16", "fp32")] == [True, True, False]
    write_state(path, {"settings": {"seed": 0, "precision": "bf16"}})  # as it was before precisions were recorded
    assert [is_taken_up(wanted) for wanted in ("auto", "bf16", "fp32")] == [True, True, False]
    write_state(path, {"settings": {"seed": 1, "precision": "auto"}, "precision": "bf16"})
    assert not is_taken_up("auto")


def test_a_regressor_of_either_precision_is_at_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str
) -> None:
    tiny = RegressorConfig(num_drawings=8, num_held_out=4, num_epochs=1, batch_size=4, width=2)
    made = cached_regressor(tmp_path, "cartoon", tiny, resolution=32)
    assert made.config.precision == machine
    monkeypatch.setattr(cache, "train_regressor", None)
    for now in ("fp32", "bf16"):
        be(monkeypatch, now)
        assert cached_regressor(tmp_path, "cartoon", tiny, resolution=32).config.precision == machine
