"""The fast refinement of detections whose mistakes are known, because they were made on purpose."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fetusmap.atlas import PoseLibrary
from fetusmap.detect import detection_from_heatmaps
from fetusmap.errors import BadInput
from fetusmap.heatmap import Heatmaps, encode
from fetusmap.refine import FastRefinement, refine_fast

ALONE = [(row,) for row in range(16)]
LIMBS = {"arm": ("elbow", "wrist"), "leg": ("knee", "ankle")}


@pytest.fixture(scope="module")
def pipeline(skeleton, library):
    """All that is asked of one."""
    return SimpleNamespace(skeleton=skeleton, library=library, last=SimpleNamespace(height=1.0))


@pytest.fixture(scope="module")
def detection_of(skeleton, library):
    """A function that reads a detection from heatmaps, as a pass does."""

    def read(maps, grid):
        heatmaps = Heatmaps(torch.from_numpy(np.ascontiguousarray(maps)), grid)
        return detection_from_heatmaps(heatmaps, grid, library)

    return read


@pytest.fixture(scope="module", params=[7, 30, 140])
def seen(request, library, placed, box):
    """A pose of the library anywhere in the room, its grid and its heatmaps."""
    pose = placed(library.positions_mm[request.param], seed=request.param)
    grid = box(pose)
    return pose, grid, encode(pose, grid, 2.0, ALONE)


def refine(pipeline, before, atlases, settings=None):
    height, library = pipeline.last.height, pipeline.library
    return refine_fast(before, height, library, atlases, settings or FastRefinement())


def off_mm(detection, pose):
    return np.linalg.norm(detection.positions_mm - pose, axis=1)


def assert_on_its_side(detection, pose, skeleton, rows):
    """Far nearer to where it is than to where the other one of its pair is."""
    rows = list(rows)
    other = off_mm(detection, pose[skeleton.mirror_index])
    pairs = [row for row in rows if skeleton.mirror_index[row] != row]
    assert (off_mm(detection, pose)[pairs] < 0.6 * other[pairs]).all()
    assert np.median(off_mm(detection, pose)[rows]) < 8


def veiled(maps, mass=0.4):
    """Under a haze, so that no peak holds more than that share of its map."""
    total = maps.sum(axis=(1, 2, 3), keepdims=True)
    return np.float32(maps + total * (1 / mass - 1) / maps[0].size)


def exchanged(maps, skeleton, names):
    order = np.arange(16)
    for name in names:
        pair = skeleton.indices((f"left_{name}", f"right_{name}"))
        order[pair] = pair[::-1]
    return maps[order]


def test_left_and_right_of_the_whole_body_are_put_right(
    seen, pipeline, library, skeleton, detection_of
):
    pose, grid, maps = seen
    before = detection_of(maps[skeleton.mirror_index], grid)
    assert off_mm(before, pose).max() > 10
    found = refine(pipeline, before, library)
    assert_on_its_side(found.detection, pose, skeleton, range(16))
    assert found.changes[0] == "left and right exchanged"
    assert found.rejected_because == ""
    assert found.before is before
    assert found.detection.residual < before.residual
    assert found.iterations == ()  # all landmarks are certain, so none is searched for


@pytest.mark.parametrize("limb", LIMBS)
def test_an_exchanged_limb_is_put_right(seen, pipeline, library, skeleton, detection_of, limb):
    pose, grid, maps = seen
    before = detection_of(exchanged(maps, skeleton, LIMBS[limb]), grid)
    found = refine(pipeline, before, library)
    concerned = [row for row, name in enumerate(skeleton.landmarks) if name.endswith(LIMBS[limb])]
    assert_on_its_side(found.detection, pose, skeleton, concerned)
    others = np.delete(np.arange(16), concerned)
    np.testing.assert_array_equal(found.detection.positions_mm[others], before.positions_mm[others])
    assert found.detection.residual < before.residual
    assert found.changes[0] == f"left and right {limb} exchanged"


def test_what_was_put_right_lies_on_its_peak(seen, pipeline, library, skeleton, detection_of):
    """The heatmaps are without fault but for their names."""
    pose, grid, maps = seen
    before = detection_of(exchanged(maps, skeleton, LIMBS["arm"]), grid)
    assert off_mm(refine(pipeline, before, library).detection, pose).max() < 2.0


def test_where_nothing_is_doubtful_nothing_changes(seen, pipeline, library, detection_of):
    _, grid, maps = seen
    before = detection_of(maps, grid)
    found = refine(pipeline, before, library)
    assert found.detection.positions_mm.tobytes() == before.positions_mm.tobytes()
    assert found.detection.masses.tobytes() == before.masses.tobytes()
    assert (
        found.detection.distance_to_atlas_mean.tobytes() == before.distance_to_atlas_mean.tobytes()
    )
    assert found.detection.residual == before.residual
    assert found.changes == ()


def test_sure_landmarks_stay_exactly_where_they_were(
    seen, pipeline, library, skeleton, detection_of
):
    """A head in the wrong place moves; the others are the same to the last bit."""
    pose, grid, maps = seen
    head = skeleton.index("head")
    false = grid.to_world(np.array(grid.shape) - 4.0)
    maps = maps.copy()
    maps[head] = 0.3 * maps[head] + 0.4 * encode(false[None], grid, 2.0, [(0,)])[0]
    before = detection_of(maps, grid)
    assert np.linalg.norm(before.positions_mm[head] - false) < 3
    found = refine(pipeline, before, library)
    others = np.flatnonzero(np.arange(16) != head)
    np.testing.assert_array_equal(found.detection.positions_mm[others], before.positions_mm[others])
    np.testing.assert_array_equal(found.detection.masses[others], before.masses[others])
    assert off_mm(found.detection, pose)[head] < 6
    head_moved, together = found.changes
    assert head_moved.startswith("head moved by ")
    assert together.startswith("1 landmark moved, ")


def test_in_a_likely_pose_only_what_lies_astray_moves(seen, pipeline, library, detection_of):
    """Though the heatmaps are sure of nothing."""
    _, grid, maps = seen
    before = detection_of(veiled(maps), grid)
    assert before.masses.max() < 0.5
    assert before.residual < 0.2
    near = before.distance_to_atlas_mean < 0.3
    assert near.sum() >= 14
    found = refine(pipeline, before, library).detection
    np.testing.assert_array_equal(found.positions_mm[near], before.positions_mm[near])
    np.testing.assert_array_equal(found.masses[near], before.masses[near])


def test_in_an_unlikely_pose_all_may_move_of_which_the_heatmaps_are_not_sure(
    seen, pipeline, library, skeleton, detection_of
):
    _, grid, maps = seen
    before = detection_of(veiled(exchanged(maps, skeleton, ["shoulder", "knee"])), grid)
    assert before.residual > 0.2
    near = before.distance_to_atlas_mean < 0.3
    assert near.sum() >= 6
    found = refine(pipeline, before, library).detection
    moved = np.linalg.norm(found.positions_mm - before.positions_mm, axis=1)
    assert (moved[near] > 0).sum() >= 4


def test_a_landmark_is_found_where_its_partner_was_seen(
    seen, pipeline, library, skeleton, detection_of
):
    """Shoulders alone are no limb, so their heatmaps keep the wrong names.

    How sure they are of their new places their partners' maps say: their own show nothing there.
    """
    pose, grid, maps = seen
    pair = skeleton.indices(("left_shoulder", "right_shoulder"))
    before = detection_of(veiled(exchanged(maps, skeleton, ["shoulder"])), grid)
    assert off_mm(before, pose)[pair].min() > 10
    found = refine(pipeline, before, library)
    assert found.changes[0] == "left and right shoulder exchanged"
    assert off_mm(found.detection, pose)[pair].max() < 2
    np.testing.assert_allclose(found.detection.masses[pair], before.masses[pair[::-1]], atol=0.05)
    assert before.masses[pair].min() > 0.3


def test_sides_are_named_in_several_ways(seen, pipeline, library, skeleton, detection_of):
    """The whole body is exchanged, and limbs stay: as it is named no atlas comes near."""
    pose, grid, maps = seen
    before = detection_of(veiled(maps[skeleton.mirror_index]), grid)
    found = refine(pipeline, before, library, FastRefinement(limbs=False))
    assert off_mm(before, pose).mean() > 14
    assert off_mm(found.detection, pose).mean() < 5


def test_later_rounds_come_nearer(seen, pipeline, library, detection_of):
    """Six landmarks have a false peak higher than the true one; three times."""
    pose, grid, maps = seen
    rng = np.random.default_rng(5)
    off = []
    for _ in range(3):
        rows = rng.choice(16, 6, replace=False)
        false = grid.to_world(rng.uniform(4, np.array(grid.shape) - 5, (6, 3)))
        misled = maps.copy()
        misled[rows] = 0.5 * maps[rows] + 0.7 * encode(false, grid, 2.0, ALONE[:6])
        before = detection_of(veiled(misled), grid)
        found = refine(pipeline, before, library)
        off += [[off_mm(turn, pose)[rows].mean() for turn in found.iterations]]
        np.testing.assert_array_equal(
            found.iterations[-1].positions_mm, found.detection.positions_mm
        )
    rounds = np.mean(off, axis=0)
    assert rounds[-1] < 0.75 * rounds[0]


def test_atlases_that_lack_landmarks_have_no_say(
    seen, pipeline, library, skeleton, detection_of, with_useless
):
    _, grid, maps = seen
    before = detection_of(veiled(exchanged(maps, skeleton, ["shoulder", "knee"])), grid)
    plain = refine(pipeline, before, library)
    found = refine(pipeline, before, with_useless(library))
    assert found.changes == plain.changes != ()
    for name in ("positions_mm", "masses", "distance_to_atlas_mean"):
        one, other = (getattr(refined.detection, name) for refined in (plain, found))
        assert one.tobytes() == other.tobytes()
    for one, other in zip(plain.iterations, found.iterations, strict=True):
        assert one.support.positions_mm.tobytes() == other.support.positions_mm.tobytes()
        assert one.support.scores.tobytes() == other.support.scores.tobytes()


def test_nothing_is_learnt(seen, pipeline, library, detection_of):
    """So there is no label proxy, nor a loss; and none where it is moved."""
    _, grid, maps = seen
    found = refine(pipeline, detection_of(maps, grid), library)
    for refinement in (found, found.transformed(np.eye(4))):
        assert all(turn.proxy is None for turn in refinement.iterations)
        assert all(np.isnan(turn.loss) for turn in refinement.iterations)


def test_the_detection_that_is_given_is_left_alone(seen, pipeline, library, skeleton, detection_of):
    _, grid, maps = seen
    before = detection_of(maps[skeleton.mirror_index], grid)
    arrays = (before.positions_mm, before.masses, before.distance_to_atlas_mean)
    copies = [array.copy() for array in arrays]
    heatmaps = before.heatmaps.array.clone()
    refine(pipeline, before, library)
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)
    assert torch.equal(before.heatmaps.array, heatmaps)


def test_what_fits_the_library_worse_is_not_taken(seen, pipeline, library, skeleton, detection_of):
    """A library of nothing but the detection itself knows no likelier pose."""
    _, grid, maps = seen
    before = detection_of(maps[skeleton.mirror_index], grid)
    own = PoseLibrary(skeleton, np.repeat(before.positions_mm[None].astype(np.float32), 12, 0))
    loyal = SimpleNamespace(skeleton=skeleton, library=own, last=pipeline.last)
    found = refine(loyal, before, library)
    assert found.detection is before
    assert found.rejected_because == "the refined pose would fit the pose library worse"
    assert found.changes == ()
    assert refine(pipeline, before, library).rejected_because == ""


def test_a_small_library_is_refused(seen, pipeline, library, detection_of):
    _, grid, maps = seen
    with pytest.raises(BadInput, match="expected at least 20 atlases"):
        refine(pipeline, detection_of(maps, grid), library.select(np.arange(19)))


def test_heights_are_measured_by_that_of_the_network(
    seen, pipeline, library, skeleton, detection_of
):
    """Maps of a network that writes a twentieth of the height say the same."""
    _, grid, maps = seen
    low = SimpleNamespace(
        skeleton=skeleton, library=pipeline.library, last=SimpleNamespace(height=0.05)
    )
    wrong = exchanged(maps, skeleton, LIMBS["arm"])
    plain = refine(pipeline, detection_of(wrong, grid), library)
    again = refine(low, detection_of(np.float32(0.05) * wrong, grid), library)
    assert again.changes == plain.changes
    np.testing.assert_allclose(
        again.detection.positions_mm, plain.detection.positions_mm, atol=0.01
    )


def test_a_detection_of_too_few_landmarks_is_kept(seen, pipeline, library, detection_of):
    """Two peaks and nothing else: nothing to go by."""
    _, grid, maps = seen
    before = detection_of(maps, grid)
    positions, masses = before.positions_mm.copy(), before.masses.copy()
    positions[2:], masses[2:] = np.nan, 0
    few = before.heatmaps.array.clone()
    few[2:] = 0
    blind = replace(before, positions_mm=positions, masses=masses, heatmaps=Heatmaps(few, grid))
    found = refine(pipeline, blind, library)
    assert found.iterations == ()
    assert found.rejected_because == "too few landmarks to align an atlas with"
    np.testing.assert_array_equal(found.detection.positions_mm, positions)


def test_atlases_are_searched_only_if_a_landmark_may_move(seen, pipeline, library, detection_of):
    """With every landmark certain, nothing moves; with one uncertain landmark, it alone may."""
    _, grid, maps = seen
    before = detection_of(maps, grid)
    unchanged = refine(pipeline, before, library)
    assert unchanged.iterations == ()
    assert unchanged.detection is before
    weak = maps.copy()
    weak[5] *= 0.2
    detection = detection_of(weak, grid)
    masses, residual = detection.masses.copy(), 1.0  # not a likely pose
    masses[5] = 0.2
    detection = replace(detection, masses=masses, residual=residual)
    searched = refine(pipeline, detection, library)
    assert len(searched.iterations) == FastRefinement().rounds
    moved = np.linalg.norm(searched.iterations[-1].positions_mm - detection.positions_mm, axis=1)
    assert set(np.flatnonzero(moved)) <= {5}
