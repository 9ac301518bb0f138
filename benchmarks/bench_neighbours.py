"""What do other busy programs cost training and a generator pass, and do OpenMP's settings change that?

Each trial is a process of its own, since OpenMP reads its environment when torch is loaded: training steps or generator
passes at 64 px for some seconds, beside 0 to 8 neighbours of two threads each. Besides the rate it reports

    share       processor time had, of all that the cores have
    due         share that a scheduler gives that is fair: to each thread of all that want to run, or, if the neighbours
                have sessions of their own and Linux groups by session, to each session
    rate/cpu    images a second of processor time: falls if time is burnt in waiting loops or caches are lost
    delay       seconds a second, a thread, in which it could have run and no core was free

so that what the scheduler gives away (share = due) can be told from what is lost (share below due, rate/cpu fallen).
`others` are the threads that wanted to run before the trial, neighbours not counted: `due` is only right where that
is about 0. Linux only.

    python benchmarks/bench_neighbours.py --json docs/results/bench_neighbours.json
"""

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from neighbour_load import KINDS, THREADS, neighbours

POLICIES: dict[str, dict[str, str]] = {
    "default": {},
    "passive": {"OMP_WAIT_POLICY": "passive"},
    "active": {"OMP_WAIT_POLICY": "active"},
    "spin 1000": {"GOMP_SPINCOUNT": "1000"},
    "spin 10000": {"GOMP_SPINCOUNT": "10000"},
}
WORKLOADS = ("training", "generator")
BATCH_SIZE = 4  # small steps, so that a trial of seconds has several


