"""The um/px of a slide is stated, found, guessed only on request, and checked."""

import warnings

import pytest

from sknic.exceptions import InvalidMppError, MissingMppError, MppWarning
from sknic.slides import Slide

from .conftest import picture, write_aperio, write_generic

SMALL = picture(128, 128)


def test_the_callers_um_per_px_wins(tmp_path):
    path = write_generic(tmp_path / "slide.tiff", SMALL, levels=(1,))
    with Slide(path, mpp=0.4) as slide:
        assert (slide.mpp, slide.mpp_source) == (0.4, "given")


@pytest.mark.parametrize("unit", ["CENTIMETER", "INCH"])
def test_resolution_tags_serve(tmp_path, unit):
    path = write_generic(tmp_path / "slide.tiff", SMALL, mpp=0.5, levels=(1,), unit=unit)
    with Slide(path) as slide:
        assert slide.mpp == pytest.approx(0.5) and slide.mpp_source in ("metadata", "tiff resolution")


def test_resolution_tags_serve_where_openslide_passes_them_over(tmp_path):
    path = write_aperio(
        tmp_path / "a.svs", SMALL, mpp=None, power=20, levels=(1,), resolution=(2e4, 2e4), resolutionunit="CENTIMETER"
    )
    with Slide(path, mpp_from_objective=True) as slide:
        assert (slide.mpp, slide.mpp_source) == (pytest.approx(0.5), "tiff resolution")


def test_a_missing_um_per_px_says_what_to_set(tmp_path):
    path = write_aperio(tmp_path / "a.svs", SMALL, mpp=None, power=20, levels=(1,))
    with pytest.raises(MissingMppError, match=r"pass it as Slide\(path, mpp=\.\.\.\), or ") as info:
        Slide(path)
    assert "SlideCompressor" not in str(info.value) and "--" not in str(info.value)
    assert path in str(info.value) and "20x" in str(info.value)


def test_the_objective_power_serves_only_on_request(tmp_path):
    path = write_aperio(tmp_path / "a.svs", SMALL, mpp=None, power=20, levels=(1,))
    with Slide(path, mpp_from_objective=True) as slide:
        assert (slide.mpp, slide.mpp_source, slide.objective_power) == (0.5, "objective power", 20.0)


def test_screen_resolutions_count_for_nothing(tmp_path):
    path = write_aperio(
        tmp_path / "a.svs", SMALL, mpp=None, power=None, levels=(1,), resolution=(72, 72), resolutionunit="INCH"
    )
    with pytest.raises(MissingMppError):
        Slide(path)


@pytest.mark.parametrize("mpp", [0.01, 25, 0, -1, float("nan"), float("inf"), "0.5", True])
def test_an_impossible_um_per_px_is_refused(tmp_path, mpp):
    path = write_generic(tmp_path / "slide.tiff", SMALL, levels=(1,))
    with pytest.raises(InvalidMppError):
        Slide(path, mpp=mpp)


def test_an_impossible_um_per_px_in_the_file_is_refused(tmp_path):
    path = write_aperio(tmp_path / "a.svs", SMALL, mpp=499, power=None, levels=(1,))
    with pytest.raises(InvalidMppError, match="499 um/px .metadata. is outside the range 0.05 to 10"):
        Slide(path)


@pytest.mark.parametrize("mpp, power", [(0.25, 20), (0.5, 40), (1.0, 20)])
def test_a_contradiction_with_the_objective_warns(tmp_path, mpp, power):
    path = write_aperio(tmp_path / "a.svs", SMALL, mpp=mpp, power=power, levels=(1,))
    with pytest.warns(MppWarning, match=f"contradicts its {power}x") as record:
        Slide(path)
    assert record[0].filename == __file__


@pytest.mark.parametrize("mpp, power", [(0.2527, 40), (0.16, 40), (0.499, 20), (0.1, 100), (1.0, 10)])
def test_usual_pairs_do_not_warn(tmp_path, mpp, power):
    path = write_aperio(tmp_path / "a.svs", SMALL, mpp=mpp, power=power, levels=(1,))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        slide = Slide(path)
    with slide:
        assert (slide.mpp, slide.objective_power) == (pytest.approx(mpp), power)


