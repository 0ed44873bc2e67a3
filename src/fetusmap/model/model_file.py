"""Model folders: networks, a pose library, and a card that says what they are.

card.json             what is in the folder, how it was made, how good it is, what it is not for
coarse.safetensors    weights in half precision; with
canonical.safetensors these two the model is a cascade
plain.safetensors     with this one alone it is a single pass, such as the paper's network
poses.safetensors     the pose library
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, model_validator
from safetensors import SafetensorError
from safetensors.torch import load as tensors_from_bytes
from safetensors.torch import save as bytes_from_tensors

from fetusmap.anatomy import (
    Channels,
    channel_per_landmark,
    channel_per_pair,
    entry_from_skeleton,
    skeleton_from_entry,
)
from fetusmap.anatomy.skeleton_file import SkeletonDocument
from fetusmap.atlas import load_library, save_library
from fetusmap.detect.cascade import Cascade
from fetusmap.detect.detection import Pipeline
from fetusmap.detect.detector import Detector
from fetusmap.detect.frame import BodyFrameGrid, WholeVolumeGrid
from fetusmap.detect.single_pass import SinglePass
from fetusmap.errors import BadInput, UnreadableFile
from fetusmap.files.documents import (
    MAX_JSON_BYTES,
    Document,
    Number,
    Version1,
    parse_document,
    read_json,
    refuse_newer,
)
from fetusmap.files.names import is_plain_name
from fetusmap.files.reading import check_regular_file, sha256_of
from fetusmap.files.writing import write_bytes, write_text
from fetusmap.network import (
    HeatmapNetwork,
    Land,
    LandWidths,
    UNetWidths,
    build_land,
    build_unet,
)
from fetusmap.preprocess.preparation import WORKING_SPACING_MM
from fetusmap.quality import Calibration

FORMAT = "fetusmap-model"
VERSION = 1
CARD_FILE = "card.json"
PASSES = ("coarse", "canonical", "plain")
LIBRARY_FILE = "poses.safetensors"
MAX_WEIGHTS_BYTES = 512 * 1024 * 1024
DEFAULT_FOLDER = Path(__file__).resolve().parents[1] / "models" / "default"
LIMITS = (
    "Trained on simulated volumes only; how well it does on real ones is not known.",
    "Research software, not a medical device; it must not guide the care of a patient.",
    "Singleton fetuses of 10 to 14 weeks, whole or nearly whole in the volume.",
)


VoxelCount = Annotated[int, Field(ge=1, le=1024)]


class PassEntry(Document):
    """One network of a model.

    Attributes:
        network: its architecture.
        file: of the weights.
        sha256: of that file.
        widths: channels at each level.
        spacing_mm: of the input of a pass over the whole volume; None for the canonical pass.
        step, shape, center: of the canonical grid; None for a pass over the whole volume.
        sigma_voxels: standard deviation of the Gaussians that it was trained on.
        own_statistics: whether the paper's network normalises each volume by its own statistics.
    """

    network: Literal["unet", "land"] = "unet"
    file: str
    sha256: str
    widths: Annotated[
        tuple[Annotated[int, Field(ge=8, multiple_of=8, le=1024)], ...],
        Field(min_length=1, max_length=6),
    ]
    spacing_mm: Annotated[Number, Field(gt=0.1, lt=10)] | None = None
    step: Annotated[Number, Field(gt=0.001, lt=1)] | None = None
    shape: tuple[VoxelCount, VoxelCount, VoxelCount] | None = None
    center: tuple[Number, Number, Number] | None = None
    sigma_voxels: Annotated[Number, Field(gt=0, le=100)] = 1.0
    own_statistics: bool = False

    @model_validator(mode="after")
    def _check_look(self) -> Self:
        canonical = (self.step, self.shape, self.center)
        given = [value is not None for value in canonical]
        if (self.spacing_mm is None) != all(given) or any(given) != all(given):
            raise ValueError("either spacing_mm, or step, shape and center")
        multiple = UNetWidths(self.widths).multiple if self.network == "unet" else 1
        if self.shape is not None and any(n % multiple for n in self.shape):
            raise ValueError(f"the shape must be multiples of {multiple}")
        return self

    @property
    def look(self) -> WholeVolumeGrid | BodyFrameGrid:
        """How grids for this network are placed."""
        if self.step is not None and self.shape is not None and self.center is not None:
            return BodyFrameGrid(self.step, self.shape, self.center)
        return WholeVolumeGrid(self.spacing_mm or WholeVolumeGrid.spacing_mm)


class ModelCard(Document):
    """What a model folder's `card.json` holds.

    Attributes:
        name: of the model.
        skeleton: of its poses.
        working_spacing_mm: to which every volume is brought first.
        passes: the networks; coarse and canonical, or plain.
        library: file of the pose library, and its hash.
        calibration: turns what the pipeline saw into probabilities.
        made_by: command, versions, device, and the recipe of each network with its steps.
        metrics: on held-out simulated cases, per landmark.
        limits: what the model is not for.
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
        if set(self.passes) not in (set(PASSES[:2]), set(PASSES[2:])):
            raise ValueError("the passes must be coarse and canonical, or plain")
        for name, entry in self.passes.items():
            if (entry.spacing_mm is None) != (name == "canonical"):
                raise ValueError("canonical looks at the body's frame, others at the whole volume")
        return self


