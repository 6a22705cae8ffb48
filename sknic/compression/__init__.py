"""Slides and an encoder make grids."""

from sknic.compression.cohort import Plan, compress_cohort, plan_cohort
from sknic.compression.compressor import SlideCompressor

__all__ = ["Plan", "SlideCompressor", "compress_cohort", "plan_cohort"]
