"""The task analysis gives the paper's Table 2 from the paper's Table 3."""

import numpy as np
import pandas as pd
import pytest

from sknic.evaluation import by_task_count, task_inclusion
from sknic.exceptions import DegenerateDataError

# Table 3 of the paper: lymph, mitosis, prostate, colorectal and the Spearman correlation on TUPAC16.
RUNS = {
    "0001": [0.563], "0010": [0.515], "0100": [0.473], "1000": [0.498],
    "0011": [0.584], "0101": [0.573], "0110": [0.557], "1001": [0.613], "1010": [0.548], "1100": [0.520],
    "0111": [0.549], "1011": [0.592], "1101": [0.605], "1110": [0.505],
    "1111": [0.569, 0.594, 0.597, 0.591],
}  # fmt: skip
TASKS = ["lymph", "mitosis", "prostate", "colorectal"]
INCLUDED = pd.DataFrame([[int(flag) for flag in run] for run, results in RUNS.items() for _ in results], columns=TASKS)
RESULT = np.concatenate(list(RUNS.values()))


def test_inclusion_correlations_are_those_of_the_papers_table_2():
    expected = {"lymph": 0.319, "mitosis": 0.033, "prostate": 0.077, "colorectal": 0.824}
    assert task_inclusion(INCLUDED, RESULT).round(3).to_dict() == expected


def test_table_by_number_of_tasks_has_the_papers_fifteen_subsets_and_three_repeats():
    table = by_task_count(INCLUDED, RESULT)
    assert table["n"].to_dict() == {1: 4, 2: 6, 3: 4, 4: 4}
    np.testing.assert_allclose(table["mean"], [0.51225, 0.565833, 0.56275, 0.58775], atol=1e-6)


def test_a_single_run_has_no_spread():
    assert by_task_count({"a": [True], "b": [False]}, [0.5]).loc[1, "std"] == 0


def test_a_task_in_every_run_cannot_be_judged():
    with pytest.raises(DegenerateDataError):
        task_inclusion({"a": [True, True], "b": [True, False]}, [0.5, 0.6])


@pytest.mark.parametrize("flags", [[1, 0, np.nan], ["1", "0", "1"], [True, False, None]])
def test_what_does_not_say_whether_a_task_was_used_is_refused(flags):
    for analysis in (task_inclusion, by_task_count):
        with pytest.raises(ValueError, match="included: column 'b' contains values other than True and False"):
            analysis({"a": [0, 1, 1], "b": flags}, [0.1, 0.2, 0.3])
