"""The differences between the models of pairs of trainings: after equal images, and at equal Frechet distance.

A pair shares its seed, so the order of images and the latents of each step, and its distances are taken at the same
latents. Differences therefore vary much less than distances do.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from experiments.paper.seeds.measuring import BASE_MAPPING
from experiments.paper.tables.claims import Case, Finding
from experiments.paper.tables.equal_fidelity import ASPECT, distance_at, distances_around
from ui2i.metrics.moments import estimate

if TYPE_CHECKING:
    import pandas as pd

COMPARED = {
    "FT - FC-FT, after equal images": ("FT", "FC-FT"),
    "FT with its own mapping - with the base's": ("FT", BASE_MAPPING),
}
AT_EQUAL_FIDELITY = f"FT - FC-FT, {ASPECT}"
SWAPPED = "FC-FT-LS"
"""How names of models with swapped layers begin."""


def find_differences(latents: "pd.DataFrame", curves: "pd.DataFrame") -> list[Finding]:
    """Return the differences in all columns, one a pair of trainings.

    Args:
        latents: columns `domain`, `seed`, `variant`, `latent`, `d`.
        curves: columns `domain`, `seed`, `mode`, `kimg`, `fd`, `d`.
    """
    findings = [Finding(aspect=aspect, cases=tuple(_of_latents(latents, *modes))) for aspect, modes in COMPARED.items()]
    findings.append(Finding(aspect=AT_EQUAL_FIDELITY, cases=tuple(_at_equal_fidelity(curves))))
    return [finding for finding in findings if finding.cases]


def swap_bounds(curves: "pd.DataFrame") -> list[str]:
    """Return for each mode with swapped layers how much farther FC-FT is at its Frechet distance, as bounds.

    A training is measured at intervals, so that nothing but a bound is known. Bounds have no mean.

    Args:
        curves: as `find_differences` takes them.
    """
    lines = []
    for mode in (name for name in curves["mode"].unique() if name.startswith(SWAPPED)):
        found = [f"{domain} {', '.join(bounds)}" for domain, bounds in _of_swap(curves, mode)]
        lines += [f"FC-FT - {mode}, {ASPECT}: {'; '.join(found)}"] if found else []
    return lines


def _of_latents(latents: "pd.DataFrame", far: str, near: str) -> Iterator[Case]:
    for domain, rows in latents.groupby("domain", sort=False):
        found = []
        for _, own in rows.groupby("seed", sort=True):
            by_variant = {name: each.set_index("latent")["d"] for name, each in own.groupby("variant", sort=False)}
            if {far, near} <= set(by_variant):
                found.append(estimate((by_variant[far] - by_variant[near]).to_numpy(float)))
        if found:
            yield Case(
                column=str(domain),
                differences=tuple(each.mean for each in found),
                errors=tuple(each.sem for each in found),
            )


def _at_equal_fidelity(curves: "pd.DataFrame") -> Iterator[Case]:
    """Yield the differences where both trainings of a pair have the higher of their two lowest Frechet distances."""
    for domain, rows in curves.groupby("domain", sort=False):
        differences = []
        for _, own in rows.groupby("seed", sort=True):
            by_mode = dict(list(own.groupby("mode", sort=False)))
            if {"FT", "FC-FT"} <= set(by_mode):
                fd = max(float(by_mode[mode]["fd"].min()) for mode in ("FT", "FC-FT"))
                difference = distance_at(by_mode["FT"], fd) - distance_at(by_mode["FC-FT"], fd)
                differences += [difference] if difference == difference else []  # NaN: never as good
        if differences:
            yield Case(column=str(domain), differences=tuple(differences))


def _of_swap(curves: "pd.DataFrame", mode: str) -> Iterator[tuple[str, list[str]]]:
    """Yield by domain bounds of how much farther FC-FT is where it passes its swapped model's Frechet distance.

    A training moves away from the base, so that it is between the measurements around that point. Above zero, swapping
    layers is better than to have trained for less long; below, FC-FT had been nearer to both, base and domain. What
    lies between the two is not known, and left out.
    """
    for domain, rows in curves.groupby("domain", sort=False):
        bounds = []
        for _, own in rows.groupby("seed", sort=True):
            trained, swapped = own[own["mode"] == "FC-FT"], own[own["mode"] == mode]
            if len(trained) and len(swapped):
                before, after = distances_around(trained, float(swapped["fd"].iloc[0]))
                distance = float(swapped["d"].iloc[0])
                is_nearer, is_farther = before > distance, after < distance
                if is_nearer != is_farther:  # both: FC-FT moved back towards the base between them
                    bounds.append(
                        f"at least {before - distance:+.4f}" if is_nearer else f"at most {after - distance:+.4f}"
                    )
        if bounds:
            yield str(domain), bounds
