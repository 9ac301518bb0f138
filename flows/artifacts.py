"""The artifacts of a run in Prefect's UI: progress, distances, contact sheet, and the revision in DVC.

Artifacts are for looking at. The files that they show are DVC's.
"""

import re
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from flows.distances import COLUMNS, read_distances
from tasks.project.paths import Project
from tasks.requests.shown_pages import shown_at, translations_link
from tasks.running.lock_file import LOCK_FILE, read_outputs
from ui2i.data_uris import image_uri
from ui2i.files import sha256_file
from ui2i.provenance import git_commit
from ui2i.translation_files import SHEET_NAME

SHEET_WIDTH, SHEET_BYTES = 1200, 300_000  # pixels and bytes of a sheet on a page; the server's database holds each
UPDATE_INTERVAL_SECONDS = 5.0  # each update is a request


class StageProgress:
    """A progress artifact of one stage, made with the first report: a stage that is up to date has none."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.artifact_id: uuid.UUID | None = None
        self.updated_at = 0.0

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Show `done` of `total`, at most every few seconds."""
        percent = min(100.0, 100.0 * done / total) if total else 0.0
        if self.artifact_id is None:
            description = f"{self.stage} {note}".strip()
            created = create_progress_artifact(
                percent, key=artifact_key("progress", self.stage), description=description
            )
            assert isinstance(created, uuid.UUID)  # there is no event loop to hand a coroutine to
            self.artifact_id = created
        elif percent < 100 and time.monotonic() - self.updated_at < UPDATE_INTERVAL_SECONDS:
            return
        else:
            update_progress_artifact(self.artifact_id, progress=percent, description=f"{self.stage} {note}".strip())
        self.updated_at = time.monotonic()


def show_distances(project: Project, domain: str) -> None:
    """Leave the domain's latest distances as a table.

    Raises:
        DataError: the domain was not measured yet.
    """
    table = read_distances(project, domain)
    create_table_artifact(
        [dict(zip(COLUMNS, row, strict=True)) for row in table.rows],
        key=artifact_key("distance", domain),
        description=f"{table.title}. The file: {project.distance_table(domain)}{_page(project, domain)}",
    )


def show_contact_sheet(folder: Path, domain: str, *, project: Project | None = None) -> None:
    """Leave the sheet of translations in a folder, made smaller where it is large.

    In Markdown: below an image artifact the page would print the image's address, which is the image itself.

    Args:
        project: whose own translations these are, so that its pages show them; None: none's.
    """
    sheet = folder / SHEET_NAME
    create_markdown_artifact(
        f"![contact sheet of {domain}]({image_uri(sheet, max_width=SHEET_WIDTH, max_bytes=SHEET_BYTES)})\n\n"
        f"In full size: `{sheet}`{'' if project is None else _page(project, domain)}\n",
        key=artifact_key("contact-sheet", domain),
        description=f"{domain}: images and their translations by every model",
    )


def _page(project: Project, domain: str) -> str:
    """Return a link to the domain's translations on the pages of `ui2i serve`, if these are shown now."""
    address = shown_at(project)
    return "" if address is None else f"\n\n[Browse the images of {domain}]({translations_link(address, domain)})"


def show_revision(project: Project, name: str, stages: Sequence[str]) -> None:
    """Record how to find this run's files later: the commit, and the hash by which DVC knows each output."""
    outputs = [output for output in read_outputs(project) if output.stage in stages]
    lines = [f"**{name}** at commit `{git_commit(project.root)}`, `{LOCK_FILE}` `{_lock_hash(project)}`", ""]
    lines += ["| stage | output | md5 | MB |", "| --- | --- | --- | --- |"]
    lines += [f"| {it.stage} | {it.path} | `{it.md5}` | {it.num_bytes / 1e6:.1f} |" for it in outputs]
    lines += [
        "",
        f"Commit `{LOCK_FILE}` and `dvc push` keep them; `git checkout` of that and `dvc pull` bring them back.",
    ]
    create_markdown_artifact(
        "\n".join(lines) + "\n",
        key=artifact_key("revision", name),
        description=f"what made the outputs of {name}, as DVC records it",
    )


def _lock_hash(project: Project) -> str:
    path = project.root / LOCK_FILE
    return sha256_file(path)[:12] if path.exists() else "none"


def artifact_key(kind: str, name: str) -> str:
    """Return a key as Prefect wants it: lower-case letters, digits and dashes.

    Examples:
        >>> artifact_key("progress", "finetune@cartoon")
        'progress-finetune-cartoon'
    """
    return re.sub("[^a-z0-9]+", "-", f"{kind}-{name}".lower()).strip("-")
