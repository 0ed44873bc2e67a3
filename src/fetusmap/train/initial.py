"""Load starting weights: copy the tensors of an earlier network that fit into a new one."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as tensors_from_bytes

from fetusmap.errors import BadInput
from fetusmap.files import check_regular_file, sha256_of
from fetusmap.model import pass_file, read_card
from fetusmap.network import HeatmapNetwork
from fetusmap.train.config import StageName

PASS_OF_STAGE: dict[StageName, str] = {
    "coarse": "coarse",
    "canonical": "canonical",
    "land": "plain",
    "gan": "plain",
    "rnn": "plain",
}


def load_initial_weights(network: HeatmapNetwork, init: str, stage: StageName) -> dict[str, float]:
    """Copy the tensors of a file whose names and shapes fit into a network.

    The other tensors of the network keep their fresh values.

    Args:
        network: the network; it is changed.
        init: a safetensors file, or a model folder, whose pass of the same kind is taken.
        stage: what the network is trained for.

    Returns:
        Metrics: how many tensors fitted, of how many.

    Raises:
        UnreadableFile: there is no such file or model.
        BadInput: the model has no such pass, the file holds no weights, or none of them fits.
    """
    path = _weights_file(Path(init), stage)
    check_regular_file(path, follow_links=True)
    try:
        given = tensors_from_bytes(path.read_bytes())
    except SafetensorError as error:
        raise BadInput(
            path,
            expected="weights in a safetensors file, or a model folder",
            found="another file",
            remedy="give a model folder or one of its .safetensors files",
        ) from error
    own = network.state_dict()
    fitting = {
        name: tensor
        for name, tensor in given.items()
        if name in own and own[name].shape == tensor.shape
    }
    if not fitting:
        raise BadInput(
            path,
            expected=f"weights that fit the network of the stage {stage}",
            found=f"{len(given)} tensors, none of them with a fitting name and shape",
            remedy="give weights of the same architecture, or set the same widths",
        )
    with torch.no_grad():
        network.load_state_dict({**own, **fitting})
    return {"init_tensors": float(len(fitting)), "init_tensors_of": float(len(own))}


def origin_of_weights(init: str, stage: StageName) -> dict[str, str]:
    """Return name and hash of the file of starting weights, for a model card.

    Raises:
        UnreadableFile: there is no such file or model.
    """
    path = _weights_file(Path(init), stage)
    return {"init": path.name, "init_sha256": sha256_of(path)}


def _weights_file(path: Path, stage: StageName) -> Path:
    if not path.is_dir():
        return path
    passes = read_card(path).passes
    name = PASS_OF_STAGE[stage]
    if name not in passes:
        raise BadInput(
            path,
            expected=f"a model with a pass {name}, to start the stage {stage} from",
            found=f"one with {' and '.join(passes)}",
            remedy="give another model, or the file of one of its passes",
        )
    return pass_file(path, passes[name])
