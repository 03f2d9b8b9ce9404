"""The harness app: `streamlit run` it. PUT /pictures/{name} and PUT /scene set what the page shows."""

from pathlib import Path

import streamlit as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from viewer_scene import ACTIONS, PICTURES, SCENE


async def pictures(request: Request) -> Response:
    """Keep a picture, or give it back byte for byte."""
    name = request.path_params["name"]
    if request.method == "PUT":
        PICTURES[name] = await request.body()
    if name not in PICTURES:
        return Response("gone", status_code=404)
    return Response(PICTURES[name], media_type="image/png", headers={"Cache-Control": "private, max-age=31536000, immutable"})


async def scene(request: Request) -> Response:
    """Replace the arguments of the viewer."""
    SCENE.clear()
    SCENE.update(await request.json())
    ACTIONS.clear()
    return Response("ok")


app = st.App(
    Path(__file__).with_name("viewer_page.py"),
    routes=[Route("/pictures/{name}", pictures, methods=["GET", "PUT"]), Route("/scene", scene, methods=["PUT"])],
)
