"""BiGANEncoder: an encoder that learns against a generator and a discriminator."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.utils.validation import check_is_fitted

from sknic.encoders.augmentation import resolve_augmentation
from sknic.encoders.learning import UnsupervisedEncoder, Views
from sknic.encoders.networks import Generator, PairDiscriminator, new_encoder
from sknic.encoders.sampling import Patches
from sknic.encoders.vae import to_patches
from sknic.learning.batches import EvenBatches
from sknic.learning.device import resolve_device
from sknic.learning.randomness import own_randomness

# Beyond this the discriminator has won and teaches nothing.
MAX_ACCURACY = 0.99
# Drawn patches that differ less than this share of real ones are all the same patch.
MIN_DIVERSITY = 0.1


class BiGANEncoder(UnsupervisedEncoder):
    """Bidirectional generative adversarial network (Donahue 2017; NIC, Tellez 2019): a baseline of section 4.5.

    A discriminator tells pairs (patch, its code) from pairs (drawn patch, the code it was drawn from); encoder and
    generator learn to make them alike, which makes each the inverse of the other.

    Parameters
    ----------
    code_size : int
        C, the length of an embedding.
    mpp : float
        um per px of the patches.
    augmentation : "heavy", "strong", "light", "mild", None or callable
    max_epochs, batch_size : int
    lr : float
    validation_fraction : float
        Share of the patches held out, for the evidence only.
    device : str
        "auto", "cpu" or "cuda".
    random_state : int, RandomState or None
    verbose : int
        Above 0, one line per epoch.

    Attributes
    ----------
    network_ : Chain
    generator_ : Generator
        Codes to patches; not kept in the file.
    discriminator_accuracy_ : float
        Fraction of the last epoch's pairs that the discriminator classified correctly; close to 1, it overpowered
        the generator.
    diversity_ : float
        Spread of drawn patches about their mean, as a share of that of held-out ones; near 0 all are one patch.
    effective_dimension_ : float
        Dimensions the held-out embeddings use, of C.
    history_ : list of dict
        One per epoch: both losses, the discriminator's accuracy, time in s.
    """

    _evidence = ("discriminator_accuracy_", "diversity_", "effective_dimension_", "history_")

    def __init__(
        self,
        code_size: int = 128,
        mpp: float = 0.5,
        augmentation: str | Callable | None = "light",
        max_epochs: int = 100,
        batch_size: int = 64,
        lr: float = 2e-4,
        validation_fraction: float = 0.2,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.code_size = code_size
        self.mpp = mpp
        self.augmentation = augmentation
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _learn(self, X, train_rows, valid_rows, groups, random):
        device = resolve_device(self.device)
        with own_randomness(device, random.randint(2**31 - 1)):
            game = Game(self.code_size, self.input_size_, resolve_augmentation(self.augmentation), self.lr, device)
            self.history_ = play(game, Patches(X, rows=train_rows), self.max_epochs, self.batch_size, self.verbose)
            codes = torch.randn(256, self.code_size)
        self.network_ = game.encoder.cpu().eval().requires_grad_(False)
        self.generator_ = game.generator.cpu().eval().requires_grad_(False)
        self.discriminator_accuracy_ = self.history_[-1]["discriminator_accuracy"]
        self._drawn = to_patches(self.generator_, codes.numpy())

    def draw(self, n: int = 16, random_state: int | np.random.RandomState | None = None) -> np.ndarray:
        """Draw patches from random codes; only where `fit` ran, not after `load_encoder`.

        Parameters
        ----------
        n : int
        random_state : int or None

        Returns
        -------
        uint8 array (n, size, size, 3)
        """
        check_is_fitted(self, "generator_")
        codes = np.random.default_rng(random_state).standard_normal((n, self.code_size), dtype=np.float32)
        return to_patches(self.generator_, codes)

    def _signs(self, X, embeddings):
        self.diversity_ = float(_spread(self._drawn) / max(_spread(X), 1e-6))
        del self._drawn
        signs = []
        if self.discriminator_accuracy_ > MAX_ACCURACY:
            signs.append(f"the discriminator tells {self.discriminator_accuracy_:.0%} of the pairs right")
        if self.diversity_ < MIN_DIVERSITY:
            signs.append(f"drawn patches differ by {self.diversity_:.0%} of what real ones do")
        return signs


def _spread(patches):
    """Deviation of patches from their mean patch."""
    return patches.std(axis=0, dtype=np.float32).mean()


class Game:
    """Encoder and generator on one side, the discriminator on the other, an optimiser each."""

    def __init__(self, code_size, size, augment, lr, device):
        self.device, self.code_size = device, code_size
        self.views = Views(size, augment).train()
        self.encoder = new_encoder(code_size, size).to(device)
        self.generator = Generator(code_size, size).to(device)
        self.discriminator = PairDiscriminator(code_size, size).to(device)
        players = [*self.encoder.parameters(), *self.generator.parameters()]
        self.player_steps = torch.optim.Adam(players, lr=lr, betas=(0.5, 0.999))
        self.judge_steps = torch.optim.Adam(self.discriminator.parameters(), lr=lr, betas=(0.5, 0.999))

    def round(self, patches):
        """One step of each side on uint8 patches; losses of both and the discriminator's accuracy, tensors ()."""
        x = self.views(patches.to(self.device))
        z = torch.randn(len(x), self.code_size, device=self.device)
        code, drawn = self.encoder(x), self.generator(z)
        real, fake = self.discriminator(x, code.detach()), self.discriminator(drawn.detach(), z)
        judge_loss = (F.softplus(-real) + F.softplus(fake)).mean()
        self._step(self.judge_steps, judge_loss)
        self.discriminator.requires_grad_(False)  # Its gradients would be computed for nothing.
        player_loss = (F.softplus(self.discriminator(x, code)) + F.softplus(-self.discriminator(drawn, z))).mean()
        self._step(self.player_steps, player_loss)
        self.discriminator.requires_grad_(True)
        accuracy = ((real > 0).float().mean() + (fake < 0).float().mean()) / 2
        return torch.stack([judge_loss.detach(), player_loss.detach(), accuracy])

    def _step(self, optimiser, loss):
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def play(game, patches, max_epochs, batch_size, verbose):
    """Train both sides; history, one dict per epoch."""
    rows = []
    for epoch in range(1, max_epochs + 1):
        start = time.perf_counter()
        results = [game.round(patches.__getitems__(batch)[0]) for batch in EvenBatches(len(patches), batch_size)]
        judge, player, accuracy = torch.stack(results).mean(0).tolist()
        rows.append(
            {
                "epoch": epoch,
                "discriminator_loss": judge,
                "generator_loss": player,
                "discriminator_accuracy": accuracy,
                "train_batch_count": len(results),
                "dur": time.perf_counter() - start,
            }
        )
        if verbose > 0:
            print(f"{epoch:5d}  " + "  ".join(f"{k} {v:.4f}" for k, v in rows[-1].items() if k != "epoch"))  # noqa: T201
    return rows
