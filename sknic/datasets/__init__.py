"""Synthetic cohorts and patches to try everything with, and readers for real data sets."""

from sknic.datasets.cohort import Cohort, read_cohort
from sknic.datasets.drawing.grid_cohort import GridCohort, make_grid_cohort
from sknic.datasets.drawing.histology import make_histology_cohort
from sknic.datasets.drawing.mosaic import make_mosaic_cohort
from sknic.datasets.drawing.patch_tasks import PatchTasks, make_patch_tasks
from sknic.datasets.drawing.sources import split_groups
from sknic.datasets.patch_folder import load_patch_folder
from sknic.datasets.pyramid import write_pyramid
from sknic.datasets.tcga import load_tcga_survival
from sknic.datasets.tupac16 import load_tupac16

__all__ = [
    "Cohort",
    "GridCohort",
    "PatchTasks",
    "load_patch_folder",
    "load_tcga_survival",
    "load_tupac16",
    "make_grid_cohort",
    "make_histology_cohort",
    "make_mosaic_cohort",
    "make_patch_tasks",
    "read_cohort",
    "split_groups",
    "write_pyramid",
]
