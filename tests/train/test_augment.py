"""Augmentation: drawn from the generator alone, applied without chance, labels on their blobs."""

from dataclasses import replace

import numpy as np
import pytest

from fetusmap.anatomy import reference_pose
from fetusmap.detect import BodyFrameGrid, WholeVolumeGrid, body_frame_of
from fetusmap.geometry import random_rotations
from fetusmap.preprocess import equalize, sample
from fetusmap.train.augment import (
    AnyDirection,
    Augmentation,
    Intensities,
    NearBody,
    RightAngles,
    apply_augmentation,
    apply_intensities,
    draw_augmentation,
    draw_intensities,
)
from fetusmap.train.stages import SYMMETRIES
from fetusmap.volume import Volume

WHOLE = WholeVolumeGrid(1.5, (64, 64, 64))
CANONICAL = BodyFrameGrid(0.045, (64, 48, 72))
UNCHANGED = Intensities(np.zeros((3, 4)), noise=0.0, noise_seed=0, blur_voxels=0.0, shadow=None)
GREY = np.random.default_rng(1).uniform(1, 200, (12, 14, 16)).astype(np.float32)


@pytest.fixture(params=["any direction", "near body", "right angles"])
def draw_grid(request, skeleton):
    return {
        "any direction": AnyDirection(WHOLE),
        "near body": NearBody(CANONICAL, skeleton),
        "right angles": RightAngles(WHOLE),
    }[request.param]


@pytest.fixture
def still(skeleton):
    """Draws the exact grid in the body's frame."""
    return NearBody(CANONICAL, skeleton, tilt_deg=0, roll_deg=0, shift=0, scale=0)


@pytest.fixture(scope="session")
def turned(make_case):
    """A function: the example pose, turned by a seed, with blobs at some landmarks."""

    def make(seed, marked=range(16)):
        rotation = random_rotations(np.random.default_rng(seed), 1)[0]
        return make_case(reference_pose(60.0).positions_mm @ rotation.T + 7.0, marked)

    return make


def sampled(case, grid, skeleton):
    return apply_augmentation(case, Augmentation(grid, UNCHANGED), skeleton)


def bright_middle_mm(seen):
    """The middle of the voxels brighter than the ground, which most voxels of the volume are."""
    inside = seen.ranks[seen.ranks > 0]
    ground = np.bincount(inside).argmax()
    return seen.grid.to_world(np.argwhere(seen.ranks > ground)).mean(axis=0)


def same_draw(one, other):
    return (
        one.grid == other.grid
        and np.array_equal(one.intensities.gain_knots, other.intensities.gain_knots)
        and one.intensities.noise == other.intensities.noise
        and one.intensities.noise_seed == other.intensities.noise_seed
        and one.intensities.blur_voxels == other.intensities.blur_voxels
        and np.array_equal(one.intensities.shadow, other.intensities.shadow)
    )


# Draw, then apply


def test_a_draw_is_a_function_of_the_generator_alone(draw_grid, blob_case):
    def draw(seed):
        return draw_augmentation(np.random.default_rng(seed), blob_case, draw_grid)

    first = draw(3)
    np.random.seed(11)  # noqa: NPY002 - the global generator must not matter
    assert same_draw(draw(3), first)
    assert not same_draw(draw(4), first)


def test_applying_holds_no_chance_and_leaves_the_case_alone(draw_grid, blob_case, skeleton):
    before = blob_case.array.tobytes()
    for seed in range(4):
        drawn = draw_augmentation(np.random.default_rng(seed), blob_case, draw_grid)
        first = apply_augmentation(blob_case, drawn, skeleton)
        np.random.seed(seed)  # noqa: NPY002
        again = apply_augmentation(blob_case, drawn, skeleton)
        assert first.ranks.tobytes() == again.ranks.tobytes()
        assert first.positions_mm.tobytes() == again.positions_mm.tobytes()
        assert first.grid == again.grid == drawn.grid
    assert blob_case.array.tobytes() == before


