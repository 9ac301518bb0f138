"""Stage distill@: a base and a model of its domain -> a translator in data/translators/<domain>.

translator.safetensors   the translator
translator.json          its training log, and how well it translates pairs that it was not trained on
translations.png         images of the base's test split, the pipeline's translations and the translator's
"""

import json
import sys
from typing import TYPE_CHECKING

from tasks.models.translator_models import card_of, imitated_models
from tasks.project.params import Params, find_entry
from tasks.project.paths import TRANSLATOR_FILE, Project
from tasks.running.progress import part_of
from tasks.running.rates import DISTILLED, GENERATED
from tasks.running.stage_cli import Job, Stage, default_device, main

if TYPE_CHECKING:
    import numpy as np

    from ui2i.distillation.network import Translator

NUM_SHOWN = 12


def work(job: Job) -> None:
    """Generate the pairs and train the translator. An interrupted training resumes."""
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.distillation.pairs import PairMaker
    from ui2i.distillation.training import train_translator
    from ui2i.distillation.translator_file import save_translator
    from ui2i.files import atomic_folder, write_text
    from ui2i.images import save_png
    from ui2i.perceptual import load_perceptual

    project, device = job.project, default_device()
    settings = find_entry(job.params.translators, job.name, "translators")
    source, target = imitated_models(project, job.params, job.name, settings.variant, device=device)
    card, config = card_of(project, source, target, settings.variant), settings.training
    maker = PairMaker(
        source.generator, target.generator, config, source_hash=card.source_hash, target_hash=card.target_hash
    )
    run = project.translator_run(job.name)
    if job.restart:
        (run / "state.pt").unlink(missing_ok=True)
    trained = train_translator(
        maker.cached(run / "pairs", part_of(job.progress, 0, 2, "")),
        maker.held_out(),
        (PreparedDataset(project.prepared(card.source)), PreparedDataset(project.prepared(job.name))),
        load_perceptual(job.params.perceptual, device),
        config,
        card,
        state_path=run / "state.pt",
        progress=part_of(job.progress, 1, 2, ""),
    )
    with atomic_folder(project.translator_folder(job.name)) as folder:
        save_translator(folder / TRANSLATOR_FILE, trained.translator)
        summary = {"held_out": dict(trained.translator.card.held_out), "training": trained.log}
        write_text(folder / "translator.json", json.dumps(summary, indent=2) + "\n")
        save_png(folder / "translations.png", _sheet(project, job.name, trained.translator))


def _sheet(project: Project, domain: str, translator: "Translator") -> "np.ndarray":
    """Return images, their translations as translate@ made them with the same model, and the translator's."""
    from ui2i.contact_sheet import Row, contact_sheet
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.images import to_tensor, to_uint8

    images = PreparedDataset(project.prepared(translator.card.source), "test").images(slice(NUM_SHOWN))
    device = translator.inlet.weight.device
    rows = [Row("input", images)]
    if (piped := _translations(project, domain, translator.card.variant)) is not None:
        rows.append(Row("inversion and generator", piped))
    rows.append(Row("translator", to_uint8(translator(to_tensor(images).to(device)))))
    return contact_sheet(rows, upscale=max(1, 128 // images.shape[1]), title=f"to {domain}")


def _translations(project: Project, domain: str, variant: str) -> "np.ndarray | None":
    """Return the first images that translate@ made with a model; None: there are none."""
    import numpy as np

    from ui2i.images import load_image
    from ui2i.tables import TRANSLATION_SCHEMA, read_table
    from ui2i.translation_files import MANIFEST_NAME

    folder = project.translations(domain)
    if not (folder / MANIFEST_NAME).is_file():
        return None
    manifest = read_table(folder / MANIFEST_NAME, TRANSLATION_SCHEMA)
    files = manifest["output_file"][manifest["variant"] == variant].head(NUM_SHOWN)
    return np.stack([np.asarray(load_image(folder / file)) for file in files]) if len(files) else None


def estimate(params: Params, name: str, _num_images: int) -> float:
    """Return the seconds that it takes on two cores."""
    settings = params.translators[name]
    return 2 * settings.num_pairs / GENERATED + settings.total_kimg * 1000 / DISTILLED


STAGE = Stage(
    name="distill",
    summary="Train a translator that imitates the base and a model of the domain NAME in one pass.",
    option="domain",
    output=Project.translator_folder,
    work=work,
    estimate=estimate,
    trains=True,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
