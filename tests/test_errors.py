"""Errors are one line, whatever they are made of, and survive a process boundary."""

import pickle

import pytest

from fetusmap.errors import BadInput, DegenerateAlignment, FetusmapError, OutOfRange, UnreadableFile


@pytest.mark.parametrize("kind", [BadInput, UnreadableFile, OutOfRange, DegenerateAlignment])
def test_one_line_with_its_three_parts(kind: type[BadInput]) -> None:
    error = kind("file", expected="a", found="b\nc\x1b[31m\u2028d", remedy="do e")
    assert str(error) == "file: expected a, found b c [31m d; do e"
    assert isinstance(error, FetusmapError)
    assert isinstance(error, ValueError)


def test_survives_pickling() -> None:
    error = UnreadableFile("file", expected="a", found="b", remedy="c")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(copy), str(copy), copy.found) == (UnreadableFile, str(error), "b")
