"""Compare what results say about themselves with the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fetusmap.anatomy import MAX_CORRECT_ERROR_MM
from fetusmap.evaluate import bootstrap_interval
from fetusmap.quality import NO_FETUS, SIDES_UNCERTAIN
from fetusmap.train.variants import CALIBRATED_CORRUPTIONS
from studies.quality_cohorts import SEED
from studies.quality_metrics import auroc, calibration_error, reliability

GROSS_ERROR_MM = 10.0
"""Mean error of a case that no user may take for a good one."""

CONFIDENT = 0.5
"""A score or a confidence above this says that something is more likely right than wrong."""

INTERVAL_SAMPLES = 400


class LimbOutcome(NamedTuple):
    """What was said about a limb.

    Attributes:
        named: whether a reason to doubt the case names it.
        error_mm: error of its last landmark; NaN if that is not visible.
        hidden: whether the view hides its last landmark.
    """

    named: bool
    error_mm: float
    hidden: bool


@dataclass(frozen=True, eq=False)
class Outcome:
    """What was predicted for a view, beside the truth.

    Attributes:
        group, cohort, number: those of the view.
        landmarks: names of the rows.
        errors_mm: (N,) distances from the truth; NaN if the landmark is not visible.
        hidden: (N,) landmarks that the view hides.
        confidence: (N,) of the landmarks.
        score, fetus, sides: of the case.
        sides_right: whether left and right are not exchanged.
        reasons: reasons to doubt the case.
        limbs: the limbs by name, see `LimbOutcome`.
    """

    group: str
    cohort: str
    number: int
    landmarks: tuple[str, ...]
    errors_mm: np.ndarray
    hidden: np.ndarray
    confidence: np.ndarray
    score: float
    fetus: float
    sides: float
    sides_right: bool
    reasons: tuple[str, ...]
    limbs: dict[str, LimbOutcome]

    @property
    def mean_mm(self) -> float:
        """Mean error over the visible landmarks, infinite if none of them was found."""
        seen = self.errors_mm[~np.isnan(self.errors_mm)]
        found = seen[np.isfinite(seen)]
        return float(found.mean()) if len(found) else np.inf


def summarize(outcomes: Sequence[Outcome]) -> dict[str, object]:
    """Compare what the results say about themselves with the truth."""
    bodies = [o for o in outcomes if o.group in ("scans", "corruptions")]
    scans = [o for o in outcomes if o.group == "scans"]
    partials = [o for o in outcomes if o.group == "partial"]
    empty = [o for o in outcomes if o.group == "empty"]
    cohorts = dict.fromkeys(o.cohort for o in [*bodies, *partials])
    rows = {name: [o for o in outcomes if o.cohort == name] for name in cohorts}
    return {
        "seed": SEED,
        "cases": len({o.number for o in outcomes}),
        "case_score": {
            "normal, hard, shifted and corrupted": case_score(bodies),
            "the same and partial bodies": case_score([*bodies, *partials]),
            "corruptions of the calibration": case_score(
                [o for o in bodies if o.cohort in CALIBRATED_CORRUPTIONS]
            ),
            "other corruptions": case_score(
                [
                    o
                    for o in bodies
                    if o.group == "corruptions" and o.cohort not in CALIBRATED_CORRUPTIONS
                ]
            ),
            **{name: case_score(row) for name, row in rows.items()},
        },
        "no_fetus": no_fetus(bodies, empty),
        "landmarks": {
            "normal, hard and shifted": landmark_confidence(scans),
            "all": landmark_confidence([*bodies, *partials]),
            **{name: landmark_confidence(row) for name, row in rows.items()},
        },
        "hidden_landmarks": {
            name: hidden_landmarks(row) for name, row in rows.items() if row[0].hidden.any()
        },
        "sides": {
            "normal, hard and shifted": sides_warning(scans),
            "all": sides_warning([*bodies, *partials]),
        },
        "lost_limbs": {
            "normal, hard and shifted": lost_limbs(scans),
            "normal, hard, shifted and corrupted": lost_limbs(bodies),
            **{name: lost_limbs(row) for name, row in rows.items() if row[0].group == "partial"},
        },
        "misjudged": misjudged([*bodies, *partials]),
        "points": {
            group: [
                [round(min(o.mean_mm, 999.0), 2), round(o.score, 3)]
                for o in outcomes
                if o.group == group
            ]
            for group in ("scans", "corruptions", "partial")
        },
    }


def case_score(outcomes: Sequence[Outcome]) -> dict[str, object]:
    """Compare the quality scores with the mean errors: separation, calibration, gross failures."""
    table = np.array([(o.score, o.mean_mm < MAX_CORRECT_ERROR_MM, o.mean_mm) for o in outcomes])
    scores, good, errors = table.T
    subjects = [str(o.number) for o in outcomes]
    return {
        "cases": len(outcomes),
        "above_5_mm": int((errors > MAX_CORRECT_ERROR_MM).sum()),
        "mean_score": round(float(scores.mean()), 3),
        "auroc": _interval(table, lambda t: auroc(t[:, 0], t[:, 1]), subjects),
        "calibration_error": _interval(
            table, lambda t: calibration_error(t[:, 0], t[:, 1]), subjects
        ),
        "above_10_mm": int((errors > GROSS_ERROR_MM).sum()),
        "above_10_mm_with_quality_above_half": int(
            ((errors > GROSS_ERROR_MM) & (scores > CONFIDENT)).sum()
        ),
        "good_with_quality_below_half": int(((good == 1) & (scores < CONFIDENT)).sum()),
        "reliability": reliability(scores, good),
    }


def no_fetus(bodies: Sequence[Outcome], empty: Sequence[Outcome]) -> dict[str, object]:
    """Measure how well volumes without a fetus are recognised."""
    table = np.array([(o.fetus, o.group != "empty") for o in [*bodies, *empty]], float)
    subjects = [str(o.number) for o in [*bodies, *empty]]
    good = [o for o in bodies if o.mean_mm < MAX_CORRECT_ERROR_MM]
    return {
        "auroc": _interval(table, lambda t: auroc(t[:, 0], t[:, 1]), subjects),
        "false_alarms": [_said(good, NO_FETUS), len(good)],
        "called_empty_among_wrong_poses": [_said(bodies, NO_FETUS) - _said(good, NO_FETUS),
                                           len(bodies) - len(good)],
        "recognised": {
            name: [_said(row, NO_FETUS), len(row)]
            for name in dict.fromkeys(o.cohort for o in empty)
            for row in [[o for o in empty if o.cohort == name]]
        },
        "empty_with_quality_above_half": sum(o.score > CONFIDENT for o in empty),
    }  # fmt: skip


def landmark_confidence(outcomes: Sequence[Outcome]) -> dict[str, object]:
    """Compare the confidences of visible landmarks with how often they are within 5 mm."""
    errors = np.array([o.errors_mm for o in outcomes])
    confidence = np.array([o.confidence for o in outcomes])
    seen = ~np.isnan(errors)
    right = errors < MAX_CORRECT_ERROR_MM
    return {
        "calibration_error": _rounded(calibration_error(confidence[seen], right[seen])),
        "auroc": _rounded(auroc(confidence[seen], right[seen])),
        "within_5_mm": round(float(right[seen].mean()), 4),
        "mean_confidence": round(float(confidence[seen].mean()), 4),
        "reliability": reliability(confidence[seen], right[seen]),
        "calibration_error_per_landmark": {
            name: _rounded(calibration_error(c[s], r[s]))
            for name, c, r, s in zip(
                outcomes[0].landmarks, confidence.T, right.T, seen.T, strict=True
            )
        },
    }


def hidden_landmarks(outcomes: Sequence[Outcome]) -> dict[str, object]:
    """Measure what the results say about landmarks that the view hides."""
    confidence = np.concatenate([o.confidence[o.hidden] for o in outcomes])
    return {
        "landmarks": len(confidence),
        "mean_confidence": round(float(confidence.mean()), 3),
        "confidence_above_half": int((confidence > CONFIDENT).sum()),
        "said_to_be_outside": int((confidence == 0).sum()),
    }


def sides_warning(outcomes: Sequence[Outcome]) -> dict[str, object]:
    """Measure the warning that left and right are uncertain.

    A pose whose sides are exchanged should be warned of. A warning about any other pose with a mean
    error below 5 mm is a false one.
    """
    warned = np.array([any(SIDES_UNCERTAIN in r for r in o.reasons) for o in outcomes])
    told = warned | np.array([_is_empty(o) for o in outcomes])
    wrong = np.array([not o.sides_right for o in outcomes])
    good = np.array([o.mean_mm < MAX_CORRECT_ERROR_MM for o in outcomes]) & ~wrong
    return {
        "exchanged": int(wrong.sum()),
        "exchanged_and_warned": int((wrong & told).sum()),
        "good": int(good.sum()),
        "good_and_warned": int((good & warned).sum()),
        "precision": _share((wrong & told).sum(), (wrong & told).sum() + (good & warned).sum()),
        "recall": _share((wrong & told).sum(), wrong.sum()),
    }


def lost_limbs(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Count the limbs that are called lost or out of view, with reason and without.

    A limb should be named if its last landmark is hidden or off by more than 5 mm. Cases that are
    doubtful as a whole, or in which no fetus was seen, name no limb and are left out.
    """
    limbs = [limb for o in outcomes if o.score > CONFIDENT for limb in o.limbs.values()]
    hidden = [limb for limb in limbs if limb.hidden]
    wrong = [limb for limb in limbs if limb.error_mm >= MAX_CORRECT_ERROR_MM]
    right = [limb for limb in limbs if limb.error_mm < MAX_CORRECT_ERROR_MM]
    return {
        "hidden": len(hidden),
        "hidden_and_named": sum(limb.named for limb in hidden),
        "wrong": len(wrong),
        "wrong_and_named": sum(limb.named for limb in wrong),
        "right": len(right),
        "right_and_named": sum(limb.named for limb in right),
    }


def misjudged(outcomes: Sequence[Outcome], count: int = 12) -> list[dict[str, object]]:
    """List the cases whose quality score was farthest from the truth."""

    def distance(outcome: Outcome) -> float:
        return abs(outcome.score - (outcome.mean_mm < MAX_CORRECT_ERROR_MM))

    return [
        {
            "cohort": o.cohort,
            "number": o.number,
            "mean_mm": round(min(o.mean_mm, 999.0), 2),
            "score": round(o.score, 3),
            "reasons": list(o.reasons),
        }
        for o in sorted(outcomes, key=distance, reverse=True)[:count]
    ]


def _interval(
    table: np.ndarray, statistic: Callable[[np.ndarray], float], subjects: list[str]
) -> list[float | None]:
    found = bootstrap_interval(table, statistic, subjects=subjects, samples=INTERVAL_SAMPLES)
    return [_rounded(value) for value in found]


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)


def _share(part: int, whole: int) -> float | None:
    return round(float(part / whole), 4) if whole else None


def _said(outcomes: Sequence[Outcome], words: str) -> int:
    return sum(words in o.reasons for o in outcomes)


def _is_empty(outcome: Outcome) -> bool:
    return NO_FETUS in outcome.reasons
