"""Pictures on their own address: the stored PNG, byte for byte. Streamlit's own image element would shrink and re-encode them."""

import streamlit as st
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from benchmark import jobs

HEADERS = {
    # The name is the hash of the content: what lies behind an address never changes.
    "Cache-Control": "private, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}


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
        return PlainTextResponse("This picture is no longer here.", status_code=404)
    return FileResponse(path, media_type="image/png", headers=HEADERS)


def picture_route() -> Route:
    """The route for `st.App`."""
    return Route(f"{_base()}/pictures/{{job_id}}/{{name}}", _picture)
