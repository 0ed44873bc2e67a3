"""`fetusmap doctor`: print versions, devices and memory, and check each part by trying it."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np
import typer

from fetusmap._version import __version__
from fetusmap.anatomy import reference_pose
from fetusmap.cli.console import out, print_facts
from fetusmap.geometry import Grid
from fetusmap.io import load_pose, load_volume, save_pose, save_volume
from fetusmap.volume import Volume

app = typer.Typer(add_completion=False, rich_markup_mode="rich")

REQUIRED = ("numpy", "scipy", "torch", "pydantic", "typer", "rich", "matplotlib",
            "safetensors")  # fmt: skip


@app.command(epilog="Example:\n\n  fetusmap doctor")
def doctor() -> int:
    """Check that this installation works; exit code 1 when a part does not."""
    print_facts("Versions", {"fetusmap": __version__, "python": sys.version.split()[0],
                             **{name: _version(name) for name in REQUIRED}})  # fmt: skip
    print_facts("Machine", {"system": platform.platform(), "processors": str(os.cpu_count()),
                            "memory": _memory()})  # fmt: skip
    results = {name: _try(check) for name, check in CHECKS.items()}
    print_facts("Parts", results)
    broken = [name for name, result in results.items() if not result.startswith("works")]
    out.print(f"{len(broken)} of {len(results)} parts do not work" if broken else "all parts work")
    return 1 if broken else 0


def check_volumes() -> str:
    """Check that a volume of each format reads back equal; a child process decodes it."""
    array = np.arange(16**3, dtype=np.uint16).reshape(16, 16, 16)
    volume = Volume(array, Grid.from_spacing((16, 16, 16), (0.5, 0.6, 0.7)))
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".nii.gz", ".nrrd", ".mha"):
            path = Path(folder) / f"check{suffix}"
            save_volume(volume, path)
            read = load_volume(path)
            if not np.array_equal(read.array, array) or not read.grid.is_close(volume.grid, 1e-3):
                raise ValueError(f"{suffix} reads back different")
    return "NIfTI, NRRD and MetaImage read back equal"


def check_poses() -> str:
    """Check that a pose reads back equal in each format."""
    pose = reference_pose()
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".json", ".mrk.json", ".csv"):
            path = Path(folder) / f"pose{suffix}"
            save_pose(pose, path)
            if not load_pose(path).equals(pose):
                raise ValueError(f"{suffix} reads back different")
    return "JSON, Slicer markups and CSV read back equal"


def check_figures() -> str:
    """Check that a pose can be drawn."""
    from fetusmap.report import draw_pose  # here, as torch below

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pose.png"
        draw_pose(reference_pose()).savefig(path)
        return f"a picture of {path.stat().st_size // 1024} kB"


def check_torch() -> str:
    """Check that torch multiplies two matrices correctly, and name the graphics cards."""
    import torch  # here, so that a broken torch is a finding and not a crash

    ones = torch.ones(64, 64)
    if float((ones @ ones).sum()) != 64.0**3:
        raise ValueError("a matrix product is wrong")
    gpus = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    where = ", ".join(gpus) or "no accelerator, everything runs on the processor"
    return f"torch {torch.__version__}, {torch.get_num_threads()} threads; {where}"


def check_model() -> str:
    """Check that the shipped model loads, and finds no fetus in an empty volume."""
    from fetusmap.estimate import PoseEstimator  # here, as torch above

    estimator = PoseEstimator.from_pretrained()
    empty = Volume(np.zeros((48, 48, 48), np.uint8), Grid.from_spacing((48, 48, 48), 1.0))
    score = estimator(empty).pose.quality.score
    if not isinstance(score, float) or score > 0.5:
        raise ValueError(f"a fetus in an empty volume, with quality {score}")
    return f"model {estimator.card.name}, {estimator.model_sha256[:12]}; no fetus where none is"


CHECKS: dict[str, Callable[[], str]] = {
    "volumes": check_volumes,
    "poses": check_poses,
    "figures": check_figures,
    "networks": check_torch,
    "model": check_model,
}


def _try(check: Callable[[], str]) -> str:
    start = time.perf_counter()
    try:
        found = check()
    except Exception as error:  # whatever breaks is what the doctor was asked to find
        return f"DOES NOT WORK: {type(error).__name__}: {error}"
    return f"works: {found} ({time.perf_counter() - start:.1f} s)"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "MISSING"


def _memory() -> str:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return "unknown"
    return f"{total / 2**30:.1f} GiB"
