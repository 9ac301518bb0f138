"""Judges methods of inversion by what they reconstruct, and by how near the truth the translations of their codes are.

    python -m experiments.paper.seeds.inversions --project reproduction --domains anime portrait --num-images 32 \
        --num-steps 1000 --out seeds

inverts images that the base generates, and real ones, with each method, as Table III does (`--kinds real`: real ones
alone). Then it generates the codes of the real ones again in each domain's FC-FT, which is trained in the folder of
`experiments.paper.seeds` if it is not there yet, and compares the images with the same people drawn in the domain's
style. It writes

- `inversion.images.parquet`: how well each image is reconstructed;
- `inversion.truth.parquet`: how far each translation is from the truth; its column `variant` has the method;
- `made.json`: what made them.

What a method found is kept in `inversions/`, so that an interrupted command resumes and further domains cost little;
their rows join those that the tables have.
"""

import argparse
import dataclasses
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from experiments.paper.seeds.options import add_options, run_command, trainings_of_one_base
from experiments.paper.tables.published import INVERTED, INVERTED_TRUTH
from ui2i.errors import ConfigError
from ui2i.files import sha256_file

if TYPE_CHECKING:
    from experiments.paper.seeds.contest import Codes, Contest
    from experiments.paper.seeds.trainings import Trainings

METHODS = ("closed_form", "closed_form_mapping", "directions", "w", "w_plus", "encoder", "in_domain")
MODE = "FC-FT"
KINDS = ("generated", "real")
CODES_FOLDER = "inversions"
DRAWS_SEED = 0  # of the domain's images whose distance to the truth stands for chance


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 2 after printing one line `error: ...`."""
    return run_command(_parser(), arguments, judge)


def judge(options: argparse.Namespace) -> None:
    """Write both tables. What they have of other domains, kinds of images and methods stays.

    Raises:
        ConfigError: the domains have different bases, or there is no such method, or a number cannot be used.
        CheckpointError: the base or its encoder is missing or damaged.
        DataError: the real images were not drawn by this version.
    """
    from experiments.paper.seeds.contest import contest_of
    from experiments.paper.seeds.made import note_what_made
    from experiments.paper.seeds.tables import replace_rows
    from ui2i.perceptual import load_perceptual
    from ui2i.schemas import INVERTED_SCHEMA, TRUTH_SCHEMA

    trainings = trainings_of_one_base(options)
    first = next(iter(trainings.values()))
    if options.num_images < 2:
        raise ConfigError(f"--num-images is {options.num_images}, expected 2 or more, for an interval; raise it")
    perceptual = load_perceptual(first.params.perceptual, first.device)
    contest = contest_of(
        first,
        perceptual,
        options.out / CODES_FOLDER,
        kinds=options.kinds,
        methods=options.methods,
        num_images=options.num_images,
        num_steps=options.num_steps,
        seed=options.seed,
    )
    rows, codes = contest.run()
    replace_rows(options.out / INVERTED, rows, INVERTED_SCHEMA, key=("base", "kind", "method"))
    if not codes:
        return
    truths = [row for each in trainings.values() for row in _against_truth(each, contest, codes, options.seed)]
    replace_rows(options.out / INVERTED_TRUTH, truths, TRUTH_SCHEMA, key=("domain", "variant"))
    for domain, each in trainings.items():
        note_what_made(options.out, f"inversions to {domain}, seed {options.seed}", each, perceptual)


def _against_truth(
    trainings: "Trainings", contest: "Contest", codes: "Mapping[str, Codes]", seed: int
) -> Iterator[dict[str, Any]]:
    """Yield rows of `TRUTH_SCHEMA`: each method's translations to a domain against the same people drawn in it."""
    import torch

    from experiments.paper.truth import find_pairs, read_drawn, score_translations
    from experiments.synthetic.settings import synthetic_of
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.images import to_uint8
    from ui2i.training.snapshots import STATE_FILE

    project, domain, perceptual = trainings.project, trainings.domain, contest.perceptual
    style = synthetic_of(trainings.params)[domain].style
    dataset = PreparedDataset(project.prepared(trainings.base), "test")
    files = dataset.columns("source_path", "sha256").slice(0, len(contest.real.names)).to_pydict()
    drawn = read_drawn(project.raw(trainings.base))
    pairs = find_pairs(dataset, files["source_path"], files["sha256"], drawn, style)
    along = trainings.evaluator(contest.model.generator, perceptual)
    generator = trainings.train(seed, MODE, along).generator_ema
    with torch.no_grad():
        outputs = {
            method: to_uint8(generator.synthesis(torch.from_numpy(found).to(trainings.device)))
            for method, found in codes.items()
        }
    shared = {
        "domain": domain,
        "checkpoint_hash": sha256_file(trainings.folder_of(seed, MODE) / STATE_FILE),
        "style": style,
        "seed": DRAWS_SEED,
        "backbone": perceptual.name,
        "backbone_hash": perceptual.weights_hash,
        "commit": contest.columns["commit"],
    }
    others = PreparedDataset(project.prepared(domain), "test").images(slice(None))
    scores = score_translations(pairs.inputs, outputs, pairs.counterparts, others, perceptual, seed=DRAWS_SEED)
    for score in scores:
        values = dataclasses.asdict(score)
        place = values.pop("image")
        own = pairs.synthetic[place]
        yield {
            **shared,
            **values,
            "score": score.score,
            "copy_score": score.copy_score,
            "index": place,
            "input_path": files["source_path"][place],
            "synthetic_seed": own.seed,
            "synthetic_index": own.index,
        }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--domains", metavar="NAME", nargs="+", required=True, help="synthetic domains of one base to translate to")
    add("--methods", metavar="NAME", nargs="+", default=METHODS, help=f"methods (default: {' '.join(METHODS)})")
    add("--kinds", choices=KINDS, nargs="+", default=KINDS, help=f"of images (default: {' '.join(KINDS)})")
    add("--num-images", metavar="N", type=int, default=32, help="images of each kind (default: 32)")
    add("--num-steps", metavar="N", type=int, help="steps of each search (default: as params.yaml says)")
    add("--seed", metavar="N", type=int, default=0, help="of the trainings and the searches (default: 0)")
    add_options(parser, apart_is_required=False)
    return parser


if __name__ == "__main__":
    sys.exit(main())
