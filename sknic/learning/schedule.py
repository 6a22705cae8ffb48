"""The learning rate of a training, its end, and the weights that are kept: on plateaus, or along a cosine."""

import math

from skorch.callbacks import Callback

from sknic.exceptions import TrainingDivergedError

# A plateau: no relative improvement by more than this.
THRESHOLD = 1e-4


class Schedule(Callback):
    """Keeps the weights of the best evaluation; a subclass changes the learning rate.

    `train` defines what to monitor and for how long (`begin`); everything else happens in skorch's events, in which an
    "epoch" is the interval between two evaluations.

    Attributes
    ----------
    best_ : float
        Lowest monitored value so far (of the negative value if higher is better).
    best_weights_ : dict of str to tensor, or None
        Weights with that value; None before the first finite value.
    done_ : bool
        Whether the training ends before its last step.
    """

    # What a checkpoint has to hold beside the best weights.
    state_names: tuple[str, ...] = ("best_", "done_")

    def begin(self, monitor, lower_is_better, max_steps):
        """Start again for a training of `max_steps` steps that monitors the column `monitor` of the history."""
        self.monitor_, self.sign_, self.max_steps_ = monitor, 1 if lower_is_better else -1, max_steps
        self.best_, self.best_weights_, self.done_ = math.inf, None, False

    def on_epoch_end(self, net, **kwargs):
        value = float(net.history[-1, self.monitor_]) * self.sign_
        net.history.record("lr", net.optimizer_.param_groups[0]["lr"])
        is_kept = self.is_better(value)
        net.history.record("event_best", is_kept)
        if is_kept:
            self.best_ = value
            self.best_weights_ = {k: v.detach().clone() for k, v in net.module_.state_dict().items()}
        self.judge(net, value)

    def is_better(self, value):
        """Whether the weights of an evaluation with this `value` replace those kept so far."""
        return value < self.best_

    def judge(self, net, value):
        """React to a new monitored value (lower is better)."""

    def on_train_end(self, net, **kwargs):
        if self.best_weights_ is None:
            raise TrainingDivergedError(
                f"{self.monitor_} was never a finite number in {len(net.history)} evaluation(s); "
                "lower lr or check the data"
            )
        net.module_.load_state_dict(self.best_weights_)
        self.best_weights_ = None


class Plateau(Schedule):
    """Divide the learning rate by 10 on each plateau; the first plateau at the lowest rate ends the training.

    Parameters
    ----------
    patience : int or None, default=4
        Number of evaluations without a better monitored value that count as a plateau. None keeps the learning rate.
    min_lr : float, default=1e-5
        Lowest learning rate.
    """

    state_names = (*Schedule.state_names, "reference_", "misses_")

    def __init__(self, patience=4, min_lr=1e-5):
        self.patience = patience
        self.min_lr = min_lr

    def begin(self, monitor, lower_is_better, max_steps):
        super().begin(monitor, lower_is_better, max_steps)
        self.reference_, self.misses_ = math.inf, 0

    def judge(self, net, value):
        improved = value < self.reference_ - THRESHOLD * min(abs(self.reference_), abs(value))
        self.reference_ = value if improved else self.reference_
        self.misses_ = 0 if improved else self.misses_ + 1
        if self.patience is not None and self.misses_ >= self.patience:
            self._lower(net.optimizer_.param_groups)

    def _lower(self, groups):
        self.misses_ = 0
        if max(group["lr"] for group in groups) <= self.min_lr * (1 + 1e-6):
            self.done_ = True
            return
        for group in groups:
            group["lr"] = max(group["lr"] / 10, self.min_lr)


class Cosine(Schedule):
    """Raise the learning rate linearly for some steps, then let it fall to nearly 0 along half a cosine.

    Parameters
    ----------
    warmup : float, default=0.05
        Fraction of the steps in which the learning rate rises, in [0, 1).
    final : float, default=0.0
        Learning rate of the last step, as a fraction of the highest.
    keep : {"best", "last"}, default="best"
        Which weights to keep: those of the best evaluation, or of the last finite one. If only the training loss is
        monitored, its lowest value depends on chance.
    """

    state_names = (*Schedule.state_names, "step_")

    def __init__(self, warmup=0.05, final=0.0, keep="best"):
        self.warmup = warmup
        self.final = final
        self.keep = keep

    def begin(self, monitor, lower_is_better, max_steps):
        super().begin(monitor, lower_is_better, max_steps)
        self.step_ = 0

    def is_better(self, value):
        """Whether the value is the best so far; with `keep="last"`, whether it is a number."""
        return math.isfinite(value) if self.keep == "last" else super().is_better(value)

    def factor(self, step):
        """Fraction of the highest learning rate at a step (from 0)."""
        rising = math.ceil(self.warmup * self.max_steps_)
        if step < rising:
            return (step + 1) / rising
        progress = (step + 1 - rising) / max(1, self.max_steps_ - rising)
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * progress)) / 2

    def on_batch_begin(self, net, batch=None, training=True, **kwargs):
        if not training:
            return
        factor = self.factor(self.step_)
        for group in net.optimizer_.param_groups:
            group.setdefault("initial_lr", group["lr"])
            group["lr"] = group["initial_lr"] * factor
        self.step_ += 1
