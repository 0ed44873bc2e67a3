"""Resampling against exact ramps, SimpleITK, loops over voxels, and blobs that may not move."""

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813, the name that its own documentation uses
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from fetusmap.errors import BadInput
from fetusmap.geometry import Grid, rotation_from_vector
from fetusmap.volume import Volume, resample
from fetusmap.volume.resample import linear_weights

SEEDS = st.integers(0, 2**32 - 1)
ROTATIONS = st.from_type(Rotation)
RATIOS = st.tuples(*[st.floats(0.3, 4.0)] * 3)
SHIFTS = st.tuples(*[st.floats(-1.0, 1.0)] * 3)
SLOPES = st.tuples(*[st.floats(-3.0, 3.0)] * 3)
PERMUTATIONS = st.permutations([0, 1, 2])
FLIPS = st.tuples(*[st.booleans()] * 3)

SOURCE = Grid.from_spacing(
    (26, 23, 29),
    (0.8, 1.1, 0.6),
    (-40, 60, 25),
    Rotation.from_rotvec([0.4, -1.1, 0.7]).as_matrix()[:, [1, 0, 2]],
)
"""Oblique, anisotropic and left-handed, about 20 x 24 x 17 mm."""


def noise(grid: Grid, seed: int = 0) -> Volume:
    """Values from 0 to 100, each voxel for itself."""
    rng = np.random.default_rng(seed)
    return Volume(rng.uniform(0, 100, grid.shape).astype(np.float32), grid)


def ramp(grid: Grid, slope) -> np.ndarray:
    """Values that grow linearly from the middle of SOURCE."""
    return 7.0 + (grid.centers_mm() - SOURCE.center_mm) @ slope


def aligned_target(ratios, shifts, order, flips, fraction: float = 0.7) -> Grid:
    """A target along SOURCE's axes in its middle, `fraction` of its size, in any axis order."""
    spacing = SOURCE.spacing_mm * ratios
    shape = np.maximum(1, np.floor(fraction * SOURCE.extent_mm / spacing)).astype(int)
    columns = SOURCE.direction * spacing
    origin = SOURCE.center_mm + columns @ (np.array(shifts) / ratios - (shape - 1) / 2)
    grid = Grid.from_spacing(shape, spacing, origin, SOURCE.direction)
    for axis, flip in enumerate(flips):
        grid = grid.flip(axis) if flip else grid
    return grid.permute(order)


def oblique_target(rotation: Rotation, ratios, shape=(7, 8, 9), shift=(0, 0, 0)) -> Grid:
    """A target at an angle, with its middle `shift` mm from that of SOURCE."""
    direction = rotation.as_matrix()
    spacing = 0.8 * np.array(ratios)
    middle = direction @ (spacing * (np.array(shape) - 1) / 2)
    return Grid.from_spacing(shape, spacing, SOURCE.center_mm + shift - middle, direction)


def depth(source: Grid, target: Grid) -> np.ndarray:
    """How many source voxels each target centre lies inside the outermost source centres."""
    index = source.to_index(target.centers_mm())
    return np.minimum(index, np.array(source.shape) - 1 - index).min(axis=-1)


def itk_image(volume: Volume) -> sitk.Image:
    image = sitk.GetImageFromArray(volume.array.transpose(2, 1, 0))
    image.SetSpacing(volume.grid.spacing_mm.tolist())
    image.SetOrigin(volume.grid.origin_mm.tolist())
    image.SetDirection(volume.grid.direction.ravel().tolist())
    return image


def resample_by_itk(volume: Volume, grid: Grid, interpolator: int) -> np.ndarray:
    image = sitk.Resample(
        itk_image(volume),
        [int(n) for n in grid.shape],
        sitk.Transform(),
        interpolator,
        grid.origin_mm.tolist(),
        grid.spacing_mm.tolist(),
        grid.direction.ravel().tolist(),
    )
    return sitk.GetArrayFromImage(image).transpose(2, 1, 0)


