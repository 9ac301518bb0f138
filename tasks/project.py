"""Where everything of a project lies. A project is the folder with `params.yaml` and `dvc.yaml`.

Each path below `data/` is named here and in `dvc.yaml`, nowhere else. Adding raw pictures is here too, because it is
the one way in which files from outside enter `data/`.
"""

import dataclasses
import shutil
import tempfile
from pathlib import Path

from tasks.dvc_command import check_trackable, ensure_dvc, run_dvc
from ui2i.datasets.ingestion.folders import folder_source, list_source, read_list
from ui2i.datasets.ingestion.sources import (
    ARCHIVE_SUFFIXES,
    KINDS,
    LIST_SUFFIX,
    archive_suffix,
    is_archive,
    open_source,
)
from ui2i.errors import ConfigError, DataError
from ui2i.files import atomic_file, atomic_folder, sha256_file, sha256_listing
from ui2i.images import SUFFIXES

PARAMS_FILE = "params.yaml"
DVC_FILE = "dvc.yaml"
ENCODER_FILE = "encoder.safetensors"


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

    def raw(self, name: str) -> Path:
        """Folder of drawn or added pictures; an added archive lies beside it as `<name>.zip` or the like."""
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
        return self.data_dir / "runs" / "downloads"

    def checkpoint(self, name: str) -> Path:
        """Folder of a base's model, or of a domain's, with one folder a mode in it."""
        return self.data_dir / "checkpoints" / name

    def mode_checkpoint(self, domain: str, mode: str) -> Path:
        """Folder of one fine-tuned model of a domain."""
        return self.checkpoint(domain) / mode.lower()

    def run_dir(self, name: str, mode: str) -> Path:
        """Folder of a training's resumable state; not tracked."""
        return self.data_dir / "runs" / name / mode.lower()

    def variants(self, domain: str) -> Path:
        """Folder of a domain's layer-swapped generators."""
        return self.data_dir / "variants" / domain

    def variant(self, domain: str, swap_resolution: int) -> Path:
        """File of the generator whose layers up to `swap_resolution` pixels are the base's."""
        return self.variants(domain) / variant_file(swap_resolution)

    def distance_table(self, domain: str) -> Path:
        """Table of model distances, to which every run appends."""
        return self.data_dir / "tables" / "distance" / f"{domain}.parquet"

    def distance_summary(self, domain: str) -> Path:
        """The latest distances as JSON, for `dvc metrics`."""
        return self.distance_table(domain).with_suffix(".json")

    def unfinished_distances(self, domain: str) -> Path:
        """State of a measurement of distances that was interrupted; not tracked."""
        return self.data_dir / "runs" / "distance" / f"{domain}.npz"

    @property
    def measured_distances(self) -> Path:
        """Table of distances that somebody asked for, between any models; no stage's. No domain's name has a dot."""
        return self.data_dir / "tables" / "distance" / "measured.any.parquet"

    def pair_table(self, pair: str) -> Path:
        """Table of distances between the models of two domains, in equal modes. No domain's name has a dot."""
        return self.data_dir / "tables" / "distance" / f"pair.{pair}.parquet"

    def evaluation_table(self, domain: str) -> Path:
        """Table of how a domain's models translate, to which every run appends."""
        return self.data_dir / "tables" / "evaluation" / f"{domain}.parquet"

    def evaluation_summary(self, domain: str) -> Path:
        """The latest evaluation as JSON, for `dvc metrics`."""
        return self.evaluation_table(domain).with_suffix(".json")

    def measured_evaluations(self, domain: str) -> Path:
        """Table of folders of outputs that somebody had evaluated, of any system; no stage's."""
        return self.data_dir / "tables" / "evaluation" / f"measured.{domain}.parquet"

    def picture_evaluation(self, domain: str) -> Path:
        """Table of how a domain's models translate pictures of the base's test split."""
        return self.data_dir / "tables" / "evaluation" / f"pictures.{domain}.parquet"

    def baseline_evaluation(self, domain: str) -> Path:
        """The same of the domain's baseline."""
        return self.data_dir / "tables" / "evaluation" / f"baseline.{domain}.parquet"

    def swap_choice(self, domain: str) -> Path:
        """Table of how a swap's resolution and mode trade fidelity for similarity, with .png and .md beside it."""
        return self.data_dir / "tables" / "swap" / f"{domain}.parquet"

    def paper_table(self, number: str) -> Path:
        """Table I, II or III of the paper, with .csv and .md beside it."""
        return self.data_dir / "tables" / "paper" / f"table{number}.parquet"

    def inversion_table(self, base: str) -> Path:
        """Table of inversion methods compared on a base's pictures."""
        return self.data_dir / "tables" / "inversion" / f"{base}.parquet"

    def inverted_table(self, base: str) -> Path:
        """The same, picture by picture. No base's name has a dot."""
        return self.inversion_table(base).with_suffix(".pictures.parquet")

    def style_layers_table(self, domain: str) -> Path:
        """Table of diversity and similarity over the number of style layers, with .png beside it."""
        return self.data_dir / "tables" / "styles" / f"{domain}.parquet"

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
        return self.data_dir / "runs" / "encoders" / f"{base}.pt"

    @property
    def latents(self) -> Path:
        """Store of codes that were found, which all translations share; not tracked."""
        return self.data_dir / "runs" / "latents"

    def shared_samples(self, domain: str) -> Path:
        """Picture of the same latents in all models of a domain."""
        return self.distance_table(domain).with_suffix(".png")

    def translations(self, domain: str) -> Path:
        """Folder of translated pictures."""
        return self.data_dir / "translations" / domain

    def truth_table(self, domain: str) -> Path:
        """Table of translations against their true counterparts, picture by picture."""
        return self.data_dir / "tables" / "truth" / f"{domain}.parquet"

    def kept_table(self, domain: str) -> Path:
        """Table of the attributes that translations kept. No domain's name has a dot."""
        return self.truth_table(domain).with_suffix(".attributes.parquet")

    def truth_summary(self, domain: str) -> Path:
        """Both tables' means as JSON, for `dvc metrics`."""
        return self.truth_table(domain).with_suffix(".json")

    def truth_sheet(self, domain: str) -> Path:
        """Picture of inputs, translations and counterparts."""
        return self.truth_table(domain).with_suffix(".png")

    def baseline(self, domain: str) -> Path:
        """Folder of what a domain's baseline makes of the pictures that are translated, under their names."""
        return self.data_dir / "baselines" / domain

    def baseline_run(self, domain: str) -> Path:
        """Folder of what a baseline is trained on; not tracked."""
        return self.data_dir / "runs" / "baselines" / domain

    def baseline_truth(self, domain: str) -> Path:
        """Table of a baseline's outputs against their true counterparts."""
        return self.data_dir / "tables" / "truth" / f"baseline.{domain}.parquet"

    def cost_file(self, stage: str) -> Path:
        """What running a stage took, on this machine; not tracked."""
        return self.data_dir / "runs" / ".costs" / f"{stage}.json"

    @property
    def figures(self) -> Path:
        """Folder of the paper's Figures 4 to 8."""
        return self.data_dir / "figures"

    def figure(self, number: str) -> Path:
        """Picture of a figure; tables of the same name lie beside it."""
        return self.figures / f"figure{number}.webp"

    @property
    def figure_numbers(self) -> Path:
        """What was measured for the figures as JSON, for `dvc metrics`."""
        return self.figures / "figures.json"

    @property
    def regressors(self) -> Path:
        """Folder of trained attribute regressors, which domains share; not tracked."""
        return self.data_dir / "runs" / "regressors"

    def lock_path(self, output: Path) -> Path:
        """File that a stage locks while it writes `output`."""
        name = "-".join(output.relative_to(self.data_dir).parts)
        return self.data_dir / "runs" / ".locks" / f"{name}.lock"

    def file_lock_path(self, file_name: str) -> Path:
        """File that is locked while a file of the project itself is edited."""
        return self.data_dir / "runs" / ".locks" / f"{file_name}.lock"

    def relative(self, path: Path) -> str:
        """A path as `params.yaml` and `dvc.yaml` write it."""
        return path.relative_to(self.root).as_posix()


