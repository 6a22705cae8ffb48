"""What grids, slides and cohorts show in a notebook."""

import base64
import io
import re
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sknic import Grid
from sknic.datasets import Cohort, GridCohort, write_pyramid
from sknic.plotting import pca_rgb
from sknic.slides import Slide


def _picture(html):
    (data,) = re.findall(r"base64,([^']+)'", html)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_a_grid_shows_its_cells_and_what_it_knows(grid):
    html = grid._repr_html_()
    pixels = _picture(html)
    assert pixels.shape == (5, 7, 3)
    background = np.ones((5, 7), bool)
    background[tuple(grid.cells.T)] = False
    assert (pixels[background] == 255).all() and (pixels[~background] != 255).any(axis=1).all()
    assert "here/slide one.svs" in html and "5 x 7" in html


def test_a_grid_too_small_for_colors_shows_the_rest():
    assert "<img" not in Grid([[1.0, 2.0]], [[0, 0]], (1, 1))._repr_html_()


def test_names_of_files_are_no_html():
    html = Grid([[1.0, 2.0]], [[0, 0]], (1, 1), slide="<script>x</script>.svs")._repr_html_()
    assert "<script>" not in html and "&lt;script&gt;" in html


def test_a_slide_shows_its_thumbnail_and_closed_still_its_facts(tmp_path):
    path = write_pyramid(tmp_path / "s.tiff", np.full((300, 600, 3), (200, 100, 150), np.uint8), mpp=0.5)
    with Slide(path) as slide:
        pixels = _picture(slide._repr_html_())
    assert pixels.shape[1] <= 256 and abs(pixels.mean((0, 1)) - (200, 100, 150)).max() < 4
    assert "600 x 300" in slide._repr_html_() and "<img" not in slide._repr_html_()


@pytest.mark.parametrize("kind", [Cohort, GridCohort])
def test_a_cohort_says_how_many_and_not_every_path(kind):
    table = pd.DataFrame({"slide": [f"{i}.svs" for i in range(100)], "patient": [i // 2 for i in range(100)]})
    cohort = kind([f"/a/very/long/path/{i}.svs" for i in range(100)], table)
    assert repr(cohort) == f"<{kind.__name__}: 100 slides of 50 patients; slide, patient>"
    assert "/a/very/long" not in cohort._repr_html_() and cohort._repr_html_().count("<tr") < 15


def test_a_grid_draws_itself_in_its_colors(grid):
    display = grid.plot(title="One slide")
    np.testing.assert_array_equal(display.image_.get_array(), pca_rgb(grid))
    assert display.ax_.get_title(loc="left") == "One slide"
    _, ax = plt.subplots()
    assert grid.plot(ax=ax).ax_ is ax
    plt.close("all")


def test_grids_know_no_pictures_before_they_are_drawn():
    code = "import sys, sknic.grids; print(sorted({'matplotlib', 'torch', 'sknic.plotting'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
