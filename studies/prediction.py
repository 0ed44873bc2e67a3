"""Speed of the main job: file to pose, cold and warm, one process and two, and the networks alone.

The matrix peak is measured beside: the rate of a bfloat16 product of 2048 x 2048 matrices.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

import fetusmap as fm
from fetusmap.detect import BodyFrameGrid, Cascade, Detector, WholeVolumeGrid
from fetusmap.estimate import PoseEstimator
from fetusmap.io import load_volume, save_pose, save_volume
from fetusmap.network import one_thread
from fetusmap.preprocess import prepare
from fetusmap.scale import PredictionSettings, VolumeFile, find_volumes, predict_cases
from fetusmap.simulate import SimulationSettings, simulate_case
from fetusmap.volume import Volume
from studies.measure import interleaved_seconds

SEED = 7
COHORT = 8
SHAPE = (220, 205, 260)


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
    estimator: PoseEstimator, cascade: Cascade, files: list[VolumeFile], place: Path
) -> dict[str, object]:
    path = files[0].path
    volume = load_volume(path)
    prepared = prepare(volume).volume
    pose_path = place / "pose.json"

    def whole() -> None:
        save_pose(estimator(load_volume(path)).pose, pose_path)

    times = interleaved_seconds(
        {
            "file_to_pose_s": whole,
            "read_s": lambda: load_volume(path),
            "prepare_s": lambda: prepare(volume),
            "find_frames_s": lambda: cascade.find_frames(prepared),
            "detect_s": lambda: cascade.detect(prepared),
            "estimate_s": lambda: estimator(volume),
            "estimate_no_flip_average_s": lambda: estimator(volume, flip_average=False),
        },
        5,
    )
    every = []
    for file in files:
        start = time.perf_counter()
        save_pose(estimator(load_volume(file.path)).pose, pose_path)
        every.append(time.perf_counter() - start)
    return {
        **{name: round(seconds, 3) for name, seconds in times.items()},
        "file_to_pose_over_cohort_s": round(statistics.median(every), 3),
    }


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


def _workers(files: list[VolumeFile], place: Path) -> dict[str, object]:
    """Cases per second of one and of two processes over a cohort, both started warm and cold."""
    rates = {}
    for workers in (1, 2):
        settings = PredictionSettings(previews=True)
        cohort = files * 3
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
