"""Datasets read back as they were written, and broken ones are refused."""

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fetusmap as fm
from fetusmap.anatomy import plain_from_skeleton, skeleton_from_plain
from fetusmap.dataset import Case, is_dataset, read_subjects


def test_reads_back_as_written(dataset_folder: Path, make_volume: Callable[..., fm.Volume]) -> None:
    dataset = fm.load_dataset(dataset_folder)
    assert (dataset.name, dataset.licence) == ("six", "CC0-1.0")
    assert dataset.made_by == {"seed": 3}
    assert [case.name for case in dataset.cases] == [f"case-{n}" for n in range(6)]
    assert [case.subject for case in dataset.cases] == [f"subject-{n // 2}" for n in range(6)]
    assert [case.gestational_age_days for case in dataset.cases] == [70.0 + n for n in range(6)]
    assert [case.is_annotated for case in dataset.cases] == [False, True, True, True, True, True]
    assert dataset.cases[4].facts == {"maker": "none"}
    assert dataset.cases[3].load_pose().equals(fm.reference_pose(43.0))
    volume = dataset.cases[3].load_volume()
    assert np.array_equal(volume.array, make_volume("case-3").array)
    assert volume.grid.is_close(make_volume("case-3").grid, tolerance_mm=1e-3)


def test_cases_and_datasets_can_be_hashed_compared_and_pickled(dataset_folder: Path) -> None:
    facts = {"maker": "none"}
    case = Case("a", "s", dataset_folder, fm.load_skeleton(), facts=facts)
    facts["maker"] = "changed afterwards"
    assert case.facts == {"maker": "none"}
    assert {case: 1}[replace(case, facts={"maker": "none"})] == 1
    assert case != replace(case, facts={})
    assert pickle.loads(pickle.dumps(case)) == case  # noqa: S301
    dataset = fm.load_dataset(dataset_folder)
    again = pickle.loads(pickle.dumps(dataset))  # noqa: S301
    assert (again, hash(again)) == (dataset, hash(dataset))
    with pytest.raises(TypeError):
        dataset.splits["more"] = ()  # type: ignore[index]


def test_blanks_around_a_subject_are_removed(
    dataset_folder: Path, make_volume: Callable[..., fm.Volume]
) -> None:
    table = dataset_folder / "cases.csv"
    table.write_text(table.read_text().replace("subject-1,", "subject-1  ,"))
    assert fm.load_dataset(dataset_folder).cases[2].subject == "subject-1"
    folder = dataset_folder.with_name("other")
    with fm.DatasetWriter(folder, name="d", licence="none", skeleton=fm.load_skeleton()) as writer:
        assert writer.add(make_volume("a"), None, subject=" P1 ").subject == "P1"


def test_a_column_is_read_by_its_old_name(dataset_folder: Path) -> None:
    table = dataset_folder / "cases.csv"
    table.write_text(table.read_text().replace(",maker", ",looks"))
    assert fm.load_dataset(dataset_folder).cases[0].facts == {"compounding_frames": "none"}


def test_a_damaged_document_is_a_dataset_that_cannot_be_opened(dataset_folder: Path) -> None:
    (dataset_folder / "dataset.json").write_text("{")
    assert is_dataset(dataset_folder)
    with pytest.raises(fm.UnreadableFile, match="expected JSON"):
        fm.load_dataset(dataset_folder)


def test_a_split_gives_its_cases_in_order(dataset_folder: Path) -> None:
    dataset = fm.load_dataset(dataset_folder)
    assert [c.name for c in dataset.split("train")] == ["case-0", "case-1", "case-2", "case-3"]
    assert [c.name for c in dataset.split("test")] == ["case-5"]
    with pytest.raises(fm.UnreadableFile, match="train, test"):
        dataset.split("validation")


