"""GE Kretz files, packed by hand: where bright points lie, what is refused, and in which words."""

import struct
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetusmap.cli.main import run
from fetusmap.errors import BadInput, UnreadableFile
from fetusmap.io import Source, load_grid, load_sequence, load_volume
from fetusmap.io.volumes.kretz import header_from_kretz, parse_kretz
from fetusmap.io.volumes.swept import Conversion

SHAPE = (60, 40, 30)  # samples, beams, planes
RESOLUTION_M = 1.0e-3
OFFSETS = (45.0, -12.0)  # 45 mm from the centre of the array, which is 12 mm behind the axis
THETA = np.pi / 2 + np.radians(np.linspace(-30, 30, SHAPE[1]))
PHI = np.pi / 2 + np.radians(np.linspace(-25, 25, SHAPE[2]))


def item(group, element, content):
    return struct.pack("<HHI", group, element, len(content)) + content


def pack(changes=None, *, end=True):
    """A file of one sweep; `changes` replaces the content of items, or drops them with None."""
    content = {
        (0x0110, 2): b"DOE^JANE",
        (0xC000, 1): struct.pack("<H", SHAPE[0]),
        (0xC000, 2): struct.pack("<H", SHAPE[1]),
        (0xC000, 3): struct.pack("<H", SHAPE[2]),
        (0xC100, 1): struct.pack("<d", RESOLUTION_M),
        (0xC200, 1): struct.pack("<d", OFFSETS[0]),
        (0xC200, 2): struct.pack("<d", OFFSETS[1]),
        (0xC300, 1): PHI.tobytes(),
        (0xC300, 2): THETA.tobytes(),
        (0xD000, 1): np.zeros(SHAPE, np.uint8).tobytes("F"),
        **(changes or {}),
    }
    items = (item(*tag, value) for tag, value in content.items() if value is not None)
    return b"KRETZFILE 1.0   " + b"".join(items) + (item(0xFFFF, 0xFFFF, b"") if end else b"")


def position(i, j, k):
    """Where sample i of beam j of plane k lies, in mm: a torus, as the format means it."""
    r, d = 1.0 * (i + 45), 12.0
    theta, phi = THETA[j] - np.pi / 2, PHI[k] - np.pi / 2
    return np.array(
        [
            r * np.sin(theta),
            np.sin(phi) * (r * np.cos(theta) - d),
            d * (1 - np.cos(phi)) + r * np.cos(theta) * np.cos(phi),
        ]
    )


def brightest(volume):
    """The centre of the grey levels of a volume."""
    weights = volume.array.astype(float)
    return (volume.grid.centers_mm() * weights[..., None]).sum((0, 1, 2)) / weights.sum()


@pytest.fixture
def read(tmp_path):
    """A function that reads bytes as a file."""

    def read(content, name="case.vol", frame=None, **options):
        path = tmp_path / name
        path.write_bytes(content)
        return load_volume(Source(path, frame=frame), **options)

    return read


@pytest.mark.parametrize(
    ("j", "k"),
    [(19, 14), (2, 14), (37, 14), (19, 2), (19, 27), (3, 3), (36, 26)],
    ids=["axis", "left", "right", "first plane", "last plane", "corner", "other corner"],
)
def test_a_bright_point_lies_where_the_torus_says(read, j, k):
    """A blob of seven samples is symmetric about its middle to far less than a voxel."""
    voxels = np.zeros(SHAPE, np.uint8)
    voxels[29:32, j, k] = voxels[30, j - 1 : j + 2, k] = voxels[30, j, k - 1 : k + 2] = 200
    volume = read(pack({(0xD000, 1): voxels.tobytes("F")}))
    assert np.abs(brightest(volume) - position(30, j, k)).max() < 0.12


def test_a_sphere_would_be_wrong_by_millimetres():
    """The corner that the test above checks to 0.12 mm, on a sphere of the same radius."""
    theta, phi, r = THETA[3] - np.pi / 2, PHI[3] - np.pi / 2, 75.0
    sphere = r * np.array([np.sin(theta), np.sin(phi) * np.cos(theta), np.cos(phi) * np.cos(theta)])
    assert np.linalg.norm(sphere - position(30, 3, 3)) > 4


