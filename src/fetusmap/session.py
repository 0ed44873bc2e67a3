"""An interactive session: one volume, pinned landmarks, and the pose that agrees with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fetusmap.anatomy import Pose, Provenance, Review
from fetusmap.atlas import PoseLibrary, exchange_candidates, fit_orders
from fetusmap.detect import (
    AffordableDetections,
    BodyFrame,
    BodyFrameGrid,
    Detection,
    Pipeline,
    body_frame_of,
    detection_from_heatmaps,
)
from fetusmap.errors import BadInput, DegenerateAlignment
from fetusmap.geometry import apply_affine, invert_affine
from fetusmap.heatmap import Heatmaps
from fetusmap.preprocess import Prepared
from fetusmap.quality import (
    Calibration,
    assess_quality,
    collect_evidence,
    no_fetus_pose,
    size_facts,
)
from fetusmap.refine import FastRefinement, refine_fast
from fetusmap.types import ArrayLike, FloatArray, IntArray, Points3

NAMING_ATLASES = 100
"""Number of atlases that decide which detected limbs are exchanged relative to the pins."""

PLACING_ATLASES = 500
"""Number of atlases that give the body frame and place the landmarks without a pin."""

MIN_DETERMINING_PINS = 3
"""From this number on, pins determine the body frame unless they lie on a line."""

MIN_PIN_FLATNESS = 0.05
"""Pins lie on a line if their spread across it is at most this part of that along it."""

DETECTION_WEIGHT = 0.3
"""Weight of a detected landmark of peak mass 1 beside a pin of weight 1, for fewer pins."""

DETERMINED_DETECTION_WEIGHT = 0.02
"""The same where the pins determine the body frame: the detection only breaks ties."""

AGREE_WITH_PINS = FastRefinement(limbs=False, hypotheses=0, rounds=1)
"""How the landmarks without a pin are placed: heatmaps times the atlases that fit the pins."""


class Session:
    """One volume, and the pose that agrees with the landmarks that a person has pinned.

    The volume is prepared and detected once. Each question after that takes one pass of the
    network: the pins and the pose library give the body frame, the network predicts in it, and the
    library and the heatmaps place the landmarks that have no pin. Make a session with
    `PoseEstimator.session`.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        calibration: Calibration,
        prepared: Prepared,
        found: AffordableDetections,
        provenance: Provenance,
        atlases: PoseLibrary,
    ) -> None:
        """See `PoseEstimator.session`."""
        self._pipeline = pipeline
        self._calibration = calibration
        self._prepared = prepared
        self._first = found.detections[0] if found.detections else None
        self._half = found.half
        self._provenance = provenance
        self._network_from_world = invert_affine(prepared.world_from_network)
        self._pins_mm: dict[int, FloatArray] = {}  # in the network's frame
        self._reviews: dict[int, Review] = {}
        self._atlases = atlases.thinned(PLACING_ATLASES)
        self._model_library = pipeline.library.thinned(PLACING_ATLASES)
        self._naming_library = pipeline.library.thinned(NAMING_ATLASES)

    @property
    def pins(self) -> Mapping[str, FloatArray]:
        """The pinned landmarks by name: (3,) positions in the world, LPS mm."""
        landmarks, to_world = self._pipeline.skeleton.landmarks, self._prepared.world_from_network
        return {landmarks[row]: apply_affine(to_world, p) for row, p in self._pins_mm.items()}

    def pin(self, landmark: str, position_mm: ArrayLike, review: Review = "moved") -> None:
        """Pin a landmark to a position in the world; a landmark that has a pin is moved.

        Args:
            landmark: a name of the model's skeleton.
            position_mm: (3,) LPS mm.
            review: what the person did to the landmark.

        Raises:
            BadInput: the name is unknown, or the position is no point.
        """
        row = self._pipeline.skeleton.index(landmark)
        point = np.asarray(position_mm, dtype=np.float64)
        if point.shape != (3,) or not np.isfinite(point).all():
            raise BadInput(
                f"pin of {landmark!r}",
                expected="three finite coordinates in mm",
                found=f"{position_mm!r}",
                remedy="give x, y, z in the world of the volume",
            )
        self._pins_mm[row] = apply_affine(self._network_from_world, point)
        self._reviews[row] = review

    def unpin(self, landmark: str) -> None:
        """Remove the pin of a landmark, if it has one.

        Raises:
            BadInput: the name is unknown.
        """
        self._pins_mm.pop(self._pipeline.skeleton.index(landmark), None)

    def solve(self) -> Pose:
        """Find the pose that agrees with the pins.

        Pinned landmarks keep their positions and have confidence 1. The result depends only on the
        volume and on the pins, not on earlier questions.

        Returns:
            The pose in the world of the volume, LPS mm. Without pins it is the estimator's pose.
        """
        skeleton, library = self._pipeline.skeleton, self._pipeline.library
        volume, facts = self._prepared.volume, size_facts(self._prepared, library)
        detected, final = self._first, self._first
        if self._pins_mm:
            detected, final = self._detect_with_pins()
        if detected is None or final is None:
            pose = self._pinned(no_fetus_pose(skeleton, volume, facts))
        else:
            # As for every pose, the evidence is that of what the network detected, and the
            # plausibility is that of the final positions.
            positions_mm, _ = self._with_pins(final.positions_mm, final.masses)
            pose = self._pinned(
                assess_quality(
                    collect_evidence(detected, library),
                    positions_mm,
                    skeleton,
                    self._calibration,
                    volume,
                    facts,
                )
            )
        pins = {"pins": sorted(self.pins)} if self._pins_mm else {}
        return replace(
            pose.transform(self._prepared.world_from_network),
            provenance=self._provenance.model_copy(update={"notes": pins}),
        )

    def _detect_with_pins(self) -> tuple[Detection | None, Detection | None]:
        """What the network detects in the body frame of the pins, and the pose that agrees."""
        library, detector = self._pipeline.library, self._pipeline.last
        grid_rule = detector.input_grid
        found = self._first
        frame = None
        if isinstance(grid_rule, BodyFrameGrid):
            frame = self._body_frame()
            if frame is not None:
                grid = grid_rule.of_frame(frame)
                heatmaps = detector.predict(self._prepared.volume, grid, half=self._half)
                first_pass_mm = None if self._first is None else self._first.first_pass_mm
                try:
                    found = detection_from_heatmaps(heatmaps, grid, library, frame)
                    found = replace(found, first_pass_mm=first_pass_mm)
                except DegenerateAlignment:
                    found = None
        if found is None:
            return None, None
        order = self._best_naming(found)
        renamed = replace(
            found,
            heatmaps=Heatmaps(found.heatmaps.array[order.tolist()], found.heatmaps.grid),
        )
        positions, masses = found.positions_mm[order], found.masses[order]
        try:
            renamed = renamed.with_landmarks(positions, masses, library)
            pinned = renamed.with_landmarks(*self._with_pins(positions, masses), library)
        except DegenerateAlignment:
            return found, found
        model_library = self._model_library
        refined = refine_fast(
            pinned, detector.peak_height, model_library, self._atlases, AGREE_WITH_PINS
        )
        return renamed, refined.detection

    def _body_frame(self) -> BodyFrame | None:
        """The body frame of the atlases that fit the pins best; None if nothing determines it."""
        skeleton, library = self._pipeline.skeleton, self._atlases
        positions = np.full((len(skeleton), 3), np.nan)
        weights = np.zeros(len(skeleton))
        if self._first is not None:
            first, identity = self._first, np.arange(len(skeleton))
            # Where the pins determine the frame, the detection weighs too little to need naming.
            order = identity if self._pins_determine_frame else self._best_naming(first)
            share = DETERMINED_DETECTION_WEIGHT if self._pins_determine_frame else DETECTION_WEIGHT
            positions, weights = first.positions_mm[order], share * first.masses[order]
        positions, weights = self._with_pins(positions, weights)
        try:
            _, supports = fit_orders(positions, weights, library, np.arange(len(skeleton))[None])
        except DegenerateAlignment:
            return None if self._first is None else self._first.frame
        return body_frame_of(skeleton, supports[0])

    @property
    def _pins_determine_frame(self) -> bool:
        """Whether there are enough pins, and not all of them on a line."""
        points = np.array(list(self._pins_mm.values()))
        if len(points) < MIN_DETERMINING_PINS:
            return False
        spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
        return bool(spread[1] > MIN_PIN_FLATNESS * spread[0])

    def _best_naming(self, found: Detection) -> IntArray:
        """(N,) the exchange of limbs after which a detection agrees best with the pins."""
        skeleton = self._pipeline.skeleton
        orders = np.concatenate([exchange_candidates(skeleton), skeleton.mirror_index[None]])
        scores = [self._disagreement(found, order, self._naming_library) for order in orders]
        return np.asarray(orders[int(np.argmin(scores))])  # of equal ones the first: no exchange

    def _disagreement(self, found: Detection, order: IntArray, library: PoseLibrary) -> float:
        """Residual of a renamed detection with the pins in it, body sizes."""
        positions, masses = self._with_pins(found.positions_mm[order], found.masses[order])
        try:
            scores, _ = fit_orders(positions, masses, library, np.arange(len(positions))[None])
        except DegenerateAlignment:
            return np.inf
        return float(scores[0])

    def _with_pins(self, positions_mm: Points3, masses: FloatArray) -> tuple[Points3, FloatArray]:
        positions, masses = positions_mm.copy(), masses.copy()
        for row, point in self._pins_mm.items():
            positions[row], masses[row] = point, 1.0
        return positions, masses

    def _pinned(self, pose: Pose) -> Pose:
        """The pose with its pins in place, each with confidence 1 and its review."""
        positions, confidence = pose.positions_mm.copy(), pose.confidence.copy()
        review = [*pose.review]
        for row, point in self._pins_mm.items():
            positions[row], confidence[row], review[row] = point, 1.0, self._reviews[row]
        return replace(pose, positions_mm=positions, confidence=confidence, review=tuple(review))
