"""Which cases the inputs of a command line are, and what they are called."""

from __future__ import annotations

import tempfile
import unicodedata
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetusmap.errors import BadInput
from fetusmap.files import name_key
from fetusmap.geometry import Grid
from fetusmap.io import DEFAULT_LIMITS, save_volume
from fetusmap.scale import VolumeFile, assign_folders, find_volumes, split_sequences
from fetusmap.scale.input_table import spacing_in
from fetusmap.scale.names import with_unique_names
from fetusmap.volume import Volume


@pytest.fixture
def make(tmp_path):
    """Make empty files below a folder, and return it."""

    def make(*names: str) -> Path:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path

    return make


def names_of(found):
    return [volume.case for volume in found]


def test_a_folder_of_patient_folders_is_searched_on_request(make):
    folder = make("p2/scan.nii.gz", "p1/day 3/scan.nii.gz", "p1/scan.nii.gz", "top.nii")
    found = find_volumes([folder], recursive=True)
    assert names_of(found) == ["top", "p1-scan", "p1-day_3-scan", "p2-scan"]
    assert not found.notes
    without = find_volumes([folder])
    assert names_of(without) == ["top"]
    assert "--recursive" in without.notes[0]


def test_only_folders_inside_are_told_to_be_there(make, refused):
    with refused("found none, but 2 folders", "--recursive", error=BadInput):
        find_volumes([make("p1/a.nii", "p2/a.nii", ".hidden/a.nii")])


def test_what_is_hidden_or_holds_results_is_passed_over(make):
    folder = make(
        "a.nii.gz", "._a.nii.gz", ".cache/b.nii.gz", "__MACOSX/c.nii.gz", "p/._d.nii", "p/e.nii"
    )
    (folder / "out" / "a").mkdir(parents=True)
    record = '{"format": "fetusmap-failed", "version": 1, "source": "/a", "error": "e"}'
    (folder / "out" / "a" / "failed.json").write_text(record)
    (folder / "out" / "a" / "copy.nii").touch()
    found = find_volumes([folder], recursive=True)
    assert names_of(found) == ["a", "p-e"]
    assert not found.left_out


def test_a_resource_fork_is_ignored_even_if_it_is_given(make, refused):
    folder = make("._scan.nii", "scan.nii", "._real.nii")
    (folder / "._scan.nii").write_bytes(bytes.fromhex("00051607000200004d6163204f532058"))
    found = find_volumes([folder / "._scan.nii", folder / "scan.nii", folder / "._real.nii"])
    assert names_of(found) == ["scan", "real"]
    assert "macOS" in found.notes[0]
    with refused("expected volumes", error=BadInput):
        find_volumes([folder / "._scan.nii"])


def test_a_link_to_a_folder_is_named_and_followed_only_once(make):
    folder = make("p1/a.nii")
    (folder / "again").symlink_to(folder, target_is_directory=True)
    found = find_volumes([folder], recursive=True)
    assert names_of(found) == ["p1-a"]
    assert "a link to a folder" in found.notes[0]
    followed = find_volumes([folder], recursive=True, follow_links=True)
    assert names_of(followed) == ["p1-a"]
    assert "searched once" in followed.notes[0]


def test_a_file_given_twice_is_one_case_and_is_noted(make):
    folder = make("a.nii.gz")
    found = find_volumes([folder / "a.nii.gz", folder, folder / "x" / ".." / "a.nii.gz"])
    assert names_of(found) == ["a"]
    assert len(found.notes) == 2
    assert "given twice, and one case" in found.notes[0]


def test_an_input_without_volumes_is_left_out_beside_others(make, refused):
    folder = make("full/a.nii", "empty/notes.txt")
    found = find_volumes([folder / "empty", folder / "full"])
    assert names_of(found) == ["a"]
    assert "expected volumes" in found.left_out[0]
    with refused("none in 2 inputs", error=BadInput):
        find_volumes([folder / "empty", folder / "empty"])


def test_files_that_differ_by_format_case_or_folder_are_told_apart(make):
    folder = make(
        "w/a.nii.gz", "w/a.nrrd", "v/a.nii.gz", "w/B.nii", "w/b.nii", "w/c 1.nii", "w/c_1.nii"
    )
    found = find_volumes([folder / "w", folder / "v"])
    names = names_of(found)
    assert sorted(names) == sorted(["w-a-nii-gz", "w-a-nrrd", "v-a", "B", "b-2", "c_1", "c_1-2"])
    assert len(set(map(name_key, names))) == 7


