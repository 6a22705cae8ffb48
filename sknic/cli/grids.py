"""From paths to grids: a slide that fails does not stop the others."""

import os
import re
from dataclasses import dataclass
from typing import Any

import typer

from sknic.cli.failures import with_names
from sknic.exceptions import ProvenanceError
from sknic.files.nearest import no_such_file

NO_TISSUE = "no tissue: the grid has no cells"


@dataclass(frozen=True)
class Loaded:
    """Grids of the requested slides.

    Attributes
    ----------
    grids : object array (n,)
        A Grid, or None, for each row.
    errors : list of str
        For each row, why it cannot be used; empty if it can.
    """

    grids: Any
    errors: list[str]

    @property
    def good(self):
        """Positions of the rows that can be used."""
        return [row for row, error in enumerate(self.errors) if not error]

    def failures(self, paths):
        """Path of each row that cannot be used, and the reason."""
        return {path: error for path, error in zip(paths, self.errors) if error}


def are_grid_files(paths):
    """Whether the paths name grids or feature files rather than slides; a mixture is refused."""
    named = [path.lower().endswith((".h5", ".hdf5")) for path in paths]
    if any(named) and not all(named):
        raise typer.BadParameter(f"some files are grids (.h5), some are not: {paths[named.index(False)]}")
    return all(named)


def load_grids(paths, compressor):
    """Read grid files, or compress slides; every file is tried.

    Parameters
    ----------
    paths : list of str
    compressor : SlideCompressor or None
        None if it is not known how to compress slides.

    Returns
    -------
    Loaded
    """
    import numpy as np

    if are_grid_files(paths):
        found, errors = _read(paths)
    elif compressor is None:
        raise typer.BadParameter("slides need --encoder, the encoder to compress them with")
    else:
        found, errors = _compressed(paths, compressor)
    grids = np.empty(len(paths), object)
    for row, (path, grid) in enumerate(zip(paths, found)):
        grids[row] = grid
        if not errors[row] and (grid is None or grid.n_cells == 0):
            errors[row] = NO_TISSUE
        elif errors[row] and not os.path.exists(path):
            errors[row] = no_such_file(path)
    return Loaded(grids, errors)


def _read(paths):
    from sknic import Grid
    from sknic.exceptions import SknicError

    grids: list[Any] = []
    errors = []
    for path in paths:
        try:
            grids.append(Grid.read(path))
            errors.append("")
        except (SknicError, OSError, ValueError) as error:
            grids.append(None)
            said = " ".join(str(error).split())
            for name in (path, os.path.abspath(path)):
                said = said.removeprefix(f"{name}: ").removeprefix(f"{name} ")
            errors.append(said or type(error).__name__)
    return grids, errors


def _compressed(paths, compressor):
    outcomes = compressor.fit(paths).compress(paths)
    return [outcome.grid for outcome in outcomes], [_why_not(outcome) for outcome in outcomes]


def _why_not(outcome):
    """Why a slide cannot be used; empty if it can."""
    if outcome.is_usable:
        return ""
    says_it = outcome.status == "failed" or outcome.error.startswith(outcome.status)
    return outcome.error if says_it else f"{outcome.status}: {outcome.error}"


def reason_of(error):
    """An estimator's error about a single grid, in one line."""
    text = " ".join(re.sub(r"X\[0\] \((.*?)\)", r"\1", str(error)).replace("X[0]", "the grid").split())
    return with_names(text) if isinstance(error, ProvenanceError) else text


def refuse_or_skip(paths, loaded, on_error):
    """Rows that can be used; raises an error if there are others, unless `on_error="skip"`.

    Parameters
    ----------
    paths : list of str
    loaded : Loaded
    on_error : str

    Returns
    -------
    list of int

    Raises
    ------
    CompressionError
        If slides cannot be used and should not be skipped, or if none is left; it lists every cause.
    """
    from sknic.compression.outcomes import by_cause
    from sknic.exceptions import CompressionError

    good, bad = loaded.good, loaded.failures(paths)
    if not bad:
        return good
    lines = by_cause(paths, loaded.errors)
    head = f"{len(paths) - len(good)} of {len(paths)} slides cannot be used"
    if on_error == "raise" or not good:
        remedy = "; --on-error skip leaves them out" if good else ""
        raise CompressionError(f"{head}: {'; '.join(lines)}{remedy}", bad, list(loaded.grids))
    typer.secho(f"warning: {head} and are left out", err=True)
    for line in lines:
        typer.secho(f"  {line}", err=True)
    return good
