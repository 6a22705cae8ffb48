"""Reports: one HTML file that needs no network, opens anywhere and prints well.

A report is filled section by section and does not depend on models::

    report = Report("Tumour score", subtitle="24 slides of 20 patients")
    results = report.add_section("Results")
    results.add_table(metrics, caption="Out-of-fold predictions, intervals by patient")
    results.add_figure(ScatterDisplay.from_predictions(y, p), alt="Predicted against true score")
    report.add_section("Settings").add_settings(settings)
    report.write("report.html")

The folder that `sknic evaluate` writes is a :class:`RunFolder`, which :func:`report_of_run` turns into a report;
:func:`run_of_ensemble` makes one from a fitted CrossValEnsemble.
"""

from sknic.report.document import Report
from sknic.report.from_ensemble import run_of_ensemble, with_overlays
from sknic.report.run_folder import RunFolder
from sknic.report.run_report import report_of_run
from sknic.report.section import Card, Section
from sknic.report.slides import best_and_worst

__all__ = [
    "Card",
    "Report",
    "RunFolder",
    "Section",
    "best_and_worst",
    "report_of_run",
    "run_of_ensemble",
    "with_overlays",
]
