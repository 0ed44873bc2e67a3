"""From predictions to numbers: every row evaluated, every claim of the paper put to the test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from fetusmap.evaluate import (
    Comparison,
    Interval,
    Pairs,
    Summary,
    auc_percent,
    compare,
    find_poses,
    mean_error_mm,
    pair_with_truth,
    summarize,
)
from fetusmap.experiment.cohort import load_test_cases
from fetusmap.experiment.predicting import PREDICTIONS
from fetusmap.experiment.published import published
from fetusmap.experiment.rows import PEERS, Row

Verdict = Literal["reproduced", "not reproduced", "undecided"]


@dataclass(frozen=True)
class Claim:
    """That one row is better than another.

    Attributes:
        words: what is claimed.
        better: name of a row.
        worse: name of a row.
    """

    words: str
    better: str
    worse: str


CLAIMS = (
    *(Claim("a larger input (GCP) is better than R4", f"{f}-GCP", f"{f}-R4")
      for f in ("Land", "RNN", "GAN", "SSL")),
    *(Claim("SSL is better than Land", f"SSL-{s}", f"Land-{s}") for s in ("R4", "GCP")),
    *(Claim("SSL is better than GAN", f"SSL-{s}", f"GAN-{s}") for s in ("R4", "GCP")),
    *(Claim("SSL is better than RNN", f"SSL-{s}", f"RNN-{s}") for s in ("R4", "GCP")),
    *(Claim("GAN is better than Land", f"GAN-{s}", f"Land-{s}") for s in ("R4", "GCP")),
    *(Claim("RNN is better than Land", f"RNN-{s}", f"Land-{s}") for s in ("R4", "GCP")),
)  # fmt: skip
"""The last four are of its text; its own tables contradict some of them. What is reproduced
or not is the direction of the tables; where they contradict the text the claims table says so."""

OUR_CLAIMS = (
    *(Claim("our refinement is better than Land", f"Fast-{s}", f"Land-{s}")
      for s in ("R4", "GCP")),
    *(Claim("our refinement, with its 20,000 atlases, is better than SSL, with the training poses",
            f"Fast-{s}", f"SSL-{s}")
      for s in ("R4", "GCP")),
    Claim("our refinement helps the product", "Product-fast", "Product"),
)  # fmt: skip


@dataclass(frozen=True)
class Tested:
    """A claim beside what was measured.

    Attributes:
        claim: which one.
        mean_mm: first minus second, below 0 where the claim holds.
        auc_percent: first minus second, above 0 where the claim holds.
        published_mm: the same difference in the paper's table 1; None where it has none.
        published_auc: in its table 2.
    """

    claim: Claim
    mean_mm: Comparison
    auc_percent: Comparison
    published_mm: float | None
    published_auc: float | None

    @property
    def against_table_mm(self) -> bool:
        """Whether the paper's table 1 says the contrary of the claim."""
        return self.published_mm is not None and self.published_mm > 0

    @property
    def against_table_auc(self) -> bool:
        """Whether the paper's table 2 does."""
        return self.published_auc is not None and self.published_auc < 0

    @property
    def verdict_mm(self) -> Verdict:
        """Of the mean error: whether it differs as in the paper's table 1."""
        return verdict(
            self.mean_mm.difference, -1.0 if self.published_mm is None else self.published_mm
        )

    @property
    def verdict_auc(self) -> Verdict:
        """Of the area: whether it differs as in the paper's table 2."""
        return verdict(
            self.auc_percent.difference, 1.0 if self.published_auc is None else self.published_auc
        )


@dataclass(frozen=True, eq=False)
class Results:
    """All rows that are finished.

    Attributes:
        rows: in the order of the tables.
        pairs: predictions and truth of each.
        summaries: metrics of each.
        tested: claims between rows that are both finished.
        unfinished: names of rows without predictions.
    """

    rows: tuple[Row, ...]
    pairs: Mapping[str, Pairs]
    summaries: Mapping[str, Summary]
    tested: tuple[Tested, ...]
    unfinished: tuple[str, ...]


def collect_results(folder: Path, finished: Sequence[Row], unfinished: Sequence[str]) -> Results:
    """Evaluate rows on the test cases.

    Args:
        folder: of the experiment.
        finished: rows whose predictions are there.
        unfinished: names of the others, to be told.
    """
    cases = load_test_cases(folder)
    pairs = {
        row.name: pair_with_truth(find_poses(_folder_of(folder, row)), cases) for row in finished
    }
    return Results(
        tuple(finished),
        pairs,
        {name: summarize(pair) for name, pair in pairs.items()},
        weigh_claims(pairs, (*CLAIMS, *OUR_CLAIMS, *claims_of_peers(finished))),
        tuple(unfinished),
    )


def claims_of_peers(rows: Sequence[Row]) -> tuple[Claim, ...]:
    """Each peer against the row of the same input."""
    peers = (row.name for row in rows if row.group == "peer")
    return tuple(Claim(f"{name} is better than Land", name, "Land-R4") for name in peers)


def weigh_claims(pairs: Mapping[str, Pairs], claims: Sequence[Claim]) -> tuple[Tested, ...]:
    """Compare the rows of each claim that are there."""
    return tuple(
        _test(claim, pairs[claim.better], pairs[claim.worse])
        for claim in claims
        if claim.better in pairs and claim.worse in pairs
    )


def verdict(difference: Interval, expected: float) -> Verdict:
    """Whether a difference has the sign that is expected.

    Args:
        difference: with its interval.
        expected: of this sign: the paper's own difference, whatever its text says of it.
    """
    ends = sorted(np.sign(expected) * np.array([difference.low, difference.high]))
    if ends[0] > 0:
        return "reproduced"
    return "not reproduced" if ends[1] < 0 else "undecided"


def _test(claim: Claim, better: Pairs, worse: Pairs) -> Tested:
    errors = better.errors_mm, worse.errors_mm
    mean, auc = (
        compare(*errors, statistic, subjects=better.subjects)
        for statistic in (mean_error_mm, auc_percent)
    )
    return Tested(claim, mean, auc, _told(claim, "mean_mm"), _told(claim, "auc_percent"))


def _told(claim: Claim, metric: Literal["mean_mm", "auc_percent"]) -> float | None:
    table = published(metric)
    if claim.better not in table or claim.worse not in table:
        return None
    return float(np.round(table[claim.better][-1] - table[claim.worse][-1], 2))


def _folder_of(folder: Path, row: Row) -> Path:
    return folder / (PEERS if row.group == "peer" else PREDICTIONS) / row.name
