"""Tissue masks keep tissue, drop glass, and come from wherever the caller has them."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from sknic.exceptions import TissueMaskError
from sknic.slides import Lattice, Slide, TissueMask, is_background, mask_path, tissue_mask

from .conftest import picture, write_generic


def open_slide(tmp_path, pixels, name="slide.tiff"):
    return Slide(write_generic(tmp_path / name, pixels, mpp=2.0, levels=(1,)))


def glass(width=1200, height=900, seed=0):
    """White with the noise and the slight tint of a scanner."""
    noise = np.random.default_rng(seed).normal(0, 1.5, (height, width, 3))
    return np.clip(np.array([243, 242, 246]) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("method", ["density", "otsu"])
def test_tissue_is_found_on_glass(tmp_path, method):
    pixels = glass()
    pixels[200:700, 300:800] = picture(500, 500) - np.array([0, 40, 10], np.uint8)
    with open_slide(tmp_path, pixels) as slide:
        found = tissue_mask(slide, method)
        coverage = found.coverage(Lattice.of(slide, mpp=2.0, patch_size=50))
    expected = np.zeros((18, 24), bool)
    expected[4:14, 6:16] = True
    np.testing.assert_array_equal(coverage > 0.6, expected)
    assert found.mpp == pytest.approx(8.0) and found.mask.dtype == bool


@pytest.mark.parametrize(
    "pixels", [np.full((900, 1200, 3), 255, np.uint8), np.zeros((900, 1200, 3), np.uint8), glass()]
)
@pytest.mark.parametrize("method", ["density", "otsu"])
def test_a_slide_without_tissue_has_an_empty_mask(tmp_path, pixels, method):
    with open_slide(tmp_path, pixels) as slide:
        assert not tissue_mask(slide, method).mask.any()


@pytest.mark.parametrize("method", ["density", "otsu"])
def test_a_slide_full_of_tissue_keeps_it(tmp_path, method):
    """Otsu alone would part eosin from haematoxylin and drop the paler half."""
    pixels = np.empty((900, 1200, 3), np.uint8)
    pixels[:, :600], pixels[:, 600:] = (225, 180, 205), (120, 60, 140)
    pixels -= np.random.default_rng(0).integers(0, 10, pixels.shape, np.uint8)
    with open_slide(tmp_path, pixels) as slide:
        assert tissue_mask(slide, method).mask.mean() > 0.99


@pytest.mark.parametrize("method", ["density", "otsu"])
def test_specks_and_pinholes_go(tmp_path, method):
    pixels = glass()
    pixels[100:115, 100:115] = (180, 60, 120)
    pixels[300:800, 300:800] = (180, 60, 120)
    pixels[500:515, 500:515] = 250
    with open_slide(tmp_path, pixels) as slide:
        mask = tissue_mask(slide, method).mask
    assert not mask[:60, :60].any() and mask[80:195, 80:195].all()


def test_none_asks_for_no_mask(generic):
    with Slide(generic) as slide:
        assert tissue_mask(slide, None) is None


@pytest.mark.parametrize("mpp", [2.0, 3.0, 7.7, 40.0])
@pytest.mark.parametrize("patch_size, stride", [(50, 50), (80, 30)])
def test_coverage_is_the_mean_of_the_mask(mpp, patch_size, stride):
    """Against the mask drawn at a tenth of a um and averaged by brute force."""
    rng = np.random.default_rng(0)
    size = np.ceil(np.array([400, 500]) * 1.0 / mpp).astype(int)
    mask = rng.random(size) < 0.5
    lattice = Lattice((500, 400), 1.0, patch_size, stride)
    at = ((np.arange(8000) + 0.5) / 10 / mpp).astype(int)
    inside = at < size[0], at < size[1]
    fine = np.zeros((8000, 8000), np.float32)
    fine[np.ix_(*inside)] = mask[np.ix_(at[inside[0]], at[inside[1]])]
    starts = [np.arange(n) * stride * 10 for n in lattice.shape]
    expected = [[fine[y : y + 10 * patch_size, x : x + 10 * patch_size].mean() for x in starts[1]] for y in starts[0]]
    coverage = TissueMask(mask, mpp).coverage(lattice)
    assert coverage.dtype == np.float32
    np.testing.assert_allclose(coverage, expected, atol=0.005)


def test_what_lies_outside_a_mask_is_background():
    coverage = TissueMask(np.ones((10, 10), bool), 10.0).coverage(Lattice((200, 100), 1.0, 50, 50))
    np.testing.assert_allclose(coverage, [[1, 1, 0, 0], [1, 1, 0, 0]])


@pytest.mark.parametrize("answer", ["array", "integers", "pair"])
def test_a_function_may_find_the_tissue(generic, answer):
    mask = np.zeros((86, 100), bool)
    mask[:43] = True

    def find(slide):
        return {"array": mask, "integers": mask * 7, "pair": (mask, 2.5)}[answer]

    with Slide(generic) as slide:
        found = tissue_mask(slide, find)
    assert found.mpp == pytest.approx(2.5) and found.mask.dtype == bool and found.mask.mean() == 0.5


@pytest.mark.parametrize("mask", [np.ones((100, 86), bool), np.ones((5, 5, 3), bool), np.ones((0, 4), bool), "tissue"])
def test_a_mask_unlike_the_slide_is_refused(generic, mask):
    with Slide(generic) as slide, pytest.raises(TissueMaskError, match="expected"):
        tissue_mask(slide, lambda slide: mask)


@pytest.mark.parametrize("method", ["ostu", 3, b"x"])
def test_an_unknown_method_is_named(generic, method):
    with Slide(generic) as slide, pytest.raises(TissueMaskError, match=f"tissue={method!r}"):
        tissue_mask(slide, method)


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "P", "I;16", "LA"])
@pytest.mark.parametrize("folder", ["", "masks/"])
def test_mask_images_lie_beside_the_slide(tmp_path, mode, folder):
    mask = np.zeros((90, 120), np.uint8)
    mask[:45] = 1
    (tmp_path / "masks").mkdir()
    image = Image.fromarray(mask * 255)
    image = Image.fromarray(mask.astype(np.uint16)) if mode == "I;16" else image.convert(mode)
    image.save(tmp_path / folder / "slide.png")
    with open_slide(tmp_path, glass()) as slide:
        found = tissue_mask(slide, folder + "{stem}.png")
    assert found.mpp == pytest.approx(20.0)
    np.testing.assert_array_equal(found.mask, mask == 1)


def test_a_pyramidal_mask_is_read_at_a_level_that_will_do(tmp_path):
    mask = np.zeros((3600, 4800), np.uint8)
    mask[:, 2400:] = 1
    with tifffile.TiffWriter(tmp_path / "slide_mask.tif") as file:
        file.write(mask, subifds=2, tile=(256, 256), compression="deflate")
        for step in (2, 8):
            file.write(mask[::step, ::step], subfiletype=1, tile=(256, 256), compression="deflate")
    with open_slide(tmp_path, glass()) as slide:
        found = tissue_mask(slide, "{stem}_mask.tif")
    assert found.mask.shape == (1800, 2400) and found.mask[:, 1200:].all() and not found.mask[:, :1200].any()


@pytest.mark.parametrize("name", ["{stem}.png", "{stem}.tif", "{stem}.geojson"])
@pytest.mark.parametrize(
    "content", [None, b"", b"no mask", b'{"type": "Feature"}', b'{"type": "Polygon", "coordinates": 3}']
)
def test_missing_and_damaged_mask_files_are_named(tmp_path, name, content):
    if content is not None:
        (tmp_path / name.replace("{stem}", "slide")).write_bytes(content)
    with open_slide(tmp_path, glass()) as slide, pytest.raises(TissueMaskError, match=r"slide\..* of .*slide.tiff"):
        tissue_mask(slide, name)


def polygon(*rings, kind="Polygon"):
    return {"type": "Feature", "properties": {}, "geometry": {"type": kind, "coordinates": list(rings)}}


def box(left, top, right, bottom):
    return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]


def drawn(tmp_path, document):
    (tmp_path / "slide.geojson").write_text(json.dumps(document))
    with open_slide(tmp_path, glass()) as slide:
        return tissue_mask(slide, "{stem}.geojson")


def test_polygons_are_drawn_in_level_0_pixels(tmp_path):
    found = drawn(tmp_path, {"type": "FeatureCollection", "features": [polygon(box(100, 200, 400, 300))]})
    expected = np.zeros((900, 1200), bool)
    expected[200:300, 100:400] = True
    assert found.mpp == 2.0
    assert (found.mask != expected).sum() <= 400


def test_holes_cut_only_their_own_polygon(tmp_path):
    features = [polygon(box(100, 100, 500, 500), box(200, 200, 300, 300)), polygon(box(240, 240, 260, 260))]
    mask = drawn(tmp_path, features).mask
    assert mask[150, 150] and not mask[210, 210] and mask[250, 250]


def test_many_polygons_may_be_one_shape(tmp_path):
    shape = polygon([box(0, 0, 100, 100)], [box(500, 500, 600, 600)], kind="MultiPolygon")
    mask = drawn(tmp_path, shape).mask
    assert mask[50, 50] and mask[550, 550] and not mask[300, 300]


def test_polygons_may_pass_the_slides_edge(tmp_path):
    document = [
        polygon(box(-500, -500, 100, 100)),
        polygon(box(5000, 5000, 6000, 6000)),
        polygon(box(1100, 800, 9000, 9000)),
    ]
    mask = drawn(tmp_path, document).mask
    assert mask[:90, :90].all() and mask[810:, 1110:].all() and not mask[200:700].any()


def test_mask_paths_count_from_the_slides_folder_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "slides").mkdir()
    slide = tmp_path / "slides" / "a.b.svs"
    assert mask_path("{stem}.png", slide) == str(tmp_path / "slides" / "a.b.png")
    (tmp_path / "a.b.png").touch()
    assert mask_path("{stem}.png", slide) == "a.b.png"
    (tmp_path / "slides" / "a.b.png").touch()
    assert mask_path("{stem}.png", slide) == str(tmp_path / "slides" / "a.b.png")
    assert mask_path(tmp_path / "{stem}.json", slide) == str(tmp_path / "a.b.json")


@pytest.mark.parametrize("value, blank", [(244, False), (245, True), (255, True)])
def test_bright_patches_are_background(value, blank):
    patches = np.full((3, 8, 8, 3), value, np.uint8)
    patches[1] = 0
    np.testing.assert_array_equal(is_background(patches), [blank, False, blank])


def test_no_patches_have_no_background():
    assert is_background(np.empty((0, 8, 8, 3), np.uint8)).shape == (0,)


def test_the_mean_over_all_colours_counts():
    patch = np.full((1, 2, 2, 3), 255, np.uint8)
    patch[..., 0] = 225
    assert is_background(patch) and not is_background(patch, threshold=245.1)


@pytest.mark.parametrize(
    "mask, mpp", [(np.ones(3, bool), 1.0), (np.ones((2, 2), bool), 0.0), (np.ones((2, 2), bool), np.nan)]
)
def test_a_meaningless_mask_is_refused(mask, mpp):
    with pytest.raises(TissueMaskError):
        TissueMask(mask, mpp)


def test_the_real_slide_has_its_tissue_found(test_data):
    with Slide(test_data / "slides" / "CMU-1-Small-Region.svs") as slide:
        shares = [tissue_mask(slide, method).mask.mean() for method in ("otsu", "density")]
    assert shares == pytest.approx([0.354, 0.375], abs=0.005)
