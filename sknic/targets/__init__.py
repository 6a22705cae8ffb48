"""The kinds of slide-level target: what y is, and how it is checked, scored and written."""

from sknic.targets.classification import Classification
from sknic.targets.kind import Target
from sknic.targets.kinds import KINDS, kind_named, kind_of, register
from sknic.targets.regression import Regression
from sknic.targets.several import Labels, Scores
from sknic.targets.survival import SURVIVAL_DTYPE, Survival, as_target, read_survival, survival_array

__all__ = [
    "KINDS",
    "SURVIVAL_DTYPE",
    "Classification",
    "Labels",
    "Regression",
    "Scores",
    "Survival",
    "Target",
    "as_target",
    "kind_named",
    "kind_of",
    "read_survival",
    "register",
    "survival_array",
]
