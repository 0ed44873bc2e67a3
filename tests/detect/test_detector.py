"""One pass over volumes whose answer is painted into them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from torch import nn

from fetusmap.anatomy import Channels
from fetusmap.detect import BodyFrameGrid, Detector, WholeVolumeGrid
from fetusmap.geometry import Grid, apply_affine
from fetusmap.heatmap import find_peaks
from fetusmap.network import HEIGHT, HeatmapNetwork, Land, UNet, UNetWidths, build_unet
from fetusmap.preprocess import equalize, prepare, sample, standardize
from fetusmap.volume import Volume

TINY = UNetWidths((8, 8, 8, 8), 3)
CHANNELS = Channels(("bright", "dark", "bright again"), ((0,), (1,), (2,)))
ROOM = Grid.from_spacing(
    (48, 44, 52),
    1.0,
    (30, -20, 50),
    Rotation.from_rotvec([0.5, -0.3, 1.2]).as_matrix(),
)
BRIGHT = ROOM.center_mm + np.array([8, 0, -3])
DARK = ROOM.center_mm + np.array([-7, 5, 3])


class BrightAndDark(HeatmapNetwork):
    """Logits: how bright the neighbourhood of a block of 2 x 2 x 2 is, how dark, and again."""

    levels = (8, 8)
    stride = 2
    multiple = 4
    maps = UNet.maps
    height = UNet.height

    def __init__(self) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.tensor(4.0))
        self.seen: list[torch.Tensor] = []
        self.half: list[bool] = []
        self.threads: list[int] = []

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        self.seen.append(volume)
        self.half.append(torch.is_autocast_enabled("cpu"))
        self.threads.append(torch.get_num_threads())
        grey = F.avg_pool3d(volume, 2)
        for _ in range(2):
            grey = self.sharpness * F.avg_pool3d(grey, 3, stride=1, padding=1)
        return torch.cat([grey, -grey, grey + 5], dim=1)


class BrighterThanMost(HeatmapNetwork):
    """At full resolution, as the paper's network: how far above the rest, below, and nothing."""

    levels = (8,)
    stride = 1
    multiple = 1
    maps = Land.maps
    height = Land.height

    def __init__(self) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor(1.6))  # of numbers up to 1.73

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        above = [volume - self.threshold, -volume - self.threshold, volume - 2]
        return HEIGHT * torch.cat(above, dim=1)


def balls(grid: Grid, bright_mm, dark_mm) -> Volume:
    """Grey 128 with a bright ball and a dark one, 3 mm in radius."""
    apart = [np.linalg.norm(grid.centers_mm() - p, axis=-1) for p in (bright_mm, dark_mm)]
    up, down = (np.clip(3.5 - a, 0, 1) for a in apart)
    return Volume(np.rint(128 + 100 * up - 100 * down).astype(np.uint8), grid)


def detector(network: nn.Module, look: WholeVolumeGrid | BodyFrameGrid | None = None) -> Detector:
    return Detector(network.eval(), look or WholeVolumeGrid(1.5), CHANNELS)


@settings(max_examples=15)
@given(
    rotation=st.from_type(Rotation),
    spacing=st.floats(0.8, 1.4),
    shift=st.tuples(*[st.floats(-3.0, 3.0)] * 3),
    hand=st.booleans(),
)
def test_what_is_bright_is_found_in_the_world(rotation, spacing, shift, hand):
    volume = balls(ROOM, BRIGHT, DARK)
    grid = Grid.centered((48, 40, 44), spacing, ROOM.center_mm + shift, rotation.as_matrix())
    grid = grid.flip(1) if hand else grid
    heatmaps = detector(BrightAndDark()).predict(volume, grid, half=False)
    assert heatmaps.grid.shape == (24, 20, 22)
    assert heatmaps.grid.is_close(grid.pool(2))
    found = find_peaks(heatmaps).positions_mm[:, 0]
    np.testing.assert_allclose(found[[0, 2]], [BRIGHT, BRIGHT], atol=0.3)


