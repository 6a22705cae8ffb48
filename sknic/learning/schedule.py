"""The learning-rate schedule of every training: a plateau divides by ten, the last one stops, the best weights stay."""

import math

from skorch.callbacks import Callback

from sknic.exceptions import TrainingDivergedError

# A plateau: no relative improvement by more than this.
THRESHOLD = 1e-4


class Plateau(Callback):
    """Keep the best weights, divide the learning rate by 10 on each plateau, and say when to stop.

    Attributes
    ----------
    best_epoch_ : int or None
        Epoch (from 1) whose weights were kept.
    done_ : bool
        The monitored value has not improved for `patience` epochs at the lowest learning rate.
    """

    def __init__(self, monitor, lower_is_better=True, patience=4, min_lr=1e-5):
        self.monitor = monitor
        self.lower_is_better = lower_is_better
        self.patience = patience
        self.min_lr = min_lr

    def on_train_begin(self, net, **kwargs):
        self.best_ = self.reference_ = math.inf
        self.best_epoch_ = self.best_weights_ = None
        self.misses_, self.done_ = 0, False

    def on_epoch_end(self, net, **kwargs):
        value = float(net.history[-1, self.monitor]) * (1 if self.lower_is_better else -1)
        lrs = [group["lr"] for name in net._optimizers for group in getattr(net, name + "_").param_groups]
        net.history.record("lr", lrs[0])
        net.history.record("event_best", value < self.best_)
        if value < self.best_:
            self.best_, self.best_epoch_ = value, net.history[-1, "epoch"]
            self.best_weights_ = {k: v.detach().clone() for k, v in net.module_.state_dict().items()}
        improved = value < self.reference_ - THRESHOLD * min(abs(self.reference_), abs(value))
        self.reference_ = value if improved else self.reference_
        self.misses_ = 0 if improved else self.misses_ + 1
        if self.patience is not None and self.misses_ >= self.patience:
            self._lower(net, max(lrs))

    def _lower(self, net, lr):
        self.misses_ = 0
        if lr <= self.min_lr * (1 + 1e-6):
            self.done_ = True
            return
        for name in net._optimizers:
            for group in getattr(net, name + "_").param_groups:
                group["lr"] = max(group["lr"] / 10, self.min_lr)

    def on_train_end(self, net, **kwargs):
        if self.best_weights_ is None:
            raise TrainingDivergedError(
                f"{self.monitor} was never a finite number in {len(net.history)} epoch(s); lower lr or check the data"
            )
        net.module_.load_state_dict(self.best_weights_)
        self.best_weights_ = None