def test_oblong_pixels_are_refused_until_one_um_per_px_is_stated(tmp_path):
    path = write_generic(tmp_path / "slide.tiff", SMALL, mpp=(0.5, 0.6), levels=(1,))
    with pytest.raises(InvalidMppError, match="0.5 um wide and 0.6 um high"):
        Slide(path)
    assert Slide(path, mpp=0.5).mpp == 0.5


def test_nearly_square_pixels_have_the_mean_um_per_px(tmp_path):
    path = write_generic(tmp_path / "slide.tiff", SMALL, mpp=(0.5, 0.51), levels=(1,))
    assert Slide(path).mpp == pytest.approx(0.505, rel=1e-3)


def test_the_real_slide_without_um_per_px_is_refused_until_it_is_stated(test_data):
    path = test_data / "slides" / "TCGA-CR-7395-01A-01-TS1.svs"
    with pytest.raises(MissingMppError):
        Slide(path)
    with Slide(path, mpp=0.5) as slide:
        assert slide.level_mpps == pytest.approx((0.5, 1.00025), abs=1e-4)


def write_ome(path, x, y=None, unit="", **options):
    size = f'PhysicalSizeX="{x}" ' + (f'PhysicalSizeY="{y}" ' if y is not None else "")
    units = f'PhysicalSizeXUnit="{unit}" PhysicalSizeYUnit="{unit}" ' if unit else ""
    label = '<Image ID="Image:1"><Pixels SizeX="9" SizeY="9" PhysicalSizeX="77"/></Image>'
    text = f'<OME><Image ID="Image:0"><Pixels {size}{units}SizeX="128" SizeY="128"/></Image></OME>'
    options["description"] = text.replace("<Image", label + "<Image", 1).encode()
    return write_generic(path, SMALL, mpp=None, levels=(1,), **options)


@pytest.mark.parametrize(
    "x, unit, mpp",
    [("0.5", "", 0.5), ("0.5", "\u00b5m", 0.5), ("0.5", "um", 0.5), ("500", "nm", 0.5), ("2.5E-4", "mm", 0.25)],
)
@pytest.mark.parametrize("options", [{}, {"resolution": (72, 72), "resolutionunit": "INCH"}])
def test_ome_xml_serves_where_the_tags_say_nothing(tmp_path, x, unit, mpp, options):
    with Slide(write_ome(tmp_path / "a.ome.tiff", x, x, unit, **options)) as slide:
        assert (slide.mpp, slide.mpp_source) == (pytest.approx(mpp), "OME-XML")


@pytest.mark.parametrize("x, unit", [("0.5", "pixel"), ("0", ""), ("nan", ""), ("-1", ""), ("much", "")])
def test_ome_xml_that_says_nothing_counts_for_nothing(tmp_path, x, unit):
    with pytest.raises(MissingMppError):
        Slide(write_ome(tmp_path / "a.ome.tiff", x, x, unit))


def test_pixels_of_ome_xml_that_are_not_square_are_refused(tmp_path):
    with pytest.raises(InvalidMppError, match="expected square pixels"):
        Slide(write_ome(tmp_path / "a.ome.tiff", "0.5", "0.6"))


def test_what_is_stated_for_a_slide_wins_over_pixels_that_are_not_square(tmp_path):
    path = write_generic(tmp_path / "a.tiff", SMALL, mpp=(0.25, 0.5), levels=(1,))
    with Slide(path, mpp=0.25) as slide:
        assert slide.mpp == 0.25
    with pytest.raises(InvalidMppError, match=r"mpp=\(0\.25, 0\.5\): expected a number"):
        Slide(path, mpp=(0.25, 0.5))


def test_a_warning_points_to_the_line_that_asked(tmp_path):
    path = write_aperio(tmp_path / "a.svs", SMALL, mpp=0.5, power=40, levels=(1,))
    with pytest.warns(MppWarning) as caught:
        Slide(path)
    assert caught[0].filename == __file__
