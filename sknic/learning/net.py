"""The one place that builds and fits a skorch net: seed, schedule, stopping, device."""

from collections.abc import Mapping

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import EarlyStopping
from torch.utils.data import DataLoader

from sknic.exceptions import TrainingInterrupted
from sknic.learning.batches import EvenBatches, Steps
from sknic.learning.device import resolve_device, resolve_precision, torch_threads
from sknic.learning.optimizer import adam
from sknic.learning.progress import TrainingProgress
from sknic.learning.randomness import make_random, own_randomness
from sknic.learning.schedule import Plateau


class Net(NeuralNet):
    """skorch's NeuralNet as used by sknic; subclass it for another kind of training step.

    It reads torch DataLoaders, computes in the precision `precision_` (outputs are float32), and accepts a loss that
    returns a dict of named parts: their mean is minimized, and each part is recorded in the history.
    """

    precision_ = "float32"
    loss_parts_: frozenset[str] = frozenset()

    def get_dataset(self, X, y=None):
        return X if isinstance(X, DataLoader) else super().get_dataset(X, y)

    def get_iterator(self, dataset, training=False):
        return dataset if isinstance(dataset, DataLoader) else super().get_iterator(dataset, training)

    def get_split_datasets(self, X, y=None, **fit_params):
        return X if isinstance(X, tuple) else super().get_split_datasets(X, y, **fit_params)

    def infer(self, x, **fit_params):
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.precision_ == "bfloat16"):
            output = super().infer(x, **fit_params)
        return _to_float(output)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        loss = super().get_loss(y_pred, y_true, X=X, training=training)
        if not isinstance(loss, Mapping):
            return loss
        self.record_parts(loss, training)
        return torch.stack(list(loss.values())).mean()

    def record_parts(self, losses, training):
        """Record the named losses of a batch; the history gets their means over the epoch."""
        for part, value in losses.items():
            name = f"{'train' if training else 'valid'}_{part}"
            self.loss_parts_ = self.loss_parts_ | {name}
            self.history.record_batch(name, value.item())

    def on_epoch_end(self, net, **kwargs):
        rows = self.history[-1]["batches"]
        for name in sorted({name for row in rows for name in row} & self.loss_parts_):
            size = name.partition("_")[0] + "_batch_size"
            values, weights = zip(*((row[name], row[size]) for row in rows if name in row))
            self.history.record(name, float(np.average(values, weights=weights)))


