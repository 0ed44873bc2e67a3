"""Speed of the main job: file to pose, its parts, cold and warm, and the networks alone.

File to pose is measured on one thread and on two, without refinement and with the fast one, all in
turn, because only their ratios can be transferred from one machine to another. The matrix peak is
measured beside: the rate of a bfloat16 product of 2048 x 2048 matrices.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode

import fetusmap as fm
from fetusmap.atlas import fit_library
from fetusmap.detect import (
    MIN_PASSES,
    BodyFrameGrid,
    Cascade,
    Detector,
    WholeVolumeGrid,
    body_frame_of,
    detection_from_heatmaps,
    highest_peaks,
    mean_heatmaps,
    predict_mirrored,
)
from fetusmap.estimate import PoseEstimator, input_sha256
from fetusmap.heatmap import find_peaks
from fetusmap.io import load_volume, save_pose, save_volume
from fetusmap.network import one_thread
from fetusmap.preprocess import prepare
from fetusmap.quality import assess_quality, collect_evidence
from fetusmap.scale import PredictionSettings, VolumeFile, find_volumes, predict_cases
from fetusmap.simulate import SimulationSettings, simulate_case
from fetusmap.threads import one_blas_thread
from fetusmap.volume import Volume
from studies.measure import interleaved_seconds

SEED = 7
COHORT = 8
SHAPE = (220, 205, 260)

ResultT = TypeVar("ResultT")
Timer = Callable[..., Any]


def run() -> dict[str, object]:
    """Measure everything."""
    estimator = PoseEstimator.from_pretrained()
    cascade = estimator.pipeline
    assert isinstance(cascade, Cascade)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for number in range(COHORT):
            made = simulate_case(SimulationSettings(), SEED, number)
            save_volume(_of_usual_shape(made.volume), place / f"{made.volume.name}.nii.gz")
        files = find_volumes([place])
        return {
            "shape": SHAPE,
            "threads": torch.get_num_threads(),
            **_one_volume(estimator, cascade, files, place),
            "cold_process_to_pictures_s": _cold_process(files[0].path, place),
            **_workers(files, place),
            "networks": {
                "coarse": _network(cascade.coarse, load_volume(files[0].path)),
                "canonical": _network(cascade.canonical, load_volume(files[0].path)),
            },
        }


def _of_usual_shape(volume: Volume) -> Volume:
    """The same scene in the paper's 220 x 205 x 260 voxels of 0.5 mm."""
    grid = fm.Grid.centered(SHAPE, 0.5, volume.grid.center_mm)
    moved = fm.resample(volume, grid)
    return replace(moved, array=moved.array.round().clip(0, 255).astype("uint8"))


def _one_volume(
    estimator: PoseEstimator, cascade: Cascade, files: Sequence[VolumeFile], place: Path
) -> dict[str, object]:
    path = files[0].path
    volume = load_volume(path)
    pose_path = place / "pose.json"

    def whole(path: Path, refine: str = "none", threads: int = 1) -> None:
        with one_blas_thread(), _torch_threads(threads):
            save_pose(estimator(load_volume(path), refine=refine).pose, pose_path)

    times = interleaved_seconds(
        {
            "file_to_pose_s": lambda: whole(path),
            "file_to_pose_two_threads_s": lambda: whole(path, threads=2),
            "file_to_fast_pose_s": lambda: whole(path, "fast"),
            "file_to_fast_pose_two_threads_s": lambda: whole(path, "fast", 2),
            "estimate_s": lambda: estimator(volume),
            "estimate_no_flip_average_s": lambda: estimator(volume, flip_average=False),
        },
        5,
    )
    parts = _parts(estimator, cascade, path, pose_path)
    others = sum(parts.values()) - parts["networks"]
    every = []
    for file in files:
        start = time.perf_counter()
        whole(file.path)
        every.append(time.perf_counter() - start)
    one = times["file_to_pose_s"]
    return {
        **{name: round(seconds, 3) for name, seconds in times.items()},
        "file_to_pose_over_cohort_s": round(statistics.median(every), 3),
        "two_threads_over_one": round(times["file_to_pose_two_threads_s"] / one, 2),
        "fast_on_top_over_one": round((times["file_to_fast_pose_s"] - one) / one, 2),
        "parts_s": {name: round(seconds, 4) for name, seconds in parts.items()},
        "other_parts_over_networks": round(others / parts["networks"], 2),
    }


@contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    """Compute networks on a number of threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _parts(
    estimator: PoseEstimator, cascade: Cascade, path: Path, pose_path: Path, repeats: int = 7
) -> dict[str, float]:
    """Median seconds of each part of a prediction on one thread, with as few passes as possible."""
    runs: list[dict[str, float]] = []
    for _ in range(repeats + 1):
        seconds: dict[str, float] = defaultdict(float)
        with one_blas_thread(), _torch_threads(1):
            _predict_in_parts(estimator, cascade, path, pose_path, partial(_timed, seconds))
        runs.append(seconds)
    return {name: statistics.median(run[name] for run in runs[1:]) for name in runs[0]}


def _timed(
    seconds: dict[str, float], part: str, run: Callable[..., ResultT], *arguments: Any
) -> ResultT:
    """Run a step, and add its time to that of a part."""
    start = time.perf_counter()
    result = run(*arguments)
    seconds[part] += time.perf_counter() - start
    return result


def _predict_in_parts(
    estimator: PoseEstimator, cascade: Cascade, path: Path, pose_path: Path, timed: Timer
) -> None:
    """Predict as the estimator does; each step adds its time to that of its part."""
    coarse, canonical, library = cascade.coarse, cascade.canonical, cascade.library
    volume = timed("reading", load_volume, path)
    timed("reading", input_sha256, volume)
    prepared = timed("to 1 mm voxels", prepare, volume).volume
    whole = coarse.input_grid
    assert isinstance(whole, WholeVolumeGrid)
    grid = whole.around(prepared.grid, coarse.multiple)
    seen = timed("input of the networks", coarse.input_tensor, prepared, grid)
    heatmaps = timed("networks", coarse.predict_from, seen, grid)
    peaks = timed("peaks", partial(find_peaks, count=2), heatmaps)
    frame = timed("pose library", cascade.frames_of, peaks)[0]
    for _ in range(MIN_PASSES):
        grid = cascade.body_grid.of_frame(frame)
        seen = timed("input of the networks", canonical.input_tensor, prepared, grid)
        heatmaps = timed("networks", canonical.predict_from, seen, grid)
        positions, _ = timed("peaks", highest_peaks, heatmaps)
        frame = body_frame_of(cascade.skeleton, positions) or frame
    mirror = partial(predict_mirrored, half=None)
    mirrored = timed("networks", mirror, canonical, cascade.skeleton, seen, grid)
    mean = timed("peaks", mean_heatmaps, heatmaps, mirrored)
    positions, masses = timed("peaks", highest_peaks, mean)
    timed("pose library", fit_library, positions, masses, library)
    detection = detection_from_heatmaps(mean, grid, library, frame)
    evidence = timed("pose library", collect_evidence, detection, library)
    calibration = estimator.card.calibration
    pose = timed(
        "quality", assess_quality, evidence, positions, cascade.skeleton, calibration, prepared
    )
    timed("writing", save_pose, pose, pose_path)


def _cold_process(path: Path, place: Path) -> float:
    """Median wall time of three fresh processes, file to pose and pictures."""
    times = []
    for attempt in range(3):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "fetusmap", "predict", str(path), "-o",
             str(place / f"cold-{attempt}")],
            check=True, capture_output=True,
        )  # fmt: skip
        times.append(time.perf_counter() - start)
    return round(statistics.median(times), 2)


def _workers(files: Sequence[VolumeFile], place: Path) -> dict[str, object]:
    """Cases per second of one and of two processes over a cohort, both started warm and cold."""
    rates = {}
    for workers in (1, 2):
        settings = PredictionSettings(previews=True)
        cohort = [*files] * 3
        renamed = [VolumeFile(f"{n}-{f.case}", f.path) for n, f in enumerate(cohort)]
        ends = [
            time.perf_counter()
            for _ in predict_cases(renamed, place / f"workers-{workers}", settings, workers)
        ]
        # Without the first results of each, which wait for its start.
        skipped = 2 * workers
        rates[workers] = (len(ends) - skipped) / (ends[-1] - ends[skipped - 1])
    return {
        "one_process_cases_per_s": round(rates[1], 3),
        "two_processes_cases_per_s": round(rates[2], 3),
        "two_over_one": round(rates[2] / rates[1], 2),
    }


def _network(detector: Detector, volume: Volume) -> dict[str, object]:
    """Forward pass of a network on its own input, and what part of the matrix peak it reaches."""
    grid = detector.input_grid
    if isinstance(grid, WholeVolumeGrid):
        shape = grid.around(prepare(volume).volume.grid, detector.multiple).shape
    else:
        assert isinstance(grid, BodyFrameGrid)
        shape = grid.shape
    network = detector.network
    x = torch.rand(1, 1, *shape).contiguous(memory_format=torch.channels_last_3d)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(x)
    size = 2048
    a, b = (torch.rand(size, size).bfloat16() for _ in range(2))

    def forward() -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            network(x)

    with one_thread():  # as a prediction computes
        times = interleaved_seconds({"forward": forward, "product": lambda: a @ b}, 9)
    peak = 2 * size**3 / times["product"]
    rate = counter.get_total_flops() / times["forward"]
    return {
        "input": list(shape),
        "gflop": round(counter.get_total_flops() / 1e9, 1),
        "forward_s": round(times["forward"], 4),
        "gflop_per_s": round(rate / 1e9),
        "matrix_peak_gflop_per_s": round(peak / 1e9),
        "part_of_peak": round(rate / peak, 2),
    }
