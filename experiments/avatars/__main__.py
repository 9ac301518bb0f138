r"""Which attributes do translations of avatars keep?

    node data/avatars/make.mjs --out renders --seed 7           # to train what reads the attributes
    node data/avatars/make.mjs --out people --seed 3 --num 200  # the people who were translated, in every style
    python -m experiments.avatars --style lorelei --renders renders --people people \
        --translations search=data/translations/lorelei --out kept-lorelei.parquet

The reader of attributes is kept beside the table and used again for the same renders and settings.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.avatars.kept import INPUT, SOMEBODY_ELSE, as_row, compare, read_translations, train_reader
from experiments.avatars.people import ATTRIBUTES_FILE, read_people, read_renders
from experiments.paper.settings import RegressorConfig
from experiments.paper.truth import AttributeRegressor, load_regressor, save_regressor
from tasks.running.command_line import exit_status
from tasks.running.progress import report_progress
from ui2i.errors import ConfigError
from ui2i.files import sha256_bytes, sha256_file
from ui2i.provenance import code_commit
from ui2i.settings import to_mapping
from ui2i.tables import KEPT_SCHEMA, write_table

NUM_HELD_OUT = 500
NUM_EPOCHS = 8


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table and return the exit status."""
    options = _parser().parse_args(arguments)
    return exit_status(lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    folders = [_labelled(named) for named in options.translations]
    path, reader = _reader(options)
    everybody = read_people(options.people)
    rows = []
    for label, folder in folders:
        found = read_translations(folder, reader.resolution)
        inputs, counterparts = (
            read_renders(options.people / style, found.places, reader.resolution)
            for style in (options.source, options.style)
        )
        people = [everybody[place] for place in found.places]
        for variant, kept in compare(reader, found.outputs, inputs=inputs, counterparts=counterparts, people=people):
            is_end = variant in (INPUT, SOMEBODY_ELSE)
            shared = {
                "domain": options.style,
                "style": options.style,
                "checkpoint_hash": "" if is_end else found.checkpoint_hashes[variant],
                "regressor": sha256_file(path),
                "commit": code_commit(),
            }
            rows.append(as_row(f"{label}: {variant}", kept, shared))
    write_table(options.out, rows, KEPT_SCHEMA)


def _labelled(named: str) -> tuple[str, Path]:
    """Return the label and the folder of LABEL=DIR."""
    label, _, folder = named.partition("=")
    if not (label and folder):
        raise ConfigError(f"--translations is {named}, expected LABEL=DIR such as search=translations; correct it")
    return label, Path(folder)


def _reader(options: argparse.Namespace) -> tuple[Path, AttributeRegressor]:
    """Return what reads attributes, and its file: the one of these renders and settings, trained if there is none."""
    num_people = len(read_people(options.renders))
    config = RegressorConfig(
        num_drawings=num_people - options.held_out, num_held_out=options.held_out, num_epochs=options.epochs
    )
    made_of = f"{sha256_file(options.renders / ATTRIBUTES_FILE)} {json.dumps(to_mapping(config), sort_keys=True)}"
    path = options.out.with_name(f"reader-{options.style}-{sha256_bytes(made_of.encode())[:16]}.safetensors")
    if path.exists():
        return path, load_regressor(path)
    with report_progress(f"reader of {options.style}") as progress:
        reader = train_reader(options.renders, options.style, config, progress=progress)
    save_regressor(path, reader)
    return path, reader


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m experiments.avatars", description="What translations keep.")
    parser.add_argument("--style", required=True, help="the target's")
    parser.add_argument("--source", default="micah", help="style of the inputs")
    parser.add_argument("--renders", type=Path, required=True, help="folder of the recipe to learn attributes from")
    parser.add_argument("--people", type=Path, required=True, help="folder of the recipe with those translated")
    parser.add_argument("--translations", action="append", required=True, metavar="LABEL=DIR", help="repeatable")
    parser.add_argument("--held-out", type=int, default=NUM_HELD_OUT, help="people to measure the reader on")
    parser.add_argument("--epochs", type=int, default=NUM_EPOCHS)
    parser.add_argument("--out", type=Path, required=True, help="the table")
    return parser


if __name__ == "__main__":
    sys.exit(main())