def blob(center) -> Volume:
    """A Gaussian of 2 mm around `center`, on voxels of the paper's 0.5 mm, whole to 5 sd."""
    grid = Grid.from_spacing((44, 46, 48), 0.5, (0, 0, 0), SOURCE.direction)
    grid = Grid.from_spacing(grid.shape, 0.5, SOURCE.center_mm - grid.center_mm, grid.direction)
    distance = np.linalg.norm(grid.centers_mm() - center, axis=-1)
    return Volume(np.exp(-0.5 * (distance / 2.0) ** 2).astype(np.float32), grid)


def target_around(spacing, direction: np.ndarray, shift) -> Grid:
    """A grid that covers the whole blob, with its middle `shift` mm from that of SOURCE."""
    spacing = np.array(spacing)
    shape = np.ceil(20 / spacing).astype(int)
    middle = direction @ (spacing * (shape - 1) / 2)
    return Grid.from_spacing(shape, spacing, SOURCE.center_mm + shift - middle, direction)


def center_of_mass(volume: Volume) -> np.ndarray:
    mass = volume.array.astype(float)
    marginals = (mass.sum(axis=(1, 2)), mass.sum(axis=(0, 2)), mass.sum(axis=(0, 1)))
    return volume.grid.to_world([m @ np.arange(len(m)) / m.sum() for m in marginals])


# --- What must stay as it is ---


@pytest.mark.parametrize("interpolation", ["linear", "nearest"])
@pytest.mark.parametrize("antialias", [False, True])
@given(grid=st.from_type(Grid))
def test_the_own_grid_gives_the_same_values(interpolation, antialias, grid):
    volume = noise(grid)
    same = resample(volume, grid, interpolation=interpolation, antialias=antialias)
    np.testing.assert_allclose(same.array, volume.array, rtol=1e-6, atol=1e-4)
    assert same.grid == grid


@given(ratios=RATIOS, shifts=SHIFTS, order=PERMUTATIONS, flips=FLIPS, value=st.floats(-1e3, 1e3))
def test_a_constant_stays_constant_on_aligned_targets(ratios, shifts, order, flips, value):
    volume = Volume(np.full(SOURCE.shape, value, dtype=np.float32), SOURCE)
    found = resample(volume, aligned_target(ratios, shifts, order, flips)).array
    np.testing.assert_allclose(found, np.float32(value), rtol=1e-5, atol=1e-30)


