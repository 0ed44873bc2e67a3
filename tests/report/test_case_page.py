"""The page of a case: what it says, that it stays small, and that names in it are only text."""

import base64
import gzip
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from fetusmap.anatomy import CHARTS, Pose, Provenance, Quality, load_skeleton, reference_pose
from fetusmap.geometry import Grid
from fetusmap.io import load_volume
from fetusmap.quality import NO_FETUS
from fetusmap.report import MAX_PAGE_BYTES, case_page, thumbnail
from fetusmap.volume import Volume

SCRIPT = "</script><script>alert(1)</script>&\"'"


class Page(HTMLParser):
    """The elements of a page with their attributes, and the text of those that have an id."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: dict[str, str] = {}
        self.open: list[str | None] = []
        self.all = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "img", "input", "line", "br", "link"):
            self.open.append(dict(attrs).get("id"))

    def handle_endtag(self, tag):  # noqa: ARG002
        if self.open:
            self.open.pop()

    def handle_data(self, data):
        self.all += data
        for name in self.open:
            if name:
                self.texts[name] = self.texts.get(name, "") + data


def a_volume(shape=(40, 36, 44), spacing_mm=2.0) -> Volume:
    grey = np.random.default_rng(0).integers(1, 200, shape).astype(np.uint8)
    return Volume(grey, Grid.centered(shape, (spacing_mm,) * 3, (0.0, 0.0, 0.0)))


@pytest.fixture(scope="module")
def pose() -> Pose:
    found = reference_pose(60.0, load_skeleton("fetus-22"))
    quality = Quality(score=0.91, fetus=0.99, sides=0.97, reasons=("the left arm is doubtful",))
    provenance = Provenance(warnings=("the orientation was assumed",), changes=("arms exchanged",))
    return replace(found, quality=quality, provenance=provenance)


@pytest.fixture(scope="module")
def page(pose) -> Page:
    return Page(case_page(a_volume(), pose, "ward2-scan"))


def test_the_page_says_what_was_found_and_what_is_doubtful(page, pose):
    assert "60.0 mm" in page.texts["crl"]
    # 40.9041 + 3.21585 sqrt(60) + 0.348956 * 60 = 86.75 days
    assert page.texts["age"].startswith("12+2")
    assert "the left arm is doubtful" in page.texts["doubts"]
    assert "the orientation was assumed" in page.texts["doubts"]
    assert "arms exchanged" in page.texts["changes"]
    assert "not a medical device" in page.all
    for name in pose.skeleton.landmarks:
        assert name.replace("_", " ") in page.all


def test_the_script_gets_the_pose_in_the_frame_of_the_embedded_volume(page, pose, tmp_path):
    data = json.loads(page.texts["case-data"])
    found = [mark["position_mm"] for mark in data["landmarks"]]
    np.testing.assert_allclose(found, pose.positions_mm, atol=0.006)
    sides = {(s["start"], s["end"]): s["side"] for s in data["segments"]}
    wrist, elbow = (pose.skeleton.index(f"left_{joint}") for joint in ("wrist", "elbow"))
    assert sides.get((elbow, wrist), sides.get((wrist, elbow))) == "left"
    (tmp_path / "v.nii.gz").write_bytes(base64.b64decode(page.texts["volume"]))
    np.testing.assert_allclose(
        load_volume(tmp_path / "v.nii.gz").grid.affine, a_volume().grid.affine, atol=1e-4
    )


def test_the_chart_in_the_page_gives_the_centiles_of_the_package(page):
    chart = json.loads(page.texts["case-data"])["chart"]
    mean = CHARTS["crown_rump_length"].mean_mm
    assert chart["mean_mm"][84 - chart["first_day"]] == pytest.approx(mean(84.0), abs=1e-3)
    assert chart["first_day"] + len(chart["sd_mm"]) - 1 == 105


def test_a_volume_of_noise_that_does_not_compress_fits_into_the_limit(pose):
    html = case_page(a_volume((230, 220, 240), 0.4), pose, "large")
    assert 0.7 * MAX_PAGE_BYTES < len(html.encode()) <= MAX_PAGE_BYTES
    page = Page(html)
    assert "resampled to" in page.all
    voxels = gzip.decompress(base64.b64decode(page.texts["volume"]))
    assert len(voxels) < MAX_PAGE_BYTES


@pytest.mark.parametrize("absent", [True, False])
def test_a_case_without_a_fetus_has_no_measurements(pose, absent):
    positions = np.full_like(pose.positions_mm, np.nan) if absent else pose.positions_mm
    quality = Quality(score=0.01, fetus=0.02, reasons=(NO_FETUS, "the volume is too small"))
    html = case_page(a_volume(), Pose(pose.skeleton, positions, quality=quality), "empty")
    page = Page(html)
    assert "No fetus was found" in page.texts["no-fetus"]
    assert "too small" in page.texts["doubts"]
    assert NO_FETUS not in page.texts["doubts"]
    assert not {"crl", "age", "centile"} & set(page.texts)
    assert json.loads(page.texts["case-data"])["landmarks"] == []
    assert "left wrist" not in page.all


def test_names_are_text_and_never_markup(pose, page):
    skeleton = replace(
        pose.skeleton,
        name=SCRIPT,
        landmarks=tuple(f"{n} {SCRIPT}" if n == "head" else n for n in pose.skeleton.landmarks),
        segments=(),
        mirror_pairs=(),
        angles=(),
        trunk=None,
        crown_rump_ends=None,
        crown_rump=None,
        lateral_pairs=(),
        registration_subset=(),
        limbs=(),
    )
    hostile = Pose(
        skeleton,
        pose.positions_mm,
        quality=Quality(score=0.5, reasons=(SCRIPT,)),
        provenance=Provenance(model=SCRIPT, warnings=(SCRIPT,), changes=(SCRIPT,)),
    )
    found = Page(case_page(a_volume(), hostile, SCRIPT))
    assert found.tags.count("script") == page.tags.count("script") == 3
    assert not any(name.startswith("on") or name == "style" for name, _ in found.attributes)
    assert json.loads(found.texts["case-data"])["landmarks"][0]["name"].endswith(SCRIPT)
    assert found.all.count(SCRIPT) >= 6


def test_the_policy_allows_the_one_script_only(page):
    (policy,) = [value for _, value in page.attributes if value and "default-src" in value]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert not any(
        name in ("src", "href") and not str(value).startswith("data:")
        for name, value in page.attributes
    )


def test_the_same_case_gives_the_same_bytes(pose):
    first, second = (case_page(a_volume(), pose, "twice") for _ in range(2))
    assert first == second
    assert not re.search(r"20\d\d-\d\d-\d\d", first.split("<script", 1)[0])
    assert thumbnail(a_volume(), pose) == thumbnail(a_volume(), pose)
