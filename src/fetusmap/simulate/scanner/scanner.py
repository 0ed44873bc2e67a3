"""Draw the setting of a scanner: frequency, apertures, field, gain and display."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from fetusmap.errors import BadInput
from fetusmap.simulate.tables import table
from fetusmap.types import FloatArray

SPEED_MM_PER_US = 1.54
FWHM_PER_SD = 2 * np.sqrt(2 * np.log(2))
USUAL_PROFILE = "usual"


@dataclass(frozen=True)
class Difficulty:
    """Knobs that make a volume harder to read than usual; the defaults change nothing.

    Attributes:
        clutter_db: added to off-axis clutter and haze.
        noise_db: added to electronic noise.
        dropout: factor on the number and depth of sectors without contact.
        dynamic_range_db: added to the dynamic range; negative values give a harsher contrast.
        blur: factor on the point spread in all three directions.
        ossification: factor on the ossified part of the skeleton; above 1 shadows are stronger.
        motion_mm: added to drift and jump of the fetus during the sweep.
        attenuation: factor on the attenuation of all tissue.
    """

    clutter_db: float = 0.0
    noise_db: float = 0.0
    dropout: float = 1.0
    dynamic_range_db: float = 0.0
    blur: float = 1.0
    ossification: float = 1.0
    motion_mm: float = 0.0
    attenuation: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values outside the range that a scanner could have."""
        limits = {
            "clutter_db": (-40, 30), "noise_db": (-60, 40), "dropout": (0, 10),
            "dynamic_range_db": (-30, 40), "blur": (0.5, 4), "ossification": (0, 3),
            "motion_mm": (0, 20), "attenuation": (0, 4),
        }  # fmt: skip
        for entry in fields(self):
            value, (low, high) = getattr(self, entry.name), limits[entry.name]
            if not low <= value <= high:
                raise BadInput(
                    f"difficulty {entry.name}",
                    expected=f"{low:g} to {high:g}",
                    found=f"{value:g}",
                    remedy="choose a value in that range",
                )


HARD = Difficulty(
    clutter_db=9.0,
    noise_db=15.0,
    dropout=3.0,
    dynamic_range_db=-8.0,
    blur=1.5,
    ossification=1.6,
    motion_mm=3.0,
    attenuation=1.5,
)
"""Every knob at its difficult end, as in a poor examination."""


@dataclass(frozen=True)
class Scanner:
    """Setting of a scanner; `scanners.toml` explains the fields with their units and ranges."""

    frequency_mhz: float
    bandwidth: float
    probe_radius_mm: float
    motor_radius_mm: float
    lateral_field_deg: float
    sweep_deg: float
    aperture_lateral_mm: float
    aperture_elevation_mm: float
    elevation_focus_mm: float
    axial_blur: float
    lateral_blur: float
    elevation_blur: float
    dynamic_range_db: float
    headroom: float
    gamma: float
    contrast: float
    attenuation_compensated: float
    lateral_compensated: float
    gain_slope_db_per_cm: float
    gain_wave_db: float
    noise_db: float
    noise_slope_db_per_cm: float
    clutter_db: float
    haze_db: float
    haze_length_mm: float
    frame_flicker_db: float
    smoothing: float
    edge_enhancement: float
    line_density: float
    compounding_frames: int = 1
    attenuation: float = 1.0

    @property
    def wavelength_mm(self) -> float:
        """Return the wavelength in tissue."""
        return SPEED_MM_PER_US / self.frequency_mhz

    @property
    def axial_fwhm_mm(self) -> float:
        """Return the full width at half maximum of the envelope of a point, along the beam.

        A Gaussian band that is down 6 dB at its edges gives a pulse of
        (4 ln 2 / pi) c / (2 B f0); electronics and focusing make it 1.76 times as long (a guess
        that gives 0.62 mm at 3.5 MHz and 55 %).
        """
        pulse = 4 * np.log(2) / np.pi * SPEED_MM_PER_US / (2 * self.bandwidth * self.frequency_mhz)
        return float(1.76 * pulse * self.axial_blur)

    def lateral_fwhm_mm(self, range_mm: FloatArray) -> FloatArray:
        """Return the width in the array's plane: 0.93 wavelengths times the F-number.

        The dynamic aperture keeps the F-number at 1.6 until the whole array is in use.
        """
        f_number = np.maximum(range_mm / self.aperture_lateral_mm, 1.6)
        return np.asarray(0.93 * self.wavelength_mm * f_number * self.lateral_blur)

    def elevation_fwhm_mm(self, range_mm: FloatArray) -> FloatArray:
        """Return the width across the array's plane: diffraction, and the cone of a fixed focus."""
        diffraction = 0.93 * self.wavelength_mm * range_mm / self.aperture_elevation_mm
        cone = 0.6 * self.aperture_elevation_mm * np.abs(1 - range_mm / self.elevation_focus_mm)
        return np.asarray(np.hypot(np.maximum(diffraction, 0.5), cone) * self.elevation_blur)


def draw_scanner(
    rng: np.random.Generator,
    profile: str = USUAL_PROFILE,
    difficulty: Difficulty | None = None,
) -> Scanner:
    """Draw the setting of a scanner.

    Args:
        rng: generator of the probe.
        profile: "usual", or another name in `profiles()`.
        difficulty: knobs that make the volume harder to read.

    Raises:
        KeyError: the profile does not exist; `SimulationSettings` checks this.
    """
    difficulty = difficulty or Difficulty()
    numbers = table("scanner/scanners")
    ranges = {**numbers["usual"], **_profile(profile)}
    drawn = {name: float(rng.uniform(*limits)) for name, limits in ranges.items()}
    chances = [numbers["chance"][f"{name}_frames"] for name in ("two", "three", "four")]
    frames = 1 + int(rng.choice(4, p=[1 - sum(chances), *chances]))
    for name in ("axial_blur", "lateral_blur", "elevation_blur"):
        drawn[name] *= difficulty.blur
    drawn["clutter_db"] += difficulty.clutter_db
    drawn["haze_db"] += difficulty.clutter_db
    drawn["noise_db"] += difficulty.noise_db
    drawn["dynamic_range_db"] = max(20.0, drawn["dynamic_range_db"] + difficulty.dynamic_range_db)
    return Scanner(
        **drawn,
        compounding_frames=1 if profile == "reference" else frames,
        attenuation=difficulty.attenuation,
    )


def profiles() -> tuple[str, ...]:
    """Return the names of the scanner profiles; "shifted" ones are for tests only."""
    return (USUAL_PROFILE, *table("scanner/scanners")["profiles"])


def _profile(name: str) -> dict[str, tuple[float, float]]:
    if name == USUAL_PROFILE:
        return {}
    return dict(table("scanner/scanners")["profiles"][name])