def test_the_grid_holds_every_sample_and_the_axes_are_lateral_sweep_depth(read, tmp_path):
    volume = read(pack())
    corners = [position(i, j, k) for i in (0, 59) for j in (0, 39) for k in (0, 29)]
    assert volume.grid.contains(np.array(corners), margin_mm=0.01).all()
    assert not volume.grid.is_left_handed
    np.testing.assert_array_equal(volume.grid.direction, np.eye(3))
    np.testing.assert_allclose(volume.grid.spacing_mm, 0.5)
    assert load_grid(tmp_path / "case.vol") == volume.grid


@pytest.mark.parametrize("axis", [1, 2])
def test_angles_that_decrease_describe_the_same_volume(read, axis):
    voxels = np.random.default_rng(3).integers(0, 255, SHAPE, np.uint8)
    tag, angles = [((0xC300, 2), THETA), ((0xC300, 1), PHI)][axis - 1]
    turned = np.flip(voxels, axis).tobytes("F")
    there = read(pack({(0xD000, 1): voxels.tobytes("F")}))
    back = read(pack({(0xD000, 1): turned, tag: angles[::-1].tobytes()}))
    np.testing.assert_array_equal(there.array, back.array)


def test_angles_that_are_not_evenly_spaced_are_honoured(read):
    """A point stays in place if half of the planes are left out on one side."""
    voxels = np.zeros(SHAPE, np.uint8)
    voxels[29:32, 18:21, 20:23] = 200
    keep = [*range(0, 14, 2), *range(14, 30)]
    few = read(
        pack(
            {
                (0xC000, 3): struct.pack("<H", len(keep)),
                (0xC300, 1): PHI[keep].tobytes(),
                (0xD000, 1): voxels[:, :, keep].tobytes("F"),
            }
        )
    )
    assert np.abs(brightest(few) - position(30, 19, 21)).max() < 0.15


def test_the_voxel_size_is_chosen_and_space_does_not_move(read):
    voxels = np.zeros(SHAPE, np.uint8)
    voxels[28:33, 18:21, 13:16] = 200
    content = pack({(0xD000, 1): voxels.tobytes("F")})
    coarse = read(content, conversion=Conversion(voxel_size_mm=1.0))
    np.testing.assert_allclose(coarse.grid.spacing_mm, 1.0)
    assert np.abs(brightest(coarse) - brightest(read(content))).max() < 0.1


def test_mirror_exchanges_the_lateral_sides_and_says_so(read):
    voxels = np.zeros(SHAPE, np.uint8)
    voxels[30, 5, 14] = 200
    content = pack({(0xD000, 1): voxels.tobytes("F")})
    usual, mirrored = read(content), read(content, conversion=Conversion(mirror=True))
    np.testing.assert_allclose(brightest(mirrored), brightest(usual) * [-1, 1, 1])
    assert mirrored.grid.is_left_handed
    assert "left and right follow the usual convention" in " ".join(usual.warnings)
    assert mirrored.warnings == ("mirrored as asked: left and right are exchanged",)


def test_a_cartesian_file_has_cubic_voxels_in_metres_or_millimetres(read):
    voxels = np.arange(SHAPE[0] * SHAPE[1] * SHAPE[2], dtype=np.uint32).astype(np.uint8)
    gone = {(0xC300, 1): None, (0xC300, 2): None, (0xD000, 1): voxels.tobytes()}
    for value in (0.0004, 0.4):
        volume = read(pack({**gone, (0x0010, 0x22): struct.pack("<d", value)}))
        np.testing.assert_allclose(volume.grid.spacing_mm, 0.4)
        np.testing.assert_array_equal(volume.array, voxels.reshape(SHAPE, order="F"))
    with pytest.raises(UnreadableFile, match="without a voxel size"):
        read(pack(gone))
    assert read(pack(gone), spacing_mm=(0.5, 0.5, 0.5)).grid.spacing_mm[0] == 0.5


