"""Batches: samples as tensors, and what their targets say about the landmarks."""

import numpy as np
import pytest
import torch

from fetusmap.anatomy import channel_per_landmark, channel_per_pair
from fetusmap.detect import BodyFrameGrid, body_frame_of
from fetusmap.geometry import Grid
from fetusmap.heatmap import Heatmaps, find_peaks
from fetusmap.preprocess import standardize
from fetusmap.train.augment import NearBody, Sample, apply_augmentation, draw_augmentation
from fetusmap.train.batches import batch_of

LOOK = BodyFrameGrid(0.06, (48, 48, 64))


@pytest.fixture(scope="module")
def samples(blob_case, skeleton):
    """Two samples, the second one of the mirror image."""
    draw, rng = NearBody(LOOK, skeleton), np.random.default_rng(3)
    found = {}
    while len(found) < 2:
        drawn = draw_augmentation(rng, blob_case, draw)
        found[drawn.grid.is_left_handed] = apply_augmentation(blob_case, drawn, skeleton)
    return [found[False], found[True]]


def test_shapes_and_kinds(samples, skeleton):
    batch = batch_of(samples, channel_per_pair(skeleton), 1.0)
    assert batch.volumes.shape == (2, 1, 48, 48, 64)
    assert batch.targets.shape == (2, 10, 24, 24, 32)
    assert (batch.volumes.dtype, batch.targets.dtype) == (torch.float32, torch.float32)
    for volume, sample in zip(batch.volumes, samples, strict=True):
        assert np.array_equal(volume[0].numpy(), standardize(sample.ranks))


def test_a_heatmap_voxel_is_a_block_of_the_samples_voxels(samples, skeleton):
    batch = batch_of(samples, channel_per_landmark(skeleton), 1.0)
    for grid, sample in zip(batch.grids, samples, strict=True):
        assert grid.shape == (24, 24, 32)
        assert grid.to_world([3, 0, 5]) == pytest.approx(sample.grid.to_world([6.5, 0.5, 10.5]))
        assert grid.is_left_handed == sample.grid.is_left_handed


def test_a_batch_is_its_samples_one_by_one(samples, skeleton):
    channels = channel_per_landmark(skeleton)
    both = batch_of(samples, channels, 1.3)
    for number, sample in enumerate(samples):
        alone = batch_of([sample], channels, 1.3)
        assert torch.equal(both.volumes[number], alone.volumes[0])
        assert torch.equal(both.targets[number], alone.targets[0])
        assert np.array_equal(both.positions_mm[number], alone.positions_mm[0])


def test_targets_of_another_height_are_so_many_times_as_high(samples, skeleton):
    channels = channel_per_landmark(skeleton)
    plain, high = batch_of(samples, channels, 1.0), batch_of(samples, channels, 1.0, height=20.0)
    assert torch.equal(high.targets, 20 * plain.targets)
    assert 0.5 < plain.targets.max() <= 1


def test_targets_are_read_back_as_the_samples_landmarks(samples, skeleton):
    """Also of a left-handed sample, whose landmarks bear the other side's names."""
    batch = batch_of(samples, channel_per_landmark(skeleton), 1.0)
    for target, grid, sample in zip(batch.targets, batch.grids, samples, strict=True):
        found = find_peaks(Heatmaps(target, grid)).positions_mm[:, 0]
        assert np.abs(found - sample.positions_mm).max() < 0.005 * grid.spacing_mm.mean()


def test_a_pairs_channel_shows_both_sides(samples, skeleton):
    channels = channel_per_pair(skeleton)
    batch = batch_of(samples, channels, 1.0)
    channel = channels.names.index("left_wrist|right_wrist")
    rows = list(channels.rows[channel])
    for target, grid, sample in zip(batch.targets, batch.grids, samples, strict=True):
        found = find_peaks(Heatmaps(target, grid), count=2).positions_mm[channel]
        truth = sample.positions_mm[rows]
        apart = np.linalg.norm(found[:, None] - truth, axis=2).min(axis=0)
        assert apart.max() < 0.05


@pytest.mark.parametrize("sigma", [0.8, 1.0, 2.0])
def test_sigma_is_in_heatmap_voxels(skeleton, sigma):
    grid = Grid.from_spacing((16, 16, 16), 0.7)
    positions = np.full((16, 3), np.nan)
    positions[4] = grid.pool(2).to_world([3, 4, 5])
    sample = Sample(np.zeros(grid.shape, np.uint8), grid, positions)
    target = batch_of([sample], channel_per_landmark(skeleton), sigma).targets[0, 4]
    assert target[3, 4, 5] == pytest.approx(1)
    assert target[4, 4, 5] == pytest.approx(np.exp(-0.5 / sigma**2), rel=1e-5)
    assert target[3, 2, 6] == pytest.approx(np.exp(-2.5 / sigma**2), rel=1e-5)


def test_what_is_out_of_view_is_neither_shown_nor_known(blob_case, skeleton):
    """The grid ends half a voxel beyond the last centre, where the heatmaps' grid ends as well."""
    frame = body_frame_of(skeleton, blob_case.positions_mm)
    grid = LOOK.of_frame(frame).crop((0, 0, 0), (48, 48, 24))  # below the shoulders
    sample = Sample(np.zeros(grid.shape, np.uint8), grid, blob_case.positions_mm)
    batch = batch_of([sample], channel_per_landmark(skeleton), 1.0)
    seen = np.isfinite(batch.positions_mm[0]).all(axis=1)
    assert np.array_equal(seen, grid.contains(blob_case.positions_mm))
    assert 0 < seen.sum() < 16
    assert not seen[skeleton.index("head")]
    assert np.array_equal(batch.targets[0].flatten(1).any(dim=1).numpy(), seen)
    assert np.array_equal(batch.positions_mm[0][seen], blob_case.positions_mm[seen])
