"""`sknic make-cohort`: slides with known targets, drawn or assembled from real patches, to try everything with."""

from pathlib import Path
from typing import Annotated, Any

import typer

from sknic.cli import options
from sknic.cli.common import write_run_record
from sknic.cli.running import files_in, saying_what_is_kept


def make_cohort(
    out: Annotated[Path, typer.Argument(help="Folder for the slides and cohort.csv.")],
    patches: Annotated[
        Path | None,
        typer.Option(help="Assemble the slides from these labelled patches (a folder as for `train-encoder`)."),
    ] = None,
    task: Annotated[str, typer.Option(help="With --patches: the task whose labels define the tissue.")] = "colorectal",
    role: Annotated[
        list[str] | None,
        typer.Option(
            help="With --patches: label of the patches to use as tumour, stroma, normal or hot (tumour that the score"
            " counts), such as 'tumour=polyp/adenocarcinoma'. Needed for all four; repeat a role for several labels."
        ),
    ] = None,
    n_slides: Annotated[int, typer.Option(help="Number of slides.")] = 24,
    size: Annotated[int, typer.Option(help="Side of a slide in cells of 128 px; at least 20.")] = 24,
    n_jobs: options.Jobs = 1,
    random_state: options.Seed = 0,
):
    """Make a cohort to try everything with: slides with known score, growth pattern and survival.

    Example: `sknic make-cohort slides --n-slides 24 --n-jobs 2`
    """
    from sknic.datasets import make_histology_cohort, make_mosaic_cohort

    shared: dict[str, Any] = {"shape": (size, size), "random_state": random_state, "n_jobs": n_jobs, "verbose": 1}
    if role and patches is None:
        raise typer.BadParameter("--role names labels of patches; give their folder with --patches")
    roles = _read_roles(role) if role else None
    with saying_what_is_kept(files_in(out, "slide_*", "slide")):
        if patches is None:
            cohort = make_histology_cohort(n_slides, out, **shared)
        else:
            cohort = make_mosaic_cohort(patches, n_slides, out, task=task, roles=roles, **shared)
    n_patients = cohort.table["patient"].nunique()
    settings = {
        "patches": patches,
        "task": task,
        "role": role,
        "n_slides": n_slides,
        "size": size,
        "random_state": random_state,
    }
    write_run_record(out, "make-cohort", settings, n_patients=n_patients)
    typer.echo(f"{len(cohort.paths)} slides of {n_patients} patients; targets in {out / 'cohort.csv'}")


def _read_roles(given):
    """Labels of each role, from texts such as 'tumour=polyp/adenocarcinoma'."""
    known = ("tumour", "stroma", "normal", "hot")
    roles: dict[str, list[str]] = {}
    for text in given:
        role, _, label = (part.strip() for part in text.partition("="))
        if role not in known or not label:
            raise typer.BadParameter(f"--role {text}: expected ROLE=TASK/LABEL with ROLE one of {', '.join(known)}")
        roles.setdefault(role, []).append(label)
    if lacking := [role for role in known if role not in roles]:
        raise typer.BadParameter(f"--role: expected all of {', '.join(known)}; missing: {', '.join(lacking)}")
    return roles
