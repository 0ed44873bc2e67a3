"""The correction application in a real browser: every action, planted errors, tabs, failures."""

import contextlib
import time

import numpy as np
import pytest
from playwright.sync_api import expect

from fetusmap.corrections import CORRECTIONS_FILE, corrected_pose, read_log
from fetusmap.io import load_pose, save_volume
from tests.browser.conftest import WATCH_POLICY, WITHOUT_WEBGL2
from tests.browser.planted import (
    HOSTILE,
    PLANTED,
    SKELETON,
    bright_spots,
    changed,
    planted_server,
    truth,
)
from tests.serve.conftest import TOKEN

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The folder of a server with planted errors, and its address."""
    root = tmp_path_factory.mktemp("app") / "results"
    with planted_server(root) as url:
        yield root, url


@pytest.fixture(scope="module")
def context(browser, address):
    """A browser window that knows the token and the name of the person."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(30_000)
    expect.set_options(timeout=10_000)
    context.add_init_script(WATCH_POLICY)
    context.add_init_script("localStorage.setItem('fetusmap-author', 'Anna')")
    yield context
    context.close()


@pytest.fixture(scope="module")
def app(context, address):
    """The application with its first case, and what went wrong in its console."""
    page = context.new_page()
    page.problems, page.is_cut_off = [], False
    page.route(
        "**/corrections",
        lambda route: route.abort() if page.is_cut_off else route.continue_(),
    )
    page.on("console", lambda m: m.type == "error" and page.problems.append(m.text))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.goto(f"{address[1]}?token={TOKEN}")
    wait_ready(page)
    yield page
    assert page.problems == []
    assert page.evaluate("[window.violations.length, window.hacked === undefined]") == [0, True]


def wait_ready(page):
    page.locator("body[data-ready=true]").wait_for()


def open_case(page, name):
    page.locator("#cases").get_by_role("button", name=name).click()
    page.locator(f"body[data-case='{name}'][aria-busy=false]").wait_for()


def choose(page, landmark):
    page.locator("#landmarks").get_by_role("button", name=landmark).click()
    expect(page.locator("#selected-name")).to_have_text(landmark)


def saved(page, words):
    expect(page.locator("#message")).to_have_text(f"Saved: {words}.")
    page.locator("body[aria-busy=false]").wait_for()


def pixels(page, point):
    """Where the axial, coronal and sagittal slice and the 3D view show a point."""
    return page.evaluate("point => window.fetusmap.pixelsOf(point)", [*map(float, point)])


def pose_of(root, name):
    folder = root / name
    return corrected_pose(load_pose(folder / "pose.json"), read_log(folder / CORRECTIONS_FILE))


def actions_of(root, name):
    return [entry.action for entry in read_log(root / name / CORRECTIONS_FILE).entries]


def drag(page, start, dx, dy):
    page.mouse.move(start["x"], start["y"])
    page.mouse.down()
    page.mouse.move(start["x"] + dx / 2, start["y"] + dy / 2)
    page.mouse.move(start["x"] + dx, start["y"] + dy)
    page.mouse.up()


def finish(page, then):
    """Accept the case with a key; seconds until the next one is shown."""
    start = time.perf_counter()
    page.keyboard.press("Enter")
    page.locator(f"body[data-case='{then}'][aria-busy=false]").wait_for()
    return time.perf_counter() - start


def test_planted_errors_take_few_clicks_and_keys(app, address):
    root, right = address[0], truth()
    assert app.locator("body").get_attribute("data-case") == "1-wrist"  # the most doubtful one
    choose(app, "left wrist")
    start = pixels(app, changed("left_wrist", (6.0, 0.0, 4.0))["left_wrist"].position_mm)[1]
    aim = pixels(app, right["left_wrist"].position_mm)[1]
    drag(app, start, aim["x"] - start["x"], aim["y"] - start["y"])
    saved(app, "move")
    seconds = [finish(app, "2-arm")]
    choose(app, "left elbow")
    app.keyboard.press("x")
    saved(app, "exchange left and right")
    seconds.append(finish(app, "3-body"))
    app.keyboard.press("Shift+X")
    saved(app, "exchange left and right")
    seconds.append(finish(app, "4-missing"))
    app.keyboard.press("n")
    expect(app.locator("#selected-name")).to_have_text("crown")
    app.keyboard.press("c")
    aim = pixels(app, right["crown"].position_mm)[1]
    app.mouse.click(aim["x"], aim["y"])
    saved(app, "move")
    seconds.append(finish(app, "5-right"))
    print("\nwrist: 1 click, 1 drag, 1 key; arm: 1 click, 2 keys; body: 2 keys; "
          f"missing: 1 click, 3 keys; next case after {np.median(seconds):.2f} s")  # fmt: skip
    for name in [*PLANTED][:4]:
        assert actions_of(root, name)[-1] == "accept_case"
        off_mm = np.abs(pose_of(root, name).positions_mm - right.positions_mm)
        if name == "4-missing":  # one click gives a place in the slice, not its depth
            off_mm[SKELETON.index("crown"), 1] = 0.0
        assert off_mm.max() < 1.0, name
    expect(app.locator("#progress-words")).to_have_text("4 of 5 done")


