"""Why a slide has no cells, and what to do about it."""

import numpy as np

from sknic.slides.tissue import BY_THUMBNAIL

# Brightness, of 255, that glass of bright-field slides exceeds by far and the ground of fluorescence never reaches.
DARK = 40
_LOOK = 256


def why_empty(slide, lattice, recipe):
    """Return the reason why no patch of a slide counts as tissue.

    Parameters
    ----------
    slide : Slide
        Open slide.
    lattice : Lattice
        Patches of the slide.
    recipe : Recipe
        Settings of the compression.

    Returns
    -------
    str
        Reason, as part of a sentence.
    """
    if 0 in lattice.shape:
        width, height = slide.size(recipe.mpp)
        return f"the slide is smaller than a patch, {width} x {height} px at {recipe.mpp:g} um/px"
    if recipe.tissue is not None and recipe.tissue not in BY_THUMBNAIL:
        return f"the given mask covers no patch by more than {recipe.min_tissue:.0%}"
    image, _ = slide.thumbnail(_LOOK)
    if np.median(image) < DARK:
        return (
            "most of the slide is nearly black, as in fluorescence or where nothing was scanned; only "
            "stained tissue on bright glass is detected, anything else needs a mask (tissue='{stem}.png')"
        )
    if recipe.tissue is None:
        return "the mean pixel of every patch is at least 245, which means blank glass"
    return (
        f"no patch is more than {recipe.min_tissue:.0%} stained tissue; if there is some, lower min_tissue "
        "or mark it with a mask (tissue='{stem}.png')"
    )
