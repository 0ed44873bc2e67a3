"""Cases to train on, from the simulator or a dataset, prepared once and cached in a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from fetusmap._version import __version__
from fetusmap.anatomy import Pose, Skeleton, load_skeleton, plain_from_skeleton
from fetusmap.dataset import Case, Dataset, load_dataset
from fetusmap.errors import BadInput
from fetusmap.files import sha256_of, write_bytes
from fetusmap.geometry import Grid, apply_affine, invert_affine
from fetusmap.preprocess import WORKING_SPACING_MM, prepare
from fetusmap.simulate import HARD, SimulationSettings, simulate_case, tables_sha256
from fetusmap.simulate.body.posture import BODY_SKELETON
from fetusmap.simulate.case import SKELETONS
from fetusmap.train.config import TrainingConfig, WholeVolumeConfig
from fetusmap.types import BoolArray, FrozenMapping, Points3
from fetusmap.volume import Volume

KINDS = (
    *(SimulationSettings(preset="half"),) * 4,
    SimulationSettings(preset="mid"),
    *(SimulationSettings(preset="half", difficulty=HARD),) * 3,
)
"""Settings of eight simulated cases. Four are usual ones. One is simulated at a finer resolution;
resampled to the same spacing, its speckle is nearly the same. In three, every difficulty knob is at
its difficult end."""

PAPER_SKELETON = "fetus-16"
"""Skeleton of the paper's network where no dataset names another one."""

HELD_OUT_PART = 0.2
"""Fraction of the subjects that is held out if the dataset has no validation split."""


