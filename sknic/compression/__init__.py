"""Slides and an encoder make grids."""

from sknic.compression.compressor import SlideCompressor
from sknic.compression.job import Outcome, Plan

__all__ = ["Outcome", "Plan", "SlideCompressor"]
