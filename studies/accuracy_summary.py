"""Sum up the predictions of a cohort: errors, sides, quality scores, crown-rump lengths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fetusmap.anatomy import MAX_CORRECT_ERROR_MM, load_skeleton
from fetusmap.evaluate import auc_percent, bootstrap_interval, pck_percent

BINS = 8
"""Points of a reliability curve, with equally many landmarks each."""

GROSS_ERROR_MM = 10.0
CONFIDENT = 0.5
"""A case with a quality below this, or with any reason to doubt it, counts as flagged."""


class CrownRump(NamedTuple):
    """The error of a crown-rump length, the half width of its interval, and whether it was used."""

    error_mm: float
    half_width_mm: float
    possible: bool


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a model predicted for a case, beside the truth.

    Attributes:
        landmarks: names of the rows.
        errors_mm: (N,) distances from the truth; NaN if the landmark is not visible.
        offsets: (N, 3) found minus true position, in the true body's frame, trunk lengths.
        trunk_mm: true trunk length.
        confidence: (N,) confidences.
        sides_right: whether left and right are not exchanged.
        back_to_front: whether the ventral direction points away from the true one.
        score, reasons: quality of the case.
        crown_rump: error of the crown-rump length, by method.
    """

    landmarks: tuple[str, ...]
    errors_mm: np.ndarray
    offsets: np.ndarray
    trunk_mm: float
    confidence: np.ndarray
    sides_right: bool
    back_to_front: bool
    score: float
    reasons: tuple[str, ...]
    crown_rump: dict[str, CrownRump]


def summarize(outcomes: Sequence[Outcome], numbers: Sequence[int]) -> dict[str, object]:
    """The numbers of the tables; intervals by drawing subjects with replacement.

    Means are those of the paper's 16 landmarks; further landmarks have rows of their own.
    """
    landmarks = outcomes[0].landmarks
    errors = np.array([outcome.errors_mm for outcome in outcomes])
    aligned = without_constant_offsets(outcomes)
    paper = np.isin(landmarks, load_skeleton().landmarks)
    cases = np.nanmean(errors[:, paper], axis=1)
    turned = [outcome for outcome in outcomes if outcome.back_to_front]
    further = {}
    if not paper.all():
        further = {
            "further_mean_mm": _interval(errors[:, ~paper], _mean),
            "further_median_mm": _interval(errors[:, ~paper], _median),
            "further_without_offset_mm": _interval(aligned[:, ~paper], _mean),
        }
    return {
        "cases": len(outcomes),
        "mean_mm": _interval(errors[:, paper], _mean),
        "median_mm": _interval(errors[:, paper], _median),
        "auc_10_mm": _interval(errors[:, paper], auc_percent),
        "without_offset_mm": _interval(aligned[:, paper], _mean),
        **further,
        "percentile_95_mm": round(float(np.nanpercentile(errors[:, paper], 95)), 2),
        "within_10_mm": round(pck_percent(errors[:, paper], GROSS_ERROR_MM), 2),
        "cases_above_10_mm": int((cases > GROSS_ERROR_MM).sum()),
        "wrong_sides": sum(not outcome.sides_right for outcome in outcomes),
        "back_to_front": len(turned),
        "back_to_front_and_flagged": sum(_is_flagged(outcome) for outcome in turned),
        "flagged": sum(_is_flagged(outcome) for outcome in outcomes),
        "worst_cases": [
            [numbers[int(row)], round(float(cases[row]), 2), round(outcomes[row].score, 3)]
            for row in np.argsort(-cases)[:5]
        ],
        "crown_rump": {
            method: crown_rump_summary([outcome.crown_rump[method] for outcome in outcomes])
            for method in outcomes[0].crown_rump
        },
        "reliability": reliability(outcomes),
        "per_landmark": {
            name: {
                "mean_mm": round(_mean(errors[:, row]), 3),
                "median_mm": round(_median(errors[:, row]), 3),
                "without_offset_mm": round(_mean(aligned[:, row]), 3),
                "auc_10_mm": round(auc_percent(errors[:, row]), 2),
            }
            for row, name in enumerate(landmarks)
        },
    }


def without_constant_offsets(outcomes: Sequence[Outcome]) -> np.ndarray:
    """Return the (cases, N) errors that remain without the mean offset of each landmark, mm.

    The offset is that in the body's frame in units of the trunk length. For each case it is the
    median over the other cases, so that no case explains itself.
    """
    offsets = np.array([outcome.offsets for outcome in outcomes])
    trunks = np.array([outcome.trunk_mm for outcome in outcomes])
    if len(outcomes) < 3:
        return np.full(offsets.shape[:2], np.nan)
    others = [np.nanmedian(np.delete(offsets, row, axis=0), axis=0) for row in range(len(offsets))]
    return np.asarray(np.linalg.norm(offsets - others, axis=-1) * trunks[:, None])


def crown_rump_summary(lengths: Sequence[CrownRump]) -> dict[str, object]:
    """Sum up the errors of the crown-rump length, and how often its interval holds the truth."""
    errors = np.array([length.error_mm for length in lengths])
    widths = np.array([length.half_width_mm for length in lengths])
    with_interval = np.isfinite(errors) & np.isfinite(widths)
    held = np.abs(errors[with_interval]) <= widths[with_interval]
    known = np.abs(errors[np.isfinite(errors)])
    return {
        "cases": len(lengths),
        "possible": sum(length.possible for length in lengths),
        "mean_error_mm": _interval(np.abs(errors)[:, None], _mean),
        "bias_mm": round(float(np.nanmean(errors)), 2),
        "percentile_95_mm": round(float(np.percentile(known, 95)), 2) if len(known) else None,
        "with_interval": int(with_interval.sum()),
        "covered_percent": round(100 * float(held.mean()), 1) if len(held) else None,
        "median_half_width_mm": round(float(np.median(widths[with_interval])), 2)
        if len(held)
        else None,
    }


def reliability(outcomes: Sequence[Outcome]) -> list[dict[str, float]]:
    """How often landmarks of similar confidence are off by less than 5 mm."""
    errors = np.concatenate([outcome.errors_mm for outcome in outcomes])
    confidence = np.concatenate([outcome.confidence for outcome in outcomes])
    seen = np.isfinite(errors) & (confidence > 0)
    errors, confidence = errors[seen], confidence[seen]
    return [
        {
            "confidence": round(float(confidence[rows].mean()), 4),
            "within_5_mm": round(float((errors[rows] < MAX_CORRECT_ERROR_MM).mean()), 4),
            "count": len(rows),
        }
        for rows in np.array_split(np.argsort(confidence), BINS)
        if len(rows)
    ]


def _is_flagged(outcome: Outcome) -> bool:
    return outcome.score < CONFIDENT or bool(outcome.reasons)


def _interval(errors: np.ndarray, statistic: Callable[[np.ndarray], float]) -> list[float]:
    return [round(value, 3) for value in bootstrap_interval(errors, statistic)]


def _mean(errors: np.ndarray) -> float:
    known = errors[np.isfinite(errors)]
    return float(known.mean()) if known.size else float("nan")


def _median(errors: np.ndarray) -> float:
    known = errors[~np.isnan(errors)]
    return float(np.median(known)) if known.size else float("nan")
