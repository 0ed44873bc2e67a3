"""The CSV file of errors, by hand."""

import numpy as np

from fetusmap.anatomy import Skeleton
from fetusmap.evaluate import Pairs, write_errors_csv

EARS = Skeleton(
    "ears-and-nose", ("left_ear", "right_ear", "nose"), (), (("left_ear", "right_ear"),)
)
TRUE = np.array([[[0.0, 0, 0], [1, 0, 0], [np.nan] * 3]])
FOUND = np.array([[[0.0, 3, 4], [np.nan] * 3, [0, 0, 0]]])


def test_a_missed_landmark_is_infinite_and_one_that_is_not_annotated_is_empty(tmp_path):
    pairs = Pairs(EARS, ("a",), ("s",), FOUND, TRUE)
    write_errors_csv(tmp_path / "errors.csv", {"one": pairs, "two": pairs})
    assert (tmp_path / "errors.csv").read_text() == (
        "method,case,left_ear,right_ear,nose\none,a,5.0,inf,\ntwo,a,5.0,inf,\n"
    )


def test_the_columns_can_be_in_another_order(tmp_path):
    pairs = Pairs(EARS, ("a",), ("s",), FOUND, TRUE)
    write_errors_csv(
        tmp_path / "errors.csv", {"one": pairs},
        method_column="row", landmarks=("nose", "right_ear", "left_ear"),
    )  # fmt: skip
    assert (tmp_path / "errors.csv").read_text() == (
        "row,case,nose,right_ear,left_ear\none,a,,inf,5.0\n"
    )
