"""Whole volumes: reproducible to the byte, landmarks where they are said to be, never mirrored."""

import hashlib
import os
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

import fetusmap as fm
from fetusmap.anatomy import body_axes
from fetusmap.simulate import (
    FETAL,
    HARD,
    PRESETS,
    Medium,
    Seeds,
    SimulationSettings,
    draw_case,
    profiles,
    render,
    simulate_case,
)
from fetusmap.simulate.body.body import Part
from fetusmap.simulate.body.shapes import ball
from fetusmap.simulate.rendering import beam_lattice, true_pose_of
from fetusmap.volume.scan_conversion import scan_convert

HALF = SimulationSettings("half")
LANDMARKS = fm.load_skeleton("fetus-22").landmarks


ON_THE_SKIN = ("crown", "rump", "left_foot", "right_foot")


def digest(rendering):
    """All that a case consists of, as one number."""
    parts = (rendering.volume.array, rendering.volume.grid.affine, rendering.pose.positions_mm,
             rendering.pose.confidence, rendering.body_from_probe)  # fmt: skip
    return hashlib.sha256(b"".join(np.ascontiguousarray(p).tobytes() for p in parts)).hexdigest()


@pytest.fixture(scope="module")
def cases():
    """A hundred usual cases, and a hundred more of all profiles, hard or not."""
    settings = [HALF] * 100
    for number in range(100):
        profile = profiles()[number % len(profiles())]
        difficulty = HARD if number % 2 else fm.simulate.Difficulty()
        settings.append(SimulationSettings("half", profile=profile, difficulty=difficulty))
    return [draw_case(s, Seeds.of_case(31, n)) for n, s in enumerate(settings)]


@pytest.fixture(scope="module")
def rendered():
    """Some cases of the half preset with label maps and beams."""
    drawn = [draw_case(HALF, Seeds.of_case(8, n)) for n in range(6)]
    return [(d, render(d, "half", name=f"c{n}", beams=True, labels=True))
            for n, d in enumerate(drawn)]  # fmt: skip


def test_nearly_all_landmarks_lie_in_the_field_and_in_the_volume(cases):
    """At least 99 % over 200 cases."""
    seen = np.array([true_pose_of(drawn, "half").confidence for drawn in cases])
    assert seen.shape == (200, 22)
    assert set(np.unique(seen)) <= {0, 1}
    assert seen[:100].mean() >= 0.99
    assert seen.mean() >= 0.99


def test_bodies_of_the_other_anatomy_lie_in_the_field_too():
    settings = replace(HALF, anatomy="other")
    drawn = [draw_case(settings, Seeds.of_case(31, number)) for number in range(25)]
    seen = np.array([true_pose_of(case, "half").confidence for case in drawn])
    assert seen.mean() >= 0.98
    thighs = [case.fetus.measures["thigh_radius"] / case.fetus.crl_mm for case in drawn]
    assert np.mean(thighs) == pytest.approx(1.70 * 0.062, rel=0.05)


def test_the_sixteen_landmarks_are_the_first_of_the_twenty_two(cases):
    for drawn in cases[:10]:
        pose = true_pose_of(drawn, "half")
        fewer = true_pose_of(replace(drawn, skeleton="fetus-16"), "half")
        assert fewer.skeleton == fm.load_skeleton("fetus-16")
        np.testing.assert_array_equal(fewer.positions_mm, pose.positions_mm[:16])
        np.testing.assert_array_equal(fewer.confidence, pose.confidence[:16])


def test_right_is_right_in_every_case(cases):
    """In the body frame, found from the probe's; and as the body's own landmarks tell it."""
    for drawn in cases:
        pose, probe = true_pose_of(drawn, "half"), drawn.probe
        assert np.linalg.det(probe.rotation) == pytest.approx(1)
        points = (pose.positions_mm - probe.shift_mm) @ probe.rotation
        at = dict(zip(LANDMARKS, points, strict=True))
        for joint in ("shoulder", "elbow"):
            trunk = (at["sacrum"] + at["neck"]) / 2
            assert at[f"right_{joint}"][0] > trunk[0]
            assert at[f"left_{joint}"][0] < trunk[0]
        axes = body_axes(pose)
        # Knees are drawn up to the belly, heads bent to the chest.
        knees = (pose["left_knee"].position_mm + pose["right_knee"].position_mm) / 2
        hips = (pose["left_hip"].position_mm + pose["right_hip"].position_mm) / 2
        assert np.linalg.det(axes) == pytest.approx(1)
        assert (knees - hips) @ axes[:, 1] > -0.1 * drawn.fetus.crl_mm
        assert axes[:, 0] @ probe.rotation[:, 0] > 0.7


