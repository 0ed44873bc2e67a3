"""Open a case of `fetusmap serve` in 3D Slicer, and send the corrected landmarks back.

Paste this file into the Python console of 3D Slicer, or run it there with

    exec(open("slicer_review.py").read())

Then, with the address that `fetusmap serve` printed:

    open_case("http://127.0.0.1:8123/?token=...", "scan")
    # drag points; unset a point that the volume does not show; place one that was missing
    send_back("http://127.0.0.1:8123/?token=...", "scan", author="Anna")
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit
from urllib.request import Request, urlopen


def open_case(address: str, case: str) -> None:
    """Load the volume of a case, and its corrected landmarks with the segments between them."""
    import slicer

    folder = Path(tempfile.mkdtemp())
    for route, name in (
        ("volume.nii.gz", f"{case}.nii.gz"),
        ("results/pose.mrk.json", _file(case)),
    ):
        (folder / name).write_bytes(_ask(address, f"{quote(case)}/{route}"))
    slicer.util.loadVolume(str(folder / f"{case}.nii.gz"))
    slicer.util.loadMarkups(str(folder / _file(case)))


def send_back(address: str, case: str, author: str) -> list[str]:
    """Send the points back; only those that were edited change. Returns their names."""
    import slicer

    skeleton = json.loads(_ask(address, quote(case)))["skeleton"]["name"]
    path = Path(tempfile.mkdtemp()) / _file(case)
    slicer.util.saveNode(slicer.util.getNode(skeleton), str(path))
    route = f"{quote(case)}/markups?author={quote(author)}"
    answer = json.loads(_ask(address, route, path.read_bytes()))
    edited: list[str] = answer["history"]["entries"][-1]["landmarks"]
    return edited


def _file(case: str) -> str:
    return f"{case}.mrk.json"


def _ask(address: str, route: str, body: bytes | None = None) -> bytes:
    """Return the answer of the server; POST if there is a body."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https"):
        raise ValueError("give the address that fetusmap serve printed")
    headers = {
        "Authorization": f"Bearer {parse_qs(parts.query)['token'][0]}",
        "Content-Type": "application/json",
    }
    url = f"{parts.scheme}://{parts.netloc}/api/cases/{route}"
    with urlopen(Request(url, body, headers), timeout=60) as answer:  # noqa: S310
        content: bytes = answer.read()
    return content