def test_a_sequence_is_read_frame_by_frame(read, tmp_path):
    frames = np.random.default_rng(0).integers(0, 255, (3, *SHAPE), np.uint8)
    sequence = b"".join(frame.tobytes("F") for frame in frames)
    content = pack({(0xD600, 1): sequence})
    with pytest.raises(UnreadableFile, match=r"sequence of 3 volumes.*--frame 0 to --frame 2"):
        read(content)
    for number, frame in enumerate(frames):
        there = read(content, frame=number)
        alone = read(pack({(0xD000, 1): frame.tobytes("F")}), name="alone.vol")
        np.testing.assert_array_equal(there.array, alone.array)
        assert there.name == f"case-{number:03d}"
    in_order = list(load_sequence(tmp_path / "case.vol"))
    assert [volume.name for volume in in_order] == ["case-000", "case-001", "case-002"]
    np.testing.assert_array_equal(in_order[2].array, there.array)
    assert [volume.name for volume in load_sequence(tmp_path / "alone.vol")] == ["alone"]
    with pytest.raises(UnreadableFile, match="a frame from 0 to 2, found frame 3"):
        read(content, frame=3)


@pytest.mark.parametrize("name", ["case.vol", "CASE.VOL", "case.v00"])
def test_every_usual_suffix_is_known(read, name):
    assert not any("named" in warning for warning in read(pack(), name=name).warnings)
    assert any("named .nrrd" in warning for warning in read(pack(), name="a.nrrd").warnings)


def test_nothing_of_the_patient_leaves_the_file(read):
    volume = read(pack())
    assert "DOE" not in repr((volume.facts, volume.warnings, volume.name))
    assert volume.facts["field of view"].startswith("60.0 degrees across, sweep of 50.0 degrees")


def test_a_kretz_file_inside_of_another_file_is_found_at_its_place(tmp_path):
    """As a DICOM element holds it: bytes before it, and one zero after it."""
    kretz = parse_kretz(memoryview(pack(end=False) + b"\0"), "element")
    header = header_from_kretz(kretz, tmp_path / "case.dcm", data_start=1000)
    assert header.skip_file == 1000 + len(pack(end=False)) - int(np.prod(SHAPE))


def change(tag, form, *values):
    return {tag: struct.pack(form, *values)}


