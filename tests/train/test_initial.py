"""Starting weights: fitting tensors are taken over, and weights that do not fit are refused."""

import pytest
import torch
from safetensors.torch import save_file

from fetusmap.errors import BadInput
from fetusmap.model import DEFAULT_FOLDER
from fetusmap.network import LandSpec, RecurrentLandSpec, UNetSpec, build_network
from fetusmap.train import RunFolder, train
from fetusmap.train.initial import load_initial_weights


def unet(widths=(8, 16), outputs=5, seed=0):
    torch.manual_seed(seed)
    return build_network(UNetSpec(widths=widths), outputs)


def saved(network, path):
    save_file({n: t.contiguous().half() for n, t in network.state_dict().items()}, path)
    return str(path)


def test_weights_of_the_same_network_are_all_taken_over(tmp_path):
    given, network = unet(), unet(seed=1)
    metrics = load_initial_weights(network, saved(given, tmp_path / "a.safetensors"), "coarse")
    assert metrics["init_tensors"] == metrics["init_tensors_of"] == len(given.state_dict())
    for name, tensor in network.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, given.state_dict()[name].half().float())


def test_a_head_for_other_landmarks_starts_fresh(tmp_path):
    given, network = unet(outputs=5), unet(outputs=7, seed=1)
    fresh = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    metrics = load_initial_weights(network, saved(given, tmp_path / "a.safetensors"), "coarse")
    assert metrics["init_tensors"] == metrics["init_tensors_of"] - 2  # weight and bias of the head
    for name, tensor in network.state_dict().items():
        is_head = name.startswith("head.")
        expected = fresh[name] if is_head else given.state_dict()[name].half().float()
        assert torch.equal(tensor, expected), name


def test_a_recurrent_network_starts_from_the_plain_one(tmp_path):
    torch.manual_seed(0)
    given = build_network(LandSpec(widths=(8, 16), own_statistics=True), 5)
    network = build_network(RecurrentLandSpec(widths=(8, 16), own_statistics=True), 5)
    metrics = load_initial_weights(network, saved(given, tmp_path / "a.safetensors"), "rnn")
    assert metrics["init_tensors"] == len(given.state_dict())
    assert metrics["init_tensors_of"] == len(given.state_dict()) + 4


def test_a_model_folder_gives_its_pass_of_the_same_kind():
    network = unet((32, 64, 128, 160), 22)
    metrics = load_initial_weights(network, str(DEFAULT_FOLDER), "canonical")
    assert metrics["init_tensors"] == metrics["init_tensors_of"]
    metrics = load_initial_weights(network, str(DEFAULT_FOLDER), "coarse")
    assert metrics["init_tensors"] == metrics["init_tensors_of"] - 2  # fewer channels


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: str(folder / "nowhere"), "expected a file"),
        (lambda _: str(DEFAULT_FOLDER), "found one with coarse and canonical"),
        (lambda folder: saved(unet(), folder / "a.safetensors"), "none of them with a fitting"),
        (lambda folder: text(folder / "a.txt"), "found another file"),
    ],
)
def test_weights_that_do_not_fit_are_refused_in_one_line(tmp_path, make, words):
    network = build_network(LandSpec(widths=(24, 40)), 6)
    with pytest.raises(BadInput, match=words) as caught:
        load_initial_weights(network, make(tmp_path), "land")
    assert "\n" not in str(caught.value)


def text(path):
    path.write_text("no weights")
    return str(path)


@pytest.mark.usefixtures("small_grids")
def test_a_run_says_how_many_tensors_it_started_from(cache, make_config, skeleton, tmp_path):
    """Its first step then has the loss of the given network, not that of fresh weights."""
    first = make_config(steps=2, average=0.0, validation_cases=0)
    network = train(first, RunFolder(tmp_path / "first", first), cache, workers=0)
    path = tmp_path / "weights.safetensors"
    save_file({n: t.contiguous() for n, t in network.state_dict().items()}, path)
    lines = []
    config = make_config(steps=1, init=str(path), validation_cases=0, learning_rate=1e-9)
    config = config.model_copy(update={"warmup": 10**9})
    again = train(
        config, RunFolder(tmp_path / "run", config), cache, workers=0, report=lines.append
    )
    count = len(network.state_dict())
    assert (lines[0]["init_tensors"], lines[0]["init_tensors_of"]) == (count, count)
    for name, tensor in again.state_dict().items():
        assert torch.allclose(tensor, network.state_dict()[name], atol=1e-6), name
