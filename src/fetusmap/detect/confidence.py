"""How sure a detection is: per landmark a probability, per case a score with its reasons.

A landmark's confidence is the probability that it is off by less than 5 mm, a case's score the
probability that its mean error is below 5 mm and its sides are right. Both are logistic in a few
numbers that the cascade has at hand, and are fitted on held-out cases.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from fetusmap.documents import Document, Number
from fetusmap.types import BoolArray, FloatArray

NEAR_MM = 5.0
RIDGE = 1e-2


class Logistic(Document):
    """Probability 1 / (1 + exp(-(intercept + sum of weight * feature)))."""

    intercept: Number
    weights: tuple[Number, ...]

    def probability(self, features: FloatArray) -> FloatArray:
        """(...) probabilities of (..., F) features."""
        exponent = self.intercept + features @ np.array(self.weights)
        return np.asarray(1 / (1 + np.exp(-np.clip(exponent, -30, 30))))


class Calibration(Document):
    """What turns features into probabilities; each was fitted on held-out cases.

    Attributes:
        landmark: that a landmark lies within 5 mm, from `landmark_features`.
        case: that the mean error is below 5 mm and the sides are right, from `case_features`.
        fetus: that the volume shows a fetus at all, likewise.
        sides: that left and right are not exchanged, likewise.
        cases: how many cases showed a fetus.
        empty_cases: how many did not.
    """

    landmark: Logistic
    case: Logistic
    fetus: Logistic
    sides: Logistic
    cases: int
    empty_cases: int


def landmark_features(
    masses: FloatArray, stray: FloatArray, margin: float, residual: float
) -> FloatArray:
    """(N, 4) features of landmarks.

    Args:
        masses: (N,) share of each heatmap in its peak.
        stray: (N,) distance of each landmark from the mean of the best atlases, trunk lengths.
        margin: how much worse the pose fits the library with its sides exchanged, trunk lengths.
        residual: of the pose, trunk lengths.
    """
    clipped = np.clip(masses, 1e-3, 1 - 1e-3)
    return np.stack(
        [
            np.log(clipped / (1 - clipped)),
            np.minimum(stray, 1.0),
            np.full(len(masses), np.clip(margin, -0.2, 0.2)),
            np.full(len(masses), min(residual, 1.0)),
        ],
        axis=1,
    )


def case_features(masses: FloatArray, margin: float, residual: float) -> FloatArray:
    """(4,) features of a case: its mean and least sure landmarks, and how like a fetus it is."""
    clipped = np.clip(masses, 1e-3, 1 - 1e-3)
    logits = np.log(clipped / (1 - clipped))
    return np.array(
        [logits.mean(), np.percentile(logits, 15), np.clip(margin, -0.2, 0.2), min(residual, 1.0)]
    )


def fit_logistic(features: FloatArray, outcomes: BoolArray) -> Logistic:
    """Maximum likelihood with a small ridge on standardised features.

    Args:
        features: (M, F).
        outcomes: (M,) whether it came true.
    """
    mean, sd = features.mean(axis=0), features.std(axis=0) + 1e-9
    scaled = (features - mean) / sd
    sign = np.where(outcomes, 1.0, -1.0)

    def loss(x: FloatArray) -> tuple[float, FloatArray]:
        exponent = sign * (x[0] + scaled @ x[1:])
        value = np.logaddexp(0, -exponent).mean() + RIDGE * (x[1:] ** 2).sum() / len(sign)
        slope = -sign / (1 + np.exp(np.clip(exponent, -500, 500))) / len(sign)
        gradient = np.append(slope.sum(), slope @ scaled + 2 * RIDGE * x[1:] / len(sign))
        return float(value), gradient

    found = minimize(loss, np.zeros(features.shape[1] + 1), jac=True, method="L-BFGS-B").x
    weights = found[1:] / sd
    return Logistic(
        intercept=float(found[0] - weights @ mean), weights=tuple(float(w) for w in weights)
    )
