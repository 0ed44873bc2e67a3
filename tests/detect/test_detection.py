"""What a pipeline found, against hand-made poses, and the mirror image looked at as well."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from fetusmap.atlas import PoseLibrary, distances_to_atlas_mean, fit_library
from fetusmap.detect import Detection, highest_peaks, mean_heatmaps, predict_mirrored
from fetusmap.errors import DegenerateAlignment
from fetusmap.geometry import Grid, align_similarity
from fetusmap.heatmap import Heatmaps
from fetusmap.quality import collect_evidence

HEATMAPS = Heatmaps(torch.zeros(16, 1, 1, 1), Grid((1, 1, 1), np.eye(4)))
ROOM = Grid.from_spacing((4, 6, 8), 2.0, (7, 8, 9), Rotation.from_rotvec([1, 2, 3]).as_matrix())
INPUT = torch.arange(4.0 * 6 * 8).reshape(1, 1, *ROOM.shape)


def detection(positions_mm, library, masses=None) -> Detection:
    """As a pipeline would judge these positions; one trunk length is 25 mm."""
    masses = np.full(16, 0.9) if masses is None else masses
    fit = fit_library(positions_mm, masses, library)
    distances = distances_to_atlas_mean(positions_mm, fit, library.skeleton)
    return Detection(positions_mm, masses, fit.residual, distances, None, HEATMAPS, ROOM)


def copies(library, pose, count=12) -> PoseLibrary:
    """A library of one pose, turned, moved and of other sizes."""
    rng = np.random.default_rng(0)
    turns = Rotation.random(count, rng=rng).as_matrix()
    sizes = rng.uniform(0.5, 2, count)
    return PoseLibrary(
        library.skeleton,
        np.stack(
            [s * pose @ r.T + rng.normal(0, 30, 3) for s, r in zip(sizes, turns, strict=True)]
        ),
    )


def test_a_score_is_the_mean_mass_less_the_residual():
    masses = np.array([0.5] * 12 + [0.9] * 4)
    found = Detection(np.zeros((16, 3)), masses, 0.125, np.zeros(16), None, HEATMAPS, ROOM)
    assert found.score == pytest.approx(0.6 - 0.125)


# Looking


STRIDE = 2


@dataclass
class Told:
    """A detector whose network has a stride of 2, and whose answer to the mirror image is known."""

    answer: torch.Tensor
    halves: list = field(default_factory=list)
    network = SimpleNamespace(stride=STRIDE)

    def predict_from(self, volume, grid, *, half=None):
        assert torch.equal(volume, INPUT.flip(2))
        assert grid == ROOM.flip(0)
        self.halves.append(half)
        return Heatmaps(self.answer, grid.pool(STRIDE))


@pytest.mark.parametrize("half", [None, True, False])
def test_in_the_mirror_each_landmark_is_seen_under_its_partners_name(skeleton, half):
    """Voxel by voxel: at the other end of the first axis, and brought back from there."""
    shape = ROOM.pool(STRIDE).shape
    rng = np.random.default_rng(0)
    told = Told(torch.from_numpy(rng.uniform(size=(16, *shape)).astype(np.float32)))
    found = predict_mirrored(told, skeleton, INPUT, ROOM, half=half)
    assert told.halves == [half]
    assert found.grid == ROOM.pool(STRIDE)
    partner = {name: name for name in skeleton.landmarks}
    for left, right in skeleton.mirror_pairs:
        partner[left], partner[right] = right, left
    for row, name in enumerate(skeleton.landmarks):
        for i in range(shape[0]):
            expected = told.answer[skeleton.index(partner[name]), shape[0] - 1 - i]
            assert torch.equal(found.array[row, i], expected)


def test_a_mean_of_heatmaps_by_hand():
    first, second = (
        Heatmaps(torch.tensor(values).reshape(2, 1, 1, 2), Grid((1, 1, 2), np.eye(4)))
        for values in ([1.0, 2.0, 3.0, 4.0], [3.0, 2.0, 0.0, 0.0])
    )
    mean = mean_heatmaps(first, second)
    assert mean.array.flatten().tolist() == [2, 2, 1.5, 2]
    assert mean.grid == first.grid


def test_the_highest_peak_of_each_channel_is_read_and_no_other():
    """Heights of 3 and 2 among one each; the third channel shows nothing."""
    grid = Grid.from_spacing((16, 16, 16), 2.0, (100, 0, 0))
    maps = torch.zeros(3, 16, 16, 16)
    maps[0, 4, 5, 6], maps[0, 11, 11, 11] = 3.0, 1.0
    maps[1, 12, 3, 9], maps[1, 3, 12, 3] = 2.0, 1.0
    positions, masses = highest_peaks(Heatmaps(maps, grid))
    assert positions[:2].tolist() == [[108, 10, 12], [124, 6, 18]]
    assert np.isnan(positions[2]).all()
    assert masses.tolist() == pytest.approx([3 / 4, 2 / 3, 0])


# Comparing with the library


def test_a_pose_of_the_library_fits_it_wherever_it_lies(library, unseen):
    rng = np.random.default_rng(1)
    atlases = copies(library, unseen[0])
    for pose in (unseen[0], 1.7 * unseen[0] @ Rotation.random(rng=rng).as_matrix().T + 40):
        fit = fit_library(pose, np.full(16, 0.8), atlases)
        assert fit.residual == pytest.approx(0, abs=1e-4)
        np.testing.assert_allclose(fit.support_mm, pose, atol=1e-3)
        np.testing.assert_array_equal(fit.positions_mm, pose)


def test_landmarks_keep_the_names_that_they_have(library, unseen, skeleton):
    """Exchanged sides stay exchanged, and fit worse."""
    order = skeleton.mirror_index
    masses = np.linspace(0.1, 0.9, 16)
    right, wrong = (
        fit_library(unseen[1][rows], masses, copies(library, unseen[1]))
        for rows in (np.arange(16), order)
    )
    np.testing.assert_array_equal(wrong.positions_mm, unseen[1][order])
    assert wrong.residual > right.residual + 0.02


def test_a_residual_is_the_mean_distance_from_the_ten_best_atlases(library, unseen):
    """One atlas after the other, each landmark weighed by its mass."""
    few = library.select(np.arange(30))
    masses = np.random.default_rng(2).uniform(0.1, 1, 16)
    sacrum, _, neck = library.skeleton.indices(library.skeleton.trunk)
    scores = []
    for atlas in few.positions_mm.astype(float):
        aligned = align_similarity(atlas[None], unseen[2], masses + 1e-3)
        trunk = aligned.scale[0] * np.linalg.norm(atlas[neck] - atlas[sacrum])
        near = np.minimum(aligned.residuals_mm[0] / trunk, 0.5)
        scores.append(np.average(near, weights=masses + 1e-3))
    expected = np.mean(sorted(scores)[:10])
    assert fit_library(unseen[2], masses, few).residual == pytest.approx(expected)


def test_a_landmark_without_a_mass_hardly_counts(library, unseen, skeleton):
    """Yet it counts, so that three sure landmarks are not needed."""
    wrist = skeleton.index("left_wrist")
    masses = np.ones(16)
    masses[wrist] = 0
    moved = unseen[0].copy()
    moved[wrist] += 50
    atlases = copies(library, unseen[0])
    assert fit_library(moved, masses, atlases).residual < 1e-3
    assert np.isfinite(fit_library(unseen[0], np.zeros(16), atlases).residual)


def test_how_far_landmarks_stray_by_hand(library, unseen, skeleton):
    """12.5 mm off are half of a trunk of 25 mm."""
    wrist = skeleton.index("left_wrist")
    masses = np.ones(16)
    masses[wrist] = 0
    moved = unseen[0].copy()
    moved[wrist] += [0, 12.5, 0]
    fit = fit_library(moved, masses, copies(library, unseen[0]))
    stray = distances_to_atlas_mean(moved, fit, skeleton)
    assert stray[wrist] == pytest.approx(0.5, abs=0.01)
    assert np.delete(stray, wrist) == pytest.approx([0] * 15, abs=0.01)


@pytest.mark.parametrize("where", [np.full((16, 3), 5.0), np.arange(48).reshape(16, 3) * 1.0])
def test_landmarks_in_one_place_or_on_a_line_cannot_be_compared(library, where):
    with pytest.raises(DegenerateAlignment):
        fit_library(where, np.ones(16), library)


# Weighing


def test_evidence_holds_what_was_found_and_a_margin(library, unseen):
    found = detection(unseen[0], library, np.linspace(0.1, 0.9, 16))
    evidence = collect_evidence(found, library)
    np.testing.assert_array_equal(evidence.masses, found.masses)
    np.testing.assert_array_equal(evidence.distance_to_atlas_mean, found.distance_to_atlas_mean)
    assert evidence.residual == found.residual


def test_the_margin_tells_a_pose_from_its_exchanged_sides(library, unseen, skeleton):
    """And is turned around with them, masses and all."""
    hundred = library.select(np.arange(100))
    order = skeleton.mirror_index
    for seed, pose in enumerate(unseen[:8]):
        masses = np.random.default_rng(seed).uniform(0.3, 1, 16)
        right = detection(pose, hundred, masses)
        margin = collect_evidence(right, hundred).margin
        assert margin > 0.01
        wrong = detection(pose[order], hundred, masses[order])
        assert wrong.residual == pytest.approx(right.residual + margin)
        assert collect_evidence(wrong, hundred).margin == pytest.approx(-margin, abs=1e-9)


def test_a_pose_that_is_its_own_mirror_image_has_no_margin(library, unseen, skeleton):
    """Flat and symmetric: half a turn about its long axis exchanges the sides."""
    order = skeleton.mirror_index
    flat = (unseen[0] + unseen[0][order] * [-1, 1, 1]) / 2 * [1, 0, 1]
    evidence = collect_evidence(detection(flat, library), library)
    assert evidence.margin == pytest.approx(0, abs=1e-9)
    assert evidence.residual > 0.05


def test_where_nothing_can_be_compared_the_margin_is_0(library, unseen):
    found = replace(detection(unseen[0], library), positions_mm=np.full((16, 3), 5.0))
    assert collect_evidence(found, library).margin == 0.0
