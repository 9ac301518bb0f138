"""A comparison of inversion methods that keeps the codes which each of them found, and so resumes."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32

from ui2i.files import atomic_file, sha256_bytes

if TYPE_CHECKING:
    from experiments.paper.inversion_comparison import Contestant
    from experiments.paper.seeds.trainings import Trainings
    from tasks.models.domain_models import Model
    from ui2i.inversion import Encoder
    from ui2i.perceptual import Perceptual
    from ui2i.settings import InversionConfig

Row = dict[str, Any]
Codes = Float32[np.ndarray, "n num_ws w_dim"]

REAL = "real"  # kind of the images whose translations have a truth


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contest:
    """Methods, and the images that each of them inverts."""

    model: "Model"
    encoder: "Encoder | None"
    perceptual: "Perceptual"
    contestants: "Sequence[Contestant]"
    configs: "Sequence[InversionConfig]"
    columns: Mapping[str, Any]  # that all rows have in common
    folder: Path  # of what was found

    @property
    def real(self) -> "Contestant":
        """The base's own test images."""
        return next(each for each in self.contestants if each.kind == REAL)

    def run(self) -> tuple[list[Row], dict[str, Codes]]:
        """Return rows of `INVERTED_SCHEMA` by kind of images, then method; and the codes of the real ones by method.

        Raises:
            UI2IError: as `ui2i.inversion.invert`.
        """
        rows: list[Row] = []
        codes: dict[str, Codes] = {}
        for contestant in self.contestants:
            for config in self.configs:
                own, found = self._kept(contestant, config)
                rows += own
                if contestant.kind == REAL:
                    codes[config.method] = found
        return rows, codes

    def _kept(self, contestant: "Contestant", config: "InversionConfig") -> tuple[list[Row], Codes]:
        """Return what a method found, which an earlier run may have kept."""
        path = self._path(contestant, config)
        if not path.is_file():
            rows, found = self._invert(contestant, config)
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(path) as temporary, temporary.open("wb") as file:
                np.savez(file, codes=found, rows=np.array(json.dumps(rows)))
        with np.load(path) as kept:
            return json.loads(str(kept["rows"])), kept["codes"]

    def _invert(self, contestant: "Contestant", config: "InversionConfig") -> tuple[list[Row], Codes]:
        from experiments.paper.inversion_comparison import compare_inversions
        from tasks.running.progress import report_progress

        found: list[Codes] = []
        with report_progress(f"{config.method}, {contestant.kind} images") as progress:
            rows = compare_inversions(
                [contestant],
                self.model.generator,
                self.perceptual,
                [config],
                columns=self.columns,
                encoder=self.encoder,
                take_codes=lambda codes: found.append(codes.cpu().numpy()),
                progress=progress,
            )
        return rows, found[0]

    def _path(self, contestant: "Contestant", config: "InversionConfig") -> Path:
        """Return a file whose name has a hash of all that decides what is found."""
        decides = {
            **dataclasses.asdict(config),
            **{name: value for name, value in self.columns.items() if name != "commit"},
            "backbone": self.perceptual.weights_hash,
            "images": contestant.identity,
        }
        digest = sha256_bytes(json.dumps(decides, sort_keys=True, default=str).encode())
        return self.folder / f"{contestant.kind}-{config.method}-{digest[:16]}.npz"


def contest_of(
    trainings: "Trainings",
    perceptual: "Perceptual",
    folder: Path,
    *,
    kinds: Sequence[str],
    methods: Sequence[str],
    num_images: int,
    num_steps: int | None,
    seed: int,
) -> Contest:
    """Return the contest of the base of some trainings.

    Args:
        kinds: of images: `generated` by the base, and `real`, the first of its test split.
        num_images: of each kind.
        num_steps: of each search; None: as `params.yaml` says.
        seed: of the generated images and the searches.

    Raises:
        ConfigError: there is no such method.
        CheckpointError: the base is missing or damaged, or its encoder, which a method needs.
    """
    from experiments.paper.stages.compare_inversions import contestants_of, encoder_for, named_configs
    from tasks.models.domain_models import named_model
    from ui2i.provenance import code_commit

    project, params, device = trainings.project, trainings.params, trainings.device
    model = named_model(project, params, trainings.base, device=device)
    steps = num_steps or params.inversion.num_steps
    configs = named_configs(dataclasses.replace(params.inversion, num_steps=steps, seed=seed), methods)
    encoder, encoder_hash = encoder_for(configs, project, model, device)
    found = contestants_of(project, model.generator, trainings.base, num_images, seed)
    return Contest(
        model=model,
        encoder=encoder,
        perceptual=perceptual,
        contestants=[each for each in found if each.kind in kinds],
        configs=configs,
        columns={
            "base": trainings.base,
            "base_hash": model.hash,
            "encoder_hash": encoder_hash,
            "commit": code_commit(),
            "device": device,
        },
        folder=folder,
    )
