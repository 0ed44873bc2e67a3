"""Model folders: networks, a pose library, and a card that describes them.

card.json             see `ModelCard`
coarse.safetensors    weights in half precision; with
canonical.safetensors these two the model is a cascade
plain.safetensors     with this one alone it is a single pass, such as the paper's network
poses.safetensors     the pose library
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import JsonValue
from safetensors import SafetensorError
from safetensors.torch import load as tensors_from_bytes
from safetensors.torch import save as bytes_from_tensors

from fetusmap.anatomy import (
    Channels,
    Skeleton,
    channel_per_landmark,
    channel_per_pair,
    plain_from_skeleton,
    skeleton_from_entry,
)
from fetusmap.atlas import load_library, save_library
from fetusmap.detect import Cascade, Detector, Pipeline, SinglePass
from fetusmap.errors import BadInput, UnreadableFile
from fetusmap.files import (
    MAX_JSON_BYTES,
    check_regular_file,
    is_plain_name,
    make_folder,
    sha256_of,
    write_bytes,
    write_text,
)
from fetusmap.model.card import (
    CARD_FILE,
    LIMITS,
    PASSES,
    VERSION,
    ModelCard,
    PassEntry,
    pass_entry,
    read_card,
)
from fetusmap.network import build_network
from fetusmap.preprocess import WORKING_SPACING_MM
from fetusmap.quality import Calibration

LIBRARY_FILE = "poses.safetensors"
MAX_WEIGHTS_BYTES = 512 * 1024 * 1024
DEFAULT_FOLDER = Path(__file__).resolve().parents[1] / "models" / "default"


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
    """Write a model folder; the card is written last, so a folder with a card is complete.

    Args:
        pipeline: the networks and the library.
        calibration: calibration of the confidences.
        folder: model folder; it is made if it does not exist.
        name: name of the model.
        made_by: how the model was made, plain data.
        metrics: how good the model is, plain data.
        limits: sentences on the limits of the model.

    Raises:
        BadInput: the folder cannot be written.
    """
    make_folder(folder)
    (folder / CARD_FILE).unlink(missing_ok=True)
    for name_of_pass in PASSES:  # files of an earlier model
        (folder / f"{name_of_pass}.safetensors").unlink(missing_ok=True)
    save_library(pipeline.library, folder / LIBRARY_FILE, overwrite=True)
    card = ModelCard(
        format="fetusmap-model",
        version=VERSION,
        name=name,
        skeleton=plain_from_skeleton(pipeline.skeleton),
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
        UnreadableFile: the folder holds no model, a model of a newer version, or a file that is
            missing, damaged, or not the one of the card.
        BadInput: the card is not valid, its skeleton has no body frame for a cascade, or the pose
            library is of another skeleton.
    """
    card = read_card(folder)
    path = Path(folder) / CARD_FILE
    skeleton = skeleton_from_entry(card.skeleton, path)
    if "canonical" in card.passes:
        check_body_frame(skeleton, path)
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


def check_body_frame(
    skeleton: Skeleton,
    subject: object,
    remedy: str = "name its sacrum, spine and neck in trunk, shoulders or hips in lateral_pairs",
) -> None:
    """Check that a skeleton defines a body frame, which the second pass of a cascade needs.

    Args:
        skeleton: the skeleton.
        subject: the file that the skeleton came from.
        remedy: what the user can do.

    Raises:
        BadInput: the skeleton has no trunk or no lateral pairs.
    """
    missing = [
        name
        for name, value in (("trunk", skeleton.trunk), ("lateral_pairs", skeleton.lateral_pairs))
        if not value
    ]
    if missing:
        raise BadInput(
            subject,
            expected="a skeleton with a trunk and lateral pairs, which define the body's frame",
            found=f"{skeleton.name}, without {' and '.join(missing)}",
            remedy=remedy,
        )


def pass_file(folder: Path, entry: PassEntry) -> Path:
    """Return the file with the weights of a pass after its hash was compared with the card's.

    Raises:
        UnreadableFile: the file is missing, damaged, or not the one of the card.
        BadInput: the card names a file outside the folder.
    """
    return _checked_file(folder, entry.file, entry.sha256)


def _write_pass(detector: Detector, path: Path) -> PassEntry:
    weights = dict(detector.network.named_parameters())
    stored = {
        # Buffers are counts and variances, which half precision might not represent.
        name: (tensor.detach().half() if name in weights else tensor.detach()).cpu().contiguous()
        for name, tensor in detector.network.state_dict().items()
    }
    write_bytes(path, bytes_from_tensors(stored))
    return pass_entry(detector, path)


def _read_pass(folder: Path, entry: PassEntry, channels: Channels) -> Detector:
    path = pass_file(folder, entry)
    network = build_network(entry, len(channels))
    try:
        network.load_state_dict(tensors_from_bytes(path.read_bytes()))  # into float32
    except (SafetensorError, RuntimeError, OSError) as error:
        raise UnreadableFile(
            path,
            expected=f"weights of widths {entry.widths} for {len(channels)} channels",
            found="others, or a damaged file",
            remedy="copy the model folder again",
        ) from error
    return Detector(network.eval(), entry.input_grid, channels, sigma_voxels=entry.sigma_voxels)


def _checked_file(folder: Path, name: str, sha256: str) -> Path:
    """Return the path of a file of the folder after its hash was compared with the card's."""
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