NAN, INF = float("nan"), float("inf")
CUBIC = {(0xC300, 1): None, (0xC300, 2): None}
DEEP = {(0xC000, 1): struct.pack("<H", 210), (0xD000, 1): bytes(210 * 40 * 30)}
MALFORMED = {
    "no magic": (b"KRETZFILE 2.0   " + pack()[16:], "expected"),
    "magic only": (pack()[:16], "number of voxels"),
    "cut in the header": (pack()[:60], ""),
    "cut in the voxels": (pack(end=False)[:-1000], "cut short"),
    "an item of 4 GB": (pack()[:24] + b"\1\0\2\0\xff\xff\xff\xff" + pack()[24:], "cut short"),
    "no dimension": (pack({(0xC000, 2): None}), "voxels along J"),
    "a dimension of no bytes": (pack({(0xC000, 2): b""}), "voxels along J"),
    "a dimension of 0": (pack(change((0xC000, 1), "<H", 0)), "found shape"),
    "other dimensions": (pack(change((0xC000, 1), "<H", 61)), "compression"),
    "dimensions beyond the file": (pack(change((0xC000, 1), "<H", 65535)), "compression"),
    "no lateral angles": (pack({(0xC300, 2): None}), "lateral angles, found none"),
    "no sweep angles": (pack({(0xC300, 1): None}), "sweep angles, found none"),
    "too few angles": (pack({(0xC300, 1): PHI[:-1].tobytes()}), "found 232 bytes"),
    "angles of NaN": (pack({(0xC300, 1): np.full(30, NAN).tobytes()}), "NaN"),
    "one infinite angle": (pack({(0xC300, 2): np.append(THETA[1:], INF).tobytes()}), "NaN"),
    "equal angles": (pack({(0xC300, 2): np.zeros(40).tobytes()}), "no order"),
    "angles in disorder": (pack({(0xC300, 2): np.roll(THETA, 3).tobytes()}), "no order"),
    "angles of degrees": (pack({(0xC300, 2): np.degrees(THETA).tobytes()}), "degrees"),
    "no resolution": (pack({(0xC100, 1): None}), "radial resolution"),
    "resolution 0": (pack(change((0xC100, 1), "<d", 0)), "radial resolution"),
    "resolution -1": (pack(change((0xC100, 1), "<d", -1e-3)), "radial resolution"),
    "resolution NaN": (pack(change((0xC100, 1), "<d", NAN)), "finite"),
    "resolution of 1 m": (pack(change((0xC100, 1), "<d", 1)), "radial resolution"),
    "resolution as float": (pack(change((0xC100, 1), "<f", 1e-3)), "found 4 bytes"),
    "no offset": (pack({(0xC200, 1): None}), "first offset"),
    "offset NaN": (pack(change((0xC200, 2), "<d", NAN)), "second offset"),
    "offset 1e300": (pack(change((0xC200, 1), "<d", 1e300)), "plausible radii"),
    "samples behind the axis": (pack(change((0xC200, 2), "<d", -60)), "axis of the sweep"),
    "no voxels": (pack({(0xD000, 1): None}), "Wavelet compression"),
    "compressed voxels": (pack({(0xD000, 1): bytes(range(250))}), "Wavelet compression"),
    "voxels too many": (pack({(0xD000, 1): bytes(60 * 40 * 30 + 77)}), "whole number of volumes"),
    "part of a sequence": (pack({(0xD600, 1): bytes(60 * 40 * 30 * 2 + 99)}), "whole number"),
    "endless items": (pack()[:16] + item(1, 1, b"") * 70000, "65536 items"),
    "few planes": (
        pack({
            (0xC000, 3): b"\3\0", (0xC300, 1): PHI[:3].tobytes(), (0xD000, 1): bytes(60 * 40 * 3)
        }),
        "at least 16 voxels",
    ),
    "zeros": (pack()[:16] + bytes(10_000_000), "number of voxels"),
    "no byte": (b"", "expected"),
    "half of the magic": (pack()[:9], "expected"),
    "one voxel": (
        pack({
            (0xC000, 1): b"\1\0", (0xC000, 2): b"\1\0", (0xC000, 3): b"\1\0", **CUBIC,
            (0x0010, 0x22): struct.pack("<d", 4e-4), (0xD000, 1): b"\1",
        }),
        "at least 16 voxels",
    ),
    "an empty sequence": (pack({(0xD600, 1): b"", (0xD000, 1): None}), "found none"),
    "a size of 0": (pack({**CUBIC, **change((0x0010, 0x22), "<d", 0)}), "voxel size"),
    "a size of NaN": (pack({**CUBIC, **change((0x0010, 0x22), "<d", NAN)}), "voxel size"),
    "a size of -1": (pack({**CUBIC, **change((0x0010, 0x22), "<d", -1)}), "voxel size"),
    "a size of 1 km": (pack({**CUBIC, **change((0x0010, 0x22), "<d", 1000)}), "voxel size"),
    "a size of 4 bytes": (pack({**CUBIC, **change((0x0010, 0x22), "<f", 4e-4)}), "voxel size"),
    "no size": (pack(CUBIC), "without a voxel size"),
    "a depth of 1 m": (pack(change((0xC100, 1), "<d", 4.9e-3) | DEEP), "expected"),
}  # fmt: skip


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_file_is_refused_in_one_line(tmp_path, capfd, what):
    content, words = MALFORMED[what]
    path = tmp_path / "case.vol"
    path.write_bytes(content)
    start = time.process_time()
    assert run(["info", str(path)]) == 2
    assert time.process_time() - start < 5.0
    told = capfd.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert told.err.startswith("fetusmap: ")
    assert words in told.err.replace(str(tmp_path), "")
    assert "DOE" not in told.err


