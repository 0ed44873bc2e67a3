"""The pose library that ships is the simulator's, and continues that of the default model."""

import numpy as np
import pytest

from fetusmap.anatomy import Skeleton, load_skeleton
from fetusmap.atlas import PoseLibrary, atlases_for, load_atlases
from fetusmap.errors import BadInput
from fetusmap.simulate.shipped_library import draw_atlases

ROUNDED_MM = 0.005 + 1e-4


@pytest.fixture(scope="module")
def shipped():
    return load_atlases(load_skeleton())


def test_it_is_what_the_simulator_draws(shipped):
    drawn = draw_atlases().on(load_skeleton())
    assert len(shipped) == len(drawn) == 20_000
    assert np.abs(shipped.positions_mm - drawn.positions_mm).max() < ROUNDED_MM
    assert shipped.made_by == drawn.made_by
    assert shipped.made_by["simulated"] == 20_000


def test_it_is_refused_for_another_skeleton():
    other = Skeleton("three", ("a", "b", "c"), (), ())
    with pytest.raises(BadInput, match="every landmark of three"):
        load_atlases(other)


def test_only_built_in_skeletons_use_it_by_themselves(shipped):
    own = Skeleton("own", ("head", "neck"), (), ())
    fallback = PoseLibrary(own, np.zeros((1, 2, 3)))
    assert atlases_for(own, fallback) is fallback
    assert len(atlases_for(load_skeleton(), fallback)) == len(shipped)
