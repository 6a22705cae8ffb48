"""Masks that others made are read as they meant them, and doubted aloud where they cannot be right."""

import gzip
import json
import pickle

import numpy as np
import pytest
import tifffile
from PIL import Image

from sknic.compression.recipe import Recipe
from sknic.exceptions import TissueMaskError, TissueWarning
from sknic.slides import Annotations, Slide, tissue_mask
from sknic.slides.mask_files import is_marked, read_mask_image

from .conftest import write_generic

MASK = np.zeros((90, 120), np.uint8)
MASK[10:50, 20:80] = 255


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    """1200 x 900 px at 2 um/px."""
    with Slide(
        write_generic(tmp_path_factory.mktemp("s") / "a.tiff", np.full((900, 1200, 3), 240, np.uint8), mpp=2.0)
    ) as slide:
        yield slide


def of_image(slide, tmp_path, image, name="mask.png", **options):
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(tmp_path / name, **options)
    return tissue_mask(slide, tmp_path / name).mask


def palette(colors):
    image = Image.fromarray((MASK > 0).astype(np.uint8)).convert("P")
    image.putdata((MASK > 0).astype(np.uint8).ravel())
    image.putpalette([value for color in colors for value in color])
    return image


WHITE = np.full_like(MASK, 255)
IMAGES = {
    "RGBA, white all over": np.dstack([WHITE, WHITE, WHITE, MASK]),
    "RGBA, half transparent": np.dstack([WHITE, WHITE, WHITE, MASK // 3]),
    "RGBA, opaque": np.dstack([MASK, MASK, MASK, WHITE]),
    "RGBA, wholly transparent": np.dstack([MASK, MASK, MASK, 0 * MASK]),
    "LA": np.dstack([WHITE, MASK]),
    "LA, opaque": np.dstack([MASK, WHITE]),
    "dark green in RGB": np.dstack([0 * MASK, MASK // 3, 0 * MASK]),
    "palette, index 0 white": palette([(255, 255, 255), (200, 0, 0)]),
    "palette, black and white": palette([(0, 0, 0), (255, 255, 255)]),
    "palette, white and black": Image.fromarray(MASK).convert("P", palette=Image.Palette.ADAPTIVE),
    "1 bit": MASK > 0,
    "16 bits": MASK.astype(np.uint16) * 257,
    "labels": (MASK > 0).astype(np.uint8) * 3,
    "background of 3": np.where(MASK > 0, 250, 3).astype(np.uint8),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_mask_images_of_every_mode(slide, tmp_path, kind):
    np.testing.assert_array_equal(of_image(slide, tmp_path, IMAGES[kind]), MASK > 0)


def test_transparency_of_a_palette_counts(slide, tmp_path):
    image = palette([(9, 9, 9), (9, 9, 9)])
    np.testing.assert_array_equal(of_image(slide, tmp_path, image, transparency=0), MASK > 0)


def test_a_jpeg_is_cut_at_half_of_white(slide, tmp_path):
    found = of_image(slide, tmp_path, MASK, "mask.jpg", quality=30)
    assert (found != (MASK > 0)).sum() <= 10


def test_labels_and_grades_of_a_few_values_all_count():
    np.testing.assert_array_equal(is_marked(np.array([[0, 1, 2, 7]], np.uint8)), [[False, True, True, True]])
    np.testing.assert_array_equal(is_marked(np.array([[0, 85, 170, 255]], np.uint8)), [[False, True, True, True]])
    np.testing.assert_array_equal(is_marked(np.array([[-1, 0, 3, 9]], np.int16)), [[False, False, True, True]])
    np.testing.assert_array_equal(is_marked(np.array([[np.nan, 0.0, 0.01, 1.0]])), [[False, False, False, True]])


def test_probabilities_are_cut_at_half():
    chances = np.linspace(0, 1, 101)[None]
    np.testing.assert_array_equal(is_marked(chances), chances >= 0.5)
    np.testing.assert_array_equal(is_marked((chances * 255).astype(np.uint8)), (chances * 255).astype(int) >= 127.5)
    np.testing.assert_array_equal(is_marked((chances * 65535).astype(np.uint16)), (chances * 65535).astype(int) > 32767)


@pytest.mark.parametrize(
    ("values", "first"),
    [
        (np.arange(200, dtype=np.uint16), 1),  # numbers of cells, as segmentations write them
        (np.arange(3000, dtype=np.uint16), 1),
        (np.arange(101, dtype=np.uint8), 50),  # percent
        (np.linspace(0, 1, 101), 0.5),
        (np.array([0, 1, 3, 90, 94], np.uint8), 1),
    ],
)
def test_values_that_may_be_labels_or_probabilities_are_doubted(values, first, slide, tmp_path):
    image = np.zeros(MASK.shape, values.dtype)
    image.ravel()[: 3 * len(values)] = np.tile(values, 3)
    tifffile.imwrite(tmp_path / "mask.tif", image)
    with pytest.warns(TissueWarning, match=f"may be labels or probabilities: all from {first:g} counts as tissue"):
        mask = tissue_mask(slide, tmp_path / "mask.tif").mask
    np.testing.assert_array_equal(mask, image >= first)


@pytest.mark.parametrize(
    ("pixels", "axes"), [(MASK[None, None], "QZYX"), (np.stack([MASK] * 3), "SYX"), (np.dstack([MASK] * 3), "YXS")]
)
def test_planes_of_a_tiff_are_colors_and_axes_of_one_are_nothing(pixels, axes, slide, tmp_path):
    options = {"photometric": "rgb"} if "S" in axes else {}
    tifffile.imwrite(tmp_path / "mask.tif", pixels, planarconfig="separate" if axes == "SYX" else None, **options)
    np.testing.assert_array_equal(tissue_mask(slide, tmp_path / "mask.tif").mask, MASK > 0)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("mask.xml", b"<ASAP_Annotations/>", "it is not an image; polygons are read from GeoJSON"),
        ("mask.npy", b"\x93NUMPY", "it is not an image"),
        ("mask.png", None, "no such file; did you mean 'musk.png'?"),
        ("mask.tif", b"II*\0", "the image is damaged or cut off"),
    ],
)
def test_why_an_image_cannot_be_read_is_said_in_our_words(name, content, words, slide, tmp_path):
    (tmp_path / "musk.png").touch()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(TissueMaskError, match=f"cannot read the tissue mask .*{name} of .*a.tiff: ({words})"):
        tissue_mask(slide, tmp_path / name)


def test_a_function_that_returns_text_is_refused(slide):
    with pytest.raises(TissueMaskError, match="the tissue function gave a mask of <U3 .* expected bools or numbers"):
        tissue_mask(slide, lambda slide: MASK.astype(str))


def test_nan_is_background_in_a_tiff(slide, tmp_path):
    tifffile.imwrite(tmp_path / "mask.tif", np.where(MASK > 0, 1.0, np.nan).astype(np.float32))
    np.testing.assert_array_equal(tissue_mask(slide, tmp_path / "mask.tif").mask, MASK > 0)


@pytest.mark.parametrize("value, words", [(0, "covers nothing"), (255, "covers the whole slide")])
def test_an_image_of_nothing_or_everything_is_doubted(slide, tmp_path, value, words):
    with pytest.warns(TissueWarning, match=rf"mask\.png of .*a\.tiff {words}"):
        of_image(slide, tmp_path, np.full_like(MASK, value))


def test_a_name_in_braces_that_nobody_fills_is_named(slide):
    with pytest.raises(TissueMaskError, match="the only name in braces"):
        tissue_mask(slide, "{name}.png")


# Polygons.


def box(left, top, right, bottom):
    return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]


A, INNER, B = box(100, 100, 500, 500), box(200, 200, 300, 300), box(700, 100, 1000, 400)
AREA = {"A": 160_000, "INNER": 10_000, "B": 90_000}


def feature(geometry, name=None, **properties):
    if isinstance(geometry, list):
        geometry = {"type": "Polygon", "coordinates": [geometry]}
    if name:
        properties["classification"] = {"name": name, "color": [1, 2, 3]}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def n_px(slide, tmp_path, features, encoding="utf-8", **choices):
    document = {"type": "FeatureCollection", "features": features}
    (tmp_path / "a.geojson").write_bytes(json.dumps(document).encode(encoding))
    return int(tissue_mask(slide, Annotations(tmp_path / "a.geojson", **choices)).mask.sum())


def about(*names, less=()):
    return pytest.approx(sum(AREA[n] for n in names) - sum(AREA[n] for n in less), abs=1500)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_every_unicode_encoding_is_read(slide, tmp_path, encoding):
    assert n_px(slide, tmp_path, [feature(A, "Gewebe ä")], encoding) == about("A")


def test_a_gzipped_file_is_read(slide, tmp_path):
    (tmp_path / "a.geojson.gz").write_bytes(gzip.compress(json.dumps(feature(A)).encode()))
    assert tissue_mask(slide, tmp_path / "a.geojson.gz").mask.sum() == about("A")


def test_features_without_a_place_are_skipped(slide, tmp_path):
    assert n_px(slide, tmp_path, [feature(None), feature(A), feature(B, isMissing=True)]) == about("A")


@pytest.mark.parametrize("name", ["Ignore*", "ignore*", "Artifact", "Pen artefact", "Artifacts: fold", "Background"])
def test_artifacts_are_cut_out(slide, tmp_path, name):
    features = [feature(INNER, name), feature(A, "Tissue"), feature(B, name)]
    assert n_px(slide, tmp_path, features) == about("A", less=["INNER"])


def test_other_classes_with_a_star_are_left_out_but_cut_nothing(slide, tmp_path):
    features = [feature(box(0, 0, 1200, 900), "Region*"), feature(A, "Tumor")]
    assert n_px(slide, tmp_path, features) == about("A")


@pytest.mark.parametrize("classes", [["Tumor"], ["tumor "], ("Tumor",), ["Positive"], ["Tumor: Positive"]])
def test_chosen_classes_alone_count(slide, tmp_path, classes):
    features = [feature(A, "Tumor: Positive"), feature(B, "Stroma"), feature(box(0, 600, 300, 800))]
    assert n_px(slide, tmp_path, features, classes=classes) == about("A")


def test_excluded_classes_are_cut_out(slide, tmp_path):
    features = [feature(A, "Tumor"), feature(INNER, "Necrosis")]
    assert n_px(slide, tmp_path, features) == about("A")
    assert n_px(slide, tmp_path, features, exclude=["necrosis"]) == about("A", less=["INNER"])
    assert n_px(slide, tmp_path, features, classes=["Necrosis"], exclude=["necrosis"]) == about("INNER")


def test_a_class_asked_for_by_name_is_never_cut_out(slide, tmp_path):
    assert n_px(slide, tmp_path, [feature(A), feature(B, "Artifact")], classes=["Artifact"]) == about("B")


@pytest.mark.parametrize(
    "properties",
    [{"class": "Artifact"}, {"classification": "Artifact"}, {"classification": {"names": ["Artifact", "x"]}}],
)
def test_classes_are_found_wherever_programs_write_them(slide, tmp_path, properties):
    assert n_px(slide, tmp_path, [feature(A), feature(B, **properties)]) == about("A")


def test_nested_collections_and_holes(slide, tmp_path):
    shapes = [{"type": "MultiPolygon", "coordinates": [[A, INNER], [B]]}, {"type": "Point", "coordinates": [3, 4]}]
    nested = {"type": "GeometryCollection", "geometries": [{"type": "GeometryCollection", "geometries": shapes}]}
    assert n_px(slide, tmp_path, [{"type": "FeatureCollection", "features": [feature(nested)]}]) == about(
        "A", "B", less=["INNER"]
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_coordinate_that_is_not_a_number_is_refused(slide, tmp_path, value):
    with pytest.raises(TissueMaskError, match=r"a\.geojson of .*a\.tiff: a coordinate is not a finite number"):
        n_px(slide, tmp_path, [feature([[value, 3], *A])])


BROKEN = {
    "null": ([[None, 1], [2, 3], [4, 5]], "coordinates are not rings of points"),
    "a ring too few": ({"type": "Polygon", "coordinates": A}, "coordinates are not rings of points"),
    "a ring too many": ({"type": "Polygon", "coordinates": [[A]]}, "coordinates are not rings of points"),
    "no coordinates": ({"type": "Polygon"}, "it has no 'coordinates'"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_polygons_that_are_not_built_as_geojson_are_refused(slide, tmp_path, case):
    geometry, words = BROKEN[case]
    with pytest.raises(TissueMaskError, match=words):
        n_px(slide, tmp_path, [feature(geometry)])


@pytest.mark.parametrize("role", ["classes", "exclude"])
def test_a_class_that_is_nearly_one_of_the_file_is_pointed_out(slide, tmp_path, role):
    with pytest.warns(TissueWarning, match=f"{role}='Necrosys' is not a class of .*; did you mean 'Necrosis'?"):
        n_px(
            slide,
            tmp_path,
            [feature(A, "Tumor"), feature(B, "Necrosis")],
            **{"classes": ["Tumor"], role: ["Tumor", "Necrosys"] if role == "classes" else ["Necrosys"]},
        )


def test_a_far_corner_does_no_harm(slide, tmp_path):
    assert n_px(slide, tmp_path, [feature(box(-1e300, -1e12, 600, 1e300))]) == pytest.approx(600 * 900, abs=1500)


POINT = {"type": "MultiPoint", "coordinates": [[1, 2]]}
LINE = {"type": "LineString", "coordinates": [[0, 0], [9, 9]]}
DOUBTFUL = {
    "no features": ([], "nothing"),
    "points and lines": ([feature(POINT), feature(LINE)], "nothing"),
    "outside": ([feature(box(5000, 5000, 6000, 6000))], "nothing; the classes of its polygons are unclassified"),
    "another class": ([feature(A, "Lymph"), feature(B, "Stroma")], "nothing; .* are Lymph, Stroma"),
    "tiny": ([feature(box(10, 10, 30, 30), "Tumor")], "only 1[0-9]{3} um2, less than a patch"),
    "everything": ([feature(box(-9, -9, 2000, 2000), "Tumor")], "the whole slide"),
}


@pytest.mark.parametrize("case", DOUBTFUL)
def test_polygons_of_nothing_or_everything_are_doubted(slide, tmp_path, case):
    features, words = DOUBTFUL[case]
    with pytest.warns(TissueWarning, match=rf"a\.geojson of .*a\.tiff covers {words}"):
        n_px(slide, tmp_path, features, classes=["Tumor", "unclassified"] if case != "outside" else None)


def test_a_document_of_another_program_is_refused(slide, tmp_path):
    (tmp_path / "a.json").write_text('{"annotations": []}')
    with pytest.raises(TissueMaskError, match="found 'dict' where GeoJSON polygons are expected"):
        tissue_mask(slide, tmp_path / "a.json")


@pytest.mark.parametrize("wrong", [{"classes": "Tumor"}, {"exclude": "Necrosis"}, {"exclude": None}])
def test_classes_are_lists(wrong):
    with pytest.raises(TissueMaskError, match="expected a list of class names"):
        Annotations("{stem}.geojson", **wrong)


def test_annotations_need_polygons():
    with pytest.raises(TissueMaskError, match=r"pattern='\{stem\}\.png': expected a GeoJSON file"):
        Annotations("{stem}.png")


def test_the_choice_of_classes_is_part_of_the_cache_key(slide, tmp_path):
    (tmp_path / "a.geojson").write_text(json.dumps(feature(A, "Tumor")))
    choices = [{}, {"classes": ["Tumor"]}, {"exclude": ["Tumor"]}]
    recipes = [Recipe(0.5, 128, 128, tissue=Annotations(tmp_path / "a.geojson", **choice)) for choice in choices]
    keys = [json.dumps(recipe.settings(slide.path), sort_keys=True) for recipe in recipes]
    assert len(set(keys)) == 3
    again = pickle.loads(pickle.dumps(recipes[1])).settings(slide.path)
    assert json.dumps(again, sort_keys=True) == keys[1]


def test_a_png_mask_whose_checksum_fails_is_refused(slide, tmp_path):
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 16:48] = 255
    path = tmp_path / "mask.png"
    Image.fromarray(mask).save(path)
    whole = path.read_bytes()
    start = whole.index(b"IDAT") + 4
    for place in range(start, start + 20):
        damaged = bytearray(whole)
        damaged[place] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(TissueMaskError, match=r"mask\.png"):
            read_mask_image(str(path), slide)
