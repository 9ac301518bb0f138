"""Sheets of figures 4 to 8: the right image in the right place."""

import numpy as np
import pytest
from figure_family import family as family
from figure_family import model
from PIL import Image

from experiments.paper.figures.ablation import ablation_models, ablation_sheet, swap_models, swap_sheet
from experiments.paper.figures.direction_sheet import direction_sheet
from experiments.paper.figures.guided import guided_sheet
from experiments.paper.figures.models import Family, direct_swaps
from experiments.paper.figures.multi_modal import multi_modal_sheet
from experiments.paper.figures.sheets import QUALITIES, below, beside, save_webp

pytestmark = pytest.mark.filterwarnings("ignore:The parameter 'pretrained'", "ignore:Arguments other than a weight")
COLOURS = iter([(r, g, b) for r in range(5, 250, 40) for g in range(5, 250, 40) for b in range(5, 250, 40)])


def plain(*shape):
    """Images of one colour each, of 16 px."""
    images = np.empty((*shape, 16, 16, 3), np.uint8)
    for place in np.ndindex(*shape):
        images[place] = next(COLOURS)
    return images


def layout(sheet, *pictures):
    """Where images stand on a sheet as (row, column), counted from 0 among those given; None: nowhere, or cut."""
    corners = []
    for picture in pictures:
        found = np.argwhere((sheet == picture[0, 0]).all(axis=2))
        corners.append(tuple(found.min(axis=0)) if len(found) == 256 else None)
    rows, columns = ([sorted({corner[side] for corner in corners if corner})] for side in (0, 1))
    return [corner and (rows[0].index(corner[0]), columns[0].index(corner[1])) for corner in corners]


def test_sheets_are_put_together():
    a, b = plain(2)
    assert layout(below([a, b[:, :8].repeat(2, axis=1)]), a, b) == [(0, 0), (1, 0)]
    assert layout(beside([a, b]), a, b) == [(0, 0), (0, 1)]
    assert below([a, a[:, :4]]).shape == (32, 16, 3)
    assert (below([a, a[:, :4]])[16:, 4:] == 255).all()
    assert (beside([a, a[:4]])[4:, 16:] == 255).all()


