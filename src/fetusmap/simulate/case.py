"""Drawing a case: settings and a number in, frozen parameters out."""

from __future__ import annotations

from dataclasses import dataclass, field

from fetusmap.atlas import PoseLibrary
from fetusmap.errors import BadInput
from fetusmap.simulate.body.body import build_body
from fetusmap.simulate.body.fetus import check_weeks, draw_fetus
from fetusmap.simulate.draws import Seeds
from fetusmap.simulate.rendering import Drawn, preset_named
from fetusmap.simulate.scanner.probe import draw_probe
from fetusmap.simulate.scanner.scanner import USUAL_PROFILE, Difficulty, profiles
from fetusmap.simulate.scene.scene import draw_scene


@dataclass(frozen=True)
class SimulationSettings:
    """What kind of cases to simulate.

    Attributes:
        preset: "full", "mid" or "half", see `render`.
        weeks: range of gestational age.
        profile: of the scanner, see `profiles`.
        difficulty: knobs; the defaults change nothing.
        like: poses whose limbs to imitate, or None for the simulator's own.
    """

    preset: str = "full"
    weeks: tuple[float, float] = (10.0, 14.0)
    profile: str = USUAL_PROFILE
    difficulty: Difficulty = field(default_factory=Difficulty)
    like: PoseLibrary | None = None

    def __post_init__(self) -> None:
        """Refuse settings that no case can be drawn from."""
        check_weeks(self.weeks)
        preset_named(self.preset)
        if self.profile not in profiles():
            raise BadInput(
                "scanner profile",
                expected=f"one of {', '.join(profiles())}",
                found=repr(self.profile),
                remedy="choose one of them",
            )


def draw_case(settings: SimulationSettings, seeds: Seeds) -> Drawn:
    """Draw everything random about a case.

    Fetus, scene, probe and speckle have seeds of their own: one can change while the others stay.
    """
    fetus = draw_fetus(
        seeds.generator("fetus"),
        settings.weeks,
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
        difficulty=settings.difficulty,
    )
    return Drawn(fetus, body, scene, probe, seeds.speckle)
