"""Validation: errors by hand, and the numbers of networks whose answers are known."""

import numpy as np
import pytest
import torch
from torch import nn

from fetusmap.anatomy import Channels
from fetusmap.detect import BodyFrameGrid, WholeVolumeGrid
from fetusmap.heatmap import Heatmaps, find_peaks
from fetusmap.network import HEIGHT, HeatmapNetwork, Land, LandWidths, UNet, build_land
from fetusmap.train.augment import NearBody, RightAngles
from fetusmap.train.batches import batch_of
from fetusmap.train.cases import simulated_pool
from fetusmap.train.samples import SampleSource
from fetusmap.train.stages import stage_of
from fetusmap.train.validation import matched_errors, validate

PAIRS = Channels(("middle", "left|right"), ((1,), (0, 2)))
NOWHERE = [np.nan] * 3


class Answering(HeatmapNetwork):
    """Answers with the logarithms of given heatmaps, one after the other."""

    levels = (8,)
    stride = 2
    multiple = 2
    maps = UNet.maps
    height = UNet.height

    def __init__(self, answers):
        super().__init__()
        self.somewhere = nn.Parameter(torch.zeros(1))
        self.answers = iter(answers)

    def forward(self, _):
        return torch.log(next(self.answers) + 1e-9)


@pytest.fixture
def source(cache, skeleton):
    draw = NearBody(BodyFrameGrid(0.05, (64, 48, 72)), skeleton)
    return SampleSource(simulated_pool(2, 4, cache, skeleton), draw, seed=0)


@pytest.fixture(params=["coarse", "canonical"])
def config(request, make_config):
    return make_config(stage=request.param, validation_cases=3)


@pytest.fixture
def stage(config, skeleton):
    return stage_of(config, skeleton)


@pytest.fixture
def batches(source, stage, config):
    numbers = range(config.validation_cases)
    return [batch_of([source.sample(n)], stage.channels, config.sigma_voxels) for n in numbers]


# Errors


def test_errors_of_landmarks_with_a_channel_each():
    """Only the highest peak counts."""
    channels = Channels(("a", "b"), ((0,), (1,)))
    peaks = np.array([[[3, 4, 0], [0, 0, 0]], [[1, 1, 1], [9, 9, 9]]], dtype=float)
    truth = np.array([[0, 0, 0], [1, 1, 3]], dtype=float)
    assert matched_errors(peaks, truth, channels) == pytest.approx([5, 2])


@pytest.mark.parametrize("exchanged", [False, True])
def test_peaks_of_a_pair_are_matched_in_the_order_that_fits(exchanged):
    truth = np.array([[0, 0, 0], [5, 5, 5], [10, 0, 0]], dtype=float)
    pair = [[0, 1, 0], [10, 0, 2]]
    peaks = np.array([[[5, 5, 8], [0, 0, 0]], pair[::-1] if exchanged else pair], dtype=float)
    assert matched_errors(peaks, truth, PAIRS) == pytest.approx([1, 3, 2])


def test_the_order_is_one_for_both_of_a_pair():
    """Both peaks lie nearer to the left one, yet only one of them can be it."""
    truth = np.array([[0, 0, 0], [5, 5, 5], [10, 0, 0]], dtype=float)
    peaks = np.array([[[5, 5, 5]] * 2, [[0, 3, 0], [2, 0, 0]]], dtype=float)
    assert matched_errors(peaks, truth, PAIRS) == pytest.approx([3, 0, 8])  # 2 is nearer


@pytest.mark.parametrize("seen", [0, 2])
def test_where_one_of_a_pair_is_in_view_the_highest_peak_is_meant_for_it(seen):
    truth = np.array([NOWHERE, [5, 5, 5], NOWHERE], dtype=float)
    truth[seen] = [0, 0, 0]
    peaks = np.array([[[5, 5, 5]] * 2, [[0, 0, 4], [0, 0, 0]]], dtype=float)
    expected = np.array([np.nan, 0, np.nan])
    expected[seen] = 4
    assert matched_errors(peaks, truth, PAIRS) == pytest.approx(expected, nan_ok=True)


def test_what_is_not_in_view_has_no_error():
    truth = np.full((3, 3), np.nan)
    peaks = np.zeros((2, 2, 3))
    assert np.isnan(matched_errors(peaks, truth, PAIRS)).all()


def test_a_missing_second_peak_is_far_off():
    truth = np.array([[0, 0, 0], [5, 5, 5], [10, 0, 0]], dtype=float)
    peaks = np.array([[[5, 5, 5], NOWHERE], [[10, 0, 1], NOWHERE]], dtype=float)
    errors = matched_errors(peaks, truth, PAIRS)
    assert errors[1:] == pytest.approx([0, 1])
    assert errors[0] > 50


def test_a_landmark_in_view_that_no_peak_shows_is_far_off():
    """As where one of a pair lacks its peak: what is missed does not pass for out of view."""
    channels = Channels(("a", "b", "c"), ((0,), (1,), (2,)))
    truth = np.array([[0, 0, 0], [5, 5, 5], NOWHERE], dtype=float)
    peaks = np.array([[NOWHERE], [[5, 5, 7]], [NOWHERE]], dtype=float)
    errors = matched_errors(peaks, truth, channels)
    assert errors[0] > 50
    assert errors[1] == pytest.approx(2)
    assert np.isnan(errors[2])


# Networks


