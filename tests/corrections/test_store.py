"""The file of corrections: a crash, two writers and a full disk lose nothing."""

import os
import threading

import pytest

from fetusmap.anatomy import reference_pose
from fetusmap.corrections import (
    CORRECTIONS_FILE,
    append_correction,
    move,
    new_correction,
    read_log,
    write_log,
)
from fetusmap.errors import BadInput, ResourceError

POSE = reference_pose()


def moved(author="Anna", x=1.0):
    return new_correction(POSE, author, "move", move(POSE, "head", (x, 0, 0)))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "case" / CORRECTIONS_FILE


def test_lines_come_back_in_order(path):
    assert read_log(path).entries == ()
    entries = [moved(x=float(number)) for number in range(3)]
    for entry in entries:
        log = append_correction(path, lambda _, entry=entry: entry)
    assert read_log(path) == log
    assert log.entries == tuple(entries)


def test_a_line_that_a_crash_cut_short_is_passed_over_wherever_it_was_cut(path):
    first, second, third = moved(), moved(), moved()
    append_correction(path, lambda _: first)
    whole = path.stat().st_size
    append_correction(path, lambda _: second)
    content = path.read_bytes()
    for cut in {whole + 1, whole + 40, len(content) - 20, len(content) - 2}:
        path.write_bytes(content[:cut])
        assert read_log(path).entries == (first,)
        assert read_log(path).damaged == 1
        log = append_correction(path, lambda _: third)
        assert read_log(path) == log
        assert log.entries == (first, third)
    path.write_bytes(content[:-1])  # only the end of the line is missing
    assert append_correction(path, lambda _: third).entries == (first, second, third)
    assert read_log(path).damaged == 0


def test_two_writers_lose_no_line_and_see_each_others(path):
    seen = []

    def write(author):
        for number in range(20):

            def make(log, number=number):
                seen.append(len(log.entries))
                return moved(author, float(number))

            append_correction(path, make)

    writers = [threading.Thread(target=write, args=(name,)) for name in ("Anna", "Bert", "Cora")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    log = read_log(path)
    assert log.damaged == 0
    for name in ("Anna", "Bert", "Cora"):
        places = [e.landmarks["head"].position[0] for e in log.entries if e.author == name]
        assert places == list(range(20))
    assert seen == list(range(60))  # each writer saw all lines before its own


def test_a_full_disk_leaves_the_log_as_it_was(path, monkeypatch):
    append_correction(path, lambda _: moved())
    content, write = path.read_bytes(), os.write
    monkeypatch.setattr(os, "write", lambda descriptor, line: write(descriptor, line[:30]))
    with pytest.raises(ResourceError, match="space for 30 of"):
        append_correction(path, lambda _: moved())
    monkeypatch.undo()
    assert path.read_bytes() == content


def test_what_is_no_log_is_refused(tmp_path, refused):
    (tmp_path / "target").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "folder").mkdir()
    for name in ("link", "folder"):
        with refused(error=BadInput):
            read_log(tmp_path / name)
        with refused(error=BadInput):
            append_correction(tmp_path / name, lambda _: moved())
    assert (tmp_path / "target").read_text() == ""


def test_a_whole_log_is_written_once(path, tmp_path):
    log = append_correction(path, lambda _: moved())
    write_log(tmp_path / "copy.jsonl", log)
    assert read_log(tmp_path / "copy.jsonl") == log
    with pytest.raises(BadInput, match="an existing one"):
        write_log(tmp_path / "copy.jsonl", log)
