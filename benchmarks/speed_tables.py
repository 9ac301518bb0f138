"""Markdown tables of the speed pages, from what bench_peers, bench_training, bench_generator and bench_inversion wrote.

Several files of one benchmark, each with the title of its processor, stand side by side; the ratios are those of the
first form of each file.

    python benchmarks/speed_tables.py "AVX2=docs/results/bench_peers.json"
    python benchmarks/speed_tables.py "AVX2=docs/results/bench_training-avx2.json" \
        "AVX-512=docs/results/bench_training.json"
"""

import argparse
import json
from pathlib import Path
from typing import Any

Document = dict[str, Any]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="TITLE=FILE")
    titled = [argument.partition("=") for argument in parser.parse_args(arguments).files]
    wrong = [title for title, equals, file in titled if not (equals and Path(file).is_file())]
    if wrong:
        parser.error(f"{wrong[0]} names no file, expected TITLE=FILE of a benchmark; name one that --json wrote")
    documents = {title: json.loads(Path(file).read_text()) for title, _, file in titled}
    print(speed_table(documents))
    errors = error_table(documents)
    if errors:
        print(f"\n{errors}")


def speed_table(documents: dict[str, Document]) -> str:
    """One row a form: rate by the clock, rate a processor second and how much faster the first form is, a processor."""
    columns = ("images/s", "a processor second", "ours is faster", "in processor time")
    header = ["", ""] + [f"{column}, {title}" for title in documents for column in columns]
    lines = [header, ["---"] * len(header)]
    found = {title: {_name(result): result for result in _timed(document)} for title, document in documents.items()}
    for name in dict.fromkeys(name for results in found.values() for name in results):
        forms = dict.fromkeys(form for results in found.values() if name in results for form in _rates(results[name]))
        for index, form in enumerate(forms):
            cells = [cell for results in found.values() for cell in _cells(results.get(name), form)]
            lines.append(["" if index else name, form, *cells])
    return _markdown(lines)


def error_table(documents: dict[str, Document]) -> str:
    """One row a task: the largest relative error of each peer, and of what; empty if no file has any."""
    rows = [
        [title, result["task"], peer, f"{max(errors.values()):.1e}", max(errors, key=lambda name: errors[name])]
        for title, document in documents.items()
        for result in document.get("results", [])
        for peer, errors in result.get("relative_errors", {}).items()
    ]
    header = ["processor", "task", "peer", "largest relative error", "of"]
    return _markdown([header, ["---"] * len(header), *rows]) if rows else ""


def _timed(document: Document) -> list[dict[str, Any]]:
    results = document["results"] if "results" in document else [document["result"]]
    return [result for result in results if "images_per_second" in result]


def _name(result: dict[str, Any]) -> str:
    return str(result.get("task") or result.get("precision") or "")


def _rates(result: dict[str, Any]) -> dict[str, float]:
    return result["images_per_second"]


def _cells(result: dict[str, Any] | None, form: str) -> list[str]:
    if result is None or form not in _rates(result):
        return [""] * 4
    wall, cpu = result["ratio"].get(form), result["cpu_ratio"].get(form)
    rates = (_rates(result)[form], result["images_per_cpu_second"][form])
    return [f"{rate:.3g}" for rate in rates] + ["" if ratio is None else f"{ratio:.1f}x" for ratio in (wall, cpu)]


def _markdown(lines: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
