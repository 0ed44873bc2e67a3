"""Safe names, files that are opened safely, and writes that succeed completely or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import string
import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetusmap.errors import BadInput, ResourceError, UnreadableFile
from fetusmap.files.names import POSE_SUFFIXES, VOLUME_SUFFIXES, case_name, safe_name, suffix_of
from fetusmap.files.reading import check_regular_file, read_head, sha256_of
from fetusmap.files.writing import atomic_path, write_text

RESERVED_NAMES = {"con", "prn", "aux", "nul"}
RESERVED_NAMES |= {f"{port}{number}" for port in ("com", "lpt") for number in range(10)}


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.nii.gz", ".nii.gz"),
        ("a.NII.GZ", ".nii.gz"),
        ("a.b.nii", ".nii"),
        ("a.mrk.json", ".mrk.json"),
        ("a.json", ".json"),
        ("a.nrrd", ".nrrd"),
        ("a.gz", ""),
        ("a.png", ""),
        ("nii", ""),
        (".nii.gz", ""),
        (".nii", ""),
        ("", ""),
    ],
)
def test_the_longest_known_suffix_counts(name, suffix):
    assert suffix_of(Path(name)) == suffix


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("folder/case.nii.gz", "case"),
        ("case.mrk.json", "case"),
        ("case.v2.nii", "case.v2"),
        ("Case 12 (left).mha", "Case_12_left"),
        ("../../etc/passwd", "passwd"),
        ("..", "case"),
        (".hidden.nii", "hidden"),
        (".nii", "nii"),
        ("Müller.nii", "Müller"),
        ("Mu\u0308ller.nii", "M\u00fcller"),
        ("胎児 7.nii.gz", "胎児_7"),
        ("плод-12.nii", "плод-12"),
        ("\u0301a.nii", "a"),
        ("a\u202eb\u200b\u2028c.nii", "a_b_c"),
        ("com\u00b9.nii", "com"),
        ("con" + "." * 200 + "x.nii", "case-con"),
        ("é" * 100 + ".nii", "é" * 64),
        ("x" + "é" * 100 + ".nii", "x" + "é" * 63),
        ("=cmd|calc.nii", "cmd_calc"),
        ("___.nii", "case"),
        ("x" * 200 + ".nii", "x" * 128),
    ],
)
def test_a_case_name_comes_from_the_stem(path, name):
    assert case_name(Path(path)) == name


@settings(deadline=None, max_examples=50)
@given(
    stem=st.text(max_size=300) | st.text("./\\ :~\n-_", max_size=20),
    suffix=st.sampled_from(["", ".x", *VOLUME_SUFFIXES, *POSE_SUFFIXES]),
)
def test_a_case_name_never_leaves_its_folder(stem, suffix):
    root = Path("/out")
    name = case_name(Path(stem + suffix))
    assert Path(os.path.normpath(root / name)).parent == root


def old_safe_name(text):
    """The names of earlier versions, which knew only ASCII."""
    cleaned = re.sub(r"[^A-Za-z0-9_.-]+", "_", text)[:128].strip("._-") or "case"
    reserved = re.fullmatch(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", cleaned)
    return f"case-{cleaned}" if reserved else cleaned


TEXTS = (
    st.text(max_size=300)
    | st.text("./\\ :~\n-_\0\x7f", max_size=20)
    | st.text("aconlptuxm1\u00b9.-", max_size=8)
    | st.text("é\u0301\u0902क胎ж٣\u200d\ufe0f_-", max_size=140)
)


@given(text=TEXTS)
def test_a_safe_name_can_be_a_file_on_every_system(text):
    name = safe_name(text)
    assert 1 <= len(name.encode("utf-8")) <= 128
    assert all(c in "._-" or unicodedata.category(c)[0] in "LMN" for c in name)
    assert name == unicodedata.normalize("NFC", name)
    assert name[0] not in "._-"  # neither hidden nor an option
    assert unicodedata.category(name[0])[0] != "M"
    assert name[-1] not in "._-"  # Windows drops a dot at the end
    assert name.split(".")[0].lower() not in RESERVED_NAMES
    assert safe_name(name) == name


@given(text=st.text(string.ascii_letters + string.digits + "._- /", max_size=128))
def test_ascii_names_are_those_of_earlier_versions(text):
    assert safe_name(text) == old_safe_name(text)


@given(text=st.text(st.characters(categories=["L", "Nd"]), min_size=1, max_size=32))
def test_letters_and_digits_of_every_script_are_kept(text):
    composed = unicodedata.normalize("NFC", text)
    if unicodedata.category(composed[0])[0] == "M" or len(composed.encode()) > 128:
        return
    assert safe_name(text).removeprefix("case-") == composed.removeprefix("case-")


def test_a_plain_file_gives_its_size(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert check_regular_file(tmp_path / "a") == 5


def test_a_followed_link_gives_the_size_of_its_target(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").symlink_to("a")
    assert check_regular_file(tmp_path / "b", follow_links=True) == 5


@pytest.mark.parametrize(
    ("kind", "follow", "word"),
    [
        ("missing", False, "no such file"),
        ("folder", False, "a folder"),
        ("link", False, "a symbolic link"),
        ("link to a folder", True, "a folder"),
        ("dangling link", False, "a symbolic link"),
        ("dangling link", True, "leads nowhere"),
        ("circle", True, "leads nowhere"),
        ("pipe", False, "device, pipe or socket"),
        ("link to a pipe", True, "device, pipe or socket"),
        ("device", False, "device, pipe or socket"),
        ("empty", False, "an empty file"),
        ("below a file", False, "not a directory"),
    ],
)
def test_other_things_than_files_are_told_apart(kind, follow, word, tmp_path, refused):
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "link to a folder").symlink_to("folder")
    (tmp_path / "dangling link").symlink_to("missing")
    (tmp_path / "circle").symlink_to("circle")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link to a pipe").symlink_to("pipe")
    special = {"device": Path("/dev/zero"), "below a file": tmp_path / "file" / "x"}
    with refused(word):
        check_regular_file(special.get(kind, tmp_path / kind), follow_links=follow)


def test_a_name_too_long_for_any_file_is_refused(tmp_path, refused):
    with refused("name too long"):
        check_regular_file(tmp_path / ("x" * 300))


def test_only_the_head_of_a_file_is_read(tmp_path):
    (tmp_path / "a").write_bytes(b"0123456789")
    assert read_head(tmp_path / "a", 4) == b"0123"
    assert read_head(tmp_path / "a", 40) == b"0123456789"


def test_a_head_that_cannot_be_read_is_refused(tmp_path, refused):
    with refused("no such file"):
        read_head(tmp_path / "a", 4)
    with refused("directory"):
        read_head(tmp_path, 4)


def test_the_hash_is_that_of_the_bytes(tmp_path):
    content = bytes(range(256)) * 10_000
    (tmp_path / "a").write_bytes(content)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_the_new_file_appears_only_at_the_end(tmp_path):
    path = tmp_path / "case.nii.gz"
    path.write_text("old")
    with atomic_path(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".")
        assert temporary.name.endswith(".nii.gz")
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(error, written, tmp_path):
    path = tmp_path / "case.json"
    path.write_text("old")

    def fail() -> None:
        with atomic_path(path) as temporary:
            if written:
                temporary.write_text("half of the n")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_writes_nothing_is_an_error(tmp_path, refused):
    with refused(error=BadInput), atomic_path(tmp_path / "case.json"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_system_becomes_one_line_and_leaves_nothing(tmp_path, refused):
    path = tmp_path / "case.json"
    with refused("no space left", error=ResourceError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_refused(tmp_path, refused):
    with refused("no such file or directory", error=BadInput):
        write_text(tmp_path / "missing" / "case.json", "text")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path, refused):
    (tmp_path / "file").write_text("x")
    with refused("not a directory", error=BadInput):
        write_text(tmp_path / "file" / "case.json", "text")


def test_a_name_too_long_is_refused_when_it_is_written(tmp_path, refused):
    with refused("name too long", error=BadInput):
        write_text(tmp_path / ("x" * 300 + ".json"), "text")


def test_every_name_that_the_system_allows_can_be_written(tmp_path):
    path = tmp_path / ("\N{BABY}" * 60 + ".json")  # 245 bytes
    path.write_text("possible")
    write_text(path, "text")
    assert path.read_text() == "text"


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path, refused):
    with refused("a folder", error=BadInput):
        write_text(tmp_path, "text")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept_unless_it_may_be_overwritten(tmp_path, refused):
    path = tmp_path / "case.json"
    write_text(path, "old", overwrite=False)
    with refused("existing", error=BadInput):
        write_text(path, "new", overwrite=False)
    assert path.read_text() == "old"
    write_text(path, "new")
    assert path.read_text() == "new"


def test_text_is_written_as_utf8_without_changing_line_ends(tmp_path):
    write_text(tmp_path / "a.csv", "Größe\r\nzwei\n")
    assert (tmp_path / "a.csv").read_bytes() == b"Gr\xc3\xb6\xc3\x9fe\r\nzwei\n"


def test_a_link_is_replaced_and_its_target_stays(tmp_path):
    (tmp_path / "target.json").write_text("keep")
    (tmp_path / "link.json").symlink_to("target.json")
    write_text(tmp_path / "link.json", "new")
    assert (tmp_path / "target.json").read_text() == "keep"
    assert not (tmp_path / "link.json").is_symlink()


def test_concurrent_writers_never_mix_and_readers_see_whole_files(tmp_path):
    path = tmp_path / "case.json"
    payloads = {letter * 200_000 for letter in "abcdefgh"}
    write_text(path, "a" * 200_000)
    done = threading.Event()

    def watch() -> set[str]:
        seen = set()
        while not done.is_set():
            seen.add(path.read_text())
        return seen

    with ThreadPoolExecutor(10) as pool:
        watcher = pool.submit(watch)
        writers = [pool.submit(write_text, path, text) for text in payloads for _ in range(5)]
        for writer in writers:
            writer.result()
        done.set()
        seen = watcher.result()

    assert seen <= payloads
    assert path.read_text() in payloads
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_gets_an_unreadable_file_and_a_writer_bad_input(tmp_path):
    # The command line tells them apart: the first is about what came in.
    with pytest.raises(UnreadableFile):
        check_regular_file(tmp_path / "missing")
    with pytest.raises(BadInput) as caught:
        write_text(tmp_path / "missing" / "x", "")
    assert type(caught.value) is BadInput
