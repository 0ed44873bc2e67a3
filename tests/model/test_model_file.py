"""Model folders read back as they were written, and broken ones are refused in one line."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from fetusmap.anatomy import (
    Skeleton,
    channel_per_landmark,
    channel_per_pair,
    plain_from_skeleton,
    skeleton_from_plain,
)
from fetusmap.atlas import PoseLibrary, save_library
from fetusmap.detect import BodyFrameGrid, Cascade, Detector, Pipeline, SinglePass, WholeVolumeGrid
from fetusmap.errors import BadInput, UnreadableFile
from fetusmap.geometry import Grid
from fetusmap.model import DEFAULT_FOLDER, load_model, model_sha256, read_card, save_model
from fetusmap.network import (
    Land,
    LandWidths,
    RecurrentLandSpec,
    UNet,
    UNetSpec,
    UNetWidths,
    build_land,
    build_network,
    build_unet,
    spec_of,
)
from fetusmap.quality import Calibration, Logistic
from fetusmap.volume import Volume

CALIBRATION = Calibration(
    landmark=Logistic(intercept=-1.0, weights=(0.5, -2.0, 3.0, -4.0)),
    case=Logistic(intercept=0.25, weights=(1.0, 0.5, 2.0, -3.0)),
    fetus=Logistic(intercept=2.0, weights=(1.0, 1.0, 1.0, -5.0)),
    sides=Logistic(intercept=0.0, weights=(0.0, 0.0, 30.0, 0.0)),
    cases=120,
    empty_cases=40,
)


@contextmanager
def refused(*words: str, error: type[BadInput] = UnreadableFile):
    """Demand an error of one short printable line."""
    with pytest.raises(error) as caught:
        yield
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 1000
    for word in words:
        assert word in message


@pytest.fixture(scope="module")
def cascade(skeleton, library) -> Cascade:
    """Two tiny networks with fresh weights."""
    torch.manual_seed(0)
    return Cascade(
        skeleton,
        Detector(
            build_unet(UNetWidths((8, 8, 16, 8), 10)).eval(),
            WholeVolumeGrid(1.75),
            channel_per_pair(skeleton),
        ),
        Detector(
            build_unet(UNetWidths((16, 8, 8), 16)).eval(),
            BodyFrameGrid(0.07, (40, 32, 48), (0.01, 0.29, 0.43)),
            channel_per_landmark(skeleton),
        ),
        library.select(np.arange(20)),
    )


def write(pipeline: Pipeline, folder: Path, **changes: Any):
    facts = {"name": "tiny", "made_by": {"seed": 1}, "metrics": {"mean_mm": 2.5}, **changes}
    return save_model(pipeline, CALIBRATION, folder, **facts)


@pytest.fixture(scope="module")
def whole_folder(cascade, tmp_path_factory) -> Path:
    """A model folder to copy from."""
    folder = tmp_path_factory.mktemp("whole")
    write(cascade, folder)
    return folder


@pytest.fixture
def folder(whole_folder, tmp_path) -> Path:
    """A model folder that may be spoilt."""
    return shutil.copytree(whole_folder, tmp_path / "model")


def edit_card(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    plain = json.loads((folder / "card.json").read_text())
    change(plain)
    (folder / "card.json").write_text(json.dumps(plain))


def replace_file(folder: Path, name: str, key: tuple[str, ...], content: bytes) -> None:
    """Put another file in place, and its right hash on the card."""
    (folder / name).write_bytes(content)

    def change(plain: dict[str, Any]) -> None:
        for step in key[:-1]:
            plain = plain[step]
        plain[key[-1]] = hashlib.sha256(content).hexdigest()

    edit_card(folder, change)


def test_networks_read_back_in_half_precision(cascade, folder):
    again, _ = load_model(folder)
    for before, after in (
        (cascade.coarse, again.coarse),
        (cascade.canonical, again.canonical),
    ):
        assert after.network.widths == before.network.widths
        assert not after.network.training
        assert after.channels == before.channels
        written = before.network.state_dict()
        read = after.network.state_dict()
        assert list(read) == list(written)
        for name, tensor in written.items():
            assert read[name].dtype == torch.float32
            np.testing.assert_array_equal(read[name], tensor.half().float())
    assert again.coarse.input_grid == WholeVolumeGrid(1.75)
    assert again.canonical.input_grid == cascade.canonical.input_grid
    assert again.skeleton == cascade.skeleton
    np.testing.assert_allclose(
        again.library.positions_mm, cascade.library.positions_mm, atol=0.0051
    )


def test_a_model_that_was_read_sees_what_the_written_one_saw(cascade, folder):
    again, _ = load_model(folder)
    grid = Grid.from_spacing((32, 32, 48), 1.75)
    array = np.random.default_rng(0).integers(0, 256, grid.shape, dtype=np.uint8)
    for before, after in (
        (cascade.coarse, again.coarse),
        (cascade.canonical, again.canonical),
    ):
        first, second = (
            one.predict(Volume(array, grid), grid, half=False).array for one in (before, after)
        )
        assert (second / first - 1).abs().max() < 0.02


def test_the_card_says_what_is_in_the_folder(cascade, folder):
    plain = json.loads((folder / "card.json").read_text())
    assert plain["format"] == "fetusmap-model"
    assert plain["version"] == 1
    assert plain["name"] == "tiny"
    assert plain["skeleton"] == plain_from_skeleton(cascade.skeleton)
    assert plain["working_spacing_mm"] == 1.0
    assert plain["made_by"] == {"seed": 1}
    assert plain["metrics"] == {"mean_mm": 2.5}
    assert any("not a medical device" in limit for limit in plain["limits"])
    assert plain["calibration"]["landmark"]["weights"] == [0.5, -2.0, 3.0, -4.0]
    assert set(plain["passes"]) == {"coarse", "canonical"}
    assert {entry["network"] for entry in plain["passes"].values()} == {"unet"}
    assert plain["passes"]["coarse"]["widths"] == [8, 8, 16, 8]
    assert plain["passes"]["coarse"]["spacing_mm"] == 1.75
    assert "step" not in plain["passes"]["coarse"]
    assert plain["passes"]["canonical"]["step"] == 0.07
    assert plain["passes"]["canonical"]["shape"] == [40, 32, 48]
    assert plain["passes"]["canonical"]["center"] == [0.01, 0.29, 0.43]
    assert "spacing_mm" not in plain["passes"]["canonical"]
    hashes = {
        plain["passes"]["coarse"]["file"]: plain["passes"]["coarse"]["sha256"],
        plain["passes"]["canonical"]["file"]: plain["passes"]["canonical"]["sha256"],
        plain["library"]: plain["library_sha256"],
    }
    for name, sha256 in hashes.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha256
    assert {path.name for path in folder.iterdir()} == {"card.json", *hashes}
    kinds = {
        tensor.dtype for tensor in load_file(folder / plain["passes"]["coarse"]["file"]).values()
    }
    assert kinds == {torch.float16}


def test_the_card_that_is_read_is_the_one_that_was_written(cascade, tmp_path):
    written = write(cascade, tmp_path)
    assert load_model(tmp_path)[1] == written
    assert written.calibration == CALIBRATION


def test_a_model_is_written_again_as_it_was(folder, tmp_path):
    again, card = load_model(folder)
    second = save_model(
        again,
        card.calibration,
        tmp_path / "again",
        name=card.name,
        made_by=card.made_by,
        metrics=card.metrics,
    )
    assert second == card
    for path in folder.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_a_model_may_be_written_over_another(cascade, library, folder):
    other = replace(cascade, library=library.select(np.arange(5)))
    write(other, folder, name="other")
    again, card = load_model(folder)
    assert card.name == "other"
    assert len(again.library) == 5


def test_an_own_skeleton_travels_with_the_model(cascade, tmp_path):
    plain = plain_from_skeleton(cascade.skeleton)
    own = skeleton_from_plain({**plain, "name": "ours"})
    library = PoseLibrary(own, cascade.library.positions_mm)
    write(replace(cascade, skeleton=own, library=library), tmp_path)
    again, _ = load_model(tmp_path)
    assert again.skeleton == own
    assert again.library.skeleton == own


def test_a_place_that_is_no_folder_is_refused(cascade, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with refused("taken", error=BadInput):
        write(cascade, tmp_path / "taken")


def test_a_folder_without_a_card_is_no_model(tmp_path):
    with refused("card.json", "no such file"):
        load_model(tmp_path)
    with refused("card.json", "no such file"):
        load_model(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "name", ["coarse.safetensors", "canonical.safetensors", "poses.safetensors"]
)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with refused(name, "expected a file"):
        load_model(folder)


@pytest.mark.parametrize(
    "name", ["coarse.safetensors", "canonical.safetensors", "poses.safetensors"]
)
def test_a_file_that_is_not_the_cards_is_refused(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    with refused(name, "the file of the card, SHA-256", "copy the model folder again"):
        load_model(folder)


def test_a_hash_on_the_card_that_is_not_the_files_is_refused(folder):
    edit_card(folder, lambda plain: plain["passes"]["canonical"].update(sha256="0" * 64))
    with refused("canonical.safetensors", "SHA-256 000000000000..."):
        load_model(folder)


@pytest.mark.parametrize(
    "key", [("passes", "coarse", "file"), ("passes", "canonical", "file"), ("library",)]
)
@pytest.mark.parametrize(
    "name", ["../poses.safetensors", "/etc/hostname", "..", ".", "", "a/b", "C:\\x", "a\0b"]
)
def test_names_that_leave_the_folder_are_refused(folder, key, name):
    shutil.copy(folder / "poses.safetensors", folder.parent / "poses.safetensors")

    def change(plain):
        for step in key[:-1]:
            plain = plain[step]
        plain[key[-1]] = name

    edit_card(folder, change)
    with refused("card.json", "names of files in the same folder", error=BadInput):
        load_model(folder)


@pytest.mark.parametrize("version", [2, 99])
def test_a_newer_version_asks_for_an_update(folder, version):
    edit_card(folder, lambda plain: plain.update(version=version, novelty=True))
    with refused("card.json", f"found version {version}; update FetusMap"):
        load_model(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"version": NaN}', b"\xff\xfe"])
def test_a_card_that_is_none_is_refused(folder, content):
    (folder / "card.json").write_bytes(content)
    with refused("card.json", error=BadInput):
        load_model(folder)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda p: p.pop("passes"), "passes"),
        (lambda p: p["passes"].clear(), "coarse and canonical, or plain"),
        (lambda p: p["passes"].pop("coarse"), "coarse and canonical, or plain"),
        (lambda p: p["passes"].pop("canonical"), "coarse and canonical, or plain"),
        (lambda p: p["passes"].update(plain=p["passes"]["coarse"]), "or plain"),
        (lambda p: p["passes"].update(fine=p["passes"].pop("canonical")), "or plain"),
        (lambda p: p.update(p.pop("passes")), "passes"),
        (lambda p: p.update(passes=[*p["passes"].values()]), "passes"),
        (lambda p: p["passes"]["coarse"].update(network="vnet"), "network"),
        (lambda p: p["passes"]["coarse"].update(p["passes"]["canonical"]), "spacing_mm"),
        (lambda p: p.pop("library_sha256"), "library_sha256"),
        (lambda p: p.update(format="fetusmap-library"), "format"),
        (lambda p: p.update(version=0), "version"),
        (lambda p: p.update(extra=1), "extra"),
        (lambda p: p.update(working_spacing_mm=0), "working_spacing_mm"),
        (lambda p: p.update(working_spacing_mm="1"), "working_spacing_mm"),
        (lambda p: p.update(skeleton="fetus-99"), "skeleton"),
        (lambda p: p["passes"]["coarse"].update(widths=[8, 12]), "widths"),
        (lambda p: p["passes"]["coarse"].update(widths=[]), "widths"),
        (lambda p: p["passes"]["coarse"].update(widths=[8, 2048]), "widths"),
        (lambda p: p["passes"]["coarse"].update(spacing_mm=-1.0), "spacing_mm"),
        (lambda p: p["passes"]["canonical"].update(step=0.0), "step"),
        (lambda p: p["passes"]["canonical"].update(shape=[40, 32]), "shape"),
        (lambda p: p["passes"]["canonical"].update(shape=[0, 0, 0]), "shape"),
        (lambda p: p["passes"]["canonical"].update(shape=[41, 32, 48]), "shape"),
        (lambda p: p["passes"]["canonical"].pop("center"), "center"),
        (lambda p: p["passes"]["canonical"].pop("step"), "step"),
        (lambda p: p["passes"]["coarse"].pop("spacing_mm"), "spacing_mm"),
        (lambda p: p["calibration"]["landmark"].update(weights=[1.0, 2.0]), "weights"),
        (lambda p: p["calibration"]["case"].update(intercept=True), "intercept"),
    ],
)
def test_a_card_that_is_wrong_is_refused(folder, change, word):
    edit_card(folder, change)
    with refused("card.json", word, error=BadInput):
        load_model(folder)


def test_the_two_passes_may_not_change_places(folder):
    # A first pass needs a spacing, and a second one step, shape and center.
    def change(plain):
        for key in ("step", "shape", "center"):
            plain["passes"]["coarse"][key] = plain["passes"]["canonical"].pop(key)
        plain["passes"]["coarse"]["shape"] = [48, 32, 48]  # which would fit its levels
        plain["passes"]["canonical"]["spacing_mm"] = plain["passes"]["coarse"].pop("spacing_mm")

    edit_card(folder, change)
    with refused("card.json", "canonical takes a grid in the body's frame", error=BadInput):
        load_model(folder)


def test_a_skeleton_without_a_trunk_is_refused(cascade, folder):
    """In whose frame the second pass would look, nobody could say."""
    plain = {**plain_from_skeleton(cascade.skeleton), "name": "ours"}
    del plain["trunk"]
    edit_card(folder, lambda card: card.update(skeleton=plain))
    with refused("card.json", "a skeleton with a trunk", "ours, without", error=BadInput):
        load_model(folder)


def test_a_skeleton_without_lateral_pairs_is_refused(cascade, folder):
    """No volume would ever show a body: nothing says which way is right."""
    plain = {**plain_from_skeleton(cascade.skeleton), "name": "ours"}
    del plain["lateral_pairs"]
    edit_card(folder, lambda card: card.update(skeleton=plain))
    with refused("card.json", "and lateral pairs", "ours, without", error=BadInput):
        load_model(folder)


@pytest.mark.parametrize("widths", [[8, 8, 16], [8, 8, 16, 16], [8, 8, 16, 8, 8]])
def test_weights_of_another_network_are_refused(folder, widths):
    edit_card(folder, lambda plain: plain["passes"]["coarse"].update(widths=widths))
    with refused("coarse.safetensors", "expected weights of widths", "for 10 channels"):
        load_model(folder)


def test_weights_of_the_other_pass_are_refused(folder):
    content = (folder / "canonical.safetensors").read_bytes()
    replace_file(folder, "coarse.safetensors", ("passes", "coarse", "sha256"), content)
    with refused("coarse.safetensors", "expected weights of widths"):
        load_model(folder)


@pytest.mark.parametrize("content", [b"\0", bytes(200), b"PK\3\4" + bytes(50), b"\x80\x04\x95 no"])
def test_weights_that_are_damaged_are_refused(folder, content):
    replace_file(folder, "coarse.safetensors", ("passes", "coarse", "sha256"), content)
    with refused("coarse.safetensors", "damaged"):
        load_model(folder)


def test_cut_off_weights_are_refused(folder):
    content = (folder / "coarse.safetensors").read_bytes()[:-100]
    replace_file(folder, "coarse.safetensors", ("passes", "coarse", "sha256"), content)
    with refused("coarse.safetensors", "damaged"):
        load_model(folder)


def test_missing_and_additional_tensors_are_refused(folder):
    tensors = load_file(folder / "coarse.safetensors")
    path = folder.parent / "other.safetensors"
    for other in (
        {**tensors, "extra": torch.zeros(3)},
        {name: tensor for name, tensor in tensors.items() if name != "head.bias"},
        {**tensors, "head.bias": torch.zeros(11)},
    ):
        save_file(other, path)
        replace_file(
            folder, "coarse.safetensors", ("passes", "coarse", "sha256"), path.read_bytes()
        )
        with refused("coarse.safetensors", "expected weights of widths"):
            load_model(folder)


def test_a_library_of_another_skeleton_is_refused(cascade, folder):
    own = skeleton_from_plain({**plain_from_skeleton(cascade.skeleton), "name": "ours"})
    path = folder.parent / "ours.safetensors"
    save_library(PoseLibrary(own, cascade.library.positions_mm), path)
    replace_file(folder, "poses.safetensors", ("library_sha256",), path.read_bytes())
    with refused("poses.safetensors", "a pose library of fetus-16", "ours", error=BadInput):
        load_model(folder)


def test_weights_in_place_of_the_library_are_refused(folder):
    content = (folder / "coarse.safetensors").read_bytes()
    replace_file(folder, "poses.safetensors", ("library_sha256",), content)
    with refused("poses.safetensors", "no fetusmap-library in the metadata"):
        load_model(folder)


# A single pass


@pytest.fixture(scope="module")
def single(skeleton, library) -> SinglePass:
    """The paper's network with fresh weights, and statistics that half precision does not hold."""
    torch.manual_seed(1)
    network = build_land(LandWidths((8, 16), 16)).eval()
    rng = np.random.default_rng(0)
    for name, buffer in network.named_buffers():
        if name.endswith("num_batches_tracked"):
            buffer.fill_(2**24 + 1)  # nor would single precision
        else:
            shape = tuple(buffer.shape)
            drawn = rng.uniform(0.5, 2, shape) if name.endswith("var") else rng.normal(0, 1, shape)
            buffer.copy_(torch.from_numpy(drawn))
    statistics = network.encoder[0][1]
    statistics.running_var[:3] = torch.tensor([1e-9, 70_000.0, 1 + 2**-20])
    statistics.running_mean[:2] = torch.tensor([1e-9, -1e6])
    plain = Detector(network, WholeVolumeGrid(2.5), channel_per_landmark(skeleton))
    return SinglePass(skeleton, plain, library.select(np.arange(20)))


