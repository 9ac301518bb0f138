"""An estimate, printed before the demo begins, of how long it takes on this machine."""

from pathlib import Path

from ui2i.processors import usable_cores

NATIVE_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""Linux's names for features that multiply in bf16, of x86 and of Arm."""

# Of one domain on two cores, without the environment's set-up: docs/results/benchmarks.md. That of bf16 is scaled.
MINUTES_BF16, MINUTES_FP32 = 3.5, 5.0


def expected_duration(num_domains: int) -> str:
    """Return a line with the expected duration of the demo on this machine."""
    is_native, cores = computes_bf16(), usable_cores()
    minutes = (MINUTES_BF16 if is_native else MINUTES_FP32) * num_domains * 2 / min(cores, 2)
    kind = "computes in bf16" if is_native else "has no bf16 instructions: fp32"
    return (
        f"expect about {minutes:.0f} minutes on a quiet machine ({cores} core{'' if cores == 1 else 's'}; this "
        f"processor {kind}); if interrupted, run the command again to resume"
    )


def computes_bf16(cpu_info: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor reports that it multiplies in bf16; False if that is unknown."""
    try:
        lines = cpu_info.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith(("flags", "Features"))), [])
    return not NATIVE_FLAGS.isdisjoint(flags)
