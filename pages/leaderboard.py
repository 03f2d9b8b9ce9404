"""The leaderboard page: what whole data sets say of the upscalers, and of the numbers that others publish."""

from collections import Counter

import streamlit as st

from benchmark.presentation.ranking_table import claims_table, ranking_table
from benchmark.presentation.rankings import notes, title
from benchmark.ranking.leaderboard import BASELINE, Ranking
from core.errors import AppError
from ui.entry_pictures import entry_pictures
from ui.leaderboard import baseline_of, choose, downloads, filtered, key_of, pareto, rankings, verdicts

EMPTY = "No data set has been run yet. Start a run under *Runs*, with pictures of your own or a usual benchmark, or by the command line:"
START = "upscale-bench run --dataset Set5 --scales 2,4 --upscalers all-ready"
MEANING = (
    "PSNR is the mean over the pictures, with its 95 % bootstrap interval. *Better*, *worse* and *indistinguishable* compare picture "
    f"by picture with {BASELINE}, corrected for the number of upscalers. Scores made under other conditions never share a ranking."
)
JUDGED = "A claim is judged by the mean over a whole set, at its protocol, from the same small pictures, with verified weights."


def ranked(found: list[Ranking]) -> None:
    """One ranking, its chart, and the pictures of one upscaler."""
    ranking = choose(found)
    entries = filtered(ranking)
    if not entries:
        st.info("No upscaler is left: choose other filters.")
        return
    st.html(ranking_table(ranking, entries))
    st.caption(" ".join([MEANING, *notes(ranking)]))
    st.caption(title(ranking))
    clicked = pareto(entries)
    baseline = baseline_of(ranking)
    # The baseline last: beside itself there is the least to see.
    scored = sorted((entry for entry in entries if entry.psnr_of), key=lambda entry: entry is baseline)
    named = {key_of(entry): entry for entry in scored}
    if not named:
        return
    if clicked in named and st.session_state.get("leaderboard clicked") != clicked:
        st.session_state["leaderboard entry"] = clicked
    st.session_state["leaderboard clicked"] = clicked
    if st.session_state.get("leaderboard entry") not in named:
        st.session_state.pop("leaderboard entry", None)
    chosen = st.selectbox(
        "Where does it win and lose?",
        list(named),
        format_func=lambda key: named[key].name,
        key="leaderboard entry",
        help="A click on a point of the chart chooses its upscaler.",
    )
    entry_pictures(ranking, named[chosen], baseline)


def claims() -> None:
    """Published numbers against measured ones."""
    judged = verdicts()
    counts = Counter(verdict.status for verdict in judged)
    st.markdown(", ".join(f"**{count}** {status}" for status, count in counts.items()) + ".")
    st.caption(JUDGED)
    st.html(claims_table(judged))


try:
    found = rankings()
    if found:
        board, published = st.tabs(["Ranking", "Published claims"])
        with board:
            ranked(found)
            downloads(found)
        with published:
            claims()
    else:
        st.markdown(EMPTY)
        st.code(START, language=None)
        claims()
except AppError as error:
    st.error(str(error), icon=":material/error:")
