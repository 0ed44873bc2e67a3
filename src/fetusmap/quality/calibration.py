"""Calibrated probabilities: how likely a landmark, or a whole pose, is to be correct.

A landmark's confidence is the probability that its error is below 5 mm. A case's score is the
probability that the mean error of the landmarks in view is below 5 mm and that left and right are
not exchanged. Both are logistic functions of a few features that a pipeline computes anyway, fitted
on held-out cases.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy
from pydantic import model_validator

from fetusmap.anatomy import LengthInterval, Skeleton
from fetusmap.files import Document, Number
from fetusmap.quality.evidence import CASE_FEATURES, LANDMARK_FEATURES, Evidence
from fetusmap.types import BoolArray, FloatArray

RIDGE = 1e-3
"""Weight of the squared coefficients beside the mean log-likelihood."""

EARLIER_LANDMARK_FEATURES = (
    "peak_mass",
    "closeness_to_atlas_mean",
    "sides_margin",
    "closeness_to_library",
)
EARLIER_CASE_FEATURES = ("mean_peak_mass", "low_peak_mass", "sides_margin", "closeness_to_library")
"""The features of cards that do not name any."""

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


@dataclass(frozen=True)
class CaseProbabilities:
    """Probabilities of a case.

    Attributes:
        fetus: that the volume shows a fetus.
        sides: that left and right are not exchanged.
        correct: that the mean error is below 5 mm and the sides are right, given a fetus.
        score: that the volume shows a fetus, and the pose is correct in this sense.
    """

    fetus: float
    sides: float
    correct: float
    score: float


class Calibration(Document):
    """The probabilities of a model, each fitted on held-out cases.

    Attributes:
        landmark: probability that a landmark lies within 5 mm of the truth, from the features
            `landmark_features`.
        case: probability that the mean error of the landmarks in view is below 5 mm and the sides
            are right, from the features `case_features`.
        fetus: probability that the volume shows a fetus, from the same features.
        sides: probability that left and right are not exchanged, from the same features.
        cases: number of held-out cases that show a fetus.
        empty_cases: number of held-out cases that show none.
        crown_rump: interval of the measured crown-rump length, see `fit_length_interval`; None if
            the skeleton has no crown and rump, or there were too few cases.
        landmark_features: names of the features of a landmark, see `LANDMARK_FEATURES`.
        case_features: names of the features of a case, see `CASE_FEATURES`.
        score: probability that the volume shows a fetus and the pose is correct, from the features
            of a case. None in earlier cards: the score is then the product of `fetus` and `case`.
        limb: probability that the last landmark of a limb is seen and correct, from
            `Evidence.limb_table`; None in earlier cards: no limb is then called lost, unless it
            leaves the field of view.
    """

    landmark: Logistic
    case: Logistic
    fetus: Logistic
    sides: Logistic
    cases: int
    empty_cases: int
    crown_rump: LengthInterval | None = None
    landmark_features: tuple[str, ...] = EARLIER_LANDMARK_FEATURES
    case_features: tuple[str, ...] = EARLIER_CASE_FEATURES
    score: Logistic | None = None
    limb: Logistic | None = None

    @model_validator(mode="after")
    def _check_features(self) -> Self:
        for names, known, logistics in (
            (self.landmark_features, LANDMARK_FEATURES, (self.landmark,)),
            (self.case_features, CASE_FEATURES, (self.case, self.fetus, self.sides, self.score)),
        ):
            unknown = sorted(set(names) - set(known))
            if unknown:
                raise ValueError(f"no feature is called {unknown[0]!r}")
            given = [logistic for logistic in logistics if logistic is not None]
            if any(len(logistic.weights) != len(names) for logistic in given):
                raise ValueError(f"there must be {len(names)} weights, one for each feature")
        return self

    def confidence(self, evidence: Evidence) -> FloatArray:
        """Compute the (N,) probabilities that each landmark is correct, given a fetus."""
        return self.landmark.probability(evidence.landmark_table(self.landmark_features))

    def case_probabilities(self, evidence: Evidence) -> CaseProbabilities:
        """Compute the probabilities of a case."""
        features = evidence.case_table(self.case_features)
        fetus, sides, correct = (
            float(logistic.probability(features))
            for logistic in (self.fetus, self.sides, self.case)
        )
        score = fetus * correct if self.score is None else float(self.score.probability(features))
        return CaseProbabilities(fetus, sides, correct, score)

    def limb_probabilities(self, evidence: Evidence, skeleton: Skeleton) -> FloatArray:
        """Compute the (L,) probabilities that the ends of the limbs are seen and correct."""
        table = evidence.limb_table(skeleton)
        return np.ones(len(table)) if self.limb is None else self.limb.probability(table)


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
    # As an attribute, because SciPy then loads this large part only when it is used.
    minimize = scipy.optimize.minimize
    found = minimize(loss, np.zeros(count + 1), jac=True, method="L-BFGS-B", bounds=bounds).x
    per_unit = np.where(varied, found[1:] / np.where(varied, sd, 1.0), 0.0)
    return Logistic(
        intercept=float(found[0] - per_unit @ mean), weights=tuple(float(w) for w in per_unit)
    )


def recalibrate(
    logistic: Logistic,
    features: FloatArray,
    outcomes: BoolArray,
    weights: FloatArray | None = None,
) -> Logistic:
    """Stretch and shift a logistic function so that it fits other cases (Platt 1999).

    Args:
        logistic: the function; its order of probabilities is preserved.
        features: (M, F) features of the other cases.
        outcomes: (M,) whether the outcome occurred.
        weights: (M,) weight of each observation; None for equal weights.
    """
    coefficients = np.array(logistic.weights)
    exponents = logistic.intercept + features @ coefficients
    stretch = fit_logistic(exponents[:, None], outcomes, weights)
    (factor,) = stretch.weights
    return Logistic(
        intercept=stretch.intercept + factor * logistic.intercept,
        weights=tuple(float(w) for w in factor * coefficients),
    )
