"""Survival of groups of patients: Kaplan-Meier curves, log-rank test, hazard ratio (the paper's Fig. 5 and 6)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm
from sksurv.compare import compare_survival
from sksurv.nonparametric import kaplan_meier_estimator
from statsmodels.duration.hazard_regression import PHReg
from statsmodels.tools.sm_exceptions import ConvergenceWarning

from sknic.evaluation.patients import aggregate
from sknic.evaluation.results import Estimate, check_level, format_p
from sknic.exceptions import DegenerateDataError
from sknic.targets import read_survival
from sknic.targets.cells import few
from sknic.targets.names import UNKNOWN, check_names, refuse_alike, refuse_words
from sknic.targets.rows import check_paired

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


# Names of groups that stand for a missing value elsewhere: a marker that is there or not, no treatment.
_MARKS = {"-", "--", "none", "not done"}
# More groups than this, and than half of the patients, are a score or names.
_FEW_GROUPS = 5


@dataclass(frozen=True, eq=False, repr=False)
class KaplanMeier:
    """A Kaplan-Meier curve.

    Attributes
    ----------
    time : ndarray of float, shape (n_times,)
        Times of events and censoring, ascending.
    survival, low, high : ndarray of float, shape (n_times,)
        Probability of surviving beyond each time, and its pointwise interval (log-log).
    durations, censored : ndarray of float
        Follow-up of every patient, and of those without event, in the order given.
    n_events : int
        Number of events.
    level : float
        Confidence level of the interval.
    """

    time: np.ndarray
    survival: np.ndarray
    low: np.ndarray
    high: np.ndarray
    durations: np.ndarray
    censored: np.ndarray
    n_events: int
    level: float

    @property
    def n(self) -> int:
        """Number of patients."""
        return len(self.durations)

    @property
    def median(self) -> float | None:
        """First time at which half of the patients have had the event; None if it is not reached."""
        reached = self.survival <= 0.5 + 1e-9  # a product of shares, such as 23/24 * 22/23, misses 0.5 by an ulp
        return float(self.time[reached.argmax()]) if reached.any() else None

    def at_risk(self, times: ArrayLike) -> np.ndarray:
        """Return the number of patients still under observation just before each time.

        Parameters
        ----------
        times : array-like (m,)
            Times, in the unit of the durations.

        Returns
        -------
        int array (m,)
            Numbers of patients.
        """
        return self.n - np.searchsorted(np.sort(self.durations), times, side="left")

    def __repr__(self):
        median = "not reached" if self.median is None else f"{self.median:.4g}"
        return f"KaplanMeier(n={self.n}, n_events={self.n_events}, median={median})"


@dataclass(frozen=True, eq=False, repr=False)
class RiskGroups:
    """Patients split by risk, and how their survival differs.

    Attributes
    ----------
    low, high : KaplanMeier
        Curves of the patients at low and at high risk.
    is_high : ndarray of bool, shape (n_patients,)
        Whether each patient is at high risk.
    patients : ndarray, shape (n_patients,)
        Names in the same order; row numbers if none were given.
    threshold : float
        Risk above which a patient counts as high.
    p_value : float
        P value of the log-rank test.
    hazard_ratio : Estimate or None
        Hazard of the high against the low group; None if it is not finite (see `note`).
    note : str
        Why there is no hazard ratio; otherwise empty.
    """

    low: KaplanMeier
    high: KaplanMeier
    is_high: np.ndarray
    patients: np.ndarray
    threshold: float
    p_value: float
    hazard_ratio: Estimate | None
    note: str = ""

    def __repr__(self):
        ratio = f"hazard ratio {self.hazard_ratio}" if self.hazard_ratio else f"no hazard ratio: {self.note}"
        return f"RiskGroups(low={self.low}, high={self.high}, log-rank {format_p(self.p_value)}, {ratio})"


def kaplan_meier(y: np.ndarray, *, level: float = 0.95) -> KaplanMeier:
    """Estimate the survival of one group.

    Parameters
    ----------
    y : structured array, shape (n_patients,)
        Event (bool) and time, as scikit-survival's ``Surv``.
    level : float
        Confidence level of the pointwise interval.

    Returns
    -------
    KaplanMeier

    Raises
    ------
    DegenerateDataError
        If there are no patients.
    """
    check_level(level)
    y = read_survival(y)
    if len(y) == 0:
        raise DegenerateDataError("no patients; a survival curve needs at least one")
    event, duration = y["event"], y["time"]
    time, survival, (low, high) = kaplan_meier_estimator(event, duration, conf_level=level, conf_type="log-log")
    return KaplanMeier(time, survival, low, high, duration, duration[~event], int(event.sum()), level)


def log_rank(y: np.ndarray, group: ArrayLike) -> float:
    """Test whether the survival of groups of patients differs.

    Parameters
    ----------
    y : structured array, shape (n_patients,)
        Event (bool) and time.
    group : array-like, shape (n_patients,)
        Group of each patient, two or more.

    Returns
    -------
    p_value : float

    Raises
    ------
    DegenerateDataError
        If there is only one group, no event, or no event while two groups are still under observation.
    """
    check_paired(y=y, group=group)
    y, of_patient = read_survival(y), check_names("group", group)
    refuse_alike("group", of_patient, case=True)
    refuse_words("group", of_patient, UNKNOWN - _MARKS, "a group for each patient; leave the others out")
    if len(y) != len(of_patient):
        raise ValueError(f"y has {len(y)} rows, group {len(of_patient)}; they must be the same patients")
    names = np.unique(of_patient)
    if len(names) < 2:
        raise DegenerateDataError(f"all {len(y)} patients are in one group; the log-rank test compares two or more")
    if len(names) > max(_FEW_GROUPS, len(y) / 2):
        raise DegenerateDataError(
            f"group has {len(names)} values for {len(y)} patients, such as {few(names.tolist(), 3)}: expected groups "
            "of several patients; split a score at its median (median_split)"
        )
    if not y["event"].any():
        raise DegenerateDataError(f"no event among {len(y)} patients; the log-rank test needs events")
    try:
        p_value = float(compare_survival(y, of_patient)[1])
    except np.linalg.LinAlgError as error:
        raise DegenerateDataError(
            "no event while every group is still under observation; nothing can be compared"
        ) from error
    return p_value


def hazard_ratio(y: np.ndarray, high: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Estimate by Cox regression how much higher the hazard of one group is (Efron ties, Wald interval).

    Parameters
    ----------
    y : structured array, shape (n_patients,)
        Event (bool) and time.
    high : array-like of bool, shape (n_patients,)
        Membership of the group in the numerator of the ratio.
    level : float
        Confidence level.

    Returns
    -------
    Estimate

    Raises
    ------
    DegenerateDataError
        If a group is empty or has no event, or if the groups' events do not overlap in time.
    """
    check_level(level)
    check_paired(y=y, high=high)
    y, is_high = read_survival(y), _bools(high)
    for name, members in (("low", ~is_high), ("high", is_high)):
        if not y["event"][members].any():
            raise DegenerateDataError(
                f"no event among the {members.sum()} patients of the {name} group; the hazard ratio is not finite"
            )
    beta, error = _cox_coefficient(y, is_high)
    half = norm.ppf(0.5 + level / 2) * error
    value, low, up = np.exp([beta, beta - half, beta + half])
    return Estimate(float(value), float(low), float(up), level, len(y))


