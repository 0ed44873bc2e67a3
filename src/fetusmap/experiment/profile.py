"""The sizes of the experiment: cohort, networks and training budget of each profile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from fetusmap.files import Document
from fetusmap.network import HEIGHT
from fetusmap.refine import TrainingRefinement
from fetusmap.simulate import Presentation
from fetusmap.train import PAPER, GanConfig, LandConfig, RnnConfig, Symmetry

Family = Literal["Land", "RNN", "GAN", "GRU", "Sides", "Pairs"]
Size = Literal["R4", "GCP"]

NetworkConfig = LandConfig | RnnConfig | GanConfig

CONFIG_OF_FAMILY: dict[Family, Callable[..., NetworkConfig]] = {
    "Land": LandConfig,
    "RNN": RnnConfig,
    "GAN": GanConfig,
    "GRU": partial(RnnConfig, gated=True),
    "Sides": partial(LandConfig, side_weight=20.0),
    "Pairs": partial(LandConfig, pair_channels=True),
}
"""The paper's three families; the recurrent network with gates; and two ways to learn the sides: by
a loss of their own, or not at all, so that the pose library names them."""

FULL_SPACING_MM = 0.5
"""Spacing of the paper's volumes; a scale of 0.4 gives voxels of 1.25 mm."""

COHORT = "cohort"
TRAINING_SPLIT, TEST_SPLIT = "train", "test"


_SAMPLES: dict[Symmetry, str] = {
    "right-angles": "all flips and right-angle rotations",
    "flips": "the eight flips",
    "sagittal-flip": "the flip across the median plane",
}


