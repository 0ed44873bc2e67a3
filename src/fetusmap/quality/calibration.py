"""Calibrated probabilities: how likely a landmark, or a whole pose, is to be correct.

A landmark's confidence is the probability that its error is below 5 mm. A case's score is the
probability that its mean error is below 5 mm and that its sides are right. Both are logistic
functions of a few features that a pipeline computes anyway, fitted on held-out cases.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import model_validator
from scipy.optimize import minimize

from fetusmap.anatomy import LengthInterval
from fetusmap.files import Document, Number
from fetusmap.quality.evidence import FEATURES
from fetusmap.types import BoolArray, FloatArray

RIDGE = 1e-3
"""Weight of the squared coefficients beside the mean log-likelihood."""

MAX_EXPONENT = 30.0
"""Exponents are clipped to this magnitude: the probability is 0 or 1 within rounding."""


class Logistic(Document):
    """A logistic function: 1 / (1 + exp(-(intercept + sum of weight * feature)))."""

    intercept: Number
    weights: tuple[Number, ...]

    def probability(self, features: FloatArray) -> FloatArray:
        """Compute the (...) probabilities for (..., F) features."""
        exponent = self.intercept + features @ np.array(self.weights)
        return np.asarray(1 / (1 + np.exp(-np.clip(exponent, -MAX_EXPONENT, MAX_EXPONENT))))


class Calibration(Document):
    """The probabilities of a model, each fitted on held-out cases.

    Attributes:
        landmark: probability that a landmark lies within 5 mm of the truth, from
            `Evidence.landmark_features`.
        case: probability that the mean error is below 5 mm and the sides are right, from
            `Evidence.case_features`.
        fetus: probability that the volume shows a fetus, from the same features.
        sides: probability that left and right are not exchanged, from the same features.
        cases: number of held-out cases that show a fetus.
        empty_cases: number of held-out cases that show none.
        crown_rump: interval of the measured crown-rump length, see `fit_length_interval`; None if
            the skeleton has no crown and rump, or there were too few cases.
    """

    landmark: Logistic
    case: Logistic
    fetus: Logistic
    sides: Logistic
    cases: int
    empty_cases: int
    crown_rump: LengthInterval | None = None

    @model_validator(mode="after")
    def _check_features(self) -> Self:
        logistics = (self.landmark, self.case, self.fetus, self.sides)
        if any(len(logistic.weights) != FEATURES for logistic in logistics):
            raise ValueError(f"each probability has {FEATURES} weights")
        return self


def fit_logistic(
    features: FloatArray, outcomes: BoolArray, weights: FloatArray | None = None
) -> Logistic:
    """Fit a logistic function by maximum likelihood, with non-negative coefficients.

    The features are standardised and a small ridge is added. Every feature is built so that larger
    values speak for the outcome. A negative coefficient would be an accident of few cases and
    would mislead outside their range, so coefficients are bounded below by 0.

    Args:
        features: (M, F) features.
        outcomes: (M,) whether the outcome occurred.
        weights: (M,) weight of each observation; None for equal weights.
    """
    share = np.ones(len(outcomes)) if weights is None else weights
    share = share / share.sum()
    mean, sd = features.mean(axis=0), features.std(axis=0)
    varied = sd > 1e-6 * (np.abs(mean) + 1)  # a feature that never varied gets the coefficient 0
    scaled = np.where(varied, (features - mean) / np.where(varied, sd, 1.0), 0.0)
    sign = np.where(outcomes, 1.0, -1.0)

    def loss(x: FloatArray) -> tuple[float, FloatArray]:
        exponent = sign * (x[0] + scaled @ x[1:])
        value = share @ np.logaddexp(0, -exponent) + RIDGE * (x[1:] ** 2).sum()
        slope = -share * sign / (1 + np.exp(np.clip(exponent, -500, 500)))
        gradient = np.append(slope.sum(), slope @ scaled + 2 * RIDGE * x[1:])
        return float(value), gradient

    count = features.shape[1]
    bounds = [(-MAX_EXPONENT, MAX_EXPONENT), *[(0.0, None)] * count]
    found = minimize(loss, np.zeros(count + 1), jac=True, method="L-BFGS-B", bounds=bounds).x
    per_unit = np.where(varied, found[1:] / np.where(varied, sd, 1.0), 0.0)
    return Logistic(
        intercept=float(found[0] - per_unit @ mean), weights=tuple(float(w) for w in per_unit)
    )


def recalibrate(logistic: Logistic, features: FloatArray, outcomes: BoolArray) -> Logistic:
    """Stretch and shift a logistic function so that it fits other cases (Platt 1999).

    Args:
        logistic: the function; its order of probabilities is preserved.
        features: (M, F) features of the other cases.
        outcomes: (M,) whether the outcome occurred.
    """
    weights = np.array(logistic.weights)
    exponents = logistic.intercept + features @ weights
    stretch = fit_logistic(exponents[:, None], outcomes)
    (factor,) = stretch.weights
    return Logistic(
        intercept=stretch.intercept + factor * logistic.intercept,
        weights=tuple(float(w) for w in factor * weights),
    )
