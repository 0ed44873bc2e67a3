"""Corrections beside predictions: whatever is predicted again, they stay."""

import numpy as np

from fetusmap.corrections import (
    CORRECTIONS_FILE,
    append_correction,
    corrected_pose,
    move,
    new_correction,
    read_log,
)
from fetusmap.geometry import Grid
from fetusmap.io import load_pose, save_volume
from fetusmap.scale import PredictionSettings, find_volumes, predict_cases
from fetusmap.volume import Volume


def test_a_new_prediction_leaves_corrections_untouched(small, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (48, 48, 48)).astype(np.uint8)
    scan, out = tmp_path / "scan.nii.gz", tmp_path / "out"
    save_volume(Volume(noise, Grid.from_spacing((48, 48, 48), 1.5)), scan)
    settings = PredictionSettings(model=str(small / "model"), previews=False, pages=False)
    (first,) = predict_cases(find_volumes([scan]), out, settings)
    assert first.error == ""
    log_path = out / "scan" / CORRECTIONS_FILE
    correction = new_correction(first.pose, "Anna", "move", move(first.pose, "head", (1, 2, 3)))
    append_correction(log_path, lambda _: correction)
    content = log_path.read_bytes()

    other = settings.model_copy(update={"flip_average": False})
    (second,) = predict_cases(find_volumes([scan]), out, other)
    assert second.seconds is not None  # it was predicted anew
    assert log_path.read_bytes() == content
    pose = corrected_pose(load_pose(out / "scan" / "pose.json"), read_log(log_path))
    assert pose["head"].position_mm.tolist() == [1, 2, 3]

    scan.write_bytes(b"damaged")
    (third,) = predict_cases(find_volumes([scan]), out, settings)
    assert third.error
    assert log_path.read_bytes() == content