def held_still(drawn):
    still = replace(drawn.probe, drift_mm=np.zeros(3), jump_mm=np.zeros(3))
    return replace(drawn, probe=still)


def test_landmarks_are_the_fetus_own_moved_into_the_probes_frame(cases):
    for drawn in cases[:40]:
        found = true_pose_of(held_still(drawn), "half").positions_mm
        expected = drawn.probe.to_world(drawn.fetus.posture.landmarks_mm[0])
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_landmarks_do_not_depend_on_the_preset(cases):
    for drawn in cases[:40]:
        full, mid, half = (true_pose_of(drawn, preset).positions_mm for preset in PRESETS)
        # The sweep ends where the volume does, which is rounded to whole voxels.
        np.testing.assert_allclose(full, mid, atol=0.15)
        np.testing.assert_allclose(full, half, atol=0.15)


def test_a_moving_landmark_is_where_it_is_when_the_sweep_meets_it(cases):
    """A second way: at which of 20,001 moments is the point in the plane of the beams?"""
    moving = [d for d in cases if np.linalg.norm(d.probe.jump_mm) > 0][:20]
    assert len(moving) == 20
    for drawn in moving:
        probe = drawn.probe
        pose = true_pose_of(drawn, "half")
        lattice = beam_lattice(probe, probe.grid(1.0), PRESETS["half"])
        parts = np.linspace(0, 1, 20001)
        resting = drawn.fetus.posture.landmarks_mm[0]
        for point, truth in zip(resting, pose.positions_mm, strict=True):
            path = probe.to_world(point) + probe.motion_mm(parts)
            phi = lattice.to_beam(path)[:, 2]
            plane = lattice.phis_rad[0] + parts * (lattice.phis_rad[-1] - lattice.phis_rad[0])
            met = np.flatnonzero((phi[:-1] >= plane[:-1]) & (phi[1:] < plane[1:]))
            if len(met):
                np.testing.assert_allclose(truth, path[met[0]], atol=0.02)


def test_landmarks_outside_of_the_volume_or_the_field_have_confidence_0(cases):
    drawn = cases[0]
    probe = drawn.probe
    truth = true_pose_of(drawn, "half")
    order = np.argsort(truth.positions_mm[:, 0])
    cut = float(truth.positions_mm[order[7:9], 0].mean())
    high = probe.box_high_mm.copy()
    high[0] = cut
    found = true_pose_of(replace(drawn, probe=replace(probe, box_high_mm=high)), "half")
    beyond = truth.positions_mm[:, 0] > cut + 1
    assert beyond.sum() >= 4
    assert (found.confidence[beyond] == 0).all()
    assert (found.confidence[truth.positions_mm[:, 0] < cut - 1] == 1).all()
    narrow = replace(probe, scanner=replace(probe.scanner, lateral_field_deg=8.0, sweep_deg=170.0))
    found = true_pose_of(replace(drawn, probe=narrow), "half")
    lattice = beam_lattice(narrow, narrow.grid(1.0), PRESETS["half"])
    away = np.abs(np.degrees(lattice.to_beam(found.positions_mm)[:, 1]))
    np.testing.assert_array_equal(found.confidence, away < 4)
    assert 0 < found.confidence.sum() < 22


@pytest.mark.parametrize("preset", PRESETS)
def test_lattices_reach_as_far_as_scanner_and_volume_do(cases, preset):
    chosen = PRESETS[preset]
    for drawn in cases[:12]:
        probe, scanner = drawn.probe, drawn.probe.scanner
        grid = probe.grid(2.0)
        lattice = beam_lattice(probe, grid, chosen)
        for count, factor in zip(lattice.shape, chosen.factors, strict=True):
            assert (count - 1) % factor == 0
        assert np.prod(lattice.shape, dtype=float) <= 1.25 * chosen.max_samples
        points = grid.centers_mm().reshape(-1, 3)
        beam = lattice.to_beam(points)
        field = np.radians([scanner.lateral_field_deg, scanner.sweep_deg]) / 2
        seen = (np.abs(beam[:, 1:]) < field).all(axis=1)
        assert seen.mean() > 0.3
        missed = seen & ~lattice.contains(points)
        # All but the far corners of the box, which no fetus reaches.
        assert (beam[missed, 0] > 1.2 * grid.bounds_mm()[1][1]).all()
        assert np.abs(lattice.thetas_rad).max() <= field[0] + 1e-9
        assert np.abs(lattice.phis_rad).max() <= field[1] + 1e-9


