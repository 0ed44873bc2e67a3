"""Names of refinements: those of today, one of earlier, and none that does not exist."""

import pytest

from fetusmap.errors import BadInput
from fetusmap.refine import refinement_named


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("none", "none"),
        ("fast", "fast"),
        ("test-time-training", "test-time-training"),
        ("paper", "test-time-training"),
    ],
)
def test_a_name_and_its_alias_give_the_canonical_name(name, canonical):
    assert refinement_named(name) == canonical


@pytest.mark.parametrize("name", ["", "Fast", "ssl"])
def test_an_unknown_name_is_refused_with_the_known_ones(name):
    with pytest.raises(BadInput, match="expected none, fast, test-time-training"):
        refinement_named(name)
