"""What a run of `translate` did, read from the folder that it wrote: in lines for people, and as Markdown."""

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ui2i.datasets.manifest import REJECTS_NAME
from ui2i.images.left_out import REASONS, LeftOut, read_left_out
from ui2i.markdown import markdown_table
from ui2i.names import printable
from ui2i.tables import TRANSLATION_SCHEMA, read_parquet, read_rows
from ui2i.translation_files import LEFT_OUT_NAME, MANIFEST_NAME, RECONSTRUCTION, SHEET_NAME

DOCS = "docs/domain_check.md"
NUM_WORST = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class TranslationSummary:
    """What came of each image."""

    folder: Path
    domain: str
    source: str  # whose model inverted the images
    variants: Sequence[str]
    num_translated: int
    rejects: Mapping[str, int]  # reason -> images
    left_out: LeftOut
    ssim: float  # of reconstructions, their mean
    worst: Sequence[tuple[str, float]]  # path and SSIM of the images that were reconstructed worst
    num_checked: int  # images that were compared with the source's training images
    is_by_samples: bool  # because none of these were at hand, only samples of the source
    num_unlike: int  # of these, those that do not look like them
    num_compared: int  # images whose reconstruction was compared with those of the source's own images
    num_lossy: int  # of these, those that are reconstructed worse

    def lines(self) -> list[str]:
        """Return it as sentences, what to do next last."""
        num_images = self.num_translated + sum(self.rejects.values())
        said = [f"{self.num_translated} of {num_images} images translated to {self.domain}: {', '.join(self.variants)}"]
        if self.rejects:
            reasons = ", ".join(f"{count} {REASONS.get(reason, reason)}" for reason, count in self.rejects.items())
            said.append(f"{sum(self.rejects.values())} could not be used: {reasons}; see {REJECTS_NAME}")
        if self.left_out:
            said.append(f"of the source, {self.left_out}")
        worst = ", ".join(f"{path} {ssim:.2f}" for path, ssim in self.worst)
        said.append(f"reconstruction: SSIM {self.ssim:.2f} on average; worst: {worst}")
        return [*said, *self.warnings(), f"next: {self._next()}"]

    def warnings(self) -> list[str]:
        """Return what ought to be known before the translations are used."""
        said = []
        by_samples = f" (told from samples: images of {self.source} are not here)" if self.is_by_samples else ""
        if self.num_unlike:
            said.append(
                f"{self.num_unlike} of {self.num_checked} images do not look like what {self.source} was trained on"
                f"{by_samples}; expect poor results; see {DOCS}"
            )
        if self.num_lossy:
            said.append(
                f"{self.num_lossy} of {self.num_compared} images are reconstructed worse than {self.source}'s own; "
                f"their translations show something else; see {DOCS}"
            )
        return said

    def _next(self) -> str:
        if self.num_unlike > self.num_checked / 2:
            return (
                f"translate images like {self.source}'s (ui2i generate {self.source} --seeds 0-15 --out DIR shows "
                "some), or train a base on yours with ui2i pretrain"
            )
        if len(self.variants) > 1:
            return f"open {SHEET_NAME}, choose a variant, and add --only VARIANT for one image per input"
        return f"open {SHEET_NAME}; add --styles 4 or --psi 0.7 for other versions of the same images"

    def markdown(self) -> str:
        """Return it as Markdown: the sentences, and the images that were reconstructed worst."""
        rows = [[f"`{path}`", f"{ssim:.3f}"] for path, ssim in self.worst]
        listed = "\n".join(f"- {line}" for line in self.lines())
        return f"{listed}\n- in `{self.folder}`\n\n{markdown_table(['reconstructed worst', 'SSIM'], rows)}"


def read_summary(folder: Path) -> TranslationSummary:
    """Return the summary of a folder that `translate_folder` wrote.

    Raises:
        DataError: it holds no translation, or a table is damaged.
    """
    rows = read_rows(folder / MANIFEST_NAME, TRANSLATION_SCHEMA)
    rejects = collections.Counter(read_parquet(folder / REJECTS_NAME)["reason"].to_pylist())
    images: dict[int, Mapping[str, Any]] = {row["index"]: row for row in rows}  # one row each: they agree on these
    by_ssim = sorted(images.values(), key=lambda row: (row["ssim"], row["index"]))
    checked = [row["looks_like_source"] for row in by_ssim if row["looks_like_source"] is not None]
    compared = [row["reconstructs_as_source"] for row in by_ssim if row["reconstructs_as_source"] is not None]
    return TranslationSummary(
        folder=folder,
        domain=rows[0]["domain"],
        source=rows[0]["source_domain"] or "the source",
        variants=[name for name in dict.fromkeys(row["variant"] for row in rows) if name != RECONSTRUCTION],
        num_translated=len(images),
        rejects=dict(sorted(rejects.items())),
        left_out=read_left_out(folder / LEFT_OUT_NAME),
        ssim=sum(row["ssim"] for row in by_ssim) / len(by_ssim),
        worst=[(printable(row["input_path"]), row["ssim"]) for row in by_ssim[:NUM_WORST]],
        num_checked=len(checked),
        is_by_samples=any(row["domain_reference"] == "samples" for row in by_ssim),
        num_unlike=checked.count(False),
        num_compared=len(compared),
        num_lossy=compared.count(False),
    )