def variant_file(swap_resolution: int) -> str:
    """Name of a variant's file."""
    return f"ls{swap_resolution}.safetensors"


def find_project(start: Path | str | None = None) -> Project:
    """Return the project that `start` (None: the current folder) is in: the nearest folder with both files.

    Raises:
        ConfigError: neither it nor a folder above is a project.
    """
    folder = Path(start or ".").resolve()
    for candidate in (folder, *folder.parents):
        if (candidate / PARAMS_FILE).is_file() and (candidate / DVC_FILE).is_file():
            return Project(candidate)
    raise ConfigError(
        f"{folder} is in no project, expected {PARAMS_FILE} and {DVC_FILE} there or above; "
        "change to the project's folder or name it with --project"
    )


def add_raw(project: Project, name: str, source: Path | str, *, replace: bool = False) -> Path:
    """Copy pictures into the project as `data/raw/<name>`, of an archive with its suffix, and have DVC track them.

    Of a folder the pictures are taken, with their subfolders, and nothing else; of a list the files that it names. What
    is there already and equal is not copied again.

    Args:
        source: a folder, a .zip, .tar or .parquet, or a .txt that lists files; may be the place in the project itself.
        replace: take the place of other pictures of this name instead of refusing.

    Returns:
        Where they lie now.

    Raises:
        DataError: the source is missing, nothing that holds pictures, or without any; or other pictures of that name
            are there.
        ConfigError: pictures of that name are drawn.
        DvcError: DVC cannot track them.
    """
    from tasks.params import load_params  # which imports this module

    if name in load_params(project).drawn:
        raise ConfigError(
            f"{PARAMS_FILE} draws the pictures of {name}, expected a name without drawn.{name}; choose another name or "
            "remove that entry"
        )
    source = Path(source).resolve()
    suffix = "" if _is_of_files(source) else archive_suffix(source) or ".zip"
    places = [project.raw(name).with_name(name + kind) for kind in (suffix, "", *ARCHIVE_SUFFIXES)]
    destination = places[0]
    check_trackable(project.root, destination)
    listing = _listing(source)
    if not _is_equal(destination, listing):
        existing = next((path for path in places if path.exists()), None)
        if existing is not None and not replace:
            raise DataError(
                f"{project.relative(existing)} has other pictures than {source}, expected a new name or the same "
                "pictures; choose another name or ask to replace them"
            )
        if _is_of_files(source):
            with atomic_folder(destination) as temporary:
                _copy_pictures(source, temporary)
        else:
            with atomic_file(destination) as temporary:
                shutil.copyfile(source, temporary)
    ensure_dvc(project.root)
    run_dvc(project.root, "add", project.relative(destination))
    return destination