def test_a_landmark_follows_the_pointer_in_every_view_and_steps_go_back_and_forth(app, address):
    root = address[0]
    open_case(app, "5-right")
    choose(app, "right knee")
    row, before = SKELETON.index("right_knee"), truth()["right_knee"].position_mm
    depth_axis = {0: 2, 1: 1, 2: 0}
    for view in range(4):
        at = pose_of(root, "5-right").positions_mm[row]
        drag(app, pixels(app, at)[view], 14, 9)
        saved(app, "move")
        moved = pose_of(root, "5-right").positions_mm[row] - at
        assert 1.0 < np.linalg.norm(moved) < 20.0
        if view in depth_axis:
            assert abs(moved[depth_axis[view]]) < 1e-6
        app.locator("#message").evaluate("element => element.textContent = ''")
    for key in "zzzz":
        app.keyboard.press(key)
        saved(app, "undo")
        app.locator("#message").evaluate("element => element.textContent = ''")
    np.testing.assert_array_equal(pose_of(root, "5-right").positions_mm[row], before)
    expect(app.get_by_role("button", name="Undo", exact=False).first).to_be_disabled()
    app.keyboard.press("y")
    saved(app, "redo")
    assert pose_of(root, "5-right")["right_knee"].review == "moved"
    app.reload()
    wait_ready(app)
    assert app.locator("body").get_attribute("data-case") == "5-right"
    knee = app.locator("#landmarks tr", has_text="right knee")
    expect(knee).to_contain_text("moved")
    app.keyboard.press("z")
    saved(app, "undo")


def test_a_drag_is_shown_within_50_ms(app):
    choose(app, "left knee")
    at = pixels(app, truth()["left_knee"].position_mm)[0]
    app.mouse.move(at["x"], at["y"])
    app.mouse.down()
    app.wait_for_timeout(500)
    times = app.evaluate(
        """async ({x, y}) => {
          const words = document.getElementById('selected-words'), times = []
          for (let n = 1; n <= 12; n++) {
            const before = words.textContent, start = performance.now()
            const place = {clientX: x + 3 * n, clientY: y + n, bubbles: true, pointerId: 1}
            document.getElementById('canvas').dispatchEvent(new PointerEvent('pointermove', place))
            while (words.textContent === before) await new Promise(requestAnimationFrame)
            times.push(performance.now() - start)
          }
          return times
        }""",
        at,
    )
    app.mouse.up()
    saved(app, "move")
    print(f"\na drag is shown after {np.median(times):.0f} ms")
    assert min(times) <= 50
    app.keyboard.press("z")
    saved(app, "undo")


def test_every_button_does_what_it_says(app, address):
    root, name = address[0], "5-right"
    done = len(actions_of(root, name))

    def press(command, words):
        app.locator(f"[data-command={command}]").click()
        saved(app, words)

    choose(app, "neck")
    press("accept", "accept")
    choose(app, "left hand")
    press("absent", "not in the volume")
    choose(app, "right hand")
    press("outside", "outside")
    press("reset", "as predicted")
    press("here", "move")
    press("limb", "exchange left and right")
    press("body", "exchange left and right")
    press("ask", "others follow")
    press("undo", "undo")
    press("redo", "redo")
    app.locator("[data-command=problem]").click()
    app.locator("#note").fill(HOSTILE)
    app.get_by_role("button", name="Cannot be annotated").click()
    app.locator("body[aria-busy=false]").wait_for()
    expect(app.locator("#case-state")).to_contain_text(HOSTILE)
    press("reopen", "to do again")
    assert actions_of(root, name)[done:] == [
        "accept", "absent", "outside", "reset", "move", "exchange", "exchange", "ask", "undo",
        "redo", "problem", "reopen",
    ]  # fmt: skip
    assert app.locator("#doubt-list li").first.inner_text() == f"reason {HOSTILE}"


