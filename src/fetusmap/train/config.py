"""Everything that decides how a network is trained, with the reason beside each default."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from fetusmap.files.documents import Document
from fetusmap.network import LandWidths

CALIBRATION_SEED = 3
"""Of the simulated cases that tell how far a model can be trusted."""

MOST_LEVELS = 4

StageName = Literal["coarse", "canonical", "land", "gan", "rnn"]

WHOLE_VOLUME = ("land", "gan", "rnn")
"""Stages of the paper's network and its rivals."""


class TrainingConfig(Document):
    """The configuration of one run; written into the run folder before the first step.

    Attributes:
        stage: a pass of the product's cascade, or "land", the paper's network, or a rival of it.
        seed: of the weights and of every sample.
        steps: optimiser steps; None until the first steps have told how many fit into `minutes`.
        minutes: of training, when `steps` is None.
        batch: volumes per step. Two fill two cores; group normalisation does not ask for more.
        learning_rate: after the warm-up; 1.5e-3 to 4e-3 do equally well.
        warmup: steps of linearly growing learning rate.
        decay_part: last part of the steps, over which the learning rate falls to 0 linearly.
        weight_decay: of the kernels, decoupled.
        clip: largest norm of the gradient; None for any.
        average: decay of the moving average of the weights, which is what is kept.
        sigma_voxels: standard deviation of the target Gaussians, heatmap voxels.
        widths: channels at each level of the network.
        intensities: change the grey levels of samples, not only where they are looked at.
        dataset: folder of a dataset to train on; None for simulated cases.
        split: of that dataset; all of its cases where it has no splits.
        validation_split: of that dataset, held out; simulated cases are where it has none.
        cases: size of the pool of simulated cases; every sample is one of them, seen anew.
        case_seed: of the pool.
        validation_cases: held-out cases, from a seed of their own.
        validate_every: steps.
        checkpoint_minutes: between checkpoints.
        precision: "bf16-mixed" or "32-true", see lightning-fabric.
        spacing_mm: of the paper's network; 0.5 mm over its scale, so 1.25 for 0.4 and 1.0 for 0.5.
        checkpointing: policy of the paper's network, see `fetusmap.network`.
        own_statistics: of the paper's network: normalise each volume by its own statistics. With
            running ones, which a batch of one makes uncertain, errors were half as large again.
        adversarial_weight: of the discriminator's opinion in the stage gan, beside squared errors
            of tens.
        recurrent_turns: of the stage rnn.
    """

    stage: StageName
    seed: int = 0
    steps: Annotated[int, Field(ge=1)] | None = None
    minutes: Annotated[float, Field(gt=0)] = 60.0
    batch: Annotated[int, Field(ge=1)] = 2
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    warmup: Annotated[int, Field(ge=0)] = 200
    decay_part: Annotated[float, Field(ge=0, le=1)] = 0.3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    clip: Annotated[float, Field(gt=0)] | None = 3.0
    average: Annotated[float, Field(ge=0, lt=1)] = 0.998
    sigma_voxels: Annotated[float, Field(gt=0)] = 1.0
    widths: Annotated[
        tuple[Annotated[int, Field(ge=8, multiple_of=8, le=1024)], ...],
        Field(min_length=1, max_length=6),
    ] = (32, 64, 128, 160)
    intensities: bool = True
    dataset: str | None = None
    split: str = "train"
    validation_split: str = "val"
    cases: Annotated[int, Field(ge=1)] = 6000
    case_seed: int = 1
    validation_cases: Annotated[int, Field(ge=0)] = 48
    validation_seed: int = 2
    validate_every: Annotated[int, Field(ge=1)] = 1000
    checkpoint_minutes: Annotated[float, Field(ge=0)] = 4.0
    precision: Literal["bf16-mixed", "32-true"] = "bf16-mixed"
    spacing_mm: Annotated[float, Field(gt=0.1, lt=10)] = 1.25
    checkpointing: Literal["none", "norms", "paper", "lean", "blocks"] = "none"
    own_statistics: bool = True
    adversarial_weight: Annotated[float, Field(ge=0)] = 1.0
    recurrent_turns: Annotated[int, Field(ge=1, le=10)] = 3

    @model_validator(mode="after")
    def _check_stage(self) -> Self:
        if self.stage in WHOLE_VOLUME:
            if self.batch != 1:
                raise ValueError(f"{self.stage} takes one volume at a time: their shapes differ")
            return self
        if {"spacing_mm", "checkpointing"} & self.model_fields_set and (
            self.spacing_mm != 1.25 or self.checkpointing != "none"
        ):
            raise ValueError("spacing_mm and checkpointing are of the stage land")
        if len(self.widths) > MOST_LEVELS:
            raise ValueError(f"the input halves evenly for {MOST_LEVELS} widths at most")
        if self.dataset is None and self.case_seed == CALIBRATION_SEED:
            raise ValueError(f"case_seed {CALIBRATION_SEED} makes the cases of the calibration")
        return self


PAPER: dict[str, Any] = {
    "steps": 16_000,  # 20 epochs of 800 volumes
    "batch": 1,
    "learning_rate": 1e-3,
    "warmup": 0,
    "decay_part": 0.0,
    "weight_decay": 0.0,
    "clip": None,
    "average": 0.0,
    "intensities": False,
    "sigma_voxels": 2.0,  # not in the paper
    "widths": LandWidths().levels,  # not in the paper, see there
    "precision": "32-true",
}
"""The paper's recipe for "land", where it differs from our defaults (Yang et al. 2019)."""
