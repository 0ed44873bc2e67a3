"""The paper's refinement: what it leaves as it was, and its parts by a second path."""

import copy
import inspect
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import nn

from fetusmap.anatomy import channel_per_landmark
from fetusmap.atlas import PoseLibrary, SupportSet, find_support
from fetusmap.detect import Detector, SinglePass, WholeVolumeGrid
from fetusmap.errors import BadInput
from fetusmap.geometry import Grid, affine_from
from fetusmap.network import HeatmapNetwork, LandWidths, UNet, build_land
from fetusmap.preprocess import prepare
from fetusmap.refine import TrainingRefinement, refine_by_training
from fetusmap.refine.self_supervised import label_proxy, proxy_loss, registration_weights, tune
from fetusmap.volume import Volume

FAST = TrainingRefinement(learning_rate=0.003)


@pytest.fixture(params=[True, False], ids=["own statistics", "running statistics"])
def pipeline(request, skeleton, library):
    """Tiny, with fresh weights, and a head that says more than next to nothing."""
    torch.manual_seed(0)
    network = build_land(LandWidths((8, 8), 16), own_statistics=request.param).eval()
    network.head.weight.data.normal_(0, 1)
    network.head.bias.data.fill_(2)
    for name, buffer in network.named_buffers():
        if name.endswith("mean"):
            buffer.uniform_(-0.1, 0.1)
        if name.endswith("var"):
            buffer.uniform_(0.05, 0.1)
    plain = Detector(
        network, WholeVolumeGrid(4.0), channel_per_landmark(skeleton), sigma_voxels=1.5
    )
    return SinglePass(skeleton, plain, library)


@pytest.fixture(scope="module")
def volumes():
    rng = np.random.default_rng(0)
    grid = Grid.centered((20, 24, 22), 3.5, (10, 20, 30))
    arrays = rng.integers(0, 256, (2, *grid.shape), np.uint8)
    return [prepare(Volume(array, grid), 3.5).volume for array in arrays]


def refined(pipeline, volume, library, settings=FAST):
    (detection,) = pipeline.detect(volume, half=False)
    return refine_by_training(
        pipeline.plain, detection, library, pipeline.library, volume, settings, half=False
    )


def content(network):
    return {name: value.numpy().tobytes() for name, value in network.state_dict().items()}


def test_the_numbers_are_the_papers(skeleton):
    plain = TrainingRefinement()
    assert (plain.iterations, plain.learning_rate, plain.support) == (6, 5e-4, 10)
    assert inspect.signature(refine_by_training).parameters["settings"].default == plain
    weights = registration_weights(skeleton, plain.registration or skeleton.registration_subset)
    numbers = [skeleton.paper_index[skeleton.landmarks[row]] for row in np.flatnonzero(weights)]
    assert sorted(numbers) == [1, 2, 3, 4, 5, 7, 8, 9, 11, 14]
    assert set(weights) == {0, 1}


def test_without_names_every_landmark_counts(skeleton):
    assert registration_weights(skeleton, ()).tolist() == [1] * 16
    one = registration_weights(skeleton, ("neck",))
    assert np.flatnonzero(one).tolist() == [skeleton.index("neck")]


def test_the_network_is_afterwards_what_it_was(pipeline, volumes, library):
    """Weights and buffers, to the last bit; and the copy was tuned."""
    before = content(pipeline.plain.network)
    found = refined(pipeline, volumes[0], library)
    assert content(pipeline.plain.network) == before
    assert not pipeline.plain.network.training
    assert all(parameter.grad is None for parameter in pipeline.plain.network.parameters())
    assert not np.array_equal(
        found.detection.heatmaps.array.numpy(), found.before.heatmaps.array.numpy()
    )


