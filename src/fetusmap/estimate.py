"""`PoseEstimator`: estimates the pose of the fetus in a volume, with all steps in one place."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from fetusmap._version import __version__
from fetusmap.anatomy import Pose, Provenance
from fetusmap.atlas import PoseLibrary, atlases_for, load_library, usable_atlases
from fetusmap.detect import (
    AffordableDetections,
    Detection,
    Pipeline,
    detect_within_memory,
    is_out_of_memory,
)
from fetusmap.errors import BadInput, UnreadableFile
from fetusmap.model import CARD_FILE, DEFAULT_FOLDER, ModelCard, load_model, model_sha256
from fetusmap.network import device_named, has_fast_bfloat16
from fetusmap.preprocess import Prepared, prepare
from fetusmap.quality import assess_quality, collect_evidence, no_fetus_pose, size_facts
from fetusmap.refine import (
    NO_MEMORY,
    FastRefinement,
    Refine,
    Refinement,
    TrainingRefinement,
    refine_by_training,
    refine_fast,
    refinement_named,
)
from fetusmap.session import Session
from fetusmap.volume import Volume

MODELS = {name: DEFAULT_FOLDER.parent / name for name in ("default", "land")}
"""The models that ship with the package."""

MIN_EXTENT_MM = 20.0
"""Smallest extent of a volume along each axis: the trunk length of a fetus of 10 weeks."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """The result of `PoseEstimator` for one volume.

    Attributes:
        pose: landmarks in the world of the volume, LPS mm, with confidences, quality and
            provenance; all absent if no body frame was found.
        detections: one detection for each body frame that was tried, best first; the first one is
            refined.
        refinement: how the first detection was refined; None without refinement or without a body.
    """

    pose: Pose
    detections: tuple[Detection, ...]
    refinement: Refinement | None = None


class PoseEstimator:
    """Estimates poses with one model. Make it with `from_pretrained`."""

    def __init__(
        self,
        pipeline: Pipeline,
        card: ModelCard,
        model_sha256: str,
        library: PoseLibrary | None = None,
    ) -> None:
        """Combine the parts of a model; `from_pretrained` loads them.

        Raises:
            BadInput: the pose library is of another skeleton.
        """
        if library is not None and library.skeleton != pipeline.skeleton:
            raise BadInput(
                "pose library",
                expected=f"one of the model's skeleton, {pipeline.skeleton.name}",
                found=f"one of {library.skeleton.name}",
                remedy="give a library of the same skeleton, or none",
            )
        self._given_library = library
        self.pipeline = pipeline
        self.card = card
        self.model_sha256 = model_sha256
        weights = next(iter(pipeline.detectors.values())).network.parameters()
        self.device = next(weights).device

    @property
    def precision(self) -> str:
        """Precision if memory suffices: "bfloat16" on a device where it is fast, else "float32"."""
        return "bfloat16" if has_fast_bfloat16(self.device) else "float32"

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path = "default",
        device: str = "auto",
        library: PoseLibrary | str | Path | None = None,
    ) -> PoseEstimator:
        """Load a model.

        Args:
            model: a shipped model, "default" or "land" (the paper's network), or a model folder.
            device: "auto", "cpu" or "cuda".
            library: pose library to refine with, or its file; None for the shipped library.

        Raises:
            BadInput: the device is unknown, or the model or the pose library cannot be used.
        """
        folder = model_folder(model)
        pipeline, card = load_model(folder)
        where = device_named(device)
        for detector in pipeline.detectors.values():
            detector.network.to(where)
        if library is not None and not isinstance(library, PoseLibrary):
            library = load_library(library, pipeline.skeleton)
        return cls(pipeline, card, model_sha256(folder), library)

    @cached_property
    def library(self) -> PoseLibrary:
        """The pose library to refine with: the given one, or else the shipped one.

        If the shipped library does not serve the skeleton of the model, its own library is used.
        """
        if self._given_library is not None:
            return self._given_library
        return atlases_for(self.pipeline.skeleton, self.pipeline.library)

    @cached_property
    def library_sha256(self) -> str:
        """Hash of the positions in the library."""
        return hashlib.sha256(self.library.positions_mm.tobytes()).hexdigest()

    def check(self, refine: str) -> None:
        """Check that the refinement exists, and that the library is large enough for it.

        Raises:
            BadInput: the refinement does not exist, or the library is too small.
        """
        refine = refinement_named(refine)
        if refine != "none":
            settings = FastRefinement() if refine == "fast" else TrainingRefinement()
            usable_atlases(self.library, settings.support)

    def __call__(
        self, volume: Volume, *, refine: str = "none", flip_average: bool = True
    ) -> Prediction:
        """Estimate the pose of the fetus in a volume.

        Args:
            volume: a volume of any spacing, orientation and type.
            refine: "none"; "fast", which combines heatmaps and pose library, see `refine_fast`; or
                "test-time-training" (also called "paper"), which trains the network on this volume
                for six steps, see `refine_by_training`.
            flip_average: average the heatmaps with those of the mirror image.

        Raises:
            BadInput: the volume is too small for a fetus, or the refinement is unknown.
            ResourceError: the memory is not sufficient.
        """
        kind = refinement_named(refine)
        prepared = self._prepare(volume)
        found = detect_within_memory(self.pipeline, prepared.volume, flip_average=flip_average)
        refinement = None
        if found.detections and kind != "none":
            refinement = self._refine(kind, found, prepared.volume, flip_average=flip_average)
        detections = [*found.detections]
        if refinement is not None:
            detections[0] = refinement.detection
        pose = self._assessed(found.detections, detections, prepared)
        provenance = Provenance(
            fetusmap=__version__,
            model=self.card.name,
            model_sha256=self.model_sha256,
            refine=kind,
            flip_average=flip_average,
            input_sha256=input_sha256(volume),
            library_sha256="" if refinement is None else self.library_sha256,
            device=self.device.type,
            precision="bfloat16" if found.half else "float32",
            warnings=(*volume.warnings, *found.warnings),
            changes=() if refinement is None else refinement.changes,
            rejected_because="" if refinement is None else refinement.rejected_because,
        )
        # Everything was computed in the network's frame, and is mapped to the world only here.
        to_world = prepared.world_from_network
        return Prediction(
            replace(pose.transform(to_world), provenance=provenance),
            tuple(detection.transformed(to_world) for detection in detections),
            None if refinement is None else refinement.transformed(to_world),
        )

    def session(self, volume: Volume) -> Session:
        """Prepare a volume for questions with pinned landmarks, see `Session`.

        Raises:
            BadInput: the volume is too small for a fetus.
            ResourceError: the memory is not sufficient.
        """
        prepared = self._prepare(volume)
        found = detect_within_memory(self.pipeline, prepared.volume, flip_average=True)
        provenance = Provenance(
            fetusmap=__version__,
            model=self.card.name,
            model_sha256=self.model_sha256,
            input_sha256=input_sha256(volume),
            library_sha256=self.library_sha256,
            device=self.device.type,
            precision="bfloat16" if found.half else "float32",
            warnings=(*volume.warnings, *found.warnings),
        )
        return Session(
            self.pipeline, self.card.calibration, prepared, found, provenance, self.library
        )

    def _prepare(self, volume: Volume) -> Prepared:
        if min(volume.grid.extent_mm) < MIN_EXTENT_MM:
            box = " x ".join(f"{length:.0f}" for length in volume.grid.extent_mm)
            raise BadInput(
                volume.name or "volume",
                expected=f"at least {MIN_EXTENT_MM:.0f} mm along each axis, room for a fetus",
                found=f"a box of {box} mm",
                remedy="check the spacing, and give the whole volume",
            )
        return prepare(volume, self.card.working_spacing_mm)

    def _refine(
        self, kind: Refine, found: AffordableDetections, prepared: Volume, *, flip_average: bool
    ) -> Refinement:
        detection, detector = found.detections[0], self.pipeline.last
        model_library = self.pipeline.library
        if kind == "fast":
            return refine_fast(detection, detector.peak_height, model_library, self.library)
        try:
            return refine_by_training(
                detector,
                detection,
                self.library,
                model_library,
                prepared,
                TrainingRefinement(guarded=True),
                flip_average=flip_average,
                half=found.half,
            )
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            return Refinement(detection, detection, (), rejected_because=NO_MEMORY)

    def _assessed(
        self, unrefined: list[Detection], final: list[Detection], prepared: Prepared
    ) -> Pose:
        """Return the pose with confidences and quality, in the network's frame."""
        skeleton, library = self.pipeline.skeleton, self.pipeline.library
        facts = size_facts(prepared, library)
        if not final:
            return no_fetus_pose(skeleton, prepared.volume, facts)
        evidence = collect_evidence(unrefined[0], library)
        positions_mm, calibration = final[0].positions_mm, self.card.calibration
        return assess_quality(evidence, positions_mm, skeleton, calibration, prepared.volume, facts)


def model_folder(model: str | Path) -> Path:
    """Return the folder of a shipped model, by its name, or the given folder.

    Raises:
        UnreadableFile: there is no shipped model of this name, and no such model folder.
    """
    folder = MODELS.get(str(model), Path(model))
    if not (folder / CARD_FILE).is_file():
        raise UnreadableFile(
            folder,
            expected=f"a model folder with {CARD_FILE}, or one of {', '.join(MODELS)}",
            found=f"no {CARD_FILE}" if folder.is_dir() else "no such folder",
            remedy="give the folder model/ of a training run, or leave the model out",
        )
    return folder


def input_sha256(volume: Volume) -> str:
    """Return the hash of a volume: of its voxels, their type, and their grid."""
    digest = hashlib.sha256(f"{volume.array.dtype.str} {volume.grid.shape}".encode())
    digest.update(volume.grid.affine.tobytes())
    digest.update(np.ascontiguousarray(volume.array.T).tobytes())
    return digest.hexdigest()
