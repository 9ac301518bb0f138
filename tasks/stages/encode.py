"""Stage encode@: a base and its images -> its encoder in data/encoders/<base>.

encoder.safetensors   the encoder
encoder.json          its training log, and how well it predicts the latent codes of images it was not trained on
reconstructions.png   some of these images, and the encoder's reconstructions
"""

import json
import sys
from typing import TYPE_CHECKING

from tasks.project.params import Params, find_entry
from tasks.project.paths import Project
from tasks.running.rates import ENCODED
from tasks.running.stage_cli import Job, Stage, default_device, main
from ui2i.model_files import ENCODER_FILE, GENERATOR_FILE

if TYPE_CHECKING:
    import numpy as np

    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.inversion import Encoder
    from ui2i.networks.generator import Generator

NUM_SHOWN = 12


def work(job: Job) -> None:
    """Train the encoder. An interrupted training resumes."""
    from ui2i.checkpoints import load_generator
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.files import atomic_folder, sha256_file, write_text
    from ui2i.images import save_png
    from ui2i.inversion import save_encoder, train_encoder
    from ui2i.perceptual import load_perceptual

    config, device = find_entry(job.params.encoders, job.name, "encoders"), default_device()
    path = job.project.checkpoint(job.name) / GENERATOR_FILE
    generator, _ = load_generator(path, device=device)
    train, held_out = (PreparedDataset(job.project.prepared(job.name), split) for split in ("train", "test"))
    state_path = job.project.encoder_state(job.name)
    if job.restart:
        state_path.unlink(missing_ok=True)
    trained = train_encoder(
        generator,
        train,
        held_out,
        load_perceptual(job.params.perceptual, device),
        config,
        base_hash=sha256_file(path),
        state_path=state_path,
        progress=job.progress,
    )
    with atomic_folder(job.project.encoder_folder(job.name)) as folder:
        save_encoder(folder / ENCODER_FILE, trained.encoder)
        summary = {
            "precision": trained.encoder.config.precision,
            "held_out": trained.encoder.held_out,
            "training": trained.log,
        }
        write_text(folder / "encoder.json", json.dumps(summary, indent=2) + "\n")
        save_png(folder / "reconstructions.png", _sheet(trained.encoder, generator, held_out))
    state_path.unlink(missing_ok=True)


def _sheet(encoder: "Encoder", generator: "Generator", dataset: "PreparedDataset") -> "np.ndarray":
    """Return held-out images and their reconstructions from the encoder's latent codes."""
    from ui2i.contact_sheet import Row, contact_sheet
    from ui2i.images import to_tensor, to_uint8

    images = dataset.images(slice(NUM_SHOWN))
    w = encoder(to_tensor(images).to(generator.w_avg.device))
    made = to_uint8(generator.synthesis(generator.broadcast(w)))
    rows = [Row("images", images), Row("reconstructions", made)]
    return contact_sheet(rows, upscale=max(1, 96 // images.shape[1]), title="Latent codes predicted in one pass")


def estimate(params: Params, name: str, _num_images: int) -> float:
    """Return the seconds that it takes on two cores."""
    return params.encoders[name].total_kimg * 1000 / ENCODED


STAGE = Stage(
    name="encode",
    summary="Train an encoder that predicts latent codes of the base NAME from images.",
    option="base",
    output=Project.encoder_folder,
    work=work,
    estimate=estimate,
    trains=True,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