def test_views_zoom_contrast_and_help(app):
    for words in ("Slices", "3D", "Slices and 3D"):
        app.keyboard.press("v")
        expect(app.locator("#layout")).to_have_text(words)
    choose(app, "sacrum")
    at = truth()["sacrum"].position_mm
    before = [pixels(app, at + axis)[1]["x"] - pixels(app, at)[1]["x"] for axis in np.eye(3)]
    app.locator("#zoom-in").click()
    after = [pixels(app, at + axis)[1]["x"] - pixels(app, at)[1]["x"] for axis in np.eye(3)]
    np.testing.assert_allclose(after, np.multiply(before, 1.25), atol=0.02)
    app.locator("#zoom-out").click()
    app.keyboard.press("]")
    assert app.locator("#brightness").input_value() == "10"
    app.locator("#restore").click()
    assert app.locator("#brightness").input_value() == "0"
    app.keyboard.press("b")
    expect(app.locator("#predicted")).to_have_attribute("aria-pressed", "true")
    expect(app.locator("[data-command=accept_case]")).to_be_disabled()
    app.keyboard.press("b")
    app.keyboard.press("?")
    expect(app.locator("#help-dialog")).to_contain_text("exchange left and right of the body")
    app.keyboard.press("Escape")
    app.keyboard.press("l")
    expect(app.locator("#work-list")).to_be_hidden()
    app.keyboard.press("/")
    app.keyboard.type("arm")
    expect(app.locator("#cases li")).to_have_count(1)
    app.locator("#search").fill("")
    app.locator("#show-state").select_option("done")
    expect(app.locator("#cases li")).to_have_count(4)
    app.locator("#show-state").select_option("")
    expect(app.locator("#cases li")).to_have_count(5)


def test_keys_alone_move_a_landmark(app, address):
    app.locator("body").evaluate("() => document.activeElement.blur()")
    choose(app, "rump")
    app.locator("body").evaluate("() => document.activeElement.blur()")
    before = pose_of(address[0], "5-right")["rump"].position_mm
    for key in ("ArrowLeft", "ArrowLeft", "PageUp"):
        app.keyboard.press(f"Shift+{key}")
    moved = np.zeros(3)
    for _ in range(100):  # keys that follow each other slowly are several corrections
        app.wait_for_timeout(100)
        moved = pose_of(address[0], "5-right")["rump"].position_mm - before
        if moved[2] and app.locator("body[aria-busy=false]").count():
            break
    np.testing.assert_allclose(moved, (2.0, 0.0, 1.0), atol=1e-9)
    assert actions_of(address[0], "5-right")[-1] == "move"


def test_another_window_sees_a_correction(app, context, address):
    other = context.new_page()
    other.goto(f"{address[1]}#case=5-right")
    wait_ready(other)
    choose(other, "head")
    other.locator("[data-command=accept]").click()
    saved(other, "accept")
    expect(app.locator("#landmarks tr", has_text="head")).to_contain_text("accepted")
    other.close()


def test_what_fails_is_shown_and_can_be_repeated(app, address):
    done = len(actions_of(address[0], "5-right"))
    choose(app, "left foot")
    app.is_cut_off = True
    app.keyboard.press("d")
    expect(app.locator("#alert")).to_contain_text("The server does not answer")
    assert len(actions_of(address[0], "5-right")) == done
    app.is_cut_off = False
    app.get_by_role("button", name="Repeat").click()
    saved(app, "not in the volume")
    expect(app.locator("#alert")).to_be_hidden()
    assert len(actions_of(address[0], "5-right")) == done + 1
    app.problems[:] = [words for words in app.problems if "ERR_FAILED" not in words]


def test_a_volume_can_be_added_and_one_that_is_none_is_refused(app, tmp_path):
    save_volume(bright_spots(), tmp_path / "new scan.nii.gz")
    (tmp_path / "broken.nii.gz").write_bytes(b"no volume")
    app.locator("#upload-files").set_input_files(
        [tmp_path / "broken.nii.gz", tmp_path / "new scan.nii.gz"]
    )
    jobs = app.locator("#job-list")
    expect(jobs).to_contain_text("Refused: broken.nii.gz")
    expect(jobs).to_contain_text("failed: the model is too large for this test")
    expect(app.locator("#cases")).to_contain_text("new_scan")
    app.problems[:] = [words for words in app.problems if "422" not in words]


def test_without_webgl2_pictures_and_buttons_remain(browser, address):
    with contextlib.closing(browser.new_context()) as plain:
        plain.set_default_timeout(30_000)
        plain.add_init_script(WITHOUT_WEBGL2)
        page = plain.new_page()
        page.goto(f"{address[1]}?token={TOKEN}")
        wait_ready(page)
        page.goto(f"{address[1]}#case=4-missing")
        page.locator("body[data-case='4-missing']").wait_for()
        expect(page.locator("#notice")).to_contain_text("WebGL 2")
        page.locator("#picture").evaluate("image => image.decode()")
        choose(page, "left shoulder")
        page.locator("[data-command=limb]").click()
        page.locator("#name").fill("Bert")
        page.get_by_role("button", name="Use this name").click()
        saved(page, "exchange left and right")
        entry = read_log(address[0] / "4-missing" / CORRECTIONS_FILE).entries[-1]
        assert (entry.author, entry.action) == ("Bert", "exchange")
