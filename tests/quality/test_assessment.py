"""How far a pose may be trusted, in words."""

from __future__ import annotations

import pytest

from fetusmap.quality import reasons_to_doubt


@pytest.mark.parametrize(
    ("fetus", "score", "reasons"),
    [
        # Less likely than not, and a pose that nobody could use: said without hedging.
        (0.3, 0.02, ["no fetus in view"]),
        (0.02, 0.9, ["no fetus in view"]),
        (0.4, 0.8, ["perhaps no fetus in view"]),
        (0.9, 0.02, ["the detection is doubtful: check every landmark"]),
        (0.9, 0.9, []),
    ],
)
def test_no_fetus_is_said_plainly_where_the_pose_is_worthless(fetus, score, reasons):
    assert reasons_to_doubt(fetus, 0.99, score, 0.1, []) == reasons
