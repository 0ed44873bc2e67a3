"""Training configurations: one type per stage, with the reason beside each default.

A stage is one kind of network: a pass of the two-pass model (coarse, canonical), the paper's
network (land), or one of the two networks that the paper compares it with (gan, rnn).
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias, get_args

from pydantic import Field, model_validator

from fetusmap.errors import BadInput
from fetusmap.files import Document, parse_document
from fetusmap.network import (
    LandSpec,
    LandWidths,
    NetworkSpec,
    RecurrentLandSpec,
    UNetSpec,
    UNetWidths,
)
from fetusmap.network.recurrent import TURNS
from fetusmap.network.spec import Turns, Widths

CALIBRATION_SEED = 3
"""Seed of the simulated cases on which the confidences of a model are calibrated."""

MAX_UNET_LEVELS = 4
"""Largest number of levels at which the input of the two-pass model can be halved evenly."""

PAPER_STEPS = 16_000
"""Optimiser steps of the paper: 20 epochs of 800 volumes."""

Symmetry = Literal["right-angles", "flips", "sagittal-flip"]
StageName = Literal["coarse", "canonical", "land", "gan", "rnn"]


class _Config(Document):
    """Fields of every stage.

    Attributes:
        seed: seed of the weights and of every sample.
        steps: optimiser steps; None plans them from `minutes` after the first steps.
        minutes: duration of the training if `steps` is None.
        learning_rate: learning rate after the warm-up.
        warmup: steps over which the learning rate grows linearly.
        decay_part: last fraction of the steps, over which the learning rate falls to 0 linearly.
        clip: largest norm of the gradient; None does not limit it.
        average: decay of the moving average of the weights, which becomes the trained network.
        sigma_voxels: standard deviation of the target Gaussians, heatmap voxels.
        widths: channels at each level of the network.
        intensities: augment the grey levels of samples, not only their grids.
        precision: "bf16-mixed" or "32-true", see lightning-fabric.
        init: starting weights: a safetensors file, or a model folder, whose pass of the same kind
            is taken. Tensors whose names and shapes fit are copied; None starts from fresh weights.
        dataset: folder of a dataset to train on; None for simulated cases.
        split: split of that dataset to train on; all of its cases if it has no splits.
        validation_split: split of that dataset that is held out.
        cases: size of the pool of simulated cases; every sample is an augmentation of one of them.
        case_seed: seed of the pool.
        validation_cases: number of samples of held-out cases on which the network is validated.
        validation_seed: seed of simulated held-out cases.
        validate_every: steps between validations.
        checkpoint_minutes: minutes between checkpoints.
    """

    stage: StageName
    seed: int = 0
    steps: Annotated[int, Field(ge=1)] | None = None
    minutes: Annotated[float, Field(gt=0)] = 60.0
    learning_rate: Annotated[float, Field(gt=0)]
    warmup: Annotated[int, Field(ge=0)]
    decay_part: Annotated[float, Field(ge=0, le=1)]
    clip: Annotated[float, Field(gt=0)] | None
    average: Annotated[float, Field(ge=0, lt=1)]
    sigma_voxels: Annotated[float, Field(gt=0)]
    widths: Widths
    intensities: bool
    precision: Literal["bf16-mixed", "32-true"]
    init: str | None = None
    dataset: str | None = None
    split: str = "train"
    validation_split: str = "val"
    cases: Annotated[int, Field(ge=1)] = 6000
    case_seed: int = 1
    validation_cases: Annotated[int, Field(ge=0)] = 48
    validation_seed: int = 2
    validate_every: Annotated[int, Field(ge=1)] = 1000
    checkpoint_minutes: Annotated[float, Field(ge=0)] = 4.0

    @model_validator(mode="after")
    def _check_seeds(self) -> Self:
        if self.dataset is None and self.case_seed == CALIBRATION_SEED:
            raise ValueError(f"case_seed {CALIBRATION_SEED} makes the cases of the calibration")
        return self


class _UNetConfig(_Config):
    """Fields of the two passes of the two-pass model.

    Attributes:
        batch: volumes per step. Two keep two cores busy; group normalisation needs no more.
        learning_rate: 1.5e-3 to 4e-3 do equally well.
        weight_decay: decoupled weight decay of the kernels.
    """

    batch: Annotated[int, Field(ge=1)] = 2
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    warmup: Annotated[int, Field(ge=0)] = 200
    decay_part: Annotated[float, Field(ge=0, le=1)] = 0.3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    clip: Annotated[float, Field(gt=0)] | None = 3.0
    average: Annotated[float, Field(ge=0, lt=1)] = 0.998
    sigma_voxels: Annotated[float, Field(gt=0)] = 1.0
    widths: Widths = UNetWidths().levels
    intensities: bool = True
    precision: Literal["bf16-mixed", "32-true"] = "bf16-mixed"

    @model_validator(mode="after")
    def _check_widths(self) -> Self:
        if len(self.widths) > MAX_UNET_LEVELS:
            raise ValueError(f"the input halves evenly for {MAX_UNET_LEVELS} widths at most")
        return self

    @property
    def network(self) -> NetworkSpec:
        """The network to train."""
        return UNetSpec(widths=self.widths)


class CoarseConfig(_UNetConfig):
    """Training of the first pass, which finds the body in the whole volume."""

    stage: Literal["coarse"] = "coarse"


class CanonicalConfig(_UNetConfig):
    """Training of the second pass, which predicts in the body's frame."""

    stage: Literal["canonical"] = "canonical"


