"""The harness app: `streamlit run` it. PUT /pictures/{name} and PUT /scene set what the page shows."""

import io
from pathlib import Path

import streamlit as st
from PIL import Image
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


async def part(request: Request) -> Response:
    """A part of a picture, halved `level` times first, as the real server cuts it."""
    asked = request.path_params
    with Image.open(io.BytesIO(PICTURES[asked["name"]])) as picture:
        x, y, width, height = map(int, asked["box"].split(","))
        cut = picture.reduce(2 ** asked["level"]).crop((x, y, x + width, y + height))
    file = io.BytesIO()
    cut.save(file, "PNG")
    return Response(file.getvalue(), media_type="image/png")


async def scene(request: Request) -> Response:
    """Replace the arguments of the viewer."""
    SCENE.clear()
    SCENE.update(await request.json())
    ACTIONS.clear()
    return Response("ok")


app = st.App(
    Path(__file__).with_name("viewer_page.py"),
    routes=[
        Route("/pictures/{name}", pictures, methods=["GET", "PUT"]),
        Route("/pictures/{name}/parts/{level:int}/{box}", part),
        Route("/scene", scene, methods=["PUT"]),
    ],
)
