"""Where a project's files are. A project is a folder with `params.yaml` and `dvc.yaml`.

Each path below `data/` is named here and in `dvc.yaml`; the paper's in `experiments.paper.paper_paths`.
"""

import dataclasses
import os
from pathlib import Path

from ui2i.errors import ConfigError
from ui2i.model_files import ENCODER_FILE, TRANSLATOR_FILE

PARAMS_FILE = "params.yaml"
DVC_FILE = "dvc.yaml"


@dataclasses.dataclass(frozen=True)
class Project:
    """The paths of one project. None of them need exist."""

    root: Path

    @property
    def params_path(self) -> Path:
        """The numbers of every experiment."""
        return self.root / PARAMS_FILE

    @property
    def data_dir(self) -> Path:
        """Everything that is not code."""
        return self.root / "data"

    @property
    def tables(self) -> Path:
        """Folder of all tables."""
        return self.data_dir / "tables"

    @property
    def report(self) -> Path:
        """Page of all tables, made on request."""
        return self.tables / "report.html"

    @property
    def runs(self) -> Path:
        """Folder of what can be made again, and of locks; not tracked."""
        return self.data_dir / "runs"

    def raw(self, name: str) -> Path:
        """Folder of drawn or added images; an added archive lies beside it as `<name>.zip` or the like."""
        return self.data_dir / "raw" / name

    def prepared(self, name: str) -> Path:
        """Folder of a prepared dataset."""
        return self.data_dir / "prepared" / name

    def base(self, name: str) -> Path:
        """Folder of a model that was brought into the project."""
        return self.data_dir / "base" / name

    @property
    def downloads(self) -> Path:
        """Folder of what is being fetched; not tracked."""
        return self.runs / "downloads"

    def checkpoint(self, name: str) -> Path:
        """Folder of a base's model, or of a domain's, with one folder a mode in it."""
        return self.data_dir / "checkpoints" / name

    def mode_checkpoint(self, domain: str, mode: str) -> Path:
        """Folder of one fine-tuned model of a domain."""
        return self.checkpoint(domain) / mode.lower()

    def run_dir(self, name: str, mode: str) -> Path:
        """Folder of a training's resumable state; not tracked."""
        return self.runs / name / mode.lower()

    def variants(self, domain: str) -> Path:
        """Folder of a domain's layer-swapped generators."""
        return self.data_dir / "variants" / domain

    def variant(self, domain: str, swap_resolution: int) -> Path:
        """File of the generator whose layers up to `swap_resolution` pixels are the base's."""
        return self.variants(domain) / variant_file(swap_resolution)

    def distance_table(self, domain: str) -> Path:
        """Table of model distances, to which every run appends."""
        return self.tables / "distance" / f"{domain}.parquet"

    def distance_summary(self, domain: str) -> Path:
        """The latest distances as JSON, for `dvc metrics`."""
        return self.distance_table(domain).with_suffix(".json")

    def unfinished_distances(self, domain: str) -> Path:
        """State of a measurement of distances that was interrupted; not tracked."""
        return self.runs / "distance" / f"{domain}.npz"

    @property
    def measured_distances(self) -> Path:
        """Table of distances that somebody asked for, between any models; no stage's. No domain's name has a dot."""
        return self.tables / "distance" / "measured.any.parquet"

    def evaluation_table(self, domain: str) -> Path:
        """Table of how a domain's models translate, to which every run appends."""
        return self.tables / "evaluation" / f"{domain}.parquet"

    def evaluation_summary(self, domain: str) -> Path:
        """The latest evaluation as JSON, for `dvc metrics`."""
        return self.evaluation_table(domain).with_suffix(".json")

    def measured_evaluations(self, domain: str) -> Path:
        """Table of folders of outputs that somebody had evaluated, of any system; no stage's."""
        return self.tables / "evaluation" / f"measured.{domain}.parquet"

    def swap_choice(self, domain: str) -> Path:
        """Table of how a swap's resolution and mode trade fidelity for similarity, with .png and .md beside it."""
        return self.tables / "swap" / f"{domain}.parquet"

    @property
    def encoders(self) -> Path:
        """Folder of trained encoders. It is always there: what inverts depends on whatever is in it."""
        return self.data_dir / "encoders"

    def encoder_folder(self, base: str) -> Path:
        """Folder of a base's encoder."""
        return self.encoders / base

    def encoder(self, base: str) -> Path:
        """File of an encoder that was trained for a base; one that came with the model lies in its checkpoint."""
        return self.encoder_folder(base) / ENCODER_FILE

    def encoder_state(self, base: str) -> Path:
        """State of an encoder's training that was stopped; not tracked."""
        return self.runs / "encoders" / f"{base}.pt"

    def translator_folder(self, domain: str) -> Path:
        """Folder of a domain's translator."""
        return self.data_dir / "translators" / domain

    def translator(self, domain: str) -> Path:
        """File of a domain's translator."""
        return self.translator_folder(domain) / TRANSLATOR_FILE

    def translator_run(self, domain: str) -> Path:
        """Folder of the pairs that a translator is trained on and of its training's state; not tracked."""
        return self.runs / "translators" / domain

    def onnx_translator(self, domain: str) -> Path:
        """A domain's translator as ONNX, made on request; not tracked."""
        return self.data_dir / "exports" / f"{domain}.onnx"

    @property
    def web_runtime(self) -> Path:
        """Folder of onnxruntime-web, which runs models in browsers; not tracked."""
        return self.runs / "onnxruntime-web"

    @property
    def web_exports(self) -> Path:
        """Folder of the ONNX models of sites, which later sites have again; not tracked."""
        return self.runs / "web-exports"

    @property
    def served_site(self) -> Path:
        """Folder of the pages that `ui2i serve` shows; not tracked."""
        return self.runs / "served" / "site"

    @property
    def served_address(self) -> Path:
        """File with the port of `ui2i serve`, the present one or the last; not tracked."""
        return self.runs / "served" / "address.json"

    @property
    def refinements(self) -> Path:
        """Folder of the images that visitors of `ui2i serve` had refined; not tracked."""
        return self.runs / "served" / "refinements"

    @property
    def latents(self) -> Path:
        """Store of latent codes, which all translations share; not tracked."""
        return self.runs / "latents"

    def domain_check(self, key: str) -> Path:
        """File of what a model's own images look like, for a model that came without; not tracked."""
        return self.runs / "domain-checks" / f"{key}.safetensors"

    def shared_samples(self, domain: str) -> Path:
        """Image of the same latents in all models of a domain."""
        return self.distance_table(domain).with_suffix(".png")

    def translations(self, domain: str) -> Path:
        """Folder of translated images."""
        return self.data_dir / "translations" / domain

    def truth_table(self, domain: str) -> Path:
        """Table of translations against their true counterparts, image by image."""
        return self.tables / "truth" / f"{domain}.parquet"

    def truth_sheet(self, domain: str) -> Path:
        """Image of inputs, translations and counterparts."""
        return self.truth_table(domain).with_suffix(".png")

    def baseline_run(self, domain: str) -> Path:
        """Folder of what a baseline is trained on; not tracked."""
        return self.runs / "baselines" / domain

    def cost_file(self, stage: str) -> Path:
        """What running a stage took, on this machine; not tracked."""
        return self.runs / ".costs" / f"{stage}.json"

    @property
    def regressors(self) -> Path:
        """Folder of trained attribute regressors, which domains share; not tracked."""
        return self.runs / "regressors"

    def lock_path(self, output: Path) -> Path:
        """File that a stage locks while it writes `output`."""
        name = "-".join(output.relative_to(self.data_dir).parts)
        return self.runs / ".locks" / f"{name}.lock"

    def file_lock_path(self, file_name: str) -> Path:
        """File that is locked while a file of the project itself is edited."""
        return self.runs / ".locks" / f"{file_name}.lock"

    def relative(self, path: Path) -> str:
        """A path as `params.yaml` and `dvc.yaml` write it."""
        return path.relative_to(self.root).as_posix()