class _Loss(torch.nn.Module):
    """A loss function as a module, which skorch needs as a criterion."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, output, target):
        return self.function(output, target)


def _to_float(output):
    if isinstance(output, Mapping):
        return {key: _to_float(value) for key, value in output.items()}
    if isinstance(output, tuple | list):
        return type(output)(map(_to_float, output))
    return output.float() if output.is_floating_point() else output


def train(
    module,
    train_data,
    valid_data=None,
    *,
    loss,
    max_steps,
    eval_every=None,
    schedule=None,
    lr=1e-3,
    batch_size=32,
    batch_sampler=None,
    collate=None,
    l2=0.0,
    weight_decay=0.0,
    monitor=None,
    lower_is_better=True,
    callbacks=None,
    device="auto",
    precision=None,
    random_state=None,
    verbose=0,
    title="",
    n_threads=None,
    checkpoint=None,
    net_class=Net,
):
    """Build a module and train it with Adam; the weights of the best evaluation are kept.

    Parameters
    ----------
    module : callable () -> torch.nn.Module
        A class or `functools.partial` of one; importable, so that the net can be pickled. It is built with the seed
        set.
    train_data, valid_data : torch Dataset of pairs (x, y)
        Data to learn from, and data to evaluate on. Without the latter the training loss is watched instead. If the
        former has a method `prefetch(indices)`, it is told the next batch before each step.
    loss : callable (output, y) -> scalar tensor, or dict of name to scalar tensor
        Loss to minimize; of a dict, the mean is minimized and the parts are recorded as `train_<name>` and
        `valid_<name>`.
    max_steps : int
        Number of training batches, unless the schedule ends the training earlier.
    eval_every : int, optional
        Number of steps between evaluations, each of which gives one row of the history; one pass by default.
    schedule : Plateau or Cosine, optional
        How the learning rate changes and when the training ends; `Plateau()` by default.
    lr : float, default=1e-3
        Highest learning rate.
    batch_size : int, default=32
        Maximum size of the training batches, which are shuffled and nearly equal; validation keeps its order.
    batch_sampler : torch Sampler, optional
        Draws the training batches of one pass, instead of `batch_size`.
    collate : callable (list of pairs) -> (x, y), optional
        Makes a batch of samples.
    l2 : float, default=0.0
        Penalty l2 * sum(w ** 2) on kernels, not on biases or BatchNorm.
    weight_decay : float, default=0.0
        Decoupled weight decay of kernels (AdamW); above 0 it replaces `l2`.
    monitor : str, optional
        Column of the history to watch, "valid_loss" by default ("train_loss" without validation data).
    lower_is_better : bool, default=True
        Whether a lower monitored value is better.
    callbacks : list of skorch callbacks, optional
        They run before the schedule, which can therefore monitor what they record. Their epoch is the interval
        between two evaluations.
    device : "auto", str or torch.device, default="auto"
        Where to train.
    precision : {"auto", "float32", "bfloat16"} or None, default=None
        Number format of the network's computation; the weights are float32. "auto" is bfloat16 if the device supports
        it natively, and None only on such GPUs.
    random_state : int, RandomState or None, default=None
        Seed. The caller's torch and numpy random states are left as they are.
    verbose : int, default=0
        Above 0, one line per evaluation.
    title : str, default=""
        What these lines begin with.
    n_threads : int, optional
        Number of torch's CPU threads; torch's own number by default, one inside a parallel joblib task. Sums depend on
        this number: the same seed gives the same weights only with the same number of threads.
    checkpoint : Checkpoint, optional
        File for the state of the training; an existing state is resumed.
    net_class : type, default=Net
        Subclass of `Net` with another training step (`train_step`, `validation_step`, `initialize_optimizer`).

    Returns
    -------
    Net
        Fitted, in evaluation mode, without data, optimizer state or rows of single batches.

    Raises
    ------
    TrainingDivergedError
        If the monitored value was never finite.
    TrainingInterrupted
        On Ctrl-C: a KeyboardInterrupt with the net of the best weights so far.
    """
    device = resolve_device(device)
    random = make_random(random_state)
    passes = EvenBatches(len(train_data), batch_size) if batch_sampler is None else batch_sampler
    steps = Steps(passes, eval_every or len(passes), max_steps, getattr(train_data, "prefetch", None))
    # No workers: they crash inside joblib's processes.
    loaders = (
        DataLoader(train_data, batch_sampler=steps, collate_fn=collate),
        None if valid_data is None else DataLoader(valid_data, batch_size=batch_size, collate_fn=collate),
    )
    schedule = schedule or Plateau()
    schedule.begin(monitor or ("train_loss" if valid_data is None else "valid_loss"), lower_is_better, max_steps)
    callbacks = [*(callbacks or []), ("schedule", schedule)]
    optimizer = {"lr": lr, "optimizer__l2": l2, "optimizer__weight_decay": weight_decay}
    net = _build(net_class, module, loss, device, callbacks=callbacks, **optimizer)
    net.precision_ = resolve_precision(precision, device)
    progress = TrainingProgress(title=title) if verbose > 0 else None
    seed = random.randint(2**31 - 1)
    with torch_threads(n_threads), own_randomness(device, seed):
        net.initialize()
        _run(net, loaders, schedule, steps, random, checkpoint, progress)
    return _trim(net)


def restore(module, weights, device="auto", precision=None):
    """Build a fitted net from saved weights, for prediction.

    Parameters
    ----------
    module : callable () -> torch.nn.Module
        A class or `functools.partial` of one.
    weights : dict of str to tensor
        The module's state.
    device : "auto", str or torch.device, default="auto"
        Where to predict.
    precision : {"auto", "float32", "bfloat16"} or None, default=None
        Number format of the network's computation, as in `train`.

    Returns
    -------
    Net
        Fitted, in evaluation mode.

    Raises
    ------
    RuntimeError
        If the weights are not those of the module.
    """
    device = resolve_device(device)
    net = _build(Net, module, None, device, optimizer__l2=0.0, optimizer__weight_decay=0.0)
    net.precision_ = resolve_precision(precision, device)
    with own_randomness(device, 0):
        net.initialize()
    net.module_.load_state_dict(weights)
    return _trim(net)


def _build(net_class, module, loss, device, **settings):
    net = net_class(
        module, _Loss, criterion__function=loss, optimizer=adam, train_split=None, device=str(device), **settings
    )
    return net.set_params(callbacks__print_log=None)


def _run(net, loaders, schedule, steps, random, checkpoint, progress):
    """skorch's `partial_fit` in steps, except that Ctrl-C is not swallowed."""
    net.notify("on_train_begin", X=loaders, y=None)
    state = net, schedule, steps, random
    if checkpoint is not None:
        checkpoint.resume(*state)
    if progress is not None:
        progress.begin(steps)
    try:
        while steps.taken < steps.total and not schedule.done_:
            net.fit_loop(loaders, epochs=1)
            net.history[-1]["batches"].clear()
            net.history.record("step", steps.taken)
            if checkpoint is not None:
                checkpoint.save(*state)
            if progress is not None:
                progress(net.history[-1], steps)
    except KeyboardInterrupt as interrupt:
        if not _early_stopping_asked(net):
            raise TrainingInterrupted(_best_so_far(net, schedule)) from interrupt
    if checkpoint is not None:
        checkpoint.save(*state, now=True)
    net.notify("on_train_end", X=loaders, y=None)


def _best_so_far(net, schedule):
    if schedule.best_weights_ is None:
        return None
    if "event_best" not in net.history[-1]:
        net.history.pop()  # The interval that was interrupted.
    schedule.on_train_end(net)
    return _trim(net)


def _early_stopping_asked(net):
    # skorch's EarlyStopping stops the training with the exception that Ctrl-C raises.
    stoppers = [callback for _, callback in net.callbacks_ if isinstance(callback, EarlyStopping)]
    return any(callback.misses_ >= callback.patience for callback in stoppers)


def _trim(net):
    """Drop what is only needed for training, so that the fitted net is as small as its weights."""
    for row in net.history:
        row.pop("batches", None)
    net.optimizer_.zero_grad(set_to_none=True)
    net.optimizer_.state.clear()
    net.module_.eval()
    net.criterion_.eval()
    return net


def history(net):
    """Return the training history as a list of dicts, one per evaluation: step, train_loss, valid_loss, lr, dur, ..."""
    return [{k: v.item() if isinstance(v, np.generic) else v for k, v in row.items()} for row in net.history]