def test_volumes_are_what_they_say(rendered):
    for number, (drawn, made) in enumerate(rendered):
        assert made.volume.name == f"c{number}"
        assert made.fetus is drawn.fetus
        assert made.probe is drawn.probe
        assert made.volume.array.dtype == np.uint8
        assert made.volume.grid == drawn.probe.grid(1.0)
        assert not made.volume.grid.is_left_handed
        assert made.pose.equals(true_pose_of(drawn, "half"))
        # Black to white, neither drowned nor burnt out.
        inside = made.volume.array[made.labels.array > 0]
        assert inside.min() == 0 or np.percentile(inside, 1) < 60
        assert np.percentile(inside, 99.9) > 150
        assert 8 < np.median(inside) < 190
        assert inside.std() > 15


def test_outside_of_the_field_there_is_nothing(rendered):
    for offset, (_, made) in enumerate(rendered[:3]):
        every_second = (slice(offset % 2, None, 2),) * 3
        lattice, points = made.beams.lattice, made.volume.grid.centers_mm()[every_second]
        grey, labels = made.volume.array[every_second], made.labels.array[every_second]
        away = np.concatenate([np.eye(3), -np.eye(3)]) * 4.0
        far = ~np.any([lattice.contains(points + step) for step in away], axis=0)
        assert far.sum() > 100
        assert (grey[far] == 0).all()
        assert (labels[far] == 0).all()
        assert (labels[lattice.contains(points)] > 0).all()


def test_beams_hold_what_the_volume_shows(rendered):
    _, made = rendered[0]
    assert made.beams.grey.shape == made.beams.lattice.shape
    again = scan_convert(made.beams.grey.astype(np.float32), made.beams.lattice, made.volume.grid)
    assert np.abs(again.astype(int) - made.volume.array).max() <= 1


def test_the_probe_is_placed_in_the_fetus_own_frame(rendered):
    for drawn, made in rendered:
        points = true_pose_of(held_still(drawn), "half").positions_mm
        body = points @ made.body_from_probe[:3, :3].T + made.body_from_probe[:3, 3]
        np.testing.assert_allclose(body, drawn.fetus.posture.landmarks_mm[0], atol=1e-9)


def labels_at(made, points):
    index = np.round(made.labels.grid.to_index(points)).astype(int)
    return made.labels.array[tuple(index.T)]


def test_landmarks_lie_in_their_part_of_the_label_map(rendered):
    """Voxels of 1 mm: hands and feet may be missed by one."""
    brain = (Medium.BRAIN, Medium.VENTRICLE, Medium.CHOROID_PLEXUS, Medium.THALAMUS)
    right, all_ = 0, 0
    for _, made in rendered:
        seen = made.pose.confidence > 0
        found = dict(zip(np.array(LANDMARKS)[seen], labels_at(made, made.pose.positions_mm[seen]),
                         strict=True))  # fmt: skip
        assert found["head"] in brain
        for name in ("neck", "spine", "sacrum", "left_hip", "right_hip"):
            assert found[name] in FETAL, name
            assert found[name] not in brain, name
        within = [label for name, label in found.items() if name not in ON_THE_SKIN]
        right += sum(int(label) in FETAL for label in within)
        all_ += len(within)
    assert right / all_ > 0.95


def test_the_stomach_is_left_of_the_trunk_in_the_volume(rendered):
    compared = 0
    for _, made in rendered:
        stomach = np.argwhere(made.labels.array == Medium.STOMACH)
        if len(stomach) == 0:
            continue
        pose, axes = made.pose, body_axes(made.pose)
        middle = made.labels.grid.to_world(stomach.mean(axis=0))
        assert (middle - pose["spine"].position_mm) @ axes[:, 0] < 0
        compared += 1
    assert compared >= len(rendered) - 1


def test_balls_at_landmarks_are_painted_where_the_truth_says(make_probe):
    """The whole way, with motion: through solids, labels and voxels to centroids.

    The balls are larger than the distance of the beams, which is up to 2.2 mm here.
    """
    drawn = draw_case(SimulationSettings("mid"), Seeds.of_case(8, 3))
    names = ("head", "left_knee", "right_elbow", "sacrum")
    targets = [ball(drawn.fetus.posture[name][0], 4.5) for name in names]
    media = (Medium.GAS, Medium.EYE, Medium.SKULL, Medium.LIVER)
    parts = tuple(Part(shape, medium) for shape, medium in zip(targets, media, strict=True))
    probe = replace(drawn.probe, drift_mm=np.array([2.0, -1.5, 3.0]),
                    jump_mm=np.array([1.0, 2.0, 0.0]), jump_at=0.02)  # fmt: skip
    case = replace(drawn, probe=probe, body=replace(drawn.body, parts=parts))
    made = render(case, "mid", labels=True)
    grid, checked = made.labels.grid, 0
    for name, medium in zip(names, media, strict=True):
        truth = made.pose[name].position_mm
        near = np.linalg.norm(grid.centers_mm() - truth, axis=-1) < 8
        own = grid.centers_mm()[near & (made.labels.array == medium)]
        if name == "head":
            own = own[np.linalg.norm(own - truth, axis=1) < 6.5]
        assert len(own) > 400
        assert np.linalg.norm(own.mean(axis=0) - truth) < 0.35, name
        checked += 1
    assert checked == 4


