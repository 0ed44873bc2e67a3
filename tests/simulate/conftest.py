"""What the simulator's tests share: plain scanners, lattices, probes, and cases drawn once."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from fetusmap.simulate.body.measures import SIDES
from fetusmap.simulate.scanner.probe import Probe
from fetusmap.simulate.scanner.scanner import draw_scanner
from fetusmap.simulate.tables import table
from fetusmap.volume.beams import BeamLattice

SILENT_DB = -300.0


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """As in `render`; several test processes do not get in each other's way either."""
    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture(scope="session")
def flattened():
    """A function that turns frozen parameters into plain data that can be compared."""

    def flatten(value):
        if is_dataclass(value):
            return [flatten(getattr(value, entry.name)) for entry in fields(value)]
        if isinstance(value, Mapping):
            return {key: flatten(entry) for key, entry in value.items()}
        if isinstance(value, list | tuple):
            return [flatten(entry) for entry in value]
        return value.tobytes() if isinstance(value, np.ndarray) else value

    return flatten


@pytest.fixture(scope="session")
def mean_measures():
    """A function that returns the measures of one fetus at their means, (1,) each."""

    def make(crl_mm):
        measures = {}
        for name, entry in table("body/measures")["measure"].items():
            mean = entry.get("value", entry.get("of_crl", 0.0) * crl_mm + entry.get("plus_mm", 0.0))
            sided = [f"{side}_{name}" for side in SIDES] if entry.get("sides") else [name]
            measures |= dict.fromkeys(sided, np.array([float(mean)]))
        return measures

    return make


@pytest.fixture(scope="session")
def scanner():
    """The reference scanner without clutter, noise, compensation or post-processing."""
    return replace(
        draw_scanner(np.random.default_rng(0), "reference"),
        headroom=0.0,
        gamma=1.0,
        contrast=0.0,
        attenuation_compensated=0.0,
        lateral_compensated=0.0,
        gain_slope_db_per_cm=0.0,
        gain_wave_db=0.0,
        noise_db=SILENT_DB,
        noise_slope_db_per_cm=0.0,
        clutter_db=SILENT_DB,
        haze_db=SILENT_DB,
        frame_flicker_db=0.0,
        smoothing=0.0,
        edge_enhancement=0.0,
    )


@pytest.fixture(scope="session")
def make_lattice(scanner):
    """A function that makes a lattice: ranges, half angles, samples per width at 60 mm."""

    def make(first_mm=40.0, last_mm=80.0, half_deg=(15.0, 15.0), density=2.2):
        reach = np.array([60.0])
        rp, rm = scanner.probe_radius_mm, scanner.motor_radius_mm
        widths = (
            scanner.axial_fwhm_mm,
            float(scanner.lateral_fwhm_mm(reach)[0]) / (rp + 60),
            float(scanner.elevation_fwhm_mm(reach)[0]) / (rm + 60),
        )
        ends = ((first_mm, last_mm), *((-a, a) for a in np.radians(half_deg)))
        axes = [
            np.linspace(low, high, 4 * int((high - low) * density / width / 4 + 1) + 1)
            for (low, high), width in zip(ends, widths, strict=True)
        ]
        return BeamLattice(rp, rm, *axes)

    return make


@pytest.fixture(scope="session")
def make_probe(scanner):
    """A function that makes a probe which holds still above the fetus, but for what is given."""

    def make(**changed):
        return replace(
            Probe(
                scanner=scanner,
                rotation=np.eye(3),
                shift_mm=np.array([0.0, 60.0, 0.0]),
                box_low_mm=np.array([-50.0, 2.0, -60.0]),
                box_high_mm=np.array([50.0, 105.0, 60.0]),
                drift_mm=np.zeros(3),
                jump_mm=np.zeros(3),
                jump_at=0.5,
                dropouts=(),
                gain_knots_db=np.zeros(6),
                flicker_seed=1,
            ),
            **changed,
        )

    return make