def test_a_sample_shows_ranks_of_the_grey_levels_on_its_grid(draw_grid, blob_case, skeleton):
    grid = draw_grid(np.random.default_rng(0), blob_case)
    seen = sampled(blob_case, grid, skeleton)
    grey = sample(Volume(blob_case.array, blob_case.grid), grid)
    assert seen.ranks.dtype == np.uint8
    assert seen.ranks.shape == grid.shape
    assert np.array_equal(seen.ranks, equalize(grey))


# Grids of samples


def test_landmarks_stay_on_their_blobs(draw_grid, turned, skeleton):
    """Also below the voxel, and under the other side's name where the grid mirrors."""
    hands = []
    for seed in range(16):
        row = seed  # one blob alone, so that nothing else can pass for it
        case = turned(seed, [row])
        grid = draw_grid(np.random.default_rng(seed), case)
        if not grid.contains(case.positions_mm[row], margin_mm=8.0):
            continue
        seen = sampled(case, grid, skeleton)
        hands.append(grid.is_left_handed)
        name = skeleton.mirror_index[row] if grid.is_left_handed else row
        assert np.linalg.norm(bright_middle_mm(seen) - seen.positions_mm[name]) < 0.25
    assert len(hands) > 8
    assert set(hands) == {True, False}


def test_the_image_is_brightest_at_every_landmark(draw_grid, turned, skeleton):
    for seed in range(4):
        case = turned(seed)
        seen = sampled(case, draw_grid(np.random.default_rng(seed), case), skeleton)
        inside = seen.grid.contains(seen.positions_mm)
        nearest = np.clip(
            np.rint(seen.grid.to_index(seen.positions_mm[inside])).astype(int),
            0,
            np.array(seen.grid.shape) - 1,
        )
        assert inside.sum() > 10
        assert seen.ranks[tuple(nearest.T)].min() > np.percentile(seen.ranks, 98)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_mirrored_marker_shows_under_the_other_name(still, make_case, skeleton, side):
    other = {"left": "right", "right": "left"}[side]
    row = skeleton.index(f"{side}_wrist")
    case = make_case(reference_pose(60.0).positions_mm, [row])
    straight = CANONICAL.of_frame(body_frame_of(skeleton, case.positions_mm))
    for grid, name in ((straight, f"{side}_wrist"), (straight.flip(0), f"{other}_wrist")):
        seen = sampled(case, grid, skeleton)
        found = np.linalg.norm(seen.positions_mm - bright_middle_mm(seen), axis=1)
        assert skeleton.landmarks[found.argmin()] == name
        assert found.min() < 0.25
    # The network sees the mirror image where the flipped grid looks.
    seen = [sampled(case, grid, skeleton).ranks for grid in (straight, straight.flip(0))]
    assert np.array_equal(seen[0], seen[1][::-1])


def test_in_the_array_alone_right_ventral_and_cranial_form_a_right_hand(
    draw_grid, turned, skeleton
):
    """Whatever the grid's hand: so a network never sees sides named wrongly."""
    sides = skeleton.indices(("right_shoulder", "left_shoulder", "right_hip", "left_hip"))
    middle = skeleton.indices(("left_wrist", "right_wrist", "spine", "sacrum", "neck"))
    hands = set()
    for seed in range(12):
        case = turned(seed, marked=())
        grid = draw_grid(np.random.default_rng(seed), case)
        index = grid.to_index(sampled(case, grid, skeleton).positions_mm)
        right, left, right_hip, left_hip = index[sides]
        one_wrist, other_wrist, spine, sacrum, neck = index[middle]
        axes = [right + right_hip - left - left_hip, one_wrist + other_wrist - 2 * spine]
        assert np.linalg.det([*axes, neck - sacrum]) > 0
        hands.add(grid.is_left_handed)
    assert hands == {True, False}


