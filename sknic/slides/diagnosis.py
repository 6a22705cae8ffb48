"""Explain from a file's first bytes why OpenSlide does not open it, and how to convert it."""

import os
import zipfile

import tifffile

# Bytes at the start of a file, what they mean, and the program that converts it.
_VIPS, _BIOFORMATS = "vips", "bioformats"
_SIGNATURES = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the slide itself; fetch it with `git lfs pull`", None),
    (b"bplist00", "is an iCloud placeholder, not the slide itself; download it first", None),
    (b"[InternetShortcut]", "is a link to a web page, not a slide; download the slide itself", None),
    (b"\xff\xd8\xff", "is a JPEG picture, without the tiles and levels of a slide", _VIPS),
    (b"\x89PNG\r\n", "is a PNG picture, without the tiles and levels of a slide", _VIPS),
    (b"GIF8", "is a GIF picture, not a slide", _VIPS),
    (b"BM", "is a BMP picture, without the tiles and levels of a slide", _VIPS),
    (b"\x00\x00\x00\x0cjP  ", "is a JPEG 2000 picture, which OpenSlide does not read", _VIPS),
    (b"\xff\x4f\xff\x51", "is a JPEG 2000 codestream, which OpenSlide does not read", _VIPS),
    (b"ZISRAW", "is a Zeiss CZI whose pixels OpenSlide does not read", _BIOFORMATS),
    (b"\x89HDF\r\n", "is an HDF5 file: features or a grid, not a slide", None),
    (b"\x70\x00\x00\x00", "looks like a Leica LIF, which OpenSlide does not read", _BIOFORMATS),
    (b"\xda\xce\xbe\x0a", "is a Nikon ND2, which OpenSlide does not read", _BIOFORMATS),
    (b"%PDF", "is a PDF, not a slide", None),
    (b"\x1f\x8b", "is compressed with gzip; unpack it first", None),
    (b"BZh", "is compressed with bzip2; unpack it first", None),
    (b"\xfd7zXZ", "is compressed with xz; unpack it first", None),
    (b"7z\xbc\xaf", "is a 7z archive; unpack it first", None),
    (b"Rar!", "is a RAR archive; unpack it first", None),
)
_HTML = (b"<!doctype html", b"<html", b"<head")
# Formats whose pixels lie in other files than the one that is opened.
_COMPANIONS = {
    ".mrxs": "the folder of the same name, with Slidedat.ini",
    ".vms": "the JPEG files that it names",
    ".vmu": "the NGR files that it names",
}
# Codecs of TIFF that OpenSlide decodes; Aperio's JPEG 2000 has numbers of its own.
_KNOWN_CODECS = {1, 5, 6, 7, 8, 32773, 32946, 33003, 33005, 50000}


def diagnose(path):
    """Return why OpenSlide does not open a file, and the remedy.

    Parameters
    ----------
    path : str
        An existing file.

    Returns
    -------
    str or None
        A sentence without its subject, such as "is empty"; None if the reason is unknown.
    """
    try:
        size = os.path.getsize(path)
        with open(path, "rb") as file:
            head = file.read(4096)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if not size:
        return "is empty (0 bytes): a download or a copy failed"
    suffix = os.path.splitext(path)[1].lower()
    if suffix in _COMPANIONS:
        return f"is only one part of a slide; {_COMPANIONS[suffix]} must be in the same folder"
    if not any(head):
        return "begins with nothing but zeros: a download or a copy did not finish"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:512].lower()
    if start.startswith(_HTML) or (start.startswith(b"<?xml") and b"<html" in start):
        return "is a web page (HTML): the download needed a login or failed"
    if start.startswith(b"<?xml"):
        return "is XML, not a slide: metadata, or an error message from a server"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return _diagnose_tiff(path, size, big_endian=head[:2] == b"MM")
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return _diagnose_zip(path)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return f"is a WebP picture, not a slide{_remedy(path, _VIPS)}"
    if head[257:262] == b"ustar":
        return "is a tar archive; unpack it first"
    for signature, meaning, converter in _SIGNATURES:
        if head.startswith(signature):
            return meaning + _remedy(path, converter)
    return "is text, not a slide" if _is_text(head) else None


def _remedy(path, converter):
    stem, suffix = os.path.splitext(os.path.basename(path))
    if converter == _VIPS:
        made = f"{stem}{'-tiled' if suffix.lower() in ('.tif', '.tiff') else ''}.tiff"
        return (
            f"; convert it with `vips tiffsave '{stem}{suffix}' '{made}' --tile --pyramid --compression jpeg`, "
            "and state its um/px"
        )
    if converter == _BIOFORMATS:
        return f"; convert it with Bio-Formats: `bfconvert -tilex 512 -tiley 512 '{stem}{suffix}' '{stem}.ome.tiff'`"
    return ""


def _diagnose_zip(path):
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        names = []
    if any(name.startswith("xl/") for name in names):
        return "is an Excel workbook, not a slide"
    if any(name.startswith(("word/", "ppt/")) for name in names):
        return "is an Office document, not a slide"
    return "is a ZIP archive; unpack it first"


def _diagnose_tiff(path, size, big_endian):
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            tiled, codec, ends = page.is_tiled, int(page.compression), _end_of_data(page)
    except Exception:  # tifffile meets damage with many kinds of errors
        return f"is a TIFF that is damaged or cut off at {size:,} bytes; copy it again"
    if ends > size:
        return f"is a TIFF that was cut off: it has {size:,} bytes, and its pixels end at {ends:,}; copy it again"
    if not tiled:
        return "is a TIFF in strips, but OpenSlide reads only tiles" + _remedy(path, _VIPS)
    if codec not in _KNOWN_CODECS:
        name = getattr(tifffile.COMPRESSION, "_value2member_map_", {}).get(codec)
        name = name.name.replace("_", " ") if name else f"number {codec}"
        return f"is a TIFF whose tiles are compressed as {name}, which OpenSlide does not decode{_remedy(path, _VIPS)}"
    if big_endian:
        return "is a big-endian TIFF, which OpenSlide does not open" + _remedy(path, _VIPS)
    return None


def _end_of_data(page):
    return max((start + n for start, n in zip(page.dataoffsets, page.databytecounts) if n), default=0)


def _is_text(head):
    try:
        text = head.decode("utf-8", "strict" if len(head) < 4096 else "ignore")
    except UnicodeDecodeError:
        return False
    return all(sign.isprintable() or sign in "\r\n\t\f" for sign in text)
