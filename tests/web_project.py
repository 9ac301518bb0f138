"""A tiny project with everything that pages show: a base, a model and a translator of its domain; and its site."""

import copy
from pathlib import Path

import pytest
import torch
from conftest import randomize
from tiny_models import random_generator
from tiny_project import distance_row, make_project, set_param, write_images

from cli import serving
from tasks.project.paths import Project
from tasks.requests.web_site import write_project_site
from tasks.stages import translate
from ui2i.checkpoints import ModelCard, save_generator
from ui2i.datasets.ingest import ingest
from ui2i.datasets.prepared import PreparedDataset
from ui2i.distillation.card import TranslatorCard
from ui2i.distillation.network import Translator
from ui2i.distillation.translator_file import save_translator
from ui2i.errors import UI2IError
from ui2i.files import sha256_file
from ui2i.images import to_tensor
from ui2i.layer_swap import swap_weights
from ui2i.settings import IngestConfig, TranslatorConfig
from ui2i.tables import DISTANCE_SCHEMA, append_rows
from ui2i.web.runtime import ensure_runtime

RUNTIME = Path(__file__).resolve().parents[1] / ".cache" / "onnxruntime-web"


@pytest.fixture(scope="session")
def web_runtime() -> Path:
    """onnxruntime-web, which npm fetches once into the clone's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("npm_config_fetch_retries", "0")  # without a network, npm would try for more than a minute
        try:
            return ensure_runtime(RUNTIME)
        except UI2IError as error:
            pytest.skip(str(error))


@pytest.fixture(scope="module")
def web_project(tmp_path_factory: pytest.TempPathFactory, web_runtime: Path) -> Project:
    """32 px, all networks random; nothing is trained."""
    root = tmp_path_factory.mktemp("web")
    project = make_project(root / "project")
    set_param(project, "domains", {"cartoon": {"base": "face"}, "sketch": {"base": "face"}})
    set_param(project, "datasets.sketch", {"images": "data/raw/sketch"})
    set_param(project, "swap.resolutions", [8])
    set_param(project, "truth", {})
    base = random_generator(1, use_noise=False)
    cartoon = copy.deepcopy(base)
    for name, parameter in cartoon.synthesis.named_parameters():
        parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(len(name))))
    base_path = project.checkpoint("face") / "generator.safetensors"
    model_path = project.mode_checkpoint("cartoon", "FC-FT") / "generator.safetensors"
    save_generator(base_path, base, ModelCard(domain="face", mode="scratch"))
    save_generator(model_path, cartoon, ModelCard(domain="cartoon", mode="FC-FT", base="face"))
    swapped = ModelCard(domain="cartoon", mode="FC-FT-LS8", swap_resolution=8)
    save_generator(project.variant("cartoon", 8), swap_weights(base, cartoon, 8), swapped)
    card = TranslatorCard(
        source="face",
        domain="cartoon",
        variant="FC-FT",
        source_hash=sha256_file(base_path),
        target_hash=sha256_file(model_path),
        img_resolution=32,
        framing={"framing": "center", "background": "white"},
    )
    torch.manual_seed(4)
    translator = randomize(Translator(TranslatorConfig(width=3), card)).requires_grad_(False)
    write_images(root / "face")
    ingest(root / "face", project.prepared("face"), IngestConfig(img_resolution=32, test_share=0.2), name="face")
    images = to_tensor(PreparedDataset(project.prepared("face"), None).images(slice(8)))
    scale = 2 * (translator(images) - images).std()  # so that results nearly fill [-1, 1]
    for parameter in translator.outlet.parameters():
        parameter.div_(scale)
    save_translator(project.translator("cartoon"), translator)
    project.web_runtime.parent.mkdir(parents=True, exist_ok=True)
    project.web_runtime.symlink_to(web_runtime.parent)
    return project


def show_pages(project: Project) -> None:
    """Translate the project's test images, note distances, and write the pages of its server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.root)
        assert translate.main(translate.STAGE, ["--domain", "cartoon"]) == 0
    rows = [distance_row("run", f"cartoon/{mode}", mean) for mode, mean in (("FC-FT", 0.4), ("FC-FT-LS8", 0.2))]
    append_rows(project.distance_table("cartoon"), rows, DISTANCE_SCHEMA)
    write_project_site(project, [], project.served_site, served_pages=serving.PAGES)
