"""MultitaskEncoder: an encoder that learns several labelled tasks at once (the paper's)."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sknic.encoders.augmentation import resolve_augmentation
from sknic.encoders.base import BaseEncoder
from sknic.encoders.files import load_encoder
from sknic.encoders.inference import check_patches
from sknic.encoders.labels import check_rows, only, read_tasks, to_frame
from sknic.encoders.learning import no_loss
from sknic.encoders.multitask_net import MultitaskModule, MultitaskNet, Validation, WeightHistory
from sknic.encoders.sampling import EvenTasks, Patches, as_it_is, strata
from sknic.encoders.task_heads import TaskHeads, known_heads
from sknic.exceptions import DegenerateDataError
from sknic.learning.net import history, train
from sknic.learning.randomness import make_random
from sknic.learning.schedule import Plateau
from sknic.learning.split import split

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class MultitaskEncoder(TaskHeads, BaseEncoder):
    """Encoder trained on several patch classification tasks at once (paper, section 3).

    Four strided convolutions and a linear code are shared; each task has its own small head on the code. A batch holds
    as many patches of every task, drawn uniformly over class and centre, rare ones repeated.

    Parameters
    ----------
    code_size : int
        C, the length of an embedding.
    tasks : str or list of str, optional
        Train on these columns of y only; all by default.
    init : str, Path or fitted encoder, optional
        Start from the weights of this encoder, e.g. a published file, and from its heads for equal tasks.
    mpp : float
        um per px of the patches.
    augmentation : "heavy", "strong", "light", "mild", None or callable
        A callable takes and returns float tensors (n, 3, size, size) from 0 to 1, on the training device.
    max_epochs : int
        An epoch has as many draws as there are labels to train on.
    batch_size : int
        Of all tasks together.
    lr, min_lr : float
        The learning rate is divided by 10 after `patience` epochs without a better validation loss, down to `min_lr`;
        the next such plateau ends the training. The best epoch's weights are kept.
    init_lr : float, optional
        Learning rate of the encoder network that comes from `init`; `lr` by default. With few labels a small one keeps
        what the network has learnt, while the new heads learn at `lr`.
    patience : int or None
        None keeps the learning rates for all `max_epochs`.
    validation_fraction : float or None
        Share of the patches held out; None holds out none and watches the training loss.
    task_weights : None, mapping, "uncertainty" or "gradnorm"
        None weighs the tasks alike, as the paper; a mapping from task to weight; "uncertainty" learns them (Kendall
        2018); "gradnorm" balances the tasks' gradients (Chen 2018).
    unlabelled_weight : float
        Above 0, patches without a label for any task are learnt from as well: two augmented views of one must find
        each other (Chen 2020, SimCLR), with this weight beside the mean task loss.
    device : str
        "auto", "cpu" or "cuda".
    random_state : int, RandomState or None
        The same int gives the same weights on the CPU.
    verbose : int
        Above 0, one line per epoch.

    Attributes
    ----------
    network_ : Chain
        The trained encoder network.
    heads_ : list of torch.nn.Module
        One per task: code to logits.
    task_names_ : list of str
    classes_ : list of ndarray, or ndarray
        Classes of each task; one array when y was 1-D.
    history_ : list of dict
        One per epoch: losses and validation accuracies by task, learning rate, time in s.
    patch_size, input_size : int
        Width in px of the patches trained on, and of what the network sees.

    Examples
    --------
    >>> import numpy as np
    >>> from sknic import MultitaskEncoder
    >>> patches = np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3), dtype=np.uint8)
    >>> encoder = MultitaskEncoder(code_size=16, max_epochs=1, random_state=0).fit(patches, [0, 1] * 10)
    >>> encoder.transform(patches).shape
    (20, 16)
    """

    def __init__(
        self,
        code_size: int = 128,
        tasks: Any = None,
        init: Any = None,
        mpp: float = 0.5,
        augmentation: str | Callable | None = "heavy",
        max_epochs: int = 100,
        batch_size: int = 128,
        lr: float = 1e-3,
        min_lr: float = 1e-5,
        init_lr: float | None = None,
        patience: int | None = 8,
        validation_fraction: float | None = 0.2,
        task_weights: Any = None,
        unlabelled_weight: float = 0.0,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.code_size = code_size
        self.tasks = tasks
        self.init = init
        self.mpp = mpp
        self.augmentation = augmentation
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.min_lr = min_lr
        self.init_lr = init_lr
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.task_weights = task_weights
        self.unlabelled_weight = unlabelled_weight
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self, X: np.ndarray, y: Any = None, groups: ArrayLike | None = None, centers: ArrayLike | None = None
    ) -> Self:
        """Train encoder and heads.

        Parameters
        ----------
        X : uint8 array (n, size, size, 3), RGB
            An array or a memory map, which is read batch by batch and never copied whole.
        y : DataFrame or array (n, n_tasks), or labels (n,)
            One column per task; -1, NaN or None where a patch has no label for it. Labels of any type.
        groups : array-like (n,), optional
            Source of each patch, such as its patient: all of a source are held out for validation, or none.
        centers : array-like (n,), optional
            Where each patch comes from; drawn and validated evenly within each class.

        Returns
        -------
        self

        Raises
        ------
        PatchSizeError
            For patches of another shape or type, or of a width that `init` cannot take.
        DegenerateDataError
            When a task has a single class, or nothing can be held out.
        """
        X = check_patches(X)
        labels = to_frame(y, len(X))
        tasks = read_tasks(labels, self.tasks)
        groups, centers = (check_rows(name, rows, len(X)) for name, rows in (("groups", groups), ("centers", centers)))
        random = make_random(self.random_state)
        train_rows, valid_rows, unlabelled = self._split(tasks, groups, random)
        module = self._module(X.shape[1], tasks)
        net = self._train(module, X, tasks, centers, (train_rows, valid_rows, unlabelled), random)
        self._keep(net, tasks, X.shape[1], one_column=np.ndim(y) == 1)
        return self

    def _split(self, tasks, groups, random):
        """Rows to train on, to validate on, and those without any label whose group is not validated on."""
        codes = np.stack([task.codes for task in tasks])
        rows = np.flatnonzero((codes >= 0).any(axis=0))
        unlabelled = np.flatnonzero((codes < 0).all(axis=0))
        if self.validation_fraction is None:
            return rows, rows[:0], unlabelled
        first = (codes[:, rows] >= 0).argmax(axis=0)
        strata_of_rows = first * (codes.max() + 1) + codes[first, rows]
        source = None if groups is None else groups[rows]
        chosen = split(len(rows), self.validation_fraction, groups=source, stratify=strata_of_rows, random_state=random)
        train_rows, valid_rows = rows[chosen[0]], rows[chosen[1]]
        if groups is not None:
            unlabelled = unlabelled[~np.isin(groups[unlabelled], groups[valid_rows])]
        return train_rows, valid_rows, unlabelled

    def _module(self, patch_size, tasks):
        """What builds the module, from fresh weights or those of `init`."""
        start = load_encoder(self.init, "cpu") if isinstance(self.init, str | os.PathLike) else self.init
        build = partial(
            MultitaskModule,
            [task.name for task in tasks],
            [len(task.classes) for task in tasks],
            self.code_size,
            augment=resolve_augmentation(self.augmentation),
            task_weights=self.task_weights,
            unlabelled_weight=self.unlabelled_weight,
            network_lr=None if start is None else self.init_lr,
        )
        if start is None:
            return partial(build, input_size=patch_size)
        check_is_fitted(start)
        if start.network_.out_features != self.code_size:
            raise ValueError(
                f"code_size={self.code_size}, but the encoder of init has {start.network_.out_features}; set that"
            )
        check_patches(np.empty((0, patch_size, patch_size, 3), np.uint8), (start.input_size, 2 * start.input_size))
        return partial(build, input_size=start.input_size, network=start.network_, heads=known_heads(start, tasks))

    def _train(self, module, X, tasks, centers, rows, random):
        train_rows, valid_rows, unlabelled = rows
        patches = Patches(X, np.stack([task.codes for task in tasks], axis=1))
        blocks = [strata(only(task, train_rows).codes, centers) for task in tasks]
        without = [task.name for task, groups in zip(tasks, blocks) if not groups]
        if without:
            raise DegenerateDataError(
                f"all labels of {without} are held out; give more groups or validation_fraction=None"
            )
        n_labels = sum(len(rows) for groups in blocks for rows in groups)
        if self.unlabelled_weight:
            if len(unlabelled) == 0:
                raise ValueError(f"unlabelled_weight={self.unlabelled_weight}, but every patch has a label")
            blocks.append([unlabelled])
        block_size = self.batch_size // len(blocks)
        if block_size < 2:
            raise ValueError(f"batch_size={self.batch_size} is too small for {len(blocks)} tasks; wanted 2 of each")
        callbacks = []
        if len(valid_rows):
            callbacks.append(Validation(patches, [only(task, valid_rows) for task in tasks], centers))
        if isinstance(self.task_weights, str):
            callbacks.append(WeightHistory())
        n_batches = max(1, n_labels // self.batch_size)
        return train(
            module,
            patches,
            loss=no_loss,
            net_class=MultitaskNet,
            batch_sampler=EvenTasks(blocks, block_size, n_batches),
            collate=as_it_is,
            callbacks=callbacks,
            monitor="valid_loss" if len(valid_rows) else "train_loss",
            lr=self.lr,
            schedule=Plateau(self.patience, self.min_lr),
            max_steps=self.max_epochs * n_batches,
            device=self.device,
            random_state=random,
            verbose=self.verbose,
        )

    def _keep(self, net, tasks, patch_size, one_column):
        module = net.module_.cpu().requires_grad_(False)
        self.network_ = module.network
        self.heads_ = list(module.heads)
        self.input_size_ = module.views.input_size
        self.patch_size_ = patch_size
        self.task_names_ = [task.name for task in tasks]
        self._classes = [task.classes for task in tasks]
        self._one_column = bool(one_column)
        self.history_ = history(net)