def test_a_broken_off_run_is_not_a_dataset(
    tmp_path: Path, make_volume: Callable[..., fm.Volume]
) -> None:
    def stop_in_the_middle() -> None:
        with fm.DatasetWriter(
            tmp_path / "d", name="d", licence="none", skeleton=fm.load_skeleton()
        ) as writer:
            writer.add(make_volume("a"), None)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_in_the_middle()
    assert (tmp_path / "d/volumes/a.nii.gz").is_file()
    with pytest.raises(fm.UnreadableFile, match="an unfinished dataset"):
        fm.load_dataset(tmp_path / "d")


def test_a_finished_dataset_is_not_overwritten(dataset_folder: Path) -> None:
    with pytest.raises(fm.BadInput, match="without a finished dataset"):
        fm.DatasetWriter(dataset_folder, name="again", licence="none", skeleton=fm.load_skeleton())


def test_the_skeleton_of_the_first_pose_is_that_of_the_dataset(
    tmp_path: Path, make_volume: Callable[..., fm.Volume]
) -> None:
    pose = fm.reference_pose(50.0, fm.load_skeleton("fetus-22"))
    with fm.DatasetWriter(tmp_path / "d", name="d", licence="none") as writer:
        writer.add(make_volume("a"), pose)
        writer.add(make_volume("b"), None)
        with pytest.raises(fm.BadInput, match="a pose of fetus-22"):
            writer.add(make_volume("c"), fm.reference_pose(50.0))
    dataset = fm.load_dataset(tmp_path / "d")
    assert dataset.skeleton == pose.skeleton
    assert [case.name for case in dataset.cases] == ["a", "b"]
    with pytest.raises(fm.BadInput, match="with the same settings"):
        fm.DatasetWriter(tmp_path / "d", name="d", licence="none")


def test_a_dataset_without_any_skeleton_is_refused(
    tmp_path: Path, make_volume: Callable[..., fm.Volume]
) -> None:
    writer = fm.DatasetWriter(tmp_path / "d", name="d", licence="none")
    assert not (tmp_path / "d").exists()
    with pytest.raises(fm.BadInput, match="none, and no pose that has one"):
        writer.add(make_volume("a"), None)
    with pytest.raises(fm.BadInput, match="none, and no pose that has one"):
        writer.__exit__(None, None, None)
    with pytest.raises(fm.BadInput, match="a skeleton, to resume a dataset"):
        fm.DatasetWriter(tmp_path / "d", name="d", licence="none", resume=True)


@pytest.mark.parametrize("name", ["../escape", "a/b", "", "a b", "a:b", ".hidden"])
def test_case_names_cannot_leave_the_folder(
    tmp_path: Path, make_volume: Callable[..., fm.Volume], name: str
) -> None:
    writer = fm.DatasetWriter(tmp_path / "d", name="d", licence="none", skeleton=fm.load_skeleton())
    with pytest.raises(fm.BadInput, match="letters, digits"):
        writer.add(make_volume(name), None)
    files = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert files == ["dataset.partial.json"]


def test_a_case_stands_once(tmp_path: Path, make_volume: Callable[..., fm.Volume]) -> None:
    writer = fm.DatasetWriter(tmp_path / "d", name="d", licence="none", skeleton=fm.load_skeleton())
    writer.add(make_volume("a"), None)
    with pytest.raises(fm.BadInput, match="taken already"):
        writer.add(make_volume("a"), None)


def test_own_skeletons_travel_inside_the_dataset(
    tmp_path: Path, make_volume: Callable[..., fm.Volume]
) -> None:
    plain = {
        "format": "fetusmap-skeleton",
        "version": 1,
        "name": "two",
        "landmarks": [{"name": "l"}, {"name": "r"}],
        "mirror_pairs": [["l", "r"]],
        "segments": [{"name": "across", "start": "l", "end": "r"}],
    }
    skeleton = skeleton_from_plain(plain)
    pose = fm.Pose(skeleton, [[1.0, 2, 3], [4, 5, 6]])
    with fm.DatasetWriter(tmp_path / "d", name="d", licence="none", skeleton=skeleton) as writer:
        writer.add(make_volume("a"), pose)
        with pytest.raises(fm.BadInput, match="a pose of two"):
            writer.add(make_volume("b"), fm.reference_pose())
    dataset = fm.load_dataset(tmp_path / "d")
    assert dataset.skeleton == skeleton
    assert dataset.cases[0].load_pose().equals(pose)