def variant_file(swap_resolution: int) -> str:
    """Name of a variant's file."""
    return f"ls{swap_resolution}.safetensors"


def is_project(folder: Path) -> bool:
    """Whether a folder has the two files of a project."""
    return (folder / PARAMS_FILE).is_file() and (folder / DVC_FILE).is_file()


def find_project(start: Path | str | None = None) -> Project:
    """Return the project that `start` (None: the current folder) is in: the nearest folder with both files.

    Raises:
        ConfigError: neither it nor a folder above is a project, or the project is where DVC cannot work.
    """
    folder = Path(start or ".").resolve()
    if not folder.is_dir():  # a project above it is not the one that was meant
        raise ConfigError(f"{folder} is no folder, expected a project's; correct the path")
    for candidate in (folder, *folder.parents):
        if is_project(candidate):
            check_place(candidate)
            return Project(candidate)
    raise ConfigError(
        f"{folder} is in no project, expected {PARAMS_FILE} and {DVC_FILE} there or above; "
        "change to the project's folder, name it with --project, or make one with `ui2i init`"
    )


def check_place(root: Path) -> None:
    """Refuse a folder where DVC would fail once a stage is done: it reads braces as fields, and records UTF-8.

    Raises:
        ConfigError: the path has what DVC cannot take.
    """
    path = os.fsencode(root).decode("utf-8", "replace")
    if not {"{", "}", "\N{REPLACEMENT CHARACTER}"}.isdisjoint(path):
        raise ConfigError(
            f"{path} has braces or bytes that are not UTF-8, expected a path that DVC can take; choose another place "
            "for the project"
        )
