"""The pages in a real browser: what they show, and that they need nothing but themselves."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from fetusmap.anatomy import Pose, Quality, load_skeleton, reference_pose
from fetusmap.geometry import Grid
from fetusmap.quality import NO_FETUS
from fetusmap.report import CohortRow, case_page, cohort_page, thumbnail
from fetusmap.volume import Volume

pytestmark = pytest.mark.browser

BLOB_AT = "left_hand"
HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"


def a_pose() -> Pose:
    pose = reference_pose(70.0, load_skeleton("fetus-22"))
    return replace(pose, quality=Quality(score=0.9, fetus=0.99, sides=0.98))


def dark_but_for_a_blob(pose: Pose) -> Volume:
    """A dark volume around a pose, with one bright ball of 12 mm radius at a landmark."""
    shape = (56, 48, 60)
    grid = Grid.centered(shape, (2.0, 2.0, 2.0), pose.positions_mm.mean(axis=0))
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    away = np.linalg.norm(grid.to_world(index) - pose[BLOB_AT].position_mm, axis=-1)
    return Volume(np.where(away < 12, 200, 10).astype(np.uint8), grid)


def wait_for(page, viewer: str) -> None:
    page.locator(f"body[data-viewer={viewer}]").wait_for()


def pixels(page, selector: str = "#canvas") -> np.ndarray:
    """The (H, W, 3) picture of an element."""
    picture = page.locator(selector).screenshot()
    return np.asarray(Image.open(BytesIO(picture)).convert("RGB")).astype(int)


def bright(picture: np.ndarray) -> np.ndarray:
    """(H, W) where the ball is: bright and without a colour, unlike the crosshair."""
    return (picture.min(axis=-1) > 150) & (np.ptp(picture, axis=-1) < 30)


def changed(one: np.ndarray, other: np.ndarray) -> int:
    """How many pixels clearly differ."""
    return int((np.abs(one - other).max(axis=-1) > 15).sum())


@pytest.fixture(scope="module")
def live(show, tmp_path_factory):
    path = tmp_path_factory.mktemp("case") / "report.html"
    pose = a_pose()
    path.write_text(case_page(dark_but_for_a_blob(pose), pose, "ward2-scan"))
    opened = show(path)
    wait_for(opened.page, "ready")
    return opened


def press(page, landmark: str) -> None:
    page.get_by_role("button", name=landmark, exact=True).click()


def test_the_page_of_a_case_draws_its_volume_from_disk_without_network(live):
    assert live.page.title() == "ward2-scan · FetusMap"
    assert live.page.locator(".stills").is_hidden()
    picture = pixels(live.page)
    assert picture.std() > 5
    assert picture.max() > 100
    live.check_clean()


def test_a_landmark_of_the_list_moves_the_slices_to_it(live):
    page = live.page
    page.get_by_role("button", name="Slices", exact=True).click()
    press(page, "head")
    without = bright(pixels(page)).sum()  # letters and white bones
    press(page, "left hand")
    assert bright(pixels(page)).sum() > without + 1000
    assert page.locator("tr.is-selected").inner_text().split("\t")[0].strip() == "left hand"
    assert page.locator("#selected").inner_text() == "left hand, confidence 100 %"
    live.check_clean()


def test_a_click_into_a_slice_selects_the_landmark_that_lies_there(live):
    page = live.page
    page.get_by_role("button", name="Slices", exact=True).click()
    press(page, "left hand")
    places = np.argwhere(bright(pixels(page)))
    first = places[np.linalg.norm(places - places[0], axis=1) < 90]  # the ball in one slice
    row, column = first.mean(axis=0)
    box = page.locator("#canvas").bounding_box()
    page.mouse.click(box["x"] + column + 70, box["y"] + row + 40)
    assert "left hand" not in page.locator("#selected").inner_text()
    page.mouse.click(box["x"] + column, box["y"] + row)
    expect(page.locator("#selected")).to_have_text("left hand, confidence 100 %")
    live.check_clean()


def test_the_keyboard_alone_reaches_and_presses_a_landmark(live):
    page = live.page
    page.get_by_role("button", name="3D", exact=True).focus()
    for _ in range(12):
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.textContent.trim()")
        if name == "right shoulder":
            break
    page.keyboard.press("Enter")
    assert page.locator("#selected").inner_text().startswith("right shoulder")
    assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"


def test_the_three_layouts_differ_and_the_skeleton_hides_behind_the_volume(live):
    page = live.page
    pictures = []
    for name in ("Slices and 3D", "Slices", "3D"):
        page.get_by_role("button", name=name, exact=True).click()
        pictures.append(pixels(page))
        assert pictures[-1].std() > 3
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert changed(pictures[one], pictures[other]) > 1000
    page.get_by_label("volume in 3D").uncheck()
    assert changed(pixels(page), pictures[2]) > 100
    page.get_by_label("volume in 3D").check()
    page.get_by_role("button", name="Slices and 3D", exact=True).click()
    live.check_clean()


def test_an_age_that_is_known_otherwise_gives_a_centile(live):
    page = live.page
    page.get_by_label("weeks", exact=True).fill("13")
    # (70 - (-50.6562 + 0.815118 * 91 + 0.00535302 * 91^2)) / (-2.21626 + 0.0984894 * 91) = 0.322
    assert (
        page.locator("#centile").inner_text() == "At this age the length lies on the 63rd centile."
    )
    page.get_by_label("weeks", exact=True).fill("20")
    assert page.locator("#centile").inner_text() == "The chart covers 8+2 to 15+0 weeks."


def test_without_webgl2_the_page_shows_still_pictures(show, tmp_path):
    pose = a_pose()
    (tmp_path / "report.html").write_text(case_page(dark_but_for_a_blob(pose), pose, "still"))
    opened = show(tmp_path / "report.html", webgl2=False)
    wait_for(opened.page, "still")
    assert opened.page.locator("#canvas").is_hidden()
    assert "WebGL 2" in opened.page.locator("#still-notice").inner_text()
    assert pixels(opened.page, ".stills img").std() > 5
    assert opened.page.locator(".stills svg line").count() == 2 * len(pose.skeleton.segments)
    opened.check_clean()


def test_a_case_without_a_fetus_shows_its_volume_alone(show, tmp_path):
    pose = replace(a_pose(), quality=Quality(score=0.01, fetus=0.02, reasons=(NO_FETUS,)))
    (tmp_path / "report.html").write_text(case_page(dark_but_for_a_blob(pose), pose, "empty"))
    opened = show(tmp_path / "report.html")
    wait_for(opened.page, "ready")
    assert "No fetus was found" in opened.page.locator("#no-fetus").inner_text()
    assert opened.page.locator("[data-row], #crl, #age").count() == 0
    assert pixels(opened.page).std() > 3
    opened.check_clean()


def test_script_in_names_and_reasons_does_nothing(show, tmp_path):
    pose = replace(a_pose(), quality=Quality(score=0.5, reasons=(HOSTILE,)))
    (tmp_path / "report.html").write_text(case_page(dark_but_for_a_blob(pose), pose, HOSTILE))
    (tmp_path / "index.html").write_text(cohort_page([row(HOSTILE, 0.5, remarks=HOSTILE)], HOSTILE))
    for name, ready in (("report.html", "still"), ("index.html", "")):
        opened = show(tmp_path / name, webgl2=False)
        if ready:
            wait_for(opened.page, ready)
        assert opened.page.locator("h1").inner_text() == HOSTILE
        assert HOSTILE in opened.page.locator("main").inner_text()
        assert opened.page.evaluate("window.hacked") is None
        assert opened.page.evaluate("window.violations") == []


def row(
    case: str, quality: float | None, *, remarks: str = "", has_page: bool = False
) -> CohortRow:
    return CohortRow(
        case=case, is_done=quality is not None, quality=quality,
        crown_rump_length_mm=None if quality is None else 40 + 40 * quality, age="12+2",
        age_days=86.7, remarks=remarks, warnings="", changes="", has_page=has_page,
    )  # fmt: skip


def cases_in(page) -> list[str]:
    return page.locator("#rows th").all_inner_texts()


def test_the_page_of_a_cohort_sorts_filters_and_leads_to_its_cases(show, tmp_path):
    pose = a_pose()
    (tmp_path / "scan 2").mkdir()
    volume = dark_but_for_a_blob(pose)
    (tmp_path / "scan 2" / "report.html").write_text(case_page(volume, pose, "scan 2"))
    (tmp_path / "scan 2" / "thumbnail.jpg").write_bytes(thumbnail(volume, pose))
    rows = [
        row("scan 10", 0.95), row("scan 2", 0.3, remarks="sides uncertain", has_page=True),
        row("broken", None, remarks="no volume"),
    ]  # fmt: skip
    (tmp_path / "index.html").write_text(cohort_page(rows, "cohort"))
    opened = show(tmp_path / "index.html")
    page = opened.page
    assert cases_in(page) == ["broken", "scan 2", "scan 10"]
    page.get_by_role("button", name="Case", exact=True).click()
    page.get_by_role("button", name="Case", exact=True).click()
    assert cases_in(page) == ["scan 10", "scan 2", "broken"]
    assert page.locator("[data-sort=case]").get_attribute("aria-sort") == "descending"
    page.get_by_label("Show").select_option("doubtful")
    assert cases_in(page) == ["scan 2"]
    page.get_by_role("button", name="Clear").click()
    bar = page.get_by_role("button", name="1 case, 0.95 and more")
    bar.click()
    assert cases_in(page) == ["scan 10"]
    bar.click()
    page.get_by_label("Search").fill("uncertain")
    expect(page.locator("#rows tr")).to_have_count(1)
    picture = page.locator("#rows img")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 288
    opened.check_clean()
    page.get_by_role("link", name="scan 2").click()
    wait_for(page, "ready")
    assert page.title() == "scan 2 · FetusMap"


def test_five_thousand_cases_are_sorted_within_a_second(show, tmp_path):
    rows = [row(f"scan-{n}", (n * 7919 % 5000) / 5000) for n in range(5000)]
    (tmp_path / "index.html").write_text(cohort_page(rows, "large"))
    page = show(tmp_path / "index.html").page
    assert cases_in(page)[0] == "scan-0"
    took_ms = page.evaluate(
        """() => {
          const start = performance.now()
          document.querySelector('[data-sort=quality] button').click()
          document.body.getBoundingClientRect()
          return performance.now() - start
        }"""
    )
    assert took_ms < 1000
    assert cases_in(page)[0] == f"scan-{next(n for n in range(5000) if n * 7919 % 5000 == 4999)}"
    assert len(cases_in(page)) < 500  # the others are added as the reader scrolls
    page.get_by_label("Search").fill("scan-4321")
    expect(page.locator("#rows tr")).to_have_count(1)