@given(rotation=ROTATIONS, ratios=RATIOS, value=st.floats(-1e3, 1e3))
def test_a_constant_stays_constant_on_oblique_targets(rotation, ratios, value):
    volume = Volume(np.full(SOURCE.shape, value, dtype=np.float32), SOURCE)
    target = oblique_target(rotation, ratios)
    found = resample(volume, target).array[SOURCE.contains(target.centers_mm(), 0.01)]
    np.testing.assert_allclose(found, np.float32(value), rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("antialias", [False, True])
@given(ratios=RATIOS, shifts=SHIFTS, order=PERMUTATIONS, flips=FLIPS, slope=SLOPES)
def test_a_ramp_stays_exact_on_aligned_targets(antialias, ratios, shifts, order, flips, slope):
    target = aligned_target(ratios, shifts, order, flips)
    volume = Volume(ramp(SOURCE, slope), SOURCE)
    found = resample(volume, target, antialias=antialias).array
    # Float32 sums of values up to 100.
    np.testing.assert_allclose(found, ramp(target, slope), atol=2e-4)


@pytest.mark.parametrize("ratio", [0.3, 0.99, 1.0, 1.5, 2.5, 4.0])
def test_a_ramp_stays_exact_up_to_the_outermost_voxels(ratio):
    volume = Volume(ramp(SOURCE, (1, 2, 3)), SOURCE)
    target = SOURCE.respace(SOURCE.spacing_mm * ratio)
    found = resample(volume, target).array
    inside = depth(SOURCE, target) >= 0
    np.testing.assert_allclose(found[inside], ramp(target, (1, 2, 3))[inside], atol=2e-4)


@pytest.mark.parametrize("antialias", [False, True])
@given(rotation=ROTATIONS, ratios=RATIOS, slope=SLOPES, shift=SHIFTS)
def test_a_ramp_stays_exact_on_oblique_targets_away_from_the_border(
    antialias, rotation, ratios, slope, shift
):
    target = oblique_target(rotation, ratios, shift=shift)
    inner = depth(SOURCE, target) >= 4
    volume = Volume(ramp(SOURCE, slope), SOURCE)
    found = resample(volume, target, antialias=antialias).array
    np.testing.assert_allclose(found[inner], ramp(target, slope)[inner], atol=2e-4)


SPACINGS = st.tuples(*[st.floats(0.25, 2.0)] * 3)
HALF_SHIFTS = st.tuples(*[st.floats(-0.5, 0.5)] * 3)


@given(spacing=SPACINGS, shift=HALF_SHIFTS, place=HALF_SHIFTS, order=PERMUTATIONS, flips=FLIPS)
def test_a_blob_keeps_its_centre_of_mass_on_aligned_targets(spacing, shift, place, order, flips):
    center = SOURCE.center_mm + place
    target = target_around(spacing, SOURCE.direction, shift)
    for axis, flip in enumerate(flips):
        target = target.flip(axis) if flip else target
    found = resample(blob(center), target.permute(order))
    np.testing.assert_allclose(center_of_mass(found), center, atol=0.01)


@given(spacing=SPACINGS, shift=HALF_SHIFTS, place=HALF_SHIFTS, rotation=ROTATIONS)
def test_a_blob_keeps_its_centre_of_mass_on_oblique_targets(spacing, shift, place, rotation):
    center = SOURCE.center_mm + place
    found = resample(blob(center), target_around(spacing, rotation.as_matrix(), shift))
    np.testing.assert_allclose(center_of_mass(found), center, atol=0.02)


@given(place=HALF_SHIFTS)
def test_the_way_to_the_papers_input_moves_a_blob_by_less_than_a_micrometre(place):
    center = SOURCE.center_mm + place
    volume = blob(center)
    found = resample(volume, volume.grid.scale(0.4))
    np.testing.assert_allclose(found.grid.spacing_mm, 1.25, rtol=1e-14)
    np.testing.assert_allclose(center_of_mass(found), center, atol=1e-3)


def covariance(volume: Volume) -> np.ndarray:
    offset = volume.grid.centers_mm() - center_of_mass(volume)
    mass = volume.array.astype(float)
    return np.einsum("ijk,ijka,ijkb->ab", mass, offset, offset, optimize=True) / mass.sum()


@given(spacing=st.tuples(*[st.floats(1.0, 2.2)] * 3), shift=HALF_SHIFTS, rotation=ROTATIONS)
def test_a_blob_spreads_by_the_variance_of_the_filter_that_the_target_needs(
    spacing, shift, rotation
):
    direction = rotation.as_matrix()
    volume = blob(SOURCE.center_mm)
    found = covariance(resample(volume, target_around(spacing, direction, shift)))
    # One source voxel of 0.5 mm along an axis is so many target steps; the triangle is their
    # inverse wide, and a triangle of half-width w has the variance w^2 / 6.
    steps = [np.linalg.norm(direction.T @ axis * 0.5 / spacing) for axis in SOURCE.direction.T]
    widths = np.maximum(0.5, 0.5 / np.array(steps))
    expected = SOURCE.direction @ np.diag(widths**2 / 6) @ SOURCE.direction.T
    extra = found - covariance(volume)
    assert np.linalg.norm(extra - expected) < 0.25 * np.linalg.norm(expected)
    # Of the two filters the second, linear interpolation between nodes that are w / 2 apart, adds
    # nothing to 3/4 of the variance on a node and 3/8 halfway; an oblique target meets all places.
    assert 0.75 < np.trace(extra) / np.trace(expected) < 1.125


# --- A second way to the same values ---


@given(rotation=ROTATIONS, ratios=RATIOS, shift=SHIFTS, seed=SEEDS)
def test_linear_interpolation_agrees_with_simpleitk_on_oblique_targets(
    rotation, ratios, shift, seed
):
    volume = noise(SOURCE, seed)
    target = oblique_target(rotation, ratios, shift=shift)
    inner = depth(SOURCE, target) > 1e-3
    found = resample(volume, target, antialias=False).array
    expected = resample_by_itk(volume, target, sitk.sitkLinear)
    np.testing.assert_allclose(found[inner], expected[inner], atol=1e-4 * 100)


@given(ratios=RATIOS, shifts=SHIFTS, order=PERMUTATIONS, flips=FLIPS, seed=SEEDS)
def test_linear_interpolation_agrees_with_simpleitk_on_aligned_targets(
    ratios, shifts, order, flips, seed
):
    volume = noise(SOURCE, seed)
    target = aligned_target(ratios, shifts, order, flips)
    found = resample(volume, target, antialias=False).array
    expected = resample_by_itk(volume, target, sitk.sitkLinear)
    np.testing.assert_allclose(found, expected, atol=1e-4 * 100)


def off_ties(target: Grid) -> np.ndarray:
    """Where no coordinate is halfway between two source voxels, and all are well inside."""
    index = SOURCE.to_index(target.centers_mm())
    distinct = np.abs(index - np.floor(index) - 0.5).min(axis=-1) > 1e-6
    return distinct & (depth(SOURCE, target) > -0.49)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint32, np.float64])
