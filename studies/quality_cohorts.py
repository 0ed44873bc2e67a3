"""Simulated cohorts on which confidences, quality scores and warnings are measured.

Every cohort shows the same fetuses at a resolution of 1 mm: as they are, under difficult
conditions, on other scanners, in corrupted volumes, partly hidden, and erased. The seed is used for
nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from scipy import ndimage

from fetusmap.anatomy import Skeleton, limbs_of_both_sides
from fetusmap.simulate import HARD, SimulationSettings, simulate_case, tables_sha256
from fetusmap.train.cases import TrainingCase, cached, simulated_skeleton
from fetusmap.train.corruptions import CORRUPTIONS
from fetusmap.train.partial_views import cut_off, erase_around
from fetusmap.train.variants import LIMB_RADIUS, without_body, without_fetus
from fetusmap.types import BoolArray, Points3
from fetusmap.volume import Volume

SEED = 31

SCANS = {
    "normal": SimulationSettings(preset="half"),
    "hard": SimulationSettings(preset="half", difficulty=HARD),
    "shifted-sharp": SimulationSettings(preset="half", profile="shifted-sharp"),
    "shifted-hazy": SimulationSettings(preset="half", profile="shifted-hazy"),
    "shifted-blurred": SimulationSettings(preset="half", profile="shifted-blurred"),
}

MARGIN_MM = 2.0
"""A field of view that hides landmarks ends so far before the nearest of them."""


@dataclass(frozen=True, eq=False)
class View:
    """A volume to predict, and what is true about it.

    Attributes:
        group: "scans", "corruptions", "partial" or "empty".
        cohort: name of the cohort.
        number: number of the fetus, which counts as the subject.
        volume: the volume.
        positions_mm: (N, 3) landmarks.
        visible: (N,) landmarks that the volume shows; none in a volume without a fetus.
        hidden: (N,) landmarks that the volume does not show, although the scan did.
    """

    group: str
    cohort: str
    number: int
    volume: Volume
    positions_mm: Points3
    visible: BoolArray
    hidden: BoolArray


def views_of(number: int, cache: Path) -> Iterator[View]:
    """Make all views of one fetus.

    Args:
        number: number of the fetus.
        cache: folder in which the simulated volumes are kept.
    """
    skeleton = simulated_skeleton()
    version = tables_sha256()[:12]
    scans = {
        name: cached(partial(_scan, settings), cache / f"{name}-{SEED}-{version}", number)
        for name, settings in SCANS.items()
    }
    nothing = np.zeros(len(skeleton), bool)
    for name, case in scans.items():
        volume = Volume(case.array, case.grid, f"{name}-{number}")
        yield View("scans", name, number, volume, case.positions_mm, case.visible, nothing)
    yield from _corrupted(scans["normal"], number)
    yield from _partial(scans["normal"], number, skeleton)
    for name, make in (
        ("fetus erased", lambda rng: without_body(scans["normal"], skeleton, rng).array),
        ("blocks shuffled", lambda rng: without_fetus(scans["normal"], rng).array),
        ("speckle alone", partial(_speckle, scans["normal"])),
    ):
        array = make(np.random.default_rng([SEED, number]))
        volume = Volume(array, scans["normal"].grid, f"{name}-{number}")
        true_mm = scans["normal"].positions_mm
        yield View("empty", name, number, volume, true_mm, nothing, nothing)


def _scan(settings: SimulationSettings, number: int) -> TrainingCase:
    made = simulate_case(settings, SEED, number)
    return TrainingCase.from_volume(made.volume, made.pose)


def _speckle(case: TrainingCase, rng: np.random.Generator) -> np.ndarray:
    """Fill the box with smooth noise of the grey levels of a case.

    The field of view is not kept: where fluid has no echoes, the empty voxels would show the body.
    """
    noise = ndimage.gaussian_filter(rng.standard_normal(case.array.shape), 1.0)
    levels = np.sort(case.array[case.array > 0])
    ranks = np.empty(noise.size, int)
    ranks[np.argsort(noise, axis=None)] = np.arange(noise.size)
    return np.asarray(levels[ranks * len(levels) // noise.size].reshape(noise.shape))


def _corrupted(case: TrainingCase, number: int) -> Iterator[View]:
    volume = Volume(case.array, case.grid)
    for row, (name, corrupt) in enumerate(CORRUPTIONS.items()):
        made = corrupt(volume, np.random.default_rng([SEED, number, row]))
        in_view = case.visible & _are_seen(made, case.positions_mm, name)
        made = replace(made, name=f"{name}-{number}")
        hidden = case.visible & ~in_view
        yield View("corruptions", name, number, made, case.positions_mm, in_view, hidden)


def _are_seen(volume: Volume, points_mm: Points3, name: str) -> BoolArray:
    """Return whether the landmarks lie inside the volume, and for a fan inside the fan."""
    inside = np.asarray(volume.grid.contains(points_mm))
    if name != "fan mask":
        return inside
    index = np.rint(volume.grid.to_index(points_mm)).astype(int)
    index = np.clip(index, 0, np.array(volume.grid.shape) - 1)
    return np.asarray(inside & (volume.array[tuple(index.T)] > 0))


def _partial(case: TrainingCase, number: int, skeleton: Skeleton) -> Iterator[View]:
    rng = np.random.default_rng([SEED, number])
    volume, points = Volume(case.array, case.grid), case.positions_mm
    sacrum, spine, neck = (points[row] for row in skeleton.indices(skeleton.trunk or ()))
    trunk_mm = float(np.linalg.norm(neck - sacrum))
    limbs = limbs_of_both_sides(skeleton)
    down = (sacrum - neck) / trunk_mm
    arm = limbs[f"{rng.choice(['left', 'right'])} arm"][1:]
    legs = np.concatenate([limbs[f"{side} leg"][1:] for side in ("left", "right")])
    lost = str(rng.choice(list(limbs)))
    cuts: dict[str, Callable[[], tuple[Volume, BoolArray]]] = {
        "head only": lambda: cut_off(volume, points, neck + 0.25 * trunk_mm * down, down),
        "legs cut off": lambda: _cut_before(volume, points, legs, (neck + spine) / 2),
        "one arm outside": lambda: _cut_before(volume, points, arm, (neck + spine) / 2),
    }
    for name, cut in cuts.items():
        made, in_view = cut()
        made = replace(made, name=f"{name}-{number}")
        seen = case.visible & in_view
        yield View("partial", name, number, made, points, seen, case.visible & ~in_view)
    root, *below = limbs[lost]
    path = np.concatenate([[(points[root] + points[below[0]]) / 2], points[below]])
    bones = np.stack([path[:-1], path[1:]], axis=1)
    made = erase_around(volume, bones, LIMB_RADIUS * trunk_mm, rng)
    made = replace(made, name=f"limb lost-{number}")
    hidden = np.isin(np.arange(len(skeleton)), below)
    seen = case.visible & ~hidden
    yield View("partial", "limb lost", number, made, points, seen, case.visible & hidden)


def _cut_before(
    volume: Volume, points: Points3, rows: np.ndarray, center: np.ndarray
) -> tuple[Volume, BoolArray]:
    """Cut off what lies beyond some landmarks, seen from the middle of the trunk."""
    away = points[rows].mean(axis=0) - center
    away = away / np.linalg.norm(away)
    nearest = float((points[rows] @ away).min()) - MARGIN_MM
    return cut_off(volume, points, away * nearest, away)
