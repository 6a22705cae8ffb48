"""`sknic report`: write the report of an evaluation again."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[Path, typer.Argument(help="Folder that `sknic evaluate` wrote.")],
    out: Annotated[Path | None, typer.Option(help="HTML file to write; FOLDER/report.html by default.")] = None,
    title: Annotated[str | None, typer.Option(help="Title of the report.")] = None,
):
    """Write the report of an evaluation: a single HTML file that works offline and prints well.

    Example: `sknic report result --title "Tumour proliferation, pilot"`
    """
    from sknic.report import RunFolder, report_of_run
    from sknic.report.verification import check_metrics

    run = RunFolder.read(folder)
    path = report_of_run(run, title).write(out or folder / "report.html")
    typer.echo(f"wrote {path}")
    metrics = check_metrics(run)
    if not metrics.is_right:
        typer.secho(f"warning: metrics.json does not follow from predictions.csv: {metrics.text}", err=True)
