"""Cases to train on: prepared once, cached, and never those of another dataset."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save

import fetusmap as fm
from fetusmap.anatomy import plain_from_skeleton, skeleton_from_plain
from fetusmap.errors import BadInput
from fetusmap.simulate import SimulationSettings
from fetusmap.train import CoarseConfig, LandConfig
from fetusmap.train.cases import (
    TrainingCase,
    annotated_cases,
    cached,
    case_pool,
    dataset_cases,
    held_out_cases,
    simulated_cases,
    simulated_pool,
    training_cases,
)


def same(one, other):
    return (
        np.array_equal(one.array, other.array)
        and one.grid == other.grid
        and np.array_equal(one.positions_mm, other.positions_mm, equal_nan=True)
        and np.array_equal(one.visible, other.visible)
    )


def dtypes(case):
    return case.array.dtype, case.positions_mm.dtype, case.visible.dtype


@pytest.fixture
def counting(blob_case):
    """A maker of cases and the numbers that it was asked for."""
    asked = []

    def make(number):
        asked.append(number)
        return replace(blob_case, positions_mm=blob_case.positions_mm + number)

    return make, asked


# From a volume


def test_a_volume_becomes_bytes_at_one_spacing():
    grid = fm.Grid.from_spacing((24, 20, 22), (2.0, 2.5, 3.0), (-20, -20, -20))
    rng = np.random.default_rng(0)
    volume = fm.Volume(rng.integers(0, 255, grid.shape, dtype=np.uint8), grid)
    case = TrainingCase.from_volume(volume, fm.reference_pose(40.0))
    assert case.array.dtype == np.uint8
    assert case.grid.shape == case.array.shape == (48, 50, 66)
    assert case.grid.spacing_mm == pytest.approx([1, 1, 1])
    assert case.grid.center_mm == pytest.approx([0, 0, 0], abs=1e-9)  # the network's frame
    expected = fm.reference_pose(40.0).positions_mm - grid.center_mm
    assert np.allclose(case.positions_mm, expected, atol=1e-9)


def test_a_landmark_is_visible_that_is_there_and_trusted(skeleton):
    pose = fm.reference_pose(40.0)
    positions, confidence = pose.positions_mm.copy(), np.ones(16)
    positions[2] = np.nan
    confidence[[2, 5]] = 0
    confidence[7] = 0.1
    grid = fm.Grid.from_spacing((8, 8, 8))
    volume = fm.Volume(np.ones(grid.shape, np.uint8), grid)
    case = TrainingCase.from_volume(volume, fm.Pose(skeleton, positions, confidence))
    assert set(np.flatnonzero(~case.visible)) == {2, 5}
    assert np.isfinite(case.positions_mm[5]).all()  # where it is said to be is kept


# Kept in a folder


def test_a_case_is_made_once_and_read_ever_after(counting, tmp_path):
    make, asked = counting
    folder = tmp_path / "not" / "there"
    first = cached(make, folder, 7)
    assert same(first, make(7))
    asked.clear()
    for _ in range(2):
        again = cached(make, folder, 7)
        assert same(again, first)
        assert dtypes(again) == dtypes(first)
    assert asked == []
    assert same(cached(make, folder, 8), make(8))
    assert len(list(folder.iterdir())) == 2


def test_absent_landmarks_oblique_grids_and_views_come_back_as_they_were(blob_case, tmp_path):
    positions = blob_case.positions_mm.copy()
    positions[3] = np.nan
    grid = fm.Grid(blob_case.grid.shape[::-1], np.diag([-0.5, 2.0, 1.1, 1.0]))
    case = TrainingCase(blob_case.array.T, grid, positions[::-1], np.arange(16) % 3 == 0)
    cached(lambda _: case, tmp_path, 0)
    assert same(cached(None, tmp_path, 0), case)


def shortened(content):
    return content[: len(content) // 2]


def emptied(content):
    return b""


def overwritten(content):
    return b"\xff" * len(content)


def beheaded(content):
    return content[8:]


def another_file(content):
    return save({"image": np.zeros(3)})


@pytest.mark.parametrize("damage", [shortened, emptied, overwritten, beheaded, another_file])
def test_a_damaged_file_is_made_anew(counting, tmp_path, damage):
    make, asked = counting
    first = cached(make, tmp_path, 4)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert same(cached(make, tmp_path, 4), first)
    assert asked == [4, 4]
    assert path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [path]


# Simulated


def test_a_simulated_case_is_a_function_of_seed_and_number():
    first = simulated_cases(4)(0)
    assert same(first, pickle.loads(pickle.dumps(simulated_cases(4)))(0))  # noqa: S301
    assert not np.array_equal(first.positions_mm, simulated_cases(5)(0).positions_mm)
    assert not np.array_equal(first.positions_mm, simulated_cases(4)(1).positions_mm)
    assert first.grid.spacing_mm == pytest.approx([1, 1, 1])
    assert first.array.dtype == np.uint8
    assert first.visible.sum() > 10
    assert first.grid.contains(first.positions_mm[first.visible]).all()


def test_pools_of_simulated_cases_do_not_mix(tmp_path):
    pools = [case_pool(CoarseConfig(case_seed=seed, cases=9), tmp_path) for seed in (1, 1, 4)]
    assert [pool.count for pool in pools] == [9, 9, 9]
    assert pools[0].folder == pools[1].folder != pools[2].folder
    assert tmp_path in pools[0].folder.parents
    assert list(tmp_path.iterdir()) == []  # nothing is made before it is asked for


@pytest.mark.parametrize(
    ("config", "name"), [(CoarseConfig(), "fetus-22"), (LandConfig(), "fetus-16")]
)
def test_the_papers_network_is_trained_on_the_papers_landmarks(tmp_path, config, name):
    pool = case_pool(config, tmp_path)
    assert pool.skeleton == fm.load_skeleton(name)
    assert pool.folder == simulated_pool(config.case_seed, 1, tmp_path, pool.skeleton).folder
    assert held_out_cases(config, tmp_path, seed=9, count=7).pool.skeleton == pool.skeleton


def test_a_simulated_case_has_the_landmarks_of_its_skeleton():
    more, paper = simulated_cases(4)(1), simulated_cases(4, "fetus-16")(1)
    assert more.positions_mm.shape == (22, 3)
    np.testing.assert_array_equal(more.positions_mm[:16], paper.positions_mm)
    np.testing.assert_array_equal(more.array, paper.array)


def test_other_simulation_settings_have_a_folder_of_their_own(monkeypatch, tmp_path):
    """Or cases that were simulated with the earlier ones would be trained on."""
    before = simulated_pool(1, 9, tmp_path).folder
    kinds = (SimulationSettings(preset="half"), SimulationSettings(preset="half", weeks=(11, 12)))
    monkeypatch.setattr("fetusmap.train.cases.KINDS", kinds)
    changed = simulated_pool(1, 9, tmp_path).folder
    monkeypatch.setattr("fetusmap.train.cases.__version__", "99.0")
    newer = simulated_pool(1, 9, tmp_path).folder
    assert len({before, changed, newer}) == 3


# From a dataset


@pytest.fixture
def write_dataset(skeleton, tmp_path):
    """A function that writes five cases, case-0 not annotated, with or without splits."""

    usual = skeleton

    def write(name="dataset", splits=None, changed=0.0, annotated=range(1, 5), skeleton=usual):
        folder = tmp_path / name
        grid = fm.Grid.from_spacing((16, 17, 18), (4.0, 4.5, 5.0), (-30, -30, -30))
        with fm.DatasetWriter(folder, name="five", licence="CC0-1.0", skeleton=skeleton) as writer:
            for n in range(5):
                array = np.random.default_rng(n).integers(0, 255, grid.shape, dtype=np.uint8)
                pose = fm.reference_pose(40.0 + n + changed * (n == 3), skeleton)
                writer.add(
                    fm.Volume(array, grid, name=f"case-{n}"), pose if n in annotated else None
                )
            writer.splits = splits or {}
        return folder

    return write


SPLITS = {"train": ("case-0", "case-2", "case-3"), "test": ("case-4",)}


def pool_of(folder, cache, **changed):
    return case_pool(CoarseConfig(dataset=str(folder), **changed), cache)


def test_a_dataset_gives_the_annotated_cases_of_its_split_over_and_over(write_dataset, tmp_path):
    folder = write_dataset(splits=SPLITS)
    cases = {case.name: case for case in fm.load_dataset(folder).cases}
    for split, names in (("train", ("case-2", "case-3")), ("test", ("case-4",))):
        pool = pool_of(folder, tmp_path, split=split)
        assert pool.count == len(names)
        for number in range(3):
            case = cases[names[number % len(names)]]
            expected = TrainingCase.from_volume(case.load_volume(), case.load_pose())
            assert same(pool.make(number), expected)


def test_a_dataset_without_splits_gives_all_that_are_annotated(write_dataset, tmp_path):
    folder = write_dataset()
    center_mm = fm.load_dataset(folder).cases[0].load_grid().center_mm
    pool = pool_of(folder, tmp_path)
    assert pool.count == 4
    for number in range(4):
        expected = fm.reference_pose(41.0 + number).positions_mm - center_mm
        assert np.allclose(pool.make(number).positions_mm, expected, atol=1e-3)


def test_the_split_for_validation_is_held_out(write_dataset, tmp_path):
    """And whatever split a dataset has instead, it is not trained on unasked."""
    folder = write_dataset(splits={**SPLITS, "val": ("case-1",)})
    config = CoarseConfig(dataset=str(folder))
    held_out = held_out_cases(config, tmp_path, seed=9, count=7)
    pool = held_out.pool
    assert held_out.described == "its split val"
    assert pool.count == 1
    (case,) = (case for case in fm.load_dataset(folder).cases if case.name == "case-1")
    assert same(pool.make(0), TrainingCase.from_volume(case.load_volume(), case.load_pose()))
    assert pool.folder != case_pool(config, tmp_path).folder
    other = CoarseConfig(dataset=str(folder), validation_split="test")
    assert held_out_cases(other, tmp_path, seed=9, count=7).pool.folder != pool.folder


@pytest.mark.parametrize("splits", [None, SPLITS, {"train": ("case-1",), "val": ("case-0",)}])
def test_where_a_dataset_holds_nothing_out_simulated_cases_are(
    write_dataset, tmp_path, splits, skeleton
):
    config = CoarseConfig(dataset=str(write_dataset(splits=splits)))
    pool = held_out_cases(config, tmp_path, seed=9, count=7).pool
    assert (pool.folder, pool.count) == (simulated_pool(9, 7, tmp_path, skeleton).folder, 7)


def test_a_changed_dataset_is_not_served_from_the_old_ones_folder(write_dataset, tmp_path):
    cache = tmp_path / "cache"
    before = write_dataset(splits=SPLITS)
    old = pool_of(before, cache)
    assert pool_of(before, cache).folder == old.folder
    assert pool_of(write_dataset("moved", SPLITS), cache).folder == old.folder
    others = [
        pool_of(before, cache, split="test").folder,
        pool_of(write_dataset("other poses", SPLITS, changed=0.5), cache).folder,
        pool_of(write_dataset("other splits", {"train": ("case-2",)}), cache).folder,
        case_pool(CoarseConfig(), cache).folder,
    ]
    assert len({old.folder, *others}) == 5
    volume = before / "volumes" / "case-3.nii.gz"
    volume.write_bytes((before / "volumes" / "case-1.nii.gz").read_bytes())
    assert pool_of(before, cache).folder not in {old.folder, *others}


def test_workers_can_be_sent_a_dataset(write_dataset):
    make = dataset_cases(fm.load_dataset(write_dataset(annotated=(0, 1))).cases[:2])
    assert same(pickle.loads(pickle.dumps(make))(3), make(1))  # noqa: S301


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ({"annotated": ()}, {}),
        ({"splits": {"train": ("case-0",), "test": ("case-1",)}}, {}),
        ({"splits": SPLITS}, {"split": "validation"}),
    ],
)
def test_a_split_without_annotated_cases_is_refused_in_one_line(
    write_dataset, tmp_path, written, asked
):
    folder = write_dataset(**written)
    with pytest.raises(BadInput, match="split") as caught:
        pool_of(folder, tmp_path / "cache", **asked)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)
    assert asked.get("split", "train") in str(caught.value)


def test_cases_to_be_checked_are_left_out(write_dataset):
    folder = write_dataset()
    table = (folder / "cases.csv").read_text().splitlines()
    doubts = ["to_check", "", "", "left and right leg are exchanged; head lies outside", "", ""]
    lines = [f"{line},{doubt}" for line, doubt in zip(table, doubts, strict=True)]
    (folder / "cases.csv").write_text("\n".join(lines) + "\n")
    dataset = fm.load_dataset(folder)
    assert dataset.cases[2].to_check == ("left and right leg are exchanged", "head lies outside")
    names = [case.name for case in annotated_cases(dataset, "train")]
    assert names == ["case-1", "case-3", "case-4"]


@pytest.fixture
def own_skeleton(skeleton):
    """fetus-16 under another name, and in another order."""
    plain = plain_from_skeleton(skeleton)
    plain["name"] = "fetus-16-reversed"
    plain["landmarks"] = plain["landmarks"][::-1]
    return skeleton_from_plain(plain)


def test_a_dataset_is_trained_on_with_its_own_skeleton(write_dataset, own_skeleton, tmp_path):
    pool = pool_of(write_dataset(skeleton=own_skeleton), tmp_path)
    assert pool.skeleton == own_skeleton
    assert pool_of(write_dataset("usual"), tmp_path).folder != pool.folder


def test_of_an_own_skeleton_a_fifth_of_the_subjects_is_held_out(
    write_dataset, own_skeleton, tmp_path
):
    """Never simulated cases, whose landmarks are others. Case 0 is not annotated."""
    config = CoarseConfig(dataset=str(write_dataset(skeleton=own_skeleton)))
    held_out = held_out_cases(config, tmp_path, seed=9, count=7)
    assert held_out.pool.skeleton == own_skeleton
    trained_on = {case.name for case in training_cases(config)}
    assert (held_out.pool.count, len(trained_on)) == (1, 3)
    assert {*held_out.pool.hashes, *trained_on} == {f"case-{n}" for n in range(1, 5)}
    assert held_out.described == "cases of subjects that were not trained on"
    assert case_pool(config, tmp_path).hashes.keys() == trained_on


def test_cases_of_one_subject_are_held_out_together(write_dataset, own_skeleton, tmp_path):
    folder = write_dataset(skeleton=own_skeleton)
    table = folder / "cases.csv"
    for subjects in (("a", "a", "b", "b", "b"), ("a",) * 5):
        rows = [f"case-{n},{subject}," for n, subject in enumerate(subjects)]
        table.write_text("\n".join(["case,subject,gestational_age_days", *rows]) + "\n")
        config = CoarseConfig(dataset=str(folder))
        mine = {case.subject for case in training_cases(config)}
        others = held_out_cases(config, tmp_path, seed=9, count=7)
        by_name = {f"case-{n}": subject for n, subject in enumerate(subjects)}
        theirs = {by_name[name] for name in others.pool.hashes}
        if len(set(subjects)) > 1:
            assert not mine & theirs
        else:
            assert mine == theirs
            assert others.described == "its training cases, which are all of one subject"
