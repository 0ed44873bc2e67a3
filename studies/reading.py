"""Reading a full-sized compressed volume: ours in its bounded process, and the usual readers."""

from __future__ import annotations

import tempfile
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk  # noqa: N813

from fetusmap.geometry import Grid
from fetusmap.io import load_volume, save_volume
from fetusmap.volume import Volume
from studies.measure import interleaved_seconds


def run() -> dict[str, object]:
    """Time the readers on one file of speckle."""
    rng = np.random.default_rng(0)
    array = np.clip(rng.rayleigh(30, (220, 205, 260)), 0, 255).astype(np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.nii.gz"
        save_volume(Volume(array, Grid.from_spacing(array.shape, 0.5)), path)
        times = interleaved_seconds(
            {
                "ours_s": lambda: load_volume(path),
                "sitk_s": lambda: sitk.GetArrayFromImage(sitk.ReadImage(str(path))),
                "nibabel_s": lambda: np.asanyarray(nibabel.Nifti1Image.from_filename(path).dataobj),
            }
        )
        return {"file_bytes": path.stat().st_size, **times}
