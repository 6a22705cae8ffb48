"""A DICOM series is one slide, by whichever of its files or by its folder."""

import os
import shutil

import numpy as np
import pytest

from sknic import MeanRGBEncoder, SlideCompressor
from sknic.cli.inputs import find_slides
from sknic.datasets.slide_files import walk
from sknic.exceptions import InvalidMppError, UnreadableSlideError
from sknic.slides import Slide, main_file, one_per_slide, slide_files
from sknic.slides.dicom import series_uid

from .conftest import write_generic
from .dicom_file import element, sequence, write_level, write_series


def pixels(value=100):
    image = np.full((256, 256, 3), 240, np.uint8)
    image[64:192, 64:192] = (190, value, 170)
    return image


@pytest.fixture
def series(tmp_path):
    return write_series(tmp_path / "case", pixels())


def test_each_file_and_the_folder_are_the_same_slide(series, tmp_path):
    for path in [*series, tmp_path / "case"]:
        with Slide(path) as slide:
            assert slide.level_dimensions == ((256, 256), (128, 128))
            assert slide.mpp == pytest.approx(0.5)
            assert slide.file == series[0]
            assert slide.path == str(path)
            assert slide.read(100, 100, 1, 1).tolist() == [[[190, 100, 170]]]


def test_a_walk_counts_a_series_once(series, tmp_path):
    other = write_series(tmp_path / "case", pixels(), series="5.6")  # files of the same names: another series now
    assert walk(tmp_path) == [other[0]]
    second = write_level(tmp_path / "case" / "z.dcm", pixels(), series="7.8")
    assert walk(tmp_path) == [other[0], second]
    for given in ([str(tmp_path)], [str(tmp_path / "case" / "*.dcm")], [*other, second]):
        assert find_slides(given) == [other[0], second]


def test_a_folder_of_two_series_wants_a_file(series, tmp_path):
    second = write_level(tmp_path / "case" / "second.dcm", pixels(), series="7.8")
    assert slide_files(second) == [second]
    with pytest.raises(UnreadableSlideError, match="folder of 2 DICOM series; name a file of one"):
        Slide(tmp_path / "case")


def test_the_same_series_in_two_folders_is_two_slides(series, tmp_path):
    copies = write_series(tmp_path / "copy", pixels())
    assert one_per_slide([*series, *copies]) == [series[0], copies[0]]


def test_all_files_of_a_series_decide_its_grid(series, tmp_path):
    compressor = SlideCompressor(
        MeanRGBEncoder().fit(), patch_size=32, mpp=0.5, tissue=None, cache_dir=tmp_path / "cache"
    )
    by_any = compressor.compress([*series, str(tmp_path / "case")])
    assert [outcome.status for outcome in by_any] == ["done", "cached", "cached"]
    assert len({outcome.grid.path for outcome in by_any}) == 1
    before = by_any[0].grid.embeddings.mean()
    for level, factor in zip(series, (1, 2)):  # each file in turn is exported anew
        write_level(tmp_path / "case" / os.path.basename(level), pixels(30)[::factor, ::factor], mpp=0.5 * factor,
                    instance=str(factor), number=factor)  # fmt: skip
        (outcome,) = compressor.compress(series[1:])
        assert outcome.status == "done"
    assert abs(outcome.grid.embeddings.mean() - before) > 0.01


@pytest.mark.parametrize("content", [b"", b"x" * 200, b"\0" * 128 + b"DICM", b"\0" * 128 + b"DICM" + b"\xff" * 64])
def test_what_is_not_dicom_has_no_series(content, tmp_path):
    path = tmp_path / "a.dcm"
    path.write_bytes(content)
    assert series_uid(path) is None
    assert main_file(path) == str(path)


def test_headers_with_implicit_types_are_read(tmp_path):
    meta = element(2, 0x10, "UI", "1.2.840.10008.1.2")
    nested = element(0x20, 0x0E, "UI", "9.9", implicit=True)
    item = b"\xfe\xff\x00\xe0" + len(nested).to_bytes(4, "little") + nested
    data = element(8, 0x1115, "SQ", item, implicit=True) + element(0x20, 0x0E, "UI", "1.2.3", implicit=True)
    path = tmp_path / "a.dcm"
    path.write_bytes(b"\0" * 128 + b"DICM" + meta + data)
    assert series_uid(path) == "1.2.3"


def test_a_nested_series_is_not_the_files_own(tmp_path):
    for undefined in (False, True):
        data = sequence(8, 0x1115, element(0x20, 0x0E, "UI", "9.9"), undefined=undefined)
        path = tmp_path / f"{undefined}.dcm"
        path.write_bytes(b"\0" * 128 + b"DICM" + data + element(0x20, 0x0E, "UI", "1.2"))
        assert series_uid(path) == "1.2"


def test_pixels_of_dicom_that_are_not_square_are_refused(tmp_path):
    path = tmp_path / "a.dcm"
    write_level(path, pixels())
    path.write_bytes(path.read_bytes().replace(b"0.0005\\0.0005", b"0.0005\\0.0007"))
    with pytest.raises(InvalidMppError, match="expected square pixels"):
        Slide(path)
    with Slide(path, mpp=0.5) as slide:
        assert slide.mpp == 0.5


def test_a_folder_that_is_no_slide_and_other_files_stay_what_they_are(tmp_path):
    path = write_generic(tmp_path / "a.tiff", pixels())
    assert one_per_slide([path, path + "x"]) == [path, path + "x"]
    with pytest.raises(UnreadableSlideError, match="is a folder, not a slide"):
        Slide(tmp_path)
    shutil.rmtree(tmp_path)
    with pytest.raises(UnreadableSlideError, match="no such file"):
        Slide(tmp_path)
