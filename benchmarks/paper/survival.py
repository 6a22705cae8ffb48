"""Section 4.4, Fig. 6: risk of death learnt from survival alone."""

from benchmarks.paper.encoder import trained
from benchmarks.paper.findings import external, over_seeds, spread
from benchmarks.paper.lab import Lab, read_options
from benchmarks.paper.material import cohorts
from benchmarks.paper.models import LONGER, grid_cnn, predict, published
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
    lengths = {name: 1, f"{name}, trained {LONGER} times as long": LONGER}
    risks = {}
    for label, longer in lengths.items():
        model = grid_cnn(lab, "GridCoxSurvival", 1 / 3, longer)
        risks[label] = predict(lab, f"survival {label}", encoder, model, y, cohort, test)
    c_indices = {label: _concordance(cohort, risk) for label, (risk, _) in risks.items()}
    splits = {label: _splits(cohort, risk) for label, (risk, _) in risks.items()}
    y_patients, _ = by_patient(cohort, risks[name][0])
    rows = [
        {
            "encoder": label,
            "patients": len(y_patients),
            "events": int(y_patients["event"].sum()),
            "concordance": str(c_indices[label]),
            "seeds": spread("concordance", *by_patient(cohort, risk)),
            "concordance, test": "–" if test is None else str(_concordance(test, of_test)),
            "paper, log-rank": "p < 0.01",
            "log-rank, each seed": "; ".join(format_p(split.p_value) for split in splits[label]),
            "hazard ratio, first seed": str(splits[label][0].hazard_ratio or splits[label][0].note),
        }
        for label, (risk, of_test) in risks.items()
    ]
    lab.write(
        "survival",
        "Section 4.4, Fig. 6: learning from survival alone",
        rows,
        question="Does the CNN find who dies early when it is told nothing but follow-up and death?",
        protocol=(
            f"{len(cohort)} slides of {len(y_patients)} patients, {rows[0]['events']} deaths; Cox partial likelihood;"
            " 4 folds by patient, 2 to train, 1 to validate, 1 to test, rotated. Risks are pooled over the folds'"
            " models as in the paper and averaged over a patient's slides; split at their median. Trained longer:"
            f" epochs of {LONGER} times as many batches." + external(test)
        ),
        findings=[*(_what_it_shows(*pair) for pair in c_indices.items()), *_ceiling(cohort, y_patients)],
        figure=KaplanMeierDisplay(splits[name][0]).plot(time_unit="days", title="Split at the median risk").figure_,
    )


def _concordance(cohort, risk):
    """Of patients, for the slides of one share the outcome."""
    return estimate(over_seeds("concordance"), *by_patient(cohort, risk))


def _splits(cohort, risk):
    """Patients at their median risk, for each seed."""
    return [split_by_risk(cohort.survival, of_seed, groups=cohort.patients) for of_seed in risk.T]


def _what_it_shows(label, c_index):
    if c_index.low <= 0.5 <= c_index.high:
        return f"{label}: concordance {c_index} contains 0.5: no learning from survival is shown at this size."
    return f"{label}: concordance {c_index}, {'above' if c_index.low > 0.5 else 'below'} the 0.5 of guessing."


def _ceiling(cohort, y_patients):
    """What the quantities that the survival times of a synthetic cohort were drawn from would reach."""
    if "log_hazard" not in cohort.table:
        return []
    best = concordance(y_patients, aggregate(cohort.table["log_hazard"], cohort.patients)[1])
    return [
        f"The hazard that the times were drawn from has concordance {best:.3f}; no model can be expected to exceed it."
    ]


if __name__ == "__main__":
    main()
