"""Names of files for classes, whatever they are called."""

import pytest

from sknic.files.names import names_of_labels


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["a", "b"], ["a", "b"]),
        (["T1/T2", "< 5 %", "Grad 3"], ["T1-T2", "5", "Grad-3"]),
        (["a/b", "a:b", "c"], ["a-b-1", "a-b-2", "c"]),
        (["Low", "low"], ["Low-1", "low-2"]),
        (["a b", "a-b", "a-b-1"], ["a-b-2", "a-b-3", "a-b-1"]),
        (["Krebs ähnlich", 3, True], ["Krebs-ähnlich", "3", "True"]),
        (["../etc", "x" * 300], ["etc", "x" * 80]),
    ],
)
def test_a_label_gives_the_name_of_a_file_that_no_other_label_gives(labels, names):
    assert names_of_labels(labels) == names
