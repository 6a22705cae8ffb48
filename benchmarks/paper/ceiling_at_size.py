"""Is what survival depends on in the grids? The slides of Fig. 6 in `at_size.py`, without any CNN.

The hazard of these slides depends on their growth pattern and on their hotspot, the density of hot cells where they are
densest. A linear probe of single cells, whose tissue is known here, finds the hotspot of slides of other patients; with
the true pattern beside it, its concordance is what a network could reach that knew what the cells of a grid are.
"""

import numpy as np

from benchmarks.common import machine, report
from benchmarks.paper.at_size import by_patient, cohort_of, kind_of, loaded_encoder, parsed, parser_of_cohorts
from benchmarks.paper.ceiling import densest, maps_out_of_fold
from benchmarks.paper.growth_pattern import is_desmoplastic
from sknic.datasets.drawing.targets import LOG_HAZARD
from sknic.evaluation import concordance, estimate


def row_of(cohort, encoder):
    """What the probe finds in the grids of an encoder, out of fold by patient."""
    hotspot = np.array(
        [densest(of_slide) for of_slide in maps_out_of_fold(cohort.grids, cohort.tissue, cohort.patients)]
    )
    outcome, risks, _ = by_patient(cohort, risk(cohort, hotspot)[:, np.newaxis])
    row = {"encoder": encoder, "slides": len(cohort), "patients": len(set(cohort.patients))}
    row["hotspot, Spearman"] = str(estimate("spearman", cohort.table["hotspot"], hotspot, groups=cohort.patients))
    row["concordance, with the true pattern"] = f"{concordance(outcome, risks[:, 0]):.3f}"
    return row | {"of the true hazard": f"{cohort.best_concordance:.3f}", "machine": machine()}


def risk(cohort, hotspot):
    """Log hazard of each slide by its true pattern and a hotspot, with the weights that survival was drawn with."""
    of_pattern, of_spread = LOG_HAZARD
    return of_pattern * (1 - is_desmoplastic(cohort)) + of_spread * (hotspot - hotspot.mean()) / hotspot.std()


def main(argv=None):
    options = parsed(parser_of_cohorts(__doc__), argv)
    rows = []
    for encoder in options.encoders:
        cohort, _ = cohort_of(options, "survival", loaded_encoder(encoder))
        rows.append(row_of(cohort, encoder))
    report(f"ceiling_at_size{kind_of(options)}", rows, "linear probe of single cells, out of fold by patient")


if __name__ == "__main__":
    main()
