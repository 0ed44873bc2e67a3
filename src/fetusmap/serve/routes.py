"""The routes of the REST interface."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse

from fetusmap._version import __version__
from fetusmap.corrections import CORRECTIONS_FILE
from fetusmap.errors import one_line
from fetusmap.serve.application import Application
from fetusmap.serve.cases import (
    PREVIEW_FILE,
    REPORT_PAGE,
    RESULT_FILES,
    case_detail,
    case_list,
    result_file,
)
from fetusmap.serve.jobs import Job
from fetusmap.serve.models import (
    AuthorRequest,
    CaseDetail,
    CaseList,
    CaseState,
    CorrectionRequest,
    JobItem,
    JobList,
    Problem,
    ServerStatus,
    Uploaded,
)

MAX_PAGE = 500
PAGE_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; connect-src data: blob:; worker-src blob:; "
    "base-uri 'none'; form-action 'none'; sandbox allow-scripts"
)
"""Policy of the page of a case: it may come from elsewhere, so it cannot talk to this server."""

Author = Annotated[str, Query(max_length=80, description="Whose undo and redo are meant.")]
router = APIRouter(
    prefix="/api",
    responses={422: {"model": Problem}, 404: {"model": Problem}, 401: {"model": Problem}},
)


@router.get("/status")
def get_status(request: Request) -> ServerStatus:
    """What is served, and how much is waiting."""
    served = _application(request)
    workspace = served.workspace
    return ServerStatus(
        fetusmap=__version__,
        name=workspace.root.resolve().name,
        kind="results" if workspace.dataset is None else "dataset",
        can_predict=workspace.predicts,
        cases=len(workspace.names()),
        max_upload_bytes=served.limits.upload_bytes,
        waiting_jobs=sum(job.state == "waiting" for job in served.jobs.jobs()),
    )


@router.get("/cases")
def get_cases(
    request: Request,
    state: CaseState | None = None,
    order: Literal["doubtful", "list"] = "doubtful",
    search: Annotated[str, Query(max_length=200)] = "",
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
) -> CaseList:
    """A page of the work list: what is to do first, doubtful cases first, or in the given order."""
    return case_list(
        _application(request).workspace,
        state=state,
        order=order,
        search=search,
        offset=offset,
        limit=limit,
    )


@router.get("/cases/{case}")
def get_case(request: Request, case: str, author: Author = "") -> CaseDetail:
    """Everything about a case but its voxels."""
    return case_detail(_application(request).workspace.case(case), author)


@router.get("/cases/{case}/volume.nii.gz", response_class=Response)
def get_volume(request: Request, case: str) -> Response:
    """The volume for viewing: NIfTI, 8 bits, resampled so that it has at most 6 MB."""
    application = _application(request)
    content, key = application.viewing.volume(application.workspace.case(case))
    tag = f'"{key}"'
    headers = {"etag": tag, "cache-control": "private, no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/gzip", headers=headers)


@router.get("/cases/{case}/results/{name}", response_class=Response)
def get_result(request: Request, case: str, name: str, corrected: bool = True) -> Response:
    """A result: pose.json, pose.mrk.json, landmarks.csv, lengths.csv, nnlandmark.json, report.dcm.

    The header `fetusmap-doubts` says what a format cannot hold, or what is doubtful about a report.
    """
    served = _application(request).workspace.case(case)
    if name not in RESULT_FILES:
        raise HTTPException(404, f"no such format; there are {', '.join(RESULT_FILES)}")
    content, doubts = result_file(served, name, corrected=corrected)
    answer = _download(content, RESULT_FILES[name], f"{served.name}-{name}")
    if doubts:
        answer.headers["fetusmap-doubts"] = _ascii("; ".join(doubts))
    return answer


@router.get("/cases/{case}/corrections.jsonl", response_class=Response)
def get_corrections(request: Request, case: str) -> Response:
    """The log of corrections as it is stored: one JSON object per line."""
    served = _application(request).workspace.case(case)
    lines = [
        entry.model_dump_json(exclude_defaults=True) + "\n" for entry in served.load_log().entries
    ]
    return _download(
        "".join(lines).encode(), "application/x-ndjson", f"{served.name}-{CORRECTIONS_FILE}"
    )


@router.get("/cases/{case}/page", response_class=Response)
def get_page(request: Request, case: str) -> Response:
    """The page of the case that `predict` wrote, in a sandbox: it cannot reach this server."""
    served = _application(request).workspace.case(case)
    path = served.pose_path.with_name(REPORT_PAGE)
    if not path.is_file() or path.is_symlink():
        raise HTTPException(404, "this case has no page; predict it again")
    return FileResponse(
        path,
        media_type="text/html; charset=utf-8",
        headers={"content-security-policy": PAGE_POLICY, "x-frame-options": "SAMEORIGIN"},
    )


@router.get("/cases/{case}/picture", response_class=Response)
def get_picture(request: Request, case: str) -> Response:
    """The corrected landmarks in three planes of the body, as PNG."""
    application = _application(request)
    content = application.viewing.picture(application.workspace.case(case))
    return Response(content, media_type="image/png")


@router.get("/cases/{case}/preview", response_class=Response)
def get_preview(request: Request, case: str) -> Response:
    """The picture of the prediction that `predict` drew, as PNG."""
    served = _application(request).workspace.case(case)
    path = served.pose_path.with_name(PREVIEW_FILE)
    if not path.is_file() or path.is_symlink():
        raise HTTPException(404, "this case has no picture; predict it again")
    return FileResponse(path, media_type="image/png")


@router.post("/cases/{case}/corrections")
def post_correction(request: Request, case: str, correction: CorrectionRequest) -> CaseDetail:
    """Append a correction to the log of a case, and return the case as it is then."""
    application = _application(request)
    served = application.workspace.case(case)
    application.correct(served, correction)
    return case_detail(served, correction.author)


@router.post(
    "/cases/{case}/markups",
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {}}}},
)
async def post_markups(
    request: Request, case: str, author: Annotated[str, Query(min_length=1, max_length=80)]
) -> CaseDetail:
    """Take back what a person edited in 3D Slicer; the body is a markups file."""
    application = _application(request)
    content = await request.body()

    def take() -> CaseDetail:
        served = application.workspace.case(case)
        application.take_markups(served, author, content)
        return case_detail(served, author)

    return await run_in_threadpool(take)


@router.post("/cases/{case}/undo")
def post_undo(request: Request, case: str, who: AuthorRequest) -> CaseDetail:
    """Undo the last action of a person on a case."""
    application = _application(request)
    served = application.workspace.case(case)
    application.step(served, who.author, "undo")
    return case_detail(served, who.author)


@router.post("/cases/{case}/redo")
def post_redo(request: Request, case: str, who: AuthorRequest) -> CaseDetail:
    """Redo the last action that a person has undone on a case."""
    application = _application(request)
    served = application.workspace.case(case)
    application.step(served, who.author, "redo")
    return case_detail(served, who.author)


@router.post("/cases/{case}/ask", responses={429: {"model": Problem}, 503: {"model": Problem}})
def post_ask(request: Request, case: str, who: AuthorRequest) -> CaseDetail:
    """Let all landmarks that no person has reviewed follow those that one has."""
    application = _application(request)
    served = application.workspace.case(case)
    application.ask_again(served, who.author)
    return case_detail(served, who.author)


@router.post("/cases/{case}/prepare", status_code=202)
def post_prepare(request: Request, case: str) -> None:
    """Prepare a case for questions in the background; whoever opens a case should call it."""
    application = _application(request)
    application.prepare(application.workspace.case(case))


@router.post("/cases/{case}/predict", responses={429: {"model": Problem}})
def post_predict(request: Request, case: str) -> JobItem:
    """Put the prediction of a case into the queue; corrections stay."""
    application = _application(request)
    return _job(application, application.predict(case))


@router.post(
    "/volumes",
    status_code=201,
    responses={413: {"model": Problem}, 429: {"model": Problem}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            },
        }
    },
)
async def post_volume(
    request: Request, name: Annotated[str, Query(min_length=1, max_length=255)]
) -> Uploaded:
    """Upload a volume in one file, as the body of the request, and predict it."""
    application = _application(request)
    application.check_predicts()
    application.jobs.check_room()
    path = await application.uploads.receive(name, request.stream())
    case = await run_in_threadpool(application.uploads.adopt, path, name)
    job = await run_in_threadpool(application.predict, case)
    return Uploaded(case=case, job=_job(application, job))


@router.get("/jobs")
def get_jobs(request: Request) -> JobList:
    """The predictions that wait, run or ended, the latest first."""
    application = _application(request)
    return JobList(jobs=[_job(application, job) for job in application.jobs.jobs()])


@router.get("/jobs/{job}")
def get_job(request: Request, job: str) -> JobItem:
    """A prediction."""
    application = _application(request)
    return _job(application, _known_job(application, job))


@router.delete("/jobs/{job}")
def delete_job(request: Request, job: str) -> JobItem:
    """Cancel a prediction, whether it waits or runs."""
    application = _application(request)
    found = _known_job(application, job)
    application.jobs.cancel(found)
    return _job(application, found)


def _application(request: Request) -> Application:
    application: Application = request.app.state.application
    return application


def _known_job(application: Application, identifier: str) -> Job:
    job = application.jobs.job(identifier)
    if job is None:
        raise HTTPException(404, "no such job")
    return job


def _job(application: Application, job: Job) -> JobItem:
    return JobItem(
        id=job.id,
        case=job.case,
        state=job.state,
        place=application.jobs.place(job),
        seconds=round(job.seconds, 2),
        expected_seconds=application.jobs.expected_s,
        error=job.error,
    )


def _download(content: bytes, media_type: str, name: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="{_ascii(name)}"'}
    return Response(content, media_type=media_type, headers=headers)


def _ascii(text: str) -> str:
    """Return text for a header."""
    return one_line(text).encode("ascii", "replace").decode().replace("?", "_")
