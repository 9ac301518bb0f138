"""What an earlier translation wrote into a folder, so that nothing else there is replaced."""

from pathlib import Path

from ui2i.datasets.manifest import REJECTS_NAME
from ui2i.errors import DataError
from ui2i.tables import read_parquet
from ui2i.translation_files import LATENTS_NAME, LEFT_OUT_NAME, MANIFEST_NAME, SHEET_NAME


def written_names(folder: Path) -> set[str]:
    """Return what the files of a translation in a folder are called; of a damaged manifest, without the images."""
    names = {MANIFEST_NAME, LATENTS_NAME, REJECTS_NAME, LEFT_OUT_NAME, SHEET_NAME}
    try:
        return names | set(read_parquet(folder / MANIFEST_NAME)["output_file"].to_pylist())
    except (DataError, KeyError, TypeError):
        return names
