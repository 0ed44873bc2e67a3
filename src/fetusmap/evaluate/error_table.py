"""The errors of every landmark as a CSV file, from which any other statistic can be computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fetusmap.evaluate.pairs import Pairs
from fetusmap.files import write_rows


def write_errors_csv(
    path: Path,
    pairs_of_method: Mapping[str, Pairs],
    *,
    method_column: str = "method",
    landmarks: Sequence[str] | None = None,
) -> None:
    """Write one row per method and case with the error of each landmark in mm.

    A cell is empty where the landmark is not annotated, and `inf` where it was not found.

    Args:
        path: the file.
        pairs_of_method: predictions and annotations of each method, over the same landmarks.
        method_column: heading of the column that names the method.
        landmarks: order of the columns; that of the skeleton if not given.
    """
    skeleton = next(iter(pairs_of_method.values())).skeleton
    names = tuple(landmarks or skeleton.landmarks)
    order = skeleton.indices(names)
    rows = [
        {method_column: method, "case": case}
        | {
            name: None if np.isnan(error) else round(float(error), 3)
            for name, error in zip(names, errors[order], strict=True)
        }
        for method, pairs in pairs_of_method.items()
        for case, errors in zip(pairs.cases, pairs.errors_mm, strict=True)
    ]
    write_rows(path, (method_column, "case", *names), rows)