class Profile(Document):
    """One size of the experiment.

    Attributes:
        name: name of the profile.
        seed: seed of the cohort and of the networks.
        cases: number of simulated fetuses.
        training_cases: number of the first cases, which are the training split. Their poses are the
            paper's pose library; a support set has ten of them.
        preset: preset of the simulated volumes.
        r4_scale: scale of the R4 input.
        gcp_scale: scale of the GCP input, whose networks use the paper's gradient checkpointing.
        widths: channels at each level of the networks.
        steps: training steps of each network; the paper trains 20 epochs of 800 volumes.
        decay_part: last part of the steps, over which the learning rate falls to 0.
        sigma_voxels: standard deviation of the target Gaussians.
        presentation: how the fetuses lie to the probe, see `fetusmap.simulate.Presentation`. The
            paper does not describe the presentations in its cohort.
        standard_part: fraction of the fetuses in the standard presentation, for "clinical".
        precision: precision of training and prediction.
        checkpoint_minutes: minutes between two checkpoints of a training.
    """

    name: str
    seed: int = 2019
    cases: Annotated[int, Field(gt=TrainingRefinement().support)] = 152
    training_cases: Annotated[int, Field(ge=TrainingRefinement().support)] = 100
    preset: Literal["full", "mid", "half"] = "full"
    r4_scale: Annotated[float, Field(gt=0)] = 0.4
    gcp_scale: Annotated[float, Field(gt=0)] = 0.5
    widths: tuple[int, ...] = PAPER.widths
    steps: Annotated[int, Field(ge=1)] = 16_000
    decay_part: Annotated[float, Field(ge=0, le=1)] = 0.0
    sigma_voxels: Annotated[float, Field(gt=0)] = PAPER.sigma_voxels
    presentation: Literal["any", "clinical", "standard"] = "any"
    standard_part: Annotated[float, Field(ge=0, le=1)] = 0.0
    precision: Literal["bf16-mixed", "32-true"] = "32-true"
    checkpoint_minutes: Annotated[float, Field(ge=0)] = 4.0

    @model_validator(mode="after")
    def _check_split(self) -> Self:
        if self.training_cases >= self.cases:
            raise ValueError("no case is left for the test split")
        if self.training_cases - self.tuning_cases < TrainingRefinement().support:
            raise ValueError("too few training cases are left for a support set while tuning")
        if self.standard_part and self.presentation != "clinical":
            raise ValueError("standard_part belongs to the presentation clinical")
        return self

    def training_config(self, network: Network) -> NetworkConfig:
        """Return the training configuration of a network."""
        return CONFIG_OF_FAMILY[network.family](
            seed=self.seed,
            steps=self.steps,
            decay_part=self.decay_part,
            sigma_voxels=self.sigma_voxels,
            widths=self.widths,
            precision=self.precision,
            dataset=COHORT,
            split=TRAINING_SPLIT,
            validation_cases=0,
            checkpoint_minutes=self.checkpoint_minutes,
            symmetry=self.symmetry,
            spacing_mm=FULL_SPACING_MM / self.scale_of(network.size),
            checkpointing="paper" if network.size == "GCP" else "none",
        )

    def scale_of(self, size: Size) -> float:
        """Return the scale of an input size."""
        return self.r4_scale if size == "R4" else self.gcp_scale

    @property
    def presentation_of_cases(self) -> Presentation:
        """How the fetuses lie to the probe."""
        return Presentation(self.presentation, self.standard_part)

    @property
    def symmetry(self) -> Symmetry:
        """The flips and rotations that belong to the presentation."""
        if self.presentation == "any":
            return "right-angles"
        mixed = self.presentation == "standard" or self.standard_part > 0
        return "sagittal-flip" if mixed else "flips"

    @property
    def _how_fetuses_lie(self) -> str:
        if self.presentation == "any":
            return "fetuses lie in any direction, mostly across the beam"
        standard = "with the head left and the face to the probe"
        if self.presentation == "standard":
            return f"all fetuses lie across the beam {standard}"
        mixture = f", {self.standard_part:.0%} of them {standard}" if self.standard_part else ""
        return (
            "fetuses lie as in sweeps from the mid-sagittal plane, head left or right, face to the "
            f"probe or away from it{mixture}"
        )

    @property
    def tuning_cases(self) -> int:
        """Number of the last training cases on which settings are chosen: a fifth."""
        return max(1, self.training_cases // 5)

    @property
    def differences(self) -> tuple[str, ...]:
        """Differences from the paper, in words."""
        lines = [
            f"{self.cases} simulated fetuses instead of 152 recorded ones: compare the order of "
            "the rows and their relative gains with the paper, never millimetres",
            "each volume is normalised by its own statistics (batch normalisation at batch 1)",
            "grey levels are replaced by their ranks, as in the shipped model",
            "the paper describes its rivals only briefly; here the GAN has a least-squares "
            "discriminator of regions, whose learning rate is a fifth of the detector's and whose "
            "term has the weight 1 beside an L2 loss of tens, and the RNN has a recurrent layer "
            "without gates that is applied 3 times",
            f"targets are {HEIGHT:g} times as high, and each step draws its training sample from "
            f"{_SAMPLES[self.symmetry]} of the training cases",
            f"{self._how_fetuses_lie} (the paper does not say how its fetuses lay)",
        ]
        paper = Profile(name="paper")
        if self.training_cases != paper.training_cases:
            lines.append(
                f"{self.training_cases} training and {self.cases - self.training_cases} test "
                "cases instead of 100 and 52"
            )
        if self.preset != paper.preset:
            lines.append(f"volumes of the preset {self.preset} instead of voxels of 0.5 mm")
        if (self.r4_scale, self.gcp_scale) != (paper.r4_scale, paper.gcp_scale):
            lines.append(
                f"input at scale {self.r4_scale:g} (R4) and {self.gcp_scale:g} (GCP) instead of "
                f"{paper.r4_scale:g} and {paper.gcp_scale:g}"
            )
        if self.widths != paper.widths:
            lines.append(
                f"channels {', '.join(map(str, self.widths))} instead of "
                f"{', '.join(map(str, paper.widths))} (the paper states no number; these are also "
                "our choice)"
            )
        if self.steps != paper.steps:
            lines.append(f"{self.steps} training steps instead of 16000 (20 epochs of 800)")
        if self.sigma_voxels != paper.sigma_voxels:
            lines.append(
                f"target Gaussians of {self.sigma_voxels:g} voxels instead of "
                f"{paper.sigma_voxels:g} (the paper states no number; this is also our choice)"
            )
        if self.decay_part:
            lines.append(
                f"the learning rate falls to 0 over the last {self.decay_part:.0%} of the steps"
            )
        if self.precision != paper.precision:
            lines.append("bfloat16 instead of float32")
        return tuple(lines)


@dataclass(frozen=True)
class Network:
    """One of the networks of the experiment.

    Attributes:
        family: architecture and training method.
        size: size of its input.
        for_tuning: whether it is trained without the last training cases, on which settings are
            then chosen.
    """

    family: Family
    size: Size
    for_tuning: bool = False

    @property
    def name(self) -> str:
        """Name such as Land-R4."""
        return f"{self.family}-{self.size}" + "-tuning" * self.for_tuning


SIZES: tuple[Size, ...] = get_args(Size)
TUNING_NETWORK = Network("Land", "R4", for_tuning=True)
NETWORKS = (
    *(Network(family, size) for family in ("Land", "RNN", "GAN", "GRU") for size in SIZES),
    Network("Sides", "R4"),
    Network("Pairs", "R4"),
    TUNING_NETWORK,
)
"""First those that most rows need; last the one for tuning."""

PROFILES = {
    profile.name: profile
    for profile in (
        Profile(name="paper"),
        Profile(
            name="cpu",
            r4_scale=0.16,
            gcp_scale=0.2,
            widths=(16, 32, 64, 128, 128),
            steps=6400,
            decay_part=0.3,
            sigma_voxels=2.4,
            precision="bf16-mixed",
        ),
        Profile(
            name="mini",
            cases=32,
            training_cases=24,
            preset="half",
            r4_scale=0.1,
            gcp_scale=0.125,
            widths=(8, 16, 32, 64, 64),
            steps=400,
            decay_part=0.3,
            sigma_voxels=2.0,
            precision="bf16-mixed",
        ),
    )
}
"""`paper` is the paper's recipe; `cpu` takes hours on two cores, `mini` some minutes."""
