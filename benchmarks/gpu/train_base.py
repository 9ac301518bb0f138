"""Train a base on a GPU for a number of seconds, and leave all that a second call needs to go on.

The library alone is used, so this runs on a machine that has torch and neither Prefect nor DVC. In `--out`:
generator, discriminator, samples, film strip, curves, the log as Parquet, and `state.pt`, cut into pieces
where files must be small. With `--resume` the pieces of an earlier call are joined and training goes on.

    python benchmarks/gpu/train_base.py --images avatars/ --resolution 128 --seconds 240 --out base
    python benchmarks/gpu/train_base.py --images avatars/ --resolution 128 --seconds 240 --out base2 --resume base
"""

import argparse
import json
import sys
import time
from pathlib import Path

import torch

from ui2i.checkpoints import ModelCard, save_discriminator, save_generator
from ui2i.curves import save_curves
from ui2i.datasets.ingest import ingest
from ui2i.datasets.prepared import PreparedDataset
from ui2i.devices import find_device
from ui2i.files import write_text
from ui2i.images import save_png
from ui2i.images.framing import recorded_framing
from ui2i.metrics.frechet import HeldOutEvaluator, held_out_evaluator
from ui2i.model_files import DISCRIMINATOR_FILE, GENERATOR_FILE
from ui2i.perceptual import load_perceptual
from ui2i.provenance import provenance
from ui2i.settings import IngestConfig, NetworkConfig, PerceptualConfig, TrainingConfig, from_mapping
from ui2i.tables import TRAINING_SCHEMA, write_table
from ui2i.training.loop import train
from ui2i.training.snapshots import BEST_FILE, STATE_FILE, restore_best, resume_state, run_identity
from ui2i.training.state import TrainingState, initial_state
from ui2i.training.watching import film_strip, sample_grid

PIECE_BYTES = 15 << 20
NETWORKS = {
    32: {"z_dim": 32, "w_dim": 32, "num_mapping_layers": 2, "channel_base": 256, "channel_max": 16},  # a rehearsal's
    64: {"z_dim": 96, "w_dim": 96, "num_mapping_layers": 4, "channel_base": 2048, "channel_max": 96},
    128: {"z_dim": 128, "w_dim": 128, "num_mapping_layers": 4, "channel_base": 8192, "channel_max": 128},
}
TRAINING = {
    "total_kimg": 10_000.0,  # the seconds end it
    "batch_size": 32,
    "precision": "bf16",
    "r1_gamma": 2.0,
    "ema_half_life_kimg": 10.0,
    "ema_rampup": 0.05,
    "snapshot_kimg": 20.0,
    "mirror": False,
}


class _TimeIsUpError(Exception):
    """Ends a training from its report of progress."""


def main(arguments: list[str] | None = None) -> None:
    """Train, and write what came of it."""
    args = parse_arguments(arguments)
    start = time.perf_counter()
    device = find_device(args.device)
    resolution = args.resolution
    network = from_mapping(
        NetworkConfig,
        {"img_resolution": resolution, "use_noise": False, **NETWORKS[resolution], **args.network},
        section="network",
    )
    training = {**TRAINING, "evaluation_kimg": args.evaluate_kimg, **args.training}
    config = from_mapping(TrainingConfig, training, section="training")
    args.out.mkdir(parents=True, exist_ok=True)
    dataset = prepare(args.images, args.work / f"prepared-{resolution}", resolution)
    run_dir = args.work / f"run-{args.out.name}"
    if args.resume is not None:
        join(args.resume, run_dir)

    def report(done: int, _total: int, note: str) -> None:
        print(f"{time.perf_counter() - start:6.0f} s  {done:,} images  {note}", flush=True)
        if time.perf_counter() - start > args.seconds:
            raise _TimeIsUpError

    try:
        evaluator = None if config.evaluation_kimg is None else training_evaluator(args, dataset, device)
        train(dataset, run_dir, network, config, device=device, evaluator=evaluator, progress=report)
    except _TimeIsUpError:
        pass
    state = kept_state(dataset, run_dir, network, config, device)
    write_results(args.out, run_dir, state, dataset, config, device)
    cut(run_dir / STATE_FILE, args.out)


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="a folder or an archive of images")
    parser.add_argument("--resolution", type=int, choices=NETWORKS, default=64)
    parser.add_argument("--seconds", type=float, default=240.0, help="after which the training ends")
    parser.add_argument("--out", type=Path, required=True, help="folder for what is to be kept")
    parser.add_argument("--work", type=Path, default=Path("gpu-work"), help="folder for what is not")
    parser.add_argument("--resume", type=Path, help="the --out of an earlier call with the same settings")
    parser.add_argument("--network", type=json.loads, default={}, metavar="JSON", help="settings of the network")
    parser.add_argument("--training", type=json.loads, default={}, metavar="JSON", help="settings of the training")
    parser.add_argument(
        "--backbone", type=Path, help="weights of squeezenet1_1, for Frechet distances to held-out images"
    )
    parser.add_argument("--evaluate-kimg", type=float, help="thousands of images between such measurements")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args(arguments)
    if not args.images.exists():
        print(f"error: {args.images} does not exist, expected images; correct --images", file=sys.stderr)
        raise SystemExit(2)
    return args