@pytest.fixture
def single_folder(single, tmp_path) -> Path:
    """Its model folder, which may be spoilt."""
    write(single, tmp_path / "single")
    return tmp_path / "single"


def test_a_single_pass_reads_back_with_half_its_weights_and_all_of_its_statistics(
    single, single_folder
):
    again, card = load_model(single_folder)
    assert isinstance(again, SinglePass)
    assert isinstance(again.plain.network, Land)
    assert again.plain.network.levels == (8, 16)
    assert again.plain.input_grid == WholeVolumeGrid(2.5)
    assert again.plain.channels == single.plain.channels
    assert again.skeleton == single.skeleton
    assert len(again.library) == 20
    assert not again.plain.network.training
    written, read = single.plain.network.state_dict(), again.plain.network.state_dict()
    assert list(read) == list(written)
    buffers = dict(single.plain.network.named_buffers())
    assert len(buffers) == 21
    for name, tensor in written.items():
        assert read[name].dtype == tensor.dtype
        kept = tensor if name in buffers else tensor.half().float()
        assert torch.equal(read[name], kept), name
    assert read["encoder.0.1.running_var"][0].item() == np.float32(1e-9)
    assert read["encoder.0.1.running_var"][1] == 70_000
    assert read["encoder.0.1.num_batches_tracked"] == 2**24 + 1
    assert card.passes["plain"].network == "land"