def test_folders_of_one_name_get_as_many_parents_as_needed(make):
    folder = make("p1/day/scan.nii", "p2/day/scan.nii", "p2/other/scan.nii")
    paths = sorted(folder.rglob("*.nii"))
    assert names_of(find_volumes(paths)) == ["p1-day-scan", "p2-day-scan", "p2-other-scan"]


@pytest.mark.parametrize(
    ("file", "case"),
    [
        ("胎児 12週.nii.gz", "胎児_12週"),
        ("плод-3.nrrd", "плод-3"),
        ("جنين.mha", "جنين"),
        ("-x.nii", "x"),
        ("..hidden-not.nii", "hidden-not"),
        ("CON.nii", "case-CON"),
        ("a" * 200 + ".nii.gz", "a" * 128),
        ("b" * 5000 + ".nii.gz", "b" * 128),
        ("\N{BABY}.nii", "case"),
        (unicodedata.normalize("NFD", "Müller.nii"), "Müller"),
    ],
)
def test_names_of_every_kind(file, case):
    assert names_of(find_volumes([Path(file)])) == [case]


def test_spellings_of_one_accent_are_told_apart():
    paths = [Path(unicodedata.normalize(form, "Müller.nii")) for form in ("NFC", "NFD")]
    assert names_of(find_volumes(paths)) == ["Müller", "Müller-2"]


@given(
    st.lists(
        st.tuples(
            st.text("aAbéÉ -._1", max_size=4), st.sampled_from([".nii", ".nii.gz", ".nrrd"]),
            st.sampled_from(["p", "P", "q/p", "r/p", "x" * 120]),
        ),
        max_size=12,
    )
)  # fmt: skip
def test_no_two_cases_share_a_name_on_any_file_system(files):
    volumes = [
        VolumeFile(case, Path("/no") / folder / f"{case}{suffix}")
        for name, suffix, folder in files
        for case in [name.strip(" ._-") or "case"]
    ]
    named = with_unique_names(volumes)
    assert [v.path for v in named] == [v.path for v in volumes]
    assert len({name_key(v.case) for v in named}) == len(volumes)
    assert all(len(v.case.encode()) <= 128 for v in named)
    lonely = {name_key(v.case) for v in volumes}
    if len(lonely) == len(volumes):
        assert named == volumes


def test_a_folder_that_differs_by_case_is_the_same_folder(make, tmp_path):
    folder = make("in/a.nii", "other/A.nii")
    out = tmp_path / "out"
    (out / "A").mkdir(parents=True)
    source = VolumeFile("A", folder / "other" / "A.nii").source
    record = f'{{"format": "fetusmap-failed", "version": 1, "source": "{source}", "error": "e"}}'
    (out / "A" / "failed.json").write_text(record)
    (named,), renamed = assign_folders([VolumeFile("a", folder / "in/a.nii")], out, DEFAULT_LIMITS)
    assert named.case == "in-a"
    assert "results of another file" in renamed[0]
    (own,), _ = assign_folders([VolumeFile("a", Path(source))], out, DEFAULT_LIMITS)
    assert own.case == "A"
    (out / "a").mkdir()  # an earlier version made both
    (out / "a" / "failed.json").write_text(record.replace(source, "/of/another.nii"))
    (own,), _ = assign_folders([VolumeFile("A", Path(source))], out, DEFAULT_LIMITS)
    assert own.case == "A"


def test_no_case_is_called_like_a_file_of_the_cohort(tmp_path):
    cases = [VolumeFile(name, tmp_path / "w" / "s.nii") for name in ("Landmarks.csv", "index.html")]
    named, renamed = assign_folders(cases, tmp_path, DEFAULT_LIMITS)
    assert names_of(named) == ["w-Landmarks.csv", "w-index.html"]
    assert len(renamed) == 2


