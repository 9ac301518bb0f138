"""Claims of plain differences, for tests of what is said of them."""

from typing import Any

from experiments.paper.tables.claims import Case, Claim


def claim(*differences: float | tuple[float, ...], aspects: tuple[str, ...] = (), **columns: Any) -> Claim:
    cases = tuple(
        Case(
            column=f"c{place}",
            differences=value if isinstance(value, tuple) else (value,),
            aspect=aspects[place] if aspects else "",
        )
        for place, value in enumerate(differences)
    )
    return Claim(source="Table I", text="it is so", paper="0.3", cases=cases, **columns)
