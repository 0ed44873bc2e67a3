"""Apply the point spread: separable Gaussians that widen with range.

Each Gaussian is a product with a band matrix. Across the beams the width changes with every block
of ranges; along the beams it is constant. The taps have unit energy, so that speckle of every width
keeps the power of its scatterers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fetusmap.simulate.scanner.scanner import FWHM_PER_SD, Scanner
from fetusmap.types import Field, FloatArray
from fetusmap.volume.beams import BeamLattice

ROWS_PER_PRODUCT = 48  # ranges that one axial product computes


@dataclass(frozen=True, eq=False)
class PointSpread:
    """Standard deviations of the point spread of complex amplitude, in samples of a lattice.

    Attributes:
        axial: along the beams, the same at all ranges.
        theta: (R,) lateral, for each range.
        phi: (R,) in the direction of the sweep, for each range.
    """

    axial: float
    theta: FloatArray
    phi: FloatArray

    @classmethod
    def of(cls, scanner: Scanner, lattice: BeamLattice) -> PointSpread:
        """Return the point spread of a scanner in samples of a lattice."""
        ranges = np.maximum(lattice.ranges_mm, 0.0)
        step, turn, swing = lattice.steps
        arm = lattice.probe_radius_mm + ranges
        reach = lattice.motor_radius_mm + ranges
        return cls(
            axial=scanner.axial_fwhm_mm / FWHM_PER_SD / step,
            theta=scanner.lateral_fwhm_mm(ranges) / FWHM_PER_SD / (arm * turn),
            phi=scanner.elevation_fwhm_mm(ranges) / FWHM_PER_SD / (reach * swing),
        )


def spread_across(block: Field, first: int, spread: PointSpread, out: Field) -> None:
    """Blur the amplitudes at some ranges in both directions across the beams.

    Args:
        block: (r, T, P) amplitudes.
        first: index of the block's first range; the widths at its middle range apply to the block.
        spread: widths of the point spread.
        out: (r, T, P) result.
    """
    middle = first + len(block) // 2
    theta = band_matrix(block.shape[1], float(spread.theta[middle]))
    phi = band_matrix(block.shape[2], float(spread.phi[middle]))
    blurred = block.reshape(-1, block.shape[2]) @ phi
    np.matmul(theta, blurred.reshape(block.shape), out=out)


def spread_along(amplitude: Field, spread: PointSpread, out: Field) -> None:
    """Blur (R, T, P) amplitudes along the beams and write the result to `out`."""
    rows, columns = len(amplitude), amplitude[0].size
    halo = int(np.ceil(3 * spread.axial))
    flat, target = amplitude.reshape(rows, columns), out.reshape(rows, columns)
    whole = band_matrix(ROWS_PER_PRODUCT + 2 * halo, spread.axial)[halo : halo + ROWS_PER_PRODUCT]
    for first in range(0, rows, ROWS_PER_PRODUCT):
        last = min(first + ROWS_PER_PRODUCT, rows)
        low, high = max(first - halo, 0), min(last + halo, rows)
        # Columns of the band that lie outside the volume would be multiplied with zeros.
        band = whole[: last - first, low - (first - halo) : high - (first - halo)]
        np.matmul(np.ascontiguousarray(band), flat[low:high], out=target[first:last])


def coherent_gain(spread: PointSpread, row: int) -> float:
    """Return the factor on a constant amplitude at a range: the product of the sums of the taps."""
    widths = (spread.axial, float(spread.theta[row]), float(spread.phi[row]))
    return float(np.prod([_taps(sd).sum() for sd in widths]))


def band_matrix(count: int, sd: float) -> Field:
    """Return (count, count) symmetric Gaussian taps of unit energy; `sd` is in samples."""
    taps = _taps(sd)
    reach = len(taps) // 2
    padded = np.zeros(2 * max(count, reach + 1) - 1, np.float32)
    middle = len(padded) // 2
    padded[middle - reach : middle + reach + 1] = taps
    index = np.arange(count)
    return np.asarray(padded[index[None, :] - index[:, None] + middle])


def _taps(sd: float) -> Field:
    """Return Gaussian taps of unit energy up to three standard deviations; `sd` is in samples."""
    sd = max(sd, 1e-3)
    reach = int(np.ceil(3 * sd))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sd) ** 2)
    return np.asarray(taps / np.sqrt((taps**2).sum()), dtype=np.float32)
