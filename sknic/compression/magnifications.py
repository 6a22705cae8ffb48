"""Outcomes and plans of one slide at several magnifications, as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sknic.compression.job import Outcome, Plan
from sknic.grids import Grid, stack_magnifications

# The worst comes first, and decides.
_OUTCOMES = ("failed", "no tissue", "done", "cached")
_PLANS = ("cannot", "no tissue", "to do", "cached")


def combined(outcomes: Sequence[Outcome], mpps: Sequence[float]) -> Outcome:
    """Combine the outcomes of one slide.

    Parameters
    ----------
    outcomes : sequence of Outcome
        One per magnification, the finest first.
    mpps : sequence of float
        um per px of each.

    Returns
    -------
    Outcome
        The worst status with its reason; the grid has the cells of the finest and the channels of all.
    """
    if len(outcomes) == 1:
        return outcomes[0]
    seconds = sum(outcome.seconds for outcome in outcomes)
    worst = min(range(len(outcomes)), key=lambda k: _OUTCOMES.index(outcomes[k].status))
    status, first = outcomes[worst].status, outcomes[0]
    grids = [outcome.grid for outcome in outcomes if outcome.grid is not None]
    if status in ("done", "cached"):
        try:
            return replace(first, status=status, seconds=seconds, grid=stack_magnifications(grids))
        except ValueError as problem:  # the file was replaced in between, for instance
            return Outcome(first.slide, "failed", seconds=seconds, error=str(problem))
    error = f"at {mpps[worst]:g} um/px: {outcomes[worst].error}"
    if status == "failed":
        return Outcome(first.slide, status, seconds=seconds, error=error)
    return Outcome(first.slide, status, seconds=seconds, error=error, grid=_without_cells(grids))


def combined_plan(plans: Sequence[Plan], mpps: Sequence[float]) -> Plan:
    """Combine the plans of one slide.

    Parameters
    ----------
    plans : sequence of Plan
        One per magnification, the finest first.
    mpps : sequence of float
        um per px of each.

    Returns
    -------
    Plan
        The worst status with its reason, and the number of cells of the finest.
    """
    worst = min(range(len(plans)), key=lambda k: _PLANS.index(plans[k].status))
    reason = plans[worst].reason
    reason = f"at {mpps[worst]:g} um/px: {reason}" if reason and len(plans) > 1 else reason
    n_cells = plans[0].n_cells if plans[worst].status in ("to do", "cached") else 0
    return replace(plans[0], status=plans[worst].status, n_cells=n_cells, reason=reason)


def _without_cells(grids):
    """An empty grid with the channels of all."""
    header, code_size = grids[0].header, sum(grid.code_size for grid in grids)
    known = {name: getattr(header, name) for name in ("mpp", "patch_size", "stride", "slide", "fingerprint")}
    return Grid(np.empty((0, code_size)), np.empty((0, 2)), header.shape, tissue_fraction=0.0, **known)
