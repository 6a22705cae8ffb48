"""How a MultitaskEncoder is trained: checking parameters, building the module, choosing schedule and checkpoint."""

import os
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sknic.encoders.augmentation import resolve_augmentation
from sknic.encoders.files import load_encoder
from sknic.encoders.inference import check_patches
from sknic.encoders.labels import only
from sknic.encoders.learning import TRAINED_RULES, no_loss
from sknic.encoders.multitask_net import MultitaskModule, MultitaskNet, Throughput, Validation, WeightHistory
from sknic.encoders.sampling import EvenTasks, Patches, as_it_is
from sknic.exceptions import MppWarning, warn
from sknic.files.callables import callable_identity
from sknic.grids.header import MPP_TOLERANCE
from sknic.learning.checkpoint import Checkpoint
from sknic.learning.net import train
from sknic.learning.params import Rule, check_params, choice, instance, nothing, real
from sknic.learning.schedule import Cosine, Plateau


def _are_counts(value):
    is_sequence = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str) and len(value) > 0
    return is_sequence and all(isinstance(n, int | np.integer) and not isinstance(n, bool) and n > 0 for n in value)


_PATH = instance(str, os.PathLike, name="a path")
RULES: dict[str, Rule] = {
    **TRAINED_RULES,
    "body": choice("plain", "residual"),
    "filters": Rule(_are_counts, "one positive whole number for each convolution") | nothing,
    "tasks": instance(str, list, tuple, np.ndarray, name="the name of a task, a list of them") | nothing,
    "init": _PATH | Rule(lambda value: hasattr(value, "transform"), "a fitted encoder") | nothing,
    "schedule": choice("plateau", "cosine"),
    "init_lr": real(0) | nothing,
    "weight_decay": real(0),
    "validation_fraction": real(above=0, below=1) | nothing,
    "monitor": choice("loss", "accuracy"),
    "task_weights": choice("uncertainty", "gradnorm") | instance(Mapping, name="a mapping of task to weight") | nothing,
    "unlabelled_weight": real(0),
    "checkpoint": _PATH | nothing,
}


def check_encoder(encoder):
    """Check every parameter of a MultitaskEncoder, and those that depend on each other."""
    check_params(encoder, RULES)
    if encoder.min_lr > encoder.lr:
        raise ValueError(f"min_lr={encoder.min_lr}: expected at most lr={encoder.lr}")
    if encoder.checkpoint is not None and not isinstance(encoder.random_state, int | np.integer):
        raise ValueError(
            f"random_state={encoder.random_state}: expected an integer with checkpoint=, because a training that is "
            "resumed must start in the same way"
        )


def _start(encoder):
    """The fitted encoder that `init` is or names; None for fresh weights."""
    return load_encoder(encoder.init, device="cpu") if isinstance(encoder.init, str | os.PathLike) else encoder.init


def build_module(encoder, patch_size, tasks):
    """A function that builds the module, from fresh weights or those of `init`."""
    start = _start(encoder)
    build = partial(
        MultitaskModule,
        [task.name for task in tasks],
        [len(task.classes) for task in tasks],
        encoder.code_size,
        augment=resolve_augmentation(encoder.augmentation),
        task_weights=encoder.task_weights,
        unlabelled_weight=encoder.unlabelled_weight,
        network_lr=None if start is None else encoder.init_lr,
    )
    if start is None:
        filters = None if encoder.filters is None else tuple(map(int, encoder.filters))
        return partial(build, input_size=patch_size, body=encoder.body, filters=filters)
    if encoder.body != "plain" or encoder.filters is not None:
        raise ValueError(
            f"body={encoder.body!r}, filters={encoder.filters}: expected the defaults together with init=, which has "
            "its own network"
        )
    check_is_fitted(start)
    if not hasattr(start, "network_"):
        raise ValueError(f"init={start!r}: expected an encoder whose network is a chain of layers that sknic knows")
    if start.network_.out_features != encoder.code_size:
        raise ValueError(
            f"code_size={encoder.code_size}: expected {start.network_.out_features}, that of the encoder given as init"
        )
    if abs(start.mpp / encoder.mpp - 1) > MPP_TOLERANCE:
        warn(
            f"mpp={encoder.mpp:g}: the encoder given as init was trained at {start.mpp:g} um/px; slides will be "
            f"read at {encoder.mpp:g}",
            MppWarning,
        )
    check_patches(np.empty((0, patch_size, patch_size, 3), np.uint8), (start.input_size, 2 * start.input_size))
    known = start.heads_.known(tasks) if hasattr(start, "heads_") else {}
    return partial(build, input_size=start.input_size, network=start.network_, heads=known)


