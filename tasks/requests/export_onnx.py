"""`ui2i export-onnx`: a domain's translator as one ONNX file, or a generator as two."""

from pathlib import Path

from tasks.models.translator_models import check_translator, translator_path
from tasks.project.params import load_params
from tasks.project.paths import Project
from ui2i.errors import ConfigError
from ui2i.files import check_file_place, sha256_file

NUM_COMPARED = 64


def export_translator(project: Project, domain: str, path: Path) -> tuple[float, int]:
    """Write the file; return the largest difference of its outputs, and on how many images that is.

    Raises:
        ConfigError: there is no such domain, the name does not end in .onnx, or a package is not installed.
        CheckpointError: there is no translator, it is of other models, or the file does not agree with it.
        DataError: the base's images are missing.
    """
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.distillation.onnx_export import export_onnx
    from ui2i.distillation.translator_file import load_translator

    _check_name(path)
    params = load_params(project)
    file = translator_path(project, params, domain)
    translator = load_translator(file)
    check_translator(project, params, file, translator.card)
    images = PreparedDataset(project.prepared(translator.card.source), "test").images(slice(NUM_COMPARED))
    return export_onnx(path, translator, images, translator_hash=sha256_file(file)), len(images)


def export_model(project: Project, name: str, variant: str | None, path: Path) -> tuple[float, tuple[Path, Path]]:
    """Write a generator's files; return the largest difference of their images, and their paths.

    Args:
        name: a base, a domain, a model as tables name it (cartoon/FC-FT-LS8), or a .safetensors file.
        variant: of a domain; None: its first mode.

    Raises:
        ConfigError: there is no such model, the name does not end in .onnx, or a package is not installed.
        CheckpointError: the model is missing or damaged, or the files do not agree with it.
    """
    from tasks.requests.generate import find_model
    from ui2i.distillation.generator_onnx import export_generator, part_paths

    _check_name(path)
    model = find_model(project, name, variant, "cpu")
    difference = export_generator(path, model.generator, model.card, generator_hash=model.hash)
    return difference, part_paths(path)


def _check_name(path: Path) -> None:
    if path.suffix != ".onnx":  # what else is there is not to be replaced
        raise ConfigError(f"the file is {path}, expected a name that ends in .onnx; rename it")
    check_file_place(path)
