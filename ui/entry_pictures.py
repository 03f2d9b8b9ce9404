"""What one entry of a ranking made of the pictures of its set, beside the original and the baseline: the part of the page that shows it."""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from benchmark import recompute
from benchmark.presentation.format import number, seconds
from benchmark.presentation.ranking_table import pictures_table
from benchmark.presentation.results import NAMES_HIDDEN
from benchmark.presentation.table import KINDS
from benchmark.presentation.viewer import Shown
from benchmark.ranking.leaderboard import Entry, Ranking
from benchmark.storage import kept_pictures
from benchmark.storage.kept_pictures import ScoredPicture, worst_first
from benchmark.storage.store import Store
from core.errors import AppError
from ui.image_route import original_url, result_url
from ui.leaderboard import key_of
from ui.state import ROOT, engine, user_id
from ui.viewer import viewer

POLL_S = 1.0
JOBS = "leaderboard comparisons"
"""In the visitor's state: the comparison that computes a result, by cell."""


def entry_pictures(ranking: Ranking, entry: Entry, baseline: Entry | None) -> None:
    """The pictures of an entry, the worst first, with the table of all of them; drawn by itself, as the viewer reports each move."""
    busy = _job_is_active()
    st.fragment(_entry_pictures, run_every=POLL_S if busy else None)(ranking, entry, baseline, drawn_busy=busy)


def _entry_pictures(ranking: Ranking, entry: Entry, baseline: Entry | None, *, drawn_busy: bool) -> None:
    if drawn_busy != _job_is_active():
        st.rerun()
    name = _choose(f"picture of {key_of(entry)}", worst_first(entry, baseline))
    with Store.open(checked=False) as store:
        own = kept_pictures.scored(store, ranking, entry, name)
        other = kept_pictures.scored(store, ranking, baseline, name) if baseline and baseline is not entry else None
        kept = {each.cell_id: kept_pictures.find_kept(store, each.cell_id, look=True) for each in (own, other) if each}
    if own is None:
        st.info("The store has no result of this picture any more.")
        return
    if _look(entry, baseline, own, other, kept):
        st.caption(NAMES_HIDDEN)
        return
    for each, whose in ((own, entry), (other, baseline)):
        if each and whose and kept[each.cell_id] is None:
            _not_kept(ranking, whose, each)
            break
    if other is not None and baseline is not None:
        st.html(pictures_table(entry, baseline))


def _choose(key: str, names: Sequence[str]) -> str:
    """A box with the names, and buttons to the one before and after. Each entry has its own, which begins with its worst."""
    if st.session_state.get(key) not in names:
        st.session_state[key] = names[0]

    def step(by: int) -> None:
        st.session_state[key] = names[(names.index(st.session_state[key]) + by) % len(names)]

    with st.container(horizontal=True, vertical_alignment="bottom", key="picture-choice"):
        chosen = st.selectbox("Picture", names, key=key, help="The one on which it falls back the furthest comes first.")
        few = len(names) < 2
        st.button("Previous", icon=":material/chevron_left:", on_click=step, args=(-1,), disabled=few)
        st.button("Next", icon=":material/chevron_right:", icon_position="right", on_click=step, args=(1,), disabled=few)
    return chosen


def _look(entry: Entry, baseline: Entry | None, own: ScoredPicture, other: ScoredPicture | None, kept: dict[int, Path | None]) -> bool:
    """The viewer, where there is a result to see in it; says whether names are hidden in it."""
    problem = kept_pictures.original_problem(own)
    shown = [] if problem else [_shown("original", "Original", original_url(own), own, f"{own.size[0]}×{own.size[1]}")]
    for picture_id, each, whose in (("baseline", other, baseline), ("result", own, entry)):
        path = kept[each.cell_id] if each else None
        if each and whose and path:
            shown.append(_shown(picture_id, whose.name, result_url(each.cell_id, path.name), each, _caption(whose, each.name)))
    names_hidden = False
    if kept[own.cell_id] is not None:
        ids = [picture.id for picture in shown]
        left = next(each for each in ("baseline", "original", "result") if each in ids)
        # Three pictures at most: a browser holds them whole, where a comparison of ten fetches parts.
        names_hidden = viewer(shown, frame=own.size, left=left, right="result", key="viewer", parts_above_px=None).names_hidden
    if problem:
        st.caption(problem)
    return names_hidden


def _shown(picture_id: str, label: str, url: str, picture: ScoredPicture, caption: str) -> Shown:
    return Shown(picture_id, label, url, *picture.size, caption, "ready", "", None)


def _caption(entry: Entry, picture: str) -> str:
    psnr_db = entry.psnr_of.get(picture)
    return " · ".join([*([KINDS[entry.aim].lower()] if entry.aim else []), "identical" if psnr_db is None else f"{number(psnr_db, 2)} dB"])


def _not_kept(ranking: Ranking, entry: Entry, picture: ScoredPicture) -> None:
    """One sentence, the command that keeps all pictures, and for a quick upscaler a button that computes this one."""
    st.markdown(f"The pictures of {entry.name} were not kept; this keeps those of the whole set:")
    st.code(recompute.command(ranking, entry, picture), language=None, wrap_lines=True)
    job_id = _jobs().get(picture.cell_id)
    if job_id is not None:
        busy = _job_is_active()
        label = "Computing it: see the comparison" if busy else "See the comparison: its result is not the one that was scored"
        st.page_link(ROOT / "pages" / "compare.py", label=label, icon=":material/compare:", query_params={"job": job_id})
        return
    expected_s = recompute.expected_s(picture)
    if expected_s is not None and expected_s < recompute.QUICK_S and not kept_pictures.original_problem(picture):
        about = f", about {seconds(expected_s)}" if expected_s >= 1 else ""
        st.button(f"Compute it{about}", icon=":material/play_arrow:", on_click=_compute, args=(picture,))
    if error := st.session_state.pop("leaderboard compute error", None):
        st.error(error)


def _compute(picture: ScoredPicture) -> None:
    """Hand a picture of the set to an ordinary comparison of this visitor."""
    try:
        plan, small = recompute.comparison(picture)
        source = kept_pictures.original_bytes(picture)
        _jobs()[picture.cell_id] = engine().submit(plan, source, name=picture.original.name, user=user_id(), small=small)
        st.session_state["leaderboard job"] = _jobs()[picture.cell_id]
    except AppError as error:
        st.session_state["leaderboard compute error"] = str(error)


def _jobs() -> dict[int, str]:
    return st.session_state.setdefault(JOBS, {})


def _job_is_active() -> bool:
    """Whether the comparison that this visitor started here last still runs."""
    job_id = st.session_state.get("leaderboard job")
    try:
        return bool(job_id) and engine().load(job_id).active
    except AppError:
        return False
