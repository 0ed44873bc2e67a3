"""A library's picture shows its poses where they are in the body, and its angles as they are."""

import time
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex

import fetusmap as fm
from fetusmap.anatomy import body_axes, skeleton_from_plain, trunk_length_mm
from fetusmap.geometry import affine_from, rotation_from_vector
from fetusmap.report import draw_library, save_figure

SKELETON = fm.load_skeleton()


def turned_library(count: int, noise_mm: float = 2.0) -> fm.PoseLibrary:
    """Example poses of many sizes, each somewhere else and turned in its own way."""
    rng = np.random.default_rng(0)
    poses = []
    for _ in range(count):
        points = fm.reference_pose(rng.uniform(40, 80)).positions_mm
        moved = affine_from(rotation_from_vector(rng.normal(0, 2, 3)), rng.normal(0, 100, 3))
        pose = fm.Pose(SKELETON, points + rng.normal(0, noise_mm, points.shape))
        poses.append(pose.transform(moved))
    return fm.PoseLibrary.from_poses(poses)


def test_every_landmark_stands_where_it_is_in_the_body() -> None:
    library = turned_library(7)
    front, side, _ = draw_library(library).axes
    upright = np.concatenate(
        [
            (pose.positions_mm - pose["sacrum"].position_mm)
            @ body_axes(pose)
            / trunk_length_mm(pose)
            for pose in library
        ]
    )
    right, ventral, cranial = upright.T
    for axes, across in ((front, -right), (side, ventral)):
        dots = np.asarray(axes.collections[1].get_offsets())
        assert np.allclose(dots, np.column_stack([across, cranial]), atol=1e-6)


def test_segments_and_dots_have_the_colours_of_their_sides() -> None:
    lines, dots = draw_library(turned_library(2)).axes[0].collections[:2]
    sides = [SKELETON.segment_side(segment) for segment in SKELETON.segments] * 2
    assert [to_hex(c) for c in lines.get_colors()] == [SKELETON.color(side) for side in sides]
    sides = [SKELETON.side(name) for name in SKELETON.landmarks] * 2
    assert [to_hex(c) for c in dots.get_facecolors()] == [SKELETON.color(side) for side in sides]


def test_from_the_right_side_the_right_limbs_are_drawn_last() -> None:
    side = draw_library(turned_library(3)).axes[1]
    colors = [to_hex(line.get_color()) for line in side.lines]
    left, right = SKELETON.color("left"), SKELETON.color("right")
    assert colors.index(left) < colors.index(right)
    assert colors[0] == left
    assert colors[-1] == right


def test_equal_poses_lie_on_their_median() -> None:
    library = turned_library(5, noise_mm=0)
    front = draw_library(library).axes[0]
    lines, _, median = front.collections[:3]
    ends = {tuple(np.round(point, 4)) for line in lines.get_segments() for point in line}
    assert ends == {tuple(np.round(point, 4)) for point in median.get_offsets()}
    assert len(ends) == 16


def test_the_angles_are_counted_and_summed_up() -> None:
    library = turned_library(50)
    panel = draw_library(library).axes[2]
    texts = [text.get_text() for text in panel.texts]
    assert [t for t in texts if t.isalpha()] == [
        "knee",
        "hip",
        "elbow",
        "shoulder",
        "spine",
        "neck",
    ]
    knees = [fm.joint_angles_deg(p)[f"{s}_knee"] for p in library for s in ("left", "right")]
    low, middle, high = np.percentile(knees, [5, 50, 95])
    assert f"{middle:.0f}\N{DEGREE SIGN}, {low:.0f} to {high:.0f}" in texts


def test_many_poses_are_drawn_in_part_and_soon(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    points = fm.reference_pose().positions_mm + rng.normal(0, 3, (20_000, 16, 3))
    start = time.perf_counter()
    figure = draw_library(fm.PoseLibrary(SKELETON, points), "Many")
    save_figure(figure, tmp_path / "many.png")
    assert time.perf_counter() - start < 20
    assert figure.get_suptitle() == "Many   20,000 poses of fetus-16, 3,000 drawn"
    assert len(figure.axes[0].collections[0].get_segments()) == 3000 * 15


def test_poses_that_cannot_be_turned_are_left_out_and_counted() -> None:
    points = np.stack([fm.reference_pose().positions_mm] * 3)
    points[0, SKELETON.index("neck")] = np.nan
    points[1, SKELETON.index("left_wrist")] = np.nan
    figure = draw_library(fm.PoseLibrary(SKELETON, points))
    assert figure.get_suptitle() == "3 poses of fetus-16, 1 without body axes left out"
    lines, dots = figure.axes[0].collections[:2]
    assert (len(lines.get_segments()), len(dots.get_offsets())) == (14 + 15, 15 + 16)
    figure.canvas.draw()


@pytest.mark.parametrize("points", [np.arange(12.0).reshape(2, 2, 3), np.full((2, 2, 3), np.nan)])
def test_skeletons_without_a_trunk_can_be_drawn(points: np.ndarray) -> None:
    pair = {
        "format": "fetusmap-skeleton",
        "version": 1,
        "name": "pair",
        "landmarks": [{"name": "l"}, {"name": "r"}],
        "mirror_pairs": [["l", "r"]],
        "segments": [{"name": "across", "start": "l", "end": "r"}],
    }
    figure = draw_library(fm.PoseLibrary(skeleton_from_plain(pair), points))
    assert [axes.get_title() for axes in figure.axes] == ["along posterior", "along left"]
    figure.canvas.draw()


@pytest.mark.parametrize(
    ("suffix", "head"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".PDF", b"%PDF")]
)
def test_figures_are_written_in_the_format_of_their_suffix(
    tmp_path: Path, suffix: str, head: bytes
) -> None:
    path = tmp_path / f"library{suffix}"
    save_figure(draw_library(turned_library(2)), path)
    assert path.read_bytes().startswith(head)
    assert list(tmp_path.iterdir()) == [path]


def test_other_formats_and_existing_files_are_refused(tmp_path: Path) -> None:
    figure = draw_library(turned_library(1))
    assert figure.get_suptitle() == "1 pose of fetus-16"
    with pytest.raises(fm.BadInput, match=r"one of \.png, \.svg, \.pdf, found '\.jpg'"):
        save_figure(figure, tmp_path / "library.jpg")
    (tmp_path / "library.png").write_text("mine")
    with pytest.raises(fm.BadInput, match="a new file"):
        save_figure(figure, tmp_path / "library.png", overwrite=False)
    assert (tmp_path / "library.png").read_text() == "mine"