def table(folder, text, encoding="utf-8", name="cases.csv"):
    (folder / name).write_bytes(text.encode(encoding))
    return folder / name


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_as_a_spreadsheet_saves_it(make, encoding):
    folder = make("in/a, b.nii", "in/ü.nii", "in/c.nii", "in/d.nii")
    text = (
        'Path;Case;Spacing;Frame\r\n"in/a, b.nii";P 1;0,5;\r\n"""in/ü.nii""";;0,5 0,6 0,8;2,0\r\n'
        "in/c.nii;P 1;;\r\n;x;;\r\nin/d.nii;;;\r\n;;;\r\n"
    )
    found = find_volumes([table(folder, text, encoding)])
    assert names_of(found) == ["P_1", "ü-002", "P_1-2", "d"]
    assert [v.spacing_mm for v in found] == [(0.5,) * 3, (0.5, 0.6, 0.8), None, None]
    assert [v.frame for v in found] == [None, 2, None, None]
    assert all(volume.path.is_file() and not volume.problem for volume in found)
    assert found.notes == (
        f"{folder / 'in/c.nii'}: its case is called P_1-2, because another one is called P_1",
    )
    assert found.left_out == (
        f"{folder / 'cases.csv'}: row 5 is left out, because its path is empty",
    )


@pytest.mark.parametrize(
    ("cell", "spacing"),
    [
        ("0.5", (0.5, 0.5, 0.5)), ("0,5", (0.5, 0.5, 0.5)), ("0.5 0.5 0.8", (0.5, 0.5, 0.8)),
        ("0,5 0,5 0,8", (0.5, 0.5, 0.8)), ("0.5x0.5x0.8", (0.5, 0.5, 0.8)),
        ("[0.5, 0.5, 0.8]", (0.5, 0.5, 0.8)), ("0.5,0.5,0.8", (0.5, 0.5, 0.8)),
        ("1,1,2", (1, 1, 2)), ("0.5 mm", (0.5, 0.5, 0.5)), ("0,5; 0,5; 0,8", (0.5, 0.5, 0.8)),
        ("5e-1", (0.5, 0.5, 0.5)),
    ],
)  # fmt: skip
def test_a_spacing_in_a_cell(cell, spacing):
    assert spacing_in(cell) == spacing


@pytest.mark.parametrize(
    "cell",
    ["0", "-0.5", "nan", "inf", "half", "0.5 0.5", "0,5,0,5,0,8", "1 2 3 4", "0.5 x", "1.000,5"],
)
def test_a_cell_that_is_no_spacing_is_refused(cell):
    with pytest.raises(ValueError, match=r"."):
        spacing_in(cell)


def test_a_row_with_a_bad_cell_is_a_case_with_a_problem(make):
    folder = make("a.nii", "b.nii", "c.nii")
    text = "path,spacing_mm,frame,age\na.nii,half,,1\nb.nii,,1.5,2\nc.nii,0.5,,3\n"
    found = find_volumes([table(folder, text)])
    assert "expected one or three numbers of mm as spacing, found 'half'" in found[0].problem
    assert "expected a whole number from 0 as frame, found '1.5'" in found[1].problem
    assert found[2].problem == ""
    assert found.notes == (f"{folder / 'cases.csv'}: columns that are not used: age",)


def test_a_file_in_a_table_twice_is_a_case_for_each_name_frame_and_spacing(make):
    folder = make("a.nii")
    text = "path,case,frame,spacing\n" + "".join(
        f"a.nii,{rest}\n" for rest in ("x,,", "y,,", ",0,", ",1,", ",1,", ",,0.5", ",,0.6")
    )
    found = find_volumes([table(folder, text)])
    assert names_of(found) == ["x", "y", "a-000", "a-001", "a", "a-2"]
    assert len(found.notes) == 1


def test_a_row_may_name_a_folder(make):
    folder = make("dicom/a.nii", "two/b.nii", "two/c.nii")
    found = find_volumes([table(folder, "path,case\ndicom,P1\ntwo,P2\n")])
    assert names_of(found) == ["P1", "P2-b", "P2-c"]


def test_a_table_without_the_column_says_so(make, refused):
    folder = make("a.nii")
    with refused("expected the columns path", "found no path", error=BadInput):
        find_volumes([table(folder, "file,spacing\na.nii,0.5\n")])


def test_frames_of_a_table_are_not_split_again(tmp_path):
    volume = Volume(np.zeros((16, 16, 16), np.uint8), Grid.from_spacing((16, 16, 16), 1.0))
    save_volume(volume, tmp_path / "a.nii")
    found = find_volumes([table(tmp_path, "path,frame\na.nii,0\na.nii,\n")])
    assert names_of(split_sequences(found, DEFAULT_LIMITS)) == ["a-000", "a"]
    assert names_of(split_sequences(found, DEFAULT_LIMITS, 3)) == ["a-000", "a-003"]


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_table_or_are_refused_in_words(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cases.csv"
        path.write_bytes(b"path\n" + content)
        with suppress(BadInput):
            assert len(find_volumes([path])) > 0
