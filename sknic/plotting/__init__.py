"""Plots of slides, grids and results; every display takes `ax`, and none calls `show`."""

from sknic.plotting.decisions import DecisionCurveDisplay, RejectionDisplay
from sknic.plotting.grids import FeatureMapsDisplay, GridDisplay, pca_rgb
from sknic.plotting.learning_curve import LearningCurveDisplay
from sknic.plotting.overlay import overlay
from sknic.plotting.overlay_tiff import write_overlay
from sknic.plotting.patches import PatchGalleryDisplay
from sknic.plotting.results import RocDisplay, ScatterDisplay
from sknic.plotting.slides import SaliencyDisplay, TissueDisplay
from sknic.plotting.survival import KaplanMeierDisplay

__all__ = [
    "DecisionCurveDisplay",
    "FeatureMapsDisplay",
    "GridDisplay",
    "KaplanMeierDisplay",
    "LearningCurveDisplay",
    "PatchGalleryDisplay",
    "RejectionDisplay",
    "RocDisplay",
    "SaliencyDisplay",
    "ScatterDisplay",
    "TissueDisplay",
    "overlay",
    "pca_rgb",
    "write_overlay",
]