def write_cases(folder: Path, *rows: str) -> None:
    (folder / "cases.csv").write_text("\n".join(["case,subject,gestational_age_days", *rows]))


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (["case-0,s,70", "case-0,s,70"], "'case-0'"),
        (["../case-0,s,70"], "'../case-0'"),
        (["case-0,s,ten"], "'ten'"),
        (["case-9,s,70"], "no such file"),
        (["case-0,s"], "another number"),
    ],
)
def test_a_broken_table_of_cases_is_refused(
    dataset_folder: Path, rows: list[str], found: str
) -> None:
    write_cases(dataset_folder, *rows)
    with pytest.raises(fm.UnreadableFile) as caught:
        fm.load_dataset(dataset_folder)
    assert found in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_subject_in_two_splits_is_refused(dataset_folder: Path) -> None:
    path = dataset_folder / "splits.json"
    splits = json.loads(path.read_text())
    splits["splits"]["test"] = ["case-4", "case-3"]
    path.write_text(json.dumps(splits))
    with pytest.raises(fm.BadInput, match="'subject-1' in 'train' and 'test'"):
        fm.load_dataset(dataset_folder)


def test_unknown_keys_and_versions_are_refused(dataset_folder: Path) -> None:
    path = dataset_folder / "dataset.json"
    good = json.loads(path.read_text())
    for change in ({"version": 2}, {"extra": 1}, {"skeleton": {"name": "x"}}):
        path.write_text(json.dumps({**good, **change}))
        with pytest.raises(fm.BadInput, match=str(path)):
            fm.load_dataset(dataset_folder)


def test_a_file_in_the_way_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(fm.BadInput, match="a folder that can be written"):
        fm.DatasetWriter(tmp_path / "taken", name="d", licence="none", skeleton=fm.load_skeleton())


def test_a_rerun_leaves_no_stale_annotation_or_split(
    tmp_path: Path, make_volume: Callable[..., fm.Volume]
) -> None:
    folder = tmp_path / "d"
    first = fm.DatasetWriter(folder, name="d", licence="none", skeleton=fm.load_skeleton())
    first.add(make_volume("a"), fm.reference_pose())  # and then the run breaks off
    (folder / "splits.json").write_text('{"format": "fetusmap-splits"}')
    with fm.DatasetWriter(folder, name="d", licence="none", skeleton=fm.load_skeleton()) as writer:
        writer.add(make_volume("a"), None)
    dataset = fm.load_dataset(folder)
    assert not dataset.cases[0].is_annotated
    assert dataset.splits == {}


def test_facts_cannot_hide_the_subject(
    tmp_path: Path, make_volume: Callable[..., fm.Volume]
) -> None:
    writer = fm.DatasetWriter(tmp_path / "d", name="d", licence="none", skeleton=fm.load_skeleton())
    with pytest.raises(fm.BadInput, match="found subject"):
        writer.add(make_volume("a"), None, subject="A", facts={"subject": "B"})


def test_names_that_some_file_systems_take_for_one_are_refused(
    tmp_path: Path, make_volume: Callable[..., fm.Volume]
) -> None:
    writer = fm.DatasetWriter(tmp_path / "d", name="d", licence="none", skeleton=fm.load_skeleton())
    writer.add(make_volume("case"), None)
    with pytest.raises(fm.BadInput, match="taken already"):
        writer.add(make_volume("CASE"), None)


