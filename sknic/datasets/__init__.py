"""Embedded cohorts, patches and readers: data to try everything on, and the doors to the real thing."""

from sknic.datasets.cohort import Cohort, read_cohort
from sknic.datasets.histology import make_histology_cohort
from sknic.datasets.pyramid import write_pyramid

__all__ = ["Cohort", "make_histology_cohort", "read_cohort", "write_pyramid"]
