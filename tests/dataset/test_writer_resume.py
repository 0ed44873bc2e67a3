"""A broken-off dataset is taken up again, and other processes may write its cases."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

import fetusmap as fm
from fetusmap.anatomy import plain_from_skeleton, skeleton_from_plain
from fetusmap.dataset import write_case

SETTINGS: Mapping[str, Any] = {
    "name": "d",
    "licence": "CC0-1.0",
    "skeleton": fm.load_skeleton(),
    "made_by": {"seed": 3},
}
PARTIAL = "dataset.partial.json"
MakeVolume = Callable[..., fm.Volume]


def begin(folder: Path, *, resume: bool = False, **changed: Any) -> fm.DatasetWriter:
    return fm.DatasetWriter(folder, **{**SETTINGS, **changed}, resume=resume)


def pose_of(number: int) -> fm.Pose:
    return fm.reference_pose(40.0 + number)


def make_case(writer: fm.DatasetWriter, number: int) -> Any:
    return writer.case(f"case-{number}", f"subject-{number // 2}", 70.0 + number, {"maker": "none"})


def write(writer: fm.DatasetWriter, numbers: range, make_volume: MakeVolume) -> list[str]:
    """Write the cases that are missing, adopt all, and name those that were written."""
    written = []
    for number in numbers:
        case = make_case(writer, number)
        if not writer.has(case):
            write_case(case, make_volume(case.name), pose_of(number))
            written.append(case.name)
        writer.adopt(case)
    return written


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def whole(tmp_path: Path, make_volume: MakeVolume) -> dict[str, bytes]:
    """The bytes of a dataset of four cases, written in one go with `add`."""
    with begin(tmp_path / "whole") as writer:
        for number in range(4):
            writer.add(
                make_volume(f"case-{number}"),
                pose_of(number),
                subject=f"subject-{number // 2}",
                gestational_age_days=70.0 + number,
                facts={"maker": "none"},
            )
    return content(tmp_path / "whole")


def test_the_partial_document_is_the_final_one_and_goes_at_the_end(tmp_path: Path) -> None:
    with begin(tmp_path / "d"):
        partial = (tmp_path / "d" / PARTIAL).read_bytes()
    assert (tmp_path / "d/dataset.json").read_bytes() == partial
    assert not (tmp_path / "d" / PARTIAL).exists()


def test_a_resumed_dataset_has_the_bytes_of_an_unbroken_one(
    tmp_path: Path, make_volume: MakeVolume, whole: dict[str, bytes]
) -> None:
    folder = tmp_path / "d"
    write(begin(folder), range(2), make_volume)  # and then the run breaks off
    with begin(folder, resume=True) as writer:
        assert write(writer, range(4), make_volume) == ["case-2", "case-3"]
    assert content(folder) == whole


def test_the_order_of_adoption_counts_and_not_that_of_writing(
    tmp_path: Path, make_volume: MakeVolume, whole: dict[str, bytes]
) -> None:
    with begin(tmp_path / "d") as writer:
        cases = [make_case(writer, number) for number in range(4)]
        for number in (2, 0, 3, 1):
            write_case(cases[number], make_volume(f"case-{number}"), pose_of(number))
        for case in cases:
            writer.adopt(case)
    assert content(tmp_path / "d") == whole


def test_other_processes_write_the_same_bytes(
    tmp_path: Path, make_volume: MakeVolume, whole: dict[str, bytes]
) -> None:
    with (
        begin(tmp_path / "d") as writer,
        ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool,
    ):
        cases = [make_case(writer, number) for number in range(4)]
        volumes = [make_volume(case.name) for case in cases]
        list(pool.map(write_case, cases, volumes, [pose_of(number) for number in range(4)]))
        for case in cases:
            writer.adopt(case)
    assert content(tmp_path / "d") == whole


def test_a_case_without_its_last_file_is_written_again(
    tmp_path: Path, make_volume: MakeVolume, whole: dict[str, bytes]
) -> None:
    folder = tmp_path / "d"
    write(begin(folder), range(4), make_volume)
    (folder / "landmarks/case-1.json").unlink()
    (folder / "volumes/case-2.nii.gz").unlink()
    with begin(folder, resume=True) as writer:
        assert write(writer, range(4), make_volume) == ["case-1", "case-2"]
    assert content(folder) == whole


def test_a_case_without_annotation_is_never_taken_for_finished(
    tmp_path: Path, make_volume: MakeVolume
) -> None:
    begin(tmp_path / "d").add(make_volume("a"), None)
    with begin(tmp_path / "d", resume=True) as writer:
        assert not writer.has(writer.case("a"))
        writer.add(make_volume("a"), None)
    assert [case.is_annotated for case in fm.load_dataset(tmp_path / "d").cases] == [False]


def test_without_resume_only_what_this_run_wrote_is_there(
    tmp_path: Path, make_volume: MakeVolume
) -> None:
    write(begin(tmp_path / "d"), range(2), make_volume)
    writer = begin(tmp_path / "d")
    case = make_case(writer, 0)
    assert not writer.has(case)
    write_case(case, make_volume("case-0"), pose_of(0))
    writer.adopt(case)
    assert writer.has(case)


@pytest.mark.parametrize("name", ["new", "."])
def test_nothing_there_is_a_fresh_start(tmp_path: Path, make_volume: MakeVolume, name: str) -> None:
    with begin(tmp_path / name, resume=True) as writer:
        assert write(writer, range(1), make_volume) == ["case-0"]
    assert len(fm.load_dataset(tmp_path / name).cases) == 1


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"name": "e"}, 'name "d" where "e" is asked for'),
        ({"licence": "MIT"}, 'licence "CC0-1.0" where "MIT" is asked for'),
        ({"made_by": {"seed": 4}}, "seed 3 where 4 is asked for"),
        ({"made_by": {}}, "seed 3 where null is asked for"),
        ({"made_by": {"seed": 3, "weeks": [10.0, 14.0]}}, "weeks null where [10.0, 14.0] is asked"),
        ({"made_by": {"seed": 3, "name": "x" * 999}}, "name null where "),
    ],
)
def test_other_settings_do_not_resume(
    tmp_path: Path, make_volume: MakeVolume, changed: dict[str, Any], found: str
) -> None:
    write(begin(tmp_path / "d"), range(1), make_volume)
    before = content(tmp_path / "d")
    with pytest.raises(fm.BadInput) as caught:
        begin(tmp_path / "d", resume=True, **changed)
    assert f"same settings, found {found}" in str(caught.value)
    assert len(str(caught.value)) < 400
    assert content(tmp_path / "d") == before


def test_another_skeleton_of_the_same_name_does_not_resume(tmp_path: Path) -> None:
    begin(tmp_path / "d")
    plain = plain_from_skeleton(fm.load_skeleton())
    skeleton = skeleton_from_plain({**plain, "description": "another"})
    with pytest.raises(fm.BadInput, match='found skeleton "fetus-16" where'):
        begin(tmp_path / "d", resume=True, skeleton=skeleton)


def test_cases_of_other_settings_are_not_kept_by_a_later_resume(
    tmp_path: Path, make_volume: MakeVolume
) -> None:
    other = {"made_by": {"seed": 4}}
    write(begin(tmp_path / "d"), range(3), make_volume)
    write(begin(tmp_path / "d", **other), range(1), make_volume)
    writer = begin(tmp_path / "d", resume=True, **other)
    assert [writer.has(make_case(writer, n)) for n in range(3)] == [True, False, False]


def test_landmarks_of_unknown_settings_are_left_alone_and_not_resumed(
    tmp_path: Path, make_volume: MakeVolume
) -> None:
    folder = tmp_path / "d"
    write(begin(folder), range(2), make_volume)
    (folder / PARTIAL).unlink()
    with pytest.raises(fm.BadInput, match="found cases without a record of settings"):
        begin(folder, resume=True)
    write(begin(folder), range(1), make_volume)
    assert (folder / "landmarks/case-1.json").is_file()
    with pytest.raises(fm.BadInput, match="found cases without a record of settings"):
        begin(folder, resume=True)


@pytest.mark.parametrize("text", ["{", "[]", "{}", json.dumps({"made_by": 3})])
def test_a_damaged_partial_document_does_not_resume(tmp_path: Path, text: str) -> None:
    begin(tmp_path / "d")
    (tmp_path / "d" / PARTIAL).write_text(text)
    with pytest.raises(fm.BadInput, match="same settings") as caught:
        begin(tmp_path / "d", resume=True)
    assert "\n" not in str(caught.value)
    with begin(tmp_path / "d"):
        pass
    assert fm.load_dataset(tmp_path / "d").made_by == {"seed": 3}


def test_a_finished_dataset_is_not_resumed(dataset_folder: Path) -> None:
    with pytest.raises(fm.BadInput, match="without a finished dataset"):
        begin(dataset_folder, resume=True)


def test_a_case_is_adopted_once_and_only_with_its_files(
    tmp_path: Path, make_volume: MakeVolume
) -> None:
    writer = begin(tmp_path / "d")
    case, twin = make_case(writer, 0), writer.case("CASE-0")
    with pytest.raises(fm.BadInput, match=r"found no .*case-0\.nii\.gz"):
        writer.adopt(case)
    write_case(case, make_volume("case-0"), None)
    with pytest.raises(fm.BadInput, match=r"found no .*case-0\.json"):
        writer.adopt(case)
    assert writer.cases == ()
    writer.adopt(case, annotated=False)
    for again in (case, twin):
        with pytest.raises(fm.BadInput, match="taken already"):
            writer.adopt(again)
    assert writer.cases == (case,)


@pytest.mark.parametrize("part", ["volumes", "landmarks"])
def test_a_place_that_cannot_be_written_is_one_line(
    tmp_path: Path, make_volume: MakeVolume, part: str
) -> None:
    writer = begin(tmp_path / "d")
    (tmp_path / "d" / part).rmdir()
    (tmp_path / "d" / part).write_text("in the way")
    with pytest.raises(fm.BadInput, match="that can be written") as caught:
        write_case(make_case(writer, 0), make_volume("case-0"), pose_of(0))
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    code = """
import resource, sys
import numpy as np
import fetusmap as fm
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
grid = fm.Grid.from_spacing((64, 64, 64), 1.0)
noise = np.random.default_rng(0).integers(0, 255, grid.shape, dtype=np.uint8)
writer = fm.DatasetWriter(sys.argv[1], name="d", licence="none", skeleton=fm.load_skeleton())
try:
    writer.add(fm.Volume(noise, grid, name="a"), fm.reference_pose())
except fm.BadInput as error:
    print(error)
"""
    words = [sys.executable, "-c", code, str(tmp_path / "d")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.count("\n") == 1
    assert "file too large" in done.stdout
    assert list(content(tmp_path / "d")) == [PARTIAL]