def test_a_single_pass_that_was_read_sees_what_the_written_one_saw(single, single_folder):
    """To the last bit, but for the rounding of its weights."""
    again, _ = load_model(single_folder)
    rounded = deepcopy(single.plain.network)
    for parameter in rounded.parameters():
        parameter.data = parameter.data.half().float()
    # One whose shape halves at no level.
    grid = Grid.from_spacing((21, 19, 23), 2.5)
    volume = Volume(np.random.default_rng(0).integers(0, 256, grid.shape, dtype=np.uint8), grid)
    before, expected, after = (
        detector.predict(volume, grid, half=False).array
        for detector in (single.plain, replace(single.plain, network=rounded), again.plain)
    )
    assert torch.equal(after, expected)
    assert after.max() > 0
    assert (after - before).abs().max() < 0.02 * before.abs().max()


def test_the_card_of_a_single_pass_says_what_is_in_the_folder(single_folder):
    plain = json.loads((single_folder / "card.json").read_text())
    path = single_folder / "plain.safetensors"
    assert plain["passes"] == {
        "plain": {
            "network": "land",
            "file": path.name,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "widths": [8, 16],
            "spacing_mm": 2.5,
            "sigma_voxels": 1.0,
            "own_statistics": False,
        }
    }
    files = {file.name for file in single_folder.iterdir()}
    assert files == {"card.json", "plain.safetensors", "poses.safetensors"}
    kinds = {}
    for name, tensor in load_file(path).items():
        kinds.setdefault(tensor.dtype, set()).add(name.rpartition(".")[2])
    assert kinds == {
        torch.float16: {"weight", "bias"},
        torch.float32: {"running_mean", "running_var"},
        torch.int64: {"num_batches_tracked"},
    }


