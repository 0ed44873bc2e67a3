"""Small pictures show planes of the body, wherever it lies, with dots where its landmarks are."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

import fetusmap as fm
from fetusmap.anatomy import body_axes
from fetusmap.geometry import affine_from, rotation_from_vector
from fetusmap.report import draw_contact_sheet, preview_picture, save_picture

SIZE = 120


@pytest.fixture
def pose() -> fm.Pose:
    """The example pose, turned and moved."""
    turn = rotation_from_vector([0.7, -1.1, 0.4])
    return fm.reference_pose(60.0).transform(affine_from(turn, [30, -20, 50]))


def ramp(pose: fm.Pose, direction: np.ndarray) -> fm.Volume:
    """Brighter and brighter in a direction."""
    grid = fm.Grid.centered((90, 90, 90), 1.5, pose.positions_mm.mean(axis=0))
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    along = (grid.to_world(index) - pose.positions_mm.mean(axis=0)) @ direction
    return fm.Volume(np.clip(128 + along, 0, 255).astype(np.uint8), grid)


def slopes(panel: np.ndarray) -> np.ndarray:
    """How brightness grows rightwards and upwards, as a direction."""
    middle = panel[30:-30, 30:-30, 0].astype(np.float64)
    grow = np.array([np.diff(middle, axis=1).mean(), -np.diff(middle, axis=0).mean()])
    return np.where(np.abs(grow) < 0.3 * np.abs(grow).max(), 0, np.sign(grow))


@pytest.mark.parametrize(
    ("axis", "sagittal", "coronal", "transverse"),
    [
        (0, None, (-1, 0), (-1, 0)),  # the fetus' right is on the left, as radiologists look
        (1, (1, 0), None, (0, 1)),
        (2, (0, 1), (0, 1), None),
    ],
)
def test_planes_follow_the_body(
    pose: fm.Pose,
    axis: int,
    sagittal: tuple[int, int] | None,
    coronal: tuple[int, int] | None,
    transverse: tuple[int, int] | None,
) -> None:
    blank = fm.Pose(pose.skeleton, pose.positions_mm)
    picture = preview_picture(ramp(pose, body_axes(blank)[:, axis]), blank, size=SIZE, width_mm=40)
    assert picture.shape == (SIZE, 3 * SIZE, 3)
    for number, expected in enumerate((sagittal, coronal, transverse)):
        if expected is not None:
            panel = picture[:, number * SIZE : (number + 1) * SIZE]
            assert tuple(slopes(panel)) == expected


def test_dots_are_on_the_side_and_in_the_colour_of_their_landmarks(pose: fm.Pose) -> None:
    grid = fm.Grid.centered((60, 60, 60), 2.5, pose.positions_mm.mean(axis=0))
    black = fm.Volume(np.zeros(grid.shape, np.uint8), grid)
    coronal = preview_picture(black, pose, size=SIZE)[:, SIZE : 2 * SIZE]
    columns = {}
    for side in ("left", "right"):
        color = (255 * np.array(to_rgb(pose.skeleton.color(side)))).astype(np.uint8)
        columns[side] = np.flatnonzero((coronal == color).all(axis=-1).any(axis=0))
        assert len(columns[side])
    assert columns["right"].max() < SIZE / 2 < columns["left"].min()


def test_a_pose_without_axes_is_drawn_along_the_volume() -> None:
    grid = fm.Grid.from_spacing((20, 24, 28), 1.0)
    array = np.random.default_rng(0).integers(0, 255, grid.shape, dtype=np.uint8)
    few = fm.Pose.from_positions({"neck": (5, 5, 5)})
    nothing = fm.Pose.from_positions({"neck": (np.nan,) * 3})
    for lost in (few, nothing):
        assert preview_picture(fm.Volume(array, grid), lost, size=SIZE).std() > 20


def test_equal_pictures_are_equal_files(pose: fm.Pose, tmp_path: Path) -> None:
    picture = preview_picture(ramp(pose, np.array([0, 0, 1.0])), pose, size=SIZE)
    for name in ("a.png", "b.png"):
        save_picture(picture, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (3, 4), (9, 4)])
def test_a_sheet_has_every_picture_under_its_title(count: int, columns: int) -> None:
    pictures = [np.full((20, 60, 3), n, np.uint8) for n in range(count)]
    titles = [f"case {n}" for n in range(count)]
    figure = draw_contact_sheet(
        pictures, titles, columns=columns, heading="all of them", caption="what one sees " * 12
    )
    figure.canvas.draw()
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in shown] == titles
    for axes, picture in zip(shown, pictures, strict=True):
        assert np.array_equal(axes.images[0].get_array(), picture)
    assert figure.get_suptitle() == "all of them"
    low, high = figure._supxlabel.get_window_extent().intervalx  # the caption is not cut off
    assert low >= 0
    assert high <= figure.bbox.width
