"""The crown-rump length: measured between its two ends, or estimated from the trunk.

A skeleton may name the two ends of the clinical crown-rump length, `crown_rump_ends`; the length is
then their distance. Without them, or if one of them is absent or doubtful, the length is estimated
from a path along the midline, see `CrownRumpModel`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from scipy.special import gammaincinv

from fetusmap.anatomy.growth import NORMAL_95
from fetusmap.anatomy.pose import Pose
from fetusmap.anatomy.records import MAX_CORRECT_ERROR_MM, LengthInterval
from fetusmap.errors import BadInput
from fetusmap.types import ArrayLike, FloatArray

MIN_END_CONFIDENCE = 0.5
"""Below this confidence of crown or rump, the length is estimated from the trunk if possible."""

CONFIDENCE_MARGIN = 1e-3
"""Confidences are clipped to this distance from 0 and 1, where the deviation would be infinite or
zero."""

Method = Literal["measured", "estimated"]


@dataclass(frozen=True)
class CrownRumpLength:
    """A crown-rump length with its 95 % interval.

    Attributes:
        length_mm: the length; NaN if it is not known.
        half_width_mm: half width of the interval; NaN if it is not known.
        method: "measured" between crown and rump, or "estimated" from the trunk.
    """

    length_mm: float
    half_width_mm: float
    method: Method

    @property
    def low_mm(self) -> float:
        """Lower end of the interval."""
        return self.length_mm - self.half_width_mm

    @property
    def high_mm(self) -> float:
        """Upper end of the interval."""
        return self.length_mm + self.half_width_mm

    @property
    def sd_mm(self) -> float:
        """Standard deviation of a normal distribution with this interval."""
        return self.half_width_mm / NORMAL_95

    @property
    def with_interval(self) -> str:
        """The length with its interval, such as "61.2 mm (59.8 to 62.6)", or "absent"."""
        if np.isnan(self.length_mm):
            return "absent"
        known = not np.isnan(self.half_width_mm)
        interval = f" ({self.low_mm:.1f} to {self.high_mm:.1f})" if known else ""
        return f"{self.length_mm:.1f} mm{interval}"

    def __str__(self) -> str:
        """Return the length with its interval and method, or "absent"."""
        return "absent" if np.isnan(self.length_mm) else f"{self.with_interval}, {self.method}"


def crown_rump_length(pose: Pose, position_sd_mm: float = 0.0) -> CrownRumpLength:
    """Measure the crown-rump length, or estimate it if crown or rump cannot be used.

    **Measured**: the distance between the skeleton's `crown_rump_ends`. The interval is that of the
    pose's `quality.crown_rump_interval`, which the model was calibrated with. Without it, the
    interval follows from `position_sd_mm`; if that is 0, the interval is NaN.

    **Estimated**, where the skeleton has no such ends, or one of them is absent or has a confidence
    below `MIN_END_CONFIDENCE`: the length of a path along the midline, divided by the fraction of
    the crown-rump length that the path covers, see the skeleton's `CrownRumpModel`. Flexion does
    not shorten the path, so the estimate holds for the neutral position of the clinical
    measurement. The standard deviation is the root sum of squares of three parts: the variation
    between fetuses (each step of the path by `segment_cv`, independently), the uncertainty of the
    fraction (`fraction_cv`), and the landmark errors, propagated through the path to first order.
    If the estimate is not possible, the length is measured between doubtful ends.

    In both cases, independent landmark errors with standard deviation s per axis lengthen a step of
    length d by 2 s^2 / d on average (second order: errors perpendicular to a step always lengthen
    it). This amount is subtracted.

    Args:
        pose: pose in any frame of millimetres.
        position_sd_mm: standard deviation of the landmarks, per axis; 0 or more.
    """
    if not position_sd_mm >= 0:
        raise BadInput(
            "position_sd_mm", expected="0 or more", found=f"{position_sd_mm}", remedy="give mm"
        )
    measured, estimated = _measured(pose, position_sd_mm), _estimated(pose, position_sd_mm)
    if np.isnan(measured.length_mm):
        return estimated
    doubtful = _end_confidences(pose).min() < MIN_END_CONFIDENCE
    return estimated if doubtful and np.isfinite(estimated.length_mm) else measured


def fit_length_interval(
    errors_mm: ArrayLike, confidences: ArrayLike, coverage: float = 0.95
) -> LengthInterval | None:
    """Fit the interval of a measured length to held-out cases (split conformal prediction).

    The half width of the interval of a case is `scale` times the standard deviation that the
    confidences of the two ends predict, see `length_sd_mm`. The scale is the smallest one that
    covers the errors of ceil((M + 1) coverage) of the M cases: the interval of a further case of
    the same kind then covers the truth with at least this probability, whatever the distribution of
    the errors (Papadopoulos et al., ECML 2002; Lei et al., JASA 2018, section 5.2).

    Cases count only if the length would be measured in them: both ends are there, with a confidence
    of at least `MIN_END_CONFIDENCE`.

    Args:
        errors_mm: (M,) measured length minus true length; NaN where one of them is not known.
        confidences: (M, 2) confidences of the two ends.
        coverage: share of further cases that the interval should cover.

    Returns:
        The interval, or None if there are too few cases for this coverage: fewer than 19 for 0.95.
    """
    errors = np.abs(np.asarray(errors_mm, np.float64))
    ends = np.asarray(confidences, np.float64).reshape(-1, 2)
    used = np.isfinite(errors) & (ends.min(axis=1, initial=1.0) >= MIN_END_CONFIDENCE)
    scores = np.sort(errors[used] / length_sd_mm(ends[used]))
    rank = int(np.ceil(np.round((len(scores) + 1) * coverage, 9)))
    if rank > len(scores):
        return None
    return LengthInterval(coverage=coverage, scale=float(scores[rank - 1]), cases=len(scores))


def length_sd_mm(confidences: ArrayLike) -> FloatArray:
    """Predict the standard deviation of a length from the confidences of its two ends.

    The confidence of a landmark is the probability that its error is below `MAX_CORRECT_ERROR_MM`.
    If the error has a normal distribution with the same standard deviation s along each axis, then
    (error / s)^2 has a chi-squared distribution with three degrees of freedom, and the confidence
    determines s. The errors of the two ends along the line between them are added in squares.

    Args:
        confidences: (..., 2) confidences.

    Returns:
        (...) standard deviations, mm.
    """
    clipped = np.clip(confidences, CONFIDENCE_MARGIN, 1 - CONFIDENCE_MARGIN)
    deviations = MAX_CORRECT_ERROR_MM / np.sqrt(2 * gammaincinv(1.5, clipped))
    return cast("FloatArray", np.linalg.norm(deviations, axis=-1))


def _measured(pose: Pose, position_sd_mm: float) -> CrownRumpLength:
    ends = pose.skeleton.crown_rump_ends
    if ends is None:
        return CrownRumpLength(float("nan"), float("nan"), "measured")
    path = _path_through(pose, ends, position_sd_mm)
    interval = pose.quality.crown_rump_interval
    if interval is not None:
        half_width = interval.scale * float(length_sd_mm(_end_confidences(pose)))
    else:
        half_width = NORMAL_95 * path.noise_mm if position_sd_mm > 0 else float("nan")
    return CrownRumpLength(path.length_mm, half_width, "measured")


def _estimated(pose: Pose, position_sd_mm: float) -> CrownRumpLength:
    model = pose.skeleton.crown_rump
    if model is None:
        return CrownRumpLength(float("nan"), float("nan"), "estimated")
    path = _path_through(pose, model.path, position_sd_mm)
    length = path.length_mm / model.fraction
    noise = path.noise_mm / model.fraction
    between = model.segment_cv * float(np.linalg.norm(path.steps_mm)) / model.fraction
    sd_mm = float(np.linalg.norm([between, model.fraction_cv * length, noise]))
    return CrownRumpLength(length, NORMAL_95 * sd_mm, "estimated")


def _end_confidences(pose: Pose) -> FloatArray:
    ends = pose.skeleton.crown_rump_ends or ()
    return np.array([pose[name].confidence for name in ends])


@dataclass(frozen=True, eq=False)
class _Path:
    """A path through landmarks: its length without the effect of noise, and the noise."""

    length_mm: float
    noise_mm: float
    steps_mm: FloatArray


def _path_through(pose: Pose, landmarks: tuple[str, ...], position_sd_mm: float) -> _Path:
    steps = np.diff(np.array([pose[name].position_mm for name in landmarks]), axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    safe = np.where(lengths == 0, 1.0, lengths)
    units = steps / safe[:, None]
    # The derivative by a landmark is the difference of the unit steps that meet there.
    gradient = np.diff(np.vstack([np.zeros(3), units, np.zeros(3)]), axis=0)
    lengthened = np.minimum(2 * position_sd_mm**2 / safe, lengths).sum()
    noise = position_sd_mm * float(np.linalg.norm(gradient))
    return _Path(float(lengths.sum() - lengthened), noise, lengths)
