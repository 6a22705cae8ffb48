"""Where the tissue is: from the thumbnail, from a mask, or from the brightness of patches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np
from skimage.filters import threshold_otsu
from skimage.morphology import remove_small_holes, remove_small_objects

from sknic.exceptions import TissueMaskError, TissueWarning, warn
from sknic.slides.annotations import SUFFIXES, Annotations
from sknic.slides.mask_files import mask_path, read_mask_image
from sknic.slides.tissue_density import MIN_HOLE, MIN_OBJECT, density_mask

if TYPE_CHECKING:
    from sknic.slides import Lattice, Slide


# The thumbnail is looked at near this um/px, within a range of sizes.
THUMBNAIL_MPP = 8.0
THUMBNAIL_SIZES = (256, 4096)
# Otsu always finds two classes, even in blank glass or in tissue that fills the slide. Glass, with its JPEG noise and
# tint, stays below the lower saturation, and hardly any stained tissue lies below the upper one.
SATURATION_RANGE = (0.04, 0.12)
# A mask of less than this gives no cell at the usual patch of 64 um, of which 60 % must be tissue, um2.
LEAST_AREA = 0.6 * 64.0**2


class TissueMask:
    """A picture of the whole slide that marks the tissue.

    Parameters
    ----------
    mask : bool array (h, w)
        Tissue over the whole slide; its corner is the corner of the slide's bounds.
    mpp : float
        um per px of the mask.
    """

    def __init__(self, mask: np.ndarray, mpp: float) -> None:
        self.mask = np.asarray(mask, dtype=bool)
        self.mpp = float(mpp)
        if self.mask.ndim != 2 or not self.mask.size:
            raise TissueMaskError(f"mask has shape {self.mask.shape}; expected (h, w)")
        if not (np.isfinite(self.mpp) and self.mpp > 0):
            raise TissueMaskError(f"mask has mpp={mpp!r}; expected a positive number of um per px")

    def coverage(self, lattice: Lattice) -> np.ndarray:
        """Share of tissue in each patch.

        Parameters
        ----------
        lattice : Lattice
            Patches of the slide.

        Returns
        -------
        float32 array (rows, columns)
            Mean of the mask over the patch, exact to fractions of mask pixels; outside the mask there is no tissue.
        """
        rows, columns = lattice.shape
        tops, bottoms = self._edges(lattice, rows)
        lefts, rights = self._edges(lattice, columns)
        coverage = np.empty((rows, columns), np.float32)
        for row in range(rows):
            profile = _mean_of_rows(self.mask, tops[row], bottoms[row])
            area = np.concatenate([[0.0], np.cumsum(profile)])
            at = np.arange(len(area))
            coverage[row] = (np.interp(rights, at, area) - np.interp(lefts, at, area)) / (rights - lefts)
        return coverage

    def _edges(self, lattice, n):
        """Start and end of each patch of a row or column, in px of the mask."""
        shrink = lattice.mpp / self.mpp
        starts = np.arange(n) * (lattice.stride * shrink)
        return starts, starts + lattice.patch_size * shrink

    def __repr__(self):
        height, width = self.mask.shape
        return f"<TissueMask {width} x {height} px at {self.mpp:.4g} um/px, {self.mask.mean():.1%} tissue>"


def _mean_of_rows(mask, top, bottom):
    """Mean of the rows from `top` to `bottom`, where the first and the last row may count in part; float array (w,)."""
    first, last = int(top), min(int(np.ceil(bottom)), len(mask))
    rows = np.arange(first, last)
    weights = np.minimum(rows + 1, bottom) - np.maximum(rows, top)
    return weights @ mask[first:last] / (bottom - top)


Method = str | Path | Annotations | Callable | None
# Ways to find tissue on the thumbnail of a slide.
BY_THUMBNAIL = ("density", "otsu")


@overload
def tissue_mask(slide: Slide, method: None) -> None: ...
@overload
def tissue_mask(slide: Slide, method: str | Path | Annotations | Callable = "density") -> TissueMask: ...
def tissue_mask(slide: Slide, method: Method = "density") -> TissueMask | None:
    """Find the tissue of a slide.

    Parameters
    ----------
    slide : Slide
        Open slide.
    method : {"density", "otsu"}, None, str, Annotations or callable, default="density"
        "density": Li's threshold on the optical density of a thumbnail at about 8 um/px, relative to the glass of this
        slide; unscanned pixels and felt-tip pen are left out. "otsu": Otsu's threshold on the saturation of the
        same thumbnail, kept between 0.04 and 0.12. Both remove specks and holes below 5000 um2. A pattern such as
        "{stem}.png" or "masks/{stem}.geojson": a mask image over the whole slide, or polygons exported by QuPath
        (`Annotations` selects classes). A function from the slide to a bool array over the whole slide,
        or to (array, um/px).

    Returns
    -------
    TissueMask or None
        None if `method` is None.

    Raises
    ------
    TissueMaskError
        If a mask is missing or damaged, or does not have the shape of the slide.

    Warns
    -----
    TissueWarning
        If a given mask covers nothing, less than one patch, or the whole slide.
    """
    if method is None:
        return None
    if isinstance(method, str) and method in BY_THUMBNAIL:
        image, mpp = _thumbnail(slide)
        return TissueMask((density_mask if method == "density" else saturation_mask)(image, mpp), mpp)
    if callable(method):
        return _given_mask(slide, method(slide))
    if isinstance(method, (str, Path)) and str(method).lower().endswith(SUFFIXES):
        method = Annotations(method)
    if isinstance(method, Annotations):
        mask = _given_mask(slide, method.read(slide), method.path(slide.path))
        _doubt(mask, f"{method.path(slide.path)} of {slide.path}", lambda: method.class_names(slide))
        return mask
    if isinstance(method, (str, Path)):
        path = mask_path(method, slide.path)
        mask = _given_mask(slide, read_mask_image(path, slide), path)
        _doubt(mask, f"{path} of {slide.path}")
        return mask
    raise TissueMaskError(
        f"tissue={method!r}: expected 'density', 'otsu', None, a function, or a pattern such as '{{stem}}.png'"
    )


def _doubt(mask, source, class_names=list):
    """Warn if the mask from a file covers nothing, or too much."""
    area = np.count_nonzero(mask.mask) * mask.mpp**2
    if area >= LEAST_AREA and not mask.mask.all():
        return
    covered = "the whole slide" if mask.mask.all() else f"only {area:.4g} um2, less than a patch" if area else "nothing"
    names = class_names()
    classes = f"; the classes of its polygons are {', '.join(names)}" if names else ""
    warn(f"the tissue mask {source} covers {covered}{classes}", TissueWarning)


def _thumbnail(slide):
    """The slide at about `THUMBNAIL_MPP`, and its um/px."""
    longest = max(slide.dimensions) * slide.mpp / THUMBNAIL_MPP
    return slide.thumbnail(int(np.clip(np.ceil(longest), *THUMBNAIL_SIZES)))


def saturation_mask(image: np.ndarray, mpp: float) -> np.ndarray:
    """Find the tissue of a thumbnail by Otsu's threshold on saturation; see `tissue_mask`.

    Parameters
    ----------
    image : uint8 array (h, w, 3)
        Thumbnail, RGB.
    mpp : float
        um per px of the thumbnail.

    Returns
    -------
    bool array (h, w)
    """
    saturation = _saturation(image)
    low, high = (round(255 * limit) for limit in SATURATION_RANGE)
    mask = saturation > np.clip(threshold_otsu(saturation) if np.ptp(saturation) else high, low, high)
    mask = remove_small_objects(mask, max_size=int(MIN_OBJECT / mpp**2))
    return remove_small_holes(mask, max_size=int(MIN_HOLE / mpp**2))


def _saturation(image):
    """HSV saturation, uint8 (h, w); in integers, because a thumbnail in floats takes a tenth of a gigabyte."""
    brightest, darkest = image.max(axis=2), image.min(axis=2)
    return ((brightest - darkest) * np.uint16(255) // np.maximum(brightest, 1)).astype(np.uint8)


def _given_mask(slide, answer, source="the tissue function"):
    """TissueMask of a bool array over the whole slide, or of (array, um/px)."""
    mask, mpp = answer if isinstance(answer, tuple) else (answer, None)
    mask = np.asarray(mask)
    if mask.ndim != 2 or not mask.size:
        raise TissueMaskError(f"{source} gave a mask of shape {mask.shape} for {slide.path}; expected (h, w)")
    if mask.dtype.kind not in "biuf":
        raise TissueMaskError(f"{source} gave a mask of {mask.dtype} for {slide.path}; expected bools or numbers")
    width, height = (length * slide.mpp for length in slide.dimensions)
    if mpp is None:
        mpp = max(width / mask.shape[1], height / mask.shape[0])
    # A mask that was scaled and rounded may miss a pixel, and one that covers another slide misses many.
    wanted = height / mpp, width / mpp
    if any(abs(have - want) > 2 + 0.02 * want for have, want in zip(mask.shape, wanted)):
        raise TissueMaskError(
            f"{source} gave a mask of {mask.shape[1]} x {mask.shape[0]} px for {slide.path}, whose sides are as "
            f"{slide.dimensions[0]} to {slide.dimensions[1]}; expected about {wanted[1]:.0f} x {wanted[0]:.0f} px"
        )
    return TissueMask(mask > 0, mpp)


def is_background(patches: np.ndarray, threshold: float = 245) -> np.ndarray:
    """Find blank patches, whose mean pixel is at least `threshold`: the paper's rule when there is no mask.

    Parameters
    ----------
    patches : uint8 array (n, h, w, 3)
        Patches, RGB.
    threshold : float, default=245
        Brightness from 0 to 255.

    Returns
    -------
    bool array (n,)
    """
    patches = np.asarray(patches)
    sums = patches.sum(axis=(1, 2, 3), dtype=np.uint64)
    return sums >= threshold * np.prod(patches.shape[1:])