def _bools(high):
    values = np.asarray(high)
    if values.dtype.kind not in "biuf" or not np.isin(values, [0, 1]).all():  # a cast makes True of NaN and "low"
        raise ValueError(f"high contains {few(np.unique(values).tolist())}: expected True or False (1 or 0)")
    return values.astype(bool)


def _cox_coefficient(y, high):
    model = PHReg(y["time"], high[:, None].astype(float), status=y["event"], ties="efron")
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            fit = model.fit(disp=False)
        except ConvergenceWarning:
            fit = None
    if fit is None or not np.isfinite(fit.bse[0]) or abs(fit.params[0]) > 10:
        raise DegenerateDataError("all events of one group come before the other's; the hazard ratio is not finite")
    return float(fit.params[0]), float(fit.bse[0])


def median_split(risk: ArrayLike, *, threshold: float | None = None) -> tuple[np.ndarray, float]:
    """Determine who is at high risk: patients above the median, or above a threshold from other patients.

    Parameters
    ----------
    risk : array-like of float, shape (n_patients,)
        One score per patient.
    threshold : float, optional
        Default: the median of `risk`.

    Returns
    -------
    is_high : ndarray of bool, shape (n_patients,)
    threshold : float

    Raises
    ------
    DegenerateDataError
        If one side is empty, which happens if many risks equal the median.
    """
    risk = np.asarray(risk, dtype=np.float64)
    if not np.isfinite(risk).all() or risk.ndim != 1:
        raise ValueError(f"risk has shape {risk.shape}; it must be one finite number per patient")
    if threshold is None:
        threshold = np.median(risk)
    is_high = risk > threshold
    if not 0 < is_high.sum() < len(risk):
        raise DegenerateDataError(
            f"{is_high.sum()} of {len(risk)} patients have a risk above {threshold:.4g}; both groups need members"
        )
    return is_high, float(threshold)


def split_by_risk(
    y: np.ndarray,
    risk: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    how: str = "mean",
    threshold: float | None = None,
    level: float = 0.95,
) -> RiskGroups:
    """Split patients at the median risk and compare their survival, as in the paper's Fig. 5 and 6.

    Parameters
    ----------
    y : structured array, shape (n_slides,)
        Event (bool) and time. All slides of a patient must agree.
    risk : array-like of float, shape (n_slides,)
        Predicted risk, or a probability in its place.
    groups : array-like, shape (n_slides,), optional
        Patient of each slide; slides are reduced to patients by `how`.
    how : {"mean", "max"}
        As in :func:`aggregate`.
    threshold : float, optional
        Default: the median risk of these patients.
    level : float
        Confidence level of all intervals.

    Returns
    -------
    RiskGroups

    Raises
    ------
    DegenerateDataError
        If a group is empty, or no event can be compared.
    """
    check_paired(y=y, risk=risk, groups=groups)
    y, risk = read_survival(y), np.asarray(risk, dtype=np.float64)
    patients = np.arange(len(y)) if groups is None else groups
    y = aggregate(y, patients, how="same")[1]
    patients, risk = aggregate(risk, patients, how=how)
    is_high, threshold = median_split(risk, threshold=threshold)
    p_value = log_rank(y, is_high)
    try:
        ratio, note = hazard_ratio(y, is_high, level=level), ""
    except DegenerateDataError as error:
        ratio, note = None, str(error)
    low, high = kaplan_meier(y[~is_high], level=level), kaplan_meier(y[is_high], level=level)
    return RiskGroups(low, high, is_high, patients, threshold, p_value, ratio, note)
