"""One pass with a detector that knows the answer: what it sees must come out in the world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from fetusmap.anatomy import Skeleton, channel_per_landmark
from fetusmap.atlas import PoseLibrary, fit_library
from fetusmap.detect import Detector, SinglePass, WholeVolumeGrid, body_frame_of
from fetusmap.geometry import Grid
from fetusmap.heatmap import Heatmaps, encode
from fetusmap.quality import collect_evidence
from fetusmap.volume import Volume

ROOM = Grid.from_spacing(
    (90, 96, 84), 1.0, (120, -75, 30), Rotation.from_rotvec([0.5, -0.3, 1.2]).as_matrix()
)
NOTHING = Volume(np.zeros(ROOM.shape, np.uint8), ROOM)
"""The detector below knows where the body is and need not look."""

Sight = Callable[[np.ndarray, Grid], np.ndarray]


@dataclass(frozen=True, eq=False)
class Seer(Detector):
    """A detector at full resolution that writes what `sight` sees of a body.

    In a left-handed grid the picture of a body is that of its mirror image, whose left knee is the
    body's right one.
    """

    skeleton: Skeleton
    body_mm: np.ndarray
    sight: Sight
    looks: list = field(default_factory=list)

    def input_tensor(self, prepared: Volume, grid: Grid) -> torch.Tensor:
        assert prepared is NOTHING
        return torch.zeros(1, 1, *grid.shape)

    def predict_from(
        self, volume: torch.Tensor, grid: Grid, *, half: bool | None = None
    ) -> Heatmaps:
        assert volume.shape[2:] == grid.shape
        self.looks.append((grid, half))
        mirrored = self.body_mm[self.skeleton.mirror_index]
        body = mirrored if grid.is_left_handed else self.body_mm
        return Heatmaps(torch.from_numpy(self.sight(body, grid)), grid)

    @property
    def grids(self) -> list[Grid]:
        return [grid for grid, _ in self.looks]


def clearly(body: np.ndarray, grid: Grid) -> np.ndarray:
    """Gaussians of 1.5 voxels."""
    return encode(body, grid, 1.5 * grid.spacing_mm[0], [(row,) for row in range(len(body))])


def in_the_room(pose: np.ndarray, turn: int = 0) -> np.ndarray:
    """A pose of a trunk of 25 mm in the middle of the room."""
    rotation = Rotation.from_rotvec(np.random.default_rng(turn).normal(0, 2, 3))
    turned = rotation.apply(pose)
    return turned + ROOM.center_mm - (turned.min(axis=0) + turned.max(axis=0)) / 2


@pytest.fixture
def pass_for(skeleton: Skeleton, library: PoseLibrary) -> Callable[..., SinglePass]:
    """A single pass of a seer for a body."""

    def make(body: np.ndarray, sight: Sight = clearly, atlases: PoseLibrary | None = None):
        seer = Seer(
            SimpleNamespace(multiple=1, stride=1),
            WholeVolumeGrid(2.0),
            channel_per_landmark(skeleton),
            skeleton,
            body,
            sight,
        )
        return SinglePass(skeleton, seer, atlases or library.select(np.arange(100)))

    return make


def off_mm(positions: np.ndarray, body: np.ndarray) -> float:
    return float(np.linalg.norm(positions - body, axis=1).max())


@pytest.mark.parametrize("flip_average", [False, True])
@pytest.mark.parametrize("pose", range(3))
def test_every_landmark_is_found_under_its_name(pass_for, unseen, pose, flip_average):
    body = in_the_room(unseen[pose], turn=pose)
    single = pass_for(body)
    (found,) = single.detect(NOTHING, flip_average=flip_average)
    assert off_mm(found.positions_mm, body) < 0.15
    assert found.frame is None
    assert ((found.masses > 0.3) & (found.masses <= 1)).all()


def test_the_library_judges_what_was_found(pass_for, skeleton, unseen):
    """Against the comparison with the same atlases by itself."""
    body = in_the_room(unseen[1])
    single = pass_for(body)
    (found,) = single.detect(NOTHING, flip_average=False)
    fit = fit_library(found.positions_mm, found.masses, single.library)
    assert found.residual == fit.residual
    trunk = body_frame_of(skeleton, fit.support_mm).trunk_mm
    apart = np.linalg.norm(found.positions_mm - fit.support_mm, axis=1)
    np.testing.assert_allclose(found.distance_to_atlas_mean, apart / trunk, rtol=1e-12)
    assert collect_evidence(found, single.library).margin > 0.01


def test_a_landmark_that_strays_from_all_atlases_says_so(pass_for, skeleton, unseen):
    wrist = skeleton.index("left_wrist")
    body = in_the_room(unseen[0])
    astray = body.copy()
    astray[wrist] += 0.7 * 25 * body_frame_of(skeleton, body).axes[:, 2]
    (plain,), (harmed,) = (
        pass_for(seen).detect(NOTHING, flip_average=False) for seen in (body, astray)
    )
    assert harmed.distance_to_atlas_mean.argmax() == wrist
    assert harmed.distance_to_atlas_mean[wrist] > plain.distance_to_atlas_mean[wrist] + 0.3
    assert harmed.residual > plain.residual


@pytest.mark.parametrize("coarsen", [1.0, 1.5, 3.0])
def test_it_looks_once_at_the_whole_volume_with_the_asked_for_voxels(pass_for, unseen, coarsen):
    single = pass_for(in_the_room(unseen[0]))
    (found,) = single.detect(NOTHING, flip_average=False, coarsen=coarsen, half=True)
    ((grid, half),) = single.plain.looks
    assert half is True
    np.testing.assert_allclose(grid.spacing_mm, 2.0 * coarsen, rtol=1e-12)
    assert grid.contains(ROOM.corners_mm(), -1e-6).all()
    # No voxel more than that takes: the network wants no multiples.
    assert grid.shape == tuple(int(np.ceil(n / 2 / coarsen)) for n in ROOM.shape)
    assert found.heatmaps.grid == grid
    assert off_mm(found.positions_mm, single.plain.body_mm) < 0.15 * coarsen


def test_the_mirror_image_is_looked_at_unless_told_otherwise(pass_for, unseen):
    single = pass_for(in_the_room(unseen[0]))
    single.detect(NOTHING, half=False)
    first, second = single.plain.grids
    assert not first.is_left_handed
    assert second == first.flip(0)
    assert [half for _, half in single.plain.looks] == [False, False]


def test_averaging_with_the_mirror_image_cancels_a_drift_to_one_side(pass_for, unseen):
    def drifting(body, grid):
        return np.roll(clearly(body, grid), 1, axis=1)

    body = in_the_room(unseen[0])
    single = pass_for(body, drifting)
    (plain,) = single.detect(NOTHING, flip_average=False)
    drift = plain.positions_mm - body
    np.testing.assert_allclose(drift, [2.0 * ROOM.direction[:, 0]] * 16, atol=0.15)
    (both,) = single.detect(NOTHING, flip_average=True)
    assert off_mm(both.positions_mm, body) < 0.2


def test_one_side_seen_in_the_mirror_stands_in_for_the_other(pass_for, skeleton, unseen):
    left = np.array([name.startswith("left") for name in skeleton.landmarks])

    def only_right(body, grid):
        maps = clearly(body, grid)
        maps[left] = 1e-4
        maps[left, 1, 1, 1] = 1e-3  # in a corner of the room
        return maps

    body = in_the_room(unseen[0])
    single = pass_for(body, only_right)
    (plain,) = single.detect(NOTHING, flip_average=False)
    assert (np.linalg.norm(plain.positions_mm - body, axis=1) > 5).tolist() == left.tolist()
    (both,) = single.detect(NOTHING, flip_average=True)
    assert off_mm(both.positions_mm, body) < 0.2


@pytest.mark.parametrize("level", [0.0, 1.0])
@pytest.mark.parametrize("flip_average", [False, True])
def test_where_it_sees_nothing_or_the_same_everywhere_there_is_no_body(
    pass_for, unseen, level, flip_average
):
    def blind(body, grid):
        return np.full((16, *grid.shape), level, np.float32)

    single = pass_for(in_the_room(unseen[0]), blind)
    assert single.detect(NOTHING, flip_average=flip_average) == []


def test_what_it_does_not_see_is_absent_and_the_others_are_there(pass_for, skeleton, unseen):
    head = skeleton.index("head")

    def without_a_head(body, grid):
        maps = clearly(body, grid)
        maps[head] = 0
        return maps

    body = in_the_room(unseen[0])
    (found,) = pass_for(body, without_a_head).detect(NOTHING, flip_average=False)
    assert np.isnan(found.positions_mm[head]).all()
    assert found.masses[head] == 0
    assert off_mm(np.delete(found.positions_mm, head, 0), np.delete(body, head, 0)) < 0.15
    assert 0 < found.residual < 0.3


def test_atlases_without_a_trunk_can_judge_nothing(pass_for, skeleton, library, unseen):
    positions = library.positions_mm[:20].copy()
    positions[:, skeleton.index("neck")] = np.nan
    single = pass_for(in_the_room(unseen[0]), atlases=PoseLibrary(skeleton, positions))
    assert single.detect(NOTHING) == []


def test_its_pass_goes_by_its_name(pass_for, unseen):
    single = pass_for(in_the_room(unseen[0]))
    assert single.detectors == {"plain": single.plain}
