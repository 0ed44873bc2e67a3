"""Cases to train on, from the simulator or a dataset, prepared once and kept in a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from fetusmap._version import __version__
from fetusmap.anatomy import Pose, Skeleton, load_skeleton
from fetusmap.dataset import Case, Dataset, load_dataset
from fetusmap.errors import BadInput
from fetusmap.files.reading import sha256_of
from fetusmap.files.writing import write_bytes
from fetusmap.geometry import Grid, apply_affine, invert_affine
from fetusmap.preprocess import prepare
from fetusmap.preprocess.preparation import WORKING_SPACING_MM
from fetusmap.simulate import HARD, SimulationSettings, simulate_case
from fetusmap.train.config import TrainingConfig
from fetusmap.types import BoolArray, Points3
from fetusmap.volume import Volume

KINDS = (
    *(SimulationSettings(preset="half"),) * 5,
    SimulationSettings(preset="mid"),
    *(SimulationSettings(preset="half", difficulty=HARD),) * 2,
)
"""Of eight simulated cases five are usual ones, one is scanned finer (brought to the same spacing,
its speckle is much the same), and two have every difficulty at its bad end."""


@dataclass(frozen=True, eq=False)
class TrainingCase:
    """A prepared volume with its landmarks.

    Attributes:
        array: (I, J, K) uint8, see `prepare`.
        grid: where it is.
        positions_mm: (N, 3) landmarks; NaN where absent.
        visible: (N,) whether the annotation vouches for the landmark.
    """

    array: NDArray[np.uint8]
    grid: Grid
    positions_mm: Points3
    visible: BoolArray

    @classmethod
    def from_volume(
        cls, volume: Volume, pose: Pose, spacing_mm: float = WORKING_SPACING_MM
    ) -> TrainingCase:
        """Prepare a volume for training, at a spacing."""
        prepared = prepare(volume, spacing_mm)
        visible = pose.present & (pose.confidence > 0)
        network_from_world = invert_affine(prepared.world_from_network)
        positions = apply_affine(network_from_world, pose.positions_mm)
        return cls(prepared.volume.array, prepared.volume.grid, positions, visible)


MakeCase = Callable[[int], TrainingCase]
"""Makes training case `number`, a function of the number alone."""


def simulated_cases(seed: int) -> MakeCase:
    """Endless simulated cases: scanner, scene and fetus drawn anew for each."""
    return partial(_simulate, seed)


def _simulate(seed: int, number: int) -> TrainingCase:
    made = simulate_case(KINDS[number % len(KINDS)], seed, number)
    return TrainingCase.from_volume(made.volume, made.pose)


def dataset_cases(cases: tuple[Case, ...], spacing_mm: float = WORKING_SPACING_MM) -> MakeCase:
    """The annotated cases of a dataset, over and over, at a spacing."""
    return partial(_load, cases, spacing_mm)


def _load(cases: tuple[Case, ...], spacing_mm: float, number: int) -> TrainingCase:
    case = cases[number % len(cases)]
    return TrainingCase.from_volume(case.load_volume(), case.load_pose(), spacing_mm)


@dataclass(frozen=True)
class CasePool:
    """Cases to draw samples from.

    Attributes:
        make: makes case `number`.
        folder: keeps them.
        count: numbers below this are drawn.
    """

    make: MakeCase
    folder: Path
    count: int


def simulated_pool(seed: int, count: int, cache: Path) -> CasePool:
    """The first simulated cases of a seed, kept apart from those of another version."""
    folder = cache / f"simulated-{seed}-{__version__}"
    return CasePool(simulated_cases(seed), folder, count)


def case_pool(config: TrainingConfig, cache: Path, skeleton: Skeleton | None = None) -> CasePool:
    """The cases that a configuration trains on.

    Args:
        config: what to train on.
        cache: keeps prepared cases.
        skeleton: of the networks; None for fetus-16.

    Raises:
        BadInput: a dataset of another skeleton, or without annotated cases in that split.
    """
    if config.dataset is None:
        return simulated_pool(config.case_seed, config.cases, cache)
    dataset = _dataset(config.dataset, skeleton or load_skeleton())
    annotated = annotated_cases(dataset, config.split)
    if not annotated:
        raise BadInput(
            config.dataset,
            expected=f"annotated cases in the split {config.split!r}",
            found="none",
            remedy="annotate some, or name another split with --set split=NAME",
        )
    return pool_of_dataset(annotated, cache)


def held_out_pool(config: TrainingConfig, cache: Path, seed: int, count: int) -> CasePool:
    """Cases that a configuration does not train on.

    Those of the dataset's split for that, all of them, or simulated ones where it has none.

    Args:
        config: what is trained on.
        cache: keeps prepared cases.
        seed: of simulated cases.
        count: of simulated cases.
    """
    if config.dataset is not None:
        dataset = load_dataset(config.dataset)
        if config.validation_split in dataset.splits:
            annotated = annotated_cases(dataset, config.validation_split)
            if annotated:
                return pool_of_dataset(annotated, cache)
    return simulated_pool(seed, count, cache)


def annotated_cases(dataset: Dataset, split: str) -> tuple[Case, ...]:
    """Those of a split; of all cases where the dataset has no splits."""
    listed = dataset.split(split) if dataset.splits else dataset.cases
    return tuple(case for case in listed if case.is_annotated)


def _dataset(folder: str, skeleton: Skeleton) -> Dataset:
    dataset = load_dataset(folder)
    if dataset.skeleton != skeleton:
        raise BadInput(
            folder,
            expected=f"a dataset of the skeleton {skeleton.name}",
            found=f"one of {dataset.skeleton.name}",
            remedy="give one whose landmarks are those of the networks",
        )
    return dataset


def pool_of_dataset(
    annotated: tuple[Case, ...], cache: Path, spacing_mm: float = WORKING_SPACING_MM
) -> CasePool:
    """Annotated cases of a dataset, kept in a folder of the cache that is theirs alone."""
    # Another dataset in the same place must not be served from the old one's folder.
    told = [(c.name, sha256_of(c.volume_path), sha256_of(c.landmarks_path)) for c in annotated]
    key = hashlib.sha256(repr((__version__, spacing_mm, told)).encode()).hexdigest()[:16]
    return CasePool(dataset_cases(annotated, spacing_mm), cache / f"dataset-{key}", len(annotated))


def cached(make: MakeCase, folder: Path, number: int) -> TrainingCase:
    """Case `number` from its file in the folder; made and written there where it is missing.

    Whoever comes second finds the file; two who come at once write the same bytes.
    """
    path = folder / f"{number:06d}.safetensors"
    try:
        return _read(path)
    except (OSError, SafetensorError, KeyError, BadInput):
        case = make(number)
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(path, _bytes_of(case))
        return case


def _read(path: Path) -> TrainingCase:
    arrays = load_file(path)
    grid = Grid(arrays["array"].shape, arrays["affine"])
    return TrainingCase(arrays["array"], grid, arrays["positions_mm"], arrays["visible"])


def _bytes_of(case: TrainingCase) -> bytes:
    return save(
        {
            "array": np.ascontiguousarray(case.array),
            "affine": np.ascontiguousarray(case.grid.affine),
            "positions_mm": np.ascontiguousarray(case.positions_mm),
            "visible": case.visible,
        }
    )
