"""Shortlists against a search through all atlases in double precision."""

import numpy as np
import pytest

from fetusmap.anatomy import load_skeleton
from fetusmap.atlas import PoseLibrary, body_sizes_mm, fit_orders
from fetusmap.atlas.fit import approximate_residuals
from fetusmap.atlas.shortlist import (
    MAX_RESIDUAL,
    PAIRS_PER_BLOCK,
    CompactAtlases,
    approximate_scores,
    shortlist,
)
from fetusmap.geometry import align_similarity, random_rotations

SKELETON = load_skeleton("fetus-22")
LANDMARKS = len(SKELETON)
ATLASES = PAIRS_PER_BLOCK + 1000
"""More than fit into one block."""

USED = 10


def bodies(rng: np.random.Generator, count: int) -> np.ndarray:
    """Bodies around the skeleton's reference pose, of any size and anywhere."""
    reference = SKELETON.reference_positions
    posed = reference + rng.normal(0, 0.12, (count, LANDMARKS, 3))
    turned = posed @ random_rotations(rng, count)
    return rng.uniform(15, 40, (count, 1, 1)) * turned + rng.uniform(-500, 500, (count, 1, 3))


@pytest.fixture(scope="module")
def atlases() -> PoseLibrary:
    return PoseLibrary(SKELETON, bodies(np.random.default_rng(0), ATLASES))


def query(rng: np.random.Generator, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """A pose and the weights of its landmarks, harmed in one way."""
    pose, weights = bodies(rng, 1)[0], rng.beta(6, 2, LANDMARKS)
    some = rng.random(LANDMARKS) < 0.25
    if kind == "wrong peaks":
        pose[some] += rng.normal(0, 40, (some.sum(), 3))
    if kind == "sides exchanged":
        exchanged = some & some[SKELETON.mirror_index]
        pose[exchanged] = pose[SKELETON.mirror_index][exchanged]
    if kind == "landmarks missing":
        pose[some] = np.nan
    if kind == "mirrored":
        pose *= [-1, 1, 1]
    if kind == "no body":
        pose = rng.normal(0, 20, pose.shape)
    return pose, weights


def exhaustive_scores(library: PoseLibrary, pose: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(A,) distances of all atlases, each after its own alignment in double precision."""
    found = np.isfinite(pose[:, 0])
    atlases = library.positions_mm.astype(np.float64)
    aligned = align_similarity(atlases, pose, weights)
    size = aligned.scale * body_sizes_mm(SKELETON, atlases)
    distances = np.fmin(aligned.residuals_mm / size[:, None], MAX_RESIDUAL)[:, found]
    return distances @ weights[found] / weights[found].sum()


KINDS = ("clean", "wrong peaks", "sides exchanged", "landmarks missing", "mirrored", "no body")


@pytest.mark.parametrize("kind", KINDS)
def test_the_best_of_a_shortlist_are_the_best_of_all(atlases, kind):
    rng = np.random.default_rng(KINDS.index(kind))
    for _ in range(10):
        pose, weights = query(rng, kind)
        scores = exhaustive_scores(atlases, pose, weights)
        (rows,) = shortlist(atlases.compact, pose[None], weights[None], USED)
        best = np.argsort(scores)[:USED]
        assert set(best) <= set(rows)
        assert len(rows) < ATLASES / 20
        found, supports = fit_orders(pose, weights, atlases, np.arange(LANDMARKS)[None])
        assert found[0] == pytest.approx(scores[best].mean(), abs=1e-12)
        aligned = align_similarity(atlases.positions_mm[best], pose, weights)
        mean = aligned.apply(atlases.positions_mm[best]).mean(axis=0)
        np.testing.assert_allclose(supports[0], mean, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_approximate_scores_have_four_digits_where_they_are_reliable(atlases, kind):
    rng = np.random.default_rng(0)
    pose, weights = query(rng, kind)
    scores, is_reliable = approximate_scores(atlases.compact, pose[None], weights[None])
    assert is_reliable.mean() > 0.95
    exact = exhaustive_scores(atlases, pose, weights)
    np.testing.assert_allclose(scores[is_reliable], exact[is_reliable[0]], atol=2e-5)


def test_several_targets_at_once_are_those_one_by_one(atlases):
    """A few atlases and many targets share a block."""
    rng = np.random.default_rng(0)
    compact = CompactAtlases.of(SKELETON, atlases.positions_mm[:300])
    poses, weights = zip(*[query(rng, "wrong peaks") for _ in range(40)], strict=True)
    together = approximate_scores(compact, np.array(poses), np.array(weights))[0]
    for row, pose, weight in zip(together, poses, weights, strict=True):
        alone = approximate_scores(compact, pose[None], weight[None])[0][0]
        np.testing.assert_allclose(row, alone, atol=1e-5)


def test_an_atlas_that_lacks_a_landmark_or_a_size_is_always_fitted(atlases):
    positions = atlases.positions_mm[:2000].copy()
    positions[7, 3] = np.nan
    sacrum, _, neck = SKELETON.indices(SKELETON.trunk)
    positions[9, neck] = positions[9, sacrum]
    library = PoseLibrary(SKELETON, positions)
    assert np.flatnonzero(~library.compact.usable).tolist() == [7, 9]
    pose, weights = query(np.random.default_rng(0), "clean")
    (rows,) = shortlist(library.compact, pose[None], weights[None], USED)
    assert {7, 9} <= set(rows)


def test_all_of_a_library_without_complete_atlases_are_fitted(atlases):
    positions = atlases.positions_mm[:200].copy()
    positions[:, 3] = np.nan
    library = PoseLibrary(SKELETON, positions)
    pose, weights = query(np.random.default_rng(0), "clean")
    (rows,) = shortlist(library.compact, pose[None], weights[None], USED)
    np.testing.assert_array_equal(rows, np.arange(200))
    orders = np.stack([np.arange(LANDMARKS), SKELETON.mirror_index])
    np.testing.assert_array_equal(
        approximate_residuals(pose, weights, library, orders),
        fit_orders(pose, weights, library, orders)[0],
    )


def test_a_thinned_library_is_spread_evenly_and_made_once(atlases):
    few = atlases.thinned(1000)
    np.testing.assert_array_equal(few.positions_mm, atlases.positions_mm[::9])
    assert atlases.thinned(1000) is few
    assert few.thinned(2000) is few