def test_what_was_doubtful_about_a_volume_is_written_down(
    tmp_path: Path, make_volume: Callable[..., fm.Volume]
) -> None:
    volume = replace(make_volume("a"), warnings=("spacing given by the caller", "no unit"))
    with fm.DatasetWriter(
        tmp_path / "d", name="d", licence="none", skeleton=fm.load_skeleton()
    ) as writer:
        writer.add(volume, None)
    facts = fm.load_dataset(tmp_path / "d").cases[0].facts
    assert facts == {"warnings": "spacing given by the caller; no unit"}


@pytest.mark.parametrize("skeleton", ["/etc/passwd", "skeleton.json", "fetus-17"])
def test_a_dataset_cannot_make_us_open_another_file(dataset_folder: Path, skeleton: str) -> None:
    path = dataset_folder / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "skeleton": skeleton}))
    with pytest.raises(fm.BadInput, match="a built-in skeleton"):
        fm.load_dataset(dataset_folder)


def test_weeks_are_no_days(tmp_path: Path, make_volume: Callable[..., fm.Volume]) -> None:
    writer = fm.DatasetWriter(tmp_path / "d", name="d", licence="none", skeleton=fm.load_skeleton())
    with pytest.raises(fm.BadInput, match=r"give days .*: 12\.29 weeks are 86 days"):
        writer.add(make_volume("a"), None, gestational_age_days=12.29)
    table = tmp_path / "subjects.csv"
    table.write_text("case,subject,gestational_age_days\na,A,12.29\n")
    with pytest.raises(fm.UnreadableFile, match=r"found '12\.29'; give days .* are 86 days"):
        read_subjects(table)


@pytest.mark.parametrize("days", [0, -5, float("inf"), float("nan"), 400, 12.29])
def test_an_age_that_is_none_is_refused(
    tmp_path: Path, make_volume: Callable[..., fm.Volume], days: float
) -> None:
    writer = fm.DatasetWriter(tmp_path / "d", name="d", licence="none", skeleton=fm.load_skeleton())
    with pytest.raises(fm.BadInput, match="a gestational age in days"):
        writer.add(make_volume("a"), None, gestational_age_days=days)


def test_what_could_not_be_read_back_is_not_written(
    tmp_path: Path, make_volume: Callable[..., fm.Volume]
) -> None:
    def write() -> None:
        made_by = {"log": "x" * 2_000_000}
        with fm.DatasetWriter(
            tmp_path / "d", name="d", licence="none", skeleton=fm.load_skeleton(), made_by=made_by
        ) as writer:
            writer.add(make_volume("a"), None)

    with pytest.raises(fm.BadInput, match="read back"):
        write()


def test_facts_of_several_lines_become_one(
    tmp_path: Path, make_volume: Callable[..., fm.Volume]
) -> None:
    with fm.DatasetWriter(
        tmp_path / "d", name="d", licence="none", skeleton=fm.load_skeleton()
    ) as writer:
        writer.add(make_volume("a"), None, facts={"note": "first\r\nsecond\x00"})
    assert fm.load_dataset(tmp_path / "d").cases[0].facts == {"note": "first second"}


def test_a_skeleton_that_only_shares_the_built_in_name_is_written_whole(
    tmp_path: Path, make_volume: Callable[..., fm.Volume]
) -> None:
    plain = plain_from_skeleton(fm.load_skeleton())
    plain["landmarks"] = [*plain["landmarks"], {"name": "nose", "reference_position": [0, 0, 1]}]
    skeleton = skeleton_from_plain(plain)
    pose = fm.Pose.from_positions({"nose": (1, 2, 3)}, skeleton)
    with fm.DatasetWriter(tmp_path / "d", name="d", licence="none", skeleton=skeleton) as writer:
        writer.add(make_volume("a"), pose)
    dataset = fm.load_dataset(tmp_path / "d")
    assert dataset.skeleton == skeleton
    assert dataset.cases[0].load_pose().equals(pose)
