"""Compress slides to grids with an encoder."""

from sknic.compression.compressor import SlideCompressor
from sknic.compression.job import Outcome, Plan

__all__ = ["Outcome", "Plan", "SlideCompressor"]
