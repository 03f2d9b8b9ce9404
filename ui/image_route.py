"""Pictures and reports on their own addresses: stored PNG byte for byte, which Streamlit's own image element would shrink and re-encode,
and reports piece by piece, which its download button would hold in memory.
"""

from urllib.parse import quote

import streamlit as st
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from benchmark import jobs, parts
from benchmark.presentation import report
from benchmark.storage import kept_pictures
from benchmark.storage.kept_pictures import ScoredPicture
from benchmark.storage.store import Store
from core.errors import AppError, UsageError

HEADERS = {
    # The name is the hash of the content: what lies behind an address never changes.
    "Cache-Control": "private, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}

PICTURE_GONE = "This picture is no longer here."


def _base() -> str:
    """Own routes do not get Streamlit's `server.baseUrlPath` by themselves."""
    path = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{path}" if path else ""


def picture_url(job_id: str, name: str) -> str:
    """Address of a stored picture; the comparison's id in it is the key to it."""
    return f"{_base()}/pictures/{job_id}/{name}"


async def _picture(request: Request) -> Response:
    path = jobs.picture_path(request.path_params["job_id"], request.path_params["name"])
    if path is None:
        return PlainTextResponse(PICTURE_GONE, status_code=404)
    return FileResponse(path, media_type="image/png", headers=HEADERS)


# Not `async`: cutting reads from the disk and codes a PNG, and Starlette then does so in a thread.
def _part(request: Request) -> Response:
    """Answer `/pictures/{job_id}/{name}/parts/{level}/{x},{y},{width},{height}`; see `benchmark.parts.cut`."""
    asked = request.path_params
    path = jobs.picture_path(asked["job_id"], asked["name"])
    if path is None:
        return PlainTextResponse(PICTURE_GONE, status_code=404)
    try:
        x, y, width, height = (int(number) for number in asked["box"].split(","))
        part = parts.cut(path, asked["level"], x, y, width, height)
    except ValueError:
        return PlainTextResponse("The part must be four whole numbers: left,top,width,height.", status_code=400)
    except UsageError as error:
        return PlainTextResponse(str(error), status_code=400)
    except FileNotFoundError:
        return PlainTextResponse(PICTURE_GONE, status_code=404)
    return Response(part, media_type="image/png", headers=HEADERS)


def result_url(cell_id: int, name: str) -> str:
    """Address of a result of a data set that was kept, by its file's name."""
    return f"{_base()}/results/{cell_id}/{name}"


# Not `async`: it asks the store, and Starlette then does so in a thread.
def _kept_result(request: Request) -> Response:
    """Answer `/results/{cell_id}/{name}`. The file is that of the row, and only its name is compared with what was asked for."""
    try:
        with Store.open(checked=False) as store:
            path = kept_pictures.find_kept(store, request.path_params["cell_id"])
    except AppError:
        path = None
    if path is None or path.name != request.path_params["name"]:
        return PlainTextResponse(PICTURE_GONE, status_code=404)
    return FileResponse(path, media_type="image/png", headers=HEADERS)


def original_url(picture: ScoredPicture) -> str:
    """Address of the original of a data set's picture, cropped as it was for the scores."""
    return f"{_base()}/originals/{picture.picture_id}/{picture.original_name}"


# Not `async`: it reads, decodes and codes a picture.
def _original(request: Request) -> Response:
    """Answer `/originals/{picture_id}/{name}`; see `benchmark.storage.kept_pictures.original_png`."""
    try:
        with Store.open(checked=False) as store:
            png = kept_pictures.original_png(store, request.path_params["picture_id"], request.path_params["name"])
    except AppError:
        png = None
    if png is None:
        return PlainTextResponse(PICTURE_GONE, status_code=404)
    return Response(png, media_type="image/png", headers=HEADERS)


def report_url(job_id: str) -> str:
    """Address from which a comparison is saved as one HTML file."""
    return f"{_base()}/reports/{job_id}"


# Not `async`: reading the comparison waits for the disk, and Starlette then does so in a thread.
def _report(request: Request) -> Response:
    directory = jobs.find(request.path_params["job_id"])
    try:
        job = None if directory is None else jobs.load(directory)
    except AppError:
        job = None
    if directory is None or job is None:
        return PlainTextResponse(jobs.GONE, status_code=404)
    # Saved, never shown from here: in this server's origin its script could act for the visitor.
    saved = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(report.download_name(job))}", "Cache-Control": "no-store"}
    return StreamingResponse(report.chunks(directory, job), media_type="text/html", headers={**HEADERS, **saved})


def routes() -> list[Route]:
    """The routes for `st.App`."""
    picture = f"{_base()}/pictures/{{job_id}}/{{name}}"
    return [
        Route(picture, _picture),
        Route(f"{picture}/parts/{{level:int}}/{{box}}", _part),
        Route(f"{_base()}/results/{{cell_id:int}}/{{name}}", _kept_result),
        Route(f"{_base()}/originals/{{picture_id:int}}/{{name}}", _original),
        Route(f"{_base()}/reports/{{job_id}}", _report),
    ]