@given(rotation=ROTATIONS, ratios=RATIOS, shift=SHIFTS)
def test_nearest_agrees_with_simpleitk_and_keeps_type_and_labels_on_oblique_targets(
    dtype, rotation, ratios, shift
):
    labels = np.random.default_rng(1).choice([0, 3, 17, 200], SOURCE.shape).astype(dtype)
    target = oblique_target(rotation, ratios, shift=shift)
    found = resample(Volume(labels, SOURCE), target, interpolation="nearest").array
    expected = resample_by_itk(Volume(labels, SOURCE), target, sitk.sitkNearestNeighbor)
    assert found.dtype == dtype
    assert set(np.unique(found)) <= {0, 3, 17, 200}
    there = off_ties(target)
    np.testing.assert_array_equal(found[there], expected[there])


@given(ratios=RATIOS, shifts=SHIFTS, order=PERMUTATIONS, flips=FLIPS)
def test_nearest_agrees_with_simpleitk_and_keeps_type_and_labels_on_aligned_targets(
    ratios, shifts, order, flips
):
    labels = np.random.default_rng(1).choice([0, 3, 17, 200], SOURCE.shape).astype(np.uint8)
    target = aligned_target(ratios, shifts, order, flips)
    found = resample(Volume(labels, SOURCE), target, interpolation="nearest").array
    expected = resample_by_itk(Volume(labels, SOURCE), target, sitk.sitkNearestNeighbor)
    assert found.dtype == np.uint8
    there = off_ties(target)
    np.testing.assert_array_equal(found[there], expected[there])


def test_nearest_takes_the_lower_voxel_exactly_between_two():
    source = Grid.from_spacing((4, 1, 1))
    volume = Volume(np.arange(4, dtype=np.uint8).reshape(4, 1, 1), source)
    between = Grid.from_spacing((3, 1, 1), 1, (0.5, 0, 0))
    assert resample(volume, between, interpolation="nearest").array.ravel().tolist() == [0, 1, 2]


def weights_by_hand(position: float, count: int, width: float) -> np.ndarray:
    """A triangle times a straight line, which is solved for: sum 1 and centre at the position."""
    center = min(max(position, 0.0), count - 1.0)
    tent = np.array([max(0.0, 1 - abs(k - center) / width) for k in range(count)])
    offset = np.arange(count) - center
    if (tent > 1e-9).sum() == 1:
        return np.asarray(tent / tent.sum())
    moments = [[(tent * offset ** (m + n)).sum() for n in range(2)] for m in range(2)]
    constant, slope = np.linalg.solve(moments, [1.0, 0.0])
    return np.asarray(tent * (constant + slope * offset))


@given(position=st.floats(-2.0, 9.0), count=st.integers(1, 8), width=st.floats(1.0, 4.0))
def test_each_row_of_weights_sums_to_one_with_its_centre_at_the_position(position, count, width):
    (row,) = linear_weights(np.array([position]), count, width)
    assert row.sum() == pytest.approx(1, abs=1e-9)
    assert row @ np.arange(count) == pytest.approx(min(max(position, 0), count - 1), abs=1e-8)


