"""What all peers share: their input, the clock, and where their results go."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from fetusmap.anatomy import Pose, Provenance, Skeleton
from fetusmap.dataset import Case, load_dataset
from fetusmap.experiment.plan import PROFILE_FILE
from fetusmap.experiment.predicting import COSTS
from fetusmap.experiment.profile import (
    COHORT,
    FULL_SPACING_MM,
    TEST_SPLIT,
    TRAINING_SPLIT,
    Profile,
)
from fetusmap.experiment.resources import Cost, measured
from fetusmap.experiment.rows import PEERS
from fetusmap.experiment.training import COSTS_FILE, NETWORKS_FOLDER
from fetusmap.files.documents import parse_document, read_json
from fetusmap.files.writing import atomic_path, write_text
from fetusmap.geometry import Grid
from fetusmap.io import save_pose
from fetusmap.network import one_thread
from fetusmap.preprocess import prepare
from fetusmap.threads import one_blas_thread
from fetusmap.types import FloatArray, Points3
from fetusmap.volume import Volume

NETWORKS = "peer-networks"
"""Folder of an experiment that keeps what the peers have learned."""

SECONDS_BETWEEN_LINES = 30.0


@dataclass(frozen=True)
class Setup:
    """What the experiment gives to every peer.

    Attributes:
        spacing_mm: of the input, that of the R4 rows.
        sigma_voxels: of the experiment's own target Gaussians.
        decay_part: last part of the training, over which learning rates fall to 0.
        half: whether networks compute in bfloat16.
        seed: of everything that is drawn.
        skeleton: names the landmarks.
    """

    spacing_mm: float
    sigma_voxels: float
    decay_part: float
    half: bool
    seed: int
    skeleton: Skeleton


@dataclass(frozen=True, eq=False)
class Input:
    """A volume as all peers see it.

    Attributes:
        image: (1, I, J, K) float32, 0 to 1; zeros behind the volume's end on each axis.
        grid: where its voxels are.
    """

    image: torch.Tensor
    grid: Grid


@dataclass(frozen=True, eq=False)
class Example:
    """What a peer learns from.

    Attributes:
        image: (1, I, J, K) float32.
        indices: (N, 3) float32 landmarks in voxels of the image; NaN where not visible.
    """

    image: torch.Tensor
    indices: torch.Tensor


Found = tuple[Points3, FloatArray]
"""(N, 3) positions, mm, and (N,) confidences from 0 to 1."""


@dataclass(frozen=True)
class Peer:
    """A tool and its recipe.

    Attributes:
        name: of its row.
        about: one or two sentences.
        multiple: its network wants axes that are multiples of this.
        build: everything that learns, as one module.
        optimizer: for that module.
        draw: endless augmented examples of the training cases.
        loss: of one example.
        locate: finds the landmarks of an input.
    """

    name: str
    about: str
    multiple: int
    build: Callable[[Setup], nn.Module]
    optimizer: Callable[[nn.Module], torch.optim.Optimizer]
    draw: Callable[[Sequence[Example], Setup], Iterator[Example]]
    loss: Callable[[nn.Module, Example, Setup], torch.Tensor]
    locate: Callable[[nn.Module, Input, Setup], Found]


def minutes_of_land(folder: Path) -> float:
    """What the row of the same input was given: the minutes that Land-R4 was trained for."""
    path = folder / NETWORKS_FOLDER / "Land-R4" / COSTS_FILE
    if not path.exists():
        raise SystemExit(f"{path}: not found; train Land-R4 before, or tell --minutes")
    return round(float(json.loads(path.read_text())["seconds"]) / 60, 1)


def run_peer(peer: Peer, folder: Path, minutes: float, seed: int) -> None:
    """Train a peer and write its row."""
    setup = read_setup(folder, seed)
    with single_thread(), measured() as cost:
        trained, steps = train(peer, load_examples(peer, folder, setup), setup, minutes)
    stored = {"minutes": minutes, "steps": steps, "state": trained.state_dict()}
    path = checkpoint_path(folder, peer)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        torch.save(stored, temporary)
    write_cost(cost, folder / COSTS / f"{peer.name}.json")
    del trained  # a case shall not pay for the training's memory
    predict_peer(peer, folder, seed)


def predict_peer(peer: Peer, folder: Path, seed: int) -> None:
    """Write the row of a peer that was trained before."""
    setup = read_setup(folder, seed)
    stored = torch.load(checkpoint_path(folder, peer), weights_only=True)
    trained = peer.build(setup)
    trained.load_state_dict(stored["state"])
    about = (
        f"{peer.about} Trained on the experiment's training cases, at the voxels of the R4 rows, "
        f"for {stored['minutes']:g} min ({stored['steps']} steps) on one thread."
    )
    with tempfile.TemporaryDirectory(dir=folder, prefix=".peer-") as temporary:
        row = Path(temporary) / peer.name
        row.mkdir()
        for case in load_dataset(folder / COHORT).split(TEST_SPLIT):
            pose, cost = predict_case(peer, trained, case, setup)
            save_pose(pose, row / f"{case.name}.json")
            write_cost(cost, folder / COSTS / peer.name / f"{case.name}.json")
        write_text(row / "about.txt", about + "\n")
        move_into_place(row, folder / PEERS / peer.name)


def read_setup(folder: Path, seed: int) -> Setup:
    """Read the settings of the R4 rows from the profile of an experiment."""
    path = folder / PROFILE_FILE
    profile = parse_document(Profile, read_json(path), path)
    return Setup(
        spacing_mm=FULL_SPACING_MM / profile.r4_scale,
        sigma_voxels=profile.sigma_voxels,
        decay_part=profile.decay_part,
        half=profile.precision == "bf16-mixed",
        seed=seed,
        skeleton=load_dataset(folder / COHORT).skeleton,
    )


def load_examples(peer: Peer, folder: Path, setup: Setup) -> list[Example]:
    """Prepare the training cases."""
    return [
        example_of(case.load_pose(), prepare_input(case.load_volume(), setup, peer.multiple))
        for case in load_dataset(folder / COHORT).split(TRAINING_SPLIT)
    ]


def prepare_input(volume: Volume, setup: Setup, multiple: int) -> Input:
    """Bring a volume to the experiment's spacing and its grey levels to 0..1.

    Args:
        volume: as it was scanned.
        setup: of the experiment.
        multiple: axes are filled up with zeros to a multiple of this, and to two of them at least.
    """
    prepared = prepare(volume, setup.spacing_mm).volume
    after = [max(2, -(-n // multiple)) * multiple - n for n in prepared.grid.shape]
    grey = torch.from_numpy(prepared.array).float() / 255
    image = F.pad(grey, [n for axis in reversed(after) for n in (0, axis)])
    return Input(image[None], prepared.grid.pad((0, 0, 0), after))


def example_of(pose: Pose, prepared: Input) -> Example:
    """Put an annotation beside its input; what lies outside the volume is not shown."""
    visible = (pose.confidence > 0)[:, None]
    indices = np.where(visible, prepared.grid.to_index(pose.positions_mm), np.nan)
    return Example(prepared.image, torch.from_numpy(indices).float())


def train(
    peer: Peer, examples: Sequence[Example], setup: Setup, minutes: float
) -> tuple[nn.Module, int]:
    """Train for some minutes, one example per step, and return the network and the number of steps.

    The number of steps depends on the machine, so no two runs give the same weights.
    """
    torch.manual_seed(setup.seed)
    module = peer.build(setup).train()
    optimizer = peer.optimizer(module)
    rates = [group["lr"] for group in optimizer.param_groups]
    start = reported = time.perf_counter()
    for step, example in enumerate(peer.draw(examples, setup)):
        now = time.perf_counter()
        passed = (now - start) / (60 * minutes)
        if passed >= 1:
            return module, step
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * rate_factor(passed, setup.decay_part)
        loss = peer.loss(module, example, setup)
        if not loss.isfinite():
            raise FloatingPointError(f"{peer.name}: the loss of step {step} is not finite")
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        if now - reported > SECONDS_BETWEEN_LINES:
            reported = now
            print(f"{peer.name}: step {step}, loss {loss.item():.5g}, {passed:.0%}", flush=True)
    raise AssertionError("examples are drawn without end")


def rate_factor(passed: float, decay_part: float) -> float:
    """Part of the learning rate that is left: 1, then a straight line to 0."""
    return min(1.0, (1 - passed) / decay_part) if decay_part else 1.0


def predict_case(peer: Peer, trained: nn.Module, case: Case, setup: Setup) -> tuple[Pose, Cost]:
    """Find the pose of a case and measure the cost; reading its file is not counted."""
    volume = case.load_volume()
    trained.eval()
    with single_thread(), measured() as cost, torch.inference_mode():
        prepared = prepare_input(volume, setup, peer.multiple)
        positions, confidence = peer.locate(trained, prepared, setup)
    provenance = Provenance(notes={"peer": peer.name})
    return Pose(setup.skeleton, positions, confidence, provenance=provenance), cost


def predict_maps(network: nn.Module, image: torch.Tensor, setup: Setup) -> torch.Tensor:
    """Apply a network to one (1, I, J, K) image, at the experiment's precision: (N, I, J, K)."""
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=setup.half):
        maps: torch.Tensor = network(image[None])
    return maps[0].float()