def test_half_of_the_samples_are_mirrored(draw_grid, blob_case):
    rng = np.random.default_rng(0)
    mirrored = [draw_grid(rng, blob_case).is_left_handed for _ in range(1000)]
    assert 0.45 < np.mean(mirrored) < 0.55


def test_near_body_without_jitter_is_the_canonical_grid(still, turned, skeleton):
    case = turned(5)
    straight = CANONICAL.of_frame(body_frame_of(skeleton, case.positions_mm))
    rng = np.random.default_rng(0)
    drawn = [still(rng, case) for _ in range(20)]
    assert {grid.is_left_handed for grid in drawn} == {True, False}
    for grid in drawn:
        expected = straight.flip(0) if grid.is_left_handed else straight
        assert grid.is_close(expected, tolerance_mm=1e-9)


def test_near_body_errs_as_much_as_it_says(turned, skeleton):
    """A mixture of 85 % and 15 % with doubled deviation has 1.204 times the deviation."""
    draw = NearBody(CANONICAL, skeleton, tilt_deg=4.0, roll_deg=0.0, shift=0.1, scale=0.2)
    case, rng = turned(2), np.random.default_rng(0)
    frame = body_frame_of(skeleton, case.positions_mm)
    shifts, scales, tilts = [], [], []
    for _ in range(2000):
        grid = draw(rng, case)
        grid = grid.flip(0) if grid.is_left_handed else grid
        trunk = grid.spacing_mm[0] / CANONICAL.step
        sacrum = grid.center_mm - trunk * grid.direction @ np.array(CANONICAL.center)
        shifts.append(frame.axes.T @ (sacrum - frame.sacrum_mm) / frame.trunk_mm)
        scales.append(np.log(trunk / frame.trunk_mm))
        turn = frame.axes.T @ grid.direction
        tilts.append(np.degrees([turn[2, 1], turn[0, 2], turn[1, 0]]))  # of small turns
    mixed = np.sqrt(0.85 + 0.15 * 4)
    assert np.std(shifts, axis=0) == pytest.approx([0.1 * mixed] * 3, rel=0.08)
    assert np.mean(shifts, axis=0) == pytest.approx([0] * 3, abs=0.01)
    assert np.std(scales) == pytest.approx(0.2 * mixed, rel=0.08)
    assert np.std(tilts, axis=0) == pytest.approx([4 * mixed] * 3, rel=0.08)


def test_rolls_turn_about_the_long_axis(turned, skeleton):
    draw = NearBody(CANONICAL, skeleton, tilt_deg=0, roll_deg=10.0, shift=0, scale=0, wild_part=0)
    case, rng = turned(3), np.random.default_rng(0)
    frame = body_frame_of(skeleton, case.positions_mm)
    rolls = []
    for _ in range(1000):
        turn = frame.axes.T @ draw(rng, case).direction
        assert turn[:, 2] == pytest.approx([0, 0, 1], abs=1e-9)
        rolls.append(np.degrees(np.arctan2(-turn[0, 1], turn[1, 1])))
    assert np.std(rolls) == pytest.approx(10.0, rel=0.08)


def test_a_body_without_a_trunk_has_no_grid_in_its_frame(blob_case, skeleton):
    positions = blob_case.positions_mm.copy()
    positions[skeleton.index("neck")] = np.nan
    case = replace(blob_case, positions_mm=positions)
    rng = np.random.default_rng(0)
    assert draw_augmentation(rng, case, NearBody(CANONICAL, skeleton)) is None
    assert draw_augmentation(rng, case, AnyDirection(WHOLE)) is not None