def test_a_single_pass_is_written_again_as_it_was(single_folder, tmp_path):
    again, card = load_model(single_folder)
    facts = {"name": card.name, "made_by": card.made_by, "metrics": card.metrics}
    assert save_model(again, card.calibration, tmp_path / "again", **facts) == card
    for path in single_folder.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_a_single_pass_may_be_of_any_architecture(single, tmp_path):
    torch.manual_seed(2)
    network = build_unet(UNetWidths((8, 16), 16)).eval()
    write(replace(single, plain=replace(single.plain, network=network)), tmp_path)
    again, _ = load_model(tmp_path)
    assert isinstance(again.plain.network, UNet)
    assert torch.equal(again.plain.network.head.bias, network.head.bias.half().float())


def test_a_pass_of_a_cascade_may_be_of_any_architecture(cascade, single, tmp_path):
    """The paper's network wants no multiples, so any shape of its grid will do."""
    grid = BodyFrameGrid(0.07, (41, 33, 47), (0.01, 0.29, 0.43))
    network = replace(single.plain, input_grid=grid)
    write(replace(cascade, canonical=network), tmp_path)
    again, _ = load_model(tmp_path)
    assert isinstance(again, Cascade)
    assert isinstance(again.coarse.network, UNet)
    assert isinstance(again.canonical.network, Land)
    assert again.canonical.input_grid == grid


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda p: p["passes"]["plain"].pop("spacing_mm"), "spacing_mm"),
        (lambda p: p["passes"]["plain"].update(spacing_mm=0.05), "spacing_mm"),
        (lambda p: p["passes"]["plain"].update(widths=[8, 12]), "widths"),
        (
            lambda p: p["passes"]["plain"].update(
                spacing_mm=None, step=0.1, shape=[8, 8, 8], center=[0.0, 0.0, 0.0]
            ),
            "others take the whole volume",
        ),
        (lambda p: p.update(passes={"coarse": p["passes"]["plain"]}), "or plain"),
        (lambda p: p["passes"].update(coarse=p["passes"]["plain"]), "or plain"),
    ],
)
def test_a_card_of_a_single_pass_that_is_wrong_is_refused(single_folder, change, word):
    edit_card(single_folder, change)
    with refused("card.json", word, error=BadInput):
        load_model(single_folder)


