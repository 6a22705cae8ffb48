"""Pixels of whole-slide images: patches at any um/px, and where the tissue is."""

from sknic.slides.annotations import Annotations
from sknic.slides.lattice import Lattice
from sknic.slides.location import located, main_file, one_per_slide, slide_files
from sknic.slides.mask_files import mask_path
from sknic.slides.patches import PatchReader
from sknic.slides.slide import Slide
from sknic.slides.tissue import TissueMask, is_background, tissue_mask

__all__ = [
    "Annotations",
    "Lattice",
    "PatchReader",
    "Slide",
    "TissueMask",
    "is_background",
    "located",
    "main_file",
    "mask_path",
    "one_per_slide",
    "slide_files",
    "tissue_mask",
]
