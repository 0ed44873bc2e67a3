"""The whole program on one screen: a volume goes in, a pose comes out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch

from fetusmap._version import __version__
from fetusmap.anatomy import Pose, Provenance, load_skeleton
from fetusmap.atlas import PoseLibrary, load_atlases, load_library, usable_atlases
from fetusmap.detect import Detection, Pipeline
from fetusmap.errors import BadInput
from fetusmap.model import DEFAULT_FOLDER, ModelCard, load_model
from fetusmap.network import device_named, has_fast_bfloat16
from fetusmap.preprocess import at_rest, prepare
from fetusmap.quality import judge, nothing_found
from fetusmap.refine import (
    NO_MEMORY,
    FastRefinement,
    PaperRefinement,
    Refinement,
    refine_fast,
    refine_paper,
)
from fetusmap.volume import Volume

Refine = Literal["none", "paper", "fast"]
REFINE: tuple[Refine, ...] = get_args(Refine)
MODELS = {name: DEFAULT_FOLDER.parent / name for name in ("default", "land")}

COARSER = {1.0: "", 1.5: "whole volume at 2/3 of the resolution",
           3.0: "whole volume at 1/3 of the resolution"}  # fmt: skip
"""How much coarser the first pass looks when memory runs out, and what is said of it."""

LEAST_MM = 20.0
"""A trunk of 10 weeks alone is as long."""

OUT_OF_MEMORY = (
    "allocate memory", "not enough memory", "bad_alloc", "could not create a primitive",
    "CUDA error: out of memory", "ALLOC_FAILED",
)  # fmt: skip
"""What torch, oneDNN and CUDA say, who do not raise MemoryError."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What was found in a volume.

    Attributes:
        pose: landmarks in the volume's world, LPS mm, with confidences, quality and provenance;
            all absent where no body frame was found.
        detections: every body frame that was tried, best first; the first one is the refined one.
        refinement: how the best one was refined; None without refinement or without a body.
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
        """See `from_pretrained`.

        Raises:
            BadInput: a pose library of another skeleton.
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
        """In which it computes where memory allows: "bfloat16" where that is fast, or "float32"."""
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
            model: "default" or "land", the paper's network, which ship; or a model folder.
            device: "auto", "cpu" or "cuda".
            library: atlases to refine with, or their file; None for those that ship.

        Raises:
            BadInput: an unknown device, or a model or a pose library that cannot be used.
        """
        folder = MODELS.get(str(model), Path(model))
        pipeline, card = load_model(folder)
        where = device_named(device)
        for detector in pipeline.detectors.values():
            detector.network.to(where)
        text = card.model_dump_json(exclude_none=True)
        if library is not None and not isinstance(library, PoseLibrary):
            library = load_library(library, pipeline.skeleton)
        return cls(pipeline, card, hashlib.sha256(text.encode()).hexdigest(), library)

    @cached_property
    def library(self) -> PoseLibrary:
        """The atlases to refine with: those that were given, those that ship, or the model's own.

        The model's own where those that ship are of another skeleton.
        """
        if self._given_library is not None:
            return self._given_library
        skeleton = self.pipeline.skeleton
        return load_atlases(skeleton) if skeleton == load_skeleton() else self.pipeline.library

    @cached_property
    def library_sha256(self) -> str:
        """Hash of the positions in the library."""
        return hashlib.sha256(self.library.positions_mm.tobytes()).hexdigest()

    def check(self, refine: Refine) -> None:
        """Make sure that there is such a refinement, and a library that is large enough for it.

        Raises:
            BadInput: one of them is missing.
        """
        _check_name(refine)
        if refine != "none":
            settings = FastRefinement() if refine == "fast" else PaperRefinement()
            usable_atlases(self.library, settings.support)

    def __call__(
        self, volume: Volume, *, refine: Refine = "none", flip_average: bool = True
    ) -> Prediction:
        """Find the pose of the fetus in a volume.

        Args:
            volume: of any spacing, orientation and type.
            refine: "none"; "paper", which tunes the network on this volume for six steps, see
                `refine_paper`; or "fast", which lets heatmaps and library settle it, see
                `refine_fast`.
            flip_average: look at the mirror image as well, sides exchanged, and average.
        """
        _check_name(refine)  # the library is looked at by the refinement itself
        if min(volume.grid.extent_mm) < LEAST_MM:
            raise BadInput(
                volume.name or "volume",
                expected=f"at least {LEAST_MM:.0f} mm along each axis, room for a fetus",
                found=f"a box of {_box(volume)} mm",
                remedy="check the spacing, and give the whole volume",
            )
        prepared = prepare(volume, self.card.working_spacing_mm)
        rest, world_from_rest = at_rest(prepared)
        found, half, ladder = self._detect_within_memory(rest, flip_average=flip_average)
        judged = found[0] if found else None
        refinement = None
        if refine != "none" and found:
            refinement = self._refine(refine, found[0], rest, flip_average=flip_average, half=half)
            found[0] = refinement.detection
            refinement = refinement.moved(world_from_rest)
        detections = [detection.moved(world_from_rest) for detection in found]
        provenance = Provenance(
            fetusmap=__version__,
            model=self.card.name,
            model_sha256=self.model_sha256,
            refine=refine,
            flip_average=flip_average,
            input_sha256=input_sha256(volume),
            library_sha256="" if refinement is None else self.library_sha256,
            device=self.device.type,
            precision="bfloat16" if half else "float32",
            warnings=(*volume.warnings, *ladder),
            changes=() if refinement is None else refinement.changes,
            rejected_because="" if refinement is None else refinement.kept,
        )
        if judged is None:
            pose = nothing_found(self.pipeline.skeleton)
        else:
            library, calibration = self.pipeline.library, self.card.calibration
            pose = judge(judged, detections[0], library, calibration, prepared.grid)
        pose = replace(pose, provenance=provenance)
        return Prediction(pose, tuple(detections), refinement)

    def _refine(
        self, refine: Refine, found: Detection, rest: Volume, *, flip_average: bool, half: bool
    ) -> Refinement:
        if refine == "fast":
            return refine_fast(self.pipeline, found, self.library)
        try:
            return refine_paper(
                self.pipeline,
                found,
                self.library,
                rest,
                PaperRefinement(guarded=True),
                flip_average=flip_average,
                half=half,
            )
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            return Refinement(found, found, (), kept=NO_MEMORY)

    def _detect_within_memory(
        self, prepared: Volume, *, flip_average: bool
    ) -> tuple[list[Detection], bool, list[str]]:
        """Detections, whether in half precision, and what was lowered to make them fit."""
        fast = has_fast_bfloat16(self.device)
        rungs = [(True, coarsen) for coarsen in COARSER]
        for half, coarsen in rungs if fast else [(False, 1.0), *rungs]:
            try:
                found = self.pipeline.detect(
                    prepared, flip_average=flip_average, half=half, coarsen=coarsen
                )
            except (MemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
            else:
                lowered = ["computed in bfloat16"] if half and not fast else []
                lowered += [COARSER[coarsen]] if COARSER[coarsen] else []
                return found, half, [f"not enough memory: {', '.join(lowered)}"] if lowered else []
        raise BadInput(
            prepared.name,
            expected="memory for the networks, the first one at a third of its resolution",
            found=f"not enough for a box of {_box(prepared)} mm",
            remedy="close other programs, use --device cpu, or crop the volume around the fetus",
        )


def _check_name(refine: str) -> None:
    if refine not in REFINE:
        raise BadInput(
            "refine", expected=", ".join(REFINE), found=repr(refine), remedy="choose one"
        )


def input_sha256(volume: Volume) -> str:
    """Hash of what a prediction rests on: voxels, their type, and where they are."""
    digest = hashlib.sha256(f"{volume.array.dtype.str} {volume.grid.shape}".encode())
    digest.update(volume.grid.affine.tobytes())
    digest.update(np.ascontiguousarray(volume.array.T).tobytes())
    return digest.hexdigest()


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(
        words in str(error) for words in OUT_OF_MEMORY
    )


def _box(volume: Volume) -> str:
    return " x ".join(f"{length:.0f}" for length in volume.grid.extent_mm)
