"""Where the paper's tables and figures are in a project; the rest is in `tasks.project.paths`.

Names with a dot in them belong to no dataset, base or domain.
"""

from pathlib import Path

from tasks.project.paths import Project


def pair_table(project: Project, pair: str) -> Path:
    """Table of distances between the models of two domains, in equal modes."""
    return project.data_dir / "tables" / "distance" / f"pair.{pair}.parquet"


def image_evaluation(project: Project, domain: str) -> Path:
    """Table of how a domain's models translate images of the base's test split."""
    return project.data_dir / "tables" / "evaluation" / f"images.{domain}.parquet"


def baseline_evaluation(project: Project, domain: str) -> Path:
    """The same of the domain's baseline."""
    return project.data_dir / "tables" / "evaluation" / f"baseline.{domain}.parquet"


def paper_table(project: Project, number: str) -> Path:
    """Table I, II or III of the paper, with .csv and .md beside it."""
    return project.data_dir / "tables" / "paper" / f"table{number}.parquet"


def inversion_table(project: Project, base: str) -> Path:
    """Table of inversion methods compared on a base's images."""
    return project.data_dir / "tables" / "inversion" / f"{base}.parquet"


def inverted_table(project: Project, base: str) -> Path:
    """The same, image by image."""
    return inversion_table(project, base).with_suffix(".images.parquet")


def unfinished_inversions(project: Project, base: str) -> Path:
    """Folder of an interrupted comparison's rows, method by method; not tracked."""
    return project.data_dir / "runs" / "inversions" / base


def style_layers_table(project: Project, domain: str) -> Path:
    """Table of diversity and similarity over the number of style layers, with .png beside it."""
    return project.data_dir / "tables" / "styles" / f"{domain}.parquet"


def baseline(project: Project, domain: str) -> Path:
    """Folder of what a domain's baseline makes of the images that are translated, under their names."""
    return project.data_dir / "baselines" / domain


def baseline_truth(project: Project, domain: str) -> Path:
    """Table of a baseline's outputs against their true counterparts."""
    return project.data_dir / "tables" / "truth" / f"baseline.{domain}.parquet"


def figures(project: Project) -> Path:
    """Folder of the paper's Figures 4 to 8."""
    return project.data_dir / "figures"


def figure(project: Project, number: str) -> Path:
    """Image of a figure; tables of the same name lie beside it."""
    return figures(project) / f"figure{number}.webp"


def figure_numbers(project: Project) -> Path:
    """What was measured for the figures as JSON, for `dvc metrics`."""
    return figures(project) / "figures.json"
