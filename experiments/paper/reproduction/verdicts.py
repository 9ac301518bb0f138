"""The sections of a page that say what holds, and what a sceptic would still ask; made from the tables beside it.

    python -m experiments.paper.reproduction.verdicts docs/results/reproduction.md --run docs/results/family

rewrites both sections of a page that was kept, its Table III, and `claims.json` and `inversion.parquet` beside it:
after a rule has changed, with the distances of other trainings, or with rows of other inversions.
"""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.paper.tables.claims import Claim, Verdict
from experiments.paper.tables.pooling import CONFIDENCE
from experiments.paper.tables.published import INVERTED, read_published
from tasks.running.command_line import exit_status
from ui2i.errors import DataError
from ui2i.files import write_text
from ui2i.markdown import markdown_table, wrap_markdown

CLAIMS_FILE, INVERSION_MEANS = "claims.json", "inversion.parquet"
HOLDS, SCEPTIC, TABLE_3 = "## What holds", "## What a sceptic would still ask", "## Table III: inversion"

_MEANINGS: dict[Verdict, str] = {
    "holds": "the 95 % interval of the mean over columns is above zero, and so is every training",
    "holds on average": "the interval is above zero, but not every training",
    "holds in part": "some of the aspects hold",
    "direction only": "every training has the claimed sign, beyond its own interval where that is known, but there are "
    "too few for an interval above zero",
    "cannot be told": "signs differ, or a training's own interval contains zero",
    "direction only, against": "every training has the other sign, beyond its own interval where that is known, but "
    "there are too few",
    "fails in part": "the interval of one aspect is below zero, and none is above",
    "does not hold": "the interval is below zero, of every aspect",
    "control missing": "what it is compared with is not finished, so that anything would look good",
    "not measured": "there are no values",
}

_CONTROL = (
    "**Against which finished control?** Models trained apart have to be as good as ours, from another base or to the "
    "same Frechet distance, and baselines have to be given our compute, the base's and the encoder's counted; which "
    "compute each has had stands in `docs/baseline.md`."
)
_QUESTIONS = (
    (
        "**Are columns independent?** All come from two bases and their encoders, each trained once; intervals over "
        "columns or images do not cover others. In Direct-LS the two are swapped with each other, which is one case. "
        "cartoon2portrait has the models of two other columns, and portrait2cartoon those of cartoon2portrait: no "
        "verdict rests on counting them, too."
    ),
    (
        "**At equal quality?** Values are compared after equal numbers of images, not at equal Frechet distances; a "
        "model that has moved less is nearer to its source. In Table I models of another base are compared at equal "
        "distances. In Section IV-E and Figure 6 they may be nearer to the domain than FT, which favours FT. "
        "`docs/reproduction.md` says what that changes, from pairs of trainings."
    ),
    (
        "**Are a column's trainings alike?** They may differ in drawings, seed, precision and processor; "
        "`docs/reproduction.md` says how those of the published page do, and what is left without the odd ones."
    ),
    "**With which LPIPS?** Sizes compare only with values of the same backbone, which is named with each.",
    (
        "**How sure is a Frechet distance?** Verdicts take the bootstrap errors of the tables that have them; without "
        "one any difference counts as a direction. Few images bias it upwards, and another network's features may "
        "disagree (`docs/baseline.md`)."
    ),
    (
        "**Is it the paper's setting?** 64 px instead of 256 and more, smaller networks and shorter trainings: "
        "`docs/paper_map.md` lists all differences."
    ),
    (
        "**Are these all of its claims?** Not judged: what people see, that training takes less time and memory than "
        "the baselines', that few or unbalanced images suffice, that swapping is more flexible than freezing the "
        "generator, and its seconds per image."
    ),
    "**On photographs?** These domains are drawn by a program; `docs/results/real.md` has the few photographs.",
)


def headline(claims: Sequence[Claim]) -> str:
    """Return in one sentence how many of the paper's claims have which verdict."""
    own = [claim for claim in claims if claim.is_of_the_paper]
    counts = {verdict: sum(claim.verdict == verdict for claim in own) for verdict in _MEANINGS}
    said = ", ".join(f"{verdict} {count}" for verdict, count in counts.items() if count)
    return f"Of the paper's {len(own)} claims: {said}."


def verdicts(claims: Sequence[Claim]) -> str:
    """Return the section about the claims, one a row, with what was found."""
    evidence = "evidence: mean difference (± half of a 95 % interval)"
    header = ("", "where", "the paper says", "its numbers", "here", evidence)
    parts = [f"{HOLDS}\n", f"{headline(claims)}\n", markdown_table(header, _rows(claims, of_the_paper=True))]
    others = _rows(claims, of_the_paper=False)
    if others:
        parts += ["What only the ground truth can say, and the paper does not:\n"]
        parts += [markdown_table(("", "where", "our claim", "", "here", "evidence"), others)]
    used = {claim.verdict for claim in claims}
    missing = dict.fromkeys(claim.missing_control for claim in claims if claim.verdict == "control missing")
    parts += [f"- **{verdict}**: {meaning}." for verdict, meaning in _MEANINGS.items() if verdict in used]
    parts += [f"- {reason}." for reason in missing]
    parts.append(
        "\nA column with several trainings lists the difference of each, with slashes between them. Means and "
        "intervals are those of the mixed model `difference ~ 1 + (1 | column) + (1 | column:training)`, with "
        "Student's t for the number of columns, of a single column for that of its trainings; those of Table III's "
        "searches without an encoder are over images of one base. Where trainings were measured on the same images or "
        "directions, the error of these is clustered by image and added. An interval that is beyond zero only with "
        "columns whose fine-tuned models others have, too, decides nothing. All of it follows from the tables beside "
        "this page (`experiments/paper/reproduction/verdicts.py`).\n"
    )
    return "\n".join(parts)


