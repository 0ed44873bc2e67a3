"""What an experiment is: its cohort, its networks, its rows, and what each profile changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, model_validator

from fetusmap.files.documents import Document
from fetusmap.network import HEIGHT
from fetusmap.refine import PaperRefinement
from fetusmap.train import PAPER, TrainingConfig

Family = Literal["Land", "RNN", "GAN"]
Size = Literal["R4", "GCP"]

STAGE_OF_FAMILY: dict[Family, str] = {"Land": "land", "RNN": "rnn", "GAN": "gan"}
FULL_SPACING_MM = 0.5
"""Of the paper's volumes; a scale of 0.4 makes voxels of 1.25 mm."""

COHORT = "cohort"
TRAINING_SPLIT, TEST_SPLIT = "train", "test"


class Profile(Document):
    """One size of the experiment.

    Attributes:
        name: of the profile.
        seed: of the cohort and of the networks.
        cases: simulated fetuses in all.
        training_cases: how many of them, the first ones, are trained on; their poses are the
            paper's library, of which ten make a support set.
        preset: of the simulated volumes.
        r4_scale: of the input of R4.
        gcp_scale: of the input of GCP, which is checkpointed as the paper does it.
        widths: channels at each level of the networks.
        steps: of each network's training.
        decay_part: last part of the steps, over which the learning rate falls to 0.
        sigma_voxels: standard deviation of the target Gaussians.
        precision: of training and prediction.
        checkpoint_minutes: between checkpoints of a training.
    """

    name: str
    seed: int = 2019
    cases: Annotated[int, Field(gt=PaperRefinement().support)] = 152
    training_cases: Annotated[int, Field(ge=PaperRefinement().support)] = 100
    preset: Literal["full", "mid", "half"] = "full"
    r4_scale: Annotated[float, Field(gt=0)] = 0.4
    gcp_scale: Annotated[float, Field(gt=0)] = 0.5
    widths: tuple[int, ...] = PAPER["widths"]
    steps: Annotated[int, Field(ge=1)] = PAPER["steps"]
    decay_part: Annotated[float, Field(ge=0, le=1)] = 0.0
    sigma_voxels: Annotated[float, Field(gt=0)] = PAPER["sigma_voxels"]
    precision: Literal["bf16-mixed", "32-true"] = "32-true"
    checkpoint_minutes: Annotated[float, Field(ge=0)] = 4.0

    @model_validator(mode="after")
    def _check_split(self) -> Self:
        if self.training_cases >= self.cases:
            raise ValueError("no case is left to test on")
        return self

    def training_config(self, network: Network) -> TrainingConfig:
        """How a network is trained."""
        changed: dict[str, Any] = {
            "stage": STAGE_OF_FAMILY[network.family],
            "seed": self.seed,
            "steps": self.steps,
            "decay_part": self.decay_part,
            "sigma_voxels": self.sigma_voxels,
            "widths": self.widths,
            "precision": self.precision,
            "dataset": COHORT,
            "split": TRAINING_SPLIT,
            "validation_cases": 0,
            "checkpoint_minutes": self.checkpoint_minutes,
            "spacing_mm": FULL_SPACING_MM / self.scale_of(network.size),
            "checkpointing": "paper" if network.size == "GCP" else "none",
        }
        return TrainingConfig(**(PAPER | changed))

    def scale_of(self, size: Size) -> float:
        """Of the input."""
        return self.r4_scale if size == "R4" else self.gcp_scale

    @property
    def differences(self) -> tuple[str, ...]:
        """What is not as in the paper, in words."""
        told = [
            f"{self.cases} simulated fetuses in place of 152 recorded ones: no millimetre here "
            "may be compared with one of the paper, only orders and relative gains",
            "each volume is normalised by its own statistics (batch normalisation at batch 1)",
            "grey levels are replaced by their ranks, as in the product",
            "of the rivals the paper tells little; here the GAN has a least-squares discriminator "
            "by regions, which learns a fifth as fast and whose opinion weighs 1 beside an L2 loss "
            "of tens; the RNN has 3 turns of a layer without gates",
            f"targets are {HEIGHT:g} times as high, and training samples are drawn anew in each "
            "step from all flips and right-angle rotations of the training cases",
        ]
        paper = Profile(name="paper")
        if self.training_cases != paper.training_cases:
            told.append(
                f"{self.training_cases} training and {self.cases - self.training_cases} test "
                "cases in place of 100 and 52"
            )
        if self.preset != paper.preset:
            told.append(f"volumes of the preset {self.preset} in place of voxels of 0.5 mm")
        if (self.r4_scale, self.gcp_scale) != (paper.r4_scale, paper.gcp_scale):
            told.append(
                f"input at scale {self.r4_scale:g} (R4) and {self.gcp_scale:g} (GCP) in place of "
                f"{paper.r4_scale:g} and {paper.gcp_scale:g}"
            )
        if self.widths != paper.widths:
            told.append(
                f"channels {', '.join(map(str, self.widths))} in place of "
                f"{', '.join(map(str, paper.widths))} (ours too; the paper does not tell its own)"
            )
        if self.steps != paper.steps:
            told.append(f"{self.steps} training steps in place of 16000 (20 epochs of 800)")
        if self.sigma_voxels != paper.sigma_voxels:
            told.append(
                f"target Gaussians of {self.sigma_voxels:g} voxels in place of "
                f"{paper.sigma_voxels:g} (ours too; the paper does not tell its own)"
            )
        if self.decay_part:
            told.append(
                f"the learning rate falls to 0 over the last {self.decay_part:.0%} of the steps"
            )
        if self.precision != paper.precision:
            told.append("bfloat16 in place of float32")
        return tuple(told)


@dataclass(frozen=True)
class Network:
    """One of the six that are trained.

    Attributes:
        family: how it learns.
        size: of its input.
    """

    family: Family
    size: Size

    @property
    def name(self) -> str:
        """Such as Land-R4."""
        return f"{self.family}-{self.size}"


FAMILIES: tuple[Family, ...] = get_args(Family)
SIZES: tuple[Size, ...] = get_args(Size)
NETWORKS = tuple(Network(family, size) for family in FAMILIES for size in SIZES)
"""In the order in which they are trained: what most rows need comes first."""

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
"""`paper` is the paper's recipe; `cpu` finishes in hours on two cores, `mini` in some minutes."""