@pytest.mark.parametrize(
    ("position", "count", "width", "row"),
    [
        (1.25, 3, 1.0, [0, 0.75, 0.25]),
        (2.0, 5, 2.0, [0, 0.25, 0.5, 0.25, 0]),
        (-3.0, 3, 1.0, [1, 0, 0]),
        (7.0, 3, 1.0, [0, 0, 1]),
        (0.0, 1, 3.0, [1]),
        # At the border the triangle [1, 0.5] leans inwards; only the first voxel has its centre.
        (0.0, 3, 2.0, [1, 0, 0]),
    ],
)
def test_weights_by_hand(position, count, width, row):
    np.testing.assert_allclose(
        linear_weights(np.array([position]), count, width), [row], atol=1e-14
    )


@given(
    seed=SEEDS,
    ratios=RATIOS,
    shifts=SHIFTS,
    order=PERMUTATIONS,
    flips=FLIPS,
)
def test_antialiased_values_agree_with_a_loop_over_voxels(seed, ratios, shifts, order, flips):
    source = SOURCE.crop((3, 3, 3), (9, 8, 10))
    volume = noise(source, seed)
    spacing = source.spacing_mm * ratios
    origin = source.center_mm + source.direction @ (spacing * (np.array(shifts) - 0.5))
    target = Grid.from_spacing((2, 2, 2), spacing, origin, source.direction)
    for axis, flip in enumerate(flips):
        target = target.flip(axis) if flip else target
    found = resample(volume, target.permute(order)).array
    for index in np.ndindex(2, 2, 2):
        point = target.permute(order).to_world(index)
        rows = [
            weights_by_hand(p, n, max(1.0, r))
            for p, n, r in zip(source.to_index(point), source.shape, ratios, strict=True)
        ]
        expected = 0.0
        for i, j, k in np.ndindex(source.shape):
            expected += rows[0][i] * rows[1][j] * rows[2][k] * float(volume.array[i, j, k])
        inside = bool(source.contains(point))
        assert found[index] == pytest.approx(expected if inside else 0.0, abs=2e-3)


# --- Outside, order, type, and what travels along ---


@pytest.mark.parametrize("interpolation", ["linear", "nearest"])
@pytest.mark.parametrize("outside", [0.0, 42.0])
@given(rotation=ROTATIONS, ratios=RATIOS, shift=st.tuples(*[st.floats(-30.0, 30.0)] * 3))
def test_outside_of_the_source_there_is_the_outside_value_and_inside_there_is_not(
    interpolation, outside, rotation, ratios, shift
):
    volume = Volume(np.full(SOURCE.shape, 7, dtype=np.float32), SOURCE)
    target = oblique_target(rotation, ratios, shift=shift)
    found = resample(volume, target, interpolation=interpolation, outside=outside).array
    points = target.centers_mm()
    np.testing.assert_allclose(found[SOURCE.contains(points, 1e-3)], 7, rtol=1e-5)
    np.testing.assert_array_equal(found[~SOURCE.contains(points, -1e-3)], outside)


def test_the_source_reaches_half_a_voxel_beyond_its_outermost_centres():
    volume = Volume(np.full((3, 3, 3), 5, dtype=np.int16), Grid.from_spacing((3, 3, 3)))
    # Centres at -0.75, -0.25, ..., 2.75.
    target = Grid.from_spacing((8, 1, 1), 0.5, (-0.75, 1, 1))
    for interpolation in ("linear", "nearest"):
        row = resample(volume, target, interpolation=interpolation, outside=-1).array.ravel()
        assert row.tolist() == [-1, 5, 5, 5, 5, 5, 5, -1]


def test_a_target_far_away_is_all_outside():
    for target in (
        aligned_target((1, 1, 1), (99, 0, 0), [0, 1, 2], [False] * 3),
        oblique_target(Rotation.from_rotvec([1, 2, 3]), (1, 1, 1), shift=(500, 0, 0)),
    ):
        assert (resample(noise(SOURCE), target, outside=-3).array == -3).all()


