"""The HTTP application: routes, pages, errors of one line, and the guard around them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as AnyHTTPException

from fetusmap._version import __version__
from fetusmap.errors import BadInput, FetusmapError, ResourceError, one_line
from fetusmap.serve.application import Application
from fetusmap.serve.jobs import QueueFull
from fetusmap.serve.limits import Busy, TooLarge
from fetusmap.serve.pages import add_pages
from fetusmap.serve.routes import router
from fetusmap.serve.security import Access, Guard
from fetusmap.serve.workspace import NoSuchCase

STATUS_OF: tuple[tuple[type[FetusmapError], int], ...] = (
    (NoSuchCase, 404),
    (TooLarge, 413),
    (Busy, 429),
    (QueueFull, 429),
    (ResourceError, 503),
    (BadInput, 422),
)
BUNDLE = Path(str(resources.files("fetusmap.report"))) / "bundle"


def create_app(application: Application, access: Access, bundle: Path = BUNDLE) -> Guard:
    """Return the ASGI application of a server.

    Args:
        application: what the routes do.
        access: who may talk to the server.
        bundle: folder with the files of the browser; it may be missing.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(application.close)

    app = FastAPI(
        title="FetusMap",
        version=__version__,
        description="Poses of fetuses: see them, correct them, predict them. No medical device.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=lifespan,
    )
    app.state.application = application
    app.include_router(router)
    add_pages(app, application, bundle)
    app.add_exception_handler(FetusmapError, _described)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(AnyHTTPException, _refused)
    app.add_exception_handler(Exception, _internal)
    return Guard(app, access)


def _described(_: Request, error: Exception) -> JSONResponse:
    status = next((code for kind, code in STATUS_OF if isinstance(error, kind)), 500)
    headers = {"retry-after": "5"} if status in (429, 503) else None
    return JSONResponse({"error": one_line(str(error))}, status, headers)


def _invalid(_: Request, error: Exception) -> JSONResponse:
    problems: Any = error.errors() if isinstance(error, RequestValidationError) else []
    lines = [
        f"{'.'.join(str(p) for p in each['loc'][1:])[:80]}: {each['msg']}" for each in problems[:3]
    ]
    return JSONResponse({"error": one_line("; ".join(lines) or "not a valid request")}, 422)


def _refused(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, AnyHTTPException):
        raise error
    return JSONResponse({"error": one_line(error.detail)}, error.status_code, error.headers)


def _internal(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": f"internal error: {type(error).__name__}"}, 500)