def test_webp_takes_the_best_quality_that_fits(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = tmp_path / "a" / "a.webp"
    sizes = {}
    for max_bytes in (100_000, 3000, 1):
        quality = save_webp(path, noise, max_bytes=max_bytes)
        sizes[quality] = path.stat().st_size
        assert path.stat().st_size <= max_bytes or quality == min(QUALITIES)
    assert max(sizes) == 80 and min(sizes) == 30 and len(sizes) == 3
    assert Image.open(path).format == "WEBP"


def test_figure_4_has_a_row_for_each_input_and_domain(family):
    inputs, code = plain(2), plain(2)
    pictures = {"reconstruction": code}
    for domain in ("cartoon", "anime"):
        pictures |= {name: plain(2) for name in (domain, f"{domain}-style1", f"{domain}-style2")}
    sheet = multi_modal_sheet(family, inputs, pictures, num_styles=2)
    for place in range(2):
        first = [inputs[place], code[place], *(pictures[f"cartoon{end}"][place] for end in ("", "-style1", "-style2"))]
        second = [pictures[f"anime{end}"][place] for end in ("", "-style1", "-style2")]
        assert layout(sheet, *first, *second) == [*((0, x) for x in range(5)), *((1, x) for x in (2, 3, 4))]
    assert layout(sheet, inputs[0], pictures["anime"][0], inputs[1])[-1] == (2, 0)


def test_figure_5_has_contents_left_and_references_above():
    contents, guided = plain(2), {"cartoon": plain(2, 2), "anime": plain(2, 1)}
    references = {"cartoon": plain(2), "anime": plain(1)}
    sheet = guided_sheet(contents, references, guided)
    above = [*references["cartoon"], *references["anime"]]
    rows = [[contents[place], *guided["cartoon"][place], *guided["anime"][place]] for place in range(2)]
    expected = [(0, x) for x in (1, 2, 3)] + [(y, x) for y in (1, 2) for x in range(4)]
    assert layout(sheet, *above, *rows[0], *rows[1]) == expected


def test_figure_6_has_a_row_for_each_model():
    pictures = {"face": plain(10), "cartoon": plain(10)}
    sheet = direction_sheet(pictures, [("less", "smile", "more"), ("-", "yaw", "+")])
    assert layout(sheet, *pictures["face"], *pictures["cartoon"]) == [(y, x) for y in (0, 1) for x in range(10)]


def test_figure_7_has_the_source_first_and_then_ft_fc_ft_and_one_swap():
    family = Family(
        base=model("face", "scratch", 0),
        domains={
            "cartoon": [
                model("cartoon", "FC-FT", 1),
                model("cartoon", "FT", 2),
                model("cartoon", "scratch", 3),
                model("cartoon", "FC-FT-LS8", 4, 8),
                model("cartoon", "FC-FT-LS16", 5, 16),
            ]
        },
    )
    models = family.domains["cartoon"]
    assert [each.mode for each in ablation_models(models)] == ["FT", "FC-FT", "FC-FT-LS8", "FC-FT-LS16"]
    pictures = {each.name: plain(3) for each in [family.base, *models]}
    sheet = ablation_sheet(family, pictures)
    shown = ["face/scratch", "cartoon/FT", "cartoon/FC-FT", "cartoon/FC-FT-LS8"]
    cells = [image for name in shown for image in pictures[name]]
    assert layout(sheet, *cells) == [(y, x) for y in range(4) for x in range(3)]
    assert layout(sheet, *pictures["cartoon/scratch"], *pictures["cartoon/FC-FT-LS16"]) == [None] * 6


def test_figure_8_has_a_column_for_each_way_to_make_a_model():
    cat, face = model("cat", "scratch", 0), model("face", "scratch", 6)
    models = [
        model("dog", "FC-FT", 1),
        model("dog", "scratch", 2),
        model("dog", "FC-FT-LS8", 3, 8),
        model("dog", "FC-FT-LS16", 4, 16),
    ]
    wild = [model("wild", "FC-FT", 5), model("wild", "FC-FT-LS8", 7, 8), model("wild", "FC-FT-LS16", 8, 16)]
    direct = {"dog": direct_swaps(cat, models[1], [8, 16])}
    others = [[face, *direct_swaps(cat, face, [8, 16])]]
    family = Family(base=cat, domains={"dog": models, "wild": wild})
    order = ["scratch", "Direct-LS8", "Direct-LS16", "FC-FT", "FC-FT-LS8", "FC-FT-LS16"]
    assert [each.mode for each in swap_models(models, direct["dog"])] == order
    everything = [cat, *models, *wild, *direct["dog"], *others[0]]
    pictures = {each.name: plain(2) for each in everything}
    sheet = swap_sheet(family, direct, others, pictures)
    dogs = [pictures[f"dog/{mode}"][0] for mode in order]
    wilds = [pictures[f"wild/{mode}"][1] for mode in order[3:]]
    faces = [pictures[f"face/{mode}"][0] for mode in order[:3]]
    assert layout(sheet, pictures["cat/scratch"][1], *dogs, *wilds, *faces) == [
        (1, 0),
        *((0, x) for x in range(1, 7)),
        *((1, x) for x in (4, 5, 6)),
        *((2, x) for x in (1, 2, 3)),
    ]
    repeated = np.argwhere((sheet == pictures["cat/scratch"][0][0, 0]).all(axis=2))
    assert len(repeated) == 2 * 256 and len(set(repeated[:, 1])) == 16, "two latents are shown, three rows"
    assert layout(sheet, pictures["wild/FC-FT"][0]) == [None]