def save_model(
    pipeline: Pipeline,
    calibration: Calibration,
    folder: Path,
    *,
    name: str,
    made_by: dict[str, JsonValue],
    metrics: dict[str, JsonValue],
    limits: tuple[str, ...] = LIMITS,
) -> ModelCard:
    """Write a model folder; the card last, so that a folder with a card is whole.

    Args:
        pipeline: the networks and the library.
        calibration: of the confidences.
        folder: is made where it does not exist.
        name: of the model.
        made_by: how it was made, plain data.
        metrics: how good it is, plain data.
        limits: what it is not for.

    Raises:
        BadInput: a place that cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            folder,
            expected="a folder that can be written",
            found=(error.strerror or type(error).__name__).lower(),
            remedy="choose another",
        ) from error
    (folder / CARD_FILE).unlink(missing_ok=True)
    for name_of_pass in PASSES:  # of a model that was here before
        (folder / f"{name_of_pass}.safetensors").unlink(missing_ok=True)
    save_library(pipeline.library, folder / LIBRARY_FILE, overwrite=True)
    card = ModelCard(
        format=FORMAT,
        version=VERSION,
        name=name,
        skeleton=entry_from_skeleton(pipeline.skeleton),
        working_spacing_mm=WORKING_SPACING_MM,
        passes={
            pass_name: _write_pass(detector, folder / f"{pass_name}.safetensors")
            for pass_name, detector in pipeline.detectors.items()
        },
        library=LIBRARY_FILE,
        library_sha256=sha256_of(folder / LIBRARY_FILE),
        calibration=calibration,
        made_by=made_by,
        metrics=metrics,
        limits=limits,
    )
    text = json.dumps(card.model_dump(mode="json", exclude_none=True), indent=1)
    write_text(folder / CARD_FILE, text + "\n", max_bytes=MAX_JSON_BYTES)
    return card


def load_model(folder: Path) -> tuple[Pipeline, ModelCard]:
    """Read a model folder.

    Raises:
        UnreadableFile: no model folder, a newer version, or a file that is missing, damaged or
            another one than the card says.
        BadInput: a card that is wrong, a skeleton without a trunk, or a pose library of another
            skeleton.
    """
    path = Path(folder) / CARD_FILE
    plain = read_json(path)
    refuse_newer(plain, VERSION, path)
    card = parse_document(ModelCard, plain, path)
    skeleton = skeleton_from_entry(card.skeleton, path)
    if skeleton.trunk is None or not skeleton.lateral_pairs:
        raise BadInput(
            path,
            expected="a skeleton with a trunk and lateral pairs, which make the body's frame",
            found=f"{skeleton.name}, without",
            remedy="name its sacrum, spine and neck in trunk, shoulders or hips in lateral_pairs",
        )
    library_path = _checked_file(folder, card.library, card.library_sha256)
    library = load_library(library_path, skeleton)
    detectors = {
        name: _read_pass(
            folder,
            entry,
            channel_per_pair(skeleton) if name == "coarse" else channel_per_landmark(skeleton),
        )
        for name, entry in card.passes.items()
    }
    if "plain" in detectors:
        return SinglePass(skeleton, detectors["plain"], library), card
    return Cascade(skeleton, detectors["coarse"], detectors["canonical"], library), card


def _write_pass(detector: Detector, path: Path) -> PassEntry:
    weights = dict(detector.network.named_parameters())
    stored = {
        # Buffers are counts and variances, which half precision might not hold.
        name: (tensor.detach().half() if name in weights else tensor.detach()).cpu().contiguous()
        for name, tensor in detector.network.state_dict().items()
    }
    write_bytes(path, bytes_from_tensors(stored))
    look = detector.input_grid
    where: dict[str, Any] = (
        {"spacing_mm": look.spacing_mm}
        if isinstance(look, WholeVolumeGrid)
        else {"step": look.step, "shape": look.shape, "center": look.center}
    )
    return PassEntry(
        network="land" if isinstance(detector.network, Land) else "unet",
        sigma_voxels=detector.sigma_voxels,
        own_statistics=isinstance(detector.network, Land) and detector.network.own_statistics,
        file=path.name,
        sha256=sha256_of(path),
        widths=detector.network.levels,
        **where,
    )


def _read_pass(folder: Path, entry: PassEntry, channels: Channels) -> Detector:
    path = _checked_file(folder, entry.file, entry.sha256)
    network: HeatmapNetwork = (
        build_land(LandWidths(entry.widths, len(channels)), own_statistics=entry.own_statistics)
        if entry.network == "land"
        else build_unet(UNetWidths(entry.widths, len(channels)))
    )
    try:
        tensors = tensors_from_bytes(path.read_bytes())
        network.load_state_dict(tensors)  # into float32
    except (SafetensorError, RuntimeError, OSError) as error:
        raise UnreadableFile(
            path,
            expected=f"weights of widths {entry.widths} for {len(channels)} channels",
            found="others, or a damaged file",
            remedy="copy the model folder again",
        ) from error
    return Detector(network.eval(), entry.look, channels, sigma_voxels=entry.sigma_voxels)


def _checked_file(folder: Path, name: str, sha256: str) -> Path:
    """A file of the folder that has the hash that the card says."""
    if not is_plain_name(name):
        raise BadInput(
            Path(folder) / CARD_FILE,
            expected="names of files in the same folder",
            found=repr(name),
            remedy="copy the model folder again",
        )
    path = Path(folder) / name
    size = check_regular_file(path, follow_links=True)
    if size > MAX_WEIGHTS_BYTES or sha256_of(path) != sha256:
        raise UnreadableFile(
            path,
            expected=f"the file of the card, SHA-256 {sha256[:12]}...",
            found="another one, or a damaged one",
            remedy="copy the model folder again",
        )
    return path
