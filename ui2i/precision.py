"""In which precision activations are computed, and what `precision: auto` means on this machine.

Reduced precision pays only where the hardware has instructions for it. A processor without them converts every number
to float32 and back, which takes many times as long as computing in float32 throughout.
"""

import os
import warnings
from typing import Literal, TypeVar

import torch

from ui2i.errors import SlowPrecisionWarning

WantedT = TypeVar("WantedT", bound=str)

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

# Instructions that multiply in a precision, as torch names them. AVX-512 alone has none: oneDNN takes bf16 there, and
# emulates it.
_CPU_FLAGS = {"bf16": ("avx512_bf16", "amx_bf16"), "fp16": ("avx512_fp16", "amx_fp16")}

# Values of oneDNN's variable that forbid these instructions, though the processor may have them.
_LIMIT_VARIABLES = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
_LIMITS_WITHOUT = {
    "bf16": {"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE", "AVX512_CORE_VNNI"},
}
_LIMITS_WITHOUT["fp16"] = _LIMITS_WITHOUT["bf16"] | {"AVX512_CORE_BF16"}

_MIN_CUDA_CAPABILITY = (8, 0)  # Ampere

# Processor time of a fine-tuning step of a shipped base, batch 4, one thread of an AMD Zen 3 (AVX2), medians of three
# alternating turns: fp32 0.65 s, bf16 6.4 s, fp16 6.2 s.
_CPU_COST = "about 10 times slower than fp32 (measured on AVX2)"


def choose_precision(wanted: WantedT, device: torch.device | str) -> WantedT | Literal["fp32", "bf16"]:
    """Return `wanted`, or for `auto` bf16 where `device` computes it natively, else fp32."""
    if wanted != "auto":
        return wanted
    return "bf16" if is_native("bf16", device) else "fp32"


def is_native(precision: str, device: torch.device | str) -> bool:
    """Tell whether `device` has instructions for fp32, bf16 or fp16. Of Apple's GPUs bf16 counts as unknown: False."""
    device = torch.device(device)
    if precision == "fp32":
        return True
    if device.type == "cpu":
        return _is_native_to_cpu(precision)
    if device.type == "cuda" and precision == "bf16":
        return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= _MIN_CUDA_CAPABILITY
    return precision == "fp16"


def warn_if_emulated(precision: str, device: torch.device | str) -> None:
    """Warn that a precision is slow here; Python shows a warning once a process."""
    device = torch.device(device)
    if is_native(precision, device) or device.type == "mps":
        return
    if device.type == "cuda":
        name, cost = torch.cuda.get_device_name(device), "slower than fp32"
    else:
        name, cost = _processor(), _CPU_COST
    warnings.warn(
        f"precision is {precision}, which {name} only emulates, {cost}; expected fp32 here; set precision: auto, and "
        "train anew with --restart what has begun",
        SlowPrecisionWarning,
        stacklevel=2,
    )


def _is_native_to_cpu(precision: str) -> bool:
    if not torch.backends.mkldnn.is_available() or not _onednn_accepts(precision):
        return False
    capabilities = torch.cpu.get_capabilities()
    if capabilities.get("architecture") != "x86_64":
        return True  # oneDNN was asked, and on ARM it accepts what the processor has
    limit = next((os.environ[name].upper() for name in _LIMIT_VARIABLES if os.environ.get(name)), "DEFAULT")
    return limit not in _LIMITS_WITHOUT[precision] and any(capabilities.get(flag) for flag in _CPU_FLAGS[precision])


def _onednn_accepts(precision: str) -> bool:
    return bool(getattr(torch.ops.mkldnn, f"_is_mkldnn_{precision}_supported")())


def _processor() -> str:
    name = torch.cpu.get_capabilities().get("cpu_name") or "this processor"
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})"
