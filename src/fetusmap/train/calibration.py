"""Calibrate a pipeline: try it on held-out cases, and fit the probabilities to these trials."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from fetusmap.anatomy import (
    MAX_CORRECT_ERROR_MM,
    LengthInterval,
    Skeleton,
    fit_length_interval,
    limbs_of_both_sides,
)
from fetusmap.atlas import PoseLibrary
from fetusmap.detect import Detection, Pipeline
from fetusmap.errors import BadInput, DegenerateAlignment
from fetusmap.evaluate import landmark_errors_mm, sides_are_right
from fetusmap.quality import (
    Calibration,
    Evidence,
    Logistic,
    collect_evidence,
    fit_logistic,
    recalibrate,
)
from fetusmap.train.cases import TrainingCase
from fetusmap.train.variants import (
    shows_whole_body,
    variants_of,
    without_body,
    without_fetus,
)
from fetusmap.types import BoolArray, FloatArray, Points3
from fetusmap.volume import Volume

LANDMARK_FEATURES = (
    "peak_mass",
    "closeness_to_library",
    "agreement_with_first_pass",
    "mean_peak_mass",
)
CASE_FEATURES = (
    "mean_peak_mass",
    "sides_margin",
    "closeness_to_library",
    "mean_agreement_with_first_pass",
)
"""The features that new calibrations use."""

WEIGHTS = {"scan": 1.0, "mistake": 0.05, "corrupted": 1.0, "partial": 0.3, "empty": 0.3}
"""Weight of a trial by its kind. Deliberate mistakes, partial bodies and volumes without a fetus
are made often, so that there are enough of them, but are less frequent in use."""

Mistake = Callable[[Volume, Detection], Detection]
"""Makes a detection with the typical error of a pipeline from a prepared volume and the best
detection in it."""


@dataclass(frozen=True, eq=False)
class Trial:
    """The result of a pipeline in a held-out case or in a variant of it.

    Attributes:
        evidence: evidence for the best detection.
        errors_mm: (N,) distances from the truth, infinite if a landmark was not found; NaN if it
            is not visible, and for all landmarks of a case without a fetus.
        sides_right: whether left and right are not exchanged, see `sides_are_right`.
        kind: "scan", "mistake", "corrupted" or "partial".
        hidden_mm: (N,) distances from the truth of landmarks that a variant hides; NaN for others.
        length_error_mm: measured minus true crown-rump length; NaN if one of them is not known.
    """

    evidence: Evidence
    errors_mm: FloatArray
    sides_right: bool
    kind: str = "scan"
    hidden_mm: FloatArray = field(default_factory=lambda: np.array(np.nan))
    length_error_mm: float = np.nan

    @property
    def is_near(self) -> bool:
        """Whether the mean error of the visible landmarks is below 5 mm."""
        return bool(np.nanmean(self.errors_mm) < MAX_CORRECT_ERROR_MM)


@dataclass(frozen=True, eq=False)
class Trials:
    """The trials of a calibration.

    Attributes:
        bodies: trials of cases with a fetus, and of their variants.
        empty: trials of cases without a fetus.
    """

    bodies: list[Trial]
    empty: list[Trial]

    @property
    def scans(self) -> list[Trial]:
        """Trials of the cases as they are."""
        return [trial for trial in self.bodies if trial.kind == "scan"]


def try_held_out(
    pipeline: Pipeline,
    cases: Sequence[TrainingCase],
    mistake: Mistake | None,
    *,
    seed: int,
    empty: int,
) -> Trials:
    """Run a pipeline on held-out cases, on variants of them, and on cases without a fetus.

    Args:
        pipeline: the pipeline.
        cases: held-out cases.
        mistake: makes the pipeline's typical error; None for a pipeline that makes enough errors by
            itself.
        seed: seed of the variants.
        empty: number of cases without a fetus.
    """
    skeleton = pipeline.skeleton
    bodies: list[Trial] = []
    for number, case in enumerate(cases):
        bodies += try_case(pipeline, case, mistake=mistake)
        for variant in variants_of(case, skeleton, number, np.random.default_rng([seed, number])):
            bodies += try_case(pipeline, variant.case, kind=variant.kind, hidden=variant.hidden)
    nothing: list[Trial] = []
    for number, case in enumerate(cases[:empty]):
        rng = np.random.default_rng([seed, number])
        erased = number % 2 == 1 and shows_whole_body(case, skeleton)
        made = without_body(case, skeleton, rng) if erased else without_fetus(case, rng)
        nothing += try_case(pipeline, made)
    return Trials(bodies, nothing)


def try_case(
    pipeline: Pipeline,
    case: TrainingCase,
    *,
    kind: str = "scan",
    hidden: BoolArray | None = None,
    mistake: Mistake | None = None,
) -> Iterator[Trial]:
    """Run a pipeline on a case, and yield a trial if it finds a body.

    Args:
        pipeline: the pipeline.
        case: a held-out case.
        kind: kind of the trial.
        hidden: (N,) landmarks that the case hides on purpose.
        mistake: a second trial is that of the detection that this makes; None for no second trial.
    """
    volume = Volume(case.array, case.grid)
    found = pipeline.detect(volume)
    if not found:
        return
    yield _trial(pipeline.library, case, found[0], kind, hidden)
    if mistake is not None:
        with suppress(DegenerateAlignment):  # the peaks coincide: there is no mistake
            yield _trial(pipeline.library, case, mistake(volume, found[0]), "mistake", hidden)


def _trial(
    library: PoseLibrary,
    case: TrainingCase,
    best: Detection,
    kind: str,
    hidden: BoolArray | None,
) -> Trial:
    skeleton = library.skeleton
    errors = landmark_errors_mm(best.positions_mm, case.positions_mm)
    lengths = [
        _crown_rump_mm(skeleton, points)
        for points in (
            best.positions_mm,
            np.where(case.visible[:, None], case.positions_mm, np.nan),
        )
    ]
    return Trial(
        evidence=collect_evidence(best, library),
        errors_mm=np.where(case.visible, errors, np.nan),
        sides_right=sides_are_right(skeleton, best.positions_mm, case.positions_mm),
        kind=kind,
        hidden_mm=np.where(False if hidden is None else hidden, errors, np.nan),
        length_error_mm=lengths[0] - lengths[1],
    )


def _crown_rump_mm(skeleton: Skeleton, positions_mm: Points3) -> float:
    if skeleton.crown_rump_ends is None:
        return float("nan")
    crown, rump = positions_mm[skeleton.indices(skeleton.crown_rump_ends)]
    return float(np.linalg.norm(crown - rump))


def fit_calibration(trials: Trials, skeleton: Skeleton) -> Calibration:
    """Fit the confidence of landmarks and the probabilities of a case to trials.

    Deliberate mistakes give examples of wrong detections. The frequency of correct landmarks is
    then taken from the other trials alone. A landmark that a variant hides counts as correct if it
    was nevertheless found within 5 mm.

    Args:
        trials: trials of cases with and without a fetus.
        skeleton: names the landmarks.

    Raises:
        BadInput: there is no trial of a case with a fetus.
    """
    bodies = trials.bodies
    if not bodies:
        raise BadInput(
            "calibration",
            expected="held-out cases in which the networks find a body, right or wrong",
            found="none",
            remedy="train longer",
        )
    weights = np.array([WEIGHTS[trial.kind] for trial in bodies])
    honest = np.array([trial.kind != "mistake" for trial in bodies])
    usable = np.array([not np.isnan(trial.errors_mm).all() for trial in bodies])
    features = np.array([trial.evidence.case_table(CASE_FEATURES) for trial in bodies])
    nothing = np.array([trial.evidence.case_table(CASE_FEATURES) for trial in trials.empty])
    nothing = nothing.reshape(-1, len(CASE_FEATURES))
    right = np.array([trial.sides_right for trial in bodies])
    near = np.array([bool(u) and t.is_near for t, u in zip(bodies, usable, strict=True)])
    # A wrong pose in a partial view looks like one in a volume without a fetus.
    partial = np.array([trial.kind == "partial" for trial in bodies])
    seen = features[honest & (near | ~partial)]
    is_fetus = np.arange(len(seen) + len(nothing)) < len(seen)
    calibration = Calibration(
        landmark=_fit_landmarks(bodies, weights, honest),
        case=fit_logistic(features[usable], (near & right)[usable], weights[usable]),
        fetus=fit_logistic(np.concatenate([seen, nothing]), is_fetus),
        score=fit_logistic(
            np.concatenate([features[usable], nothing]),
            np.append((near & right)[usable], np.zeros(len(nothing), bool)),
            np.append(weights[usable], np.full(len(nothing), WEIGHTS["empty"])),
        ),
        limb=_fit_limbs(bodies, weights, skeleton),
        sides=fit_logistic(features[usable], right[usable], weights[usable]),
        cases=len(trials.scans),
        empty_cases=len(trials.empty),
        landmark_features=LANDMARK_FEATURES,
        case_features=CASE_FEATURES,
    )
    interval = _fit_crown_rump(trials.scans, calibration, skeleton)
    return calibration.model_copy(update={"crown_rump": interval})


def _fit_landmarks(bodies: list[Trial], weights: FloatArray, honest: BoolArray) -> Logistic:
    features = np.array([trial.evidence.landmark_table(LANDMARK_FEATURES) for trial in bodies])
    errors = np.array([np.fmin(trial.errors_mm, trial.hidden_mm) for trial in bodies])
    known = ~np.isnan(errors)
    right = errors < MAX_CORRECT_ERROR_MM
    each = np.broadcast_to(weights[:, None], errors.shape)
    landmark = fit_logistic(features[known], right[known], each[known])
    known &= honest[:, None]
    return recalibrate(landmark, features[known], right[known], each[known])


def _fit_limbs(bodies: list[Trial], weights: FloatArray, skeleton: Skeleton) -> Logistic | None:
    """Fit the probability that the last landmark of a limb is seen and within 5 mm of the truth.

    A landmark that a variant hides is not seen, wherever it was found.
    """
    ends = [limb[-1] for limb in limbs_of_both_sides(skeleton).values()]
    if not ends:
        return None
    features = np.array([trial.evidence.limb_table(skeleton) for trial in bodies])
    errors = np.array([trial.errors_mm[ends] for trial in bodies])
    hidden = np.array([np.broadcast_to(t.hidden_mm, t.errors_mm.shape)[ends] for t in bodies])
    known = ~(np.isnan(errors) & np.isnan(hidden))
    right = errors < MAX_CORRECT_ERROR_MM  # False for NaN
    each = np.broadcast_to(weights[:, None], errors.shape)
    return fit_logistic(features[known], right[known], each[known])


def _fit_crown_rump(
    scans: list[Trial], calibration: Calibration, skeleton: Skeleton
) -> LengthInterval | None:
    """Fit the interval of the crown-rump length, given the confidences of its ends."""
    if skeleton.crown_rump_ends is None:
        return None
    ends = skeleton.indices(skeleton.crown_rump_ends)
    confidences = [
        calibration.case_probabilities(scan.evidence).fetus
        * calibration.confidence(scan.evidence)[ends]
        for scan in scans
    ]
    errors = [scan.length_error_mm for scan in scans]
    return fit_length_interval(errors, np.array(confidences).reshape(-1, 2))