def test_any_direction_draws_all_rotations(blob_case):
    draw = AnyDirection(WHOLE, scale=(0.5, 2.0), shift_mm=5.0)
    rng = np.random.default_rng(0)
    drawn = [draw(rng, blob_case) for _ in range(1000)]
    axes = np.array([grid.direction for grid in drawn])
    shifts = np.array([grid.center_mm for grid in drawn]) - blob_case.grid.center_mm
    spacings = np.array([grid.spacing_mm for grid in drawn])
    assert {grid.shape for grid in drawn} == {(64, 64, 64)}
    assert np.abs(axes.mean(axis=0)).max() < 0.08
    assert np.square(axes).mean(axis=0) == pytest.approx(np.full((3, 3), 1 / 3), abs=0.05)
    assert np.abs(shifts).max() <= 5.0 + 1e-9
    assert np.abs(shifts).max(axis=0).min() > 4.5
    assert spacings.min() == pytest.approx(0.75, rel=0.02)
    assert spacings.max() == pytest.approx(3.0, rel=0.02)
    assert np.allclose(spacings, spacings[:, :1])
    assert np.median(spacings) == pytest.approx(1.5, rel=0.1)  # as often larger as smaller


def test_right_angles_show_the_voxels_themselves_in_all_48_orders(make_case, skeleton):
    """Without interpolation, at the spacing of the volume."""
    case = make_case(reference_pose(30.0).positions_mm, speckle=20.0)
    draw, rng = RightAngles(WholeVolumeGrid(1.0)), np.random.default_rng(0)
    straight = equalize(case.array.astype(np.float32))
    grids = {grid.orientation: grid for grid in (draw(rng, case) for _ in range(600))}
    assert len(grids) == 48
    for grid in grids.values():
        order = np.abs(grid.direction).argmax(axis=0)  # the volume's axis of each axis
        back = [axis for axis in range(3) if grid.direction[order[axis], axis] < 0]
        ranks = sampled(case, grid, skeleton).ranks
        assert np.array_equal(np.flip(ranks, back), straight.transpose(order))


def test_fewer_symmetries_keep_the_order_of_the_axes(make_case):
    case = make_case(reference_pose(30.0).positions_mm)
    rng = np.random.default_rng(0)
    for symmetry, count in (("flips", 8), ("sagittal-flip", 2), ("right-angles", 48)):
        draw = RightAngles(WholeVolumeGrid(1.0), *SYMMETRIES[symmetry])
        grids = {grid.orientation: grid for grid in (draw(rng, case) for _ in range(600))}
        assert len(grids) == count
        if symmetry != "right-angles":
            signs = {tuple(np.sign(np.diag(grid.direction))) for grid in grids.values()}
            assert all((np.abs(grid.direction) == np.eye(3)).all() for grid in grids.values())
            assert {sign[:2] for sign in signs} >= {(1, 1)}
            assert (len({sign[:2] for sign in signs}) == 1) == (symmetry == "sagittal-flip")


# Landmarks without a position


def test_absent_and_unseen_landmarks_have_no_position_under_either_name(blob_case, skeleton):
    visible = blob_case.visible.copy()
    visible[skeleton.index("left_wrist")] = False
    positions = blob_case.positions_mm.copy()
    positions[skeleton.index("head")] = np.nan
    case = replace(blob_case, visible=visible, positions_mm=positions)
    straight = CANONICAL.of_frame(body_frame_of(skeleton, positions))
    for grid, wrist in ((straight, "left_wrist"), (straight.flip(0), "right_wrist")):
        missing = np.isnan(sampled(case, grid, skeleton).positions_mm).any(axis=1)
        assert {skeleton.landmarks[row] for row in np.flatnonzero(missing)} == {"head", wrist}


# Grey levels


def test_no_change_changes_nothing():
    assert np.array_equal(apply_intensities(GREY, UNCHANGED), GREY)


def test_nothing_stays_nothing_and_something_stays_something():
    grey = GREY.copy()
    grey[:5] = 0
    rng = np.random.default_rng(0)
    for _ in range(40):
        changed = apply_intensities(grey, draw_intensities(rng))
        assert changed.dtype == np.float32
        assert np.array_equal(changed == 0, grey == 0)
        assert changed.min() >= 0


def test_changing_grey_levels_leaves_the_given_ones_alone():
    before = GREY.tobytes()
    rng = np.random.default_rng(1)
    for _ in range(10):
        apply_intensities(GREY, draw_intensities(rng))
    assert GREY.tobytes() == before


