"""Naming left and right: how often it comes out right, and against a loop over every way."""

import tracemalloc
from itertools import product

import numpy as np
import pytest

from fetusmap.anatomy import Skeleton, channel_per_landmark, channel_per_pair
from fetusmap.atlas import PoseLibrary, name_sides
from fetusmap.detect import body_frame_of
from fetusmap.errors import DegenerateAlignment
from fetusmap.geometry import align_similarity, random_rotations

WEIGHTS = np.ones(16)
LIMBS = (1, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15)


def pairs_of(skeleton) -> list[tuple[int, int]]:
    return [(skeleton.index(left), skeleton.index(right)) for left, right in skeleton.mirror_pairs]


def shuffled(rng, skeleton, positions) -> tuple[np.ndarray, np.ndarray]:
    """The positions with a random half of the pairs exchanged, and the order that was chosen."""
    order = np.arange(16)
    for left, right in pairs_of(skeleton):
        if rng.random() < 0.5:
            order[[left, right]] = right, left
    return positions[order], order


def placed(rng, pose) -> np.ndarray:
    """The pose, turned and anywhere in the room."""
    return pose @ random_rotations(rng, 1)[0].T + rng.uniform(-100, 100, 3)


@pytest.mark.parametrize(
    ("noise_mm", "harm"),
    [(1.0, ""), (2.0, ""), (1.0, "one missing"), (1.0, "one far off"), (2.0, "one far off")],
)
def test_sides_of_unseen_poses_come_out_right(skeleton, library, unseen, noise_mm, harm):
    """A hundred atlases are enough."""
    rng = np.random.default_rng(3)
    hundred = library.select(np.arange(100))
    pairs_right, body_right = [], []
    for pose in unseen:
        truth = placed(rng, pose)
        positions = truth + rng.normal(0, noise_mm, truth.shape)
        harmed = rng.choice(LIMBS)
        if harm == "one missing":
            positions[harmed] = np.nan
        if harm == "one far off":
            positions[harmed] += 40 * random_rotations(rng, 1)[0][0]
        given, _ = shuffled(rng, skeleton, positions)
        best = name_sides(given, WEIGHTS, channel_per_pair(skeleton), hundred)[0]
        same = (best.positions_mm == positions).all(axis=1) | np.isnan(positions).all(axis=1)
        if harm:
            same[[harmed, skeleton.mirror_index[harmed]]] = True
        pairs_right.append(same.all())
        right = body_frame_of(skeleton, best.support_mm).axes[:, 0]
        body_right.append(right @ body_frame_of(skeleton, truth).axes[:, 0] > 0.7)
    # Of 300 poses all bodies were right, and all pairs of 99.3 % at least.
    assert np.mean(body_right) == 1
    assert np.mean(pairs_right) >= 0.95


def test_the_order_in_which_a_pairs_peaks_come_does_not_matter(skeleton, library, unseen):
    rng = np.random.default_rng(0)
    channels = channel_per_pair(skeleton)
    positions = placed(rng, unseen[0])
    weights = rng.uniform(0.2, 1, 16)
    plain = name_sides(positions, weights, channels, library)
    for _ in range(3):
        given, order = shuffled(rng, skeleton, positions)
        again = name_sides(given, weights[order], channels, library)
        np.testing.assert_array_equal(again[0].positions_mm, plain[0].positions_mm)
        np.testing.assert_array_equal(again[0].weights, plain[0].weights)
        np.testing.assert_allclose(again[0].support_mm, plain[0].support_mm, atol=1e-6)
        np.testing.assert_allclose(
            [found.residual for found in again], [found.residual for found in plain], atol=1e-9
        )


def test_neither_size_nor_place_of_the_fetus_matters(skeleton, library, unseen):
    rng = np.random.default_rng(1)
    channels = channel_per_pair(skeleton)
    positions = placed(rng, unseen[1])
    turn, offset = random_rotations(rng, 1)[0], np.array([30, -50, 80])
    plain = name_sides(positions, WEIGHTS, channels, library)
    moved = name_sides(2.7 * positions @ turn.T + offset, WEIGHTS, channels, library)
    for first, second in zip(plain[:5], moved[:5], strict=True):
        assert second.residual == pytest.approx(first.residual, rel=1e-9)
        np.testing.assert_allclose(
            second.support_mm, 2.7 * first.support_mm @ turn.T + offset, atol=1e-6
        )


def test_equal_to_a_loop_over_every_way_and_every_atlas(skeleton, library, unseen):
    rng = np.random.default_rng(2)
    few = library.select(np.arange(30))
    weights = rng.uniform(0.1, 1, 16)
    positions, _ = shuffled(rng, skeleton, placed(rng, unseen[2]))
    positions[6] = np.nan
    positions[11] += 40
    found = name_sides(positions, weights, channel_per_pair(skeleton), few)

    expected = []
    share = np.where(np.arange(16) == 6, 0, weights)
    for choice in product((False, True), repeat=6):
        order = np.arange(16)
        for (left, right), swap in zip(pairs_of(skeleton), choice, strict=True):
            order[[left, right]] = (right, left) if swap else (left, right)
        named = positions[order]
        scored = []
        for atlas in few.positions_mm.astype(float):
            map_ = align_similarity(atlas, named, weights[order])
            aligned = map_.scale * atlas @ map_.rotation.T + map_.translation
            apart = np.linalg.norm(aligned - named, axis=1) / np.linalg.norm(
                aligned[2] - aligned[7]
            )
            apart = np.minimum(np.nan_to_num(apart), 0.5)
            scored.append(((apart * share[order]).sum() / share.sum(), aligned))
        best = sorted(scored, key=lambda one: one[0])[:10]
        residual = np.mean([score for score, _ in best])
        expected.append((residual, order, np.mean([aligned for _, aligned in best], axis=0)))
    expected.sort(key=lambda one: one[0])

    assert 1 <= len(found) <= 64
    for one, (residual, order, support) in zip(found, expected, strict=False):
        assert one.residual == pytest.approx(residual, rel=1e-9)
        np.testing.assert_array_equal(one.positions_mm, positions[order])
        np.testing.assert_array_equal(one.weights, weights[order])
        np.testing.assert_allclose(one.support_mm, support, atol=1e-6)


