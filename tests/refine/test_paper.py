"""The paper's refinement: what it leaves as it was, and its parts by a second path."""

import inspect

import numpy as np
import pytest
import torch

from fetusmap.detect import Detector, SinglePass, WholeGrid, at_rest, channel_per_landmark
from fetusmap.errors import BadInput
from fetusmap.geometry import Grid
from fetusmap.network import LandWidths, build_land
from fetusmap.refine import PaperRefinement, SupportSet, find_support, refine_paper
from fetusmap.refine.paper import label_proxy, proxy_loss, registration_weights
from fetusmap.volume import Volume

FAST = PaperRefinement(learning_rate=0.003)


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
    plain = Detector(network, WholeGrid(4.0), channel_per_landmark(skeleton), sigma_voxels=1.5)
    return SinglePass(skeleton, plain, library)


@pytest.fixture(scope="module")
def volumes():
    rng = np.random.default_rng(0)
    grid = Grid.from_spacing((20, 24, 22), 3.5, (10, 20, 30))
    arrays = rng.integers(0, 256, (2, *grid.shape), np.uint8)
    return [at_rest(Volume(array, grid))[0] for array in arrays]


def refined(pipeline, volume, library, settings=FAST):
    (detection,) = pipeline.detect(volume, half=False)
    return refine_paper(pipeline, detection, library, volume, settings, half=False)


def content(network):
    return {name: value.numpy().tobytes() for name, value in network.state_dict().items()}


def test_the_numbers_are_the_papers(skeleton):
    plain = PaperRefinement()
    assert (plain.iterations, plain.learning_rate, plain.support) == (6, 5e-4, 10)
    assert inspect.signature(refine_paper).parameters["settings"].default == plain
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

    monkeypatch.setattr("fetusmap.refine.paper.find_support", give_up)
    before = content(pipeline.plain.network)
    (plain,) = pipeline.detect(volumes[0], half=False)
    with pytest.raises(RuntimeError, match="broken off"):
        refine_paper(pipeline, plain, library, volumes[0], FAST, half=False)
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
    assert found.kept == ""


def test_each_step_looks_for_atlases_by_what_was_found(pipeline, volumes, library, skeleton):
    """Recomputed here from the pose, and the loss from the maps of the first step."""
    found = refined(pipeline, volumes[0], library)
    weights = registration_weights(skeleton, skeleton.registration_subset)
    for turn in found.iterations:
        again = find_support(library, turn.positions_mm, 10, weights)
        assert again.atlases.tolist() == turn.support.atlases.tolist()
    first = found.iterations[0]
    grid = pipeline.last_grid(volumes[0], found.before)
    assert first.heatmaps.grid == grid
    with torch.no_grad():
        maps = pipeline.plain.network(pipeline.plain.input_of(volumes[0], grid))[0] / 20
    proxy = label_proxy(first.support, grid, 1.5)
    expected = np.square(maps.numpy() - proxy).sum(axis=(1, 2, 3)).mean()
    assert first.loss == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("count", [1, 3])
def test_there_are_as_many_steps_as_asked_for(pipeline, volumes, library, count):
    found = refined(pipeline, volumes[0], library, PaperRefinement(iterations=count, support=4))
    assert len(found.iterations) == count
    assert all(len(turn.support.atlases) == 4 for turn in found.iterations)


def test_steps_of_next_to_no_length_change_next_to_nothing(pipeline, volumes, library):
    found = refined(pipeline, volumes[0], library, PaperRefinement(learning_rate=1e-12))
    np.testing.assert_allclose(found.detection.positions_mm, found.before.positions_mm, atol=1e-3)
    assert found.changes == ()
    assert len({turn.support.atlases.tobytes() for turn in found.iterations}) == 1


def test_a_network_that_sees_nothing_is_kept(pipeline, volumes, library):
    (detection,) = pipeline.detect(volumes[0], half=False)
    pipeline.plain.network.head.weight.data.zero_()
    pipeline.plain.network.head.bias.data.fill_(-1)
    found = refine_paper(pipeline, detection, library, volumes[0], FAST, half=False)
    assert found.detection is detection
    assert found.kept == "too few landmarks to align an atlas with"
    assert found.changes == ()


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
