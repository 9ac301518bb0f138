"""How much faster does this library train than StyleGAN2 as it is usually written?

64 px, widths up to 64, batch 16, all regularisers at their intervals. All forms take the same step of
`ui2i.training` from the same parameters and the same random numbers, in one process, in turns; they differ in their
networks and, as `turns.py` explains, in their allocator. The usual form stands for two, by how its FIR filter is
written (see `literal.py`). Before anything is timed, every scalar of the first step and every image and logit must
agree in fp32, as closely as `literal.py` says.

    python benchmarks/bench_training.py --json docs/results/bench_training.json
"""

import argparse
import functools
import json
from pathlib import Path
from typing import Any

import torch
from literal import FIR_FORMS, make_literal, require_equal
from torch import Tensor
from turns import Form, describe, in_turns, rates

from ui2i.files import write_text
from ui2i.provenance import provenance
from ui2i.settings import NetworkConfig, Precision, TrainingConfig, to_mapping
from ui2i.training.state import TrainingState, initial_state
from ui2i.training.step import train_step

NETWORK = NetworkConfig(
    img_resolution=64, z_dim=64, w_dim=64, num_mapping_layers=4, channel_base=2048, channel_max=64, mbstd_group_size=4
)
CYCLE_STEPS = 16  # the regularisers' common period: 16 R1, 4 path length


def main() -> None:
    """Compare, print one table a precision, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=2, help=f"timed cycles of {CYCLE_STEPS} steps of each form")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", nargs="+", choices=["fp32", "bf16"], default=["fp32", "bf16"])
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    agreement = largest_difference(args.batch_size, args.device)
    print(f"one fp32 step of all forms agrees to {agreement:.1e}", flush=True)
    results = []
    for precision in args.precision:
        results.append(compare(precision, args.batch_size, args.cycles, args.device))
        print(describe(precision, results[-1]), flush=True)
    if args.json is not None:
        document = {
            "question": (__doc__ or "").splitlines()[0],
            "network": to_mapping(NETWORK),
            "batch_size": args.batch_size,
            "largest_difference": agreement,
            "results": results,
            "provenance": provenance(args.device),
        }
        write_text(args.json, json.dumps(document, indent=2) + "\n")


def largest_difference(batch_size: int, device: str) -> float:
    """Return how far one whole step, images and logits of the forms are apart; end the program if too far."""
    config = TrainingConfig(batch_size=batch_size)
    real_img = real_batch(batch_size, device)
    z = torch.randn(4, NETWORK.z_dim, device=device)
    outputs: list[dict[str, Tensor]] = []
    for state in states(config, device).values():
        with torch.no_grad():
            outputs.append({"images": state.generator(z), "logits": state.discriminator(real_img)})
        torch.manual_seed(1)
        outputs[-1] |= train_step(state, real_img, config)
    ours, *others = outputs
    assert {"path_length", "r1"} <= ours.keys()
    return max(require_equal(name, ours[name], other[name]) for other in others for name in ours)


def compare(precision: Precision, batch_size: int, num_cycles: int, device: str) -> dict[str, Any]:
    """Train all forms in turns and return images a second of each."""
    config = TrainingConfig(batch_size=batch_size, precision=precision)
    real_img = real_batch(batch_size, device)
    forms = {}
    for name, state in states(config, device).items():
        run = functools.partial(cycle, state, real_img, config)
        forms[name] = Form(run, keeps_memory=name == "ours")
        forms[f"{name}, other allocator"] = Form(run, keeps_memory=name != "ours")
    return {"precision": precision, **rates(in_turns(forms, num_cycles), CYCLE_STEPS * batch_size)}


def states(config: TrainingConfig, device: str) -> dict[str, TrainingState]:
    """Return fresh training states with the same parameters: ours, and one for each literal form."""
    result = {"ours": initial_state(NETWORK, config, device=device)}
    for fir_form in FIR_FORMS:
        state = initial_state(NETWORK, config, device=device)
        for network in (state.generator, state.discriminator, state.generator_ema):
            make_literal(network, fir_form)
        result[fir_form] = state
    return result


def real_batch(batch_size: int, device: str) -> Tensor:
    """Noise in [-1, 1] in the layout the training loop uses."""
    img = torch.rand(batch_size, 3, NETWORK.img_resolution, NETWORK.img_resolution) * 2 - 1
    return img.to(device, memory_format=torch.channels_last)


def cycle(state: TrainingState, real_img: Tensor, config: TrainingConfig) -> None:
    """Take the steps of one cycle of the regularisers."""
    for _ in range(CYCLE_STEPS):
        scalars = train_step(state, real_img, config)
    scalars["loss_generator"].item()  # waits for an accelerator


if __name__ == "__main__":
    main()
