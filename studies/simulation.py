"""Simulated volumes: seconds by preset and stage, memory, workers, and other methods."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import fmean, median
from unittest.mock import patch

import numpy as np
from scipy import fft, ndimage

from fetusmap.geometry import Grid
from fetusmap.io import save_volume
from fetusmap.report import preview_picture, save_picture
from fetusmap.simulate import (
    PRESETS,
    Drawn,
    Rendering,
    Seeds,
    SimulationSettings,
    draw_case,
    draw_poses,
    render,
    rendering,
    stream_cases,
)
from fetusmap.simulate.scanner.pointspread import PointSpread, spread_across, spread_along
from fetusmap.threads import one_blas_thread
from fetusmap.types import Field
from fetusmap.volume.beams import BeamLattice, row_blocks
from fetusmap.volume.scan_conversion import scan_convert
from studies.measure import interleaved_seconds, median_seconds

SEED = 0
CASES = 12
PASSES = {"full": 2, "mid": 3, "half": 5}
STREAMED = {"full": 16, "half": 48}  # cases of each run of the workers
STARTED = 4  # results after which all workers run
WRITTEN = 5
POSES = 20_000
# What rendering calls, in its order.
STAGES = {
    "fields": ("compute_fields",),
    "paint": ("paint",),
    "insonify": ("insonify",),
    "synthesize": ("synthesize",),
    "display": ("to_decibels", "to_grey"),
    "scan_convert": ("scan_convert",),
}


def run() -> dict[str, object]:
    """Measure everything that the page on performance shows of the simulator."""
    results: dict[str, object] = {"cases": CASES, "profile": "usual", **measure_memory()}
    results |= {preset: measure_preset(preset) for preset in PRESETS}
    drawn = draw_case(SimulationSettings(), Seeds.of_case(SEED, STARTED))
    made = render(drawn, "full", beams=True)
    results |= measure_output(made)
    results["workers"] = {preset: measure_workers(preset) for preset in STREAMED}
    results["poses"] = POSES
    results["draw_poses_s"] = median_seconds(lambda: draw_poses(POSES, seed=SEED), repeats=3)
    results["scan_conversion"] = compare_scan_conversion(made)
    results["point_spread"] = compare_point_spread(drawn, made)
    return results


def measure_preset(preset: str) -> dict[str, object]:
    """Seconds of each case, drawn and rendered, and of the stages; one thread, warm."""
    settings = SimulationSettings(preset=preset)
    cases = [draw_case(settings, Seeds.of_case(SEED, number)) for number in range(CASES)]
    for drawn in cases:
        render(drawn, preset)
    passes = [[_time_case(settings, n) for n in range(CASES)] for _ in range(PASSES[preset])]
    timed = [_medians(times) for times in zip(*passes, strict=True)]
    whole = [stages["whole"] for stages in timed]
    samples = [_samples(drawn, preset) for drawn in cases]
    frames = [drawn.probe.scanner.compounding_frames for drawn in cases]
    single_frame = [s for s, count in zip(whole, frames, strict=True) if count == 1]
    mean = {stage: fmean(stages[stage] for stages in timed) for stage in timed[0]}
    mean["other"] = 2 * mean["whole"] - sum(mean.values())
    return {
        "median_s": median(whole),
        "mean_s": mean.pop("whole"),
        "largest_s": max(whole),
        "one_look_cases": len(single_frame),
        "one_look_median_s": median(single_frame),
        "mean_stage_s": mean,
        "mean_samples": fmean(samples),
        "samples_per_s": sum(samples) / sum(whole),
    }


def _time_case(settings: SimulationSettings, number: int) -> dict[str, float]:
    with stopwatches() as seconds:
        start = time.perf_counter()
        drawn = draw_case(settings, Seeds.of_case(SEED, number))
        seconds["drawing"] = time.perf_counter() - start
        render(drawn, settings.preset)
        seconds["whole"] = time.perf_counter() - start
    return seconds


@contextmanager
def stopwatches() -> Iterator[dict[str, float]]:
    """Seconds that rendering spends in each of its stages, while the block runs."""
    seconds = {"drawing": 0.0, **dict.fromkeys(STAGES, 0.0)}

    def timed(stage: str, function: Callable[..., object], *args: object) -> object:
        start = time.perf_counter()
        result = function(*args)
        seconds[stage] += time.perf_counter() - start
        return result

    with ExitStack() as stack:
        for stage, names in STAGES.items():
            for name in names:
                slow = partial(timed, stage, getattr(rendering, name))
                stack.enter_context(patch.object(rendering, name, slow))
        yield seconds


def _medians(times: tuple[dict[str, float], ...]) -> dict[str, float]:
    return {stage: median(seconds[stage] for seconds in times) for stage in times[0]}


def _samples(drawn: Drawn, preset: str) -> int:
    settings = PRESETS[preset]
    grid = drawn.probe.grid(settings.spacing_mm)
    return int(np.prod(rendering.beam_lattice(drawn.probe, grid, settings).shape))


def measure_memory() -> dict[str, object]:
    """Peak resident memory of a process that renders some full volumes one after the other."""
    code = "from studies.simulation import print_peak_memory; print_peak_memory()"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    package, peak = json.loads(done.stdout)
    return {"package_bytes": package, "peak_bytes": peak}


def print_peak_memory() -> None:
    """Print the peak memory after the imports, and after three full volumes."""
    package = _peak_bytes()
    for number in range(3):
        render(draw_case(SimulationSettings(), Seeds.of_case(SEED, number)), "full")
    print(json.dumps([package, _peak_bytes()]))


def _peak_bytes() -> int:
    # On Linux getrusage also counts what the starting process had before it became this one.
    status = Path("/proc/self/status")
    if status.exists():
        words = status.read_text().split()
        return int(words[words.index("VmHWM:") + 1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def measure_output(made: Rendering) -> dict[str, object]:
    """Seconds of compressing and writing a full volume, and of drawing and writing its picture."""
    with tempfile.TemporaryDirectory() as name:
        volume, picture = Path(name) / "case.nii.gz", Path(name) / "case.png"

        def preview() -> None:
            save_picture(preview_picture(made.volume, made.pose), picture)

        return {
            "write_s": median_seconds(lambda: save_volume(made.volume, volume), WRITTEN),
            "file_bytes": volume.stat().st_size,
            "preview_s": median_seconds(preview, WRITTEN),
        }


def measure_workers(preset: str) -> dict[str, object]:
    """Seconds per case of a stream in this process and of two workers, in turn and back again."""
    per_case: dict[int, list[float]] = {1: [], 2: []}
    for workers in (1, 2, 2, 1):
        per_case[workers].append(_stream_seconds(preset, workers))
    one, two = (fmean(per_case[workers]) for workers in (1, 2))
    return {
        "one_s_per_case": one,
        "two_s_per_case": two,
        "two_over_one": one / two,
        "cases_per_s_and_core": 1 / one,
        "cases_per_s_of_two": 1 / two,
    }


def _stream_seconds(preset: str, workers: int) -> float:
    cases = stream_cases(SimulationSettings(preset=preset), SEED, workers=workers)
    for _ in islice(cases, STARTED):
        pass
    start = time.perf_counter()
    for _ in islice(cases, STREAMED[preset] - STARTED):
        pass
    seconds = time.perf_counter() - start
    assert isinstance(cases, Generator)
    cases.close()
    return seconds / (STREAMED[preset] - STARTED)


def compare_scan_conversion(made: Rendering) -> dict[str, object]:
    """Two sparse products against interpolation at the beam coordinates of every voxel."""
    assert made.beams is not None
    lattice, grid = made.beams.lattice, made.volume.grid
    grey = made.beams.grey.astype(np.float32)
    start = time.perf_counter()
    general = convert_in_general(grey, lattice, grid)
    general_s = time.perf_counter() - start
    ours_s = median_seconds(lambda: scan_convert(grey, lattice, grid), repeats=3)
    both = np.stack([scan_convert(grey, lattice, grid).ravel(), general.ravel()])
    return {
        "voxels": general.size,
        "ours_s": ours_s,
        "map_coordinates_s": general_s,
        "correlation": float(np.asarray(np.corrcoef(both, dtype=np.float32))[0, 1]),
    }


def convert_in_general(grey: Field, lattice: BeamLattice, grid: Grid) -> Field:
    """Linear scan conversion that uses no property of the geometry but its formula."""
    axes = (lattice.ranges_mm, lattice.thetas_rad, lattice.phis_rad)
    first, steps = np.array([axis[0] for axis in axes]), np.array(lattice.steps)
    voxels = np.empty(grid.shape, np.float32)
    y, z = np.meshgrid(*(np.arange(n) for n in grid.shape[1:]), indexing="ij")
    for i in range(grid.shape[0]):
        points = grid.to_world(np.stack([np.full(y.shape, i), y, z], axis=-1))
        index = np.moveaxis((lattice.to_beam(points) - first) / steps, -1, 0)
        ndimage.map_coordinates(grey, index, output=voxels[i], order=1)
    return voxels


def compare_point_spread(drawn: Drawn, made: Rendering) -> dict[str, object]:
    """Compare our band matrices with general filters, which need one width for all ranges.

    A whole volume is timed as well, and the drawing of its random numbers, which it cannot avoid.
    """
    assert made.beams is not None
    lattice = made.beams.lattice
    rows, thetas, phis = lattice.shape
    own = PointSpread.of(drawn.probe.scanner, lattice)
    widths = (own.axial, float(np.median(own.theta)), float(np.median(own.phi)))
    even = PointSpread(widths[0], np.full(rows, widths[1]), np.full(rows, widths[2]))
    rng = np.random.Generator(np.random.SFC64(SEED))
    noise = rng.standard_normal(lattice.shape, dtype=np.float32)
    work, out = np.empty_like(noise), np.empty_like(noise)

    def ours() -> Field:
        with one_blas_thread():
            for block in row_blocks(rows):
                spread_across(noise[block], block.start, even, work[block])
            spread_along(work, even, out)
        return out

    def with_taps() -> Field:
        return ndimage.gaussian_filter(noise, widths, mode="constant", radius=_radii(widths))

    def with_fft() -> Field:
        sizes = [fft.next_fast_len(n + r, real=True)
                 for n, r in zip(noise.shape, _radii(widths), strict=True)]  # fmt: skip
        spectrum = fft.rfftn(noise, sizes)
        for axis, (size, sd) in enumerate(zip(sizes, widths, strict=True)):
            frequency = fft.rfftfreq(size) if axis == 2 else fft.fftfreq(size)
            gain = np.exp(-2 * (np.pi * frequency * sd) ** 2).astype(np.float32)
            spectrum *= gain.reshape([-1 if n == axis else 1 for n in range(3)])
        return fft.irfftn(spectrum, sizes)[:rows, :thetas, :phis]

    def draw_noise() -> None:
        for _ in range(2 * drawn.probe.scanner.compounding_frames):  # real and imaginary parts
            rng.standard_normal(dtype=np.float32, out=work)

    times = interleaved_seconds(
        {
            "ours_s": ours,
            "gaussian_filter_s": with_taps,
            "fft_s": with_fft,
            "render_s": lambda: render(drawn, "full"),
            "draw_noise_s": draw_noise,
        },
        repeats=5,
    )
    both = np.stack([ours().ravel(), with_taps().ravel()])
    return {
        "samples": noise.size,
        "widths_samples": list(widths),
        **times,
        "correlation": float(np.asarray(np.corrcoef(both, dtype=np.float32))[0, 1]),
    }


def _radii(widths: tuple[float, float, float]) -> tuple[int, ...]:
    return tuple(int(np.ceil(3 * sd)) for sd in widths)
