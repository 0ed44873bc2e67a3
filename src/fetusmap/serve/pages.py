"""The pages of the server: the application of the browser, a plain work list, and the interface."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from jinja2 import Environment, PackageLoader

from fetusmap.serve.application import Application
from fetusmap.serve.cases import case_list

MAX_LISTED = 500
"""Cases that the plain work list shows."""

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
}
APPLICATION_PAGE = "app.html"


def add_pages(app: FastAPI, application: Application, bundle: Path) -> None:
    """Add the pages to the application.

    Args:
        app: the application of FastAPI.
        application: what the routes do.
        bundle: folder with the files of the browser; only files that are there now are sent.
    """
    files = _files_of(bundle)
    pages = Environment(loader=PackageLoader("fetusmap.serve"), autoescape=True)

    def start_page() -> Response:
        if APPLICATION_PAGE in files:
            return _static(files[APPLICATION_PAGE])
        cases = case_list(
            application.workspace,
            state=None,
            order="doubtful",
            search="",
            offset=0,
            limit=MAX_LISTED,
        )
        return HTMLResponse(pages.get_template("work_list.html").render(list=cases))

    def api_page(request: Request) -> Response:
        document = request.app.openapi()
        return HTMLResponse(pages.get_template("api.html").render(document=document))

    def static_file(name: str) -> Response:
        if name not in files:
            raise HTTPException(404, "no such file")
        return _static(files[name])

    app.add_api_route("/", start_page, include_in_schema=False)
    app.add_api_route("/api", api_page, include_in_schema=False)
    app.add_api_route("/static/{name:path}", static_file, include_in_schema=False)


def _static(path: Path) -> Response:
    return FileResponse(path, media_type=MEDIA_TYPES[path.suffix])


def _files_of(folder: Path) -> dict[str, Path]:
    """Return the files that may be sent, by their names; nothing else in the folder is."""
    if not folder.is_dir():
        return {}
    paths = [p for p in folder.rglob("*") if p.is_file() and p.suffix in MEDIA_TYPES]
    return {path.relative_to(folder).as_posix(): path for path in paths}
