"""What a run of `translate` did, in its log and as an artifact."""

from pathlib import Path

from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from flows.artifacts import artifact_key
from tasks.requests.translation_summary import read_summary


def tell_translation(folder: Path, domain: str) -> None:
    """Log what became of the images, and leave it as Markdown beside the contact sheet.

    Raises:
        DataError: the folder holds no translation.
    """
    summary, logger = read_summary(folder), get_run_logger()
    warnings = summary.warnings()
    for line in summary.lines():
        (logger.warning if line in warnings else logger.info)(line)
    create_markdown_artifact(
        summary.markdown(),
        key=artifact_key("translation", domain),
        description=f"{domain}: {summary.lines()[0]}",
    )
