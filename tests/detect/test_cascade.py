"""The two passes with networks that know the answer: what they see must come out in the world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from fetusmap.anatomy import Channels, Skeleton, channel_per_landmark, channel_per_pair
from fetusmap.atlas import PoseLibrary
from fetusmap.detect import (
    BodyFrame,
    BodyFrameGrid,
    Cascade,
    Detector,
    WholeVolumeGrid,
    body_frame_of,
)
from fetusmap.geometry import Grid, affine_from, angle_between_rotations
from fetusmap.heatmap import Heatmaps, encode
from fetusmap.quality import collect_evidence
from fetusmap.volume import Volume

ROOM = Grid.from_spacing(
    (90, 96, 84), 1.0, (120, -75, 30), Rotation.from_rotvec([0.5, -0.3, 1.2]).as_matrix()
)
NOTHING = Volume(np.zeros(ROOM.shape, np.uint8), ROOM)
"""The networks below know where the body is and need not look."""

CANONICAL = BodyFrameGrid(0.072, (40, 32, 48))

Sight = Callable[[np.ndarray, Channels, Grid], np.ndarray]


@dataclass(frozen=True, eq=False)
class Seer(Detector):
    """A detector that writes what `sight` sees; like a network it takes a mirror image for a body.

    In a left-handed grid the picture of a body is that of its mirror image, whose left knee is the
    body's right one.
    """

    skeleton: Skeleton
    body_mm: np.ndarray
    sight: Sight
    grids: list[Grid] = field(default_factory=list)

    def input_tensor(self, prepared: Volume, grid: Grid) -> torch.Tensor:
        del prepared
        return torch.zeros(1, 1, *grid.shape)

    def predict_from(
        self, volume: torch.Tensor, grid: Grid, *, half: bool | None = None
    ) -> Heatmaps:
        del volume, half
        self.grids.append(grid)
        mirrored = self.body_mm[self.skeleton.mirror_index]
        body = mirrored if grid.is_left_handed else self.body_mm
        pooled = grid.pool(2)
        maps = self.sight(body, self.channels, pooled) + np.float32(1e-9)
        maps /= maps.sum(axis=(1, 2, 3), keepdims=True)
        return Heatmaps(torch.from_numpy(maps), pooled)


def clearly(body: np.ndarray, channels: Channels, grid: Grid) -> np.ndarray:
    """Gaussians of 1.5 voxels."""
    return encode(body, grid, 1.5 * grid.spacing_mm[0], channels.rows)


def unequally(body: np.ndarray, channels: Channels, grid: Grid) -> np.ndarray:
    """Every peak of another height, so that those of a pair come in either order."""
    heights = np.random.default_rng(0).uniform(0.6, 1, len(body)).astype(np.float32)
    alone = encode(body, grid, 1.5 * grid.spacing_mm[0], [(row,) for row in range(len(body))])
    alone *= heights[:, None, None, None]
    return np.stack([alone[list(rows)].sum(axis=0) for rows in channels.rows])


def nothing_at_all(body: np.ndarray, channels: Channels, grid: Grid) -> np.ndarray:
    return np.ones((len(channels), *grid.shape), np.float32)


def noise(channels: Channels, grid: Grid) -> np.ndarray:
    shape = (len(channels), *grid.shape)
    return np.random.default_rng(1).uniform(0.5, 1, shape).astype(np.float32)


def in_the_room(pose: np.ndarray, turn: int = 0) -> np.ndarray:
    """A pose of a trunk of 25 mm in the middle of the room."""
    rotation = Rotation.from_rotvec(np.random.default_rng(turn).normal(0, 2, 3))
    turned = rotation.apply(pose)
    return turned + ROOM.center_mm - (turned.min(axis=0) + turned.max(axis=0)) / 2


@pytest.fixture
def cascade_for(skeleton: Skeleton, library: PoseLibrary) -> Callable[..., Cascade]:
    """A cascade of two seers for a body."""

    def make(body: np.ndarray, coarse: Sight = unequally, canonical: Sight = clearly) -> Cascade:
        network = SimpleNamespace(multiple=16, stride=2)
        return Cascade(
            skeleton,
            Seer(network, WholeVolumeGrid(2.0), channel_per_pair(skeleton), skeleton, body, coarse),
            Seer(network, CANONICAL, channel_per_landmark(skeleton), skeleton, body, canonical),
            library.select(np.arange(100)),
        )

    return make


def off_mm(positions: np.ndarray, body: np.ndarray) -> float:
    return float(np.linalg.norm(positions - body, axis=1).max())


@pytest.mark.parametrize("pose", range(4))
def test_every_landmark_is_found_under_its_name(cascade_for, skeleton, unseen, pose):
    body = in_the_room(unseen[pose], turn=pose)
    cascade = cascade_for(body)
    found = cascade.detect(NOTHING)
    best = found[0]
    assert off_mm(best.positions_mm, body) < 0.15
    assert best.heatmaps.array.shape == (16, 20, 16, 24)
    frame = body_frame_of(skeleton, body)
    assert np.degrees(angle_between_rotations(best.frame.axes, frame.axes)) < 25
    assert np.linalg.norm(best.frame.sacrum_mm - frame.sacrum_mm) < 0.2 * 25
    assert best.frame.trunk_mm == pytest.approx(25, rel=0.2)
    assert 0.01 < best.residual < 0.3
    assert ((best.masses > 0.3) & (best.masses <= 1)).all()


def test_the_best_comes_first_and_scores_are_masses_less_residual(cascade_for, unseen):
    found = cascade_for(in_the_room(unseen[0])).detect(NOTHING)
    scores = [one.score for one in found]
    assert 1 <= len(found) <= 4
    assert scores == sorted(scores, reverse=True)
    for one in found:
        assert one.score == pytest.approx(one.masses.mean() - one.residual)


def test_frames_that_are_tried_are_unlike_each_other(cascade_for, unseen):
    for pose in unseen[:5]:
        frames = cascade_for(in_the_room(pose)).find_frames(NOTHING)
        assert 1 <= len(frames) <= 3
        for first, second in combinations(frames, 2):
            turned = np.degrees(angle_between_rotations(first.axes, second.axes))
            moved = np.linalg.norm(first.sacrum_mm - second.sacrum_mm) / second.trunk_mm
            assert turned > 30 or moved > 0.3


@pytest.mark.parametrize("depth", [-0.1, -1.0])
def test_where_the_first_pass_errs_about_front_and_back_the_second_one_does_not(
    cascade_for, skeleton, unseen, depth
):
    # The first pass sees a flat body, a little more like one that faces the other way, or plainly
    # one that does. The second sees clearly only in a frame that is about right.
    wrong_first = 0
    for pose in unseen[:4]:
        body = in_the_room(pose)
        frame = body_frame_of(skeleton, body)
        flat = np.diag([1, depth, 1])

        def as_seen(body, channels, grid, frame=frame, flat=flat):
            squeezed = (body - frame.sacrum_mm) @ frame.axes @ flat @ frame.axes.T
            return unequally(squeezed + frame.sacrum_mm, channels, grid)

        def clearly_in_its_frame(body, channels, grid, frame=frame):
            if np.degrees(angle_between_rotations(grid.direction, frame.axes)) < 60:
                return clearly(body, channels, grid)
            return noise(channels, grid)

        cascade = cascade_for(body, as_seen, clearly_in_its_frame)
        first = cascade.find_frames(NOTHING)[0]
        wrong_first += np.degrees(angle_between_rotations(first.axes, frame.axes)) > 60
        assert off_mm(cascade.detect(NOTHING)[0].positions_mm, body) < 0.15
    assert wrong_first >= 2


def test_a_second_look_starts_from_the_better_frame(cascade_for, skeleton, unseen):
    body = in_the_room(unseen[1])
    cascade = cascade_for(body)
    truth = body_frame_of(skeleton, body)
    askew = Rotation.from_rotvec([0.5, 0.4, -0.5]).as_matrix()
    frame = BodyFrame(truth.sacrum_mm + 5, askew @ truth.axes, 1.25 * truth.trunk_mm)
    found = cascade.detect_in_frame(NOTHING, frame, flip_average=False)
    assert off_mm(found.positions_mm, body) < 0.15
    first, last = cascade.canonical.grids[0], cascade.canonical.grids[-1]
    assert first.is_close(CANONICAL.of_frame(frame))
    turned = [np.degrees(angle_between_rotations(g.direction, truth.axes)) for g in (first, last)]
    assert turned[1] < 0.6 * turned[0]
    assert last.spacing_mm[0] == pytest.approx(0.072 * 25, rel=0.15)
    assert found.heatmaps.grid.is_close(last.pool(2))


@pytest.mark.parametrize("coarsen", [1.0, 1.5, 3.0])
def test_the_first_pass_looks_at_the_whole_volume_with_the_asked_for_voxels(
    cascade_for, unseen, coarsen
):
    body = in_the_room(unseen[0])
    cascade = cascade_for(body)
    found = cascade.detect(NOTHING, coarsen=coarsen)
    (grid,) = cascade.coarse.grids
    np.testing.assert_allclose(grid.spacing_mm, 2.0 * coarsen, rtol=1e-12)
    assert grid.contains(ROOM.corners_mm(), -1e-6).all()
    assert all(n % 16 == 0 for n in grid.shape)
    assert off_mm(found[0].positions_mm, body) < 0.15


def test_looking_at_the_mirror_image_too_gives_the_same(cascade_for, unseen):
    body = in_the_room(unseen[2])
    cascade = cascade_for(body)
    plain = cascade.detect(NOTHING, flip_average=False)[0]
    assert not any(grid.is_left_handed for grid in cascade.canonical.grids)
    cascade.canonical.grids.clear()
    both = cascade.detect(NOTHING)[0]  # unless told otherwise
    np.testing.assert_allclose(both.positions_mm, plain.positions_mm, atol=0.02)
    np.testing.assert_allclose(both.masses, plain.masses, atol=0.01)
    # Where a frame has stayed, and of what was seen there last.
    mirrored = [n for n, grid in enumerate(cascade.canonical.grids) if grid.is_left_handed]
    assert mirrored
    for n in mirrored:
        assert n >= 2
        assert cascade.canonical.grids[n] == cascade.canonical.grids[n - 1].flip(0)
    assert mirrored[-1] == len(cascade.canonical.grids) - 1


def test_averaging_with_the_mirror_image_cancels_a_drift_to_one_side(cascade_for, unseen):
    def drifting(body, channels, grid):
        return np.roll(clearly(body, channels, grid), 1, axis=1)

    body = in_the_room(unseen[0])
    cascade = cascade_for(body, canonical=drifting)
    plain = cascade.detect(NOTHING, flip_average=False)[0]
    voxel = 2 * 0.072 * plain.frame.trunk_mm
    assert off_mm(plain.positions_mm, body) == pytest.approx(voxel, rel=0.2)
    assert off_mm(cascade.detect(NOTHING, flip_average=True)[0].positions_mm, body) < 0.1 * voxel


def test_one_side_seen_in_the_mirror_stands_in_for_the_other(cascade_for, skeleton, unseen):
    def only_right(body, channels, grid):
        maps = clearly(body, channels, grid)
        left = [n for n, name in enumerate(channels.names) if name.startswith("left")]
        maps[left] = 1e-3 * noise(channels, grid)[left]
        return maps

    body = in_the_room(unseen[0])
    cascade = cascade_for(body, canonical=only_right)
    frame = body_frame_of(skeleton, body)
    plain = cascade.detect_in_frame(NOTHING, frame, flip_average=False)
    left = [name.startswith("left") for name in skeleton.landmarks]
    assert off_mm(plain.positions_mm[left], body[left]) > 5
    both = cascade.detect_in_frame(NOTHING, frame, flip_average=True)
    assert off_mm(both.positions_mm, body) < 0.15


def test_a_landmark_that_strays_from_all_atlases_says_so(cascade_for, skeleton, unseen):
    wrist = skeleton.index("left_wrist")

    def astray(body, channels, grid):
        body = body.copy()
        body[wrist] += 0.7 * 25 * body_frame_of(skeleton, body).axes[:, 2]
        return clearly(body, channels, grid)

    body = in_the_room(unseen[0])
    frame = body_frame_of(skeleton, body)
    plain, harmed = (
        cascade_for(body, canonical=sight).detect_in_frame(NOTHING, frame, flip_average=False)
        for sight in (clearly, astray)
    )
    assert harmed.distance_to_atlas_mean.argmax() == wrist
    assert harmed.distance_to_atlas_mean[wrist] > plain.distance_to_atlas_mean[wrist] + 0.3
    assert harmed.residual > plain.residual
    assert plain.distance_to_atlas_mean.mean() < 0.3


def test_what_is_found_has_its_sides_right_as_far_as_the_library_can_tell(cascade_for, unseen):
    for pose in unseen[:5]:
        cascade = cascade_for(in_the_room(pose))
        assert collect_evidence(cascade.detect(NOTHING)[0], cascade.library).margin > 0.01


def test_the_passes_go_by_their_names(cascade_for, unseen):
    cascade = cascade_for(in_the_room(unseen[0]))
    assert cascade.detectors == {"coarse": cascade.coarse, "canonical": cascade.canonical}


def test_the_same_volume_gives_the_same_pose_whatever_came_before(cascade_for, unseen):
    cascade = cascade_for(in_the_room(unseen[3]))
    first = cascade.detect(NOTHING)
    cascade.detect(NOTHING, flip_average=False, coarsen=3.0)
    for before, after in zip(first, cascade.detect(NOTHING), strict=True):
        np.testing.assert_array_equal(before.positions_mm, after.positions_mm)
        assert before.score == after.score


def test_where_the_first_pass_sees_nothing_there_is_no_frame(cascade_for, unseen):
    cascade = cascade_for(in_the_room(unseen[0]), coarse=nothing_at_all)
    assert cascade.find_frames(NOTHING) == []
    assert cascade.detect(NOTHING) == []
    assert cascade.canonical.grids == []


def test_where_the_second_pass_sees_nothing_it_does_not_break_off(cascade_for, unseen):
    cascade = cascade_for(in_the_room(unseen[0]), canonical=nothing_at_all)
    for one in cascade.detect(NOTHING):
        assert np.isfinite(one.score)
        assert np.isfinite(one.positions_mm).all()


def test_a_detection_keeps_the_peaks_of_the_first_pass(cascade_for, unseen):
    """Both of a mirror pair, in any order; a midline landmark has one."""
    body = in_the_room(unseen[0])
    cascade = cascade_for(body)
    (found, *_) = cascade.detect(NOTHING)
    peaks = found.first_pass_mm
    assert peaks.shape == (len(body), 2, 3)
    order = cascade.skeleton.mirror_index
    midline = order == np.arange(len(body))
    np.testing.assert_array_equal(np.isnan(peaks[:, 1]).all(axis=1), midline)
    np.testing.assert_array_equal(peaks, peaks[order])
    first = cascade.find_first_peaks(NOTHING)
    for channel, rows in zip(first.positions_mm, cascade.coarse.channels.rows, strict=True):
        np.testing.assert_array_equal(peaks[rows[0], : len(rows)], channel[: len(rows)])
    moved = found.transformed(affine_from(np.eye(3), [1.0, 2.0, 3.0]))
    np.testing.assert_allclose(moved.first_pass_mm, peaks + np.array([1.0, 2.0, 3.0]))