def main() -> None:
    """Run the trials, print a row each, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=["arithmetic"])
    parser.add_argument("--numbers", nargs="+", type=int, default=[0, 1, 3, 8], help="neighbours")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], help="of what is measured")
    parser.add_argument("--policies", nargs="+", choices=list(POLICIES), default=["default", "spin 10000", "passive"])
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--seconds", type=float, default=5.0, help="of each trial, at least")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--sessions", nargs="+", choices=["own", "shared"], default=["own"], help="of the neighbours")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to this file")
    parser.add_argument("--work", nargs=2, metavar=("WORKLOAD", "SECONDS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work is not None:
        work(args.work[0], float(args.work[1]))
        return
    trials: list[dict[str, Any]] = []
    print(HEADER, flush=True)
    for _ in range(args.turns):
        for workload, kind, number in itertools.product(args.workloads, args.kinds, args.numbers):
            for threads, policy, sessions in itertools.product(args.threads, args.policies, args.sessions):
                trials.append(trial(workload, kind, number, threads, policy, sessions, args.seconds))
                print(row(trials[-1]), flush=True)
    if args.json is not None:
        from ui2i.files import write_text
        from ui2i.provenance import provenance

        document = {"question": (__doc__ or "").splitlines()[0], "trials": trials, "provenance": provenance()}
        write_text(args.json, json.dumps(document, indent=2) + "\n")


HEADER = (
    "workload   neighbours     sessions  threads policy     others  images/s  rate/cpu  share   due  delay  switches/s"
)


def trial(
    workload: str, kind: str, number: int, threads: int, policy: str, sessions: str, seconds: float
) -> dict[str, Any]:
    """Measure one process beside `number` neighbours."""
    command = [sys.executable, __file__, "--work", workload, str(seconds)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)} | POLICIES[policy]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()  # it has taken its first step
        others = mean_runnable()
        with neighbours(kind, number, own_sessions=sessions == "own"):
            time.sleep(0.5)
            process.stdin.write("go\n")
            process.stdin.flush()
            measured = json.loads(process.stdout.readline())
    description = {"workload": workload, "kind": kind, "neighbours": number, "sessions": sessions}
    description |= {"threads": threads, "policy": policy, "others": others}
    by_session = sessions == "own" and groups_by_session()
    return description | {"due": due_share(threads, number, others, by_session=by_session)} | measured


def due_share(threads: int, number: int, others: float, *, by_session: bool) -> float:
    """Return the share of all cores that is fair; `others` count as threads, or as sessions of a thread each."""
    cores = len(os.sched_getaffinity(0))
    claimants = 1 + number + others if by_session else (threads + number * THREADS + others) / threads
    return min(threads / cores, 1 / claimants)


def groups_by_session() -> bool:
    """Whether the kernel shares cores among sessions first (autogroup, sched(7))."""
    setting = Path("/proc/sys/kernel/sched_autogroup_enabled")
    return setting.is_file() and setting.read_text().strip() == "1"


def row(trial: dict[str, Any]) -> str:
    """Return a line for a person, under `HEADER`."""
    neighbours_ = f"{trial['neighbours']} {trial['kind'] if trial['neighbours'] else ''}"
    return (
        f"{trial['workload']:10s} {neighbours_:14s} {trial['sessions']:8s} {trial['threads']:8d}"
        f" {trial['policy']:10s} {trial['others']:6.1f}"
        f"  {trial['images_per_second']:8.2f}  {trial['images_per_cpu_second']:8.2f}  {trial['share']:5.2f}"
        f" {trial['due']:5.2f}  {trial['delay']:5.2f}  {trial['switches_per_second']:10.0f}"
    )


def mean_runnable(seconds: float = 0.5) -> float:
    """Return the mean number of threads of this machine that run or want to, this one not counted."""
    counts = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        counts.append(int(Path("/proc/loadavg").read_text().split()[3].split("/")[0]) - 1)
        time.sleep(0.01)
    return sum(counts) / len(counts)


def work(workload: str, seconds: float) -> None:
    """In the process that is measured: one step, wait for the word, then steps until the time is over."""
    step = WORK[workload]()
    step()
    print("ready", flush=True)
    sys.stdin.readline()
    start, used, delay = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF), _delay()
    num_steps = 0
    while time.perf_counter() < start + seconds or num_steps < 2:
        step()
        num_steps += 1
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    switches = after.ru_nvcsw + after.ru_nivcsw - used.ru_nvcsw - used.ru_nivcsw
    result = {
        "images_per_second": num_steps * BATCH_SIZE / wall,
        "images_per_cpu_second": num_steps * BATCH_SIZE / cpu,
        "share": cpu / wall / len(os.sched_getaffinity(0)),
        "delay": (_delay() - delay) / wall / int(os.environ["OMP_NUM_THREADS"]),
        "switches_per_second": switches / wall,
        "wall_seconds": wall,
    }
    print(json.dumps(result), flush=True)


def _delay() -> float:
    """Return the seconds in which threads of this process waited for a core."""
    waits = [(task / "schedstat").read_text().split()[1] for task in Path("/proc/self/task").iterdir()]
    return sum(map(int, waits)) / 1e9


def _training() -> Callable[[], None]:
    import torch
    from bench_training import NETWORK

    from ui2i.settings import TrainingConfig
    from ui2i.training.state import initial_state
    from ui2i.training.step import train_step

    # All steps alike: no regulariser falls into a trial.
    config = TrainingConfig(batch_size=BATCH_SIZE, precision="fp32", r1_interval=1000, path_length_interval=0)
    state = initial_state(NETWORK, config)
    state.num_steps = 1
    real_img = torch.rand(BATCH_SIZE, 3, NETWORK.img_resolution, NETWORK.img_resolution) * 2 - 1
    return lambda: train_step(state, real_img.contiguous(memory_format=torch.channels_last), config) and None


def _generator() -> Callable[[], None]:
    import torch
    from bench_training import NETWORK

    from ui2i.networks.generator import Generator

    generator, z = Generator(NETWORK).eval(), torch.randn(BATCH_SIZE, NETWORK.z_dim)

    def step() -> None:
        with torch.inference_mode():
            generator(z)

    return step


WORK = {"training": _training, "generator": _generator}

if __name__ == "__main__":
    main()
