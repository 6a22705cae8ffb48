"""Make the report of an evaluation: first the score and what it means, then the details."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from sknic.evaluation.verdict import LEARNT, NO_BETTER, NOT_SHOWN
from sknic.exceptions import DegenerateDataError
from sknic.report.charts import add_charts, add_learning_curves, add_rivals
from sknic.report.document import Report
from sknic.report.model_card import card_of_run
from sknic.report.questions import QUESTIONS
from sknic.report.slides import add_slides
from sknic.report.tables import cohort_table, interval_of, metrics_table, or_na, title_of

if TYPE_CHECKING:
    from sknic.report.run_folder import RunFolder


# For the heads of columns.
_SHORT = {"auc": "AUC", "spearman": "Spearman", "concordance": "concordance"}
_BASELINE = "mean embedding and linear model"
_UNSEEN = "on unseen slides, the model predicts better than chance"
_MEANINGS = {
    LEARNT: f"{_UNSEEN}, and better than a linear model of the mean embedding.",
    NO_BETTER: f"{_UNSEEN}, but is not shown to be better than a linear model of the mean embedding, which is simpler.",
    NOT_SHOWN: "these slides do not show that the model predicts better than chance.",
}
_ALONE = f"{_UNSEEN}; it was not compared with a simpler model."


def report_of_run(run: RunFolder, title: str | None = None) -> Report:
    """Lay out the report of an evaluation.

    Parameters
    ----------
    run : RunFolder
        Evaluation to report on.
    title : str, default=None
        Title of the page; the kind of target and its column by default.

    Returns
    -------
    Report
        Result, its charts, folds, slides and settings.
    """
    report = Report(title or _title(run), subtitle=_subtitle(run))
    _add_result(report.add_section("Result"), run)
    charts = report.add_section("Charts")
    try:
        add_charts(charts, run)
    except DegenerateDataError as error:
        charts.add_text(f"There is no chart: {error}.")
    if not charts.blocks:
        report.sections.remove(charts)
    for question, heading in QUESTIONS.items():
        if question in run.questions:
            _add_question(report.add_section(heading), run.questions[question])
    _add_folds(report.add_section("Cohort and folds"), run)
    add_slides(report, run)
    card_of_run(run).add_to(report)
    settings = report.add_section("Settings")
    settings.add_settings(_settings(run.record.get("settings", {})))
    for name in ("versions", "machine"):
        if run.record.get(name):
            settings.add_settings(run.record[name], title=name.capitalize())
    return report


def _settings(settings):
    """Settings once: those of the compression stand among the others already."""
    compression = settings.get("compression") or {}
    is_said = all(name in settings and settings[name] == value for name, value in compression.items())
    return {name: value for name, value in settings.items() if name != "compression"} if is_said else settings


def _title(run):
    settings = run.record.get("settings", {})
    columns = list((settings.get("columns") or {}).values())
    if len(columns) > 1:  # of survival, the time is named first
        return f"{run.kind.title} ({', '.join(reversed(columns))})"
    target = columns[0] if columns else settings.get("target")
    return f"{run.kind.title}: {target}" if target else run.kind.title


def _subtitle(run):
    command, when = run.record.get("command"), run.record.get("when")
    parts = [f"sknic {command}" if command else None, when and str(when).replace("T", " ").replace("+00:00", " UTC")]
    return ", ".join(part for part in parts if part)


def _add_result(section, run):
    """The score, values to compare it with, and what it means."""
    _add_headline(section, run)
    if run.verdict is not None:
        _add_verdict(section, run.verdict)
    section.add_table(
        metrics_table(run), caption=f"Predictions for slides that the model had not seen{_resamples(run)}"
    )
    for reason in dict.fromkeys(estimate.reason for estimate in run.metrics.values() if estimate.reason):
        section.add_text(f"n/a: {reason}.")
    if any(estimate.low == estimate.high for estimate in run.metrics.values()):
        section.add_text(
            "An interval of zero width does not mean certainty: if no prediction was wrong, resampling the"
            " same patients cannot tell how well others would be predicted."
        )


def _add_question(section, question):
    """Scores and paired differences, as a chart and in numbers, with the answer in words."""
    name = title_of(question.metric)
    section.add_text(question.sentence)
    add_rivals(section, question.scores, question.chance, name)
    measured = question.scores | question.differences
    rows = [{"what": what, **interval_of(estimate)} for what, estimate in measured.items()]
    section.add_table(pd.DataFrame(rows), caption=f"{name} of each model, and paired differences")


def _resamples(run):
    """How the intervals were computed, if recorded."""
    n_resamples = run.record.get("settings", {}).get("bootstrap")
    units = "slides" if run.patients is None else "patients"
    return f"; intervals by {n_resamples:,} resamples of the {units}" if n_resamples else ""


def _add_headline(section, run):
    verdict = run.verdict
    if verdict is None and not run.metrics:
        return
    metric, score = next(iter(run.metrics.items())) if verdict is None else (verdict.metric, verdict.score)
    facts, text = {}, ""
    if verdict is not None:
        text = _sentence(verdict)
        if verdict.chance is not None:
            facts["chance"] = f"{verdict.chance:.3g}"
        if verdict.comparison is not None:
            facts[_BASELINE] = _in_words(verdict.comparison.b)
            facts["difference"] = _in_words(verdict.comparison.difference)
        elif verdict.reason:
            facts[_BASELINE] = f"n/a: {verdict.reason}"
    value = interval_of(score)
    units = f"{score.n} {'slides' if run.patients is None else 'patients'}"
    note = f"interval {value['interval']}, {units}" if value["interval"] != "n/a" else f"no interval: {score.reason}"
    section.add_headline(value["value"], title_of(metric), note=note, facts=facts, text=text)


def _sentence(verdict):
    meaning = _MEANINGS[verdict.outcome]
    if verdict.outcome == LEARNT and verdict.comparison is None:
        meaning = _ALONE
    return f"{verdict.outcome.capitalize()}: {meaning}"


def _in_words(estimate):
    interval = or_na(estimate.low, f" ({estimate.low:.3f} to {estimate.high:.3f})")
    return interval_of(estimate)["value"] + ("" if interval == "n/a" else interval)


def _add_verdict(section, verdict):
    """The same as a chart."""
    baseline = {} if verdict.comparison is None else {"baseline": verdict.comparison.b}
    scores, name = {"model": verdict.score, **baseline}, title_of(verdict.metric)
    add_rivals(section, scores, verdict.chance, name)


def _add_folds(section, run):
    """The slides and patients of each fold, and how well they were predicted."""
    table = cohort_table(run)
    verdict = run.verdict
    has_scores = verdict is not None and len(verdict.fold_scores) == len(table) - 1
    if has_scores:
        scores = [verdict.score.value, *verdict.fold_scores]
        table[_SHORT.get(verdict.metric, verdict.metric)] = [or_na(score, f"{score:.3f}") for score in scores]
    section.add_table(table, caption="Slides trained on and tested in each fold")
    if run.history is not None:
        add_learning_curves(section, run)
    if has_scores:
        mean = or_na(verdict.mean_of_folds, f"{verdict.mean_of_folds:.3f}")
        section.add_text(
            f"The mean of the folds' scores is {mean}: each fold is scored alone, with the model that had not seen its "
            "slides. The overall score pools the predictions, although models of different folds have no common "
            "scale, so the two may differ."
        )
    if run.errors:
        reasons = "; ".join(f"{slide}: {reason}" for slide, reason in run.errors.items())
        section.add_text(f"{len(run.errors)} slides could not be used and were left out: {reasons}.")
