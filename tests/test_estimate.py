"""The whole program on volumes into which the answer is painted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.spatial.transform import Rotation
from torch import nn

from fetusmap.anatomy import (
    Provenance,
    Skeleton,
    channel_per_landmark,
    channel_per_pair,
    load_skeleton,
    reference_pose,
)
from fetusmap.atlas import PoseLibrary
from fetusmap.detect import BodyFrameGrid, Cascade, Detector, SinglePass, WholeVolumeGrid
from fetusmap.errors import BadInput, ResourceError
from fetusmap.estimate import PoseEstimator, Prediction, input_sha256
from fetusmap.geometry import Grid
from fetusmap.heatmap import find_peaks
from fetusmap.model import ModelCard, load_model, save_model
from fetusmap.network import (
    HeatmapNetwork,
    LandWidths,
    UNet,
    UNetWidths,
    build_land,
    build_unet,
)
from fetusmap.preprocess import prepare
from fetusmap.quality import Calibration, Logistic
from fetusmap.simulate import draw_poses
from fetusmap.volume import Volume

SKELETON = load_skeleton()
COARSE, CANONICAL = channel_per_pair(SKELETON), channel_per_landmark(SKELETON)
BODY = reference_pose(110.0).positions_mm.copy()
TURN = Rotation.from_rotvec([0.9, -1.4, 0.6])
PLACE = np.array([40.0, -120.0, 300.0])
RADIUS_MM = 3.0
CANONICAL_LOOK = BodyFrameGrid(0.036, (80, 64, 96))
SMALL_LOOK = BodyFrameGrid(0.072, (48, 32, 48))
SURE = Calibration(
    landmark=Logistic(intercept=0.0, weights=(1.0, 0.0, 0.0, 0.0)),
    case=Logistic(intercept=2.0, weights=(0.0, 0.0, 0.0, 0.0)),
    fetus=Logistic(intercept=4.0, weights=(0.0, 0.0, 0.0, 0.0)),
    sides=Logistic(intercept=0.0, weights=(0.0, 0.0, 50.0, 0.0)),
    cases=1,
    empty_cases=1,
)


def paint(grid: Grid, body_mm: np.ndarray, kind: type = np.uint8) -> Volume:
    """A ball for each landmark: 4 greys for the midline, 6 for the pairs, none for a side."""
    centers = grid.centers_mm()
    array = np.zeros(grid.shape)
    for channel, rows in enumerate(COARSE.rows):
        for row in rows:
            apart = np.linalg.norm(centers - body_mm[row], axis=-1)
            ball = np.clip(RADIUS_MM + 0.5 - apart, 0, 1)
            array = np.maximum(array, (30 + 25 * channel) * ball)
    return Volume(np.rint(array).astype(kind), grid, "painted")


class BallReader(HeatmapNetwork):
    """Finds the balls in what it is shown, and writes a Gaussian for each where it sees it.

    It knows the landmark by the grey and tells sides as a network in the body's frame does: of two
    knees, the one at the greater index along the first axis is the right one.
    """

    levels = (8, 8, 8, 8)
    stride = 2
    multiple = 16
    maps = UNet.maps
    height = UNet.height

    def __init__(
        self,
        outputs: int,
        before: Callable[[torch.Tensor], None] | None = None,
        drift: tuple[int, float] = (0, 0.0),
    ) -> None:
        super().__init__()
        self.outputs = outputs
        self.anchor = nn.Parameter(torch.zeros(1))
        self.before = before
        self.drift = drift

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        if self.before is not None:
            self.before(volume)
        seen = volume[0, 0].numpy()
        shape = [n // 2 for n in seen.shape]
        logits = torch.zeros(self.outputs, *shape)
        blobs, count = ndimage.label(seen > seen.min() + 1e-3)
        if count > 16:  # what is far larger than the others is no ball
            sizes = np.bincount(blobs.ravel())
            sizes[0] = 0
            blobs, count = ndimage.label((blobs > 0) & (sizes < 5 * np.median(sizes[1:]))[blobs])
        if count not in (0, 16):  # the body lies partly outside: peaks anywhere
            logits = torch.rand(logits.shape, generator=torch.Generator().manual_seed(count))
        if count == 16:
            numbers = np.arange(1, 17)
            greys = ndimage.maximum(seen, blobs, numbers)
            places = np.array(ndimage.center_of_mass(blobs > 0, blobs, numbers))[np.argsort(greys)]
            rows = [0, 1, 2, 3, *(4 + n // 2 for n in range(12))]
            if self.outputs == 16:
                sides = places[4:].reshape(6, 2, 3)
                turned = sides[:, 0, 0] > sides[:, 1, 0]
                sides[turned] = sides[turned, ::-1]
                rows = [row for channel in COARSE.rows for row in channel]
            # One channel may see its landmark further along the last axis than it is.
            places[[row == self.drift[0] for row in rows], 2] += self.drift[1]
            for row, place in zip(rows, places, strict=True):
                axes = [np.arange(n) - (p - 0.5) / 2 for n, p in zip(shape, place, strict=True)]
                square = sum(a**2 for a in np.meshgrid(*axes, indexing="ij"))
                # Two of a pair share a channel: the logarithm of the sum of both.
                logits[row] += torch.from_numpy(np.exp(-0.5 * square / 1.2**2).astype(np.float32))
            logits = torch.log(logits + 1e-7)
        return logits[None] + self.anchor


def estimator(
    coarse: nn.Module | None = None,
    canonical: nn.Module | None = None,
    calibration: Calibration = SURE,
    look: BodyFrameGrid = CANONICAL_LOOK,
) -> PoseEstimator:
    """With a small library of fetuses like the painted one."""
    coarse, canonical = coarse or BallReader(10), canonical or BallReader(16)
    library = PoseLibrary(SKELETON, BODY + np.random.default_rng(0).normal(0, 1.5, (30, 16, 3)))
    cascade = Cascade(
        SKELETON,
        Detector(coarse.eval(), WholeVolumeGrid(1.5), COARSE),
        Detector(canonical.eval(), look, CANONICAL),
        library,
    )
    card = ModelCard(
        format="fetusmap-model",
        version=1,
        name="painted",
        skeleton="fetus-16",
        working_spacing_mm=1.0,
        passes={
            "coarse": {"file": "a", "sha256": "b", "widths": (8, 8, 8, 8), "spacing_mm": 1.5},
            "canonical": {
                "file": "c",
                "sha256": "d",
                "widths": (8, 8, 8, 8),
                "step": look.step,
                "shape": look.shape,
                "center": look.center,
            },
        },
        library="e",
        library_sha256="f",
        calibration=calibration,
    )
    return PoseEstimator(cascade, card, "0123")


def plain_estimator(network: nn.Module, spacing_mm: float = 1.5) -> PoseEstimator:
    """With a single pass over the whole volume and the same library."""
    plain = Detector(network.eval(), WholeVolumeGrid(spacing_mm), CANONICAL)
    library = estimator().pipeline.library
    card = ModelCard(
        format="fetusmap-model",
        version=1,
        name="plainly painted",
        skeleton="fetus-16",
        working_spacing_mm=1.0,
        passes={"plain": {"file": "a", "sha256": "b", "widths": (8,), "spacing_mm": spacing_mm}},
        library="e",
        library_sha256="f",
        calibration=SURE,
    )
    return PoseEstimator(SinglePass(SKELETON, plain, library), card, "4567")


def room(spacing=(1.0, 1.0, 1.0), turn: Rotation | None = None) -> Grid:
    """The smallest box around the painted body and 9 mm more."""
    direction = (turn or Rotation.identity()).as_matrix()
    index = WHERE @ direction
    low, high = index.min(axis=0) - 9, index.max(axis=0) + 9
    shape = np.ceil((high - low) / spacing).astype(int)
    return Grid.centered(shape, spacing, direction @ ((low + high) / 2), direction)


WHERE = TURN.apply(BODY) + PLACE
OBLIQUE = room((1.5, 1.2, 1.0), Rotation.from_rotvec([0.3, 0.5, -0.2]))
ROOMS = {
    "upright": room(),
    "oblique and anisotropic": OBLIQUE,
    "left-handed": OBLIQUE.flip(1),
    "axes in another order": OBLIQUE.permute((2, 0, 1)),
    "two axes exchanged": OBLIQUE.permute((1, 0, 2)),
    "turned": room((1.2, 1.2, 1.2), Rotation.from_rotvec([-0.4, 2.1, 0.9])),
}


@pytest.fixture(scope="module")
def painted() -> Volume:
    """Where nothing but the pose matters."""
    return paint(OBLIQUE, WHERE)


@pytest.fixture(scope="module")
def prediction(painted) -> Prediction:
    """What comes out of it."""
    return estimator()(painted)


def off_mm(positions: np.ndarray) -> np.ndarray:
    return np.linalg.norm(positions - WHERE, axis=1)


def assert_found(positions: np.ndarray) -> None:
    """Half a voxel of the second pass would be 0.9 mm along each axis."""
    assert off_mm(positions).max() < 0.7
    assert off_mm(positions).mean() < 0.4


@pytest.mark.parametrize("name", ROOMS)
def test_the_pose_comes_out_where_it_was_painted(name):
    prediction = estimator()(paint(ROOMS[name], WHERE))
    assert_found(prediction.pose.positions_mm)
    assert prediction.pose.skeleton == SKELETON
    best = prediction.detections[0]
    np.testing.assert_array_equal(best.positions_mm, prediction.pose.positions_mm)


def test_looking_at_the_mirror_image_too_gives_the_same_pose(painted, prediction):
    plain, both = estimator()(painted, flip_average=False).pose, prediction.pose
    np.testing.assert_allclose(both.positions_mm, plain.positions_mm, atol=0.01)
    np.testing.assert_allclose(both.confidence, plain.confidence, atol=0.01)
    assert both.provenance.flip_average is True
    assert plain.provenance.flip_average is False


@pytest.mark.parametrize(
    ("kind", "scale", "offset"),
    [(np.uint16, 200, 0), (np.float32, 1 / 255, 0), (np.int16, 10, -1000), (np.float64, 3, -300)],
)
def test_other_kinds_of_voxels_give_the_same_pose(painted, kind, scale, offset):
    array = painted.array.astype(float)
    # What is brighter than 99.95 % is cut off, and here that shall be no ball.
    assert array[:12, :12, :12].max() == 0
    array[:12, :12, :12] = 255
    volume = Volume((array * scale + offset).astype(kind), painted.grid)
    assert_found(estimator()(volume).pose.positions_mm)


def test_a_pose_does_not_depend_on_what_was_estimated_before(painted, prediction):
    one, first = estimator(), prediction
    one(Volume(np.flip(painted.array, 0).copy(), painted.grid), flip_average=True)
    again = one(painted)
    assert again.pose.equals(first.pose)
    assert again.pose.quality == first.pose.quality


def test_confidence_and_quality_by_hand(prediction):
    # The weights above make a landmark's probability the mass of its peak, and of the rest all
    # but the sides a constant.
    pose, best = prediction.pose, prediction.detections[0]
    fetus, case = 1 / (1 + np.exp(-4)), 1 / (1 + np.exp(-2))
    np.testing.assert_allclose(pose.confidence, fetus * best.masses, atol=1e-6)
    assert pose.quality.fetus == pytest.approx(fetus, abs=1e-4)
    assert pose.quality.score == pytest.approx(fetus * case, abs=1e-4)
    assert pose.quality.sides > 0.95
    assert pose.quality.reasons == ()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("fetus", "no fetus in view"),
        ("sides", "left and right are uncertain"),
        ("case", "the detection is doubtful"),
    ],
)
def test_a_low_probability_gives_its_reason(painted, name, reason):
    doubt = Logistic(intercept=-3.0, weights=(0.0, 0.0, 0.0, 0.0))
    pose = estimator(calibration=SURE.model_copy(update={name: doubt}))(painted).pose
    (found,) = pose.quality.reasons
    assert found.startswith(reason)
    assert_found(pose.positions_mm)


def test_a_landmark_beyond_the_box_is_not_trusted(painted):
    # The second pass sees the head 20 voxels higher than it is.
    head = SKELETON.index("head")
    pose = estimator(canonical=BallReader(16, drift=(head, 20.0)))(painted).pose
    assert 20 < off_mm(pose.positions_mm)[head] < 50
    assert not OBLIQUE.contains(pose.positions_mm[head])
    assert pose.confidence[head] == 0
    assert (np.delete(pose.confidence, head) > 0.5).all()
    assert pose.quality.reasons[-1] == "head lies outside the volume"


def assert_nothing(pose) -> None:
    assert np.isnan(pose.positions_mm).all()
    assert not pose.present.any()
    assert (pose.confidence == 0).all()
    assert pose.quality.score == 0
    assert pose.quality.reasons == ("no fetus in view",)


def test_without_a_frame_every_landmark_is_absent(painted):
    def blind(volume: torch.Tensor) -> None:
        volume.zero_()

    prediction = estimator(coarse=BallReader(10, blind))(painted)
    assert_nothing(prediction.pose)
    assert prediction.detections == ()
    assert prediction.pose.provenance.model == "painted"


def test_a_second_pass_that_sees_nothing_ends_in_doubt_and_not_in_an_error(painted):
    def blind(volume: torch.Tensor) -> None:
        volume.zero_()

    pose = estimator(canonical=BallReader(16, blind))(painted).pose
    assert pose.quality.reasons
    assert np.isnan(pose.positions_mm).all() or np.isfinite(pose.positions_mm).all()


@pytest.mark.parametrize(
    "fill",
    [
        lambda shape: np.zeros(shape, np.uint8),
        lambda shape: np.full(shape, 90, np.uint8),
        lambda shape: np.random.default_rng(0).integers(0, 256, shape, np.uint8),
        lambda shape: np.full(shape, -7.5, np.float32),
    ],
)
@pytest.mark.parametrize("shape", [(40, 44, 36), (19, 50, 20)])
def test_volumes_without_a_fetus_are_no_error(fill, shape):
    torch.manual_seed(0)
    networks = (build_unet(UNetWidths((8, 8, 8, 8), n)) for n in (10, 16))
    pose = estimator(*networks, look=SMALL_LOOK)(
        Volume(fill(shape), Grid.from_spacing(shape, 1.1))
    ).pose
    assert np.isnan(pose.positions_mm).all() or np.isfinite(pose.positions_mm).all()
    assert ((pose.confidence >= 0) & (pose.confidence <= 1)).all()
    assert 0 <= pose.quality.score <= 1


@pytest.mark.parametrize("shape", [(3, 50, 1), (60, 18, 60)])
def test_a_volume_without_room_for_a_fetus_is_refused_in_one_line(shape):
    volume = Volume(np.ones(shape, np.uint8), Grid.from_spacing(shape, 1.1), "sliver")
    with pytest.raises(BadInput) as error:
        estimator()(volume)
    box = " x ".join(f"{1.1 * n:.0f}" for n in shape)
    assert str(error.value).startswith("sliver: expected at least 20 mm along each axis")
    assert f"found a box of {box} mm" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("bad", "count"), [(np.nan, 1), (np.inf, 1), (-np.inf, 3)])
@pytest.mark.parametrize("take", [prepare, lambda volume: estimator()(volume)])
def test_voxels_that_are_no_numbers_are_refused_in_one_line(painted, take, bad, count):
    array = painted.array.astype(np.float32)
    array[:count, 0, 0] = bad
    with pytest.raises(BadInput) as error:
        take(Volume(array, painted.grid, "holed"))
    message = f"holed: expected finite voxels, found {count} voxels that are NaN"
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_refinement_that_does_not_exist_is_refused(painted):
    with pytest.raises(BadInput, match="none, fast, test-time-training, found 'slow'"):
        estimator()(painted, refine="slow")


def test_a_pose_says_where_it_comes_from(painted):
    volume = Volume(painted.array, painted.grid, "case-7", {}, ("spacing was guessed",))
    provenance = estimator()(volume).pose.provenance
    assert provenance.model == "painted"
    assert provenance.model_sha256 == "0123"
    assert provenance.input_sha256 == input_sha256(volume)
    assert provenance.refine == "none"
    assert provenance.warnings == ("spacing was guessed",)
    assert Provenance.from_plain(json.loads(json.dumps(provenance.plain()))) == provenance


def test_the_hash_of_the_input_is_that_of_voxels_type_and_place():
    grid = Grid.from_spacing((3, 4, 5), (1, 2, 3), (7, 8, 9))
    array = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    first = input_sha256(Volume(array, grid))
    assert len(first) == 64
    other_order = Volume(np.asfortranarray(array), grid, "another", {"a": "b"}, ("w",))
    assert input_sha256(other_order) == first
    changed = array.copy()
    changed[1, 2, 3] += 1
    others = {
        input_sha256(Volume(changed, grid)),
        input_sha256(Volume(array.view(np.int8), grid)),
        input_sha256(Volume(array, Grid.from_spacing((3, 4, 5), (1, 2, 3), (7, 8, 9.001)))),
        input_sha256(Volume(array.reshape(5, 4, 3), Grid((5, 4, 3), grid.affine))),
    }
    assert len(others - {first}) == 4


# A single pass


ALONG_THE_BODY = room((1.2, 1.0, 1.4), TURN)
"""Its axes are the body's: there the reader of balls knows the sides in the whole volume, too."""


