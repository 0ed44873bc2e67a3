"""Training of the six networks of the experiment, and the files of their weights."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save

from fetusmap.dataset import load_dataset
from fetusmap.detect import Detector
from fetusmap.experiment.cohort import cases_to_train_on
from fetusmap.experiment.profile import COHORT, Network, Profile
from fetusmap.experiment.resources import Cost, measured
from fetusmap.files import write_bytes, write_text
from fetusmap.train import CasePool, RunFolder, fabric_for, pool_of_dataset, stage_of, train

NETWORKS_FOLDER = "networks"
WEIGHTS_FILE = "network.safetensors"
COSTS_FILE = "costs.json"


def train_network(folder: Path, profile: Profile, network: Network, device: str = "cpu") -> Cost:
    """Train a network, or continue its training, and write its weights.

    On a processor the training uses one thread. Networks can therefore be trained side by side, and
    their losses do not depend on how many there are.

    Args:
        folder: folder of the experiment.
        profile: profile of the experiment.
        network: the network to train.
        device: "cpu" or "cuda".

    Returns:
        The cost of the whole training, also of the steps before an interruption.
    """
    torch.set_num_threads(1)
    config = profile.training_config(network)
    run = RunFolder(folder / NETWORKS_FOLDER / network.name, config)
    with measured(device) as now:
        trained = train(
            config,
            run,
            folder / "cache",
            pool=training_pool(folder, profile, network),
            fabric=fabric_for(config, device),
            workers=0 if device == "cpu" else 4,
        )
    costs = run.folder / COSTS_FILE
    if not costs.exists():  # otherwise only the weights are written again
        costs_of_steps = {"seconds": seconds_of(run), "peak_bytes": now.peak_bytes}
        write_text(costs, json.dumps(costs_of_steps) + "\n")
    path = weights_path(folder, network)
    write_bytes(path, save({n: t.cpu().contiguous() for n, t in trained.state_dict().items()}))
    return Cost(**json.loads(costs.read_text()))


def weights_path(folder: Path, network: Network) -> Path:
    """Return the file of a trained network's weights."""
    return folder / NETWORKS_FOLDER / network.name / WEIGHTS_FILE


def seconds_of(run: RunFolder) -> float:
    """Return the wall time of all steps, also of those before an interruption."""
    clock = total = 0.0
    for line in run.metrics.read_text().splitlines():
        now = json.loads(line)["seconds"]
        total += now - clock if now > clock else now  # a resumed process starts at 0
        clock = now
    return round(total, 1)


def training_pool(folder: Path, profile: Profile, network: Network) -> CasePool:
    """Return the training cases of a network, resampled once to its voxels."""
    spacing_mm = profile.training_config(network).spacing_mm
    cases = cases_to_train_on(folder, profile, network)
    return pool_of_dataset(cases, folder / "cache", spacing_mm)


def load_network(folder: Path, profile: Profile, network: Network, device: str) -> Detector:
    """Load a trained network as a detector."""
    config = profile.training_config(network)
    stage = stage_of(config, load_dataset(folder / COHORT).skeleton)
    built = stage.build()
    built.load_state_dict(load_file(weights_path(folder, network)))
    built.requires_grad_(requires_grad=False).eval().to(device)
    return Detector(built, stage.input_grid, stage.channels, sigma_voxels=config.sigma_voxels)
