"""The dose of the test-time training: learning rate and number of steps, chosen on training cases.

The paper's dose belongs to its network. On another network it can be too large: the error falls
for a step or two and then rises. A network is therefore trained on the first training cases alone,
each dose is tried on the others, and the best one is used for the rows `SSL-tuned`. No test case
takes part.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache, partial
from pathlib import Path

import numpy as np
from pydantic import Field

from fetusmap.dataset import Case
from fetusmap.detect import SinglePass
from fetusmap.errors import BadInput
from fetusmap.evaluate import mean_error_mm
from fetusmap.experiment.cohort import training_poses, tuning_cases
from fetusmap.experiment.profile import TUNING_NETWORK, Profile
from fetusmap.experiment.training import load_network
from fetusmap.files import Document, Version1, parse_document, read_json, visible_files, write_text
from fetusmap.network import one_thread
from fetusmap.preprocess import prepare
from fetusmap.refine import Refinement, TrainingRefinement, refine_by_training
from fetusmap.threads import one_blas_thread
from fetusmap.types import FloatArray, Points3
from fetusmap.volume import Volume
from fetusmap.workers import map_in_processes

TUNING = "tuning"
DOSE_FILE = "dose.json"

LEARNING_RATES = (5e-4, 2e-4, 1e-4, 5e-5, 2e-5)
"""The paper's learning rate, and smaller ones."""

MAX_ITERATIONS = 10
"""The largest number of steps that is tried; the paper takes six."""


class Dose(Document):
    """The chosen dose, and the errors that decided.

    Attributes:
        learning_rate: learning rate with the smallest error.
        iterations: number of steps with the smallest error.
        cases: number of cases on which the doses were tried.
        errors_mm: mean error by learning rate: before the first step, then after each step.
    """

    format: str = "fetusmap-dose"
    version: Version1 = 1
    learning_rate: float
    iterations: int = Field(ge=1)
    cases: int
    errors_mm: dict[str, tuple[float, ...]]

    @property
    def settings(self) -> TrainingRefinement:
        """The settings of the refinement with this dose."""
        return TrainingRefinement(learning_rate=self.learning_rate, iterations=self.iterations)


def try_doses(folder: Path, profile: Profile, *, workers: int, device: str = "cpu") -> Dose:
    """Try every dose on the held-out training cases, and write the best one.

    Cases that an interrupted run has tried are not tried again. Cases in which the network finds no
    body take no part.

    Raises:
        BadInput: the network finds no body in any case.
    """
    cases = tuning_cases(folder, profile)
    missing = [case for case in cases if not _path(folder, case.name).exists()]
    many = workers if device == "cpu" else min(workers, 1)
    work = partial(_try_on, folder, profile, device)
    for _ in map_in_processes(work, missing, many, background=many > 0):
        pass
    tried = [errors for case in cases if (errors := _read(folder, case.name))]
    if not tried:
        raise BadInput(
            TUNING_NETWORK.name,
            expected="a pose in at least one held-out training case",
            found="none",
            remedy="train for more steps",
        )
    means = {name: np.mean([errors[name] for errors in tried], axis=0) for name in tried[0]}
    dose = best_dose(means, len(tried))
    write_text(folder / TUNING / DOSE_FILE, dose.model_dump_json(indent=1) + "\n")
    return dose


def best_dose(errors_mm: dict[str, FloatArray], cases: int) -> Dose:
    """Return the dose with the smallest mean error; the earliest of equal ones.

    Args:
        errors_mm: mean error by learning rate: before the first step, then after each step.
        cases: number of cases of the means.
    """
    rate = min(errors_mm, key=lambda name: float(errors_mm[name][1:].min()))
    return Dose(
        learning_rate=float(rate),
        iterations=1 + int(errors_mm[rate][1:].argmin()),
        cases=cases,
        errors_mm={
            name: tuple(round(float(error), 4) for error in errors)
            for name, errors in errors_mm.items()
        },
    )


def load_dose(folder: Path) -> Dose:
    """Load the dose that an experiment has chosen.

    Raises:
        UnreadableFile: the file is missing or damaged.
    """
    path = dose_path(folder)
    return parse_document(Dose, read_json(path), path)


def dose_path(folder: Path) -> Path:
    """Return the file of the chosen dose."""
    return folder / TUNING / DOSE_FILE


def tried_cases(folder: Path) -> int:
    """Return the number of cases on which the doses were tried."""
    return len([p for p in visible_files(folder / TUNING, "*.json") if p.name != DOSE_FILE])


def refine_with_doses(
    pipeline: SinglePass,
    volume: Volume,
    profile: Profile,
    learning_rates: Iterable[float],
    iterations: int,
) -> dict[float, Refinement]:
    """Train a network on one volume, with each learning rate anew.

    Args:
        pipeline: the network, and the poses to refine with.
        volume: the volume.
        profile: profile of the experiment to which the network belongs.
        learning_rates: learning rates.
        iterations: number of steps.

    Returns:
        The refinement by learning rate, in the world of the volume; empty if no body is found.
    """
    spacing_mm = profile.training_config(TUNING_NETWORK).spacing_mm
    half = profile.precision == "bf16-mixed"
    prepared = prepare(volume, spacing_mm)
    with one_thread(), one_blas_thread():
        found = pipeline.detect(prepared.volume, flip_average=False, half=half)
        return {
            rate: refine_by_training(
                pipeline.last, found[0], pipeline.library, pipeline.library, prepared.volume,
                TrainingRefinement(learning_rate=rate, iterations=iterations),
                flip_average=False, half=half,
            ).transformed(prepared.world_from_network)
            for rate in (learning_rates if found else ())
        }  # fmt: skip


def poses_by_step(refinement: Refinement, iterations: int) -> Points3:
    """Return the (iterations + 1, N, 3) poses before the first step and after each step, mm.

    If no atlas could be aligned, the pose stays the same.
    """
    poses = [iteration.positions_mm for iteration in refinement.iterations]
    missing = iterations + 1 - len(poses)
    return np.array([*poses, *[refinement.detection.positions_mm] * missing])


def _try_on(folder: Path, profile: Profile, device: str, case: Case) -> str:
    """Refine one case with every learning rate, and write the error after each step."""
    truth = case.load_pose().positions_mm
    refinements = refine_with_doses(
        _pipeline(folder, profile, device), case.load_volume(), profile, LEARNING_RATES,
        MAX_ITERATIONS,
    )  # fmt: skip
    errors = {
        f"{rate:g}": [
            mean_error_mm(np.linalg.norm(pose - truth, axis=1))
            for pose in poses_by_step(refinement, MAX_ITERATIONS)
        ]
        for rate, refinement in refinements.items()
    }
    path = _path(folder, case.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(errors) + "\n")
    return case.name


@cache
def _pipeline(folder: Path, profile: Profile, device: str) -> SinglePass:
    library = training_poses(folder, profile, TUNING_NETWORK)
    network = load_network(folder, profile, TUNING_NETWORK, device)
    return SinglePass(library.skeleton, network, library)


def _path(folder: Path, case: str) -> Path:
    return folder / TUNING / f"{case}.json"


def _read(folder: Path, case: str) -> dict[str, list[float]]:
    return dict(json.loads(_path(folder, case).read_text()))
