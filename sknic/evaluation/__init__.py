"""Evaluate slide-level models: fold ensembles, intervals over patients, survival of risk groups, task ablation."""

import lazy_loader

from sknic.evaluation.ablation import by_task_count, task_inclusion
from sknic.evaluation.added_value import AddedValue, added_value
from sknic.evaluation.arrangement import ArrangementTest, arrangement_of_ensemble, arrangement_test, shuffle_cells
from sknic.evaluation.bootstrap import compare, estimate
from sknic.evaluation.censoring import CensoredScores, evaluation_times
from sknic.evaluation.decisions import net_benefit, rejection_curve
from sknic.evaluation.delong import compare_auc
from sknic.evaluation.ensemble import CrossValEnsemble
from sknic.evaluation.metrics import accuracy, auc, balanced_accuracy, concordance, r2, spearman
from sknic.evaluation.patient_grids import PatientGrids, by_patient
from sknic.evaluation.patients import aggregate
from sknic.evaluation.results import Comparison, Estimate, format_p
from sknic.evaluation.scorers import auc_scorer, concordance_scorer, spearman_scorer
from sknic.evaluation.slide_and_table import SlideAndTable
from sknic.evaluation.survival import (
    KaplanMeier,
    RiskGroups,
    hazard_ratio,
    kaplan_meier,
    log_rank,
    median_split,
    split_by_risk,
)
from sknic.evaluation.survival_scores import external_survival_scores, survival_scores
from sknic.evaluation.verdict import Verdict, chance_level

__all__ = [
    "AddedValue",
    "ArrangementTest",
    "CensoredScores",
    "Comparison",
    "CrossValEnsemble",
    "Estimate",
    "KaplanMeier",
    "PatientGrids",
    "RiskGroups",
    "SlideAndTable",
    "TaskSelector",
    "Verdict",
    "accuracy",
    "added_value",
    "aggregate",
    "arrangement_of_ensemble",
    "arrangement_test",
    "auc",
    "auc_scorer",
    "balanced_accuracy",
    "by_patient",
    "by_task_count",
    "chance_level",
    "compare",
    "compare_auc",
    "concordance",
    "concordance_scorer",
    "estimate",
    "evaluation_times",
    "external_survival_scores",
    "format_p",
    "hazard_ratio",
    "kaplan_meier",
    "log_rank",
    "median_split",
    "net_benefit",
    "r2",
    "rejection_curve",
    "shuffle_cells",
    "spearman",
    "spearman_scorer",
    "split_by_risk",
    "survival_scores",
    "task_inclusion",
]

# Loads torch, which nothing else here needs.
__getattr__, _, _ = lazy_loader.attach(__name__, submod_attrs={"task_selection": ["TaskSelector"]})
