"""VAEEncoder: an encoder that learns to draw patches again from their codes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sknic.encoders.augmentation import resolve_augmentation
from sknic.encoders.inference import check_patches
from sknic.encoders.learning import OwnLossNet, UnsupervisedEncoder, Views, no_loss
from sknic.encoders.networks import SLOPE, Chain, Generator, encoder_layers, keras_init
from sknic.encoders.sampling import Patches, as_it_is
from sknic.learning.batches import EvenBatches
from sknic.learning.net import history, train
from sknic.learning.schedule import Plateau

FILTERS = (32, 64, 128, 256, 512)
HIDDEN = 512
# A decoder that explains less of the pixels than this has learnt their mean at most.
MIN_EXPLAINED = 0.1


def vae_layers(code_size, input_size):
    """Layers from patches to the mean of their code: five strided convolutions, 512 units, the code (NIC)."""
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
        """The one number to minimise."""
        return losses["reconstruction"] + self.gamma * losses["divergence"]


class VAEEncoder(UnsupervisedEncoder):
    """Variational autoencoder (NIC, Tellez 2019): a baseline of the paper's section 4.5.

    Parameters
    ----------
    code_size : int
        C, the length of an embedding, the mean of the code.
    gamma : float
        Weight of the code's divergence from the normal distribution beside the mean squared error of the pixels.
    mpp : float
        um per px of the patches.
    augmentation : "heavy", "strong", "light", "mild", None or callable
        The augmented patch is what is drawn again.
    max_epochs, batch_size : int
    lr, min_lr : float
        The learning rate is divided by 10 after `patience` epochs without a better validation loss, down to `min_lr`;
        the next such plateau ends the training. The best epoch's weights are kept.
    patience : int
    validation_fraction : float
        Share of the patches held out.
    device : str
        "auto", "cpu" or "cuda".
    random_state : int, RandomState or None
    verbose : int
        Above 0, one line per epoch.

    Attributes
    ----------
    network_ : Chain
    decoder_ : Generator
        Codes to patches; not kept in the file.
    explained_variance_ : float
        Share of the held-out pixels' variance about their mean colour that the drawn patches explain.
    effective_dimension_ : float
        Dimensions the held-out embeddings use, of C.
    history_ : list of dict
        One per epoch: reconstruction error, divergence, learning rate, time in s.

    Notes
    -----
    Patches must be at least 63 px wide for the five convolutions.
    """

    _evidence = ("explained_variance_", "effective_dimension_", "history_")

    def __init__(
        self,
        code_size: int = 128,
        gamma: float = 5e-5,
        mpp: float = 0.5,
        augmentation: str | Callable | None = "light",
        max_epochs: int = 100,
        batch_size: int = 64,
        lr: float = 1e-3,
        min_lr: float = 1e-5,
        patience: int = 8,
        validation_fraction: float = 0.2,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.code_size = code_size
        self.gamma = gamma
        self.mpp = mpp
        self.augmentation = augmentation
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.min_lr = min_lr
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _learn(self, X, train_rows, valid_rows, groups, random):
        augment = resolve_augmentation(self.augmentation)
        batches = EvenBatches(len(train_rows), self.batch_size)
        net = train(
            partial(VAEModule, self.code_size, self.input_size_, augment, self.gamma),
            Patches(X, rows=train_rows),
            Patches(X, rows=valid_rows),
            loss=no_loss,
            net_class=OwnLossNet,
            collate=as_it_is,
            lr=self.lr,
            schedule=Plateau(self.patience, self.min_lr),
            max_steps=self.max_epochs * len(batches),
            batch_sampler=batches,
            batch_size=self.batch_size,
            device=self.device,
            random_state=random,
            verbose=self.verbose,
        )
        module = net.module_.cpu().requires_grad_(False)
        self.network_, self.decoder_ = module.network, module.decoder
        self.history_ = history(net)

    def reconstruct(self, X: np.ndarray) -> np.ndarray:
        """Draw patches again from their embeddings; only where `fit` ran, not after `load_encoder`.

        Parameters
        ----------
        X : uint8 array (n, size, size, 3)

        Returns
        -------
        uint8 array (n, size, size, 3)
        """
        check_is_fitted(self, "decoder_")
        return to_patches(self.decoder_, self.transform(check_patches(X, (self.input_size_,))))

    def _signs(self, X, embeddings):
        self.explained_variance_ = explained_variance(X, to_patches(self.decoder_, embeddings))
        if self.explained_variance_ < MIN_EXPLAINED:
            return [f"the drawn patches explain {self.explained_variance_:.0%} of the pixels' variance"]
        return []


def to_patches(decoder, codes):
    """Draw uint8 patches (n, size, size, 3) from codes (n, C)."""
    with torch.inference_mode():
        parts = [decoder.eval()(part) for part in torch.from_numpy(codes).split(256)]
    pixels = torch.cat(parts).add(1).mul(127.5).round().clamp(0, 255)
    return pixels.byte().permute(0, 2, 3, 1).contiguous().numpy()


def explained_variance(X, drawn):
    """Share of the variance of patches about their mean colour over all that drawn ones explain; at most 1."""
    X = X.astype(np.float32)
    return float(1 - np.square(X - drawn).mean() / X.var(axis=(0, 1, 2)).mean().clip(1e-6))
