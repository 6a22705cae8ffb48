"""Encoders turn patches into embeddings: learnt with or without labels, or read from a file."""

from sknic.encoders.base import BaseEncoder
from sknic.encoders.bigan import BiGANEncoder
from sknic.encoders.catalog import list_encoders
from sknic.encoders.contrastive import ContrastiveEncoder
from sknic.encoders.files import load_encoder
from sknic.encoders.keras_h5 import KerasEncoder
from sknic.encoders.mean_rgb import MeanRGBEncoder
from sknic.encoders.multitask import MultitaskEncoder
from sknic.encoders.network_encoder import NetworkEncoder
from sknic.encoders.torch_module import TorchEncoder
from sknic.encoders.vae import VAEEncoder

__all__ = [
    "BaseEncoder",
    "BiGANEncoder",
    "ContrastiveEncoder",
    "KerasEncoder",
    "MeanRGBEncoder",
    "MultitaskEncoder",
    "NetworkEncoder",
    "TorchEncoder",
    "VAEEncoder",
    "list_encoders",
    "load_encoder",
]
