"""One headless Chromium for all tests of the pages."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

WATCH_POLICY = """
window.violations = []
addEventListener('securitypolicyviolation', (event) => {
  window.violations.push(event.violatedDirective + ' ' + event.blockedURI)
})
"""
WITHOUT_WEBGL2 = """
const getContext = HTMLCanvasElement.prototype.getContext
HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
  return kind === 'webgl2' ? null : getContext.call(this, kind, ...rest)
}
"""


@dataclass
class Opened:
    """A page in the browser, what it wrote to the console, and what it asked for."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def check_clean(self) -> None:
        """Check that nothing went wrong and that nothing but files was asked for."""
        assert self.errors == []
        assert self.page.evaluate("window.violations") == []
        assert [
            url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))
        ] == []


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium of the system, which draws WebGL in software."""
    program = shutil.which("chromium")
    if program is None:
        if os.environ.get("FETUSMAP_REQUIRE_BROWSER"):
            pytest.fail("no chromium; install it with: apt-get install chromium")
        pytest.skip("no chromium; install it with: apt-get install chromium")
    words = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=words)
        yield started
        started.close()


@pytest.fixture(scope="module")
def show(browser: Browser) -> Iterator[Callable[..., Opened]]:
    """A function that opens a file with the network cut off."""
    contexts = []

    def open_file(path: Path, *, webgl2: bool = True, width: int = 1000) -> Opened:
        context = browser.new_context(viewport={"width": width, "height": 800}, offline=True)
        contexts.append(context)
        context.add_init_script(WATCH_POLICY + ("" if webgl2 else WITHOUT_WEBGL2))
        opened = Opened(context.new_page())
        opened.page.set_default_timeout(20_000)
        opened.page.on("console", lambda m: m.type == "error" and opened.errors.append(m.text))
        opened.page.on("pageerror", lambda error: opened.errors.append(str(error)))
        opened.page.on("request", lambda request: opened.requests.append(request.url))
        opened.page.goto(path.as_uri())
        return opened

    yield open_file
    for context in contexts:
        context.close()
