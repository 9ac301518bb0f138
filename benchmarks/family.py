"""Makes the sheets and the table of docs/results/family.md from a project that has trained and measured the family.

    python benchmarks/family.py --project DIR

The project's params.yaml is docs/results/family/params.yaml; `dvc repro` makes everything in it.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from tasks.models.domain_models import Model, base_model, target_models
from tasks.project.params import Params, load_params
from tasks.project.paths import Project
from ui2i.contact_sheet import Row, contact_sheet
from ui2i.datasets.prepared import PreparedDataset
from ui2i.images import to_uint8
from ui2i.samples import shared_latents_sheet

RESULTS = Path(__file__).parents[1] / "docs/results/family"
NUM_COLUMNS = 12
SEED = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", type=Path, required=True)
    project = Project(parser.parse_args().project.resolve())
    params = load_params(project)
    RESULTS.mkdir(exist_ok=True)
    save("data-and-samples.webp", contact_sheet(list(data_and_samples(project, params))))
    for base in bases(params):
        save(f"latents-{base}.webp", shared_latents_sheet(models_by_label(project, params, base), seed=SEED))
    print(distances(project, params))


def save(name: str, sheet: np.ndarray) -> None:
    Image.fromarray(sheet).save(RESULTS / name, quality=90, method=6)
    print(f"{name}: {(RESULTS / name).stat().st_size / 1000:.0f} kB")


def bases(params: Params) -> list[str]:
    return list(dict.fromkeys(domain.base for domain in params.domains.values()))


def domains_of(params: Params, base: str) -> list[str]:
    return [name for name, domain in params.domains.items() if domain.base == base]


def data_and_samples(project: Project, params: Params) -> Iterator[Row]:
    """Yield held-out images and samples of every domain, neither chosen, psi 1."""
    for base in bases(params):
        for name in (base, *domains_of(params, base)):
            test = PreparedDataset(project.prepared(name), "test")
            yield Row(f"{name}, held out", test.images(range(NUM_COLUMNS)))
            yield Row(f"{name}, generated", samples(best_model(project, params, name, base)))


def best_model(project: Project, params: Params, name: str, base: str) -> Model:
    """Return the base itself, or the first mode of a domain."""
    if name == base:
        return base_model(project, params, domains_of(params, base)[0], device="cpu")
    return target_models(project, params, name, device="cpu")[0]


@torch.no_grad()
def samples(model: Model) -> np.ndarray:
    latents = np.random.RandomState(SEED).randn(NUM_COLUMNS, model.generator.config.z_dim)
    return to_uint8(model.generator(torch.from_numpy(latents).float()))


def models_by_label(project: Project, params: Params, base: str) -> dict[str, torch.nn.Module]:
    """Return the base and all models made from it, by the names that tables give them."""
    names = domains_of(params, base)
    models = [base_model(project, params, names[0], device="cpu")]
    for name in names:
        models += target_models(project, params, name, device="cpu")
    return {model.name: model.generator for model in models}


def distances(project: Project, params: Params) -> str:
    """Return the newest distance of every model to its base as Markdown: a row a kind of model, a column a domain."""
    cells: dict[str, dict[str, str]] = {}
    for name, domain in params.domains.items():
        rows = pd.read_parquet(project.distance_table(name))
        rows = rows[rows["source"] == domain.base].drop_duplicates("target", keep="last")
        for target, mean, high in zip(rows["target"], rows["mean"], rows["ci95_high"], strict=True):
            kind = target.removeprefix(f"{name}/")
            cells.setdefault(kind, {})[name] = f"{mean:.4f} ± {high - mean:.4f}"
    names = list(params.domains)
    lines = [["model", *(f"{params.domains[name].base}2{name}" for name in names)], ["---"] * (len(names) + 1)]
    lines += [[kind, *(row.get(name, "") for name in names)] for kind, row in cells.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