class _LandConfig(_Config):
    """Fields of the paper's network in all its variants.

    The defaults are the paper's recipe (Yang et al. 2019). The paper does not state the widths,
    see `LandWidths`, nor the width of the Gaussians.

    Attributes:
        spacing_mm: voxel size of the input; 0.5 mm over the paper's scale, so 1.25 for 0.4 and
            1.0 for 0.5.
        checkpointing: gradient checkpointing policy, see `fetusmap.network`.
        symmetry: how samples are turned and flipped along the volume's axes: "right-angles" (all 48
            ways), "flips" (the eight flips, which keep the four clinical presentations of the
            simulator), or "sagittal-flip" (across the median plane, which keeps each of them).
        pair_channels: predict both landmarks of a mirror pair in one channel, without their sides.
        side_weight: weight of the cross-entropy of left against right beside the squared errors,
            which are of the order of tens; 0 is the paper's plain L2.
        own_statistics: normalise each volume by its own statistics. With running statistics,
            which a batch of one makes uncertain, errors were larger by half.
    """

    batch: ClassVar[int] = 1
    """One volume per step: their shapes differ."""

    steps: Annotated[int, Field(ge=1)] | None = PAPER_STEPS
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    warmup: Annotated[int, Field(ge=0)] = 0
    decay_part: Annotated[float, Field(ge=0, le=1)] = 0.0
    clip: Annotated[float, Field(gt=0)] | None = None
    average: Annotated[float, Field(ge=0, lt=1)] = 0.0
    sigma_voxels: Annotated[float, Field(gt=0)] = 2.0
    widths: Widths = LandWidths().levels
    intensities: bool = False
    precision: Literal["bf16-mixed", "32-true"] = "32-true"
    spacing_mm: Annotated[float, Field(gt=0.1, lt=10)] = 1.25
    checkpointing: Literal["none", "norms", "paper", "lean", "blocks"] = "none"
    symmetry: Symmetry = "right-angles"
    pair_channels: bool = False
    side_weight: Annotated[float, Field(ge=0)] = 0.0
    own_statistics: bool = True

    @model_validator(mode="after")
    def _check_sides(self) -> Self:
        if self.pair_channels and self.side_weight:
            raise ValueError("side_weight needs a channel for each side, so no pair_channels")
        return self

    @property
    def network(self) -> NetworkSpec:
        """The network to train."""
        return LandSpec(widths=self.widths, own_statistics=self.own_statistics)


