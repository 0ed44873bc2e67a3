"""Build hook: bundles the browser's part of the package before a wheel or an sdist is made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class WebBundle(BuildHookInterface):  # type: ignore[type-arg]
    """Builds `web/` into `src/fetusmap/report/bundle/`, also for an editable install."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Build the bundle; an sdist holds a finished one."""
        tools = Path(self.root, "web", "tools.py")
        if not tools.is_file():
            return
        if subprocess.run([sys.executable, str(tools), "build"], check=False).returncode:
            self.app.abort("The pages for the browser could not be built; see the line above.")
