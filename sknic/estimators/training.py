"""How a grid estimator is trained: the split, the crops, the schedule, and warnings about the result."""

from functools import partial

import numpy as np
import torch

from sknic.estimators.batches import CohortBatches
from sknic.estimators.crops import MAX_CANVAS, SpreadCrops, TrainingCrops, auto_canvas
from sknic.estimators.evidence import Doubts, constant_loss
from sknic.estimators.familiarity import SlideSpread
from sknic.estimators.members import train_member
from sknic.estimators.scaling import ChannelScaling
from sknic.exceptions import TrainingInterrupted
from sknic.learning.device import resolve_device
from sknic.learning.followed import Followed
from sknic.learning.net import history, train
from sknic.learning.randomness import make_random
from sknic.learning.schedule import Cosine, Plateau
from sknic.learning.split import check_groups, split

MIN_PATIENTS_TO_SPLIT = 4
VALIDATION_CROPS = 3
# Share of the steps in which the learning rate rises.
WARMUP = 0.1


def as_it_is(batch):
    """Return a batch unchanged; the crops are already collated."""
    return batch


def _doubts(loss, constant, train_data, valid_data, batches):
    """What a training is compared with: the losses of a constant prediction."""
    # The passes of batches that are drawn here leave the training's randomness, and the caller's, as they were.
    with torch.random.fork_rng():
        return Doubts(
            train_constant=constant_loss(loss, constant, train_data.targets, batches),
            valid_constant=None if valid_data is None else constant_loss(loss, constant, valid_data.targets),
        )


class GridTraining(Followed):
    """The part of a grid estimator that trains its network, with the estimator's parameters."""

    def _fit_net(
        self,
        grids,
        targets,
        *,
        loss,
        n_outputs,
        strata,
        groups,
        balanced=False,
        constant=None,
        callbacks=(),
    ):
        """Split, draw crops, train the members.

        Parameters
        ----------
        targets : tensor (n, ...)
        strata : int array (n,)
            Label to stratify the split and the batches by.
        constant : tensor (n_outputs,), optional
            The best constant prediction; zeros by default.
        """
        random = make_random(self.random_state)
        train_rows, valid_rows = self._split(len(grids), groups, strata, random)
        self.n_outputs_ = n_outputs
        self.canvas_ = self._choose_canvas(grids)
        train_grids = [grids[i] for i in train_rows]
        self._measure_channels(train_grids)
        self._measure_slides(grids, groups)
        canvas = self._canvas(grids, resolve_device(self.device))
        train_data = TrainingCrops(train_grids, targets[train_rows], canvas, random)
        valid_data = self._valid_data(grids, targets, valid_rows, canvas)
        batches = CohortBatches(strata[train_rows], self.batch_size, balanced)
        constant = torch.zeros(n_outputs) if constant is None else constant
        doubts = _doubts(loss, constant, train_data, valid_data, batches)

        def train_one(title):
            return train(
                self._module(n_outputs),
                train_data,
                valid_data,
                loss=loss,
                lr=self.lr,
                schedule=self._schedule(valid_data),
                max_steps=self._n_steps(len(train_rows)),
                eval_every=self.eval_every,
                batch_size=self.batch_size,
                batch_sampler=batches,
                collate=as_it_is,
                l2=self.l2,
                weight_decay=self.weight_decay,
                callbacks=[*callbacks, *(self.callbacks or []), *self._followers()],
                device=self.device,
                n_threads=self.n_threads,
                random_state=random,
                verbose=self.verbose,
                title=title,
            )

        self._train_members(train_one, doubts)

    def _valid_data(self, grids, targets, rows, canvas):
        """Crops of the held-out grids; None if no grid is held out."""
        if not len(rows):
            return None
        n_crops = min(self.n_crops, VALIDATION_CROPS)
        return SpreadCrops([grids[i] for i in rows], targets[rows], canvas, n_crops, max_orientations=1)

    def _train_members(self, train_one, doubts):
        nets, n_restarts = [], 0
        try:
            for number in range(self.n_members):
                title = f"network {number + 1} of {self.n_members}, " if self.n_members > 1 else ""
                net, restarts = train_member(partial(train_one, title), doubts.none_of, may_restart=self.n_members > 1)
                nets, n_restarts = [*nets, net], n_restarts + restarts
        except TrainingInterrupted as interrupt:
            # A network that was cut off is better than none, and worse than those that are whole.
            interrupt.net = nets[0] if nets else interrupt.net
            if interrupt.net is not None:
                self._keep(nets or [interrupt.net], n_restarts)
            raise
        self._keep(nets, n_restarts)
        doubts.warn(type(self).__name__, [history(net) for net in nets])

    def _n_steps(self, n_grids):
        """Number of training batches for a number of training grids."""
        return self.max_steps

    def _schedule(self, valid_data):
        if self.schedule == "plateau":
            return Plateau(self.patience, self.min_lr)
        return Cosine(WARMUP, keep="last" if valid_data is None else "best")

    def _keep(self, nets, n_restarts):
        """Adopt trained nets."""
        self.nets_, self.n_restarts_ = nets, n_restarts
        self.history_ = [{"member": number, **row} for number, net in enumerate(nets) for row in history(net)]

    def _learnt_so_far(self, net):
        return {"nets_": [net]}

    def _split(self, n, groups, strata, random):
        n_patients = n if groups is None else len(np.unique(check_groups(groups, n)))
        if not self.validation_fraction or n_patients < MIN_PATIENTS_TO_SPLIT:
            return np.arange(n), np.arange(0)
        return split(n, self.validation_fraction, groups=groups, stratify=strata, random_state=random)

    def _choose_canvas(self, grids):
        if self.crop_size == "auto":
            return MAX_CANVAS if self.padding == "valid" else auto_canvas(grids)
        return int(self.crop_size)

    def _measure_channels(self, grids):
        scaling = ChannelScaling.of(grids) if self.standardize else None
        self.channel_mean_, self.channel_scale_ = (scaling.mean, scaling.scale) if scaling else (None, None)

    def _measure_slides(self, grids, groups):
        spread = SlideSpread.of(grids, groups)
        self.slide_mean_ = spread.mean if spread else None
        self.slide_scale_ = spread.scale if spread else None
        self.slide_cells_ = spread.n_cells if spread else None
