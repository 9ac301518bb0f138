"""What a training leaves to the stage that writes its model."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ui2i.checkpoints import ModelCard
    from ui2i.training.state import TrainingState


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """What a training leaves."""

    state: "TrainingState"
    card: "ModelCard"
    run_dir: Path
