"""The point spread: separable Gaussians that widen with range, as products with band matrices.

Across the beams the width changes with every block of ranges; along them it is constant. Taps have
unit energy, so that speckle keeps the power of its scatterers whatever the width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fetusmap.simulate.scanner.scanner import FWHM_PER_SD, Scanner
from fetusmap.types import Field, FloatArray
from fetusmap.volume.beams import BeamLattice

ROWS = 48  # ranges that one axial product yields


@dataclass(frozen=True, eq=False)
class PointSpread:
    """Standard deviations of the point spread of complex amplitude, in samples of a lattice.

    Attributes:
        axial: one number.
        theta: (R,) by range.
        phi: (R,) by range.
    """

    axial: float
    theta: FloatArray
    phi: FloatArray

    @classmethod
    def of(cls, scanner: Scanner, lattice: BeamLattice) -> PointSpread:
        """What a scanner has on a lattice."""
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
    """Blur some ranges, (r, T, P), in both directions across the beams, into `out`.

    Args:
        block: amplitudes.
        first: index of its first range; the widths of its middle range serve for all of it.
        spread: widths.
        out: like block.
    """
    middle = first + len(block) // 2
    theta = band_matrix(block.shape[1], float(spread.theta[middle]))
    phi = band_matrix(block.shape[2], float(spread.phi[middle]))
    blurred = block.reshape(-1, block.shape[2]) @ phi
    np.matmul(theta, blurred.reshape(block.shape), out=out)


def spread_along(amplitude: Field, spread: PointSpread, out: Field) -> None:
    """Blur (R, T, P) along the beams, into `out`."""
    rows, columns = len(amplitude), amplitude[0].size
    halo = int(np.ceil(3 * spread.axial))
    flat, target = amplitude.reshape(rows, columns), out.reshape(rows, columns)
    whole = band_matrix(ROWS + 2 * halo, spread.axial)[halo : halo + ROWS]
    for first in range(0, rows, ROWS):
        last = min(first + ROWS, rows)
        low, high = max(first - halo, 0), min(last + halo, rows)
        # Columns of the band that fall outside the volume meet nothing there.
        band = whole[: last - first, low - (first - halo) : high - (first - halo)]
        np.matmul(np.ascontiguousarray(band), flat[low:high], out=target[first:last])


def coherent_gain(spread: PointSpread, row: int) -> float:
    """What the taps make of an even amplitude at a range: the product of their sums."""
    widths = (spread.axial, float(spread.theta[row]), float(spread.phi[row]))
    return float(np.prod([_taps(sd).sum() for sd in widths]))


def band_matrix(count: int, sd: float) -> Field:
    """(count, count) symmetric Gaussian taps of unit energy, `sd` in samples."""
    taps = _taps(sd)
    reach = len(taps) // 2
    padded = np.zeros(2 * max(count, reach + 1) - 1, np.float32)
    middle = len(padded) // 2
    padded[middle - reach : middle + reach + 1] = taps
    index = np.arange(count)
    return np.asarray(padded[index[None, :] - index[:, None] + middle])


def _taps(sd: float) -> Field:
    """Gaussian taps of unit energy out to three standard deviations, `sd` in samples."""
    sd = max(sd, 1e-3)
    reach = int(np.ceil(3 * sd))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sd) ** 2)
    return np.asarray(taps / np.sqrt((taps**2).sum()), dtype=np.float32)
