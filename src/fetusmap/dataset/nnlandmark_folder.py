"""The raw folder of nnLandmark, which trains on it: found for import, and written from a dataset.

imagesTr/<case>_0000.nii.gz   volumes to train on; imagesTs holds those of the test split
labelsTr/<case>.nii.gz        label maps: a cube of voxels around each landmark
all_landmarks_voxel.json      voxel indices of all landmarks of all cases
name_to_label.json            the label of each landmark, from 1
spacing.json                  spacing of each case: of the image, or else of the annotation
dataset.json                  nnU-Net's description of channels and labels

Source: the readme of nnLandmark (MIC-DKFZ/nnLandmark) and the data format of nnU-Net.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, JsonValue, RootModel

from fetusmap.anatomy import Pose, Skeleton
from fetusmap.dataset.documents import DATASET_FILE
from fetusmap.dataset.foreign_case import ForeignCase
from fetusmap.dataset.layout import Case, Dataset
from fetusmap.errors import BadInput, FetusmapError, UnreadableFile
from fetusmap.files import (
    MAX_TABLE_BYTES,
    VOLUME_SUFFIXES,
    Document,
    is_plain_name,
    make_folder,
    parse_document,
    read_json,
    write_text,
)
from fetusmap.geometry import Grid
from fetusmap.io import save_volume
from fetusmap.io.poses.nnlandmark import (
    NnLandmarkDocument,
    StatedSpacing,
    pose_from_indices,
)
from fetusmap.io.volumes.stated_geometry import spacings_agree
from fetusmap.volume import Volume

ALL_LANDMARKS = "all_landmarks_voxel.json"
ALL_SPACINGS = "spacing.json"
LABELS_FILE = "name_to_label.json"
IMAGE_FOLDERS = TRAINING_IMAGES, TEST_IMAGES = "imagesTr", "imagesTs"
TRAINING_SPLIT, TEST_SPLIT = "train", "test"
NNUNET_FOLDER_NAME = re.compile(r"Dataset[0-9]{3}_.+")
"""Name by which nnU-Net finds a dataset."""

CUBE_REACH = 1
"""Voxels that the cube of a landmark reaches from its centre in each direction."""


def _null_without_numbers(value: object) -> object:
    return None if value == [None, None, None] else value


def _entry_of_spacing(value: JsonValue) -> JsonValue:
    """Return an entry in its long form; nnLandmark also accepts the spacing itself."""
    if isinstance(value, dict) and set(value) == {"spacing"}:
        value = value["spacing"]
    return value if isinstance(value, dict) else {"image_spacing": value}


OptionalSpacing = Annotated[StatedSpacing | None, BeforeValidator(_null_without_numbers)]


class SpacingEntry(Document):
    """Entry of a case in nnLandmark's `spacing.json`."""

    image_spacing: OptionalSpacing = None
    annotation_spacing: OptionalSpacing = None

    @property
    def stated(self) -> StatedSpacing | None:
        """The spacing of the image or, without one, that of the annotation, as nnLandmark does."""
        return self.annotation_spacing if self.image_spacing is None else self.image_spacing

    @property
    def is_contradictory(self) -> bool:
        """Whether image and annotation state different spacings."""
        if self.image_spacing is None or self.annotation_spacing is None:
            return False
        return not spacings_agree(self.image_spacing, self.annotation_spacing)


class CaseTable(RootModel[dict[str, JsonValue]]):
    """Content of `all_landmarks_voxel.json` or `spacing.json`; each entry is checked on its own."""


def find_raw_cases(folder: Path) -> list[ForeignCase]:
    """Find the annotated volumes of a raw folder of nnLandmark; none if it is another folder.

    Raises:
        BadInput: a table is damaged, or names a case outside the folder.
    """
    path = folder / ALL_LANDMARKS
    if not path.is_file():
        return []
    table = _read_table(path)
    spacings = _read_table(folder / ALL_SPACINGS) if (folder / ALL_SPACINGS).is_file() else {}
    cases = []
    for stem, landmarks in table.items():
        volume = _raw_volume(folder, stem)
        cases.append(
            ForeignCase(
                stem,
                volume,
                partial(_pose_of_entries, landmarks, spacings.get(stem), folder, stem),
                partial(list, landmarks if isinstance(landmarks, dict) else ()),
                TEST_SPLIT if volume.parent.name == TEST_IMAGES else TRAINING_SPLIT,
            )
        )
    return cases


def _read_table(path: Path) -> dict[str, JsonValue]:
    plain = read_json(path, MAX_TABLE_BYTES, nan_is_null=True)
    return parse_document(CaseTable, plain, path).root


def _pose_of_entries(
    landmarks: JsonValue,
    stated: JsonValue,
    folder: Path,
    stem: str,
    grid: Grid,
    skeleton: Skeleton,
) -> Pose:
    entry = _entry_of_spacing(stated)
    spacing = parse_document(SpacingEntry, entry, f"{folder / ALL_SPACINGS} case {stem}")
    if spacing.is_contradictory:
        raise BadInput(
            f"{folder / ALL_SPACINGS} case {stem}",
            expected="one spacing",
            found=f"image_spacing {spacing.image_spacing}, annotation_spacing "
            f"{spacing.annotation_spacing}",
            remedy="replace the wrong one by null",
        )
    subject = f"{folder / ALL_LANDMARKS} case {stem}"
    plain = {"spacing": spacing.stated, "landmarks": landmarks}
    document = parse_document(NnLandmarkDocument, plain, subject)
    return pose_from_indices(document, grid, skeleton, subject)


