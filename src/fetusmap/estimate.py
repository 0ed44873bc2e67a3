"""The whole program on one screen: a volume goes in, a pose comes out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import JsonValue

from fetusmap._version import __version__
from fetusmap.anatomy import Pose
from fetusmap.detect import (
    DEFAULT_FOLDER,
    Detection,
    ModelCard,
    Pipeline,
    at_rest,
    load_model,
    prepare,
    weigh,
)
from fetusmap.errors import BadInput
from fetusmap.volume import Volume

Refine = Literal["none"]
MODELS = {"default": DEFAULT_FOLDER}

NO_FETUS = "no fetus in view"
LADDER: tuple[tuple[str, bool | None, float], ...] = (
    ("", None, 1.0),
    ("not enough memory: computed in bfloat16", True, 1.0),
    ("not enough memory: computed in bfloat16, whole volume at 2/3 of the resolution", True, 1.5),
    ("not enough memory: computed in bfloat16, whole volume at 1/3 of the resolution", True, 3.0),
)
"""What is tried in turn when memory runs out: note, bfloat16, how much coarser."""

LIKELY_FETUS = 0.5
CERTAIN_SIDES = 0.9
DOUBTFUL = 0.5
"""Below these probabilities a reason is given."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What was found in a volume.

    Attributes:
        pose: landmarks in the volume's world, LPS mm, with confidences, quality and provenance;
            all absent where no body frame was found.
        detections: every body frame that was tried, best first.
    """

    pose: Pose
    detections: tuple[Detection, ...]


class PoseEstimator:
    """Estimates poses with one model. Make it with `from_pretrained`."""

    def __init__(self, pipeline: Pipeline, card: ModelCard, model_sha256: str) -> None:
        self.pipeline = pipeline
        self.card = card
        self.model_sha256 = model_sha256

    @classmethod
    def from_pretrained(cls, model: str | Path = "default", device: str = "auto") -> PoseEstimator:
        """Load a model.

        Args:
            model: "default", which ships in the package, or a model folder.
            device: "auto", "cpu" or "cuda".

        Raises:
            BadInput: an unknown device, or a model that cannot be used.
        """
        folder = MODELS.get(str(model), Path(model))
        pipeline, card = load_model(folder)
        where = _device_named(device)
        for detector in pipeline.detectors.values():
            detector.network.to(where)
        text = card.model_dump_json(exclude_none=True)
        return cls(pipeline, card, hashlib.sha256(text.encode()).hexdigest())

    def __call__(
        self, volume: Volume, *, refine: Refine = "none", flip_average: bool = True
    ) -> Prediction:
        """Find the pose of the fetus in a volume.

        Args:
            volume: of any spacing, orientation and type.
            refine: "none".
            flip_average: look at the mirror image as well, sides exchanged, and average.
        """
        prepared = prepare(volume, self.card.working_spacing_mm)
        rest, world_from_rest = at_rest(prepared)
        found, ladder = self._detect_within_memory(rest, flip_average=flip_average)
        detections = [detection.moved(world_from_rest) for detection in found]
        provenance: dict[str, JsonValue] = {
            "fetusmap": __version__,
            "model": self.card.name,
            "model_sha256": self.model_sha256,
            "refine": refine,
            "flip_average": flip_average,
            "input_sha256": input_sha256(volume),
            "warnings": [*volume.warnings, *ladder],
        }
        pose = self._pose_of(detections, prepared, provenance)
        return Prediction(pose, tuple(detections))

    def _detect_within_memory(
        self, prepared: Volume, *, flip_average: bool
    ) -> tuple[list[Detection], list[str]]:
        """Detections, and how the precision or the scale was lowered to make them fit."""
        notes: list[str] = []
        for note, half, coarsen in LADDER:
            notes = [note] if note else []
            try:
                found = self.pipeline.detect(
                    prepared, flip_average=flip_average, half=half, coarsen=coarsen
                )
            except (MemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
            else:
                return found, notes
        raise BadInput(
            prepared.name,
            expected="memory for the network at a third of its resolution",
            found=f"not enough for a box of {_box(prepared)} mm",
            remedy="close other programs, or crop the volume around the fetus",
        )

    def _pose_of(
        self, detections: list[Detection], prepared: Volume, provenance: dict[str, JsonValue]
    ) -> Pose:
        skeleton = self.pipeline.skeleton
        if not detections:
            nowhere = np.full((len(skeleton), 3), np.nan)
            quality: dict[str, JsonValue] = {"score": 0.0, "reasons": [NO_FETUS]}
            return Pose(skeleton, nowhere, np.zeros(len(skeleton)), quality, provenance)
        best = detections[0]
        evidence = weigh(best, self.pipeline.library)
        calibration = self.card.calibration
        found = np.asarray(np.isfinite(best.positions_mm).all(axis=1))
        inside = np.asarray(prepared.grid.contains(best.positions_mm))
        confidence = calibration.landmark.probability(evidence.landmark_features)
        fetus, sides, score = (
            float(logistic.probability(evidence.case_features))
            for logistic in (calibration.fetus, calibration.sides, calibration.case)
        )
        doubts = [
            f"{name} lies outside the volume" if there else f"{name} was not found"
            for name, there, within in zip(skeleton.landmarks, found, inside, strict=True)
            if not within
        ]
        quality = {
            "score": round(fetus * score, 4),
            "fetus": round(fetus, 4),
            "sides": round(sides, 4),
            "reasons": _reasons(fetus, sides, score, doubts),
        }
        return Pose(
            skeleton,
            best.positions_mm,
            np.where(inside, fetus * confidence, 0.0),
            quality,
            provenance,
        )


def input_sha256(volume: Volume) -> str:
    """Hash of what a prediction rests on: voxels, their type, and where they are."""
    digest = hashlib.sha256(f"{volume.array.dtype.str} {volume.grid.shape}".encode())
    digest.update(volume.grid.affine.tobytes())
    digest.update(np.ascontiguousarray(volume.array.T).tobytes())
    return digest.hexdigest()


def _reasons(fetus: float, sides: float, score: float, doubts: list[str]) -> list[JsonValue]:
    """Why to doubt a case, in words; none for a good one."""
    if fetus < LIKELY_FETUS:
        return [NO_FETUS]
    reasons: list[JsonValue] = [*doubts]
    if sides < CERTAIN_SIDES:
        reasons.append("left and right are uncertain: the mirrored pose fits nearly as well")
    if score < DOUBTFUL:
        reasons.append("the detection is doubtful: check every landmark")
    return reasons


def _device_named(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise BadInput("device", expected="auto, cpu or cuda", found=repr(name), remedy="try auto")
    if name == "cuda" and not torch.cuda.is_available():
        raise BadInput(
            "device", expected="a CUDA device", found="none that torch can use", remedy="use cpu"
        )
    return torch.device(name)


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(
        words in str(error) for words in ("allocate memory", "not enough memory")
    )


def _box(volume: Volume) -> str:
    return " x ".join(f"{length:.0f}" for length in volume.grid.extent_mm)