@dataclass(frozen=True, eq=False)
class TrainingCase:
    """A prepared volume with its landmarks.

    Attributes:
        array: (I, J, K) uint8, see `prepare`.
        grid: position of the voxels.
        positions_mm: (N, 3) landmarks; NaN where absent.
        visible: (N,) whether the annotation states the landmark with a confidence above 0.
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


@dataclass(frozen=True)
class CasePool:
    """Cases to draw samples from.

    Attributes:
        make: makes case `number`.
        folder: caches the cases.
        count: numbers below this are drawn.
        skeleton: skeleton of the landmarks.
        hashes: name and hash of each case of a dataset; empty for simulated cases.
    """

    make: MakeCase
    folder: Path
    count: int
    skeleton: Skeleton
    hashes: Mapping[str, str] = field(default_factory=dict)

    def case(self, number: int) -> TrainingCase:
        """Return case `number`, from the cache if it is there."""
        return cached(self.make, self.folder, number)


def simulated_cases(seed: int, skeleton: str = BODY_SKELETON) -> MakeCase:
    """Return a maker of simulated cases: each has a random scanner, scene and fetus."""
    return partial(_simulate, seed, skeleton=skeleton)


def _simulate(seed: int, number: int, skeleton: str = BODY_SKELETON) -> TrainingCase:
    settings = replace(KINDS[number % len(KINDS)], skeleton=skeleton)
    made = simulate_case(settings, seed, number)
    return TrainingCase.from_volume(made.volume, made.pose)


def dataset_cases(cases: tuple[Case, ...], spacing_mm: float = WORKING_SPACING_MM) -> MakeCase:
    """Return a maker that repeats the annotated cases of a dataset, at a spacing."""
    return partial(_load, cases, spacing_mm)


def _load(cases: tuple[Case, ...], spacing_mm: float, number: int) -> TrainingCase:
    case = cases[number % len(cases)]
    return TrainingCase.from_volume(case.load_volume(), case.load_pose(), spacing_mm)


def simulated_skeleton(config: TrainingConfig | None = None) -> Skeleton:
    """Return the skeleton of simulated cases: all landmarks that the simulator knows.

    The paper's network is trained on the paper's landmarks, so that it stays comparable.
    """
    paper = isinstance(config, WholeVolumeConfig)
    return load_skeleton(PAPER_SKELETON if paper else BODY_SKELETON)


def can_be_simulated(skeleton: Skeleton) -> bool:
    """Return whether the simulator makes cases with exactly this skeleton."""
    return skeleton.name in SKELETONS and skeleton == load_skeleton(skeleton.name)


def simulated_pool(
    seed: int, count: int, cache: Path, skeleton: Skeleton | None = None
) -> CasePool:
    """Return the first simulated cases of a seed, with all landmarks if no skeleton is given.

    The name of their folder depends on all that determines them: version, settings, skeleton,
    and the simulator's tables.
    """
    skeleton = skeleton or simulated_skeleton()
    decisive = (
        __version__, WORKING_SPACING_MM, KINDS, plain_from_skeleton(skeleton), tables_sha256()
    )  # fmt: skip
    folder = cache / f"simulated-{seed}-{_key(decisive)}"
    return CasePool(simulated_cases(seed, skeleton.name), folder, count, skeleton)


def case_pool(config: TrainingConfig, cache: Path) -> CasePool:
    """Return the cases that a configuration trains on.

    Args:
        config: states what to train on.
        cache: folder of prepared cases.

    Raises:
        BadInput: the dataset has no annotated cases in the split.
    """
    if config.dataset is None:
        return simulated_pool(config.case_seed, config.cases, cache, simulated_skeleton(config))
    return pool_of_dataset(training_cases(config), cache)


@dataclass(frozen=True)
class HeldOut:
    """Cases that a configuration does not train on.

    Attributes:
        pool: the cases.
        described: what they are, in words for the model card.
    """

    pool: CasePool
    described: str


def held_out_cases(config: TrainingConfig, cache: Path, seed: int, count: int) -> HeldOut:
    """Return cases that a configuration does not train on.

    These are, in this order: the annotated cases of the dataset's validation split; simulated
    cases if the simulator has the skeleton of the dataset; the cases of a fifth of the
    dataset's subjects, which are then not trained on. A dataset of one subject has no cases to
    hold out: its training cases are used.

    Args:
        config: states what is trained on.
        cache: folder of prepared cases.
        seed: seed of simulated cases.
        count: number of simulated cases.
    """
    if config.dataset is None:
        pool = simulated_pool(seed, count, cache, simulated_skeleton(config))
        return HeldOut(pool, "simulated volumes")
    dataset = load_dataset(config.dataset)
    annotated = _validation_cases(config, dataset)
    if annotated:
        described = f"its split {config.validation_split}"
        return HeldOut(pool_of_dataset(annotated, cache), described)
    if can_be_simulated(dataset.skeleton):
        pool = simulated_pool(seed, count, cache, dataset.skeleton)
        return HeldOut(pool, "simulated volumes")
    candidates = _cases_of_split(config, dataset)
    held_out = _held_out_part(candidates)
    if not held_out:
        pool = pool_of_dataset(candidates, cache)
        return HeldOut(pool, "its training cases, which are all of one subject")
    described = "cases of subjects that were not trained on"
    return HeldOut(pool_of_dataset(held_out, cache), described)


def training_cases(config: TrainingConfig) -> tuple[Case, ...]:
    """Return the annotated cases of a dataset that a configuration trains on.

    Raises:
        BadInput: there are none.
    """
    assert config.dataset is not None  # noqa: S101 - the callers have asked
    dataset = load_dataset(config.dataset)
    candidates = _cases_of_split(config, dataset)
    if can_be_simulated(dataset.skeleton) or _validation_cases(config, dataset):
        return candidates
    held_out = {case.name for case in _held_out_part(candidates)}
    return tuple(case for case in candidates if case.name not in held_out)


def _cases_of_split(config: TrainingConfig, dataset: Dataset) -> tuple[Case, ...]:
    annotated = annotated_cases(dataset, config.split)
    if not annotated:
        raise BadInput(
            dataset.folder,
            expected=f"annotated cases in the split {config.split!r} that need no check",
            found="none",
            remedy="annotate some, name another split with --set split=NAME, or check the cases "
            "that 'fetusmap info' names",
        )
    return annotated


def _validation_cases(config: TrainingConfig, dataset: Dataset) -> tuple[Case, ...]:
    if config.validation_split not in dataset.splits:
        return ()
    return annotated_cases(dataset, config.validation_split)


def _held_out_part(cases: tuple[Case, ...]) -> tuple[Case, ...]:
    """Return the cases of a fifth of the subjects, at least one; none if there is only one.

    The subjects are chosen by the hashes of their names, so that the choice changes little if cases
    are added.
    """
    subjects = sorted({case.subject for case in cases}, key=_key)
    count = max(1, round(HELD_OUT_PART * len(subjects))) if len(subjects) > 1 else 0
    chosen = set(subjects[:count])
    return tuple(case for case in cases if case.subject in chosen)


def annotated_cases(dataset: Dataset, split: str) -> tuple[Case, ...]:
    """Return the annotated cases of a split, or of all cases if the dataset has no splits.

    Cases whose annotation is to be checked are left out.
    """
    listed = dataset.split(split) if dataset.splits else dataset.cases
    return tuple(case for case in listed if case.is_annotated and not case.to_check)


def pool_of_dataset(
    annotated: tuple[Case, ...], cache: Path, spacing_mm: float = WORKING_SPACING_MM
) -> CasePool:
    """Return annotated cases of a dataset, cached in a folder that no other dataset uses."""
    # The folder is named by hashes of the files, because another dataset may have the same path.
    files = [(c.name, sha256_of(c.volume_path), c.annotation_sha256()) for c in annotated]
    skeleton = annotated[0].skeleton
    key = _key((__version__, spacing_mm, plain_from_skeleton(skeleton), files))
    return CasePool(
        dataset_cases(annotated, spacing_mm),
        cache / f"dataset-{key}",
        len(annotated),
        skeleton,
        FrozenMapping({name: _key(hashes) for name, *hashes in files}),
    )


def cached(make: MakeCase, folder: Path, number: int) -> TrainingCase:
    """Return case `number` from its file in the folder; make it and write it if it is missing.

    Two processes that make the same case at once write the same bytes.
    """
    path = folder / f"{number:06d}.safetensors"
    try:
        return _read(path)
    except (OSError, SafetensorError, KeyError, BadInput):
        case = make(number)
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(path, _bytes_of(case))
        return case


def _key(decisive: object) -> str:
    return hashlib.sha256(repr(decisive).encode()).hexdigest()[:16]


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
