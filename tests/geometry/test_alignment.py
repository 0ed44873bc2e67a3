"""Alignment against known maps, scipy, and the textbook decompositions written out below."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from fetusmap.errors import BadInput, DegenerateAlignment
from fetusmap.geometry import (
    align_rigid,
    align_similarity,
    angle_between_rotations,
    apply_affine,
    random_rotations,
)
from fetusmap.geometry.alignment import MIN_CLOSED_FORM_CONDITIONING, SOURCES_PER_BLOCK

ROTATIONS = st.from_type(Rotation)
SEEDS = st.integers(0, 2**32 - 1)
OFFSETS = st.tuples(*[st.floats(-200.0, 200.0)] * 3)
CORNERS = np.vstack([np.eye(3), -np.eye(3)])
"""Six points that pair with scaled copies of themselves to any singular values one likes."""


def kabsch(source, target, weights):
    """Kabsch (1976) as in every textbook, for one source without gaps."""
    weights = weights / weights.sum()
    source_mean, target_mean = weights @ source, weights @ target
    covariance = (target - target_mean).T @ np.diag(weights) @ (source - source_mean)
    u, _, vt = np.linalg.svd(covariance)
    rotation = u @ np.diag([1, 1, np.sign(np.linalg.det(u) * np.linalg.det(vt))]) @ vt
    return rotation, target_mean - rotation @ source_mean


def umeyama(source, target, weights):
    """Umeyama (1991), eq. 40 to 42, weighted, for one source without gaps."""
    weights = weights / weights.sum()
    source_mean, target_mean = weights @ source, weights @ target
    variance = weights @ ((source - source_mean) ** 2).sum(axis=1)
    covariance = (target - target_mean).T @ np.diag(weights) @ (source - source_mean)
    u, d, vt = np.linalg.svd(covariance)
    s = np.array([1, 1, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ np.diag(s) @ vt
    scale = (d * s).sum() / variance
    return rotation, target_mean - scale * rotation @ source_mean, scale


def determinacy(source, target, weights):
    """(b + c) / a of the signed singular values a >= b >= |c|: 0 where no rotation is the best."""
    weights = weights / weights.sum()
    covariance = (target - weights @ target).T @ np.diag(weights) @ (source - weights @ source)
    u, d, vt = np.linalg.svd(covariance)
    return (d[1] + np.sign(np.linalg.det(u @ vt)) * d[2]) / d[0]


def conditioning(a, b, c):
    """(a + b)(b + c)(c + a) for signed singular values of a matrix of unit norm."""
    a, b, c = np.array([a, b, c]) / np.linalg.norm([a, b, c])
    return (a + b) * (b + c) * (c + a)


def angle(first, second):
    return float(angle_between_rotations(first, second))


@given(seed=SEEDS, count=st.integers(4, 16), rotation=ROTATIONS, offset=OFFSETS)
def test_a_known_rigid_map_is_recovered(seed, count, rotation, offset):
    rng = np.random.default_rng(seed)
    source = rng.normal(scale=30, size=(count, 3))
    target = rotation.apply(source) + offset
    weights = rng.uniform(0.1, 5, count)
    for found in (align_rigid(source, target), align_rigid(source, target, weights)):
        np.testing.assert_allclose(found.rotation, rotation.as_matrix(), atol=1e-9)
        np.testing.assert_allclose(found.translation, offset, atol=1e-9)
        assert found.scale == 1
        np.testing.assert_allclose(found.residuals_mm, 0, atol=1e-9)


@given(
    seed=SEEDS,
    count=st.integers(4, 16),
    rotation=ROTATIONS,
    offset=OFFSETS,
    scale=st.floats(0.2, 5.0),
)
def test_a_known_similarity_is_recovered(seed, count, rotation, offset, scale):
    source = np.random.default_rng(seed).normal(scale=30, size=(count, 3))
    target = scale * rotation.apply(source) + offset
    found = align_similarity(source, target)
    np.testing.assert_allclose(found.rotation, rotation.as_matrix(), atol=1e-9)
    np.testing.assert_allclose(found.translation, offset, atol=1e-9)
    assert float(found.scale) == pytest.approx(scale, rel=1e-9)
    np.testing.assert_allclose(found.residuals_mm, 0, atol=1e-9)


@given(seed=SEEDS, count=st.integers(3, 16), noise=st.floats(0.0, 60.0), mirrored=st.booleans())
def test_noisy_and_mirrored_points_get_the_rotation_of_kabsch_and_of_scipy(
    seed, count, noise, mirrored
):
    rng = np.random.default_rng(seed)
    source = rng.normal(scale=30, size=(count, 3))
    target = random_rotations(rng, 1)[0] @ (source * [-1 if mirrored else 1, 1, 1])[..., None]
    target = target[..., 0] + rng.normal(scale=noise, size=(count, 3)) + [100, -50, 7]
    weights = rng.uniform(0.1, 5, count)
    assume(determinacy(source, target, weights) > 1e-3)

    found = align_rigid(source, target, weights)
    rotation, translation = kabsch(source, target, weights)
    assert angle(found.rotation, rotation) < 1e-9
    np.testing.assert_allclose(found.translation, translation, atol=1e-7)
    assert np.linalg.det(found.rotation) == pytest.approx(1, abs=1e-12)
    centred = [p - weights @ p / weights.sum() for p in (target, source)]
    assert angle(found.rotation, Rotation.align_vectors(*centred, weights)[0].as_matrix()) < 1e-9


@given(seed=SEEDS, count=st.integers(4, 16), noise=st.floats(0.0, 60.0), mirrored=st.booleans())
def test_noisy_similarities_agree_with_umeyama(seed, count, noise, mirrored):
    rng = np.random.default_rng(seed)
    source = rng.normal(scale=30, size=(count, 3))
    target = 0.3 * (source * [-1 if mirrored else 1, 1, 1]) @ random_rotations(rng, 1)[0]
    target += rng.normal(scale=noise, size=(count, 3))
    weights = rng.uniform(0.1, 5, count)
    assume(determinacy(source, target, weights) > 1e-3)

    found = align_similarity(source, target, weights)
    rotation, translation, scale = umeyama(source, target, weights)
    assert angle(found.rotation, rotation) < 1e-9
    np.testing.assert_allclose(found.translation, translation, atol=1e-7)
    assert float(found.scale) == pytest.approx(scale, rel=1e-9)


@given(seed=SEEDS, rotation=ROTATIONS, offset=OFFSETS)
def test_points_in_one_plane_are_aligned_without_a_reflection(seed, rotation, offset):
    source = np.random.default_rng(seed).normal(scale=30, size=(8, 3)) * [1, 1, 0]
    assume(determinacy(source, source, np.ones(8)) > 1e-3)
    found = align_rigid(source, rotation.apply(source) + offset)
    np.testing.assert_allclose(found.rotation, rotation.as_matrix(), atol=1e-9)


@given(seed=SEEDS)
def test_a_mirrored_source_keeps_large_residuals(seed):
    """A left-handed atlas must not fit a right-handed fetus."""
    source = np.random.default_rng(seed).normal(scale=30, size=(16, 3))
    mirrored = source * [-1, 1, 1]
    assume(determinacy(source, mirrored, np.ones(16)) > 1e-3)
    found = align_rigid(source, mirrored)
    assert np.linalg.det(found.rotation) > 0
    assert found.residuals_mm.max() > 1


@pytest.mark.parametrize("similarity", [False, True])
@pytest.mark.parametrize(
    "singular_values",
    [
        (1, 1, 1),
        (3, 2, 1),
        (3, 2, -1),
        (1, 1, 0),
        (1, 0.05, 0.05),
        (1, 0.004, 0.001),
        (1, 0.004, -0.001),
        (1, 1e-4, 0),
        (1, 1e-3, -0.9e-3),
        (1, 0.5, -0.4999),
        (2, 2, -1.999),
    ],
)
@given(rotation=ROTATIONS, frame=ROTATIONS)
def test_the_best_rotation_is_known_by_construction_however_badly_it_is_determined(
    similarity, singular_values, rotation, frame
):
    # The target is the source, stretched by its singular values along the axes of `frame`.
    stretch = frame.as_matrix() @ np.diag(singular_values) @ frame.as_matrix().T
    source = 30 * CORNERS
    target = rotation.apply(source @ stretch)
    found = (align_similarity if similarity else align_rigid)(source, target)
    _, b, c = np.array(singular_values) / singular_values[0]
    # A rotation is known to some hundred rounding errors over the smallest gap, b + c; scipy's
    # own alignment is off by as much.
    assert angle(found.rotation, rotation.as_matrix()) < 1e-13 / (b + c)
    expected_scale = sum(singular_values) / 3 if similarity else 1.0
    assert float(found.scale) == pytest.approx(expected_scale, rel=1e-12)


@pytest.mark.parametrize("factor", [0.999, 1.001])
@pytest.mark.parametrize("handedness", [1, -1])
@given(rotation=ROTATIONS)
def test_both_sides_of_the_switch_between_the_two_methods_are_equally_exact(
    factor, handedness, rotation
):
    # Bisect for the third axis at which the conditioning is just below or above the switch.
    low, high = 0.0, 0.5
    for _ in range(80):
        b = (low + high) / 2
        too_good = conditioning(1, b, handedness * b / 3) > factor * MIN_CLOSED_FORM_CONDITIONING
        low, high = (low, b) if too_good else (b, high)
    source = 30 * CORNERS
    target = rotation.apply(source * [1, b, handedness * b / 3])
    found = align_rigid(source, target)
    assert angle(found.rotation, rotation.as_matrix()) < 1e-12
    assert np.linalg.det(found.rotation) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("align", [align_rigid, align_similarity])
@pytest.mark.parametrize(
    "count",
    [SOURCES_PER_BLOCK - 1, SOURCES_PER_BLOCK, SOURCES_PER_BLOCK + 1, 2 * SOURCES_PER_BLOCK + 1],
)
def test_every_source_of_a_batch_finds_its_own_map_across_block_boundaries(align, count):
    rng = np.random.default_rng(count)
    target = rng.normal(scale=30, size=(5, 3))
    rotations = random_rotations(rng, count)
    offsets = rng.normal(scale=50, size=(count, 3))
    sources = (target - offsets[:, None]) @ rotations
    found = align(sources, target)
    np.testing.assert_allclose(found.rotation, rotations, atol=1e-9)
    np.testing.assert_allclose(found.translation, offsets, atol=1e-9)
    np.testing.assert_allclose(found.scale, 1, rtol=1e-9)
    assert found.residuals_mm.shape == (count, 5)
    np.testing.assert_allclose(found.residuals_mm, 0, atol=1e-9)


@pytest.mark.parametrize("align", [align_rigid, align_similarity])
def test_a_batch_equals_one_by_one(align):
    rng = np.random.default_rng(5)
    sources = rng.normal(scale=30, size=(4, 25, 16, 3))
    sources[rng.random((4, 25, 16)) < 0.2] = np.nan
    sources[0, 0] = rng.normal(size=(16, 3)) * [30, 1e-3, 1e-3]  # goes through the slow path
    target = rng.normal(scale=30, size=(16, 3))
    target[3] = np.nan
    weights = rng.uniform(0, 2, 16)
    batch = align(sources, target, weights)
    assert batch.rotation.shape == (4, 25, 3, 3)
    assert batch.translation.shape == (4, 25, 3)
    assert batch.scale.shape == (4, 25)
    assert batch.residuals_mm.shape == (4, 25, 16)
    for place in np.ndindex(4, 25):
        one = align(sources[place], target, weights)
        np.testing.assert_allclose(batch.rotation[place], one.rotation, atol=1e-10)
        np.testing.assert_allclose(batch.translation[place], one.translation, atol=1e-9)
        np.testing.assert_allclose(batch.scale[place], one.scale, rtol=1e-10)
        np.testing.assert_allclose(batch.residuals_mm[place], one.residuals_mm, atol=1e-9)


@given(
    seed=SEEDS,
    target_gaps=arrays(bool, 12, elements=st.booleans()),
    source_gaps=arrays(bool, (3, 12), elements=st.booleans()),
)
def test_gaps_in_target_and_sources_are_as_if_those_landmarks_had_never_been(
    seed, target_gaps, source_gaps
):
    rng = np.random.default_rng(seed)
    sources = rng.normal(scale=30, size=(3, 12, 3))
    target = rng.normal(scale=30, size=(12, 3))
    weights = rng.uniform(0.1, 3, 12)
    shared = [~target_gaps & ~gaps for gaps in source_gaps]
    assume(min(s.sum() for s in shared) >= 3)
    assume(
        all(
            determinacy(source[s], target[s], weights[s]) > 1e-3
            for source, s in zip(sources, shared, strict=True)
        )
    )
    gappy_target = np.where(target_gaps[:, None], np.nan, target)
    gappy = np.where(source_gaps[..., None], np.nan, sources)
    # One missing coordinate makes a landmark as absent as three.
    gappy[..., 1:] = sources[..., 1:]
    rigid, similar = (
        align(gappy, gappy_target, weights) for align in (align_rigid, align_similarity)
    )
    for a, there in enumerate(shared):
        whole = sources[a][there], target[there], weights[there]
        rotation, translation = kabsch(*whole)
        assert angle(rigid.rotation[a], rotation) < 1e-9
        np.testing.assert_allclose(rigid.translation[a], translation, atol=1e-7)
        rotation, translation, scale = umeyama(*whole)
        assert angle(similar.rotation[a], rotation) < 1e-9
        np.testing.assert_allclose(similar.translation[a], translation, atol=1e-7)
        assert similar.scale[a] == pytest.approx(scale, rel=1e-9)
        np.testing.assert_array_equal(np.isnan(rigid.residuals_mm[a]), ~there)


@pytest.mark.parametrize("align", [align_rigid, align_similarity])
def test_residuals_are_the_distances_of_the_mapped_landmarks(align):
    rng = np.random.default_rng(6)
    sources = rng.normal(scale=30, size=(7, 16, 3))
    sources[2, 5] = np.nan
    target = rng.normal(scale=30, size=(16, 3))
    target[9] = np.nan
    found = align(sources, target, rng.uniform(0, 1, 16))
    for a in range(7):
        mapped = [
            found.scale[a] * found.rotation[a] @ point + found.translation[a]
            for point in sources[a]
        ]
        expected = [np.sqrt(((m - t) ** 2).sum()) for m, t in zip(mapped, target, strict=True)]
        np.testing.assert_allclose(found.residuals_mm[a], expected, atol=1e-11)
        np.testing.assert_allclose(found.apply(sources)[a], mapped, atol=1e-11)


def test_weight_zero_leaves_a_landmark_out_of_the_fit_but_not_out_of_the_residuals():
    rng = np.random.default_rng(7)
    source = rng.normal(scale=30, size=(6, 3))
    rotation = Rotation.from_rotvec([0.1, -0.7, 0.4])
    target = rotation.apply(source) + np.array([1, 2, 3])
    target[4] += [30, 0, 40]
    found = align_rigid(source, target, [1, 2, 1, 3, 0, 1])
    np.testing.assert_allclose(found.rotation, rotation.as_matrix(), atol=1e-12)
    np.testing.assert_allclose(found.residuals_mm, [0, 0, 0, 0, 50, 0], atol=1e-11)


def test_weights_balance_where_the_landmarks_disagree():
    # The shift along z is the weighted mean of the two wishes: (3 * 1 + 1 * 5) / 4.
    source = np.array([[30.0, 0, 0], [-30, 0, 0], [0, 30, 0], [0, -30, 0]])
    target = source + np.outer([1, 1, 5, 5], [0, 0, 1])
    found = align_rigid(source, target, [3, 3, 1, 1])
    np.testing.assert_allclose(found.rotation, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(found.translation, [0, 0, 2], atol=1e-12)
    np.testing.assert_allclose(found.residuals_mm, [1, 1, 3, 3], atol=1e-12)


@given(seed=SEEDS, factor=st.floats(1e-3, 1e3))
def test_only_the_ratio_of_weights_counts(seed, factor):
    rng = np.random.default_rng(seed)
    source, target = rng.normal(scale=30, size=(2, 10, 3))
    weights = rng.uniform(0.1, 2, 10)
    assume(determinacy(source, target, weights) > 1e-3)
    first, second = (
        align_rigid(source, target, weights),
        align_rigid(source, target, factor * weights),
    )
    np.testing.assert_allclose(first.rotation, second.rotation, atol=1e-9)
    np.testing.assert_allclose(first.residuals_mm, second.residuals_mm, atol=1e-7)


def test_target_from_source_is_the_map_as_a_matrix():
    rng = np.random.default_rng(8)
    source = rng.normal(scale=30, size=(16, 3))
    found = align_similarity(source, 2 * source + [5, 6, 7])
    np.testing.assert_allclose(
        apply_affine(found.target_from_source, source), found.apply(source), atol=1e-11
    )
    np.testing.assert_allclose(found.target_from_source[:3, 3], [5, 6, 7], atol=1e-11)


@pytest.mark.parametrize("align", [align_rigid, align_similarity])
@pytest.mark.parametrize("leading", [(0,), (0, 4), (3, 0)])
def test_no_sources_give_empty_results_of_the_right_shape(align, leading):
    found = align(np.empty((*leading, 5, 3)), np.random.default_rng(9).normal(size=(5, 3)))
    assert found.rotation.shape == (*leading, 3, 3)
    assert found.translation.shape == (*leading, 3)
    assert found.scale.shape == leading
    assert found.residuals_mm.shape == (*leading, 5)


GOOD = np.array([[0.0, 0, 0], [30, 0, 0], [0, 20, 0], [0, 0, 10], [7, 8, 9]])
LINE = np.outer([0.0, 1, 2, 3, 5], [3.0, 2, 1]) + np.array([10, 20, 30])


@pytest.mark.parametrize("align", [align_rigid, align_similarity])
@pytest.mark.parametrize("position", [0, 3, SOURCES_PER_BLOCK + 1])
@pytest.mark.parametrize(
    "bad",
    [
        LINE,
        np.where(np.arange(5)[:, None] < 2, GOOD, np.nan),
        np.full((5, 3), np.nan),
        np.full((5, 3), 12.0),
        np.where(np.arange(5)[:, None] < 1, GOOD, GOOD[1]),
    ],
    ids=["collinear", "two points", "all absent", "coinciding", "two places"],
)
def test_a_source_that_determines_no_rotation_is_named(align, position, bad):
    sources = np.tile(GOOD, (position + 2, 1, 1))
    sources[position] = bad
    with pytest.raises(DegenerateAlignment) as error:
        align(sources, GOOD)
    assert error.value.subject == f"alignment of source {position}"
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("target", [LINE, np.full((5, 3), 12.0)])
def test_a_target_that_determines_no_rotation_is_refused(target):
    with pytest.raises(DegenerateAlignment, match="alignment of source 0"):
        align_rigid(GOOD, target)


@given(rotation=ROTATIONS, offset=OFFSETS, third=st.floats(1.0, 3.0))
def test_a_mirror_image_with_an_axis_of_symmetry_is_ambiguous(rotation, offset, third):
    # The two shortest extents are equal, so the mirror image may give up either of them.
    source = 30 * CORNERS * [1, 1, third]
    target = rotation.apply(source * [-1, 1, 1]) + offset
    with pytest.raises(DegenerateAlignment, match="ambiguously mirrored"):
        align_rigid(source, target)


@pytest.mark.parametrize(
    ("target", "weights", "found"),
    [
        (GOOD, [1, 1, 0, 0, 0], "2"),
        (GOOD, np.zeros(5), "0"),
        (np.where(np.arange(5)[:, None] < 2, GOOD, np.nan), None, "2"),
        (np.where(np.arange(5)[:, None] < 3, GOOD, np.nan), [1, 1, 0, 1, 1], "2"),
        (np.full((5, 3), np.nan), None, "0"),
    ],
)
def test_fewer_than_three_usable_landmarks_are_refused_with_their_number(target, weights, found):
    with pytest.raises(DegenerateAlignment, match="at least 3 landmarks") as error:
        align_rigid(GOOD, target, weights)
    assert error.value.found == found


@pytest.mark.parametrize(
    ("sources", "target", "weights", "subject"),
    [
        (GOOD[:4], GOOD, None, "alignment"),
        (GOOD, GOOD[:4], None, "alignment"),
        (GOOD[:, :2], GOOD[:, :2], None, "alignment"),
        (GOOD[0], GOOD[0], None, "alignment"),
        (GOOD, GOOD[None], None, "alignment"),
        (GOOD, GOOD, np.ones(4), "alignment weights"),
        (GOOD, GOOD, np.ones((5, 1)), "alignment weights"),
        (GOOD, GOOD, [1, 1, 1, 1, -1], "alignment weights"),
        (GOOD, GOOD, [1, 1, 1, 1, np.nan], "alignment weights"),
        (GOOD, GOOD, [1, 1, 1, 1, np.inf], "alignment weights"),
    ],
)
def test_shapes_and_weights_that_do_not_fit_are_refused_in_one_line(
    sources, target, weights, subject
):
    with pytest.raises(BadInput) as error:
        align_rigid(sources, target, weights)
    assert error.value.subject == subject
    assert not isinstance(error.value, DegenerateAlignment)
    assert "\n" not in str(error.value)