def test_whoever_answers_with_the_targets_makes_no_mistakes(source, stage, config, batches):
    """The loss is the entropy of the targets then, and naming the sides is not asked for."""
    found = validate(Answering(batch.targets for batch in batches), source, stage, config)
    entropies = []
    for batch in batches:
        maps = batch.targets[0].flatten(1).double().numpy()
        share = maps / maps.sum(axis=1, keepdims=True)
        entropies.append(-(share * np.log(share + 1e-300)).sum(axis=1).mean())
    assert found["validation_loss"] == pytest.approx(np.mean(entropies), abs=1e-3)
    assert found["validation_mm"] < 0.1
    assert found["validation_median_mm"] < 0.1
    assert found["validation_within_10_mm"] == 1


def test_whoever_is_one_voxel_off_is_off_by_its_millimetres(source, stage, config, batches):
    shifted = Answering(torch.roll(batch.targets, 1, dims=3) for batch in batches)
    found = validate(shifted, source, stage, config)
    counts = [np.isfinite(batch.positions_mm[0][:, 0]).sum() for batch in batches]
    sizes = [batch.grids[0].spacing_mm[1] for batch in batches]
    assert found["validation_mm"] == pytest.approx(np.average(sizes, weights=counts), rel=0.02)


def test_within_10_mm_is_a_part_of_the_landmarks_in_view(source, skeleton, make_config):
    """Every channel points to the same voxel."""
    config = make_config(validation_cases=2)
    stage = stage_of(config, skeleton)
    batches = [batch_of([source.sample(number)], stage.channels, 1.0) for number in range(2)]
    answer = torch.zeros_like(batches[0].targets)
    i, j, k = batches[0].grids[0].shape
    voxel = (i // 2, j // 2, k // 2)
    answer[:, :, *voxel] = 1
    found = validate(Answering([answer, answer]), source, stage, config)
    errors = np.concatenate(
        [
            np.linalg.norm(batch.positions_mm[0] - batch.grids[0].to_world(voxel), axis=1)
            for batch in batches
        ]
    )
    errors = errors[np.isfinite(errors)]
    assert found["validation_within_10_mm"] == pytest.approx((errors < 10).mean())
    assert 0 < found["validation_within_10_mm"] < 1
    assert found["validation_mm"] == pytest.approx(errors.mean(), abs=0.05)
    assert found["validation_median_mm"] == pytest.approx(np.median(errors), abs=0.05)


class Normalised(HeatmapNetwork):
    """One convolution, and a normalisation that would count batches if it were training."""

    levels = (8,)
    stride = 2
    multiple = 2
    maps = UNet.maps
    height = UNet.height

    def __init__(self, outputs):
        super().__init__()
        self.convolution = nn.Conv3d(1, outputs, 2, stride=2)
        self.normalisation = nn.BatchNorm3d(outputs)

    def forward(self, volume):
        return self.normalisation(self.convolution(volume))


def test_validation_leaves_the_network_and_chance_alone(source, stage, config):
    network = Normalised(len(stage.channels)).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, again = (validate(network, source, stage, config) for _ in range(2))
    assert torch.equal(torch.rand(1), expected)
    assert first == again
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert not any(parameter.grad is not None for parameter in network.parameters())


@pytest.fixture
def plain(cache, skeleton, make_config):
    """Configuration, stage and samples of the paper's network."""
    config = make_config(
        stage="land", spacing_mm=2.0, sigma_voxels=2.0, precision="32-true", validation_cases=3
    )
    draw = RightAngles(WholeVolumeGrid(2.0))
    source = SampleSource(simulated_pool(2, 4, cache, skeleton), draw, seed=0, in_turn=True)
    return config, stage_of(config, skeleton), source


class AtFullResolution(Answering):
    """Answers with given heatmaps themselves, and with something below 0 elsewhere."""

    stride = 1
    multiple = 1
    maps = Land.maps
    height = Land.height

    def forward(self, _):
        answer = next(self.answers)
        return torch.where(answer > 1e-3 * HEIGHT, answer, -0.5 * HEIGHT)


def test_heatmaps_of_a_network_without_a_stride_are_read_where_they_are(plain):
    """Its loss is the sum of the squared errors by hand; what is below 0 shows nothing."""
    config, stage, source = plain
    batches = [
        batch_of([source.sample(n)], stage.channels, config.sigma_voxels, 1, HEIGHT)
        for n in range(3)
    ]
    found = validate(AtFullResolution(b.targets for b in batches), source, stage, config)
    targets = [batch.targets[0].double().numpy() / HEIGHT for batch in batches]
    sums = [np.square(target + 0.5)[target <= 1e-3].sum() / 16 for target in targets]
    assert found["validation_loss"] == pytest.approx(np.mean(sums), rel=1e-4)
    assert found["validation_mm"] < 0.2
    assert found["validation_within_10_mm"] == 1


def test_the_papers_network_is_validated_by_its_own_heatmaps(plain):
    """As read from its output here, voxel by voxel."""
    config, stage, source = plain
    torch.manual_seed(1)
    network = build_land(LandWidths((8, 8))).eval()
    found = validate(network, source, stage, config)
    errors = []
    for number in range(3):
        batch = batch_of([source.sample(number)], stage.channels, 2.0, stride=1)
        with torch.no_grad():
            maps = network(batch.volumes)[0].clamp(min=0)
        peaks = find_peaks(Heatmaps(maps, batch.grids[0])).positions_mm[:, 0]
        truth = batch.positions_mm[0]
        off = np.nan_to_num(np.linalg.norm(peaks - truth, axis=1), nan=99.0)  # or not shown
        errors.append(np.where(np.isfinite(truth[:, 0]), off, np.nan))
    assert found["validation_mm"] == pytest.approx(np.nanmean(errors))
    assert found["validation_median_mm"] == pytest.approx(np.nanmedian(errors))
