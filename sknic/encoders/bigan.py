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
from sknic.learning.batches import EvenBatches, Steps
from sknic.learning.device import resolve_device
from sknic.learning.randomness import own_randomness

# Beyond this the discriminator has won and teaches nothing.
MAX_ACCURACY = 0.99
# Number of drawn patches that the diversity is measured on.
DRAWN = 256
# Drawn patches that differ less than this share of real ones are all the same patch.
MIN_DIVERSITY = 0.1


class BiGANEncoder(UnsupervisedEncoder):
    """Bidirectional generative adversarial network [2]_ of neural image compression [1]_: a baseline of section 4.5.

    A discriminator distinguishes pairs (patch, its code) from pairs (generated patch, the code it was generated from);
    encoder and generator learn to make them indistinguishable, and so become inverses of each other.

    Parameters
    ----------
    code_size : int, default=128
        Length C of an embedding.
    mpp : float, default=0.5
        um per px of the patches.
    augmentation : {"heavy", "strong", "light", "mild"}, callable or None, default="light"
        Random changes of the training patches. A callable takes and returns float tensors (n, 3, size, size) from 0
        to 1, on the training device.
    max_steps : int, default=10000
        Number of training batches.
    eval_every : int, default=100
        Number of training batches per row of the history.
    batch_size : int, default=64
        Number of patches per batch.
    lr : float, default=2e-4
        Learning rate of both sides.
    validation_fraction : float, default=0.2
        Fraction of the patches held out, only to detect a collapse.
    device : "auto", "cpu", "cuda", "cuda:<n>" or torch.device, default="auto"
        Device of the training and of `transform`; "auto" is CUDA if available.
    random_state : int, RandomState or None, default=None
        Seed of the split, the weights, the batches and the augmentation.
    verbose : int, default=0
        Verbosity; above 0, one line is printed per evaluation.

    Attributes
    ----------
    network_ : Chain
        Trained encoder network.
    generator_ : Generator
        Network from codes to patches; not saved in the file.
    discriminator_accuracy_ : float
        Fraction of the last pairs that the discriminator classified correctly; if it is close to 1, the discriminator
        has overpowered the generator.
    diversity_ : float
        Spread of generated patches about their mean, relative to that of held-out patches; near 0 if all are the same.
    effective_dimension_ : float
        Number of dimensions that the held-out embeddings use, of C.
    history_ : list of dict
        One dict per `eval_every` batches: step, both losses, the discriminator's accuracy, time in s.

    References
    ----------
    .. [1] Tellez et al., "Neural Image Compression for Gigapixel Histopathology Image Analysis", TPAMI 2021.
    .. [2] Donahue et al., "Adversarial Feature Learning", ICLR 2017.
    """

    _evidence = ("discriminator_accuracy_", "diversity_", "effective_dimension_", "history_")

    def __init__(
        self,
        code_size: int = 128,
        *,
        mpp: float = 0.5,
        augmentation: str | Callable | None = "light",
        max_steps: int = 10_000,
        eval_every: int = 100,
        batch_size: int = 64,
        lr: float = 2e-4,
        validation_fraction: float = 0.2,
        device: str | torch.device = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.code_size = code_size
        self.mpp = mpp
        self.augmentation = augmentation
        self.max_steps = max_steps
        self.eval_every = eval_every
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
            steps = Steps(EvenBatches(len(train_rows), self.batch_size), self.eval_every, self.max_steps)
            self.history_ = play(game, Patches(X, rows=train_rows), steps, self.verbose)
        self.network_ = game.encoder.cpu().eval().requires_grad_(False)
        self.generator_ = game.generator.cpu().eval().requires_grad_(False)
        self.discriminator_accuracy_ = self.history_[-1]["discriminator_accuracy"]

    def draw(self, n: int = 16, random_state: int | None = None) -> np.ndarray:
        """Generate patches from random codes; only possible after `fit`, not after `load_encoder`.

        Parameters
        ----------
        n : int, default=16
            Number of patches.
        random_state : int or None, default=None
            Seed of the codes.

        Returns
        -------
        uint8 array (n, size, size, 3)
            Generated patches, RGB.
        """
        check_is_fitted(self, "generator_")
        codes = np.random.default_rng(random_state).standard_normal((n, self.code_size), dtype=np.float32)
        return to_patches(self.generator_, codes)

    def _measure(self, X, embeddings):
        drawn = self.draw(DRAWN, random_state=0)
        self.diversity_ = float(_spread(drawn) / max(_spread(X), 1e-6))

    def _doubts(self):
        doubts = []
        if self.discriminator_accuracy_ > MAX_ACCURACY:
            doubts.append(f"the discriminator classifies {self.discriminator_accuracy_:.0%} of the pairs correctly")
        if self.diversity_ < MIN_DIVERSITY:
            doubts.append(f"generated patches vary only {self.diversity_:.0%} as much as real ones")
        return doubts


def _spread(patches):
    """Deviation of patches from their mean patch."""
    return patches.std(axis=0, dtype=np.float32).mean()


class Game:
    """Encoder and generator on one side, the discriminator on the other, an optimizer each."""

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

    def _step(self, optimizer, loss):
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def play(game, patches, steps, verbose):
    """Train both sides; history, one dict per evaluation."""
    rows = []
    while steps.taken < steps.total:
        start = time.perf_counter()
        results = [game.round(patches.__getitems__(batch)[0]) for batch in steps]
        judge, player, accuracy = torch.stack(results).mean(0).tolist()
        row = {
            "step": steps.taken,
            "discriminator_loss": judge,
            "generator_loss": player,
            "discriminator_accuracy": accuracy,
            "dur": time.perf_counter() - start,
        }
        rows.append(row)
        if verbose > 0:
            numbers = "  ".join(f"{name} {row[name]:.4f}" for name in row if name != "step")
            print(f"step {steps.taken}/{steps.total}  {numbers}")  # noqa: T201
    return rows