class LandConfig(_LandConfig):
    """Training of the paper's network."""

    stage: Literal["land"] = "land"


class GanConfig(_LandConfig):
    """Training of the paper's network against a discriminator, which is not needed afterwards.

    Attributes:
        adversarial_weight: weight of the adversarial loss; the squared errors are of the order of
            tens.
        discriminator_rate: learning rate of the discriminator, as a fraction of the network's. A
            small one delays the moment from which it distinguishes all heatmaps, but does not
            prevent it.
        spectral: normalise the kernels of the discriminator by their largest singular value.
    """

    stage: Literal["gan"] = "gan"
    adversarial_weight: Annotated[float, Field(ge=0)] = 1.0
    discriminator_rate: Annotated[float, Field(gt=0, le=10)] = 0.2
    spectral: bool = False


class RnnConfig(_LandConfig):
    """Training of the paper's network with a recurrent layer.

    Attributes:
        recurrent_turns: times that the recurrent layer is applied.
        gated: whether the recurrent layer has gates; the paper names none.
    """

    stage: Literal["rnn"] = "rnn"
    recurrent_turns: Turns = TURNS
    gated: bool = False

    @property
    def network(self) -> NetworkSpec:
        """The network to train."""
        return RecurrentLandSpec(
            widths=self.widths,
            own_statistics=self.own_statistics,
            turns=self.recurrent_turns,
            gated=self.gated,
        )


TrainingConfig: TypeAlias = Annotated[
    CoarseConfig | CanonicalConfig | LandConfig | GanConfig | RnnConfig,
    Field(discriminator="stage"),
]
"""The configuration of one run; it is written into the run folder before the first step."""

WholeVolumeConfig: TypeAlias = LandConfig | GanConfig | RnnConfig

CONFIG_OF_STAGE: dict[
    str, type[CoarseConfig | CanonicalConfig | LandConfig | GanConfig | RnnConfig]
] = {
    "coarse": CoarseConfig,
    "canonical": CanonicalConfig,
    "land": LandConfig,
    "gan": GanConfig,
    "rnn": RnnConfig,
}

PAPER = LandConfig()
"""The paper's recipe."""

EARLIER_FIELDS = frozenset(
    name for config in CONFIG_OF_STAGE.values() for name in config.model_fields
) | {"batch", "weight_decay"}
"""Fields of configuration files of version 0.1, which had those of all stages."""


def parse_training_config(data: object, subject: object) -> TrainingConfig:
    """Check the plain data of a configuration.

    Args:
        data: the fields; `stage` chooses the type.
        subject: where the data come from.

    Raises:
        BadInput: the first thing that does not fit, in one line.
    """
    stage = data.get("stage") if isinstance(data, dict) else None
    if not isinstance(stage, str) or stage not in CONFIG_OF_STAGE:
        raise BadInput(
            subject,
            expected=f"a training configuration with a stage, {', '.join(get_args(StageName))}",
            found=f"stage {stage!r}",
            remedy="name one of them",
        )
    return parse_document(CONFIG_OF_STAGE[stage], data, subject)


def parse_earlier_config(data: object, subject: object) -> TrainingConfig:
    """Check the data of a configuration file, which may have fields of all stages.

    Version 0.1 wrote the fields of all stages into every file; those of other stages are ignored.

    Raises:
        BadInput: the first thing that does not fit, in one line.
    """
    if isinstance(data, dict) and data.get("stage") in CONFIG_OF_STAGE:
        known = CONFIG_OF_STAGE[data["stage"]].model_fields
        data = {k: v for k, v in data.items() if k in known or k not in EARLIER_FIELDS}
    return parse_training_config(data, subject)


def recipe_of(config: TrainingConfig) -> dict[str, Any]:
    """Return the fields of a configuration that affect its network, as plain data."""
    unused = {"cases", "case_seed"} if config.dataset else {"split", "validation_split"}
    unused |= {"init"} if config.init is None else set()
    return config.model_dump(mode="json", exclude=unused)
