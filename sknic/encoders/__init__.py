"""Encoders: patches to embeddings, learnt with labels or without, or read from a file."""

from sknic.encoders.bigan import BiGANEncoder
from sknic.encoders.contrastive import ContrastiveEncoder
from sknic.encoders.files import load_encoder
from sknic.encoders.keras_h5 import KerasEncoder
from sknic.encoders.mean_rgb import MeanRGBEncoder
from sknic.encoders.multitask import MultitaskEncoder
from sknic.encoders.torch_module import TorchEncoder
from sknic.encoders.vae import VAEEncoder

__all__ = [
    "BiGANEncoder",
    "ContrastiveEncoder",
    "KerasEncoder",
    "MeanRGBEncoder",
    "MultitaskEncoder",
    "TorchEncoder",
    "VAEEncoder",
    "load_encoder",
]
