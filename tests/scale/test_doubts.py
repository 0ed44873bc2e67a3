"""A doubt about a file or a result takes every way to the user: files, table, picture, terminal."""

import csv
import json

import nibabel as nib
import numpy as np
import pytest

import fetusmap as fm
from fetusmap.anatomy import crown_rump_length
from fetusmap.cli.prediction_lines import print_results, print_warnings
from fetusmap.io import load_volume
from fetusmap.report import draw_prediction
from fetusmap.scale import PredictionSettings, find_volumes, predict_cases
from fetusmap.simulate import SimulationSettings, simulate_case


@pytest.fixture(scope="module")
def doubtful(tmp_path_factory):
    """A NIfTI file without a unit whose voxels of 2 mm fill a cube of 192 mm."""
    path = tmp_path_factory.mktemp("scans") / "scan.nii"
    noise = np.random.default_rng(0).integers(1, 200, (96, 96, 96)).astype(np.uint8)
    image = nib.Nifti1Image(noise, np.diag([2.0, 2.0, 2.0, 1.0]))
    image.header.set_xyzt_units(None)
    nib.save(image, path)
    return path


def test_doubts_take_every_way(doubtful, small, tmp_path, capsys):
    warning = "no unit in the file: taken as millimetres"
    settings = PredictionSettings(model=str(small / "model"), previews=False)
    results = list(predict_cases(find_volumes([doubtful]), tmp_path, settings))
    (result,) = results
    reasons = result.pose.quality.reasons
    assert any("voxel size of the file (2 x 2 x 2 mm)" in reason for reason in reasons)
    assert result.pose.provenance.warnings == (warning,)

    written = json.loads((tmp_path / "scan" / "pose.json").read_text())
    assert tuple(written["quality"]["reasons"]) == reasons
    assert written["provenance"]["warnings"] == [warning]

    with (tmp_path / "summary.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["reasons"] == "; ".join(reasons)
    assert row["warnings"] == warning

    print_results(results)
    print_warnings(results)
    printed = capsys.readouterr()
    assert all(reason.split()[-1] in printed.out for reason in reasons)
    assert printed.err == f"warning: scan: {warning}\n"

    figure = draw_prediction(load_volume(doubtful), result.pose)
    below = " ".join(text.get_text().replace("\n", " ") for text in figure.findobj(_is_text))
    assert f"file: {warning}" in below
    assert reasons[0] in below


def _is_text(artist) -> bool:
    return hasattr(artist, "get_text")


@pytest.mark.slow
def test_a_voxel_size_that_is_twice_the_true_one_is_told():
    """A program's default spacing of 1 mm, where the voxels are 0.5 mm."""
    case = simulate_case(SimulationSettings(preset="half"), seed=11, number=0)
    grid = case.volume.grid
    affine = grid.affine.copy()
    affine[:3, :3] *= 2
    pose = fm.PoseEstimator.from_pretrained()(
        fm.Volume(case.volume.array, fm.Grid(grid.shape, affine))
    ).pose
    true_mm = crown_rump_length(case.pose).length_mm
    assert crown_rump_length(pose).length_mm == pytest.approx(2 * true_mm, abs=6)
    assert pose.quality.reasons[0].startswith("the body is 12")
    assert "check the voxel size of the file (2 x 2 x 2 mm)" in pose.quality.reasons[0]
    assert pose.quality.score < 0.25