def test_gains_are_straight_lines_of_their_logarithms():
    knots = np.zeros((3, 4))
    knots[0] = np.log(2)
    knots[1] = [0, 0, 0, np.log(4)]
    changed = apply_intensities(GREY, replace(UNCHANGED, gain_knots=knots)) / GREY
    # Axis 1 has 14 voxels, its third part from 26/3 to 13: voxel 13 is the end.
    along = 2 * 4 ** np.clip((np.arange(14) * 3 / 13) - 2, 0, None)
    assert np.allclose(changed, along[None, :, None], rtol=1e-4)


def test_an_echo_below_the_lowest_rank_is_none():
    """The lowest rank begins at an eighth of a grey level, and no echo falls below it."""
    grey = np.full((6, 6, 6), 50, np.float32)
    grey[0, 0, :4] = [0.0, 0.1, 0.1249, 0.125]
    knots = np.full((3, 4), -1.0)  # e^-3 of every level
    changed = apply_intensities(grey, replace(UNCHANGED, gain_knots=knots))
    assert changed[0, 0, :4].tolist() == [0, 0, 0, 0.125]
    assert changed[1:] == pytest.approx(50 * np.exp(-3), rel=1e-4)
    assert np.array_equal(equalize(changed) == 0, equalize(grey) == 0)


def test_noise_is_white_and_repeats_by_its_seed():
    flat = np.full((40, 40, 40), 100, np.float32)
    noisy = apply_intensities(flat, replace(UNCHANGED, noise=7.0, noise_seed=5))
    again = apply_intensities(flat, replace(UNCHANGED, noise=7.0, noise_seed=5))
    other = apply_intensities(flat, replace(UNCHANGED, noise=7.0, noise_seed=6))
    assert np.array_equal(noisy, again)
    assert not np.array_equal(noisy, other)
    assert noisy.std() == pytest.approx(7.0, rel=0.02)
    assert noisy.mean() == pytest.approx(100, abs=0.2)
    assert abs(np.corrcoef(noisy[1:].ravel(), noisy[:-1].ravel())[0, 1]) < 0.02


def test_blur_spreads_a_point_and_keeps_its_sum():
    point = np.full((21, 21, 21), 1.0, np.float32)
    point[10, 10, 10] = 2001
    blurred = apply_intensities(point, replace(UNCHANGED, blur_voxels=1.0)) - 1
    across = np.square(np.arange(21) - 10.0)
    assert blurred.sum() == pytest.approx(2000, rel=1e-3)
    for axis in range(3):
        profile = blurred.sum(axis=tuple({0, 1, 2} - {axis}))
        # The kernel ends at 2.5 standard deviations, rounded to 3 voxels.
        assert (profile * across).sum() / profile.sum() == pytest.approx(1.0, abs=0.05)


def test_a_shadow_darkens_its_box_to_a_tenth():
    box = np.array([[0.25, 0.5], [-0.2, 0.5], [0.75, 1.3]])  # beyond the border, too
    grey = np.maximum(GREY, 10)
    changed = apply_intensities(grey, replace(UNCHANGED, shadow=box))
    expected = np.ones_like(grey)
    expected[3:6, :7, 12:] = 0.1
    assert np.allclose(changed, grey * expected, rtol=1e-6)


def test_how_often_grey_levels_change():
    rng = np.random.default_rng(0)
    drawn = [draw_intensities(rng) for _ in range(2000)]
    assert np.mean([d.shadow is not None for d in drawn]) == pytest.approx(0.2, abs=0.03)
    assert np.mean([d.noise == 0 for d in drawn]) == pytest.approx(0.33, abs=0.03)
    assert np.mean([d.blur_voxels > 0 for d in drawn]) == pytest.approx(0.33, abs=0.03)
    assert len({d.noise_seed for d in drawn}) == 2000