@pytest.mark.parametrize(
    "change", [{"network": "unet"}, {"widths": [8, 8]}, {"widths": [8, 16, 16]}, {"widths": [8]}]
)
def test_weights_of_another_single_pass_are_refused(single_folder, change):
    edit_card(single_folder, lambda plain: plain["passes"]["plain"].update(change))
    with refused("plain.safetensors", "expected weights of widths", "for 16 channels"):
        load_model(single_folder)


def test_statistics_that_are_missing_are_refused(single_folder):
    path = single_folder / "plain.safetensors"
    tensors = load_file(path)
    del tensors["encoder.0.1.running_var"]
    save_file(tensors, path)
    replace_file(single_folder, path.name, ("passes", "plain", "sha256"), path.read_bytes())
    with refused("plain.safetensors", "expected weights of widths"):
        load_model(single_folder)


# Recurrent networks


@pytest.mark.parametrize(("own_statistics", "gated"), [(False, True), (True, False)])
def test_a_recurrent_network_is_read_back_with_its_turns(single, tmp_path, own_statistics, gated):
    torch.manual_seed(3)
    spec = RecurrentLandSpec(widths=(8, 16), own_statistics=own_statistics, turns=2, gated=gated)
    network = build_network(spec, 16).eval()
    for parameter in network.parameters():
        parameter.data = parameter.data.half().float()  # as they are stored
    recurrent = replace(single, plain=replace(single.plain, network=network))
    card = write(recurrent, tmp_path)
    entry = card.passes["plain"]
    assert (entry.network, entry.turns, entry.own_statistics) == (
        "recurrent-land",
        2,
        own_statistics,
    )
    again, _ = load_model(tmp_path)
    assert spec_of(again.plain.network) == spec
    grid = Grid.from_spacing((21, 19, 23), 2.5)
    volume = Volume(np.random.default_rng(0).integers(0, 256, grid.shape, dtype=np.uint8), grid)
    before, after = (
        one.plain.predict(volume, grid, half=False).array for one in (recurrent, again)
    )
    assert torch.equal(before, after)
    edit_card(tmp_path, lambda plain: plain["passes"]["plain"].update(turns=99))
    with refused("card.json", "turns", error=BadInput):
        load_model(tmp_path)


