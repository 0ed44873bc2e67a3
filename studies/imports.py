"""Count the imports between the parts of a package: `python -m studies.imports SOURCE`.

This module imports nothing of the package itself, so that the tree that is examined need not be
the installed one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import grimp

PACKAGE = "fetusmap"


def count_imports(source: Path) -> dict[str, dict[str, int]]:
    """Count, for each part and each other part, the modules that import from it.

    A part is a package or a module directly below the root package. No code of it is executed.

    Args:
        source: folder that holds the root package.
    """
    sys.path.insert(0, str(source))
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=True, cache_dir=None)
    sys.path.remove(str(source))
    parts = sorted(child.partition(".")[2] for child in graph.find_children(PACKAGE))
    counts: dict[str, dict[str, int]] = {part: {} for part in parts if not part.startswith("_")}
    for module in sorted(graph.modules):
        importer = _part_of(module)
        others = {_part_of(other) for other in graph.find_modules_directly_imported_by(module)}
        for imported in sorted(others - {importer}):
            if importer in counts and imported in counts:
                counts[importer][imported] = counts[importer].get(imported, 0) + 1
    return {part: dict(sorted(found.items())) for part, found in counts.items()}


def _part_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


if __name__ == "__main__":
    print(json.dumps(count_imports(Path(sys.argv[1]))))
