"""The paper's case: 220 x 205 x 260 voxels of 8 bit, downscaled to 0.4, on one grid for all."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk  # noqa: N813
from scipy import ndimage

from fetusmap.geometry import Grid, rotation_from_vector
from fetusmap.volume import Volume, resample
from studies.measure import interleaved_seconds


def run() -> dict[str, object]:
    """Time us against SciPy and SimpleITK, with and without their anti-aliasing."""
    rng = np.random.default_rng(0)
    array = np.asfortranarray(rng.integers(0, 255, (220, 205, 260), dtype=np.uint8))
    volume = Volume(array, Grid.from_spacing(array.shape, 0.5))
    target = volume.grid.scale(0.4)
    turned = rotation_from_vector([0.3, 0.5, 0.9])
    oblique = Grid.centered((64, 80, 96), 1.1, volume.grid.center_mm, turned)
    image = sitk.GetImageFromArray(array.T)
    image.SetSpacing((0.5, 0.5, 0.5))

    def with_sitk(smooth: bool) -> object:
        source = sitk.Cast(image, sitk.sitkFloat32)
        if smooth:
            source = sitk.SmoothingRecursiveGaussian(source, 0.5)
        return sitk.Resample(
            source, list(target.shape), sitk.Transform(), sitk.sitkLinear,
            target.origin_mm.tolist(), target.spacing_mm.tolist(), np.eye(3).ravel().tolist(),
        )  # fmt: skip

    def with_scipy(smooth: bool) -> object:
        source = ndimage.gaussian_filter(array, 1.0, output=np.float32) if smooth else array
        return ndimage.zoom(source, 0.4, order=1, output=np.float32)

    times = interleaved_seconds(
        {
            "ours_s": lambda: resample(volume, target),
            "scipy_gaussian_zoom_s": lambda: with_scipy(smooth=True),
            "scipy_zoom_aliased_s": lambda: with_scipy(smooth=False),
            "sitk_gaussian_resample_s": lambda: with_sitk(smooth=True),
            "sitk_resample_aliased_s": lambda: with_sitk(smooth=False),
            "ours_oblique_64x80x96_s": lambda: resample(volume, oblique),
        }
    )
    return {"target_shape": list(target.shape), **times}