def compute_small_in_float32(network: nn.Module) -> nn.Module:
    """Make convolutions whose kernel is larger than their input compute in float32.

    In bfloat16 torch 2.13 on processors computes their weight gradients wrongly, up to infinity.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
            convolve = partial(_convolve, module.forward, module.kernel_size)
            module.forward = convolve  # type: ignore[method-assign]
    return network


def _convolve(
    forward: Callable[..., torch.Tensor], kernel: Sequence[int], x: torch.Tensor, *rest: object
) -> torch.Tensor:
    if all(n >= k for n, k in zip(x.shape[2:], kernel, strict=True)):
        return forward(x, *rest)
    with torch.autocast("cpu", enabled=False):
        return forward(x.float(), *rest)


@contextmanager
def single_thread() -> Iterator[None]:
    """As the experiment trains and predicts."""
    with one_thread(), one_blas_thread():
        yield


def checkpoint_path(folder: Path, peer: Peer) -> Path:
    """Path of the weights of a trained peer."""
    return folder / NETWORKS / f"{peer.name}.pt"


def write_cost(cost: Cost, path: Path) -> None:
    """Write a cost as the experiment reads it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = {"seconds": round(cost.seconds, 4), "peak_bytes": cost.peak_bytes}
    write_text(path, json.dumps(plain) + "\n")


def move_into_place(finished: Path, place: Path) -> None:
    """Replace an older folder by a finished one; a killed run leaves none or a complete one."""
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(place, ignore_errors=True)
    finished.replace(place)