def count_pictures(source: Path | str) -> int:
    """Return how many files of a folder, archive or list look like pictures by their names.

    Raises:
        DataError: it is missing, nothing that holds pictures, or has none.
    """
    with tempfile.TemporaryDirectory() as workspace, open_source(source, workspace=Path(workspace)) as opened:
        return len(opened.members)


def _listing(path: Path) -> str:
    """Return a hash of the pictures of a folder or list, or of the bytes of an archive."""
    if _is_of_files(path):
        files = _picture_files(path)
        if not files:
            raise DataError(f"{path} contains no pictures, expected files ending in {', '.join(SUFFIXES)}; add some")
        return sha256_listing((name, sha256_file(file)) for name, file in files.items())
    if not path.is_file():
        raise DataError(f"{path} does not exist, expected {KINDS}; check the path")
    if not is_archive(path):
        raise DataError(f"{path} is no archive that is known, expected {KINDS}; fetch it again")
    return sha256_file(path)


def _is_equal(destination: Path, listing: str) -> bool:
    return (
        destination.exists()
        and (destination.is_file() or bool(_picture_files(destination)))
        and (_listing(destination) == listing)
    )


def _is_of_files(path: Path) -> bool:
    """Whether pictures lie in files of their own: in a folder, or as a list names them."""
    return path.is_dir() or (path.is_file() and archive_suffix(path) == LIST_SUFFIX)


def _picture_files(source: Path) -> dict[str, Path]:
    """Return the pictures of a folder or list by relative name; of a folder, hidden ones and dead links left out.

    Raises:
        DataError: a listed file does not exist.
    """
    opened = folder_source(source) if source.is_dir() else list_source(read_list(source))
    files = {member.path: member.key for member in opened.members if member.fault is None}
    missing = [name for name, file in files.items() if not file.is_file()]
    if missing and not source.is_dir():
        raise DataError(f"{source} lists {missing[0]}, which does not exist; correct the list")
    return {name: file for name, file in files.items() if name not in missing}


def _copy_pictures(source: Path, folder: Path) -> None:
    for name, file in _picture_files(source).items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
