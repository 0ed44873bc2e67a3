"""Everything that is handed to another process survives the way."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

import fetusmap as fm
from fetusmap.anatomy import Quality
from fetusmap.dataset import find_foreign_cases
from fetusmap.types import FrozenMapping


def test_a_frozen_mapping_reads_like_a_dict_and_cannot_be_changed() -> None:
    source = {"a": 1}
    frozen = FrozenMapping(source)
    source["a"] = 2
    assert frozen == {"a": 1}
    assert (len(frozen), list(frozen), repr(frozen)) == (1, ["a"], "{'a': 1}")
    assert hash(frozen) == hash(FrozenMapping({"a": [2]}))
    with pytest.raises(TypeError):
        frozen["a"] = 3  # type: ignore[index]


@pytest.mark.parametrize("carry", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])  # noqa: S301
def test_poses_volumes_and_skeletons_travel(carry) -> None:
    quality = Quality(score=0.5, reasons=("blurred",), notes={"operator": ["A", 1]})
    pose = fm.Pose(fm.load_skeleton(), fm.reference_pose().positions_mm, quality=quality)
    there = carry(pose)
    assert there.equals(pose)
    assert there.quality == quality
    assert carry(pose.skeleton) == pose.skeleton
    volume = fm.Volume(np.ones((2, 3, 4)), fm.Grid.from_spacing((2, 3, 4)), facts={"a": "b"})
    assert carry(volume).grid == volume.grid
    assert carry(volume).facts == {"a": "b"}


def test_cases_travel(tmp_path: Path) -> None:
    grid = fm.Grid.from_spacing((20, 20, 20), 4.0, (-40, -40, -40))
    volume = fm.Volume(np.zeros(grid.shape, np.uint8), grid, name="a")
    with fm.DatasetWriter(
        tmp_path / "d", name="d", licence="none", skeleton=fm.load_skeleton()
    ) as writer:
        writer.add(volume, fm.reference_pose(40))
    dataset = pickle.loads(pickle.dumps(fm.load_dataset(tmp_path / "d")))  # noqa: S301
    assert dataset.cases[0].load_pose().equals(fm.reference_pose(40))
    fm.save_volume(volume, tmp_path / "a.nrrd")
    fm.save_pose(fm.reference_pose(40), tmp_path / "a.mrk.json")
    (case,) = pickle.loads(pickle.dumps(find_foreign_cases(tmp_path)))  # noqa: S301
    assert case.load(fm.load_skeleton())[1].equals(fm.reference_pose(40))
