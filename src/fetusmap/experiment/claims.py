"""Claims that one row is better than another, tested on the same test cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fetusmap.evaluate import (
    Comparison,
    Interval,
    Pairs,
    auc_percent,
    compare,
    mean_error_mm,
)
from fetusmap.experiment.published import Metric, published
from fetusmap.experiment.rows import Row

Verdict = Literal["reproduced", "not reproduced", "undecided"]


@dataclass(frozen=True)
class Claim:
    """The claim that one row is better than another.

    Attributes:
        words: the claim in words.
        better: name of the row that is claimed to be better.
        worse: name of the other row.
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
"""The claims of the paper. The last four are made by its text, and its own tables contradict three
of them. A verdict refers to the direction in the tables; the claims table marks the claims whose
direction is different in the text."""

OUR_CLAIMS = (
    *(Claim("SSL with a dose chosen on training cases is better than Land",
            f"SSL-tuned-{s}", f"Land-{s}")
      for s in ("R4", "GCP")),
    *(Claim("the chosen dose is better than the paper's", f"SSL-tuned-{s}", f"SSL-{s}")
      for s in ("R4", "GCP")),
    *(Claim("SSL with 20,000 atlases is better than with the training poses",
            f"SSL-tuned-20k-{s}", f"SSL-tuned-{s}")
      for s in ("R4", "GCP")),
    *(Claim("our refinement with the training poses is better than SSL with a chosen dose",
            f"Fast-100-{s}", f"SSL-tuned-{s}")
      for s in ("R4", "GCP")),
    *(Claim("our refinement is better than Land", f"Fast-{s}", f"Land-{s}")
      for s in ("R4", "GCP")),
    *(Claim("our refinement, with its 20,000 atlases, is better than SSL, with the training poses",
            f"Fast-{s}", f"SSL-{s}")
      for s in ("R4", "GCP")),
    Claim("sides learnt by a loss of their own are better than plain L2", "Sides-R4", "Land-R4"),
    Claim("sides named by the library are better than sides learnt by L2", "Pairs-R4", "Land-R4"),
    *(Claim("a recurrent layer with gates is better than one without", f"GRU-{s}", f"RNN-{s}")
      for s in ("R4", "GCP")),
    Claim("our refinement helps the product", "Product-fast", "Product"),
)  # fmt: skip


@dataclass(frozen=True)
class ClaimResult:
    """A claim with the differences that were measured and those that the paper published.

    Attributes:
        claim: the claim.
        mean_mm: difference of the mean errors, better minus worse; negative if the claim holds.
        auc_percent: difference of the areas, better minus worse; positive if the claim holds.
        published_mm: the same difference in the paper's table 1; None if the paper has none.
        published_auc: the same difference in the paper's table 2; None if the paper has none.
    """

    claim: Claim
    mean_mm: Comparison
    auc_percent: Comparison
    published_mm: float | None
    published_auc: float | None

    @property
    def against_table_mm(self) -> bool:
        """Whether the paper's table 1 contradicts the claim."""
        return self.published_mm is not None and self.published_mm > 0

    @property
    def against_table_auc(self) -> bool:
        """Whether the paper's table 2 contradicts the claim."""
        return self.published_auc is not None and self.published_auc < 0

    @property
    def verdict_mm(self) -> Verdict:
        """Whether the mean errors differ in the direction of the paper's table 1."""
        expected = -1.0 if self.published_mm is None else self.published_mm
        return verdict(self.mean_mm.difference, expected)

    @property
    def verdict_auc(self) -> Verdict:
        """Whether the areas differ in the direction of the paper's table 2."""
        expected = 1.0 if self.published_auc is None else self.published_auc
        return verdict(self.auc_percent.difference, expected)


def compare_claims(pairs: Mapping[str, Pairs], claims: Sequence[Claim]) -> tuple[ClaimResult, ...]:
    """Test each claim whose two rows have been evaluated.

    Args:
        pairs: predictions and annotations of each row by its name.
        claims: the claims.
    """
    return tuple(
        _test(claim, pairs[claim.better], pairs[claim.worse])
        for claim in claims
        if claim.better in pairs and claim.worse in pairs
    )


def claims_of_peers(rows: Sequence[Row]) -> tuple[Claim, ...]:
    """Return the claim that each peer is better than the row with the same input."""
    peers = (row.name for row in rows if row.group == "peer")
    return tuple(Claim(f"{name} is better than Land", name, "Land-R4") for name in peers)


def verdict(difference: Interval, expected: float) -> Verdict:
    """Decide whether a difference has the expected sign.

    Args:
        difference: the difference with its interval.
        expected: number with the expected sign: the difference in the paper's own table, even
            where the paper's text contradicts it.
    """
    ends = sorted(np.sign(expected) * np.array([difference.low, difference.high]))
    if ends[0] > 0:
        return "reproduced"
    return "not reproduced" if ends[1] < 0 else "undecided"


def published_difference(claim: Claim, metric: Metric) -> float | None:
    """Return the difference of a claim's rows in the paper's tables, None if they are not there."""
    table = published(metric)
    if claim.better not in table or claim.worse not in table:
        return None
    return float(np.round(table[claim.better][-1] - table[claim.worse][-1], 2))


def _test(claim: Claim, better: Pairs, worse: Pairs) -> ClaimResult:
    errors = better.errors_mm, worse.errors_mm
    mean, auc = (
        compare(*errors, statistic, subjects=better.subjects)
        for statistic in (mean_error_mm, auc_percent)
    )
    published_mm, published_auc = (
        published_difference(claim, metric) for metric in ("mean_mm", "auc_percent")
    )
    return ClaimResult(claim, mean, auc, published_mm, published_auc)
