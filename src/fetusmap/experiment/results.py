"""Compute all numbers of an experiment: a summary of each row, and a test of each claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fetusmap.anatomy import Skeleton
from fetusmap.errors import BadInput
from fetusmap.evaluate import (
    Pairs,
    Summary,
    abbreviate_names,
    find_poses,
    pair_with_truth,
    summarize,
)
from fetusmap.experiment.claims import (
    CLAIMS,
    OUR_CLAIMS,
    ClaimResult,
    claims_of_peers,
    compare_claims,
)
from fetusmap.experiment.cohort import load_test_cases
from fetusmap.experiment.predicting import PREDICTIONS
from fetusmap.experiment.rows import PEERS, Row


@dataclass(frozen=True, eq=False)
class Results:
    """The numbers of all finished rows.

    Attributes:
        skeleton: skeleton of the cohort.
        rows: finished rows, in the order of the tables.
        summaries: metrics of each row by its name.
        claims: results of the claims whose two rows are finished.
        unfinished: names of the rows without predictions.
    """

    skeleton: Skeleton
    rows: tuple[Row, ...]
    summaries: Mapping[str, Summary]
    claims: tuple[ClaimResult, ...]
    unfinished: tuple[str, ...]


def pair_rows(folder: Path, rows: Sequence[Row]) -> dict[str, Pairs]:
    """Pair the predictions of finished rows with the annotations of the test cases.

    Args:
        folder: folder of the experiment.
        rows: rows whose predictions are there.

    Raises:
        BadInput: the poses of a row lack a landmark of the cohort.
    """
    cases = load_test_cases(folder)
    pairs = {}
    for row in rows:
        poses = folder / (PEERS if row.group == "peer" else PREDICTIONS) / row.name
        pairs[row.name] = pair_with_truth(find_poses(poses, cases[0].skeleton), cases)
        missing = pairs[row.name].only_true
        if missing:
            raise BadInput(
                poses,
                expected=f"poses with every landmark of {cases[0].skeleton.name}",
                found=f"none with {abbreviate_names(missing)}",
                remedy="write a landmark that was not found with the position null",
            )
    return pairs


def compute_results(
    rows: Sequence[Row], pairs: Mapping[str, Pairs], unfinished: Sequence[str]
) -> Results:
    """Summarize the rows and test the claims between them.

    Args:
        rows: finished rows.
        pairs: predictions and annotations of each row by its name.
        unfinished: names of the other rows.
    """
    return Results(
        skeleton=next(iter(pairs.values())).skeleton,
        rows=tuple(rows),
        summaries={name: summarize(pair) for name, pair in pairs.items()},
        claims=compare_claims(pairs, (*CLAIMS, *OUR_CLAIMS, *claims_of_peers(rows))),
        unfinished=tuple(unfinished),
    )
