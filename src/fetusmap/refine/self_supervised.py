"""Self-supervised refinement at test time after Yang et al. (MICCAI 2019).

The network is trained on each volume for a few steps. Each step predicts a pose, finds the atlases
that fit it best, and uses the mean of their Gaussian maps as a proxy of the unknown annotation.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from fetusmap.anatomy import Skeleton
from fetusmap.atlas import PoseLibrary, SupportSet, find_support, usable_atlases
from fetusmap.detect import Detection, Detector, detection_from_heatmaps, predict_on
from fetusmap.errors import DegenerateAlignment
from fetusmap.geometry import Grid
from fetusmap.heatmap import Heatmaps, encode, find_peaks
from fetusmap.network import has_fast_bfloat16, one_thread
from fetusmap.refine.changes import changes_between
from fetusmap.refine.refinement import FITS_WORSE, TOO_FEW, Iteration, Refinement, fits_worse
from fetusmap.types import FloatArray
from fetusmap.volume import Volume


@dataclass(frozen=True)
class TrainingRefinement:
    """Settings of the refinement by training at test time; the defaults are those of the paper.

    Attributes:
        iterations: steps of gradient descent.
        learning_rate: learning rate of Adam.
        betas: decay rates of Adam. The paper states the first one for the training only.
        support: K, number of atlases whose mean is the label proxy.
        registration: landmarks that determine the rigid alignment; None for those that the skeleton
            names, which are the paper's for fetus-16.
        guarded: reject the refined pose if it fits the model's library worse. The paper accepts the
            refined pose in any case.
    """

    iterations: int = 6
    learning_rate: float = 5e-4
    betas: tuple[float, float] = (0.9, 0.999)
    support: int = 10
    registration: tuple[str, ...] | None = None
    guarded: bool = False


def refine_by_training(
    detector: Detector,
    detection: Detection,
    atlases: PoseLibrary,
    model_library: PoseLibrary,
    prepared: Volume,
    settings: TrainingRefinement = TrainingRefinement(),
    *,
    flip_average: bool = True,
    half: bool | None = None,
) -> Refinement:
    """Train a copy of the last network of a pipeline on one volume, and predict with it again.

    Weights and buffers of the detector are never changed, so the results of a cohort do not depend
    on its order. Running statistics of batch normalisation are used as they are and are not
    updated; a network that normalises each volume by its own statistics continues to do so.

    Args:
        detector: the last pass of the pipeline, with one channel per landmark.
        detection: what the pipeline detected.
        atlases: pose library to refine with; the paper uses the poses of the training cases.
        model_library: the model's own pose library, which assesses the result.
        prepared: the prepared volume, see `fetusmap.preprocess.prepare`.
        settings: numbers of the refinement.
        flip_average: average the last heatmaps with those of the mirror image.
        half: compute in bfloat16; None does so where bfloat16 is fast.

    Raises:
        BadInput: the library has fewer usable atlases than the support set needs.
    """
    atlases = usable_atlases(atlases, settings.support)
    skeleton, grid = model_library.skeleton, detection.input_grid
    trained = replace(detector, network=copy.deepcopy(detector.network))
    iterations: list[Iteration] = []
    try:
        iterations += tune(trained, atlases, prepared, grid, settings, half=half)
        heatmaps = predict_on(
            trained, skeleton, prepared, grid, flip_average=flip_average, half=half
        )
        refined = detection_from_heatmaps(heatmaps, grid, model_library, detection.frame)
    except DegenerateAlignment:
        return Refinement(detection, detection, tuple(iterations), rejected_because=TOO_FEW)
    if settings.guarded and fits_worse(model_library, refined, detection):
        return Refinement(detection, detection, tuple(iterations), rejected_because=FITS_WORSE)
    changes = changes_between(skeleton, detection.positions_mm, refined.positions_mm)
    return Refinement(refined, detection, tuple(iterations), changes)


def tune(
    detector: Detector,
    library: PoseLibrary,
    prepared: Volume,
    grid: Grid,
    settings: TrainingRefinement,
    *,
    half: bool | None = None,
) -> list[Iteration]:
    """Train a detector's network in place on one volume.

    Args:
        detector: a detector with one channel per landmark.
        library: pose library of the same skeleton.
        prepared: the prepared volume.
        grid: the network's input grid.
        settings: numbers of the refinement.
        half: compute in bfloat16; None does so where bfloat16 is fast.

    Returns:
        For each step, the pose before it and the atlases that it was compared with.

    Raises:
        DegenerateAlignment: too few landmarks were found to align an atlas with.
    """
    network = detector.network.eval().requires_grad_(requires_grad=True)
    skeleton = library.skeleton
    weights = registration_weights(skeleton, _registration_of(settings, skeleton))
    volume = detector.input_tensor(prepared, grid)
    half = has_fast_bfloat16(volume.device) if half is None else half
    optimizer = torch.optim.Adam(
        network.parameters(), settings.learning_rate, betas=settings.betas, foreach=False
    )
    iterations: list[Iteration] = []
    with one_thread(), torch.enable_grad():
        for _ in range(settings.iterations):
            optimizer.zero_grad()
            with torch.autocast(volume.device.type, torch.bfloat16, half):
                output = network(volume)[0].float()
            maps = network.maps(output) / detector.peak_height
            found = Heatmaps(maps.detach().clamp(min=0).cpu(), grid.pool(network.stride))
            positions = find_peaks(found).positions_mm[:, 0]
            support = find_support(library, positions, settings.support, weights)
            proxy = torch.from_numpy(label_proxy(support, found.grid, detector.sigma_voxels))
            loss = proxy_loss(maps, proxy.to(maps.device))
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            target = Heatmaps(proxy, found.grid)
            iterations.append(Iteration(positions, found, support, float(loss.detach()), target))
    network.requires_grad_(requires_grad=False)
    return iterations


def _registration_of(settings: TrainingRefinement, skeleton: Skeleton) -> tuple[str, ...]:
    return skeleton.registration_subset if settings.registration is None else settings.registration


def registration_weights(skeleton: Skeleton, names: Sequence[str]) -> FloatArray:
    """Return (N,) weights: 1 for the landmarks that determine the alignment, 0 for the others.

    Without names, all landmarks determine it.
    """
    chosen = skeleton.indices(tuple(names)) if names else range(len(skeleton))
    weights = np.zeros(len(skeleton))
    weights[list(chosen)] = 1.0
    return weights


def label_proxy(support: SupportSet, grid: Grid, sigma_voxels: float) -> NDArray[np.float32]:
    """Compute the (N, I, J, K) mean of the Gaussian maps of the atlases in a support set."""
    count, landmarks = support.positions_mm.shape[:2]
    channels = [(row,) for row in range(landmarks)]
    sigma_mm = sigma_voxels * float(grid.spacing_mm.mean())
    maps = np.zeros((landmarks, *grid.shape), np.float32)
    for atlas in support.positions_mm:
        maps += encode(atlas, grid, sigma_mm, channels)
    return np.asarray(maps / np.float32(count))


def proxy_loss(maps: torch.Tensor, proxy: torch.Tensor) -> torch.Tensor:
    """Compute the L2 loss between heatmaps and the label proxy.

    Squared differences are summed over the voxels and averaged over the channels.

    Args:
        maps: (N, I, J, K) heatmaps of the network, 1 at a landmark.
        proxy: (N, I, J, K) label proxy.
    """
    return (maps - proxy).square().sum(dim=(1, 2, 3)).mean()
