"""A file that is not a slide is named for what it is, with what converts it."""

import io
import tarfile
import unicodedata
import zipfile

import numpy as np
import pytest
import tifffile
from PIL import Image

from sknic.exceptions import ColorWarning, UnreadableSlideError
from sknic.slides import Slide

from .conftest import picture, write_generic

PIXELS = picture(256, 256)


def made(save, *arguments, **options):
    buffer = io.BytesIO()
    save(buffer, *arguments, **options)
    return buffer.getvalue()


def image(kind):
    return made(Image.fromarray(PIXELS).save, format=kind)


def tiff(pixels=PIXELS, **options):
    options = {"tile": (128, 128), "photometric": "rgb", "resolution": (2e4, 2e4), "resolutionunit": 3, **options}
    return made(tifffile.imwrite, pixels, **options)


def zipped(name):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, "x")
    return buffer.getvalue()


def tarred():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.svs"))
    return buffer.getvalue()


VIPS = r"; convert it with `vips tiffsave 'a\.svs' 'a\.tiff' --tile --pyramid"
CASES = {
    "empty": (b"", "is empty"),
    "zeros": (b"\0" * 9999, "nothing but zeros"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS.*git lfs pull"),
    "html": (b"<!DOCTYPE html>\n<html><body>Log in</body></html>", "web page"),
    "html upper": (b"\xef\xbb\xbf\n <HTML>", "web page"),
    "xhtml": (b"<?xml version='1.0'?><html>", "web page"),
    "xml": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "is XML"),
    "json": (b'{"error": "not found"}', "is text"),
    "text": ("Schnitt aus \u00c5rhus\n".encode() * 500, "is text"),
    "shortcut": (b"[InternetShortcut]\nURL=https://x", "link to a web page"),
    "xlsx": (zipped("xl/workbook.xml"), "Excel workbook"),
    "docx": (zipped("word/document.xml"), "Office document"),
    "zip": (zipped("slide.svs"), "ZIP archive; unpack"),
    "cut zip": (zipped("slide.svs")[:30], "ZIP archive; unpack"),
    "tar": (tarred(), "tar archive; unpack"),
    "gzip": (b"\x1f\x8b" + b"\1" * 99, "gzip; unpack"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + b"\1" * 99, "7z archive; unpack"),
    "jpeg": (image("JPEG"), "JPEG picture.*" + VIPS),
    "png": (image("PNG"), "PNG picture.*" + VIPS),
    "bmp": (image("BMP"), "BMP picture.*" + VIPS),
    "gif": (image("GIF"), "GIF picture.*" + VIPS),
    "webp": (image("WEBP"), "WebP picture.*" + VIPS),
    "jp2": (image("JPEG2000"), "JPEG 2000.*" + VIPS),
    "pdf": (b"%PDF-1.7\n" + b"\xff" * 99, "PDF"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + b"\0" * 99, "HDF5"),
    "lif": (b"\x70\0\0\0" + b"\1" * 99, r"Leica LIF.*bfconvert"),
    "strips": (tiff(tile=None), r"in strips.*vips"),
    "jpeg2000 tiles": (tiff(compression="jpeg2000"), "compressed as JPEG2000, which.*vips"),
    "jpegxl tiles": (tiff(compression="jpegxl"), "compressed as JPEGXL, which.*vips"),
    "lzma tiles": (tiff(compression="lzma"), "compressed as LZMA, which.*vips"),
    "big-endian": (tiff(byteorder=">"), "big-endian.*vips"),
    "cut": (tiff()[:60_000], "cut off|damaged"),
    "cut in the header": (tiff()[:100], "cut off|damaged"),
    "only a TIFF's first bytes": (b"II*\0\x08\0\0\0", "cut off|damaged"),
    "binary": (bytes(range(256)) * 40, "is not a slide in a format that OpenSlide reads"),
}


@pytest.mark.parametrize("kind", CASES)
def test_it_is_named_for_what_it_is(kind, tmp_path):
    content, expected = CASES[kind]
    path = tmp_path / "a.svs"
    path.write_bytes(content)
    with pytest.raises(UnreadableSlideError, match=rf"^{path}: .*({expected})") as info:
        Slide(path)
    assert "OpenSlide cannot open it" not in str(info.value)


@pytest.mark.parametrize("name, part", [("a.mrxs", "folder of the same name"), ("a.vms", "JPEG files")])
def test_a_part_of_a_slide_says_which_part_is_missing(name, part, tmp_path):
    (tmp_path / name).write_bytes(image("JPEG"))
    with pytest.raises(UnreadableSlideError, match=part):
        Slide(tmp_path / name)


def test_a_missing_file_says_what_may_be_meant(tmp_path):
    path = write_generic(tmp_path / "TCGA-A6-2671.tiff", PIXELS, levels=(1,))
    for wrong in ("TCGA-A6-2617.tiff", "tcga-a6-2671.tiff", "TCGA-A6-2671 .tiff", "TCGA-A6-2671.tif"):
        with pytest.raises(UnreadableSlideError, match=r"no such file; did you mean 'TCGA-A6-2671\.tiff'\?"):
            Slide(tmp_path / wrong)
    with pytest.raises(UnreadableSlideError, match=r"other\.svs: no such file$"):
        Slide(tmp_path / "other.svs")
    with pytest.raises(UnreadableSlideError, match=rf"no such file, nor its folder {tmp_path / 'not'}$"):
        Slide(tmp_path / "not" / "there" / "a.svs")
    assert Slide(path).path == path


@pytest.mark.parametrize("on_disk, given", [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_in_either_form_are_one_name(on_disk, given, tmp_path):
    name = "Gew\u00e9be \u00e4.tiff"
    path = write_generic(tmp_path / unicodedata.normalize(on_disk, name), PIXELS, levels=(1,))
    with Slide(tmp_path / unicodedata.normalize(given, name)) as slide:
        assert slide.file == path


def opened(tmp_path, pixels, **options):
    path = tmp_path / "a.tiff"
    path.write_bytes(tiff(pixels, **options))
    return Slide(path)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_values_of_fewer_bits_than_they_are_stored_in_are_refused(bits, tmp_path):
    pixels = (PIXELS.astype(np.uint32) * (2**bits - 1) // 255).astype(np.uint16)
    with pytest.raises(
        UnreadableSlideError, match=rf"so they have {bits} bits and .* `vips linear .* {255 / (2**bits - 1):.5g} 0"
    ):
        opened(tmp_path, pixels, compression="zlib")


def test_full_16_bit_values_are_read_as_8(tmp_path):
    with opened(tmp_path, PIXELS.astype(np.uint16) * 257) as slide:
        np.testing.assert_array_equal(slide.read(0, 0, 256, 256), PIXELS)


def test_pixels_without_color_warn(tmp_path):
    with pytest.warns(ColorWarning, match=r"a\.tiff: its pixels have one gray channel"):
        opened(tmp_path, PIXELS[..., 0], photometric="minisblack")


@pytest.mark.parametrize("channels", [2, 5])
def test_channels_that_are_not_colors_are_refused(channels, tmp_path):
    pixels = np.repeat(PIXELS[..., :1], channels, axis=2)
    with pytest.raises(UnreadableSlideError, match=f"{channels} channels"):
        opened(tmp_path, pixels, photometric="minisblack", planarconfig="contig")


def test_fractions_are_refused(tmp_path):
    with pytest.raises(UnreadableSlideError, match="32-bit fractions"):
        opened(tmp_path, PIXELS.astype(np.float32) / 255)
