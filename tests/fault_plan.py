"""Which faults a suite is to inflict, and when; and the record of what came of them, kept as it goes on.

A pipeline is made in several rounds, from nothing to its end. Every victim with every signal, and every stage, has its
equal share of the faults; who is hit where, and at which moment of the stage, is drawn.
"""

import collections
import dataclasses
import json
import random
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

Victim = Literal["flow", "worker", "dvc", "stage", "server", "disk"]
VICTIMS: tuple[Victim, ...] = ("flow", "worker", "dvc", "stage", "server")
SIGNALS = (signal.SIGKILL, signal.SIGTERM)
CHOICES: tuple[tuple[Victim, int], ...] = (*((victim, number) for victim in VICTIMS for number in SIGNALS), ("disk", 0))

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault that is to come."""

    number: int  # in the plan
    round: int
    victim: Victim
    signal: int  # 0: the disk is full
    stage: int  # the first, by its place in the pipeline, in which it may come
    moment: float  # share of that stage's usual time that passes before

    @property
    def name(self) -> str:
        """What it is, as counted."""
        return f"{self.victim}, {signal.Signals(self.signal).name}" if self.signal else "disk full"


def make_plan(num_faults: int, num_rounds: int, num_stages: int, seed: int, *, has_disk: bool = True) -> list[Fault]:
    """Return all faults by round, and in each by stage."""
    draw = random.Random(seed)
    choices = deal([choice for choice in CHOICES if has_disk or choice[0] != "disk"], num_faults, draw)
    stages = deal(range(num_stages), num_faults, draw)
    faults = [
        Fault(
            number=index,
            round=index % num_rounds,
            victim=victim,
            signal=number,
            stage=stage,
            moment=draw.random(),
        )
        for index, ((victim, number), stage) in enumerate(zip(choices, stages, strict=True))
    ]
    return sorted(faults, key=lambda fault: (fault.round, fault.stage, fault.moment))


def deal(choices: Sequence[T], count: int, draw: random.Random) -> list[T]:
    """Return `count` of the choices in random order, each as often as any other, or once more."""
    dealt: list[T] = []
    while len(dealt) < count:
        dealt += draw.sample(choices, min(len(choices), count - len(dealt)))
    draw.shuffle(dealt)
    return dealt


class Record:
    """What has been done, in a JSON file after each step; a suite that was interrupted goes on after it."""

    def __init__(self, path: Path | None, seed: int) -> None:
        self.path = path
        self.values: dict[str, Any] = {"seed": seed, "faults": [], "rounds": [], "counts": {}}
        if path is not None and path.exists():
            self.values = json.loads(path.read_text())
            assert self.values["seed"] == seed, f"{path} is of seed {self.values['seed']}"
        self.counts = collections.Counter(self.values["counts"])

    def remaining(self, faults: Sequence[Fault]) -> list[Fault]:
        """Return what is still to come."""
        done = {fault["number"] for fault in self.values["faults"]}
        return [fault for fault in faults if fault.number not in done]

    def add_fault(self, fault: Fault, *, stage: str, seconds: float) -> None:
        """Note a fault that came.

        Args:
            stage: that ran when it came.
            seconds: since the suite began.
        """
        self.values["faults"].append(
            {"number": fault.number, "fault": fault.name, "stage": stage, "seconds": round(seconds)}
        )
        self.save()

    def add_round(self, **values: Any) -> None:
        """Note a pipeline that came to its end and was compared."""
        self.values["rounds"].append(values)
        self.save()

    def save(self) -> None:
        """Write everything to the file, if there is one."""
        self.values["counts"] = dict(self.counts)
        if self.path is not None:
            self.path.write_text(json.dumps(self.values, indent=2) + "\n")

    def summary(self) -> str:
        """Return the counts in lines."""
        kinds = collections.Counter(fault["fault"] for fault in self.values["faults"])
        stages = collections.Counter(fault["stage"].split("@")[0] for fault in self.values["faults"])
        lines = [f"{sum(kinds.values())} faults, {len(self.values['rounds'])} rounds compared, {dict(self.counts)}"]
        return "\n".join([*lines, json.dumps(dict(sorted(kinds.items()))), json.dumps(dict(sorted(stages.items())))])
