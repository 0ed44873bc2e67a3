"""Draw the parameters of a case from settings and seeds."""

from __future__ import annotations

from dataclasses import dataclass, field

from fetusmap.atlas import PoseLibrary
from fetusmap.errors import BadInput
from fetusmap.simulate.body.body import build_body
from fetusmap.simulate.body.fetus import check_weeks, draw_fetus
from fetusmap.simulate.body.measures import USUAL_ANATOMY, check_anatomy
from fetusmap.simulate.body.posture import BODY_SKELETON
from fetusmap.simulate.draws import Seeds
from fetusmap.simulate.rendering import Drawn, preset_named
from fetusmap.simulate.scanner.presentation import USUAL_PRESENTATION, Presentation
from fetusmap.simulate.scanner.probe import draw_probe
from fetusmap.simulate.scanner.scanner import USUAL_PROFILE, Difficulty, profiles
from fetusmap.simulate.scene.scene import draw_scene

SKELETONS = (BODY_SKELETON, "fetus-16")
"""Skeletons whose landmarks the simulator can export."""


@dataclass(frozen=True)
class SimulationSettings:
    """Settings of a series of simulated cases.

    Attributes:
        preset: "full", "mid" or "half", see `render`.
        weeks: range of gestational age.
        profile: scanner profile, see `profiles`.
        anatomy: range of bodies, see `ANATOMIES`.
        presentation: how the fetus lies to the probe.
        skeleton: skeleton of the exported landmarks, "fetus-22" or "fetus-16".
        difficulty: knobs that make a volume harder to read; the defaults change nothing.
        like: poses whose limb postures are imitated, or None for the simulator's own.
    """

    preset: str = "full"
    weeks: tuple[float, float] = (10.0, 14.0)
    profile: str = USUAL_PROFILE
    anatomy: str = USUAL_ANATOMY
    presentation: Presentation = USUAL_PRESENTATION
    skeleton: str = BODY_SKELETON
    difficulty: Difficulty = field(default_factory=Difficulty)
    like: PoseLibrary | None = None

    def __post_init__(self) -> None:
        """Refuse settings from which no case can be drawn."""
        check_weeks(self.weeks)
        preset_named(self.preset)
        check_anatomy(self.anatomy)
        if self.skeleton not in SKELETONS:
            raise BadInput(
                "skeleton of simulated cases",
                expected=f"one of {', '.join(SKELETONS)}",
                found=repr(self.skeleton),
                remedy="choose one of them",
            )
        if self.profile not in profiles():
            raise BadInput(
                "scanner profile",
                expected=f"one of {', '.join(profiles())}",
                found=repr(self.profile),
                remedy="choose one of them",
            )


def draw_case(settings: SimulationSettings, seeds: Seeds) -> Drawn:
    """Draw everything that is random about a case.

    Fetus, scene, probe and speckle have separate seeds: one can change while the others stay.
    """
    fetus = draw_fetus(
        seeds.generator("fetus"),
        settings.weeks,
        anatomy=settings.anatomy,
        ossification=settings.difficulty.ossification,
        like=settings.like,
    )
    body = build_body(fetus)
    scene = draw_scene(seeds.generator("scene"), fetus, body)
    probe = draw_probe(
        seeds.generator("probe"),
        body,
        scene,
        profile=settings.profile,
        presentation=settings.presentation,
        difficulty=settings.difficulty,
    )
    return Drawn(fetus, body, scene, probe, seeds.speckle, settings.skeleton)
