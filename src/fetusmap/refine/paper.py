"""Self-supervised refinement after Yang et al. (MICCAI 2019), to the letter.

For each volume the network is tuned for a few steps. Each step predicts a pose, finds the atlases
that fit it best, and takes the mean of their Gaussian maps for the annotation that nobody has.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from fetusmap.anatomy import Skeleton
from fetusmap.atlas import PoseLibrary
from fetusmap.atlas.retrieval import SupportSet, find_support, usable_atlases
from fetusmap.detect import Detection, Detector, Pipeline
from fetusmap.errors import DegenerateAlignment
from fetusmap.geometry import Grid
from fetusmap.heatmap import Heatmaps, encode, find_peaks
from fetusmap.network import has_fast_bfloat16, one_thread
from fetusmap.refine.changes import changes_between
from fetusmap.refine.refinement import (
    FITS_WORSE,
    TOO_FEW,
    Iteration,
    Refinement,
    fits_worse,
)
from fetusmap.types import FloatArray
from fetusmap.volume import Volume


@dataclass(frozen=True)
class PaperRefinement:
    """The paper's numbers.

    Attributes:
        iterations: steps of gradient descent.
        learning_rate: of Adam.
        betas: of Adam; the paper names the first one for training only.
        support: K, how many atlases make the label proxy.
        guarded: keep the unrefined pose where the refined one fits the pipeline's library worse;
            the paper takes the refined one whatever it is.
        registration: landmarks that find the rigid transform; None for those that the skeleton
            names, which are the paper's for fetus-16.
    """

    iterations: int = 6
    learning_rate: float = 5e-4
    betas: tuple[float, float] = (0.9, 0.999)
    support: int = 10
    registration: tuple[str, ...] | None = None
    guarded: bool = False


def refine_paper(
    pipeline: Pipeline,
    detection: Detection,
    library: PoseLibrary,
    prepared: Volume,
    settings: PaperRefinement = PaperRefinement(),
    *,
    flip_average: bool = True,
    half: bool | None = None,
) -> Refinement:
    """Tune the last network of a pipeline on one volume, and look with it again.

    The network is a copy: weights and buffers of the pipeline stay as they are, whatever happens,
    and a cohort's results do not depend on its order. Running statistics of batch normalisation
    are used as they are and never change; a network that normalises each volume by its own
    statistics goes on doing so.

    Args:
        pipeline: that made the detection; of a cascade the second pass is tuned.
        detection: what it found.
        library: atlases of the same skeleton; the paper takes the poses of the training cases.
        prepared: the volume, see `prepare`.
        settings: the numbers.
        flip_average: of the last look, see `Pipeline.detect`.
        half: compute in bfloat16; None where that is fast.

    Raises:
        BadInput: fewer usable atlases than the support set has.
    """
    library = usable_atlases(library, settings.support)
    tuned = replace(pipeline.last, network=copy.deepcopy(pipeline.last.network))
    grid = pipeline.last_grid(prepared, detection)
    iterations: list[Iteration] = []
    try:
        iterations += tune(tuned, library, prepared, grid, settings, half=half)
        refined = pipeline.look_again(
            tuned, prepared, detection, flip_average=flip_average, half=half
        )
    except DegenerateAlignment:
        return Refinement(detection, detection, tuple(iterations), kept=TOO_FEW)
    if settings.guarded and fits_worse(pipeline, refined, detection):
        return Refinement(detection, detection, tuple(iterations), kept=FITS_WORSE)
    changes = changes_between(pipeline.skeleton, detection.positions_mm, refined.positions_mm)
    return Refinement(refined, detection, tuple(iterations), changes)


def tune(
    detector: Detector,
    library: PoseLibrary,
    prepared: Volume,
    grid: Grid,
    settings: PaperRefinement,
    *,
    half: bool | None = None,
) -> list[Iteration]:
    """Tune a detector's network in place on one volume.

    Args:
        detector: one channel per landmark.
        library: of the same skeleton.
        prepared: see `prepare`.
        grid: on which the network looks at it.
        settings: the numbers.
        half: compute in bfloat16; None where that is fast.

    Returns:
        What was found before each step, and what it was compared with.

    Raises:
        DegenerateAlignment: too few landmarks to find any atlas by.
    """
    network = detector.network.eval().requires_grad_(requires_grad=True)
    skeleton = library.skeleton
    weights = registration_weights(skeleton, _registration_of(settings, skeleton))
    volume = detector.input_of(prepared, grid)
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
            maps = network.maps(output) / detector.height
            found = Heatmaps(maps.detach().clamp(min=0).cpu(), grid.pool(network.stride))
            positions = find_peaks(found).positions_mm[:, 0]
            support = find_support(library, positions, settings.support, weights)
            proxy = torch.from_numpy(label_proxy(support, found.grid, detector.sigma_voxels))
            loss = proxy_loss(maps, proxy.to(maps.device))
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            wanted = Heatmaps(proxy, found.grid)
            iterations.append(Iteration(positions, found, support, float(loss.detach()), wanted))
    network.requires_grad_(requires_grad=False)
    return iterations


def _registration_of(settings: PaperRefinement, skeleton: Skeleton) -> tuple[str, ...]:
    return skeleton.registration_subset if settings.registration is None else settings.registration


def registration_weights(skeleton: Skeleton, names: Sequence[str]) -> FloatArray:
    """(N,) 1 for the landmarks that find the transform, 0 for others; 1 for all without names."""
    chosen = skeleton.indices(tuple(names)) if names else range(len(skeleton))
    weights = np.zeros(len(skeleton))
    weights[list(chosen)] = 1.0
    return weights


def label_proxy(support: SupportSet, grid: Grid, sigma_voxels: float) -> NDArray[np.float32]:
    """(N, I, J, K) mean of the Gaussian maps of the atlases in a support set."""
    count, landmarks = support.positions_mm.shape[:2]
    channels = [(row,) for row in range(landmarks)]
    sigma_mm = sigma_voxels * float(grid.spacing_mm.mean())
    maps = np.zeros((landmarks, *grid.shape), np.float32)
    for atlas in support.positions_mm:
        maps += encode(atlas, grid, sigma_mm, channels)
    return np.asarray(maps / np.float32(count))


def proxy_loss(maps: torch.Tensor, proxy: torch.Tensor) -> torch.Tensor:
    """The L2 loss between heatmaps and the label proxy: summed over voxels, mean over channels.

    Args:
        maps: (N, I, J, K) as the network gives them, 1 at a landmark.
        proxy: (N, I, J, K).
    """
    return (maps - proxy).square().sum(dim=(1, 2, 3)).mean()
