"""Simulate ultrasound volumes of a fetus with exact landmarks; seeds determine every byte."""

from fetusmap.simulate.body.fetus import Fetus, draw_poses
from fetusmap.simulate.body.measures import ANATOMIES
from fetusmap.simulate.body.posture import BODY_SKELETON
from fetusmap.simulate.case import SKELETONS, SimulationSettings, draw_case
from fetusmap.simulate.cohort import dataset_origin, simulate_dataset
from fetusmap.simulate.draws import Seeds
from fetusmap.simulate.media import FETAL, Medium
from fetusmap.simulate.rendering import PRESETS, BeamSpace, Drawn, Rendering, render
from fetusmap.simulate.scanner.presentation import PRESENTATIONS, Presentation
from fetusmap.simulate.scanner.scanner import HARD, Difficulty, Scanner, profiles
from fetusmap.simulate.stream import Shard, simulate_case, stream_cases
from fetusmap.simulate.tables import tables_sha256
from fetusmap.volume.beams import BeamLattice

__all__ = [
    "ANATOMIES",
    "BODY_SKELETON",
    "FETAL",
    "HARD",
    "PRESENTATIONS",
    "PRESETS",
    "SKELETONS",
    "BeamLattice",
    "BeamSpace",
    "Difficulty",
    "Drawn",
    "Fetus",
    "Medium",
    "Presentation",
    "Rendering",
    "Scanner",
    "Seeds",
    "Shard",
    "SimulationSettings",
    "dataset_origin",
    "draw_case",
    "draw_poses",
    "profiles",
    "render",
    "simulate_case",
    "simulate_dataset",
    "stream_cases",
    "tables_sha256",
]
