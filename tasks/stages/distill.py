"""Stage distill@: a base and a model of its domain -> a translator in data/translators/<domain>.

translator.safetensors   the translator
translator.json          its training log, and how well it translates pairs that it was not trained on
translations.png         images of the base's test split, the pipeline's translations if there are such of the same
                         images by the same models, and the translator's
"""

import json
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.models.translator_models import card_of, imitated_models
from tasks.project.params import Params, find_entry
from tasks.project.paths import Project
from tasks.running.progress import part_of
from tasks.running.rates import DISTILLED, GENERATED
from tasks.running.stage_cli import Job, Stage, default_device, main
from tasks.stages.translate import first_images
from ui2i.errors import UI2IError, UI2IWarning
from ui2i.model_files import TRANSLATOR_FILE

if TYPE_CHECKING:
    import numpy as np

    from ui2i.distillation.card import TranslatorCard
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
    """Return images, their translations as translate@ made them with the same models, and the translator's."""
    from ui2i.contact_sheet import Row, contact_sheet
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.images import to_tensor, to_uint8

    card = translator.card
    shown = first_images(PreparedDataset(project.prepared(card.source), "test"), NUM_SHOWN)
    rows = [Row("input", shown.images)]
    if (piped := _translations(project, domain, card, shown.sha256s or ())) is not None:
        rows.append(Row("inversion and generator", piped))
    device = translator.inlet.weight.device
    rows.append(Row("translator", to_uint8(translator(to_tensor(shown.images).to(device)))))
    return contact_sheet(rows, upscale=max(1, 128 // shown.images.shape[1]), title=f"to {domain}")


def _translations(project: Project, domain: str, card: "TranslatorCard", sha256s: Sequence[str]) -> "np.ndarray | None":
    """Return what the imitated models made of the first images; None: there is nothing, or it is of others.

    Args:
        sha256s: of the images.
    """
    import numpy as np

    from ui2i.images import load_image
    from ui2i.tables import TRANSLATION_SCHEMA, read_rows
    from ui2i.translation_files import MANIFEST_NAME

    folder = project.translations(domain)
    if not (folder / MANIFEST_NAME).is_file():
        return None
    reason = "it is of other images or models"
    try:
        rows = [row for row in read_rows(folder / MANIFEST_NAME, TRANSLATION_SCHEMA) if row["variant"] == card.variant]
        made_of = [(row["base_hash"], row["checkpoint_hash"], row["input_sha256"]) for row in rows[:NUM_SHOWN]]
        if not made_of:
            return None
        if made_of == [(card.source_hash, card.target_hash, sha256) for sha256 in sha256s[: len(made_of)]]:
            return np.stack([np.asarray(load_image(folder / row["output_file"])) for row in rows[:NUM_SHOWN]])
    except (UI2IError, OSError, ValueError) as error:  # none of which may cost the training
        reason = str(error)
    warnings.warn(
        f"translations.png leaves out {project.relative(folder)} ({reason}), expected what translate@{domain} makes "
        f"now; to have it there, run dvc repro translate@{domain}, then this stage again",
        UI2IWarning,
        stacklevel=2,
    )
    return None


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