@pytest.mark.parametrize("flip_average", [False, True])
@pytest.mark.parametrize("grid", [ALONG_THE_BODY, ALONG_THE_BODY.flip(2)])
def test_one_pass_is_enough_where_the_network_tells_the_sides(grid, flip_average):
    one = plain_estimator(BallReader(16))
    prediction = one(paint(grid, WHERE), flip_average=flip_average)
    # Half a voxel of this pass would be 1.5 mm along each axis.
    assert off_mm(prediction.pose.positions_mm).max() < 1.2
    assert off_mm(prediction.pose.positions_mm).mean() < 0.6
    (found,) = prediction.detections
    assert found.frame is None
    fetus = 1 / (1 + np.exp(-4))
    np.testing.assert_allclose(prediction.pose.confidence, fetus * found.masses, atol=1e-6)
    assert prediction.pose.quality.reasons == ()
    assert prediction.pose.quality.sides > 0.95
    assert prediction.pose.provenance.model == "plainly painted"
    assert prediction.pose.provenance.flip_average is flip_average


def test_sides_that_are_exchanged_are_doubted():
    """In the mirror image of the axes the reader takes the left for the right."""

    class Mistaken(BallReader):
        def forward(self, volume: torch.Tensor) -> torch.Tensor:
            return super().forward(volume.flip(2)).flip(2)

    pose = plain_estimator(Mistaken(16))(paint(ALONG_THE_BODY, WHERE)).pose
    exchanged = pose.positions_mm[SKELETON.mirror_index]
    assert off_mm(exchanged).max() < 1.2
    assert pose.quality.sides < 0.05
    (reason,) = pose.quality.reasons
    assert reason.startswith("left and right are uncertain")


