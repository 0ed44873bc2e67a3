"""The fuzzing of the readers itself: few inputs, and faults that it must find."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetusmap.errors import UnreadableFile
from studies import fuzz_readers
from studies.fuzz_files import SECRET, good_files


def test_good_files_are_read():
    with fuzz_readers.FileIO(fuzz_readers.os.memfd_create("good"), "rb+") as file:
        for kind, data in good_files().items():
            file.seek(0)
            file.truncate(0)
            file.write(data)
            assert fuzz_readers.read(file, len(data)) == "read", kind
            assert SECRET.encode() in data or "deflated" in kind


@settings(max_examples=100)
@given(seed=st.integers(0, 2**31), number=st.integers(0, 2**31))
def test_damaged_files_are_read_or_refused(seed, number):
    outcomes, findings, _, _ = fuzz_readers.run_batch(seed, [number])
    assert findings == []
    assert outcomes.total() == 1


def test_an_input_depends_on_its_number_alone():
    several = [fuzz_readers.make_input(3, number) for number in range(20)]
    assert several == [fuzz_readers.make_input(3, number) for number in range(20)]
    assert len({data for _, data in several}) == 20


def never_ends(*_):
    while True:
        pass


def crashes(*_):
    raise ZeroDivisionError


def tells_a_name(*_):
    raise UnreadableFile("input", expected="no name", found=SECRET, remedy="none")


@pytest.mark.parametrize(
    ("fault", "words"),
    [(never_ends, "TooSlow"), (crashes, "ZeroDivisionError"), (tells_a_name, SECRET)],
)
def test_faults_are_findings(monkeypatch, fault, words):
    monkeypatch.setattr(fuzz_readers, "LIMIT_S", 0.1)
    monkeypatch.setattr(fuzz_readers, "read", fault)
    _, findings, _, _ = fuzz_readers.run_batch(0, range(2))
    assert len(findings) == 2
    assert all(words in finding for finding in findings)


def test_edits_change_little():
    rng = np.random.default_rng(0)
    data = bytes(range(256)) * 40
    lengths = [len(fuzz_readers.edited(data, rng)) for _ in range(200)]
    assert np.median(np.abs(np.array(lengths) - len(data))) < 9
    assert fuzz_readers.edited(b"", rng)
