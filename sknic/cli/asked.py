"""What `sknic evaluate` answers on request, after the evaluation itself is in its folder."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer

from sknic.files.whole import whole_file

_COLUMN = "the grid of the slide"


@dataclass(frozen=True)
class Asked:
    """Further cross-validations of the same slides; each method prints its answer and keeps it in the folder.

    Attributes
    ----------
    out : Path
        Folder of the evaluation.
    ensemble : CrossValEnsemble
        Ensemble that was evaluated.
    X : object array of n_slides Grids
    targets : Targets
        Target and patients of the slides.
    random_state : int
    n_resamples : int
        Number of bootstrap resamples per interval.
    """

    out: Path
    ensemble: Any
    X: Any
    targets: Any
    random_state: int
    n_resamples: int

    def answer(self, run, *, clinical=None, arrangement=False, repeats=1):
        """Answer what was asked for; each answer is in the folder before the next one is computed.

        Parameters
        ----------
        run : RunFolder
        clinical : DataFrame, optional
            One row per slide.
        arrangement : bool
        repeats : int
            Number of cross-validations, the first included.
        """
        if clinical is not None:
            run = self.added_value(run, clinical)
        if arrangement:
            run = self.arrangement(run)
        if repeats > 1:
            self.repeats(repeats)

    def added_value(self, run, clinical):
        """Measure what the slide adds to clinical data; predictions are written to `added_value.csv`.

        Parameters
        ----------
        run : RunFolder
        clinical : DataFrame
            One row per slide.

        Returns
        -------
        RunFolder
            With the answer.
        """
        from sknic.evaluation import SlideAndTable, added_value
        from sknic.report.questions import Question

        cv = self.ensemble.cv
        table = clinical.reset_index(drop=True).assign(**{_COLUMN: list(self.X)})
        model = SlideAndTable(self.ensemble.estimator, column=_COLUMN, cv=cv, random_state=self.random_state)
        typer.echo(f"clinical data alone, slide alone, and both: {cv} x {cv} models of slides ...")
        measured = {"random_state": self.random_state, "n_resamples": self.n_resamples, "verbose": 1}
        found = added_value(model, table, self.targets.y, groups=self.targets.patients, cv=cv, **measured)
        with whole_file(self.out / "added_value.csv") as temporary:
            predictions = found.predictions.assign(slide=self.targets.paths)
            predictions.to_csv(temporary, index=False, errors="surrogateescape")
        return self._keep(run, "added_value", Question.of_added_value(found))

    def arrangement(self, run):
        """Test whether the model uses the positions of tissue.

        Parameters
        ----------
        run : RunFolder

        Returns
        -------
        RunFolder
            With the answer.
        """
        from sknic.evaluation import arrangement_of_ensemble
        from sknic.report.questions import Question

        typer.echo(f"cells shuffled, and attention over the bag: {len(self.ensemble.estimators_)} models each ...")
        measured = {"random_state": self.random_state, "n_resamples": self.n_resamples}
        found = arrangement_of_ensemble(self.ensemble, self.X, **measured)
        return self._keep(run, "arrangement", Question.of_arrangement(found))

    def _keep(self, run, name, question):
        from sknic.report import report_of_run

        typer.echo(question.sentence)
        run = replace(run, questions={**run.questions, name: question})
        run.write_questions(self.out)
        report_of_run(run).write(self.out / "report.html")
        return run

    def repeats(self, n):
        """Repeat the cross-validation with other seeds; each score is written to `repeats.csv` when it is known.

        Parameters
        ----------
        n : int
            Number of cross-validations, the first included.
        """
        import numpy as np
        import pandas as pd
        from sklearn.base import clone

        rows = []
        for seed in range(self.random_state, self.random_state + n):
            ensemble = self.ensemble
            if seed != self.random_state:
                ensemble = clone(ensemble).set_params(random_state=seed, estimator__random_state=seed)
                ensemble.fit(self.X, self.targets.y, groups=self.targets.patients)
            verdict = ensemble.oof_verdict(n_resamples=self.n_resamples)
            baseline = verdict.comparison.b.value if verdict.comparison else float("nan")
            score = {"metric": verdict.metric, "value": verdict.score.value, "low": verdict.score.low}
            rows.append({"random_state": seed, **score, "high": verdict.score.high, "baseline": baseline})
            with whole_file(self.out / "repeats.csv") as temporary:
                pd.DataFrame(rows).to_csv(temporary, index=False)
        values = np.array([row["value"] for row in rows])
        typer.echo(
            f"{rows[0]['metric']} of {n} repeats: {', '.join(f'{value:.3f}' for value in values)}; mean "
            f"{values.mean():.3f}, standard deviation {values.std(ddof=1):.3f}; wrote {self.out / 'repeats.csv'}"
        )