def test_the_same_seed_gives_the_same_bytes_and_another_one_others():
    one, again, other = (simulate_case(HALF, 5, number) for number in (0, 0, 1))
    assert digest(one) == digest(again)
    assert digest(one) != digest(other)
    assert digest(simulate_case(HALF, 6, 0)) != digest(one)


def test_each_seed_changes_the_volume():
    usual = Seeds.of_case(5, 0)
    first = render(draw_case(HALF, usual), "half").volume.array
    for part in ("fetus", "scene", "probe", "speckle"):
        changed = replace(usual, **{part: getattr(usual, part) + 1})
        other = render(draw_case(HALF, changed), "half").volume.array
        assert other.shape != first.shape or (other != first).mean() > 0.3, part


def test_speckle_alone_leaves_the_level_of_everything(rendered):
    """Blurred, two volumes of one case that differ in speckle are alike.

    The automatic gain follows the brightest samples, so the level differs a little; three cases.
    """

    def blurred(data):
        blocks = data[:90, :90, :90].astype(float).reshape(9, 10, 9, 10, 9, 10)
        return blocks.mean(axis=(1, 3, 5)).ravel()

    differences = []
    for drawn, made in rendered[:3]:
        other = render(replace(drawn, speckle_seed=drawn.speckle_seed + 1), "half").volume.array
        kept = made.labels.array > 0
        differences.append(float(other[kept].mean()) - float(made.volume.array[kept].mean()))
        assert np.corrcoef(blurred(other), blurred(made.volume.array))[0, 1] > 0.97
    assert np.abs(differences).mean() < 1.5


def test_another_process_with_other_threads_gives_the_same_bytes():
    code = (
        "import hashlib, numpy as np\n"
        "from fetusmap.simulate import SimulationSettings, simulate_case\n"
        "made = simulate_case(SimulationSettings('half'), 5, 0)\n"
        "parts = (made.volume.array, made.volume.grid.affine, made.pose.positions_mm,\n"
        "         made.pose.confidence, made.body_from_probe)\n"
        "print(hashlib.sha256(b''.join(np.ascontiguousarray(p).tobytes() for p in parts))"
        ".hexdigest())\n"
    )
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "2")
    output = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **threads}, check=True,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert output.stdout.strip() == digest(simulate_case(HALF, 5, 0))


@pytest.mark.parametrize("profile", profiles())
def test_every_profile_can_be_rendered(profile):
    made = simulate_case(SimulationSettings("half", profile=profile, difficulty=HARD), 1, 0)
    assert made.volume.array.std() > 5
    assert np.isfinite(made.pose.positions_mm).all()


def test_harder_volumes_have_less_contrast_between_fluid_and_tissue():
    def contrast(difficulty):
        settings = SimulationSettings("half", difficulty=difficulty)
        differences = []
        for number in range(3):
            made = render(draw_case(settings, Seeds.of_case(12, number)), "half", labels=True)
            data, label = made.volume.array.astype(float), made.labels.array
            tissue, fluid = (
                data[label == medium].mean()
                for medium in (Medium.FETAL_TISSUE, Medium.AMNIOTIC_FLUID)
            )
            differences.append(tissue - fluid)
        return np.mean(differences)

    usual, hard = contrast(fm.simulate.Difficulty()), contrast(
        fm.simulate.Difficulty(clutter_db=9.0, noise_db=15.0)
    )  # fmt: skip
    assert usual > 25
    assert hard < usual - 5


def test_a_full_volume_takes_no_more_than_some_seconds():
    """A lax bound: about one second is usual. Time of the processor, not of the clock."""
    drawn = draw_case(SimulationSettings(), Seeds.of_case(0, 0))
    took = []
    for _ in range(2):
        started = time.process_time()
        made = render(drawn)
        took.append(time.process_time() - started)
    assert min(took) < 3
    assert made.volume.grid.voxel_count > 7e6
