"""Saliency as colors over a slide, as a file of full resolution, and as a gallery of patches."""

import shutil

import numpy as np
import pytest
import tifffile
from skimage.color import deltaE_ciede2000, rgb2lab

from sknic.datasets import write_pyramid
from sknic.grids import Grid
from sknic.plotting import PatchGalleryDisplay, overlay, write_overlay
from sknic.plotting.overlay import COLOR_MAPS, colorize
from sknic.saliency import RankedCell, rank_cells
from sknic.slides import Slide

EOSIN, NUCLEI = (0.86, 0.55, 0.70), (0.42, 0.30, 0.55)


@pytest.mark.parametrize("stain", [EOSIN, NUCLEI])
@pytest.mark.parametrize("strength", [0.3, 0.6, 1.0, -0.6, -1.0])
def test_a_tinted_cell_differs_from_the_stains_below_it(stain, strength):
    values = np.array([[strength, np.sign(strength) if strength > 0 else 1.0]])
    colors, opacity = colorize(values)
    blended = (1 - opacity[0, 0]) * np.array(stain) + opacity[0, 0] * colors[0, 0]
    assert deltaE_ciede2000(rgb2lab(blended), rgb2lab(np.array(stain))) > 9


@pytest.mark.parametrize("side", ["positive", "signed"])
def test_stronger_saliency_is_lighter_for_and_darker_against(side):
    lightness = rgb2lab(COLOR_MAPS[side](np.linspace(0, 1, 257))[:, :3])[:, 0]
    parts = [lightness] if side == "positive" else [lightness[:128], lightness[129:]]
    assert all((np.diff(part) > -0.3).all() and part[-1] > part[0] + 30 for part in parts)
    if side == "signed":
        assert COLOR_MAPS[side](0.5)[:3] == (1, 1, 1)  # nothing to say is white


@pytest.fixture
def colored_slides(tmp_path):
    """Two slides of 4 x 5 cells of 64 px, each cell of one color, and their grids."""
    slides, grids, colors = [], [], np.random.RandomState(0).randint(30, 220, (2, 4, 5, 3)).astype(np.uint8)
    for number in range(2):
        pixels = np.repeat(np.repeat(colors[number], 64, axis=0), 64, axis=1)
        slides.append(write_pyramid(tmp_path / f"case{number}.tiff", pixels, mpp=0.5, quality=98))
        place = {"mpp": 0.5, "patch_size": 64, "slide": slides[-1], "slide_mpp": 0.5}
        grids.append(Grid(np.ones((20, 2)), np.argwhere(np.ones((4, 5))), (4, 5), **place))
    return slides, grids, colors


def test_the_gallery_shows_the_pixels_of_the_cells_with_the_highest_and_the_lowest_saliency(colored_slides):
    _, grids, colors = colored_slides
    maps = [np.arange(20).reshape(4, 5) + 0.5 * number for number in range(2)]
    most, least = rank_cells(grids, maps, 3), rank_cells(grids, maps, 2, lowest=True)
    display = PatchGalleryDisplay.from_cells({"Most": most, "Least": least}, grids, title="Both")
    wanted = [(1, 3, 4), (0, 3, 4), (1, 3, 3), (0, 0, 0), (1, 0, 0)]
    seen = [image.get_array().mean(axis=(0, 1)) for image in display.images_]
    np.testing.assert_allclose(seen, [colors[cell] for cell in wanted], atol=4)
    texts = [text.get_text() for text in display.ax_.texts]
    assert texts == ["Most", "case1\n19.5", "case0\n19", "case1\n18.5", "Least", "case0\n0", "case1\n0.5"]


def _names(grids, **options):
    cells = [RankedCell(number, 0, 0, 1.0) for number in range(len(grids))]
    texts = PatchGalleryDisplay.from_cells({"Most": cells}, grids, **options).ax_.texts[1:]
    return [text.get_text().split("\n")[0] for text in texts]


