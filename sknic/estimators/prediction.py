"""How a grid estimator predicts: the mean of its networks over crops and orientations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch.utils.data import DataLoader

from sknic.estimators.crops import SpreadCrops
from sknic.estimators.familiarity import MIN_SLIDES, SlideSpread, names_of_far, warn_of_unfamiliar
from sknic.estimators.members import spread_between
from sknic.estimators.reading import read_grids
from sknic.estimators.training import as_it_is
from sknic.learning.device import torch_threads
from sknic.learning.params import Rule, check
from sknic.targets import kind_of


@dataclass(frozen=True, eq=False)
class NetworkOutputs:
    """What the networks of an estimator say of n grids.

    Attributes
    ----------
    nets : list of skorch.NeuralNet
        The networks.
    values : float64 array (n_members, n, k)
        Mean over the crops and orientations of each grid.
    settings : dict
        What the estimator was asked for, in `n_crops` and `average_orientations`.
    distances : float64 array (n,) or None
        How far each slide is from those of the training, see `distance_to_training`; None if it is not known.
    """

    nets: list
    values: np.ndarray
    settings: dict
    distances: np.ndarray | None = None

    def __len__(self):
        return self.values.shape[1]


class GridPrediction:
    """The part of a grid estimator that runs its networks, with the estimator's parameters."""

    nets_: list
    _rules: ClassVar[dict[str, Rule]]
    # None is also what a model has that was pickled before they were there.
    slide_mean_: np.ndarray | None = None
    slide_scale_: np.ndarray | None = None
    slide_cells_: float | None = None

    def run_networks(self, X: Any) -> NetworkOutputs:
        """Run the networks once, for several predictions.

        Parameters
        ----------
        X : sequence or object array of n Grids or (C, rows, columns) arrays, 4-D array, or table (n, C)
            Grids of any size; a row of a table is a grid of one cell.

        Returns
        -------
        NetworkOutputs
            All methods that predict take it in place of X, and return the same without running the networks again.

        Warns
        -----
        UnfamiliarSlidesWarning
            If slides look unlike those of the training, see `distance_to_training`.

        Examples
        --------
        >>> outputs = model.run_networks(grids)  # doctest: +SKIP
        >>> risk, curves = model.predict(outputs), model.predict_survival_function(outputs)  # doctest: +SKIP
        """
        check_is_fitted(self, "net_")
        if isinstance(X, NetworkOutputs):
            if X.nets is not self.nets_:
                raise ValueError(f"X: expected grids, or outputs of this {type(self).__name__}'s own networks")
            if X.settings != self._averaged():
                raise ValueError(
                    f"X: the networks were run with {X.settings}, and the parameters are now {self._averaged()}; "
                    "run them again"
                )
            return X
        for name in ("n_crops", "n_threads", "average_orientations"):
            check(name, getattr(self, name), self._rules[name])
        grids, spread = read_grids(self, X, reset=False), self._slide_spread()
        distances = None if spread is None else spread.distances(grids)
        if distances is not None:
            warn_of_unfamiliar(names_of_far(grids, distances))
        return NetworkOutputs(self.nets_, self._values(grids), self._averaged(), distances)

    def distance_to_training(self, X: Any) -> np.ndarray:
        """Measure how far slides look from those of the training, by their mean embeddings.

        Above 4, predictions warn: the order of such slides may be right, but not the level of their predictions.

        Parameters
        ----------
        X : sequence or object array of n Grids or (C, rows, columns) arrays, or 4-D array
            Grids of any size.

        Returns
        -------
        float array (n,)
            Distance of the mean embedding from that of the training slides in their standard deviations, which grow
            with the root of the cells that a smaller slide lacks; root mean square over the channels, each counted
            as 10 at most. About 1 for slides of the same origin.

        Raises
        ------
        ValueError
            If the spread of the training slides is not known: there were fewer than ten, or slides of fewer than ten
            patients, or rows of a table, or the model was fitted before sknic measured it.
        """
        check_is_fitted(self, "net_")
        spread = self._slide_spread()
        if spread is None:
            raise ValueError(
                f"this {type(self).__name__} does not know how far its training slides are apart, which takes "
                f"grids of {MIN_SLIDES} patients in `fit`; fit it again"
            )
        return spread.distances(read_grids(self, X, reset=False))

    def _slide_spread(self):
        if self.slide_mean_ is None or self.slide_scale_ is None or self.slide_cells_ is None:
            return None
        return SlideSpread(self.slide_mean_, self.slide_scale_, self.slide_cells_)

    def predict_spread(self, X: Any) -> np.ndarray:
        """Measure how far the members' predictions are apart: the more they disagree, the less reliable is their mean.

        Parameters
        ----------
        X : sequence or object array of n Grids or (C, rows, columns) arrays, 4-D array, or table (n, C)
            Grids of any size; a row of a table is a grid of one cell.

        Returns
        -------
        float array (n,)
            Standard deviation over the members of the predicted class's probability, of the number, or of the
            log risk; of several targets, its mean. The members learnt from the same slides, so it is smaller than the
            total uncertainty.

        Raises
        ------
        ValueError
            If the estimator has only one member.
        """
        check_is_fitted(self, "net_")
        if len(self.nets_) == 1:
            raise ValueError(f"{type(self).__name__} has one network; fit it with n_members=3 or more for a spread")
        return spread_between(self._predict_members(X), of_winner=kind_of(self, None).picks_one)

    def _predict_members(self, X):
        """What each member predicts, float64 (n_members, n, k); their mean is the prediction."""
        return self._outputs(X)

    def _outputs(self, X):
        """Each member's mean over crops and orientations of its linked outputs, float64 (n_members, n, k)."""
        return self.run_networks(X).values

    def _values(self, grids):
        """The same of grids that were read, without a look at whether they are like those of the training."""
        canvas, turned = self._canvas(grids, self.net_.device), self.average_orientations
        crops = SpreadCrops(grids, torch.zeros(len(grids)), canvas, self.n_crops, turned=turned)
        # One grid at a time: the last bits of a prediction, too, do not depend on what else is predicted.
        # A generator of its own: a loader draws a seed, here for nothing, and would draw it from the caller's.
        own = torch.Generator()
        loader = DataLoader(crops, batch_sampler=crops.batches(), collate_fn=as_it_is, generator=own)
        count = np.bincount(crops.owner, minlength=len(grids))[:, None]
        with torch_threads(self.n_threads):
            return np.stack([_total(net, loader, self._link, crops.owner, len(grids)) / count for net in self.nets_])

    def _averaged(self):
        """The parameters that decide what a prediction is the mean of."""
        return {name: getattr(self, name) for name in ("n_crops", "average_orientations")}

    def _link(self, output):
        """What is averaged over crops: the outputs (n, k) of the network themselves, here."""
        return output


def _total(net, loader, link, owner, n):
    """Sum over the crops of each of n grids of `link` of the outputs, float64 (n, n_outputs)."""
    outputs = torch.cat([link(output) for output in net.forward_iter(loader)]).double().numpy()
    total = np.zeros((n, outputs.shape[1]))
    np.add.at(total, owner, outputs)
    return total
