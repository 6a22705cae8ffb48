"""The patients of a synthetic cohort: what their slides look like, and how long they live."""

import numpy as np
import pandas as pd

from sknic.datasets.drawing.layout import PATTERNS, draw_layout

# Of the growth pattern "replacement", and of one standard deviation of the hotspot.
LOG_HAZARD = (1.2, 0.8)
_WEIBULL_SHAPE = 1.3
_MEDIAN_DAYS = 3400.0
_FOLLOW_UP_DAYS = (700.0, 3600.0)
_SCORES = ("hotspot", "tumour_fraction")


def draw_cohort(n_slides, shape, score, n_centers, max_slides_per_patient, random_state, log_hazard=LOG_HAZARD):
    """Layouts and table of a cohort.

    Patients have 1 to `max_slides_per_patient` slides, one growth pattern and one center; the patterns take turns, and
    centers take turns within each pattern. Tumour fraction, share of hot cells and their clustering are the patient's,
    with some scatter from slide to slide. Survival is Weibull with shape 1.3 and hazard

        exp(a * [pattern is replacement] + b * z), `log_hazard` being (a, b), 1.2 and 0.8 by default,

    z being the patient's mean hotspot score, standardized over the cohort; follow-up ends for everybody at a time
    drawn from 700 to 3600 days, which censors about half.

    Returns
    -------
    layouts : list of TissueLayout
    table : DataFrame
        One row per slide; columns slide, patient, score, hotspot, tumour_fraction, hot_fraction, stroma_fraction,
        pattern, time (days), event, log_hazard, center (number), seed.
    """
    if n_slides < 1:
        raise ValueError(f"n_slides={n_slides}: expected at least 1")
    if score not in _SCORES:
        raise ValueError(f"score={score!r}: expected one of {_SCORES}")
    patients = _draw_patients(n_slides, n_centers, max_slides_per_patient, random_state)
    layouts, rows = [], []
    for patient in patients.itertuples():
        for _ in range(patient.n_slides):
            seed = random_state.randint(2**31 - 1)
            layout = _draw_slide(shape, patient, np.random.RandomState(seed))
            layouts.append(layout)
            rows.append(_row(len(rows), patient, layout, seed))
    table = pd.DataFrame(rows)
    table.insert(2, "score", table[score])
    return layouts, draw_survival(table, random_state, log_hazard)


def _draw_patients(n_slides, n_centers, max_slides_per_patient, rng):
    sizes = []
    while sum(sizes) < n_slides:
        sizes.append(min(1 + rng.binomial(max_slides_per_patient - 1, 0.3), n_slides - sum(sizes)))
    order = np.arange(len(sizes))
    return pd.DataFrame(
        {
            "n_slides": sizes,
            "pattern": np.take(PATTERNS, order % len(PATTERNS)),
            "center": order // len(PATTERNS) % n_centers,
            "tumour_fraction": rng.uniform(0.10, 0.28, len(sizes)),
            "hot_share": rng.uniform(0.06, 0.24, len(sizes)),
            "clustering": rng.uniform(0.0, 1.0, len(sizes)),
        }
    )


def _draw_slide(shape, patient, rng):
    tumour_fraction = np.clip(patient.tumour_fraction * np.exp(rng.normal(0, 0.15)), 0.08, 0.3)
    hot_share = np.clip(patient.hot_share * np.exp(rng.normal(0, 0.15)), 0.04, 0.3)
    clustering = np.clip(patient.clustering + rng.normal(0, 0.1), 0, 1)
    return draw_layout(shape, patient.pattern, tumour_fraction, hot_share, clustering, rng)


def _row(number, patient, layout, seed):
    return {
        "slide": f"slide_{number:04d}",
        "patient": f"patient_{patient.Index:04d}",
        "hotspot": layout.hotspot,
        "tumour_fraction": layout.tumour_fraction,
        "hot_fraction": layout.hot_fraction,
        "stroma_fraction": layout.stroma_fraction,
        "pattern": patient.pattern,
        "center": patient.center,
        "seed": seed,
    }


def draw_survival(table, random_state, log_hazard=LOG_HAZARD):
    """Add time (days), event and log_hazard to a table of patient, hotspot and pattern, as `draw_cohort` says."""
    patients = table.groupby("patient").agg(hotspot=("hotspot", "mean"), pattern=("pattern", "first"))
    z = patients.hotspot - patients.hotspot.mean()
    z = z / z.std() if len(z) > 1 and z.std() > 0 else z
    hazard = np.exp(log_hazard[0] * (patients.pattern == "replacement") + log_hazard[1] * z)
    scale = _MEDIAN_DAYS / np.log(2) ** (1 / _WEIBULL_SHAPE)
    death = scale * (random_state.exponential(size=len(patients)) / hazard) ** (1 / _WEIBULL_SHAPE)
    end = random_state.uniform(*_FOLLOW_UP_DAYS, len(patients))
    patients["log_hazard"] = np.log(hazard)
    patients["time"] = np.ceil(np.minimum(death, end))
    patients["event"] = death <= end
    joined = table.join(patients[["time", "event", "log_hazard"]], on="patient")
    columns = list(table.columns)
    position = columns.index("pattern") + 1
    return joined[[*columns[:position], "time", "event", "log_hazard", *columns[position:]]]