def sceptic(claims: Sequence[Claim]) -> str:
    """Return the section about what is left to ask."""
    missing = [claim for claim in claims if claim.verdict == "control missing"]
    in_part = [claim for claim in claims if claim.left_out and claim not in missing]
    few = [
        claim
        for claim in claims
        if claim not in missing and (claim.verdict.startswith("direction only") or claim.is_of_one_training)
    ]
    questions = list(_QUESTIONS)
    if few:
        rest = f"{_counted(few, 'rest')} on too few trainings ({_places(few, claims)})."
        questions.insert(0, f"**With other seeds?** {rest}")
    if many := _at_once(claims):
        questions.insert(-1, many)
    without = f" {_counted(missing, 'lack')} one ({_places(missing, claims)})." if missing else ""
    if in_part:
        without += f" {_counted(in_part, 'leave')} out domains that lack one ({_places(in_part, claims)})."
    if without:
        questions.insert(0, f"{_CONTROL}{without}")
    return f"{SCEPTIC}\n\n" + "\n".join(f"- {question}" for question in questions) + "\n"


def to_json(claims: Sequence[Claim]) -> str:
    """Return the text of the file of claims."""
    return json.dumps([claim.to_row() for claim in claims], indent=1, ensure_ascii=False) + "\n"


def rewritten(page: str, claims: Sequence[Claim], table_3: str = "") -> str:
    """Return a page with both sections replaced; the second comes last.

    Args:
        table_3: the text below the title of Table III, if the page has one; empty: as it is.

    Raises:
        DataError: the page has no section about what holds.
    """
    if f"\n{HOLDS}\n" not in page:
        raise DataError(f"the page has no section {HOLDS!r}, expected one of `ui2i reproduce`; name another file")
    page = _section(SCEPTIC).sub("", page)
    page = _section(HOLDS).sub(lambda _: wrap_markdown(verdicts(claims)).rstrip() + "\n\n", page)
    if table_3:
        page = _section(TABLE_3).sub(lambda _: wrap_markdown(f"{TABLE_3}\n\n{table_3}").rstrip() + "\n\n", page)
    return page.rstrip() + "\n\n" + wrap_markdown(sceptic(claims))


def _section(title: str) -> re.Pattern[str]:
    return re.compile(rf"^{re.escape(title)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def _rows(claims: Sequence[Claim], *, of_the_paper: bool) -> list[tuple[str, ...]]:
    return [
        (str(number), it.source, it.text, it.paper, f"**{it.verdict}**", it.evidence)
        for number, it in enumerate(_in_order(claims), 1)
        if it.is_of_the_paper == of_the_paper
    ]


def _at_once(claims: Sequence[Claim]) -> str:
    """Return how many of the paper's claims keep their verdict if all intervals are to be right together."""
    own = [claim for claim in claims if claim.is_of_the_paper]
    told = [claim for claim in own if claim.verdict in ("holds", "holds on average", "does not hold")]
    kept = [claim for claim in told if claim.p_value < (1 - CONFIDENCE) / len(own)]
    if not told:
        return ""
    listed = f": {_places(kept, claims)}" if kept else ""
    return (
        f"**How many by chance?** Each interval is at {CONFIDENCE * 100:.0f} % for one claim. At that for {len(own)} "
        f"claims at once (Bonferroni) {len(kept)} of the {len(told)} that hold or do not would keep their "
        f"verdict{listed}."
    )


def _counted(claims: Sequence[Claim], verb: str) -> str:
    return f"1 claim {verb}s" if len(claims) == 1 else f"{len(claims)} claims {verb}"


def _in_order(claims: Sequence[Claim]) -> list[Claim]:
    """Return the claims as the page numbers them, from 1: the paper's first."""
    return sorted(claims, key=lambda claim: not claim.is_of_the_paper)


def _places(some: Sequence[Claim], claims: Sequence[Claim]) -> str:
    """Return the numbers that some of the claims have on the page: `3, 6 to 8, 12`."""
    numbers = [number for number, claim in enumerate(_in_order(claims), 1) if claim in some]
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 2 after printing one line `error: ...`."""
    parser = argparse.ArgumentParser(description="Derive the verdicts of a page again from the tables beside it.")
    parser.add_argument("page", type=Path, help="the page; its tables are in a folder of its name")
    parser.add_argument(
        "--run", metavar="DIR", type=Path, action="append", default=[], help="distances of other trainings; repeatable"
    )
    options = parser.parse_args(arguments)
    return exit_status(lambda: rewrite(options.page, options.run))


def rewrite(page: Path, more_runs: Sequence[Path]) -> None:
    """Rewrite both sections of a page, its Table III, and beside it the files of claims and of Table III's means.

    Raises:
        DataError: a table is damaged, or the page has no section about what holds.
    """
    from experiments.paper.inversion_comparison import summarize_inversions
    from experiments.paper.reproduction import sections
    from ui2i.tables import INVERSION_SCHEMA, INVERTED_SCHEMA, read_rows, write_table

    folder = page.with_suffix("")
    published = read_published(folder, more_runs)
    claims, inversions = published.claims, published.inversions
    table_3 = sections.table_3(inversions) if inversions else ""
    text = rewritten(page.read_text(encoding="utf-8"), claims, table_3)
    if inversions:
        means = summarize_inversions(read_rows(folder / INVERTED, INVERTED_SCHEMA))
        write_table(folder / INVERSION_MEANS, means, INVERSION_SCHEMA)
    write_text(folder / CLAIMS_FILE, to_json(claims))
    write_text(page, text)
    print(headline(claims))


if __name__ == "__main__":
    sys.exit(main())