def test_slides_of_one_name_are_told_apart_in_the_gallery(colored_slides, tmp_path):
    slides, grids, _ = colored_slides
    alike = []
    for number, slide in enumerate(slides):
        alike.append(tmp_path / f"P{number}" / "HE.tiff")
        alike[-1].parent.mkdir()
        shutil.copy(slide, alike[-1])
    assert _names(grids) == ["case0", "case1"]
    assert _names(grids, slides=alike) == ["P0-HE", "P1-HE"]
    with Slide(alike[0]) as first, Slide(alike[1]) as second:
        assert _names(grids, slides=[first, second]) == ["P0-HE", "P1-HE"]


def test_names_of_the_gallery_are_not_shortened_to_the_same(colored_slides, tmp_path):
    slides, grids, _ = colored_slides
    names = ["TCGA-A1-A0SB-01Z-00-DX1", "TCGA-A1-A0SD-01Z-00-DX1"]
    long = [shutil.copy(slide, tmp_path / f"{name}.tiff") for slide, name in zip(slides, names)]
    assert _names(grids, slides=long) == names
    others = [long[0], shutil.copy(slides[1], tmp_path / "a-name-of-another-form.tiff")]
    assert _names(grids, slides=others) == ["TCGA-A1-A…1Z-00-DX1", "a-name-of…ther-form"]


@pytest.mark.parametrize("row, column", [(4, 0), (0, 5), (-1, 0), (2, 3)])
def test_a_cell_that_its_grid_does_not_have_is_no_patch(colored_slides, row, column):
    _, grids, _ = colored_slides
    place = {"mpp": 0.5, "patch_size": 64, "slide": grids[0].slide, "slide_mpp": 0.5}
    without = Grid(np.ones((19, 2)), [cell for cell in grids[0].cells.tolist() if cell != [2, 3]], (4, 5), **place)
    with pytest.raises(ValueError, match=f"row {row}, column {column} of case0 is not a cell of its grid"):
        PatchGalleryDisplay.from_cells({"Most": [RankedCell(0, row, column, 0.7)]}, [without])


def test_the_overlay_at_full_resolution_is_a_pyramid_with_the_pixels_of_the_overlay(tmp_path):
    pixels = np.full((1300, 2100, 3), (220, 140, 180), np.uint8)
    slide = write_pyramid(tmp_path / "case.tiff", pixels, mpp=0.5, quality=98)
    grid = Grid(np.ones((2, 2)), [[0, 0], [1, 3]], (2, 4), mpp=0.5, patch_size=512, slide=slide, slide_mpp=0.5)
    heat = np.array([[0.5, 0, 0, 0], [0, 0, 0, 1.0]])
    path = write_overlay(tmp_path / "case.ome.tiff", slide, heat, grid)
    wanted = overlay(slide, heat, grid, max_size=2100)
    with tifffile.TiffFile(path) as file:
        assert file.is_ome and 'PhysicalSizeX="0.5"' in file.ome_metadata
        shapes = [level.shape for level in file.series[0].levels]
        for number, level in enumerate(file.series[0].levels):  # the pixel size of each, in um
            tags = level.keyframe.tags
            for name in ("XResolution", "YResolution"):
                per_cm = tags[name].value[0] / tags[name].value[1]
                assert (1e4 / per_cm, tags["ResolutionUnit"].value.name) == (0.5 * 2**number, "CENTIMETER")
            assert tags["NewSubfileType"].value == int(number > 0)
        finest, coarsest = file.series[0].levels[0].asarray(), file.series[0].levels[-1].asarray()
    assert shapes == [(1300, 2100, 3), (650, 1050, 3), (325, 525, 3)]
    assert np.abs(finest.astype(int) - wanted).mean() < 2
    assert np.abs(finest[600, 1700].astype(int) - pixels[0, 0]).max() > 50  # the strongest cell
    assert np.abs(coarsest.astype(int) - finest[2::4, 2::4][:325, :525]).mean() < 3


def test_a_coarser_overlay_has_the_scale_that_was_asked_for(tmp_path, colored_slides):
    (slide, _), (grid, _), _ = colored_slides
    path = write_overlay(tmp_path / "o.ome.tiff", slide, np.ones((4, 5)), grid, mpp=1.0)
    with tifffile.TiffFile(path) as file:
        assert file.series[0].shape == (128, 160, 3) and 'PhysicalSizeX="1.0"' in file.ome_metadata
