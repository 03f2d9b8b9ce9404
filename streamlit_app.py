"""The web app: `streamlit run streamlit_app.py` or `upscale-bench app` serve it.

Streamlit runs `ui/navigation.py` for each visit; this file adds what lives as long as the server: the engine and the
addresses under which pictures and reports are delivered.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import streamlit as st

from ui.image_route import routes
from ui.keeping import clear_away
from ui.state import additions, downloads, engine, runs

EXPIRE_EVERY_S = 3600.0


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[dict[str, Any]]:
    """Start the worker host with the server and end it with it; old comparisons are cleared away meanwhile."""
    # Before any page has run: processes are started by the host, never by this one.
    await asyncio.to_thread(engine().start)
    clearing = asyncio.create_task(_clear_away())
    try:
        yield {}
    finally:
        clearing.cancel()
        downloads().close()
        additions().close()
        if runs.cache_info().currsize:
            # Before the engine, which the next run would start again.
            runs().close()
        await asyncio.to_thread(engine().close)


async def _clear_away() -> None:
    while True:
        await asyncio.to_thread(clear_away)
        await asyncio.sleep(EXPIRE_EVERY_S)


app = st.App("ui/navigation.py", lifespan=lifespan, routes=routes())
