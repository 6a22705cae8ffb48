"""Encoders: patches to embeddings, learnt with labels or without, or read from a file."""

from sknic.encoders.files import load_encoder
from sknic.encoders.keras_h5 import KerasEncoder
from sknic.encoders.mean_rgb import MeanRGBEncoder
from sknic.encoders.multitask import MultitaskEncoder

__all__ = [
    "KerasEncoder",
    "MeanRGBEncoder",
    "MultitaskEncoder",
    "load_encoder",
]
