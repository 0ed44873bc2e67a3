"""The pages of the server: the application of the browser, and plain pages without any script.

The application is `app.html` of the bundle; it is sent at `/`, and its other files at `/static/`.

The plain pages are shown as long as the application is not built, and at `/plain` in any case. They
offer every correction but dragging, with forms, for browsers without WebGL2 and for screen readers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, quote, urlencode

import numpy as np
from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader

from fetusmap.corrections import Action
from fetusmap.errors import BadInput, FetusmapError
from fetusmap.files import parse_document
from fetusmap.serve.application import Application
from fetusmap.serve.cases import PREVIEW_FILE, RESULT_FILES, case_detail, case_list
from fetusmap.serve.models import AuthorRequest, CaseDetail, CorrectionRequest

MAX_LISTED = 500
"""Cases that the plain work list shows."""

MAX_FORM_FIELDS = 100
STEPS: dict[str, Action] = {"undo": "undo", "redo": "redo"}

APPLICATION_PAGE = "app.html"
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
Author = Annotated[str, Query(max_length=80)]


class Pages:
    """Renders the plain pages and does what their forms ask for."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._templates = Environment(loader=PackageLoader("fetusmap.serve"), autoescape=True)

    def work_list(self, author: Author = "") -> Response:
        """The work list, the most doubtful cases first."""
        return self._page("work_list.html", list=self._cases(None), author=author)

    def case(self, case: str, author: Author = "") -> Response:
        """A case with its landmarks, and forms to correct them."""
        return self._case(case, author, "")

    async def correct(self, request: Request, case: str) -> Response:
        """Do what a form of the page of a case asks for."""
        fields = _fields(await request.body())
        author = fields.get("author", [""])[0]
        try:
            await run_in_threadpool(self._do, case, author, fields)
        except FetusmapError as error:
            return await run_in_threadpool(self._case, case, author, str(error))
        return RedirectResponse(f"/cases/{quote(case)}{_query(author)}", 303)

    def interface(self, request: Request) -> Response:
        """The description of the REST interface, made from its OpenAPI document."""
        return self._page("api.html", document=request.app.openapi())

    def _do(self, case: str, author: str, fields: dict[str, list[str]]) -> None:
        application = self._application
        served = application.workspace.case(case)
        action = fields.get("action", [""])[0]
        who = parse_document(AuthorRequest, {"author": author}, "name")
        if action in STEPS:
            application.step(served, who.author, STEPS[action])
        elif action == "ask":
            application.ask_again(served, who.author)
        else:
            plain = _correction(author, action, fields)
            application.correct(served, parse_document(CorrectionRequest, plain, "correction"))

    def _case(self, name: str, author: str, error: str) -> Response:
        served = self._application.workspace.case(name)
        detail = case_detail(served, author)
        to_do = [item.name for item in self._cases("todo").cases if item.name != name]
        return self._page(
            "case.html",
            case=detail,
            author=author,
            error=error,
            moved=_moved_mm(detail),
            next=to_do[0] if to_do else None,
            has_preview=served.pose_path.with_name(PREVIEW_FILE).is_file(),
            formats=[*RESULT_FILES],
        )

    def _cases(self, state: Any) -> Any:
        return case_list(
            self._application.workspace,
            state=state,
            order="doubtful",
            search="",
            offset=0,
            limit=MAX_LISTED,
        )

    def _page(self, template: str, **values: Any) -> HTMLResponse:
        query = _query(values.get("author", ""))
        return HTMLResponse(self._templates.get_template(template).render(query=query, **values))


def add_pages(app: FastAPI, application: Application, bundle: Path) -> None:
    """Add the pages to the application.

    Args:
        app: the application of FastAPI.
        application: what the routes do.
        bundle: folder with the files of the browser; only files that are there now are sent.
    """
    files = _files_of(bundle)
    pages = Pages(application)

    def application_page() -> Response:
        return _static(files[APPLICATION_PAGE])

    def static_file(name: str) -> Response:
        if name not in files:
            raise HTTPException(404, "no such file")
        return _static(files[name])

    def add(path: str, function: Any, method: str = "GET") -> None:
        app.add_api_route(
            path, function, methods=[method], include_in_schema=False, response_model=None
        )

    add("/", application_page if APPLICATION_PAGE in files else pages.work_list)
    add("/plain", pages.work_list)
    add("/cases/{case}", pages.case)
    add("/cases/{case}", pages.correct, "POST")
    add("/api", pages.interface)
    add("/static/{name:path}", static_file)


def _fields(body: bytes) -> dict[str, list[str]]:
    """Return the fields of a form.

    Raises:
        BadInput: the body is no form.
    """
    try:
        return parse_qs(body.decode("ascii"), max_num_fields=MAX_FORM_FIELDS, errors="strict")
    except ValueError as error:
        raise BadInput(
            "form", expected="the fields of a form", found=str(error), remedy="use the page"
        ) from error


def _correction(author: str, action: str, fields: dict[str, list[str]]) -> dict[str, Any]:
    """Return the plain data of a correction.

    Raises:
        BadInput: no landmark is marked, or a coordinate is no number.
    """
    plain: dict[str, Any] = {"author": author, "action": action}
    plain["note"] = fields.get("note", [""])[0] if action == "problem" else ""
    if action == "exchange_body":
        return {**plain, "action": "exchange"}
    if action == "move":
        cells = [fields.get(axis, [""])[0].strip().replace(",", ".") for axis in "xyz"]
        try:
            position = tuple(float(cell) for cell in cells)
        except ValueError:
            raise BadInput(
                "position",
                expected="three numbers in mm",
                found=", ".join(map(repr, cells))[:80],
                remedy="fill in x, y and z",
            ) from None
        return {**plain, "landmarks": fields.get("landmark", []), "position": position}
    if action in ("accept", "absent", "outside", "exchange", "reset"):
        if "landmarks" not in fields:
            raise BadInput(
                "landmarks", expected="marked landmarks", found="none", remedy="mark some first"
            )
        return {**plain, "landmarks": fields["landmarks"]}
    return plain


def _moved_mm(detail: CaseDetail) -> list[float | None]:
    """Return how far each landmark is from its prediction; None if one of the two is absent."""
    pairs = zip(detail.pose, detail.prediction, strict=True)
    return [
        float(np.linalg.norm(np.subtract(now.position, before.position)))
        if now.position is not None and before.position is not None
        else None
        for now, before in pairs
    ]


def _query(author: str) -> str:
    return f"?{urlencode({'author': author})}" if author else ""


def _static(path: Path) -> Response:
    return FileResponse(path, media_type=MEDIA_TYPES[path.suffix])


def _files_of(folder: Path) -> dict[str, Path]:
    """Return the files that may be sent, by their names; nothing else in the folder is."""
    if not folder.is_dir():
        return {}
    paths = [p for p in folder.rglob("*") if p.is_file() and p.suffix in MEDIA_TYPES]
    return {path.relative_to(folder).as_posix(): path for path in paths}
