"""Rows of the evaluation table: how good a system's outputs are, and everything that decides the values."""

import dataclasses
import json
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tasks.project.params import Params
from tasks.project.paths import Project
from ui2i.progress import Progress, no_progress

if TYPE_CHECKING:
    from ui2i.metrics.evaluation import Embedded, Embedder, Evaluation
    from ui2i.metrics.image_sets import ImageSet
    from ui2i.metrics.inception import Inception
    from ui2i.perceptual import Perceptual

Row = dict[str, Any]

NUM_ENDS = 2  # rows of `ends_of_scale`


def run_columns(
    params: Params,
    perceptual: "Perceptual",
    inception: "Inception | None",
    frechet: "Embedder | None",
    device: str,
) -> Row:
    """Return the columns of `EVALUATION_SCHEMA` that all rows of one run share."""
    from ui2i.images.framing import CENTERED
    from ui2i.provenance import provenance

    made = provenance(device)
    return {
        "run_id": uuid.uuid4().hex,
        "measured_at": datetime.now(UTC),
        "seed": params.evaluation.seed,
        "resizer": CENTERED.protocol,
        "dtype": "float32",
        "backbone": perceptual.name,
        "backbone_hash": perceptual.weights_hash,
        "fd_network": None if frechet is None else frechet.name,
        "fd_network_hash": None if frechet is None else frechet.weights_hash,
        "inception": None if inception is None else inception.name,
        "inception_hash": None if inception is None else inception.weights_hash,
        "commit": made["commit"],
        "device": device,
        "versions": json.dumps(made["versions"], sort_keys=True),
    }


def evaluation_row(run: Mapping[str, Any], evaluation: "Evaluation", **columns: Any) -> Row:
    """Return a whole row of `EVALUATION_SCHEMA`.

    Args:
        run: what `run_columns` gave.
        columns: what no evaluation knows: system, domains, counts, seconds, ...
    """
    similarity = evaluation.lpips_s
    return {
        **run,
        "fid": evaluation.fid,
        "kid": evaluation.kid,
        "fd": evaluation.fd,
        "fd_sem": evaluation.fd_sem,
        "kd": evaluation.kd,
        "lpips_d": evaluation.lpips_d.mean,
        "lpips_d_sem": evaluation.lpips_d.sem,
        "lpips_s": None if similarity is None else similarity.mean,
        "lpips_s_sem": None if similarity is None else similarity.sem,
        "num_pairs": evaluation.lpips_d.count,
        "outputs_hash": evaluation.outputs_hash,
        **columns,
    }


def find_frechet(params: Params, device: str) -> "Embedder | None":
    """Return the network of `evaluation.frechet_network`; None: the perceptual backbone.

    Raises:
        BackboneError: its weights cannot be had.
    """
    from ui2i.metrics.efficientnet import load_efficientnet

    return None if params.evaluation.frechet_network == "backbone" else load_efficientnet(device)


@dataclasses.dataclass(frozen=True)
class Measured:
    """A system whose outputs are to be evaluated."""

    system: str
    outputs: "ImageSet"
    inputs: "ImageSet | None"  # in the order of the outputs; None: not known
    target: "Embedded"
    embedded: "Embedded | None" = None  # features of the outputs; None: not known yet

    def evaluate(
        self,
        perceptual: "Perceptual",
        inception: "Inception | None" = None,
        *,
        frechet: "Embedder | None" = None,
        seed: int = 0,
        progress: Progress = no_progress,
    ) -> "Evaluation":
        """Measure the outputs; arguments and errors as those of `ui2i.metrics.evaluation.evaluate`."""
        from ui2i.metrics.evaluation import evaluate

        return evaluate(
            self.outputs,
            self.inputs,
            self.target,
            perceptual,
            inception,
            frechet=frechet,
            embedded=self.embedded,
            seed=seed,
            progress=progress,
        )


def ends_of_scale(data: "ImageSet", embedded: "Embedded", inputs: "ImageSet | None", seed: int) -> "Iterator[Measured]":
    """Yield what tells a good Frechet distance from a bad one: half of the data against the other half, and the inputs.

    Args:
        embedded: features of the data.
    """
    import numpy as np

    halves = np.split(np.random.RandomState(seed).permutation(data.count), [data.count // 2])
    one, other = (half.tolist() for half in halves)
    yield Measured("the data itself", data.take(one), None, embedded.take(other), embedded.take(one))
    if inputs is not None:
        yield Measured("the input itself", inputs, inputs, embedded)


def find_inception(project: Project, params: Params, device: str) -> "Inception | None":
    """Return Inception with the weights that `evaluation.inception_weights` names; None: without FID.

    Raises:
        BackboneError: they are named and cannot be had.
    """
    from ui2i.metrics.inception import load_inception

    weights = params.evaluation.inception_weights
    return load_inception(None if weights is None else project.root / weights, device)
