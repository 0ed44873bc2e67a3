"""`fetusmap doctor` tries every part, and says which one is broken."""

from collections.abc import Callable

import pytest

from fetusmap.cli import doctor


def test_a_good_installation(fetusmap: Callable) -> None:
    outcome = fetusmap("doctor")
    assert outcome.code == 0
    assert "all parts work" in outcome.out
    assert "torch" in outcome.out


def test_a_broken_part_is_named(fetusmap: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(doctor, "save_pose", broken)
    outcome = fetusmap("doctor")
    assert outcome.code == 1
    assert "DOES NOT WORK: OSError: no space left" in outcome.out
    assert "1 of 5 parts do not work" in outcome.out