@pytest.mark.parametrize("interpolation", ["linear", "nearest"])
@given(ratios=RATIOS, shifts=SHIFTS, order=PERMUTATIONS, flips=FLIPS)
def test_flipping_and_permuting_the_source_does_not_change_the_world(
    interpolation, ratios, shifts, order, flips
):
    volume = noise(SOURCE)
    array, grid = volume.array, SOURCE
    for axis, flip in enumerate(flips):
        if flip:
            array, grid = np.flip(array, axis), grid.flip(axis)
    turned = Volume(array.transpose(order), grid.permute(order))
    target = aligned_target(ratios, shifts, [1, 2, 0], [True, False, False])
    found, expected = (
        resample(v, target, interpolation=interpolation).array for v in (turned, volume)
    )
    there = off_ties(target) if interpolation == "nearest" else slice(None)
    np.testing.assert_allclose(found[there], expected[there], atol=1e-4)


@pytest.mark.parametrize("interpolation", ["linear", "nearest"])
@given(rotation=ROTATIONS, ratios=RATIOS, order=PERMUTATIONS, flips=FLIPS)
def test_flipping_and_permuting_the_source_does_not_change_the_world_seen_at_an_angle(
    interpolation, rotation, ratios, order, flips
):
    volume = noise(SOURCE)
    array, grid = volume.array, SOURCE
    for axis, flip in enumerate(flips):
        if flip:
            array, grid = np.flip(array, axis), grid.flip(axis)
    turned = Volume(array.transpose(order), grid.permute(order))
    target = oblique_target(rotation, ratios)
    found, expected = (
        resample(v, target, interpolation=interpolation, antialias=False).array
        for v in (turned, volume)
    )
    there = off_ties(target)
    np.testing.assert_allclose(found[there], expected[there], atol=1e-3)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
@pytest.mark.parametrize("interpolation", ["linear", "nearest"])
@given(ratios=RATIOS, rotation=ROTATIONS, oblique=st.booleans())
def test_the_memory_order_of_the_source_does_not_matter(
    dtype, interpolation, ratios, rotation, oblique
):
    array = noise(SOURCE).array.astype(dtype)
    target = (
        oblique_target(rotation, ratios)
        if oblique
        else aligned_target(ratios, (0.1, 0.2, 0.3), [2, 0, 1], [False, True, False])
    )
    strided = np.zeros((*SOURCE.shape[:2], 2 * SOURCE.shape[2]), dtype=dtype)[:, :, ::2]
    strided[:] = array
    expected = resample(Volume(array, SOURCE), target, interpolation=interpolation).array
    for same in (np.asfortranarray(array), strided, array[::-1].copy()[::-1]):
        found = resample(Volume(same, SOURCE), target, interpolation=interpolation).array
        np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_memory_order_of_the_result_follows_that_of_the_source(order):
    volume = Volume(np.array(noise(SOURCE).array, order=order), SOURCE)
    found = resample(volume, SOURCE.scale(0.5)).array
    assert found.flags[f"{order}_CONTIGUOUS"]


def test_linear_gives_float32_for_every_type():
    for dtype in ("u1", "i2", ">i2", "i4", "f2", "f4", "f8"):
        volume = Volume(np.full(SOURCE.shape, 100, dtype=dtype), SOURCE)
        for target in (SOURCE.scale(0.4), oblique_target(Rotation.from_rotvec([1, 2, 3]), [1] * 3)):
            found = resample(volume, target).array
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, 100, rtol=1e-6)


def test_single_voxels_and_flat_sources_are_held_within_their_box():
    flat = Volume(
        np.arange(20, dtype=np.float32).reshape(4, 5, 1), Grid.from_spacing((4, 5, 1), (1, 1, 3))
    )
    target = Grid.from_spacing((4, 5, 3), (1, 1, 1), (0, 0, -1))
    found = resample(flat, target).array
    np.testing.assert_allclose(found, np.repeat(flat.array, 3, axis=2), atol=1e-5)
    turned = Grid.from_spacing(
        (1, 1, 1), 1, (2, 3, 0), Rotation.from_rotvec([0.3, 0.2, 0.1]).as_matrix()
    )
    assert resample(flat, turned).array.item() == pytest.approx(13, abs=1e-5)


