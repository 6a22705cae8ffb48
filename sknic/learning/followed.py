"""scikit-learn's callbacks (1.9): progress bars and monitors that follow a training, through searches too."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import sklearn
import torch
from skorch.callbacks import Callback

from sknic.exceptions import TrainingInterrupted

# That API is experimental: with another version, estimators do without.
HAS_CALLBACKS = sklearn.__version__.startswith("1.9.")

if HAS_CALLBACKS:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
else:  # pragma: no cover

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in for scikit-learn's mixin."""

    def with_callbacks(method: Callable) -> Callable:
        """Return the method as it is."""
        return method


class Followed(CallbackSupportMixin):
    """An estimator with `max_steps` and `eval_every` whose training scikit-learn's callbacks can follow.

    `fit` is decorated with :func:`followed`, and the training gets the callbacks of `_followers`.
    """

    max_steps: int | None
    eval_every: int

    def _followers(self):
        """Callbacks for skorch that forward each evaluation; empty if there are no followers."""
        following = self.__dict__.get("_following")
        return [] if following is None else [following]

    def _learnt_so_far(self, net):
        """Fitted attributes with which the estimator could predict now; None if it could not."""
        return


def followed(fit: Callable) -> Callable:
    """Let scikit-learn's callbacks follow `fit(self, X, y, ...)`: its beginning, each evaluation, its end.

    A fit that fails leaves the estimator as it was: not networks of before with classes, scales or an encoder of now.

    Parameters
    ----------
    fit : callable
        Method of a `Followed`.

    Returns
    -------
    callable
        The method; it does the same.
    """

    @with_callbacks
    @functools.wraps(fit)
    def fit_followed(self, X, y=None, *args, **kwargs):
        if not getattr(self, "_skl_callbacks", None):
            with _all_or_nothing(self):
                return fit(self, X, y, *args, **kwargs)
        context = self._init_callback_context(max_subtasks=_n_evaluations(self))
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        self._following = following = Following(self, context, X, y)
        try:
            with _all_or_nothing(self):
                fit(self, X, y, *args, **kwargs)
        finally:
            following.of = None  # a net that is kept shall not keep the slides
            del self._following
        learnt = functools.partial(_fitted, self)
        context.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes=learnt)
        return self

    return fit_followed


@contextmanager
def _all_or_nothing(estimator):
    """Restore the attributes if the block fails; what an interrupted training has learnt is kept."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException as error:
        if not (isinstance(error, TrainingInterrupted) and error.net is not None):
            vars(estimator).clear()
            vars(estimator).update(before)
        raise


def _n_evaluations(estimator):
    """Maximum number; None if the parameters, which `fit` checks, do not define one, or if a member may restart."""
    if getattr(estimator, "n_members", 1) != 1:
        return None
    try:
        # A number that depends on the slides is None, a TypeError here.
        return math.ceil(estimator.max_steps / estimator.eval_every)
    except (TypeError, ZeroDivisionError):
        return None


def _fitted(estimator):
    return {name: value for name, value in vars(estimator).items() if name.endswith("_") and not name.startswith("_")}


class Following(Callback):
    """Tells scikit-learn's callbacks of each evaluation of a training.

    Parameters
    ----------
    estimator : Followed
    context : sklearn.callback.CallbackContext
        Context of the estimator's fit.
    X, y : object
        Training data.
    """

    def __init__(self, estimator: Followed, context: Any, X: Any, y: Any) -> None:
        self.of = (estimator, context, X, y)

    def on_epoch_begin(self, net, **kwargs):
        estimator, context, X, y = self.of
        self.task = context.subcontext("evaluation")
        self.task.call_on_fit_task_begin(estimator=estimator, X=X, y=y)

    def on_epoch_end(self, net, **kwargs):
        estimator, _, X, y = self.of
        learnt = functools.partial(_so_far, estimator, net)
        with torch.random.fork_rng():  # whatever a callback predicts, the training stays what it is
            self.task.call_on_fit_task_end(estimator=estimator, X=X, y=y, reconstruction_attributes=learnt)

    def on_train_end(self, net, **kwargs):
        self.task = None


def _so_far(estimator, net):
    learnt = estimator._learnt_so_far(net)
    return None if learnt is None else {**_fitted(estimator), **learnt}
