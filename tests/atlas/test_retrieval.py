"""The support set, against a loop over the atlases and by hand."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from fetusmap.atlas import (
    PoseLibrary,
    SupportSet,
    find_support,
    find_support_in_maps,
    usable_atlases,
)
from fetusmap.errors import BadInput, DegenerateAlignment
from fetusmap.heatmap import Heatmaps, LandmarkMaps, encode

ALONE = [(row,) for row in range(16)]


def by_a_loop(atlases, pose, weights):
    """Error and aligned positions of each atlas, one after the other."""
    for atlas in atlases.astype(float):
        common = np.isfinite(atlas[:, 0]) & np.isfinite(pose[:, 0])
        used = common & (weights > 0)
        share = weights[used] / weights[used].sum()
        here, there = share @ atlas[used], share @ pose[used]
        turn, _ = Rotation.align_vectors(pose[used] - there, atlas[used] - here, share)
        moved = turn.apply(atlas - here) + there
        yield np.linalg.norm(moved - pose, axis=1)[common].mean(), moved


@pytest.mark.parametrize("weighing", ["all alike", "ten of them", "any"])
def test_the_support_set_is_that_of_a_loop_over_all_atlases(library, skeleton, placed, weighing):
    """The error counts all landmarks that both have, whatever finds the alignment."""
    rng = np.random.default_rng(3)
    atlases = library.positions_mm[:80].copy()
    atlases[rng.random((80, 16)) < 0.05] = np.nan
    pose = placed(library.positions_mm[100]) + rng.normal(0, 2, (16, 3))
    pose[[5, 8]] = np.nan
    given = {
        "all alike": None,
        "ten of them": np.isin(np.arange(16), skeleton.indices(skeleton.registration_subset)) * 1.0,
        "any": rng.uniform(0.1, 1, 16),
    }[weighing]
    found = find_support(PoseLibrary(skeleton, atlases), pose, 12, given)
    weights = np.ones(16) if given is None else given
    errors, moved = zip(*by_a_loop(atlases, pose, weights), strict=True)
    best = np.argsort(errors)[:12]
    assert found.atlases.tolist() == best.tolist()
    np.testing.assert_allclose(-found.scores, np.array(errors)[best], atol=1e-5)
    np.testing.assert_allclose(found.positions_mm, np.array(moved)[best], atol=1e-4)
    assert np.array_equal(np.isnan(found.positions_mm), np.isnan(atlases[best]))


def test_a_pose_that_is_in_the_library_is_found_wherever_it_lies(library, placed):
    pose = placed(library.positions_mm[42], seed=7)
    found = find_support(library, pose, 3)
    assert found.atlases[0] == 42
    np.testing.assert_allclose(found.positions_mm[0], pose, atol=1e-4)
    assert found.scores[0] == pytest.approx(0, abs=1e-4)


def test_a_rigid_alignment_does_not_scale(library, placed):
    """A fetus half as large again is another one here, as in the paper."""
    pose = placed(1.5 * library.positions_mm[42])
    lengths = [
        np.linalg.norm(poses[..., 2, :] - poses[..., 7, :], axis=-1)
        for poses in (find_support(library, pose, 5).positions_mm, library.positions_mm)
    ]
    assert all(np.abs(lengths[1] - length).min() < 1e-4 for length in lengths[0])


def test_a_landmark_without_weight_still_counts_in_the_error(library, skeleton):
    """Two atlases that differ in a wrist alone, which takes no part in the alignment."""
    pose = library.positions_mm[0].astype(float)
    wrist = skeleton.index("left_wrist")
    other = pose.copy()
    other[wrist] += [0, 8, 0]
    weights = np.ones(16)
    weights[wrist] = 0
    found = find_support(PoseLibrary(skeleton, np.stack([other, pose])), pose, 2, weights)
    assert found.atlases.tolist() == [1, 0]
    np.testing.assert_allclose(found.scores, [0, -8 / 16], atol=1e-5)


def test_of_atlases_that_fit_alike_the_first_ones_count(library, skeleton, placed):
    rows = [5, 9, 5, 9, 9, 5]
    twins = PoseLibrary(skeleton, library.positions_mm[rows])
    pose = placed(library.positions_mm[9])
    assert find_support(twins, pose, 2).atlases.tolist() == [1, 3]
    assert find_support(twins, pose, 6).atlases.tolist() == [1, 3, 4, 0, 2, 5]


def test_the_mean_is_of_the_atlases_that_have_the_landmark():
    positions = np.zeros((3, 3, 3))
    positions[:, 0] = [[0, 0, 0], [3, 0, 0], [6, 9, 0]]
    positions[:, 1] = [[1, 1, 1], [np.nan] * 3, [3, 3, 5]]
    positions[:, 2] = np.nan
    found = SupportSet(np.arange(3), positions, np.zeros(3)).mean_mm
    np.testing.assert_array_equal(found, [[3, 3, 0], [2, 2, 3], [np.nan] * 3])


@pytest.mark.parametrize("in_maps", [False, True])
def test_a_library_smaller_than_the_support_set_is_refused_in_one_line(library, box, in_maps):
    few = library.select(np.arange(4))
    pose = library.positions_mm[0].astype(float)
    maps = LandmarkMaps(np.zeros((16, *box(pose).shape), np.float32), box(pose))
    hypothesis = (pose, np.ones(16))
    find = partial(find_support_in_maps, few, maps, [hypothesis])
    with pytest.raises(BadInput) as error:
        (find if in_maps else partial(find_support, few, pose))(5)
    assert str(error.value).startswith("pose library: expected at least 5 atlases")
    assert "found 4" in str(error.value)
    assert "\n" not in str(error.value)


def test_two_landmarks_are_too_few(library):
    pose = np.full((16, 3), np.nan)
    pose[[0, 3]] = library.positions_mm[0, [0, 3]]
    with pytest.raises(DegenerateAlignment):
        find_support(library, pose, 5)
    with pytest.raises(DegenerateAlignment):
        find_support(library, library.positions_mm[0], 5, (np.arange(16) < 2) * 1.0)


# Usable atlases


def test_atlases_that_lack_landmarks_or_lie_on_a_line_have_no_say(library, with_useless):
    """Those that are left keep their order and their positions."""
    complete = library.select(np.arange(30))
    mixed = with_useless(complete)
    assert len(mixed) == 36
    found = usable_atlases(mixed, 30)
    assert found.positions_mm.tobytes() == complete.positions_mm.tobytes()
    assert found.skeleton == complete.skeleton
    assert usable_atlases(complete, 30) is complete


def test_an_atlas_of_any_size_and_place_is_usable(library, skeleton):
    sizes = [1e-3, 1, 100]
    poses = [size * library.positions_mm[0] + 300 * size for size in sizes]
    flat = library.positions_mm[1] * np.float32([1, 1, 0])
    assert len(usable_atlases(PoseLibrary(skeleton, np.stack([*poses, flat])), 4)) == 4


def test_the_error_says_how_many_atlases_there_are_in_all(library, with_useless):
    complete = library.select(np.arange(30))
    with pytest.raises(BadInput) as error:
        usable_atlases(with_useless(complete), 31)
    assert str(error.value).startswith("pose library: expected at least 31 atlases")
    assert "found 30 with all landmarks, of 36;" in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(BadInput, match="found 30;"):
        usable_atlases(complete, 31)


# By heatmaps


@pytest.fixture
def seen(library, skeleton, box):
    """A pose, its maps, and a hypothesis whose left wrist is 20 mm off, with atlases of both."""
    pose = library.positions_mm[0].astype(float)
    mistaken = pose.copy()
    mistaken[skeleton.index("left_wrist")] += [12, 0, 16]
    grid = box(pose)
    maps = LandmarkMaps(encode(pose, grid, 2.0, ALONE), grid)
    both = PoseLibrary(skeleton, np.stack([mistaken, pose, *library.positions_mm[200:230]]))
    return pose, mistaken, maps, both


def test_the_atlas_on_whose_landmarks_the_maps_are_high_comes_first(seen, skeleton):
    """Though the peaks are exactly those of another one."""
    pose, mistaken, maps, both = seen
    weights = np.ones(16)
    weights[skeleton.index("left_wrist")] = 0.1
    assert find_support(both, mistaken, 2, weights).atlases.tolist() == [0, 1]
    found = find_support_in_maps(both, maps, [(mistaken, weights)], 2)
    assert found.atlases.tolist() == [1, 0]
    assert np.linalg.norm(found.positions_mm[0] - pose, axis=1).max() < 3
    assert found.scores[0] > found.scores[1]


def test_scores_are_those_of_the_maps_at_the_aligned_atlases(seen):
    pose, _, maps, both = seen
    found = find_support_in_maps(both, maps, [(pose, np.ones(16))], 7)
    np.testing.assert_allclose(found.scores, maps.mean_log_at(found.positions_mm))
    assert (np.diff(found.scores) <= 0).all()
    everyone = find_support_in_maps(both, maps, [(pose, np.ones(16))], len(both))
    assert everyone.atlases[:7].tolist() == found.atlases.tolist()
    assert sorted(everyone.atlases) == list(range(len(both)))


def test_the_size_of_the_fetus_is_left_open(seen, skeleton, box):
    pose, _, _, both = seen
    large = 1.6 * pose
    grid = box(large)
    maps = LandmarkMaps(encode(large, grid, 2.0, ALONE), grid)
    found = find_support_in_maps(both, maps, [(large, np.ones(16))], 3)
    assert found.atlases[0] == 1
    np.testing.assert_allclose(found.positions_mm[0], large, atol=1e-3)


def test_the_better_hypothesis_brings_the_atlases_near(seen, skeleton):
    pose, _, maps, both = seen
    ones = np.ones(16)
    exchanged = pose[skeleton.mirror_index]
    plain = find_support_in_maps(both, maps, [(pose, ones)], 2)
    for order in (1, -1):
        hypotheses = [(exchanged, ones), (pose, ones)][::order]
        found = find_support_in_maps(both, maps, hypotheses, 2)
        assert found.atlases.tolist() == plain.atlases.tolist()
        np.testing.assert_array_equal(found.positions_mm, plain.positions_mm)


def test_a_hypothesis_that_determines_nothing_is_passed_over(seen):
    pose, _, maps, both = seen
    nothing = (np.full((16, 3), np.nan), np.zeros(16))
    found = find_support_in_maps(both, maps, [nothing, (pose, np.ones(16))], 2)
    assert found.atlases[0] == 1
    with pytest.raises(DegenerateAlignment):
        find_support_in_maps(both, maps, [nothing, nothing], 2)


def test_an_atlas_without_a_landmark_has_the_floor_there(seen, skeleton):
    pose, _, maps, _ = seen
    lacking = pose.copy()
    lacking[skeleton.index("head")] = np.nan
    two = PoseLibrary(skeleton, np.stack([lacking, pose]))
    found = find_support_in_maps(two, maps, [(pose, np.ones(16))], 2)
    assert found.atlases.tolist() == [1, 0]
    high = maps.heights[0].max()
    assert found.scores[0] - found.scores[1] == pytest.approx(
        np.log(high / 0.02 + 1) / 16, abs=0.02
    )
    assert np.isnan(found.positions_mm[1, skeleton.index("head")]).all()


def test_maps_are_read_from_heatmaps(seen, skeleton):
    """Blind to sides, both of a pair may be where either was seen."""
    pose, _, maps, both = seen
    heatmaps = Heatmaps(torch.from_numpy(maps.heights), maps.grid)
    blind = LandmarkMaps.of_both_sides(heatmaps, skeleton, 1.0, 0.5)
    order = skeleton.mirror_index
    assert blind.mean_log_at(pose) == pytest.approx(blind.mean_log_at(pose[order]))
    assert find_support_in_maps(both, blind, [(pose, np.ones(16))], 1).atlases[0] == 1
