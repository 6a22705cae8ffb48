"""Results of the evaluation functions: small frozen records with a readable `str`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from sknic.learning.params import check, real


def format_p(p_value: float) -> str:
    """Write a p-value as papers do: ``"p < 0.001"`` or ``"p = 0.032"``.

    Parameters
    ----------
    p_value : float
        Probability in [0, 1].

    Returns
    -------
    str
        Text with two digits.
    """
    if p_value < 0.001:
        return "p < 0.001"
    return f"p = {p_value:.2g}" if p_value < 0.1 else f"p = {p_value:.2f}"


def check_level(level: float) -> None:
    """Raise ValueError unless a confidence level is between 0 and 1; 95 would be one of 9,500 %."""
    check("level", level, real(above=0, below=1))


@dataclass(frozen=True, repr=False)
class Estimate:
    """A number with its confidence interval.

    Attributes
    ----------
    value : float
        Estimate on all the data.
    low, high : float
        Limits of the interval.
    level : float
        Its confidence level, such as 0.95.
    n : int
        Number of independent units behind it: patients, or slides if no patients were given.
    reason : str
        Why the limits, or value and limits, are NaN.
    """

    value: float
    low: float
    high: float
    level: float
    n: int
    reason: str = ""

    @classmethod
    def unknown(cls, reason: str, n: int, level: float = 0.95) -> Self:
        """Return the placeholder for a metric that cannot be computed.

        Parameters
        ----------
        reason : str
            Why it cannot.
        n : int
            Number of patients or slides.
        level : float
            Confidence level.

        Returns
        -------
        Estimate
            NaN, with the reason.
        """
        return cls(math.nan, math.nan, math.nan, level, n, reason=reason)

    def __str__(self):
        if math.isnan(self.low):
            return f"{'n/a' if math.isnan(self.value) else f'{self.value:.3f}'} [n/a: {self.reason}]"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def __repr__(self):
        return f"Estimate({self}, level={self.level:g}, n={self.n})"


@dataclass(frozen=True, repr=False)
class Comparison:
    """Two models measured on the same patients.

    Attributes
    ----------
    a, b : Estimate
        Each model's metric.
    difference : Estimate
        ``a - b``.
    p_value : float
        Two-sided p-value of the hypothesis that the difference is zero.
    method : str
        ``"DeLong"`` or ``"paired bootstrap"``.
    """

    a: Estimate
    b: Estimate
    difference: Estimate
    p_value: float
    method: str

    def __repr__(self):
        return f"Comparison({self.a} against {self.b}: {self.difference}, {format_p(self.p_value)}, {self.method})"
