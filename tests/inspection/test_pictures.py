"""Pictures for a room: type that can be read at 1,200 pixels, colours told apart also in grey."""

import html
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from seq2seq.bundled import DEFAULT_MODEL
from seq2seq.inspection import plots
from seq2seq.inspection.activations import attention, gates, places
from seq2seq.inspection.gradients import (
    VARIANTS,
    GradientCurve,
    GradientReport,
    GradientSettings,
    MemoryResult,
)
from seq2seq.inspection.loading import open_model
from seq2seq.inspection.plots import Picture
from seq2seq.inspection.search_tree import search_tree

pytestmark = pytest.mark.slow


def pictures() -> dict[str, Picture]:
    opened = open_model(DEFAULT_MODEL)
    way = opened.between("en", "de")
    wanted = places(opened.network.config, "encoder.1")
    sentence = "I have never seen this book."
    names = [variant.name for variant in VARIANTS]
    seeds = (1, 2, 3)
    report = GradientReport(
        GradientSettings(delays=(5, 10), seeds=seeds),
        tuple(
            GradientCurve(name, seed, trained, np.geomspace(seed, 10.0**-number, 101))
            for number, name in enumerate(names, 1)
            for trained in (None, 5)
            for seed in seeds
        ),
        tuple(MemoryResult(name, seed, 5, 1.0, 9) for name in names for seed in seeds),
    )
    return {
        "attention": plots.attention_picture(attention(opened, sentence, way)),
        "gates": plots.gates_picture(gates(opened, sentence, way, wanted)),
        "gradients": plots.gradients_picture(report),
        "search": plots.search_picture(search_tree(opened, sentence, way)),
    }


def test_no_text_is_below_11_points_at_1200_pixels() -> None:
    for name, picture in pictures().items():
        svg = picture.render("svg").decode()
        width = float(ElementTree.fromstring(svg).get("viewBox", "").split()[2])
        sizes = [float(size) for size in re.findall(r"font(?:-size)?: ([\d.]+)px", svg)]
        assert len(sizes) > 10, name
        # 5% for what the saved figure is wider than it was drawn.
        assert min(sizes) * 1200 / width > 0.95 * 11 * 96 / 72, name


def test_a_notebook_shows_a_picture_with_its_words() -> None:
    picture = pictures()["search"]
    assert ElementTree.fromstring(picture._repr_svg_()).tag.endswith("}svg")
    assert picture._repr_html_().startswith('<img src="data:image/svg+xml;base64,')
    assert f'alt="{html.escape(picture.description)}"' in picture._repr_html_()


def test_each_unit_of_a_map_of_gates_can_be_seen() -> None:
    figure = pictures()["gates"].figure
    figure.draw_without_rendering()
    maps = [axes for axes in figure.axes if axes.images]
    assert len(maps) == 8
    for axes in maps:
        [image] = axes.images
        units = image.get_size()[0]
        scale = 1200 / figure.bbox.width
        assert axes.get_window_extent().height * scale / units >= 3  # pixels


def test_each_line_of_the_gradients_has_its_name_beside_it() -> None:
    svg = pictures()["gradients"].render("svg").decode()
    for variant in VARIANTS:
        name = variant.name.removeprefix(f"{variant.cell.upper()}, ")
        assert svg.count(f">{name}</text>") >= 2  # before and after training


def test_lines_differ_in_more_than_colour() -> None:
    in_grey = [(str(line["linestyle"]), line["marker"]) for line in plots._LINES]
    assert len({*in_grey}) == len(in_grey)
    neighbours = zip(plots._LINES, plots._LINES[1:], strict=False)
    assert all(one["color"] != other["color"] for one, other in neighbours)
