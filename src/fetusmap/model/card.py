"""The card of a model: contents of its folder, how it was made, its errors, and its limits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, JsonValue, TypeAdapter, model_validator

from fetusmap.anatomy.skeleton_file import SkeletonDocument
from fetusmap.detect import BodyFrameGrid, Detector, WholeVolumeGrid
from fetusmap.files import (
    Document,
    Number,
    Version1,
    check_regular_file,
    parse_document,
    read_json,
    refuse_newer,
    sha256_of,
)
from fetusmap.network import LandSpec, RecurrentLandSpec, UNetSpec, spec_of
from fetusmap.quality import Calibration

CARD_FILE = "card.json"
VERSION = 1
PASSES = ("coarse", "canonical", "plain")
CASCADE_PASSES, SINGLE_PASSES = {"coarse", "canonical"}, {"plain"}
LIMITS = (
    "Trained on simulated volumes only; how well it does on real ones is not known.",
    "Research software, not a medical device; it must not guide the care of a patient.",
    "Singleton fetuses of 10 to 14 weeks, whole or nearly whole in the volume.",
)

VoxelCount = Annotated[int, Field(ge=1, le=1024)]


class PassFields(Document):
    """What the card says about a network in addition to its specification.

    Attributes:
        file: name of the file with the weights.
        sha256: hash of that file.
        spacing_mm: voxel size of the input of a pass over the whole volume; None for the pass in
            the body's frame.
        step, shape, center: grid of the pass in the body's frame, see `BodyFrameGrid`; None for a
            pass over the whole volume.
        sigma_voxels: standard deviation of the Gaussians that the network was trained on.
    """

    file: str
    sha256: str
    spacing_mm: Annotated[Number, Field(gt=0.1, lt=10)] | None = None
    step: Annotated[Number, Field(gt=0.001, lt=1)] | None = None
    shape: tuple[VoxelCount, VoxelCount, VoxelCount] | None = None
    center: tuple[Number, Number, Number] | None = None
    sigma_voxels: Annotated[Number, Field(gt=0, le=100)] = 1.0

    @model_validator(mode="after")
    def _check_grid(self) -> Self:
        in_body_frame = (self.step, self.shape, self.center)
        given = [value is not None for value in in_body_frame]
        if (self.spacing_mm is None) != all(given) or any(given) != all(given):
            raise ValueError("either spacing_mm, or step, shape and center")
        multiple = int(getattr(self, "multiple", 1))
        if self.shape is not None and any(n % multiple for n in self.shape):
            raise ValueError(f"the shape must be multiples of {multiple}")
        return self

    @property
    def input_grid(self) -> WholeVolumeGrid | BodyFrameGrid:
        """How grids for this network are placed."""
        if self.step is not None and self.shape is not None and self.center is not None:
            return BodyFrameGrid(self.step, self.shape, self.center)
        return WholeVolumeGrid(self.spacing_mm or WholeVolumeGrid.spacing_mm)


class UNetPass(PassFields, UNetSpec):
    """A pass of the U-Net."""


class LandPass(PassFields, LandSpec):
    """A pass of the paper's network, trained with or without a discriminator."""


class RecurrentLandPass(PassFields, RecurrentLandSpec):
    """A pass of the paper's network with a recurrent layer."""


def _complete_pass(plain: object) -> object:
    """Complete an entry of an earlier card, in which the U-Net had no name and a needless field."""
    if not isinstance(plain, dict):
        return plain
    entry = {"network": "unet", **plain}
    if entry["network"] == "unet" and entry.get("own_statistics") is False:
        del entry["own_statistics"]
    return entry


PassEntry: TypeAlias = Annotated[
    Annotated[UNetPass | LandPass | RecurrentLandPass, Field(discriminator="network")],
    BeforeValidator(_complete_pass),
]
"""One network of a model: a `NetworkSpec` with its weights and its input grid."""

_PASS_ENTRY: TypeAdapter[PassEntry] = TypeAdapter(PassEntry)


class ModelCard(Document):
    """What a model folder's `card.json` holds.

    Attributes:
        name: name of the model.
        skeleton: skeleton of its poses: a built-in name, or the definition.
        working_spacing_mm: voxel size to which every volume is resampled first.
        passes: the networks; coarse and canonical, or plain.
        library: file of the pose library.
        library_sha256: hash of that file.
        calibration: turns the evidence for a detection into probabilities.
        made_by: command, versions, device, and the recipe of each network with its steps.
        metrics: errors on held-out cases, in all and per landmark.
        limits: sentences on the limits of the model.
    """

    format: Literal["fetusmap-model"]
    version: Version1
    name: str
    licence: str = "Apache-2.0"
    skeleton: str | SkeletonDocument
    working_spacing_mm: Annotated[Number, Field(gt=0.1, lt=10)]
    passes: dict[str, PassEntry]
    library: str
    library_sha256: str
    calibration: Calibration
    made_by: dict[str, JsonValue] = Field(default_factory=dict)
    metrics: dict[str, JsonValue] = Field(default_factory=dict)
    limits: tuple[str, ...] = LIMITS

    @model_validator(mode="after")
    def _check_passes(self) -> Self:
        if set(self.passes) not in (CASCADE_PASSES, SINGLE_PASSES):
            raise ValueError("the passes must be coarse and canonical, or plain")
        for name, entry in self.passes.items():
            if (entry.spacing_mm is None) != (name == "canonical"):
                raise ValueError(
                    "canonical takes a grid in the body's frame, others take the whole volume"
                )
        return self


def read_card(folder: Path) -> ModelCard:
    """Read the card of a model folder.

    Raises:
        UnreadableFile: there is no card, or it is of a newer version.
        BadInput: the card is not valid.
    """
    path = Path(folder) / CARD_FILE
    plain = read_json(path)
    refuse_newer(plain, VERSION, path)
    return parse_document(ModelCard, plain, path)


def model_sha256(folder: Path) -> str:
    """Return the SHA-256 of a model's card, which identifies the model.

    The card holds the hashes of all other files. The bytes of the file are hashed as they are, so
    that a new field with a default value renames no model.

    Raises:
        UnreadableFile: there is no card.
    """
    path = Path(folder) / CARD_FILE
    check_regular_file(path, follow_links=True)
    return sha256_of(path)


def pass_entry(detector: Detector, file: Path) -> PassEntry:
    """Describe a detector whose weights are in `file`."""
    grid = detector.input_grid
    where: dict[str, Any] = (
        {"spacing_mm": grid.spacing_mm}
        if isinstance(grid, WholeVolumeGrid)
        else {"step": grid.step, "shape": grid.shape, "center": grid.center}
    )
    return _PASS_ENTRY.validate_python(
        {
            **spec_of(detector.network).model_dump(),
            "file": file.name,
            "sha256": sha256_of(file),
            "sigma_voxels": detector.sigma_voxels,
            **where,
        }
    )