def train_tasks(encoder, module, data, rows, random):
    """Train the module on the rows (training, validation, unlabelled) of the data, with the encoder's parameters."""
    train_rows, valid_rows, unlabelled = rows
    blocks = data.blocks(train_rows)
    if len(valid_rows):
        data.tell_unmeasured(valid_rows)
    n_labels = sum(len(stratum) for strata in blocks for stratum in strata)
    if encoder.unlabelled_weight:
        blocks.append([np.concatenate([train_rows, unlabelled])])
    block_size = encoder.batch_size // len(blocks)
    if block_size < 2:
        raise ValueError(
            f"batch_size={encoder.batch_size}: expected at least {2 * len(blocks)}, two patches for each of "
            f"{len(blocks)} blocks"
        )
    patches = Patches(data.X, data.codes.T.copy())
    return train(
        module,
        patches,
        loss=no_loss,
        net_class=MultitaskNet,
        batch_sampler=EvenTasks(blocks, block_size, max(1, n_labels // encoder.batch_size)),
        collate=as_it_is,
        callbacks=[*_callbacks(encoder, patches, data, valid_rows), *encoder._followers()],
        monitor="train_loss" if len(valid_rows) == 0 else f"valid_{encoder.monitor}",
        lower_is_better=len(valid_rows) == 0 or encoder.monitor == "loss",
        lr=encoder.lr,
        weight_decay=encoder.weight_decay,
        schedule=_schedule(encoder),
        max_steps=encoder.max_steps,
        eval_every=encoder.eval_every,
        device=encoder.device,
        precision=encoder.precision,
        n_threads=encoder.n_threads,
        random_state=random,
        verbose=encoder.verbose,
        checkpoint=_checkpoint(encoder, data),
    )


def _callbacks(encoder, patches, data, valid_rows):
    callbacks: list = [Throughput()]
    if len(valid_rows):
        callbacks.append(Validation(patches, [only(task, valid_rows) for task in data.tasks], data.centers))
    if isinstance(encoder.task_weights, str):
        callbacks.append(WeightHistory())
    return callbacks


def _schedule(encoder):
    if encoder.schedule == "cosine":
        return Cosine(final=encoder.min_lr / encoder.lr)
    return Plateau(encoder.patience, encoder.min_lr)


def _checkpoint(encoder, data):
    """The checkpoint. Its key contains everything that the weights depend on; a file with another key is refused."""
    if encoder.checkpoint is None:
        return None
    free = ("device", "verbose", "checkpoint", "init", "augmentation")
    key = {name: value for name, value in encoder.get_params(deep=False).items() if name not in free}
    start = _start(encoder)  # by its weights: another file may have the same path by now
    known = start.fingerprint() if hasattr(start, "fingerprint") else start
    words = {
        "data": data.digest(),
        "init": known,
        "augmentation": _words_of(encoder.augmentation),
        "tasks": encoder.tasks,
    }
    return Checkpoint(encoder.checkpoint, key | {name: str(value) for name, value in words.items()})


def _words_of(augmentation):
    """What an augmentation says of itself; if that is an address, as of a function, then what its code does."""
    words = str(augmentation)
    return callable_identity(augmentation, "augmentation", "checkpoint") if " at 0x" in words else words
