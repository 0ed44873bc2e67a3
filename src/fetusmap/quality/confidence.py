"""How sure a detection is: per landmark a probability, per case a score with its reasons.

A landmark's confidence is the probability that it is off by less than 5 mm, a case's score the
probability that its mean error is below 5 mm and its sides are right. Both are logistic in a few
numbers that the pipeline has at hand, and are fitted on held-out cases.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from pydantic import model_validator
from scipy.optimize import minimize

from fetusmap.files.documents import Document, Number
from fetusmap.types import BoolArray, FloatArray

NEAR_MM = 5.0
RIDGE = 1e-3
FEATURES = 4


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
        landmark: that a landmark lies within 5 mm, from `Evidence.landmark_features`.
        case: that the mean error is below 5 mm and the sides are right, from
            `Evidence.case_features`.
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

    @model_validator(mode="after")
    def _check_features(self) -> Self:
        logistics = (self.landmark, self.case, self.fetus, self.sides)
        if any(len(logistic.weights) != FEATURES for logistic in logistics):
            raise ValueError(f"each probability has {FEATURES} weights")
        return self


@dataclass(frozen=True, eq=False)
class Evidence:
    """What speaks for a detection.

    Attributes:
        masses: (N,) share of each heatmap in its peak.
        stray: (N,) distance of each landmark from the mean of the best atlases, trunk lengths;
            NaN where it was not found.
        residual: mean distance from the best atlases, trunk lengths.
        margin: how much worse the pose fits the library with its sides exchanged, trunk lengths.
    """

    masses: FloatArray
    stray: FloatArray
    residual: float
    margin: float

    @property
    def landmark_features(self) -> FloatArray:
        """(N, 4) features of landmarks, each the larger the better."""
        count = len(self.masses)
        return np.stack(
            [
                _logit(self.masses),
                -np.fmin(self.stray, 1.0),
                np.full(count, _saturated(self.margin)),
                np.full(count, -min(self.residual, 1.0)),
            ],
            axis=1,
        )

    @property
    def case_features(self) -> FloatArray:
        """(4,) features of the case, each the larger the better.

        Its landmarks on average and the less sure ones, the margin of its sides, and how like a
        fetus it is.
        """
        logits = _logit(self.masses)
        low = np.percentile(logits, 15)
        return np.array([logits.mean(), low, _saturated(self.margin), -min(self.residual, 1.0)])


def fit_logistic(
    features: FloatArray, outcomes: BoolArray, weights: FloatArray | None = None
) -> Logistic:
    """Maximum likelihood with a small ridge on standardised features, weights of 0 or more.

    Each feature speaks for the outcome by its nature; a weight against it would be an accident of
    few cases, and would mislead where there were none.

    Args:
        features: (M, F).
        outcomes: (M,) whether it came true.
        weights: (M,) how much each counts; None for all alike.
    """
    share = np.ones(len(outcomes)) if weights is None else weights
    share = share / share.sum()
    mean, sd = features.mean(axis=0), features.std(axis=0)
    # A feature that never varied has no say.
    varied = sd > 1e-6 * (np.abs(mean) + 1)
    scaled = np.where(varied, (features - mean) / np.where(varied, sd, 1.0), 0.0)
    sign = np.where(outcomes, 1.0, -1.0)

    def loss(x: FloatArray) -> tuple[float, FloatArray]:
        exponent = sign * (x[0] + scaled @ x[1:])
        value = share @ np.logaddexp(0, -exponent) + RIDGE * (x[1:] ** 2).sum()
        slope = -share * sign / (1 + np.exp(np.clip(exponent, -500, 500)))
        gradient = np.append(slope.sum(), slope @ scaled + 2 * RIDGE * x[1:])
        return float(value), gradient

    count = features.shape[1]
    bounds = [(-30.0, 30.0), *[(0.0, None)] * count]
    found = minimize(loss, np.zeros(count + 1), jac=True, method="L-BFGS-B", bounds=bounds).x
    per_unit = np.where(varied, found[1:] / np.where(varied, sd, 1.0), 0.0)
    return Logistic(
        intercept=float(found[0] - per_unit @ mean), weights=tuple(float(w) for w in per_unit)
    )


def recalibrate(logistic: Logistic, features: FloatArray, outcomes: BoolArray) -> Logistic:
    """The same order of probabilities, stretched and shifted to fit other cases (Platt 1999).

    Args:
        logistic: whose features and weights are kept, up to one factor of 0 or more.
        features: (M, F).
        outcomes: (M,) whether it came true.
    """
    weights = np.array(logistic.weights)
    exponents = logistic.intercept + features @ weights
    stretch = fit_logistic(exponents[:, None], outcomes)
    (factor,) = stretch.weights
    return Logistic(
        intercept=stretch.intercept + factor * logistic.intercept,
        weights=tuple(float(w) for w in factor * weights),
    )


def _logit(masses: FloatArray) -> FloatArray:
    clipped = np.clip(masses, 1e-3, 1 - 1e-3)
    return np.asarray(np.log(clipped / (1 - clipped)))


def _saturated(margin: float) -> float:
    """Beyond a tenth of a trunk length a margin is as good as any."""
    return float(np.clip(margin, -0.1, 0.1))
