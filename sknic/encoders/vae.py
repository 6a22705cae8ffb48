"""VAEEncoder: an encoder that learns to reconstruct patches from their codes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sknic.encoders.augmentation import resolve_augmentation
from sknic.encoders.inference import check_patches
from sknic.encoders.learning import TRAINED_RULES, UnsupervisedEncoder, Views
from sknic.encoders.networks import SLOPE, Chain, Generator, encoder_layers, keras_init
from sknic.encoders.sampling import Patches
from sknic.learning.net import history
from sknic.learning.params import Rule, real

FILTERS = (32, 64, 128, 256, 512)
HIDDEN = 512
# A decoder that explains less of the pixels than this has learnt their mean at most.
MIN_EXPLAINED = 0.1


def vae_layers(code_size, input_size):
    """Layers from patches to the mean of their code: five strided convolutions, 512 units, the code."""
    *body, (_, linear) = encoder_layers(HIDDEN, input_size, FILTERS)
    return [
        *body,
        ("linear", linear),
        ("leaky_relu", {"negative_slope": SLOPE}),
        ("linear", {"in_features": HIDDEN, "out_features": code_size}),
    ]


class VAEModule(nn.Module):
    """Encoder, spread of the code, and decoder."""

    def __init__(self, code_size, input_size, augment, gamma):
        super().__init__()
        self.views = Views(input_size, augment)
        self.network = Chain(vae_layers(code_size, input_size)).apply(keras_init)
        self.network.to(memory_format=torch.channels_last)
        self.log_variance = nn.Linear(HIDDEN, code_size)
        self.decoder = Generator(code_size, input_size)
        self.gamma = gamma

    def forward(self, patches):
        x = features = self.views(patches)
        *body, to_mean = self.network
        for layer in body:
            features = layer(features)
        mean, log_variance = to_mean(features), self.log_variance(features).clamp(-10, 10)
        code = mean + torch.randn_like(mean) * torch.exp(log_variance / 2) if self.training else mean
        return {"image": x, "drawn": self.decoder(code), "mean": mean, "log_variance": log_variance}

    def losses(self, output, targets):
        """Mean squared error of the pixels (-1 to 1), and divergence of the code from the normal distribution."""
        mean, log_variance = output["mean"], output["log_variance"]
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2
        return {"reconstruction": F.mse_loss(output["drawn"], output["image"]), "divergence": divergence}

    def total(self, losses):
        """The number to minimize."""
        return losses["reconstruction"] + self.gamma * losses["divergence"]


class VAEEncoder(UnsupervisedEncoder):
    """Variational autoencoder (neural image compression, [1]_): a baseline of the paper's section 4.5.

    Parameters
    ----------
    code_size : int, default=128
        Length C of an embedding, which is the mean of the code.
    gamma : float, default=5e-5
        Weight of the code's divergence from the normal distribution, relative to the mean squared error of the pixels.
    mpp : float, default=0.5
        um per px of the patches.
    augmentation : {"heavy", "strong", "light", "mild"}, callable or None, default="light"
        Random changes of the training patches. A callable takes and returns float tensors (n, 3, size, size) from 0
        to 1, on the training device. The augmented patch is the one to reconstruct.
    max_steps : int, default=10000
        Maximum number of training batches.
    eval_every : int, default=100
        Number of training batches between two evaluations on the validation patches.
    batch_size : int, default=64
        Number of patches per batch.
    lr : float, default=1e-3
        Highest learning rate; it is divided by 10 on each plateau of the validation loss.
    min_lr : float, default=1e-5
        Lowest learning rate; the first plateau there ends the training.
    patience : int or None, default=8
        Number of evaluations without a better validation loss that count as a plateau; None keeps the learning rate.
    validation_fraction : float, default=0.2
        Fraction of the patches held out.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Number format of the network's computation in training; the weights are float32. "auto" is bfloat16 if the CPU
        or GPU supports it natively.
    device : "auto", "cpu", "cuda", "cuda:<n>" or torch.device, default="auto"
        Device of the training and of `transform`; "auto" is CUDA if available.
    n_threads : int or None, default=None
        Number of CPU threads of the training. None is torch's own number, or one inside a parallel joblib task.
    random_state : int, RandomState or None, default=None
        Seed of the split, the weights, the batches and the augmentation.
    verbose : int, default=0
        Verbosity; above 0, one line is printed per evaluation.

    Attributes
    ----------
    network_ : Chain
        Trained encoder network.
    decoder_ : Generator
        Network from codes to patches; not saved in the file.
    explained_variance_ : float
        Fraction of the held-out pixels' variance about their mean color that the reconstructed patches explain.
    effective_dimension_ : float
        Number of dimensions that the held-out embeddings use, of C.
    history_ : list of dict
        One dict per evaluation: step, reconstruction error, divergence, learning rate, time in s.

    Notes
    -----
    Patches must be at least 63 px wide for the five convolutions.

    References
    ----------
    .. [1] Tellez et al., "Neural Image Compression for Gigapixel Histopathology Image Analysis", TPAMI 2021.
    """

    _rules: ClassVar[dict[str, Rule]] = {**TRAINED_RULES, "gamma": real(0)}
    _evidence = ("explained_variance_", "effective_dimension_", "history_")

    def __init__(
        self,
        code_size: int = 128,
        *,
        gamma: float = 5e-5,
        mpp: float = 0.5,
        augmentation: str | Callable | None = "light",
        max_steps: int = 10_000,
        eval_every: int = 100,
        batch_size: int = 64,
        lr: float = 1e-3,
        min_lr: float = 1e-5,
        patience: int = 8,
        validation_fraction: float = 0.2,
        precision: str = "auto",
        device: str | torch.device = "auto",
        n_threads: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.code_size = code_size
        self.gamma = gamma
        self.mpp = mpp
        self.augmentation = augmentation
        self.max_steps = max_steps
        self.eval_every = eval_every
        self.batch_size = batch_size
        self.lr = lr
        self.min_lr = min_lr
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.precision = precision
        self.device = device
        self.n_threads = n_threads
        self.random_state = random_state
        self.verbose = verbose

    def _learn(self, X, train_rows, valid_rows, groups, random):
        augment = resolve_augmentation(self.augmentation)
        module = partial(VAEModule, self.code_size, self.input_size_, augment, self.gamma)
        net = self._train(module, Patches(X, rows=train_rows), Patches(X, rows=valid_rows), random)
        trained = net.module_.cpu().requires_grad_(False)
        self.network_, self.decoder_ = trained.network, trained.decoder
        self.history_ = history(net)

    def reconstruct(self, X: np.ndarray) -> np.ndarray:
        """Reconstruct patches from their embeddings; only possible after `fit`, not after `load_encoder`.

        Parameters
        ----------
        X : uint8 array (n, size, size, 3)
            Patches, RGB.

        Returns
        -------
        uint8 array (n, size, size, 3)
            One reconstructed patch per patch.
        """
        check_is_fitted(self, "decoder_")
        return to_patches(self.decoder_, self.transform(check_patches(X, (self.input_size_,))))

    def _measure(self, X, embeddings):
        self.explained_variance_ = explained_variance(X, to_patches(self.decoder_, embeddings))

    def _doubts(self):
        if self.explained_variance_ < MIN_EXPLAINED:
            return [f"the reconstructed patches explain {self.explained_variance_:.0%} of the pixels' variance"]
        return []


def to_patches(decoder, codes):
    """Generate uint8 patches (n, size, size, 3) from codes (n, C)."""
    with torch.inference_mode():
        parts = [decoder.eval()(part) for part in torch.from_numpy(codes).split(256)]
    pixels = torch.cat(parts).add(1).mul(127.5).round().clamp(0, 255)
    return pixels.byte().permute(0, 2, 3, 1).contiguous().numpy()


def explained_variance(X, drawn):
    """Share of the variance of patches about their overall mean color that reconstructed patches explain; at most 1."""
    X = X.astype(np.float32)
    return float(1 - np.square(X - drawn).mean() / X.var(axis=(0, 1, 2)).mean().clip(1e-6))
