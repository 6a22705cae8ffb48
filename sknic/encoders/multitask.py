"""MultitaskEncoder: an encoder that learns several labelled tasks at once (the paper's)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from sknic.encoders.multitask_data import check_copies, read_data
from sknic.encoders.multitask_training import RULES, build_module, check_encoder, train_tasks
from sknic.encoders.task_encoder import TaskEncoder
from sknic.encoders.task_heads import TaskHeads
from sknic.exceptions import TrainingInterrupted
from sknic.learning.followed import Followed, followed
from sknic.learning.net import history
from sknic.learning.params import Rule
from sknic.learning.randomness import make_random

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike


class MultitaskEncoder(Followed, TaskEncoder):
    """Encoder trained on several patch classification tasks at once (section 3 of [1]_).

    Four strided convolutions and a linear code are shared; each task has its own small head on the code. Each batch
    contains the same number of patches from every task, sampled uniformly over classes and centers (rare ones are
    oversampled).

    Parameters
    ----------
    code_size : int, default=128
        Length C of an embedding.
    body : {"plain", "residual"}, default="plain"
        Network before the linear code. "plain" is the paper's, strided convolutions; "residual" is a strided
        convolution and residual blocks of stride 2 [5]_, whose average is the input of the code. Not together with
        `init`.
    filters : sequence of int, default=None
        Number of filters of each strided convolution, or block, of the body. None is (128, 128, 128, 128), the
        paper's, and for the residual body (32, 64, 128, 256), which costs as much per patch. Not together with `init`.
    tasks : str or list of str, default=None
        Columns of y to train on; all by default.
    init : str, Path or fitted encoder, default=None
        Encoder from whose weights the training starts, e.g. a published file; its heads are reused for equal tasks.
    mpp : float, default=0.5
        um per px of the patches.
    augmentation : {"heavy", "strong", "light", "mild"}, callable or None, default="heavy"
        Random changes of the training patches. A callable takes and returns float tensors (n, 3, size, size) from 0
        to 1, on the training device.
    max_steps : int, default=10000
        Maximum number of training batches.
    eval_every : int, default=100
        Number of training batches between two evaluations on the validation patches.
    batch_size : int, default=128
        Number of patches per batch, of all tasks together.
    schedule : {"plateau", "cosine"}, default="plateau"
        "plateau" divides the learning rate by 10 after `patience` evaluations without a better validation result, down
        to `min_lr`; the next such plateau ends the training (the paper's). "cosine" warms up over the first 5 % of
        `max_steps`, then lets the learning rate fall to `min_lr` along half a cosine, and always takes all steps.
    lr : float, default=1e-3
        Highest learning rate.
    min_lr : float, default=1e-5
        Lowest learning rate.
    init_lr : float, default=None
        Learning rate of the encoder network that comes from `init`; `lr` by default. With few labels, a small value
        preserves what the network has learnt, while the new heads learn with `lr`.
    patience : int or None, default=8
        Number of evaluations without a better validation result that count as a plateau. None keeps the learning rates
        for all `max_steps`.
    weight_decay : float, default=0.0
        Decoupled weight decay of the kernels (AdamW), in units of the learning rate; 0 is the paper's Adam.
    validation_fraction : float or None, default=0.2
        Fraction of the patches held out; None holds out none and watches the training loss.
    monitor : {"loss", "accuracy"}, default="loss"
        Quantity, averaged over the tasks on the held-out patches, that determines plateaus and the final weights.
    task_weights : mapping, {"uncertainty", "gradnorm"} or None, default=None
        None gives all tasks the same weight, as in the paper; a mapping goes from task to weight; "uncertainty" learns
        the weights [2]_; "gradnorm" balances the gradients of the tasks [3]_.
    unlabelled_weight : float, default=0.0
        Weight, relative to the mean task loss, of a loss that needs no labels: two augmented views of a patch must
        identify each other [4]_. If above 0, all patches that are not held out are used, labelled or not.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Number format of the network's computation in training; the weights are float32. "auto" is bfloat16 if the CPU
        or GPU supports it natively.
    checkpoint : str or Path, default=None
        File to which the state of the training is written every minute. If `fit` is called again with the same data and
        parameters, the training resumes from it, bit for bit. This needs an int as `random_state`. The file is not
        removed; delete it once the encoder is saved.
    device : "auto", "cpu", "cuda", "cuda:<n>" or torch.device, default="auto"
        Device of the training and of `transform`; "auto" is CUDA if available.
    n_threads : int or None, default=None
        Number of CPU threads of the training. None is torch's own number, or one inside a parallel joblib task.
    random_state : int, RandomState or None, default=None
        Seed of the split, the weights, the batches and the augmentation. The same int gives the same weights on a CPU
        of the same instruction set with the same number of threads.
    verbose : int, default=0
        Verbosity; above 0, one line is printed per evaluation.

    Attributes
    ----------
    network_ : Chain
        Trained encoder network.
    heads_ : TaskHeads
        The heads that the encoder was trained with; `heads_.modules` are torch modules, one per task.
    task_names_ : list of str
        Names of the tasks.
    classes_ : list of ndarray, or ndarray
        Classes of each task; one array if y was 1-D.
    history_ : list of dict
        One dict per evaluation: step, losses and validation accuracies by task, learning rate, patches per second.
    patch_size, input_size : int
        Width in px of the patches trained on, and of what the network sees.

    References
    ----------
    .. [1] Tellez et al., "Extending Unsupervised Neural Image Compression With Supervised Multitask Learning",
       MIDL 2020. https://proceedings.mlr.press/v121/tellez20a.html
    .. [2] Kendall et al., "Multi-Task Learning Using Uncertainty to Weigh Losses", CVPR 2018.
    .. [3] Chen et al., "GradNorm: Gradient Normalization for Adaptive Loss Balancing", ICML 2018.
    .. [4] Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020.
    .. [5] He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from sknic import MultitaskEncoder
    >>> patches = np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3), dtype=np.uint8)
    >>> encoder = MultitaskEncoder(code_size=16, max_steps=2, random_state=0).fit(patches, [0, 1] * 10)
    >>> encoder.transform(patches).shape
    (20, 16)
    """

    _rules: ClassVar[dict[str, Rule]] = RULES

    def __init__(
        self,
        code_size: int = 128,
        *,
        body: str = "plain",
        filters: Sequence[int] | None = None,
        tasks: Any = None,
        init: Any = None,
        mpp: float = 0.5,
        augmentation: str | Callable | None = "heavy",
        max_steps: int = 10_000,
        eval_every: int = 100,
        batch_size: int = 128,
        schedule: str = "plateau",
        lr: float = 1e-3,
        min_lr: float = 1e-5,
        init_lr: float | None = None,
        patience: int | None = 8,
        weight_decay: float = 0.0,
        validation_fraction: float | None = 0.2,
        monitor: str = "loss",
        task_weights: Any = None,
        unlabelled_weight: float = 0.0,
        precision: str = "auto",
        checkpoint: str | Path | None = None,
        device: str | torch.device = "auto",
        n_threads: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.code_size = code_size
        self.body = body
        self.filters = filters
        self.tasks = tasks
        self.init = init
        self.mpp = mpp
        self.augmentation = augmentation
        self.max_steps = max_steps
        self.eval_every = eval_every
        self.batch_size = batch_size
        self.schedule = schedule
        self.lr = lr
        self.min_lr = min_lr
        self.init_lr = init_lr
        self.patience = patience
        self.weight_decay = weight_decay
        self.validation_fraction = validation_fraction
        self.monitor = monitor
        self.task_weights = task_weights
        self.unlabelled_weight = unlabelled_weight
        self.precision = precision
        self.checkpoint = checkpoint
        self.device = device
        self.n_threads = n_threads
        self.random_state = random_state
        self.verbose = verbose

    @followed
    def fit(
        self, X: np.ndarray, y: Any = None, groups: ArrayLike | None = None, centers: ArrayLike | None = None
    ) -> Self:
        """Train encoder and heads.

        Parameters
        ----------
        X : uint8 array (n, size, size, 3), RGB
            An array or a memory map, which is read batch by batch and never copied whole.
        y : DataFrame or array (n, n_tasks), or labels (n,)
            One column per task; -1, NaN or None if a patch has no label for it. Labels of any type.
        groups : array-like (n,), default=None
            Source of each patch, such as its patient; either all patches of a source are held out for validation, or
            none.
        centers : array-like (n,), default=None
            Center that each patch comes from; batches and validation weight centers equally within each class.

        Returns
        -------
        self : MultitaskEncoder
            Fitted encoder.

        Raises
        ------
        ValueError
            If a parameter is invalid, or the same patch has two labels for a task.
        PatchSizeError
            For patches of another shape or type, or of a width that `init` cannot take.
        DegenerateDataError
            If a task has a single class, or if nothing can be held out.
        ModelFileError
            If the checkpoint belongs to another training, or is damaged.
        TrainingInterrupted
            On Ctrl-C; the encoder then has the best weights so far, if there are any.

        Warns
        -----
        UnmeasuredTaskWarning
            If no labels of a task are held out.
        """
        check_encoder(self)
        data = read_data(X, y, self.tasks, groups, centers)
        random = make_random(self.random_state)
        rows = data.split(self.validation_fraction, random)
        module = build_module(self, data.X.shape[1], data.tasks)
        check_copies(data)
        keep = partial(self._keep, tasks=data.tasks, patch_size=data.X.shape[1], one_column=np.ndim(y) == 1)
        try:
            keep(train_tasks(self, module, data, rows, random))
        except TrainingInterrupted as interrupt:
            if interrupt.net is not None:
                keep(interrupt.net)
            raise
        return self

    @classmethod
    def _from_file(cls, header, tensors, device, module=None):
        encoder = super()._from_file(header, tensors, device)
        encoder.filters = encoder.filters and tuple(encoder.filters)  # JSON makes lists of tuples
        return encoder

    def _keep(self, net, *, tasks, patch_size, one_column):
        module = net.module_.cpu().requires_grad_(False)
        self.network_ = module.network
        names, classes = [task.name for task in tasks], [task.classes for task in tasks]
        self.heads_ = TaskHeads(names, classes, list(module.heads), bool(one_column))
        self.input_size_ = module.views.input_size
        self.patch_size_ = patch_size
        self.history_ = history(net)
