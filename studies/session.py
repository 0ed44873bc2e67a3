"""Time of a question to a session, beside the time of one pass of the network.

Accuracy is measured as well: the mean error of the landmarks that have no pin, with the pins at the
truth and without any pins.
"""

from __future__ import annotations

import time

import numpy as np

from fetusmap.anatomy import Pose
from fetusmap.estimate import PoseEstimator
from fetusmap.network import one_thread
from fetusmap.simulate import SimulationSettings, simulate_case
from studies.measure import interleaved_seconds

SEED = 2019
CASES = range(100, 104)
PINS = {
    "one": ("left_wrist",),
    "two": ("left_wrist", "right_knee"),
    "four": ("head", "sacrum", "left_shoulder", "right_knee"),
}


def run() -> dict[str, object]:
    """Measure on four test cases, on one thread."""
    estimator = PoseEstimator.from_pretrained(device="cpu")
    detector = estimator.pipeline.last
    before: dict[str, list[float]] = {name: [] for name in PINS}
    after: dict[str, list[float]] = {name: [] for name in PINS}
    for number in CASES:
        case = simulate_case(SimulationSettings(), SEED, number)
        start = time.perf_counter()
        with one_thread():
            session = estimator.session(case.volume)
        first_s = time.perf_counter() - start
        unpinned = session.solve()
        for name, pins in PINS.items():
            for landmark in pins:
                session.pin(landmark, case.pose[landmark].position_mm)
            before[name].append(_mean_error_mm(unpinned, case.pose, pins))
            after[name].append(_mean_error_mm(session.solve(), case.pose, pins))
            for landmark in pins:
                session.unpin(landmark)
    for landmark in PINS["four"]:
        session.pin(landmark, case.pose[landmark].position_mm)
    found, prepared = session._first, session._prepared.volume
    assert found is not None

    def question() -> None:
        with one_thread():
            session.solve()

    seconds = interleaved_seconds(
        {
            "question_s": question,
            "one_pass_s": lambda: detector.predict(prepared, found.input_grid),
        }
    )
    return {
        "first_answer_s": round(first_s, 3),
        **seconds,
        "mean_error_without_pins_mm": {n: round(float(np.mean(v)), 3) for n, v in before.items()},
        "mean_error_with_pins_mm": {n: round(float(np.mean(v)), 3) for n, v in after.items()},
        "cases": len(CASES),
    }


def _mean_error_mm(pose: Pose, truth: Pose, pins: tuple[str, ...]) -> float:
    free = [name for name in pose.skeleton.landmarks if name not in pins]
    apart = [np.linalg.norm(pose[n].position_mm - truth[n].position_mm) for n in free]
    return float(np.mean(apart))