def test_the_network_is_what_it_was_when_the_refinement_breaks_off(
    pipeline, volumes, library, monkeypatch
):
    calls = []

    def give_up(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise RuntimeError("broken off")
        return find_support(*arguments)

    monkeypatch.setattr("fetusmap.refine.self_supervised.find_support", give_up)
    before = content(pipeline.plain.network)
    (plain,) = pipeline.detect(volumes[0], half=False)
    with pytest.raises(RuntimeError, match="broken off"):
        refine_by_training(
            pipeline.plain, plain, library, pipeline.library, volumes[0], FAST, half=False
        )
    assert len(calls) == 3
    assert content(pipeline.plain.network) == before
    (again,) = pipeline.detect(volumes[0], half=False)
    assert again.positions_mm.tobytes() == plain.positions_mm.tobytes()


def test_a_volumes_result_does_not_depend_on_those_before_it(pipeline, volumes, library):
    forth = [refined(pipeline, volume, library) for volume in volumes]
    back = [refined(pipeline, volume, library) for volume in volumes[::-1]][::-1]
    for one, other in zip(forth, back, strict=True):
        assert one.detection.positions_mm.tobytes() == other.detection.positions_mm.tobytes()
        assert [i.loss for i in one.iterations] == [i.loss for i in other.iterations]


def test_the_loss_falls(pipeline, volumes, library):
    found = refined(pipeline, volumes[0], library)
    losses = [turn.loss for turn in found.iterations]
    assert len(losses) == 6
    assert losses[-1] < 0.9 * losses[0]
    assert found.rejected_because == ""


def test_each_step_looks_for_atlases_by_what_was_found(pipeline, volumes, library, skeleton):
    """Recomputed here from the pose, and the loss from the maps of the first step."""
    found = refined(pipeline, volumes[0], library)
    weights = registration_weights(skeleton, skeleton.registration_subset)
    for turn in found.iterations:
        again = find_support(library, turn.positions_mm, 10, weights)
        assert again.atlases.tolist() == turn.support.atlases.tolist()
    first = found.iterations[0]
    grid = found.before.input_grid
    assert first.heatmaps.grid == grid
    with torch.no_grad():
        maps = pipeline.plain.network(pipeline.plain.input_tensor(volumes[0], grid))[0] / 20
    proxy = label_proxy(first.support, grid, 1.5)
    expected = np.square(maps.numpy() - proxy).sum(axis=(1, 2, 3)).mean()
    assert first.loss == pytest.approx(expected, rel=1e-4)


class Lines(HeatmapNetwork):
    """Each map a line in the grey levels: its gradients are no matter of rounding."""

    levels = (1,)
    stride = 1
    multiple = 1

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Conv3d(1, 16, 1)

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        return self.line(volume)

    def maps(self, output: torch.Tensor) -> torch.Tensor:
        return output

    height = UNet.height


def test_each_step_is_one_of_adam(volumes, library, skeleton):
    """Kingma and Ba (2015), algorithm 1, written out, with the gradients of the same losses."""
    torch.manual_seed(0)
    tuned = Detector(Lines().eval(), WholeVolumeGrid(4.0), channel_per_landmark(skeleton))
    network = copy.deepcopy(tuned.network)
    settings = TrainingRefinement(iterations=4, learning_rate=0.1)
    grid = tuned.input_grid.around(volumes[0].grid, tuned.multiple)
    turns = tune(tuned, library, volumes[0], grid, settings, half=False)
    volume = tuned.input_tensor(volumes[0], grid)
    first, second = ([torch.zeros_like(value) for value in network.parameters()] for _ in range(2))
    for step, turn in enumerate(turns, start=1):
        loss = proxy_loss(network(volume)[0] / tuned.peak_height, turn.proxy.array)
        assert turn.loss == pytest.approx(loss.item(), rel=1e-5)
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        with torch.no_grad():
            for value, gradient, m, v in zip(
                network.parameters(), gradients, first, second, strict=True
            ):
                m += (1 - 0.9) * (gradient - m)
                v += (1 - 0.999) * (gradient**2 - v)
                unbiased = m / (1 - 0.9**step), v / (1 - 0.999**step)
                value -= 0.1 * unbiased[0] / (unbiased[1].sqrt() + 1e-8)
    for value, expected in zip(tuned.network.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(value.detach(), expected.detach(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("count", [1, 3])
def test_there_are_as_many_steps_as_asked_for(pipeline, volumes, library, count):
    found = refined(pipeline, volumes[0], library, TrainingRefinement(iterations=count, support=4))
    assert len(found.iterations) == count
    assert all(len(turn.support.atlases) == 4 for turn in found.iterations)


def test_steps_of_next_to_no_length_change_next_to_nothing(pipeline, volumes, library):
    found = refined(pipeline, volumes[0], library, TrainingRefinement(learning_rate=1e-12))
    np.testing.assert_allclose(found.detection.positions_mm, found.before.positions_mm, atol=1e-3)
    assert found.changes == ()
    assert len({turn.support.atlases.tobytes() for turn in found.iterations}) == 1


def test_a_network_that_sees_nothing_is_kept(pipeline, volumes, library):
    (detection,) = pipeline.detect(volumes[0], half=False)
    pipeline.plain.network.head.weight.data.zero_()
    pipeline.plain.network.head.bias.data.fill_(-1)
    found = refine_by_training(
        pipeline.plain, detection, library, library, volumes[0], FAST, half=False
    )
    assert found.detection is detection
    assert found.rejected_because == "too few landmarks to align an atlas with"
    assert found.changes == ()


@pytest.mark.parametrize("guarded", [False, True])
def test_a_guard_keeps_what_would_fit_the_library_worse(
    pipeline, volumes, library, skeleton, guarded
):
    """A pipeline's library of nothing but the detection itself knows no likelier pose."""
    (before,) = pipeline.detect(volumes[0], half=False)
    own = PoseLibrary(skeleton, np.repeat(before.positions_mm[None], 12, axis=0))
    settings = replace(FAST, guarded=guarded)
    found = refine_by_training(
        pipeline.plain, before, library, own, volumes[0], settings, half=False
    )
    assert len(found.iterations) == 6
    assert found.before is before
    if guarded:
        assert found.detection is before
        assert found.rejected_because == "the refined pose would fit the pose library worse"
        assert found.changes == ()
    else:
        assert not np.array_equal(found.detection.positions_mm, before.positions_mm)
        assert found.rejected_because == ""
        assert found.changes != ()


def test_atlases_are_registered_by_the_landmarks_that_are_named(
    pipeline, volumes, library, skeleton
):
    """By all of them where none is named."""
    one = TrainingRefinement(iterations=1)
    found = {
        names: refined(pipeline, volumes[0], library, replace(one, registration=names)).iterations
        for names in (None, (), ("head", "left_hip", "right_ankle", "neck"))
    }
    weights = {
        None: registration_weights(skeleton, skeleton.registration_subset),
        (): None,
        ("head", "left_hip", "right_ankle", "neck"): np.isin(
            skeleton.landmarks, ("head", "left_hip", "right_ankle", "neck")
        ),
    }
    for names, (turn,) in found.items():
        again = find_support(library, turn.positions_mm, 10, weights[names])
        assert again.atlases.tolist() == turn.support.atlases.tolist()
        np.testing.assert_allclose(again.positions_mm, turn.support.positions_mm, atol=1e-6)
    assert len({turn.support.scores.tobytes() for (turn,) in found.values()}) == 3


def test_each_step_tells_its_label_proxy_and_its_distances(pipeline, volumes, library):
    """Where the maps are nowhere negative, the loss is that of the maps that it tells."""
    pipeline.plain.network.head.weight.data *= 0.1
    pipeline.plain.network.head.bias.data.fill_(100)
    found = refined(pipeline, volumes[0], library, TrainingRefinement(iterations=3))
    for turn in found.iterations:
        assert turn.proxy.grid == turn.heatmaps.grid
        expected = label_proxy(turn.support, turn.heatmaps.grid, 1.5)
        np.testing.assert_array_equal(turn.proxy.array.numpy(), expected)
        assert turn.heatmaps.array.min() > 0
        square = np.square(turn.heatmaps.array.numpy().astype(float) - expected)
        assert turn.loss == pytest.approx(square.sum() / 16, rel=1e-5)
        assert turn.residuals_mm.shape == (10, 16)
        for atlas, distances in zip(turn.support.positions_mm, turn.residuals_mm, strict=True):
            square = np.square(atlas - turn.positions_mm).sum(axis=1)
            np.testing.assert_allclose(distances, np.sqrt(square))
        np.testing.assert_allclose(turn.residuals_mm.mean(axis=1), -turn.support.scores)


def test_the_label_proxy_moves_along(pipeline, volumes, library):
    """Made anew from the atlases where they were moved to it is the same."""
    found = refined(pipeline, volumes[0], library, TrainingRefinement(iterations=2))
    there_from_here = affine_from(Rotation.from_rotvec([0.4, -1.1, 2.0]).as_matrix(), [30, -70, 9])
    for turn, moved in zip(
        found.iterations, found.transformed(there_from_here).iterations, strict=True
    ):
        np.testing.assert_allclose(
            moved.proxy.grid.affine, there_from_here @ turn.proxy.grid.affine, atol=1e-9
        )
        assert moved.proxy.grid == moved.heatmaps.grid
        np.testing.assert_array_equal(moved.proxy.array, turn.proxy.array)
        again = label_proxy(moved.support, moved.proxy.grid, 1.5)
        np.testing.assert_allclose(moved.proxy.array, again, atol=1e-5)
        np.testing.assert_allclose(moved.residuals_mm, turn.residuals_mm, atol=1e-9)


def test_atlases_that_lack_landmarks_have_no_say(pipeline, volumes, library, with_useless):
    plain = refined(pipeline, volumes[0], library)
    found = refined(pipeline, volumes[0], with_useless(library))
    assert found.detection.positions_mm.tobytes() == plain.detection.positions_mm.tobytes()
    assert found.changes == plain.changes
    for one, other in zip(plain.iterations, found.iterations, strict=True):
        assert one.loss == other.loss
        assert one.support.positions_mm.tobytes() == other.support.positions_mm.tobytes()


def test_a_small_library_is_refused(pipeline, volumes, library):
    with pytest.raises(BadInput, match="expected at least 10 atlases"):
        refined(pipeline, volumes[0], library.select(np.arange(9)))


# Parts


def test_the_label_proxy_is_the_mean_of_the_atlases_gaussians():
    """By the formula, voxel by voxel; what an atlas lacks or has outside counts as nothing."""
    grid = Grid.from_spacing((9, 10, 11), 2.0, (5, 6, 7))
    rng = np.random.default_rng(1)
    low, high = grid.to_world([0, 0, 0]), grid.to_world([8, 9, 10])
    positions = rng.uniform(low, high, (4, 3, 3))
    positions[1, 0] = np.nan
    positions[2, 1] = high + 50
    found = label_proxy(SupportSet(np.arange(4), positions, np.zeros(4)), grid, 1.5)
    assert found.shape == (3, 9, 10, 11)
    assert found.dtype == np.float32
    centers = grid.centers_mm()
    for row in range(3):
        expected = np.zeros(grid.shape)
        for atlas in range(4):
            if (atlas, row) not in ((1, 0), (2, 1)):
                square = np.square(centers - positions[atlas, row]).sum(axis=-1)
                expected += np.exp(-0.5 * square / 3.0**2) / 4
        np.testing.assert_allclose(found[row], expected, atol=1e-6)


def test_the_loss_by_hand():
    maps = torch.tensor([[1.0, -2.0], [0.0, 3.0]]).reshape(2, 1, 1, 2)
    proxy = torch.tensor([[0.0, 0.0], [0.5, 1.0]]).reshape(2, 1, 1, 2)
    assert float(proxy_loss(maps, proxy)) == pytest.approx((5 + 4.25) / 2)