# What a model is called by


def test_the_hash_of_a_model_is_that_of_its_cards_own_bytes(folder):
    """Not of the card as it would be written today: a new field renames no model."""
    content = (folder / "card.json").read_bytes()
    assert model_sha256(folder) == hashlib.sha256(content).hexdigest()
    (folder / "card.json").write_bytes(content + b"\n")
    assert load_model(folder)[1].name == "tiny"
    assert model_sha256(folder) == hashlib.sha256(content + b"\n").hexdigest()
    (folder / "card.json").unlink()
    with refused("card.json", "expected a file"):
        model_sha256(folder)


def test_an_entry_of_an_earlier_card_means_the_same(folder):
    """Cards once gave every network own_statistics, and could leave its architecture out."""
    before = load_model(folder)[1]

    def change(plain):
        del plain["passes"]["coarse"]["network"]
        plain["passes"]["canonical"]["own_statistics"] = False

    edit_card(folder, change)
    assert load_model(folder)[1] == before
    edit_card(folder, lambda plain: plain["passes"]["canonical"].update(own_statistics=True))
    with refused("card.json", "own_statistics", error=BadInput):
        load_model(folder)


@pytest.mark.parametrize("name", ["default", "land"])
def test_the_models_that_ship_are_read(name):
    folder = DEFAULT_FOLDER.parent / name
    card = read_card(folder)
    plain = json.loads((folder / "card.json").read_text())
    for key, entry in card.passes.items():
        written = plain["passes"][key]
        assert entry.network == written["network"]
        assert list(entry.widths) == written["widths"]
        if entry.network == "land":
            assert entry.own_statistics == written["own_statistics"]