@pytest.mark.parametrize("oblique", [False, True])
def test_a_checkerboard_is_smoothed_away_with_antialias_and_folds_down_without(oblique):
    i, j, k = np.indices((40, 40, 40))
    grid = Grid.from_spacing((40, 40, 40))
    board = Volume(((i + j + k) % 2 * 2 - 1).astype(np.float32), grid)
    target = Grid.from_spacing((8, 8, 8), 2.5, (10.3, 10.1, 10.6))
    if oblique:
        direction = Rotation.from_rotvec([0.2, -0.3, 0.25]).as_matrix()
        origin = grid.center_mm - direction @ np.full(3, 2.5 * 3.5)
        target = Grid.from_spacing((8, 8, 8), 2.5, origin, direction)
    smooth, folded = (resample(board, target, antialias=a).array.var() for a in (True, False))
    assert folded > 0.005
    assert smooth < folded / 100


def test_name_facts_and_warnings_travel_along():
    volume = Volume(noise(SOURCE).array, SOURCE, "case-1", {"maker": "x"}, ("doubtful",))
    target = SOURCE.scale(0.5)
    found = resample(volume, target)
    assert (found.name, found.facts, found.warnings) == ("case-1", {"maker": "x"}, ("doubtful",))
    assert found.grid is target


def test_resampling_leaves_the_source_alone():
    volume = noise(SOURCE)
    before = volume.array.copy()
    volume.array.flags.writeable = False
    resample(volume, SOURCE)
    resample(volume, SOURCE, interpolation="nearest").array[:] = 0
    resample(volume, SOURCE.pad((1, 1, 1), (1, 1, 1)), interpolation="nearest", outside=9)
    np.testing.assert_array_equal(volume.array, before)


def test_an_unknown_interpolation_is_refused_in_one_line():
    with pytest.raises(BadInput, match=r"^interpolation: expected .*, found 'cubic'"):
        resample(noise(SOURCE), SOURCE, interpolation="cubic")


@pytest.mark.parametrize("spacing", [2.2, 2.5, 2.7, 3.3])
def test_a_ramp_is_exact_up_to_both_borders_of_an_oblique_target(spacing):
    rng = np.random.default_rng(3)
    slope = rng.normal(size=3)
    source = Grid.from_spacing((40, 40, 40), 1.0)
    ramp = Volume((source.centers_mm() @ slope).astype(np.float32), source)
    turn = rotation_from_vector([0.4, -0.3, 0.6])
    target = Grid.centered((30, 30, 30), spacing, source.center_mm, turn)
    found = resample(ramp, target)
    inside = source.contains(target.centers_mm(), margin_mm=0.5)
    assert inside.sum() > 300
    exact = target.centers_mm() @ slope
    np.testing.assert_allclose(found.array[inside], exact[inside], atol=1e-3)


@pytest.mark.parametrize("outside", [-1, 256, 0.5, np.nan])
def test_labels_cannot_take_a_value_that_their_type_does_not_hold(outside):
    grid = Grid.from_spacing((4, 4, 4))
    volume = Volume(np.zeros(grid.shape, np.uint8), grid)
    with pytest.raises(BadInput, match="value outside"):
        resample(volume, grid.pad((1, 1, 1), (1, 1, 1)), interpolation="nearest", outside=outside)


@pytest.mark.parametrize("dtype", ["u1", "i8", "u8", "f2", "f4", "f8", ">i2", ">f4"])
def test_nearest_keeps_type_and_values_on_oblique_targets_too(dtype):
    rng = np.random.default_rng(5)
    source = Grid.from_spacing((9, 10, 11))
    values = (rng.integers(0, 100, source.shape) + (2**60 if dtype.endswith("8") else 0)) % 2**62
    array = values.astype(dtype)
    turn = rotation_from_vector([0.2, 0.5, -0.3])
    target = Grid.centered((7, 8, 6), 0.9, source.center_mm, turn)
    found = resample(Volume(array, source), target, interpolation="nearest").array
    index = np.rint(source.to_index(target.centers_mm())).astype(int)
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found, array[tuple(np.moveaxis(index, -1, 0))])
