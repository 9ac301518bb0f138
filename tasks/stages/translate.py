"""Stage translate@: images of the base's test split -> their translations in data/translations/<domain>."""

import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tasks.project.params import Params
from tasks.project.paths import Project
from tasks.running.rates import INVERSION_STEPS
from tasks.running.stage_cli import Job, Stage, default_device, main
from ui2i.errors import UI2IWarning

if TYPE_CHECKING:
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.translation import NamedImages


def work(job: Job) -> None:
    """Translate with the domain's first mode and every variant of it (paper, Eq. 4)."""
    from tasks.models.domain_checks import find_check
    from tasks.models.domain_models import base_model, target_models
    from tasks.models.inversion_models import encoder_of, inversion_of, latent_store
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.files import sha256_file
    from ui2i.inversion import Inverter
    from ui2i.perceptual import load_perceptual
    from ui2i.translation import TranslationConfig, translate_folder

    device, settings = default_device(), job.params.translate
    base = base_model(job.project, job.params, job.name, device=device)
    models = target_models(job.project, job.params, job.name, device=device)
    targets = [model for model in models if model == models[0] or model.card.swap_resolution is not None]
    inversion = inversion_of(job.project, job.params, base.domain)
    encoder, encoder_hash = encoder_of(job.project, base.domain, base.hash, inversion, device=device)
    perceptual, store = load_perceptual(job.params.perceptual, device), latent_store(job.project)
    inverter = Inverter(
        base.generator,
        perceptual,
        inversion,
        base_hash=base.hash,
        encoder=encoder,
        encoder_hash=encoder_hash,
        store=store,
    )
    rows = translate_folder(
        first_images(PreparedDataset(job.project.prepared(base.name), "test"), settings.num_images),
        base.generator,
        {model.card.mode: model.generator for model in targets},
        perceptual,
        inversion,
        job.project.translations(job.name),
        domain=job.name,
        source_hash=sha256_file(base.path),
        target_hashes={model.card.mode: sha256_file(model.path) for model in targets},
        source_domain=base.name,
        config=TranslationConfig(
            truncation_psi=settings.truncation_psi,
            num_styles=settings.num_styles,
            num_style_layers=settings.num_style_layers,
        ),
        encoder=encoder,
        encoder_hash=encoder_hash,
        store=store,
        check=find_check(job.project, base, inverter, device=device),
        force=True,  # params.yaml says that the domain is translated from this base, whatever its mode made of it
        progress=job.progress,
    )
    warn_of_other_images(rows, base.name)


def warn_of_other_images(rows: Sequence[Mapping[str, Any]], base: str) -> None:
    """Warn if most test images of a base are unlike those that it was trained on, as of an imported one's dataset."""
    looks = {row["index"]: row["looks_like_source"] for row in rows}
    num_unlike = list(looks.values()).count(False)
    if num_unlike > len(looks) / 2:
        message = (
            f"{num_unlike} of {len(looks)} test images in datasets.{base} do not look like what {base} was trained on, "
            "expected images of its kind; expect poor results, and see docs/domain_check.md"
        )
        warnings.warn(message, UI2IWarning, stacklevel=2)


def first_images(dataset: "PreparedDataset", count: int) -> "NamedImages":
    """Return the first images of a split under the names and hashes of the files they were made from."""
    from ui2i.translation import NamedImages

    rows = dataset.columns("source_path", "sha256").slice(0, count)
    return NamedImages(
        names=rows["source_path"].to_pylist(),
        images=dataset.images(slice(count)),
        sha256s=rows["sha256"].to_pylist(),
    )


def estimate(params: Params, name: str, _num_images: int) -> float:
    """Return the seconds that it takes on two cores."""
    first = next(each for each, domain in params.domains.items() if domain.base == params.domains[name].base)
    if name != first:
        return 0.0  # the others of a family find the latent codes at hand
    return params.translate.num_images * params.inversion.num_steps / INVERSION_STEPS


STAGE = Stage(
    name="translate",
    summary="Translate the first images of the base's test split to the domain NAME, with the model of its first mode "
    "and its layer-swapped variants.",
    option="domain",
    output=Project.translations,
    work=work,
    estimate=estimate,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
