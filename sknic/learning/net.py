"""The one place that builds and fits a skorch net: seed, schedule, stopping, device."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import EarlyStopping
from torch.utils.data import DataLoader, Sampler

from sknic.learning.device import resolve_device, torch_threads
from sknic.learning.randomness import make_random, own_randomness
from sknic.learning.schedule import Plateau


class EvenBatches(Sampler):
    """Shuffled batches of nearly equal size: none of a single sample, which BatchNorm cannot train on."""

    def __init__(self, n_samples, batch_size):
        self.n_samples = n_samples
        self.n_batches = max(1, min(math.ceil(n_samples / batch_size), n_samples // 2))

    def __len__(self):
        return self.n_batches

    def __iter__(self):
        yield from (part.tolist() for part in torch.randperm(self.n_samples).tensor_split(self.n_batches))


class Net(NeuralNet):
    """skorch's NeuralNet as sknic runs it; subclass it for a training step of another kind.

    It reads torch DataLoaders, computes in bfloat16 on CUDA while `mixed_precision` (outputs are float32),
    and takes a loss that returns a dict of named parts: their mean is minimised and each part is in the history.
    """

    mixed_precision = True
    loss_parts_: frozenset[str] = frozenset()

    def get_dataset(self, X, y=None):
        return X if isinstance(X, DataLoader) else super().get_dataset(X, y)

    def get_iterator(self, dataset, training=False):
        return dataset if isinstance(dataset, DataLoader) else super().get_iterator(dataset, training)

    def get_split_datasets(self, X, y=None, **fit_params):
        return X if isinstance(X, tuple) else super().get_split_datasets(X, y, **fit_params)

    def infer(self, x, **fit_params):
        device = torch.device(self.device).type
        with torch.autocast(device, torch.bfloat16, enabled=self.mixed_precision and device == "cuda"):
            output = super().infer(x, **fit_params)
        return _to_float(output)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        loss = super().get_loss(y_pred, y_true, X=X, training=training)
        if not isinstance(loss, Mapping):
            return loss
        self.record_parts(loss, training)
        return torch.stack(list(loss.values())).mean()

    def record_parts(self, losses, training):
        """Record the named losses of a batch; the history gets their means of the epoch."""
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
    """A loss function as the module that skorch wants for a criterion."""

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


def _adam(param_groups, lr, l2):
    """Adam with the L2 penalty l2 * sum(w ** 2) on kernels only: neither biases nor BatchNorm shrink."""
    params = [p for group in param_groups for p in group["params"]]
    kernels = {"params": [p for p in params if p.ndim > 1], "weight_decay": 2 * l2}
    others = {"params": [p for p in params if p.ndim <= 1]}
    return torch.optim.Adam([group for group in (kernels, others) if group["params"]], lr=lr, fused=True)


def train(
    module,
    train_data,
    valid_data=None,
    *,
    loss,
    lr=1e-3,
    min_lr=1e-5,
    patience=4,
    max_epochs=100,
    batch_size=32,
    batch_sampler=None,
    collate=None,
    l2=0.0,
    monitor=None,
    lower_is_better=True,
    callbacks=None,
    device="auto",
    random_state=None,
    verbose=0,
    n_threads=None,
    net_class=Net,
):
    """Build a module and train it with Adam; the weights of the best epoch are kept.

    Parameters
    ----------
    module : callable () -> torch.nn.Module
        A class or `functools.partial` of one; importable, so that the net pickles. Built under the seed.
    train_data, valid_data : torch Dataset of pairs (x, y)
        Without validation data the training loss is watched instead.
    loss : callable (output, y) -> scalar tensor, or dict of name to scalar tensor
        Of a dict, the mean is minimised and the parts are recorded as `train_<name>` and `valid_<name>`.
    lr, min_lr, patience : float, float, int or None
        The learning rate is divided by 10 after `patience` epochs without a better monitored value, down
        to `min_lr`; the next such plateau ends the training. None keeps `lr` for all `max_epochs`.
    batch_size : int
        Training batches are shuffled and of nearly equal size, at most this; validation keeps its order.
    batch_sampler : torch Sampler, optional
        Draws the training batches instead.
    collate : callable (list of pairs) -> (x, y), optional
    l2 : float
        Penalty l2 * sum(w ** 2) on kernels, not on biases or BatchNorm.
    monitor : str, optional
        Column of the history to watch, "valid_loss" by default ("train_loss" without validation data).
    lower_is_better : bool
        Of the monitored value.
    callbacks : list of skorch callbacks, optional
        They run before the schedule, which may therefore monitor what they record.
    device : "auto", str or torch.device
    random_state : int, RandomState or None
        The caller's torch and numpy random states are left as they are.
    verbose : int
        Above 0, one line per epoch.
    n_threads : int, optional
        CPU threads of torch. Sums depend on their number: the same seed gives the same weights only with the same
        number, and joblib allows its processes fewer.
    net_class : type
        Subclass of `Net` with another training step (`train_step`, `validation_step`, `initialize_optimizer`).

    Returns
    -------
    Net
        Fitted, in evaluation mode, without data, optimiser state or rows of single batches.

    Raises
    ------
    TrainingDivergedError
        When the monitored value was never finite.
    KeyboardInterrupt
        Ctrl-C goes through.
    """
    device = resolve_device(device)
    monitor = monitor or ("train_loss" if valid_data is None else "valid_loss")
    schedule = Plateau(monitor, lower_is_better, patience, min_lr)
    callbacks = [*(callbacks or []), ("plateau", schedule)]
    net = _build(net_class, module, loss, device, lr=lr, optimizer__l2=l2, callbacks=callbacks, verbose=verbose)
    sampler = EvenBatches(len(train_data), batch_size) if batch_sampler is None else batch_sampler
    # No workers: they crash inside joblib's processes.
    loaders = (
        DataLoader(train_data, batch_sampler=sampler, collate_fn=collate),
        None if valid_data is None else DataLoader(valid_data, batch_size=batch_size, collate_fn=collate),
    )
    seed = make_random(random_state).randint(2**31 - 1)
    with torch_threads(n_threads), own_randomness(device, seed):
        net.initialize()
        _run(net, loaders, max_epochs, schedule)
    return _trim(net)


def restore(module, weights, device="auto"):
    """Build a fitted net from saved weights, for prediction.

    Parameters
    ----------
    module : callable () -> torch.nn.Module
    weights : dict of str to tensor
        The module's state.
    device : "auto", str or torch.device

    Raises
    ------
    RuntimeError
        When the weights are not those of the module.
    """
    device = resolve_device(device)
    net = _build(Net, module, None, device, optimizer__l2=0.0, verbose=0)
    with own_randomness(device, 0):
        net.initialize()
    net.module_.load_state_dict(weights)
    return _trim(net)


def _build(net_class, module, loss, device, **settings):
    net = net_class(
        module, _Loss, criterion__function=loss, optimizer=_adam, train_split=None, device=str(device), **settings
    )
    if net.verbose <= 0:
        net.set_params(callbacks__print_log=None)
    return net


def _run(net, loaders, max_epochs, schedule):
    """skorch's `partial_fit`, except that Ctrl-C is not swallowed."""
    net.notify("on_train_begin", X=loaders, y=None)
    try:
        for _ in range(max_epochs):
            net.fit_loop(loaders, epochs=1)
            if schedule.done_:
                break
    except KeyboardInterrupt:
        if not _early_stopping_asked(net):
            raise
    net.notify("on_train_end", X=loaders, y=None)


def _early_stopping_asked(net):
    # skorch's EarlyStopping stops the training with the exception that Ctrl-C raises.
    stoppers = [callback for _, callback in net.callbacks_ if isinstance(callback, EarlyStopping)]
    return any(callback.misses_ >= callback.patience for callback in stoppers)


def _trim(net):
    """Drop what only the training needed: the fitted net is as small as its weights."""
    for row in net.history:
        del row["batches"]
    for name in net._optimizers:
        optimizer = getattr(net, name + "_")
        optimizer.zero_grad(set_to_none=True)
        optimizer.state.clear()
    net._set_training(False)
    return net


def history(net):
    """Return the training history as a list of dicts, one an epoch: epoch, train_loss, valid_loss, lr, dur, ..."""
    return [{k: v.item() if isinstance(v, np.generic) else v for k, v in row.items()} for row in net.history]