# Skeletons of any size


def many_pairs(count: int) -> Skeleton:
    """A trunk and free mirror pairs, which belong to no limb."""
    names = ["sacrum", "spine", "neck"]
    pairs = [[f"left_{n}", f"right_{n}"] for n in range(count)]
    landmarks = [*names, *(name for pair in pairs for name in pair)]
    return skeleton_from_plain(
        {
            "format": "fetusmap-skeleton",
            "version": 1,
            "name": f"pairs-{count}",
            "landmarks": [{"name": name} for name in landmarks],
            "mirror_pairs": pairs,
            "trunk": names,
            "lateral_pairs": pairs[:1],
        }
    )


def test_a_model_with_forty_free_pairs_is_loaded_and_predicts_within_bounds(tmp_path):
    """The sides of 40 pairs could be named in 2^40 ways."""
    skeleton = many_pairs(40)
    rng = np.random.default_rng(0)
    shape = rng.normal(0, 15, (len(skeleton), 3))
    shape[:3] = [[0, 0, 0], [0, 1, 14], [0, 0, 28]]
    poses = shape + rng.normal(0, 1, (30, *shape.shape))
    torch.manual_seed(0)
    channels = (channel_per_pair(skeleton), channel_per_landmark(skeleton))
    coarse, canonical = (
        build_network(UNetSpec(widths=(8, 8)), len(one)).eval() for one in channels
    )
    pipeline = Cascade(
        skeleton,
        Detector(coarse, WholeVolumeGrid(3.0), channels[0]),
        Detector(canonical, BodyFrameGrid(0.1, (24, 20, 32)), channels[1]),
        PoseLibrary(skeleton, poses),
    )
    write(pipeline, tmp_path)
    grid = Grid.from_spacing((40, 40, 40), 1.5)
    volume = Volume(rng.integers(0, 256, grid.shape, dtype=np.uint8), grid)
    start = time.monotonic()
    again, _ = load_model(tmp_path)
    assert again.skeleton == skeleton
    for found in again.detect(volume):
        assert found.positions_mm.shape == (83, 3)
    assert time.monotonic() - start < 30.0  # a second on a quiet core
