"""The six networks of the experiment: training, and their weights as files."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save

from fetusmap.anatomy import load_skeleton
from fetusmap.dataset import load_dataset
from fetusmap.detect import Detector
from fetusmap.experiment.profile import COHORT, TRAINING_SPLIT, Network, Profile
from fetusmap.experiment.resources import Cost, measured
from fetusmap.files.writing import write_bytes, write_text
from fetusmap.train import CasePool, RunFolder, fabric_for, pool_of_dataset, stage_of, train

NETWORKS_FOLDER = "networks"
WEIGHTS_FILE = "network.safetensors"
COSTS_FILE = "costs.json"


def train_network(folder: Path, profile: Profile, network: Network, device: str = "cpu") -> Cost:
    """Train a network, or go on with one, and write its weights.

    On a processor it takes one thread, so that networks are trained side by side and the losses
    do not depend on how many.

    Args:
        folder: of the experiment.
        profile: of the experiment.
        network: which one.
        device: "cpu" or "cuda".

    Returns:
        What all of its training has cost.
    """
    torch.set_num_threads(1)
    config = profile.training_config(network)
    run = RunFolder(folder / NETWORKS_FOLDER / network.name, config)
    with measured(device) as now:
        trained = train(
            config,
            run,
            folder / "cache",
            pool=training_pool(folder, config.spacing_mm),
            fabric=fabric_for(config, device),
            workers=0 if device == "cpu" else 4,
        )
    costs = run.folder / COSTS_FILE
    if not costs.exists():  # whoever only writes the weights again has trained nothing
        costs_of_steps = {"seconds": seconds_of(run), "peak_bytes": now.peak_bytes}
        write_text(costs, json.dumps(costs_of_steps) + "\n")
    path = weights_path(folder, network)
    write_bytes(path, save({n: t.cpu().contiguous() for n, t in trained.state_dict().items()}))
    return Cost(**json.loads(costs.read_text()))


def weights_path(folder: Path, network: Network) -> Path:
    """Where the weights of a trained network are."""
    return folder / NETWORKS_FOLDER / network.name / WEIGHTS_FILE


def seconds_of(run: RunFolder) -> float:
    """Wall time of all steps, also of those before an interruption."""
    clock = total = 0.0
    for line in run.metrics.read_text().splitlines():
        now = json.loads(line)["seconds"]
        total += now - clock if now > clock else now  # a process that goes on starts its own clock
        clock = now
    return round(total, 1)


def training_pool(folder: Path, spacing_mm: float) -> CasePool:
    """The training cases of an experiment's cohort, brought to the network's voxels once."""
    cohort = load_dataset(folder / COHORT)
    return pool_of_dataset(cohort.split(TRAINING_SPLIT), folder / "cache", spacing_mm)


def load_network(folder: Path, profile: Profile, network: Network, device: str) -> Detector:
    """A trained network as a detector."""
    config = profile.training_config(network)
    stage = stage_of(config, load_skeleton())
    built = stage.build()
    built.load_state_dict(load_file(weights_path(folder, network)))
    built.requires_grad_(requires_grad=False).eval().to(device)
    return Detector(built, stage.look, stage.channels, sigma_voxels=config.sigma_voxels)
