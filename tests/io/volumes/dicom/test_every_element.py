"""Each element of a good file is damaged in turn: the file is refused, or nothing changes in it."""

import copy
from collections.abc import Iterator

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from fetusmap.errors import UnreadableFile
from fetusmap.geometry import affine_from
from fetusmap.io import load_volume

pytestmark = [
    pytest.mark.usefixtures("in_process"),
    pytest.mark.filterwarnings("ignore"),  # pydicom warns of what it writes here
]

SHAPE = (18, 17, 16)
AFFINE = affine_from(np.diag([0.5, 0.6, 0.7]), [10.0, -20.0, 5.0])
SPECKLE = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
TYPES = {"text": ("LO", "text"), "nan": ("FD", float("nan")), "0": ("FD", 0)}
PER_FRAME = BaseTag(0x52009230)
RESCALE = (BaseTag(0x00289145),)
INTERCEPT = (*RESCALE, 0, BaseTag(0x00281052))


def elements_of(data: Dataset, where: tuple = ()) -> Iterator[tuple]:
    """The path of each element: tags, and numbers of items; of a sequence only the first item."""
    for element in data:
        yield (*where, element.tag)
        if element.VR == "SQ":
            for n, item in list(enumerate(element.value))[:1]:
                yield from elements_of(item, (*where, element.tag, n))


def parent_of(data: Dataset, path: tuple) -> Dataset:
    for step in path[:-1]:
        data = data[step].value if isinstance(step, BaseTag) else data[step]
    return data


def damage(data: Dataset, path: tuple, how: str) -> None:
    parent, tag = parent_of(data, path), path[-1]
    if how == "removed":
        del parent[tag]
    else:
        del parent[tag]
        parent.add_new(tag, *TYPES[how])


def what_changed(volume) -> str:
    same = np.allclose(volume.grid.affine, AFFINE), np.array_equal(volume.array, SPECKLE * 2.0 + 1)
    return "same" if all(same) else f"noted {volume.warnings}" if volume.warnings else "changed"


@pytest.mark.parametrize("how", ["removed", *TYPES])
@pytest.mark.parametrize("shared", [True, False])
def test_each_element_is_damaged(dicom, tmp_path, how, shared):
    good = dicom.enhanced(SPECKLE, AFFINE, shared=shared, rescale=(2.0, 1.0))
    path, outcomes = tmp_path / "scan.dcm", {}
    for where in elements_of(good):
        if not shared and where[0] != PER_FRAME:
            continue
        data = copy.deepcopy(good)
        damage(data, where, how)
        data.save_as(path, enforce_file_format=False, implicit_vr=False, little_endian=True)
        message = ""
        try:
            volume = load_volume(path)
        except UnreadableFile as error:
            message = str(error)
        outcomes[where] = message or what_changed(volume)
    silent = {where[2:] for where, changed in outcomes.items() if changed == "changed"}
    allowed = {"removed": {RESCALE}} if shared else {}
    assert silent <= allowed.get(how, {INTERCEPT} if how == "0" else set())
    for message in outcomes.values():
        assert message.isprintable()
        assert "SECRET" not in message
