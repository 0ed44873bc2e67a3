"""Seeds that part a case, and distributions against scipy's."""

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fetusmap.errors import BadInput
from fetusmap.simulate.draws import PARTS, Seeds, log_normal, truncated_normal, unit_vectors


def test_every_case_and_part_has_a_seed_of_its_own():
    seeds = [Seeds.of_case(seed, number) for seed in range(20) for number in range(50)]
    words = [word for one in seeds for word in asdict(one).values()]
    assert len(set(words)) == len(words) == 20 * 50 * len(PARTS)
    assert seeds[57] == Seeds.of_case(1, 7)


def test_a_generator_depends_on_its_own_part_alone():
    one, other = Seeds(1, 2, 3, 4), Seeds(1, 20, 30, 40)
    assert one.generator("fetus").random() == other.generator("fetus").random()
    for part in ("scene", "probe", "speckle"):
        assert one.generator(part).random() != other.generator(part).random()
    assert one.generator("fetus").random() == one.generator("fetus").random()


@pytest.mark.parametrize(
    ("seed", "number", "what"), [(-1, 0, "seed"), (0, -1, "case number"), (-3, -3, "seed")]
)
def test_negative_seeds_and_numbers_are_refused_in_one_line(seed, number, what):
    with pytest.raises(BadInput, match=f"^{what}: expected 0 or more") as caught:
        Seeds.of_case(seed, number)
    assert "\n" not in str(caught.value)


@given(
    mean=st.floats(-50, 50),
    sd=st.floats(1, 30),
    below=st.floats(0.0, 3.0),
    above=st.floats(0.2, 3.0),
    seed=st.integers(0, 1000),
)
def test_truncated_normals_have_the_mean_and_the_spread_of_scipys(mean, sd, below, above, seed):
    low, high = mean - below * sd, mean + above * sd
    drawn = truncated_normal(np.random.default_rng(seed), mean, sd, low, high, 4000)
    expected = stats.truncnorm(-below, above, loc=mean, scale=sd)
    assert drawn.shape == (4000,)
    assert low <= drawn.min() <= drawn.max() <= high
    assert abs(drawn.mean() - expected.mean()) < 5 * expected.std() / np.sqrt(4000)
    assert drawn.std() == pytest.approx(expected.std(), rel=0.08)


@pytest.mark.parametrize("cv", [0.01, 0.05, 0.18, 0.5])
def test_log_normal_factors_have_mean_1_and_the_given_variation(cv):
    factors = log_normal(np.random.default_rng(1), cv, (400, 500))
    assert factors.shape == (400, 500)
    assert factors.min() > 0
    assert factors.mean() == pytest.approx(1, abs=5 * cv / np.sqrt(factors.size))
    assert factors.std() == pytest.approx(cv, rel=0.02)


def test_unit_vectors_are_even_over_the_sphere():
    vectors = unit_vectors(np.random.default_rng(2), 20000)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1)
    np.testing.assert_allclose(vectors.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose(np.cov(vectors.T), np.eye(3) / 3, atol=0.01)
    # Archimedes: each coordinate is even between -1 and 1.
    assert stats.kstest(vectors[:, 2], stats.uniform(-1, 2).cdf).pvalue > 1e-3