def test_every_channel_keeps_its_place():
    grid = Grid.centered((36, 36, 36), 1.0, ROOM.center_mm, ROOM.direction)
    heatmaps = detector(BrightAndDark()).predict(balls(ROOM, BRIGHT, DARK), grid, half=False)
    found = find_peaks(heatmaps).positions_mm[:, 0]
    np.testing.assert_allclose(found, [BRIGHT, DARK, BRIGHT], atol=0.3)


@settings(max_examples=10)
@given(rotation=st.from_type(Rotation), shape=st.tuples(*[st.integers(35, 43)] * 3))
def test_maps_of_a_network_without_a_stride_lie_on_the_grid_itself(rotation, shape):
    # Any shape will do, and where the output is below 0 the map is 0.
    grid = Grid.centered(shape, 1.0, ROOM.center_mm, rotation.as_matrix())
    volume = balls(ROOM, BRIGHT, DARK)
    one = detector(BrighterThanMost())
    assert one.multiple == 1
    heatmaps = one.predict(volume, grid, half=False)
    assert heatmaps.grid.is_close(grid)
    seen = standardize(equalize(sample(volume, grid)))
    expected = [np.maximum(seen - 1.6, 0), np.maximum(-seen - 1.6, 0), np.zeros(shape)]
    np.testing.assert_allclose(heatmaps.array, expected, atol=1e-6)
    bright, dark = (grid.to_world(np.argwhere(a > 0)).mean(axis=0) for a in expected[:2])
    np.testing.assert_allclose(bright, BRIGHT, atol=0.5)
    assert np.linalg.norm(dark - BRIGHT) > 5


@pytest.mark.parametrize("network", [BrightAndDark(), build_unet(TINY)])
def test_each_channel_is_a_distribution_over_voxels(network):
    volume = balls(ROOM, BRIGHT, DARK)
    grid = Grid.centered((32, 48, 16), 1.0, ROOM.center_mm)
    maps = detector(network).predict(volume, grid).array
    assert maps.shape == (3, 16, 24, 8)
    assert maps.dtype == torch.float32
    assert not maps.requires_grad
    assert (maps >= 0).all()
    np.testing.assert_allclose(maps.sum(dim=(1, 2, 3)), 1, rtol=1e-4)


def test_a_number_added_to_all_logits_of_a_channel_changes_nothing():
    volume = balls(ROOM, BRIGHT, DARK)
    maps = detector(BrightAndDark()).predict(
        volume, Grid.centered((32, 32, 32), 1.0, ROOM.center_mm)
    )
    np.testing.assert_allclose(maps.array[0], maps.array[2], rtol=1e-4)


def test_the_network_sees_standardized_ranks_on_the_grid():
    volume = balls(ROOM, BRIGHT, DARK)
    grid = Grid.centered((32, 24, 16), 1.3, ROOM.center_mm + 5)
    network = BrightAndDark()
    detector(network).predict(volume, grid)
    (seen,) = network.seen
    assert seen.shape == (1, 1, 32, 24, 16)
    np.testing.assert_array_equal(seen[0, 0], standardize(equalize(sample(volume, grid))))


def test_gain_and_compression_of_the_scanner_change_nothing():
    volume = balls(ROOM, BRIGHT, DARK)
    # Darker by up to a half, and no two of the levels 28, 128, 228 become one.
    curved = Volume((0.8 * (volume.array / 255.0) ** 3 * 255).astype(np.float32), ROOM)
    grid = Grid.centered((32, 32, 32), 1.0, ROOM.center_mm, ROOM.direction)
    plain, other = (
        detector(BrightAndDark()).predict(v, grid, half=False) for v in (volume, curved)
    )
    np.testing.assert_allclose(
        find_peaks(other).positions_mm, find_peaks(plain).positions_mm, atol=0.1
    )


