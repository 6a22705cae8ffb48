"""`sknic verify`: check that a model folder is unchanged and consistent."""

import os
from pathlib import Path
from typing import Annotated

import typer

from sknic.cli import options
from sknic.cli.grids import are_grid_files, load_grids
from sknic.cli.model_folder import compression_of, grids_of, is_of_model, load_model, read_slides
from sknic.cli.sealed import EVALUATION, check_files

_MARKS = {True: "ok", False: "WRONG", None: "n/a"}


def verify(
    model: Annotated[Path, typer.Argument(callback=options.with_a_model, help=options.MODEL_HELP)],
    grids: Annotated[
        Path | None, typer.Option(help="Folder of compressed slides (grids); the model's own by default.")
    ] = None,
    seal: Annotated[
        str | None,
        typer.Option(help="Seal that this command printed earlier, to check that nothing has changed since."),
    ] = None,
    device: options.Device = "auto",
):
    """Check a model folder: the digest of every file, the splits, the metrics, and the predictions of its folds.

    The predictions are computed again for the slides whose grids are available. What cannot be checked is n/a; the
    exit code is 1 if something is wrong.

    Example: `sknic verify result/model`
    """
    from sknic.exceptions import ModelFileError, SknicError
    from sknic.files.digests import seal_of
    from sknic.report.verification import Finding

    try:
        found, its_seal = [check_files(model, is_of_model)], seal_of(model)
    except ValueError as error:
        raise ModelFileError(f"{model} cannot be verified: {error}; models of earlier versions have none") from None
    if seal is not None:
        is_same = seal.strip().lower() == its_seal
        found.append(Finding("seal", is_same, "the one that was given" if is_same else f"{seal} was given"))
    try:
        found += _check_evaluation(model, grids, device)
    except (SknicError, OSError) as error:  # a file of it was changed so that it cannot be read
        found.append(Finding("evaluation", False, " ".join(str(error).split())))
    for finding in found:
        typer.secho(f"{_MARKS[finding.is_right]:6s}{finding.what}: {finding.text}", fg=_color(finding.is_right))
    typer.echo(f"seal {its_seal}")
    if any(finding.is_right is False for finding in found):
        raise typer.Exit(1)


def _color(is_right):
    return {True: "green", False: "red", None: None}[is_right]


def _check_evaluation(model, folder, device):
    from sknic.report import RunFolder
    from sknic.report.verification import Finding, check_metrics, check_predictions, check_splits

    estimator, record = load_model(model)
    if not (model / EVALUATION).is_dir():
        return [Finding("evaluation", None, "the model learnt from all slides, and has no folds")]
    run = RunFolder.read(model / EVALUATION)
    grids = _at_hand(run, model, record, folder or grids_of(model), device)
    return [check_splits(run), check_metrics(run), check_predictions(run, estimator, grids)]


def _where_they_are(paths, learnt):
    """Paths of the predictions; those relative to another working folder as the model's list of slides has them."""
    names = [os.path.basename(path) for path in paths]
    known = {} if learnt is None else {os.path.basename(slide): slide for slide in learnt["slide"]}
    is_here = [os.path.exists(path) or names.count(name) > 1 for path, name in zip(paths, names)]
    return [path if here else known.get(name, path) for path, name, here in zip(paths, names, is_here)]


def _at_hand(run, model, record, folder, device):
    """Grid of each slide, or None if the slide would have to be compressed first."""
    import numpy as np

    paths = _where_they_are(list(run.predictions["slide"]), read_slides(model))
    there = [row for row, path in enumerate(paths) if Path(path).is_file()]
    chosen, compressor = [paths[row] for row in there], None
    if chosen and not are_grid_files(chosen):
        compression = compression_of(model, record)
        compressor = None if compression is None else compression.compressor(folder, device)
        status = [] if compressor is None else list(compressor.plan(chosen)["status"])
        there = [row for row, said in zip(there, status) if said == "cached"]
    grids = np.empty(len(paths), object)
    if there:
        loaded = load_grids([paths[row] for row in there], compressor)
        for place in loaded.good:
            grids[there[place]] = loaded.grids[place]
    return grids
