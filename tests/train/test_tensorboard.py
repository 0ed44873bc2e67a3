"""TensorBoard: every number of every step under its name, in a folder for each network."""

import sys
from types import SimpleNamespace
from typing import ClassVar

import pytest

from fetusmap.errors import BadInput
from fetusmap.train import TensorBoard


class Writer:
    """Stands in for torch's; remembers what it is told."""

    made: ClassVar[list] = []

    def __init__(self, folder, *, purge_step):
        self.folder, self.purge_step = folder, purge_step
        self.scalars, self.closed = [], 0
        self.made.append(self)

    def add_scalar(self, name, value, step):
        assert not self.closed
        self.scalars.append((name, value, step))

    def close(self):
        self.closed += 1


@pytest.fixture
def written(monkeypatch):
    """The writers that were made."""
    module = SimpleNamespace(SummaryWriter=Writer)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    Writer.made.clear()
    return Writer.made


def test_without_the_package_it_says_what_to_install_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(BadInput) as caught:
        TensorBoard(tmp_path)
    assert str(caught.value) == (
        "TensorBoard: expected the package tensorboard, found none; "
        "pip install 'fetusmap[tensorboard]', or leave --tensorboard out"
    )
    assert list(tmp_path.iterdir()) == []


def test_every_number_but_the_steps_themselves_is_written_at_its_step(written, tmp_path):
    with TensorBoard(tmp_path) as board:
        board("coarse", {"step": 1, "steps": 9, "loss": 3.5, "pace": 0.25})
        board("coarse", {"step": 2, "steps": 9, "loss": 3.0, "validation_mm": 7.0})
    (writer,) = written
    assert writer.scalars == [
        ("loss", 3.5, 1),
        ("pace", 0.25, 1),
        ("loss", 3.0, 2),
        ("validation_mm", 7.0, 2),
    ]


def test_each_network_has_a_folder_of_its_own(written, tmp_path):
    with TensorBoard(tmp_path) as board:
        for name in ("coarse", "canonical", "coarse"):
            board(name, {"step": 1, "loss": 1.0})
    assert [writer.folder for writer in written] == [
        str(tmp_path / "tensorboard" / name) for name in ("coarse", "canonical")
    ]
    assert [len(writer.scalars) for writer in written] == [2, 1]


def test_a_run_that_goes_on_takes_the_place_of_what_was_written_after_its_checkpoint(
    written, tmp_path
):
    """Steps up to the checkpoint stay as they are."""
    with TensorBoard(tmp_path) as board:
        board("land", {"step": 41, "loss": 1.0})
        board("land", {"step": 42, "loss": 1.0})
    assert [writer.purge_step for writer in written] == [41]


def test_nothing_is_made_before_there_is_something_to_write(written, tmp_path):
    with TensorBoard(tmp_path):
        assert written == []


def test_files_are_closed_at_the_end_and_when_training_breaks_off(written, tmp_path):
    def train(board):
        board("coarse", {"step": 1, "loss": 1.0})
        board("canonical", {"step": 1, "loss": 1.0})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), TensorBoard(tmp_path) as board:
        train(board)
    assert [writer.closed for writer in written] == [1, 1]
