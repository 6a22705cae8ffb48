"""Section 4.4, Fig. 6: risk of death learnt from survival alone."""

from encoder import trained
from lab import Lab, read_options
from material import cohorts, external, grid_cnn, over_seeds, predict, published, spread

from sknic.datasets.targets import LOG_HAZARD_OF_HOTSPOT, LOG_HAZARD_OF_REPLACEMENT
from sknic.evaluation import aggregate, concordance, estimate, format_p, split_by_risk
from sknic.plotting import KaplanMeierDisplay


def by_patient(cohort, risk):
    """Outcome and mean risk of each patient."""
    return aggregate(cohort.survival, cohort.patients, how="same")[1], aggregate(risk, cohort.patients)[1]


def main(argv=None):
    lab = Lab(read_options(__doc__, argv))
    cohort, test = cohorts(lab)
    y = cohort.survival
    name = "multitask-4, published" if lab.options.only_published else "multitask"
    encoder = published(lab)[name] if lab.options.only_published else trained(lab)
    model = grid_cnn(lab, "GridCoxSurvival", 1 / 3)
    risk, risk_of_test = predict(lab, f"survival {name}", encoder, model, y, cohort, test)
    # Slides of one patient share the outcome: concordance is of patients.
    y_patients, risk_patients = by_patient(cohort, risk)
    splits = [split_by_risk(y, one, groups=cohort.patients) for one in risk.T]
    metric = over_seeds("concordance")
    c_index = estimate(metric, y_patients, risk_patients)
    rows = [
        {
            "encoder": name,
            "patients": len(y_patients),
            "events": int(y_patients["event"].sum()),
            "concordance": str(c_index),
            "seeds": spread("concordance", y_patients, risk_patients),
            "concordance, test": "–" if test is None else str(estimate(metric, *by_patient(test, risk_of_test))),
            "paper, log-rank": "p < 0.01",
            "log-rank, each seed": "; ".join(format_p(s.p_value) for s in splits),
            "hazard ratio, first seed": str(splits[0].hazard_ratio or splits[0].note),
        }
    ]
    lab.write(
        "survival",
        "Section 4.4, Fig. 6: learning from survival alone",
        rows,
        question="Does the CNN find who dies early when it is told nothing but follow-up and death?",
        protocol=(
            f"{len(cohort)} slides of {len(y_patients)} patients, {rows[0]['events']} deaths; Cox partial likelihood;"
            " 4 folds by patient, 2 to train, 1 to validate, 1 to test, rotated. Risks are pooled over the folds'"
            " models as in the paper and averaged over a patient's slides; split at their median." + external(test)
        ),
        findings=[_what_it_shows(c_index), *_ceiling(cohort, y_patients)],
        figure=KaplanMeierDisplay(splits[0]).plot(time_unit="days", title="Split at the median risk").figure_,
    )


def _what_it_shows(c_index):
    if c_index.low <= 0.5 <= c_index.high:
        return f"Concordance {c_index} holds 0.5: no learning from survival is shown at this size."
    return f"Concordance {c_index}, {'above' if c_index.low > 0.5 else 'below'} the 0.5 of guessing."


def _ceiling(cohort, y_patients):
    """What the quantities that the survival times of an embedded cohort were drawn from would reach."""
    if not {"pattern", "hotspot"} <= set(cohort.table):
        return []
    hotspot = aggregate(cohort.table["hotspot"], cohort.patients)[1]
    pattern = aggregate(cohort.table["pattern"] == "replacement", cohort.patients)[1]
    z = (hotspot - hotspot.mean()) / hotspot.std()
    hazard = LOG_HAZARD_OF_REPLACEMENT * pattern + LOG_HAZARD_OF_HOTSPOT * z
    best = concordance(y_patients, hazard)
    return [f"The hazard that the times were drawn from has concordance {best:.3f}: no model can be expected above."]


if __name__ == "__main__":
    main()