@settings(max_examples=100)
@given(tail=st.binary(max_size=300), place=st.integers(16, 3000), new=st.binary(max_size=12))
def test_any_bytes_are_read_or_refused(tail, place, new):
    good = pack()
    for content in (good[:16] + tail, good[:place] + new + good[place + len(new) :]):
        try:
            kretz = parse_kretz(content, "case")
        except UnreadableFile as error:
            message = str(error)
        else:
            message = f"{kretz.facts} {kretz.warnings}"
            assert kretz.voxel_offset + kretz.frames * int(np.prod(kretz.shape)) <= len(content)
        assert message.isprintable()


@pytest.mark.parametrize("size", [0.0, -1.0, NAN, INF, 0.01, 100.0])
def test_a_voxel_size_that_makes_no_sense_is_refused(read, size):
    with pytest.raises(BadInput, match=r"voxel size: expected 0\.05 to 5 mm"):
        read(pack(), conversion=Conversion(voxel_size_mm=size))


def test_a_spacing_is_refused_because_the_beams_state_all_lengths(read):
    with pytest.raises(BadInput, match="--voxel-size"):
        read(pack(), spacing_mm=(0.5, 0.5, 0.5))


def test_small_voxels_of_a_deep_sweep_are_refused_before_anything_is_computed(read):
    with pytest.raises(UnreadableFile, match=r"at most .* voxels"):
        read(pack(change((0xC100, 1), "<d", 5e-3)), conversion=Conversion(voxel_size_mm=0.05))


def test_few_samples_do_not_become_very_many_voxels(read):
    """A file of 72 kB whose sweep would fill 150 million voxels."""
    deep = pack(
        {
            **change((0xC100, 1), "<d", 4e-3),
            (0xC200, 1): struct.pack("<d", 20.0),
            (0xC200, 2): struct.pack("<d", -5.0),
            (0xC300, 1): (PHI * 1.2).tobytes(),
        }
    )
    with pytest.raises(UnreadableFile, match="voxels for each stored sample"):
        read(deep)
    assert read(deep, conversion=Conversion(voxel_size_mm=3.0)).array.size < 2e6


@settings(deadline=None, max_examples=30)
@given(
    radius=st.floats(5, 80),
    behind=st.floats(-30, 60),
    half_deg=st.tuples(st.floats(5, 60), st.floats(5, 60)),
)
def test_lattice_and_format_agree_about_every_probe(radius, behind, half_deg):
    """The lattice of the reader is the formula of the format, for each sample of its corners."""
    theta, phi = (
        np.radians(np.linspace(-h, h, n)) for h, n in zip(half_deg, (40, 30), strict=True)
    )
    content = pack(
        {
            (0xC200, 1): struct.pack("<d", radius),
            (0xC200, 2): struct.pack("<d", -behind),
            (0xC300, 1): phi.tobytes(),
            (0xC300, 2): theta.tobytes(),
        }
    )
    if radius * np.cos(theta[-1]) - behind <= 0:
        with pytest.raises(UnreadableFile, match="axis of the sweep"):
            parse_kretz(content, "case")
        return
    lattice = parse_kretz(content, "case").lattice
    assert all(a < b for a, b in pairwise(lattice.thetas_rad))
    for i, j, k in ((0, 0, 0), (59, 39, 29), (30, 5, 20)):
        r = radius + i
        x, depth, sweep = lattice.to_world([i, theta[j], phi[k]])
        assert x == pytest.approx(r * np.sin(theta[j]))
        assert sweep == pytest.approx(np.sin(phi[k]) * (r * np.cos(theta[j]) - behind))
        assert depth + radius == pytest.approx(
            behind * (1 - np.cos(phi[k])) + r * np.cos(theta[j]) * np.cos(phi[k])
        )