def prepare(images: Path, folder: Path, resolution: int) -> PreparedDataset:
    """Return the images as a dataset, made if it is not there."""
    if not folder.exists():
        settings = IngestConfig(img_resolution=resolution, near_duplicate_bits=None, test_share=0.1)
        ingest(images, folder, settings, name=images.stem)
    return PreparedDataset(folder)


def training_evaluator(args: argparse.Namespace, dataset: PreparedDataset, device: str) -> HeldOutEvaluator:
    """Return what measures samples against the held-out images."""
    backbone = (
        {"backbone": "random"} if args.backbone is None else {"backbone": "squeeze", "weights": str(args.backbone)}
    )
    perceptual = load_perceptual(from_mapping(PerceptualConfig, backbone, section="perceptual"), device)
    return held_out_evaluator(PreparedDataset(dataset.path, "test"), perceptual, num_images=2000, device=device)


def kept_state(
    dataset: PreparedDataset, run_dir: Path, network: NetworkConfig, config: TrainingConfig, device: str
) -> TrainingState:
    """Return the saved state of the run with the lowest Frechet distance, or the newest if none was measured."""
    state = initial_state(network, config, device=device)
    identity = run_identity(dataset, network, config, None)
    note = resume_state(state, run_dir, identity)
    if (run_dir / BEST_FILE).exists():
        restore_best(state, run_dir, identity)
        note = "the best"
    print(f"{note} at {state.num_steps * config.batch_size:,} images", flush=True)
    return state


def write_results(
    out: Path, run_dir: Path, state: TrainingState, dataset: PreparedDataset, config: TrainingConfig, device: str
) -> None:
    """Write the model, its samples and its curves."""
    card = ModelCard(
        domain=dataset.name,
        mode="scratch",
        base=None,
        base_hash=None,
        dataset_hash=dataset.hash,
        images_seen=state.num_steps * config.batch_size,
        license=f"trained on {dataset.name}; rights follow its images",
        provenance=provenance(device) | {"framing": recorded_framing(dataset.manifest.settings)},
    )
    save_generator(out / GENERATOR_FILE, state.generator_ema, card)
    save_discriminator(out / DISCRIMINATOR_FILE, state.discriminator, card)
    write_table(out / "training.parquet", state.log, TRAINING_SCHEMA)
    save_png(out / "samples.png", sample_grid(state.generator_ema))
    strip = film_strip(run_dir, dataset.resolution)
    if strip is not None:
        save_png(out / "film-strip.png", strip)
    if state.log:
        save_curves(out / "curves.png", {out.name: state.log})
    write_text(out / "card.json", json.dumps(card.provenance, indent=2) + "\n")


def cut(path: Path, folder: Path) -> None:
    """Write a file as pieces into a folder."""
    with path.open("rb") as file:
        number = 0
        while piece := file.read(PIECE_BYTES):
            (folder / f"{path.name}.{number:02}").write_bytes(piece)
            number += 1


def join(folder: Path, run_dir: Path) -> None:
    """Put the pieces that `cut` left in `folder` together again as the state of a run."""
    pieces = sorted(folder.glob(f"{STATE_FILE}.*"))
    if not pieces:
        print(f"error: {folder} has no {STATE_FILE}.00, expected an earlier --out; correct --resume", file=sys.stderr)
        raise SystemExit(2)
    run_dir.mkdir(parents=True, exist_ok=True)
    with (run_dir / STATE_FILE).open("wb") as file:
        for piece in pieces:
            file.write(piece.read_bytes())


if __name__ == "__main__":
    torch.set_num_threads(2)  # the host prepares batches, no more
    main()
