"""The trainings of one domain with any seed, each resumable in a folder of its own."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.paper.tables.model_distance import APART
from tasks.project.params import Params, find_entry, training_config
from tasks.project.paths import Project
from ui2i.files import sha256_file
from ui2i.settings import TrainingConfig

if TYPE_CHECKING:
    from experiments.paper.seeds.measuring import AlongTraining
    from ui2i.networks.discriminator import Discriminator
    from ui2i.networks.generator import Generator
    from ui2i.perceptual import Perceptual
    from ui2i.training.state import TrainingState

ALONG_LATENTS = 500  # latents of the distances along a training


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trainings:
    """What trains a domain's models: FT and FC-FT from its base, and FT from another base (`APART`)."""

    project: Project
    params: Params
    domain: str
    apart: str | None  # the other base; None: there is none
    total_kimg: float | None  # of each training; None: as params.yaml says
    apart_kimg: float | None  # of those from another base; None: as the others
    every_kimg: float  # between measurements
    folder: Path  # of all domains' trainings
    device: str

    @property
    def base(self) -> str:
        """Name of the domain's base.

        Raises:
            ConfigError: params.yaml has no such domain.
        """
        return find_entry(self.params.domains, self.domain, "domains").base

    @property
    def length(self) -> float:
        """Thousands of images of FT and FC-FT each."""
        return self.total_kimg or training_config(self.params, self.domain, "FC-FT").total_kimg

    def config(self, name: str) -> TrainingConfig:
        """Return the settings of FT, FC-FT or `APART`, but for the seed."""
        return dataclasses.replace(
            training_config(self.params, self.domain, "FC-FT" if name == "FC-FT" else "FT"),
            total_kimg=self.apart_kimg or self.length if name == APART else self.length,
            evaluation_kimg=self.every_kimg,
            snapshot_kimg=self.every_kimg,
        )

    def start_of(self, name: str) -> "tuple[Generator, Discriminator | None]":
        """Return the networks from which FT, FC-FT or `APART` begins.

        Raises:
            CheckpointError: the base is missing or damaged.
        """
        from tasks.models.model_folder import read_model

        generator, discriminator, _ = read_model(self._start_folder(name), device=self.device)
        return generator, discriminator

    def evaluator(self, base: "Generator", perceptual: "Perceptual") -> "AlongTraining":
        """Return what is measured along a training."""
        from experiments.paper.seeds.measuring import AlongTraining
        from ui2i.datasets.prepared import PreparedDataset
        from ui2i.metrics.frechet import held_out_evaluator

        held_out = PreparedDataset(self.project.prepared(self.domain), "test")
        num_images = self.params.finetune.evaluation_images
        num_latents = min(ALONG_LATENTS, self.params.distance.num_latents)
        return AlongTraining(
            to_domain=held_out_evaluator(held_out, perceptual, num_images=num_images, device=self.device),
            base=base,
            perceptual=perceptual,
            config=dataclasses.replace(self.params.distance, num_latents=num_latents),
        )

    def train(self, seed: int, name: str, evaluator: "AlongTraining") -> "TrainingState":
        """Return the last state of FT, FC-FT or `APART`, whose log has the measurements along it.

        A finished training is read, and an interrupted one goes on.
        """
        from tasks.running.progress import report_progress
        from ui2i.datasets.prepared import PreparedDataset
        from ui2i.model_files import GENERATOR_FILE
        from ui2i.training.loop import train

        config = dataclasses.replace(self.config(name), seed=seed)
        generator, discriminator = self.start_of(name)
        with report_progress(f"{self.domain} {name} {seed}") as progress:
            return train(
                PreparedDataset(self.project.prepared(self.domain)),
                self.folder_of(seed, name),
                generator.config,
                config,
                base=(generator, discriminator),
                base_hash=sha256_file(self._start_folder(name) / GENERATOR_FILE),
                device=self.device,
                evaluator=evaluator,
                progress=progress,
            )

    def folder_of(self, seed: int, name: str) -> Path:
        """Return the folder of one training."""
        return self.folder / self.domain / str(seed) / name

    def _start_folder(self, name: str) -> Path:
        if name != APART:
            return self.project.checkpoint(self.base)
        assert self.apart is not None
        return self.project.checkpoint(self.apart)