def test_named_landmarks_are_left_under_their_names(skeleton, library, unseen):
    positions = unseen[3][skeleton.mirror_index]
    (only,) = name_sides(positions, WEIGHTS, channel_per_landmark(skeleton), library)
    np.testing.assert_array_equal(only.positions_mm, positions)
    (right,) = name_sides(unseen[3], WEIGHTS, channel_per_landmark(skeleton), library)
    assert right.residual < only.residual


def test_a_pose_of_the_library_fits_it_exactly(skeleton, unseen):
    alone = PoseLibrary(skeleton, unseen[:1])
    given, _ = shuffled(np.random.default_rng(5), skeleton, unseen[0])
    best = name_sides(given, WEIGHTS, channel_per_pair(skeleton), alone)[0]
    np.testing.assert_array_equal(best.positions_mm, unseen[0])
    assert best.residual < 1e-6
    np.testing.assert_allclose(best.support_mm, unseen[0], atol=1e-4)


def test_a_mirrored_atlas_never_fits(skeleton, unseen):
    # Reflected without exchanged labels: no fetus looks like this.
    for pose in unseen[:10]:
        reflected = PoseLibrary(skeleton, (pose * [-1, 1, 1])[None])
        for channels in (channel_per_landmark(skeleton), channel_per_pair(skeleton)):
            assert name_sides(pose, WEIGHTS, channels, reflected)[0].residual > 0.03


def test_a_library_of_reflected_poses_fits_worse_than_the_library(skeleton, library, unseen):
    reflected = PoseLibrary(skeleton, library.positions_mm * np.array([-1, 1, 1]))
    channels = channel_per_landmark(skeleton)
    for pose in unseen[:20]:
        (good,) = name_sides(pose, WEIGHTS, channels, library)
        (bad,) = name_sides(pose, WEIGHTS, channels, reflected)
        assert bad.residual > 1.3 * good.residual


def test_a_landmark_of_little_weight_hardly_counts(skeleton, library, unseen):
    positions = unseen[4].copy()
    clean = name_sides(positions, WEIGHTS, channel_per_pair(skeleton), library)[0]
    positions[skeleton.index("left_wrist")] += 60
    weights = WEIGHTS.copy()
    weights[skeleton.index("left_wrist")] = 1e-6
    best = name_sides(positions, weights, channel_per_pair(skeleton), library)[0]
    assert best.residual == pytest.approx(clean.residual, abs=0.02)
    assert body_frame_of(skeleton, best.support_mm).sacrum_mm == pytest.approx(positions[7], abs=4)


def test_atlases_that_lack_landmarks_do_not_pass_for_the_best(skeleton, library, unseen):
    # Ten atlases of head, spine, neck, sacrum and hips would fit any body closely.
    stubs = library.positions_mm[:10].copy()
    stubs[:, [1, 3, 4, 5, 8, 9, 11, 12, 14, 15]] = np.nan
    mixed = PoseLibrary(skeleton, np.concatenate([stubs, library.positions_mm[10:]]))
    for pose in unseen[:5]:
        (whole,) = name_sides(pose, WEIGHTS, channel_per_landmark(skeleton), library)
        (found,) = name_sides(pose, WEIGHTS, channel_per_landmark(skeleton), mixed)
        assert found.residual == pytest.approx(whole.residual, abs=0.02)
        assert np.isfinite(found.support_mm).all()


@pytest.mark.parametrize("there", [0, 1, 2])
def test_two_landmarks_are_too_few(skeleton, library, unseen, there):
    positions = np.full((16, 3), np.nan)
    positions[:there] = unseen[0, :there]
    with pytest.raises(DegenerateAlignment) as error:
        name_sides(positions, WEIGHTS, channel_per_pair(skeleton), library)
    assert "\n" not in str(error.value)


def many_pairs(count):
    """A skeleton whose pairs hang on nothing, as the landmarks of a face might."""
    pairs = tuple((f"left_{n}", f"right_{n}") for n in range(count))
    names = ("sacrum", "spine", "neck", *(name for pair in pairs for name in pair))
    return Skeleton(
        "many", names, (), pairs, trunk=("sacrum", "spine", "neck"), lateral_pairs=pairs[:1]
    )


@pytest.mark.parametrize("count", [9, 40])
def test_the_sides_of_many_pairs_are_named_within_bounds(count):
    """2^40 namings would take 640 TiB; the right one is found without them."""
    rng = np.random.default_rng(count)
    skeleton = many_pairs(count)
    shape = rng.normal(0, 30, (len(skeleton), 3))
    atlases = shape + rng.normal(0, 1.0, (30, *shape.shape))
    library = PoseLibrary(skeleton, atlases.astype(np.float32))
    order = np.arange(len(skeleton))
    for left, right in skeleton.mirror_pairs:
        if rng.random() < 0.5:
            rows = [skeleton.index(left), skeleton.index(right)]
            order[rows] = order[rows[::-1]]
    weights = np.ones(len(skeleton))
    tracemalloc.start()
    best = name_sides(shape[order], weights, channel_per_pair(skeleton), library)[0]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(best.positions_mm, shape)
    assert peak < 1e9