def _raw_volume(folder: Path, stem: str) -> Path:
    """Return the path of a case's volume; the case's name must not lead out of the folder."""
    if not is_plain_name(stem):
        raise UnreadableFile(
            folder / ALL_LANDMARKS,
            expected="case names without folders",
            found=repr(stem),
            remedy="name the cases as their files",
        )
    candidates = [
        folder / part / f"{stem}_0000{suffix}"
        for suffix in VOLUME_SUFFIXES
        for part in IMAGE_FOLDERS
    ]
    return next((c for c in candidates if c.exists()), candidates[0])


def export_nnlandmark(
    dataset: Dataset, folder: Path, *, overwrite: bool = False
) -> Iterator[tuple[Case, FetusmapError | None]]:
    """Write the annotated cases of a dataset as a raw folder of nnLandmark, one per step.

    Cases of the split "test" go to `imagesTs`, all others to `imagesTr`. The tables are written
    after the last case.

    Args:
        dataset: the dataset.
        folder: the folder to write; nnU-Net finds it only by a name like Dataset901_Fetus.
        overwrite: whether existing files may be replaced.

    Yields:
        Each annotated case, with the error that excluded it, or None.
    """
    for part in (*IMAGE_FOLDERS, "labelsTr"):
        make_folder(folder / part)
    labels = {name: label for label, name in enumerate(dataset.skeleton.landmarks, 1)}
    held_out = set(dataset.splits.get(TEST_SPLIT, ()))
    indices: dict[str, dict[str, list[float]]] = {}
    spacings: dict[str, dict[str, list[float] | None]] = {}
    for case in dataset.cases:
        if not case.is_annotated:
            continue
        try:
            volume = _export_case(case, folder, labels, case.name in held_out, overwrite)
            pose = case.load_pose()
        except FetusmapError as error:
            yield case, error
            continue
        indices[case.name] = {
            mark.name: volume.grid.to_index(mark.position_mm).tolist()
            for mark in pose
            if mark.is_present
        }
        spacings[case.name] = {
            "image_spacing": volume.grid.spacing_mm.tolist(),
            "annotation_spacing": None,
        }
        yield case, None
    tables: dict[str, Any] = {
        ALL_LANDMARKS: indices,
        ALL_SPACINGS: spacings,
        LABELS_FILE: labels,
        DATASET_FILE: {
            "channel_names": {"0": "US"},
            "labels": {"background": 0, **labels},
            "numTraining": len(set(indices) - held_out),
            "file_ending": ".nii.gz",
            "name": dataset.name,
            "licence": dataset.licence,
        },
    }
    for name, table in tables.items():
        text = json.dumps(table, indent=1, allow_nan=False) + "\n"
        write_text(folder / name, text, overwrite=overwrite, max_bytes=MAX_TABLE_BYTES)


def _export_case(
    case: Case, folder: Path, labels: Mapping[str, int], is_held_out: bool, overwrite: bool
) -> Volume:
    """Write the volume of a case and, if it is to be trained on, its label map."""
    volume, pose = case.load_volume(), case.load_pose()
    if not is_held_out:
        painted = Volume(label_map(pose, volume.grid, labels, case.name), volume.grid)
        save_volume(painted, folder / "labelsTr" / f"{case.name}.nii.gz", overwrite=overwrite)
    place = folder / IMAGE_FOLDERS[is_held_out] / f"{case.name}_0000.nii.gz"
    save_volume(volume, place, overwrite=overwrite)
    return volume


def label_map(
    pose: Pose, grid: Grid, labels: Mapping[str, int], subject: str
) -> NDArray[np.uint16]:
    """Paint a cube of 3 x 3 x 3 voxels around the voxel of each landmark.

    nnLandmark takes the centre of mass of a label as its landmark. So a cube that would meet
    another one or the border of the volume is only one voxel large. Landmarks outside the volume
    have no label.

    Args:
        pose: the landmarks.
        grid: grid of the map.
        labels: label of each landmark.
        subject: name of the case, for errors.

    Returns:
        (I, J, K) labels; 0 is the background.

    Raises:
        BadInput: no landmark lies in the volume, or two of them lie in one voxel.
    """
    inside = grid.contains(pose.positions_mm)
    names = [name for name, there in zip(pose.skeleton.landmarks, inside, strict=True) if there]
    centers = np.rint(grid.to_index(pose.positions_mm[inside])).astype(np.int64)
    last = np.array(grid.shape) - 1
    apart = np.abs(centers[:, None] - centers).max(axis=-1)
    np.fill_diagonal(apart, last.max() + 1)
    if not names or apart.min() == 0:
        raise BadInput(
            subject,
            expected="landmarks in the volume, each in a voxel of its own",
            found="two of them in one voxel" if names else "none",
            remedy="check the annotation",
        )
    painted = np.zeros(grid.shape, np.uint16, order="F")
    for name, center, nearest in zip(names, centers, apart.min(axis=1), strict=True):
        at_border = (center < CUBE_REACH).any() or (center > last - CUBE_REACH).any()
        reach = 0 if at_border or nearest <= 2 * CUBE_REACH else CUBE_REACH
        painted[tuple(slice(at - reach, at + reach + 1) for at in center)] = labels[name]
    return painted
