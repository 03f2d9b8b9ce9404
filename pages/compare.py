"""The compare page: set up, race, look, read the numbers."""

from functools import partial
from html import escape

import streamlit as st

from benchmark import jobs
from benchmark.given_small import Upload
from benchmark.presentation.format import seconds
from benchmark.presentation.results import NAMES_HIDDEN, frame, is_fresh, page_line, shown_maps, start_view
from benchmark.schema import Comparison
from core.errors import AppError
from ui.failures import act, action_error, is_fetching, with_downloads
from ui.faster import faster_next_time
from ui.given import given_results
from ui.image_route import picture_url
from ui.looks import looks
from ui.scores import scores
from ui.setup import Setup, setup_row
from ui.state import adopt, current_job, engine, user_id, welcome_job
from ui.taking_away import taking_away
from ui.use_model import use_model
from ui.viewer import viewer
from ui.whole import whole_buttons

POLL_S = 0.5


def start(setup: Setup) -> None:
    """Hand the set-up to the engine; the comparison's id goes into the address."""
    try:
        small = Upload(setup.small.source, setup.small.name) if setup.small else None
        st.query_params["job"] = engine().submit(setup.plan(), setup.picture.source, name=setup.picture.name, user=user_id(), small=small)
        st.session_state["started"] = setup.signature
    except AppError as error:
        st.session_state["start_error"] = str(error)


def ask_to_start() -> None:
    """Start in the run that follows: a callback would know the set-up of the run before, without the last clicks."""
    st.session_state["start_asked"] = True


def button(setup: Setup, job: Comparison | None) -> None:
    """Compare, or Cancel while one's comparison runs."""
    problem, expected_s = setup.problem(), setup.expected_s()
    about = f", about {seconds(expected_s)}" if expected_s is not None and expected_s >= 1 else ""
    if job and job.active:
        st.button("Cancel", on_click=engine().cancel, args=(job.id,), icon=":material/stop_circle:", width="stretch")
    else:
        st.button(f"Compare{about}", type="primary", disabled=problem is not None, on_click=ask_to_start, width="stretch")
    if problem:
        st.caption(problem)
    elif st.session_state.get("started", setup.signature) != setup.signature:
        st.caption("Settings changed")
    if error := st.session_state.pop("start_error", None):
        st.error(error)


def results(job_id: str, *, drawn_busy: bool) -> None:
    """Everything below the set-up; drawn again every half second while the comparison runs or fetches weights."""
    if st.query_params.get("job", job_id) != job_id:
        # For a whole picture, by a button of this part: a new comparison needs the whole page.
        st.rerun()
    try:
        job = engine().load(job_id)
    except AppError as error:
        st.info(str(error))
        return
    busy = job.active or is_fetching(job)
    if busy and not drawn_busy:
        # By the button of a failed tile: from now on the page follows it.
        st.rerun()
    status = page_line(job, engine().ahead(job) if job.state == "queued" else 0)
    notes = job.image.notes if job.image else []
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.html(f'<p class="ub-status" role="status">{escape(" ".join([status, *notes]))}</p>', width="content")
        pictures = with_downloads(shown_maps(job, engine().directory(job), looks(job), partial(picture_url, job.id)), job)
    action_error()
    state = None
    if any(picture.url for picture in pictures):
        state = viewer(
            pictures,
            frame=frame(job),
            key="viewer",
            follow_newest=job.active or is_fresh(job),
            on_action=partial(act, job),
            **start_view(job),
        )
    names_hidden = state is not None and state.names_hidden
    if names_hidden:
        st.caption(NAMES_HIDDEN)
    else:
        scores(job)
    if job.active:
        return
    if drawn_busy and not busy:
        # The end of the polling: the whole page is drawn once more, without Cancel.
        st.rerun()
    if job.user != jobs.EVERYBODY:
        given_results(job)
    if not names_hidden:
        whole_buttons(job)
        faster_next_time(job)
        use_model(job)
    taking_away(job)


try:
    job = current_job()
except AppError as error:
    st.session_state["lost"] = str(error)
    st.query_params.pop("job", None)
    job = None
if job:
    adopt(job)
    st.session_state.pop("lost", None)
elif "lost" in st.session_state:
    st.info(st.session_state["lost"])
setup, place = setup_row()
if st.session_state.pop("start_asked", False) and setup.problem() is None:
    start(setup)
    job = current_job()
with place:
    button(setup, job)
shown = job or welcome_job()
busy = shown.active or is_fetching(shown)
st.fragment(results, run_every=POLL_S if busy else None)(shown.id, drawn_busy=busy)