@pytest.mark.parametrize(("half", "expected"), [(True, True), (False, False)])
def test_bfloat16_is_used_when_asked_for(half, expected):
    volume = balls(ROOM, BRIGHT, DARK)
    grid = Grid.centered((16, 16, 16), 1.0, ROOM.center_mm)
    network = BrightAndDark()
    detector(network).predict(volume, grid, half=half)
    assert network.half == [expected]


def test_bfloat16_agrees_with_float32_to_its_own_precision():
    torch.manual_seed(0)
    network = detector(build_unet(TINY))
    volume = balls(ROOM, BRIGHT, DARK)
    grid = Grid.centered((16, 32, 16), 1.0, ROOM.center_mm)
    exact, rough = (network.predict(volume, grid, half=half).array for half in (False, True))
    assert 0 < (rough / exact - 1).abs().max() < 0.1


def test_a_pass_computes_on_one_thread_and_gives_the_others_back(monkeypatch):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        network = BrightAndDark()
        grid = Grid.centered((16, 16, 16), 1.0, ROOM.center_mm)
        detector(network).predict(balls(ROOM, BRIGHT, DARK), grid)
        assert network.threads == [1]
        assert torch.get_num_threads() == 2
        monkeypatch.setattr(network, "forward", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            detector(network).predict(balls(ROOM, BRIGHT, DARK), grid)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_nothing_is_left_behind_by_a_pass():
    torch.manual_seed(0)
    network = build_unet(TINY)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    volume = balls(ROOM, BRIGHT, DARK)
    grid = Grid.centered((16, 16, 32), 1.0, ROOM.center_mm)
    one = detector(network)
    first = one.predict(volume, grid, half=False).array
    np.testing.assert_array_equal(first, one.predict(volume, grid, half=False).array)
    assert all((before[name] == now).all() for name, now in network.state_dict().items())


@pytest.mark.parametrize(
    ("levels", "multiple"), [((8, 8), 4), ((8, 8, 8), 8), ((8, 16, 16, 8), 16)]
)
def test_axes_are_multiples_of_what_the_network_halves(levels, multiple):
    network = build_unet(UNetWidths(levels, 3))
    one = detector(network)
    assert one.multiple == multiple
    grid = one.input_grid.around(Grid.from_spacing((20, 30, 10)), one.multiple)
    volume = Volume(
        np.random.default_rng(0).integers(0, 256, (20, 30, 10), np.uint8),
        Grid.from_spacing((20, 30, 10)),
    )
    assert one.predict(volume, grid).grid.is_close(grid.pool(2))


def test_an_empty_volume_and_a_grid_beside_it_give_maps_all_the_same():
    network = detector(build_unet(TINY))
    grid = Grid.centered((16, 32, 16), 1.0, ROOM.center_mm)
    empty = Volume(np.zeros(ROOM.shape, np.uint8), ROOM)
    beside = Grid.centered((16, 32, 16), 1.0, ROOM.center_mm + 500)
    maps = network.predict(empty, grid, half=False).array
    assert torch.isfinite(maps).all()
    full = balls(ROOM, BRIGHT, DARK)
    np.testing.assert_array_equal(network.predict(full, beside, half=False).array, maps)


def test_a_left_handed_file_is_seen_as_the_body_is_and_not_mirrored():
    # The same body in the same room, stored once in each hand, gives one and the same picture.
    volume = balls(ROOM, BRIGHT, DARK)
    other = Volume(np.flip(volume.array, 0).copy(), ROOM.flip(0))
    for one in (volume, other):
        ready = prepare(one)
        prepared, world_from_network = ready.volume, ready.world_from_network
        grid = WholeVolumeGrid(1.5).around(prepared.grid, 4)
        assert not grid.is_left_handed
        found = find_peaks(detector(BrightAndDark()).predict(prepared, grid, half=False))
        place = apply_affine(world_from_network, found.positions_mm[0, 0])
        np.testing.assert_allclose(place, BRIGHT, atol=0.3)