def test_a_single_pass_that_sees_nothing_finds_nothing():
    class Blind(BallReader):
        def forward(self, volume: torch.Tensor) -> torch.Tensor:
            return torch.zeros(1, 16, *(n // 2 for n in volume.shape[2:])) + self.anchor

    prediction = plain_estimator(Blind(16))(paint(ALONG_THE_BODY, WHERE))
    assert_nothing(prediction.pose)
    assert prediction.detections == ()


def test_a_landmark_that_a_single_pass_does_not_see_is_absent():
    """The others are where they were; and what has no place does not lie outside."""
    head = SKELETON.index("head")

    class Headless(BallReader):
        def maps(self, output: torch.Tensor) -> torch.Tensor:
            maps = UNet.maps(self, output)
            maps[head] = 0
            return maps

    pose = plain_estimator(Headless(16))(paint(ALONG_THE_BODY, WHERE)).pose
    assert np.flatnonzero(~pose.present).tolist() == [head]
    assert pose.confidence[head] == 0
    assert (np.delete(pose.confidence, head) > 0.5).all()
    assert np.nanmax(off_mm(pose.positions_mm)) < 1.2
    assert not any("outside" in reason for reason in pose.quality.reasons)


def test_a_single_pass_saves_memory_by_larger_voxels_too(fast_half):
    whole = int(WholeVolumeGrid(1.0).around(ALONG_THE_BODY, 16).voxel_count)
    reader = BallReader(16, above(0.7 * whole))
    pose = plain_estimator(reader, 1.0)(paint(ALONG_THE_BODY, WHERE)).pose
    assert pose.provenance.warnings == ("not enough memory: whole volume at 2/3 of the resolution",)
    assert off_mm(pose.positions_mm).max() < 1.2


@pytest.fixture(scope="module")
def land_folder(tmp_path_factory) -> Path:
    """A model of the paper's network, tiny and with fresh weights."""
    torch.manual_seed(0)
    network = build_land(LandWidths((8, 16, 8))).eval()
    plain = Detector(network, WholeVolumeGrid(2.0), CANONICAL)
    place = tmp_path_factory.mktemp("models") / "land"
    pipeline = SinglePass(SKELETON, plain, draw_poses(20, seed=1).on(SKELETON))
    save_model(pipeline, SURE, place, name="land", made_by={}, metrics={})
    return place


@pytest.mark.parametrize("shape", [(41, 44, 37), (19, 50, 20)])
def test_a_folder_of_the_papers_network_is_all_that_is_needed(land_folder, shape):
    one = PoseEstimator.from_pretrained(land_folder)
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    volume = Volume(array, Grid.from_spacing(shape, 1.1))
    pose = one(volume).pose
    assert pose.provenance.model == "land"
    assert pose.provenance.model_sha256 == one.model_sha256
    assert 0 <= pose.quality.score <= 1
    assert ((pose.confidence >= 0) & (pose.confidence <= 1)).all()
    assert one(volume).pose.equals(pose)
    empty = one(Volume(np.zeros(shape, np.uint8), volume.grid)).pose
    assert ((empty.confidence >= 0) & (empty.confidence <= 1)).all()


@pytest.fixture
def fast_half(monkeypatch):
    """A processor that multiplies in bfloat16."""
    monkeypatch.setattr("fetusmap.detect.memory.has_fast_bfloat16", lambda _: True)


NO_MEMORY = (
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
)


def above(voxels: float, error: Exception = NO_MEMORY[0]) -> Callable[[torch.Tensor], None]:
    """Run out of memory for more voxels than that."""

    def check(volume: torch.Tensor) -> None:
        if volume.numel() > voxels:
            raise error

    return check


def unless_half(volume: torch.Tensor) -> None:
    if not torch.is_autocast_enabled("cpu"):
        raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes.")


WHOLE = int(WholeVolumeGrid(1.5).around(OBLIQUE, 16).voxel_count)


@pytest.mark.parametrize("error", NO_MEMORY)
@pytest.mark.parametrize("fast", [True, False])
def test_too_little_memory_is_met_with_larger_voxels_and_told(painted, monkeypatch, error, fast):
    """Larger voxels help; where half precision is not usual it was tried before."""
    monkeypatch.setattr("fetusmap.detect.memory.has_fast_bfloat16", lambda _: fast)
    pose = estimator(coarse=BallReader(10, above(0.7 * WHOLE, error)))(painted).pose
    half = "" if fast else "computed in bfloat16, "
    assert pose.provenance.warnings == (
        f"not enough memory: {half}whole volume at 2/3 of the resolution",
    )
    assert pose.provenance.precision == "bfloat16"
    assert_found(pose.positions_mm)


def test_with_hardly_any_memory_the_voxels_are_larger_still():
    volume = Volume(paint(OBLIQUE, WHERE).array, OBLIQUE, warnings=("spacing was guessed",))
    pose = estimator(coarse=BallReader(10, above(0.2 * WHOLE)))(volume).pose
    first, second = pose.provenance.warnings
    assert first == "spacing was guessed"
    assert second.endswith("whole volume at 1/3 of the resolution")


@pytest.mark.parametrize("which", ["coarse", "canonical"])
def test_half_precision_comes_before_larger_voxels(painted, monkeypatch, which):
    monkeypatch.setattr("fetusmap.detect.memory.has_fast_bfloat16", lambda _: False)
    network = BallReader({"coarse": 10, "canonical": 16}[which], unless_half)
    pose = estimator(**{which: network})(painted).pose
    assert pose.provenance.warnings == ("not enough memory: computed in bfloat16",)
    assert_found(pose.positions_mm)


def test_too_little_memory_for_anything_is_told_in_one_line(painted):
    with pytest.raises(ResourceError) as error:
        estimator(canonical=BallReader(16, above(0)))(painted)
    message = str(error.value)
    assert message.startswith("painted: expected memory for the network")
    assert " x ".join(f"{n:.0f}" for n in np.round(OBLIQUE.extent_mm)) in message
    assert "\n" not in message


def test_other_errors_of_a_network_are_not_taken_for_a_lack_of_memory(painted):
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        estimator(
            coarse=BallReader(
                10, above(0, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
            )
        )(painted)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A model of tiny networks with fresh weights."""
    torch.manual_seed(0)
    networks = (build_unet(UNetWidths((8, 8, 8, 8), n)).eval() for n in (10, 16))
    first, second = networks
    cascade = Cascade(
        SKELETON,
        Detector(first, WholeVolumeGrid(2.0), COARSE),
        Detector(second, SMALL_LOOK, CANONICAL),
        draw_poses(20, seed=1).on(SKELETON),
    )
    place = tmp_path_factory.mktemp("models") / "tiny"
    save_model(cascade, SURE, place, name="tiny", made_by={}, metrics={})
    return place


@pytest.mark.parametrize("device", ["auto", "cpu"])
@pytest.mark.parametrize("kind", [str, Path])
def test_a_model_folder_is_all_that_is_needed(folder, device, kind):
    one = PoseEstimator.from_pretrained(kind(folder), device)
    array = np.random.default_rng(0).integers(0, 256, (40, 44, 36), np.uint8)
    pose = one(Volume(array, Grid.from_spacing((40, 44, 36)))).pose
    assert pose.provenance.model == "tiny"
    assert pose.provenance.model_sha256 == one.model_sha256
    assert one.card.name == "tiny"


def test_the_hash_of_a_model_changes_with_its_card(folder, tmp_path):
    cascade, card = load_model(folder)
    first = PoseEstimator.from_pretrained(folder).model_sha256
    assert PoseEstimator.from_pretrained(folder).model_sha256 == first
    assert len(first) == len(hashlib.sha256().hexdigest())
    cascade.coarse.network.head.bias.data += 1
    save_model(cascade, card.calibration, tmp_path, name="tiny", made_by={}, metrics={})
    assert PoseEstimator.from_pretrained(tmp_path).model_sha256 != first


def test_an_unknown_device_is_refused(folder):
    with pytest.raises(BadInput) as error:
        PoseEstimator.from_pretrained(folder, "tpu")
    assert str(error.value) == "device: expected auto, cpu or cuda, found 'tpu'; try auto"


def test_cuda_is_refused_where_there_is_none(folder, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BadInput, match=r"^device: expected a CUDA device, found none .*; use cpu$"):
        PoseEstimator.from_pretrained(folder, "cuda")
    network = PoseEstimator.from_pretrained(folder, "auto").pipeline.coarse.network
    assert next(network.parameters()).device.type == "cpu"


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"nowhere: expected a model folder with card\.json"):
        PoseEstimator.from_pretrained(tmp_path / "nowhere")


# Refinement


@pytest.mark.parametrize("refine", ["fast", "test-time-training"])
def test_a_refined_pose_says_how_it_was_refined(painted, prediction, refine):
    one = estimator()
    found = one(painted, refine=refine)
    provenance = found.pose.provenance
    assert provenance.refine == refine
    assert provenance.library_sha256 == one.library_sha256
    assert provenance.changes == found.refinement.changes
    assert provenance.rejected_because == found.refinement.rejected_because
    assert Provenance.from_plain(json.loads(json.dumps(provenance.plain()))) == provenance
    assert len(one.library) == 20_000
    np.testing.assert_array_equal(found.pose.positions_mm, found.detections[0].positions_mm)
    np.testing.assert_allclose(
        found.refinement.before.positions_mm, prediction.pose.positions_mm, atol=1e-6
    )
    assert_found(found.pose.positions_mm)


def test_without_refinement_nothing_is_said_of_it(prediction):
    assert prediction.refinement is None
    assert prediction.pose.provenance.refine == "none"
    assert not {"library_sha256", "changes", "rejected_because"} & set(
        prediction.pose.provenance.plain()
    )


def with_own_library(one: PoseEstimator) -> PoseEstimator:
    """Refine with the pipeline's own library, of fetuses like the painted one."""
    return PoseEstimator(one.pipeline, one.card, one.model_sha256, one.pipeline.library)


def while_learning(error: Exception) -> Callable[[torch.Tensor], None]:
    """Break off where gradients are wanted."""

    def check(volume: torch.Tensor) -> None:
        if torch.is_grad_enabled():
            raise error

    return check


@pytest.mark.parametrize("error", [NO_MEMORY[0], NO_MEMORY[3]])
def test_without_memory_to_refine_the_unrefined_pose_is_kept(painted, prediction, error):
    one = with_own_library(estimator(canonical=BallReader(16, while_learning(error))))
    found = one(painted, refine="test-time-training")
    assert found.pose.provenance.rejected_because == "not enough memory to refine"
    assert found.pose.provenance.changes == ()
    assert found.pose.provenance.refine == "test-time-training"
    assert found.pose.equals(prediction.pose)
    assert found.pose.quality == prediction.pose.quality
    assert found.refinement.detection.positions_mm.tobytes() == (
        found.refinement.before.positions_mm.tobytes()
    )
    assert found.refinement.iterations == ()


def test_other_errors_while_refining_are_not_taken_for_a_lack_of_memory(painted):
    error = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    one = with_own_library(estimator(canonical=BallReader(16, while_learning(error))))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        one(painted, refine="test-time-training")


def test_how_sure_a_refined_pose_is_the_unrefined_one_tells():
    """The library puts the sides right; that they were exchanged speaks against the case still."""

    class Mistaken(BallReader):
        def forward(self, volume: torch.Tensor) -> torch.Tensor:
            return super().forward(volume.flip(2)).flip(2)

    one = with_own_library(plain_estimator(Mistaken(16)))
    volume = paint(ALONG_THE_BODY, WHERE)
    plain, found = one(volume), one(volume, refine="fast")
    assert off_mm(plain.pose.positions_mm).max() > 10
    assert off_mm(found.pose.positions_mm).max() < 1.2
    assert found.detections[0].residual < 0.5 * plain.detections[0].residual
    np.testing.assert_array_equal(found.pose.confidence, plain.pose.confidence)
    assert found.pose.quality == plain.pose.quality
    assert found.pose.quality.sides < 0.05


@pytest.mark.parametrize("refine", ["fast", "test-time-training"])
def test_confidence_of_a_refined_pose_is_that_of_what_was_detected(land_folder, refine):
    """Of landmarks that lie in the volume before and after."""
    one = PoseEstimator.from_pretrained(land_folder, library=draw_poses(40, seed=4).on(SKELETON))
    array = np.random.default_rng(0).integers(0, 256, (28, 26, 24), np.uint8)
    volume = Volume(array, Grid.from_spacing(array.shape, 2.0))
    plain, found = one(volume), one(volume, refine=refine)
    inside = [volume.grid.contains(case.pose.positions_mm) for case in (plain, found)]
    both = inside[0] & inside[1]
    assert both.sum() >= 10
    apart = np.linalg.norm(found.pose.positions_mm - plain.pose.positions_mm, axis=1)
    assert apart[both].max() > 5
    assert (found.detections[0].masses[both] != plain.detections[0].masses[both]).any()
    np.testing.assert_array_equal(found.pose.confidence[both], plain.pose.confidence[both])
    for name in ("fetus", "sides"):  # the score also depends on the plausibility of the final pose
        assert getattr(found.pose.quality, name) == getattr(plain.pose.quality, name)


def test_what_a_refinement_leaves_outside_the_volume_is_not_trusted(painted):
    head = SKELETON.index("head")
    one = with_own_library(estimator(canonical=BallReader(16, drift=(head, 20.0))))
    found = one(painted, refine="fast").pose
    assert not OBLIQUE.contains(found.positions_mm[head])
    assert np.flatnonzero(found.confidence == 0).tolist() == [head]
    assert found.quality.reasons[-1] == "head lies outside the volume"


def test_where_there_is_no_body_nothing_is_refined(painted):
    def blind(volume: torch.Tensor) -> None:
        volume.zero_()

    found = estimator(coarse=BallReader(10, blind))(painted, refine="fast")
    assert_nothing(found.pose)
    assert found.refinement is None


def test_iterations_lie_in_the_volumes_world(painted):
    found = estimator()(painted, refine="fast")
    for turn in found.refinement.iterations:
        assert off_mm(turn.positions_mm).max() < 5
        assert np.nanmax(off_mm(turn.support.mean_mm)) < 40
        peaks = find_peaks(turn.heatmaps).positions_mm[:, 0]
        assert off_mm(peaks).max() < 1


def test_a_library_that_is_given_is_the_one_that_is_used(painted):
    plain = estimator()
    own = plain.pipeline.library
    given = PoseEstimator(plain.pipeline, plain.card, "0123", own)
    assert given.library is own
    provenance = given(painted, refine="fast").pose.provenance
    expected = hashlib.sha256(own.positions_mm.tobytes()).hexdigest()
    assert provenance.library_sha256 == given.library_sha256 == expected
    assert plain.library_sha256 != expected


def test_a_library_of_another_skeleton_is_refused_in_one_line():
    plain = estimator()
    other = PoseLibrary(Skeleton("three", ("a", "b", "c"), (), ()), np.eye(3)[None])
    with pytest.raises(BadInput) as error:
        PoseEstimator(plain.pipeline, plain.card, "0123", other)
    assert str(error.value).startswith("pose library: expected one of the model's skeleton")
    assert "found one of three" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("which", ["folder", "land_folder"])
@pytest.mark.parametrize("refine", ["fast", "test-time-training"])
def test_a_refined_pose_does_not_depend_on_what_was_estimated_before(request, which, refine):
    place = request.getfixturevalue(which)
    one = PoseEstimator.from_pretrained(place, library=draw_poses(40, seed=2).on(SKELETON))
    arrays = np.random.default_rng(0).integers(0, 256, (2, 28, 26, 24), np.uint8)
    volumes = [Volume(array, Grid.from_spacing(array.shape, 2.0)) for array in arrays]
    forth = [one(volume, refine=refine).pose for volume in volumes]
    back = [one(volume, refine=refine).pose for volume in volumes[::-1]][::-1]
    for first, again in zip(forth, back, strict=True):
        assert first.equals(again)
        assert first.quality == again.quality
        assert first.provenance.changes == again.provenance.changes
