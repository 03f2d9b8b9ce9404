"""Which scores a comparison gets beyond those that all have."""

from collections.abc import Iterable

import streamlit as st

from benchmark.presentation.format import file_size, plain
from metrics import MORE, MetricSpec
from ui.state import downloads

POLL_S = 0.5


def metric_choice(*, key: str = "metrics", given: Iterable[str] = (), disabled: bool = False) -> tuple[str, ...]:
    """A list to choose from, and what one of the chosen still needs.

    Parameters
    ----------
    key:
        Of the list.
    given:
        Names to begin with; those that are no metric are left out.
    disabled:
        Where there is no original: nothing is chosen then.
    """
    asked = st.multiselect(
        "More scores",
        MORE.ids(),
        default=[name for name in given if name in MORE],
        format_func=lambda name: MORE.get(name).name,
        key=key,
        disabled=disabled,
        placeholder="None",
        help="Computed when all times are taken, so they slow nothing that is measured. The README's table says what each is.",
    )
    if disabled:
        return ()
    for name in asked:
        _needs(MORE.get(name))
    return tuple(asked)


def _needs(metric: MetricSpec) -> None:
    """What is missing on this machine, with a button that fetches it."""
    download = downloads().get(metric.option)
    if download is not None and download.active:
        st.fragment(_watch, run_every=POLL_S)(metric.option)
        return
    if download is not None and download.error:
        st.error(plain(download.error), icon=":material/error:")
    if reason := metric.unavailable_reason():
        st.caption(plain(reason))
        size = sum(file.size_bytes or 0 for file in metric.weights)
        if metric.weights and st.button(
            f"Download {file_size(size)} for {metric.short_name}", key=f"fetch {metric.option}", width="stretch"
        ):
            downloads().start(metric.option, metric.weights)
            st.rerun()


def _watch(name: str) -> None:
    """A download, drawn again and again; the whole page when it has come to its end."""
    download = downloads().get(name)
    if download is None or not download.active:
        st.rerun()
    st.progress(download.fraction, f"{MORE.get(name).short_name}: {download.file_name or 'waiting'}")
    st.button("Stop", key=f"stop fetch {name}", on_click=download.cancel)
