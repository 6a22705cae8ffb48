"""Information on the tiles of a TIFF from its directory, without reading pixels."""

import os

import tifffile

from sknic.exceptions import UnreadableSlideError

# No scanner writes larger tiles; OpenSlide ends the process when it cannot allocate one.
MAX_TILE_PIXELS = 2**26


def is_tiff(properties):
    """Whether a slide with these OpenSlide properties is a TIFF, SVS or the like."""
    return "tiff.ResolutionUnit" in properties


def tiled_pages(path):
    """The directories of a TIFF that describe tiles, as far as they can be read; list of `tifffile.TiffPage`."""
    try:
        with tifffile.TiffFile(path) as file:
            return [page for page in file.pages if page.is_tiled and _is_sound(page)]
    # tifffile meets damage with many kinds of errors; OpenSlide opened the file, and judges it.
    except Exception:
        return []


def _is_sound(page):
    """Whether the numbers of a directory are numbers, because damage may change the type of a tag."""
    numbers = (page.imagewidth, page.imagelength, page.tilewidth, page.tilelength)
    numbers = (*numbers, *page.dataoffsets, *page.databytecounts)
    page.colormap  # noqa: B018  read while the file is open
    return all(isinstance(number, int) for number in numbers) and isinstance(page.jpegtables, bytes | None)


def check_tiles(path):
    """Refuse tiles that are absurdly large or outside the file, which happens if the file was cut off.

    Raises
    ------
    UnreadableSlideError
    """
    n_bytes = os.path.getsize(path)
    for page in tiled_pages(path):
        if page.tilewidth * page.tilelength > MAX_TILE_PIXELS:
            raise UnreadableSlideError(f"{path}: its header states tiles of {page.tilewidth} x {page.tilelength} px")
        end = max((start + n for start, n in zip(page.dataoffsets, page.databytecounts) if n), default=0)
        if end > n_bytes:
            raise UnreadableSlideError(f"{path}: damaged or cut off: it has {n_bytes} bytes, and a tile ends at {end}")
