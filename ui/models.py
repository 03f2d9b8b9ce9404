"""What the models page shows of one upscaler: its facts, its state, its card."""

from html import escape
from typing import Any

import streamlit as st

from benchmark import estimates, model_files, previews
from benchmark.downloads import Download
from benchmark.presentation.format import file_size, number, seconds
from benchmark.previews import Preview, Previews, default_scale
from core.errors import AppError
from core.settings import MIB
from ui.image_route import picture_url
from ui.state import downloads
from upscalers.spec import UpscalerSpec, total_size

STATES = {"ready": "Ready", "download": "To download", "unavailable": "Not available"}
PEEK = "The standard picture, shrunk and restored by this model on this machine"


def state_of(spec: UpscalerSpec) -> str:
    """`ready` when it can run at one scale at least, else `download` or `unavailable`."""
    kinds = {spec.status(scale).kind for scale in spec.scales}
    return next((kind for kind in STATES if kind in kinds), "unavailable")


def matches(spec: UpscalerSpec, words: str) -> bool:
    """Whether every word occurs in the name, the id, the kind, the aim, the summary or the licence."""
    text = f"{spec.id} {spec.name} {spec.group} {spec.aim} {spec.summary} {spec.license}".lower()
    return all(word in text for word in words.lower().split())


def scales_text(spec: UpscalerSpec) -> str:
    """`x2 x3 x4`."""
    return " ".join(f"x{scale}" for scale in spec.scales) + (" and between" if spec.fractional else "")


def parameters_text(spec: UpscalerSpec) -> str:
    """The number of learnt parameters at the scale at which the model is shown."""
    if not spec.weights:
        return "none"
    count = spec.parameter_count.get(default_scale(spec))
    if count is None:
        return "unknown"
    return f"{count / 1e6:.1f} M" if count >= 1e6 else f"{count / 1e3:.1f} k"


def size_text(spec: UpscalerSpec) -> str:
    """The size of its download."""
    if not spec.weights:
        return "none"
    size = model_files.size_bytes(spec)
    return (total_size(model_files.all_files(spec)) or "unknown") if size is None else file_size(size)


def speed(spec: UpscalerSpec) -> tuple[float, int, str] | None:
    """What was measured here: output megapixels per second, the scale nearest to the one shown, the runtime; None when nothing was."""
    measured = estimates.measured_s_per_mp(spec)
    if not measured:
        return None
    wanted = default_scale(spec)
    (scale, runtime), per_mp = min(measured.items(), key=lambda item: (item[0][0] != wanted, item[0][0]))
    return scale**2 / per_mp, scale, runtime


def speed_text(spec: UpscalerSpec) -> str:
    """The same as a card says it."""
    measured = speed(spec)
    return f"{number(measured[0], 2)} output MP/s at x{measured[1]} ({measured[2]})" if measured else "not measured yet"


def facts(spec: UpscalerSpec) -> dict[str, Any]:
    """One line of the table, with numbers that can be sorted."""
    measured = speed(spec)
    return {
        "Model": spec.name,
        "Id": spec.id,
        "Kind": spec.group,
        "Aim": spec.aim,
        "Scales": scales_text(spec),
        "Parameters": spec.parameter_count.get(default_scale(spec)),
        "Weights": model_files.size_bytes(spec) if spec.weights else None,
        "Status": STATES[state_of(spec)],
        "Output MP/s here": measured[0] if measured else None,
        "Measured": f"x{measured[1]} {measured[2]}" if measured else None,
        "Licence": spec.license,
        "Source": spec.reference or None,
    }


def card(spec: UpscalerSpec, shown: Previews) -> None:
    """Everything about one model, with what can be done about it."""
    with st.container(border=True, key=f"card {spec.id}", height="stretch"):
        reference = f' · <a href="{escape(spec.reference)}" target="_blank" rel="noopener">source</a>' if spec.reference else ""
        texts = {"Scales": scales_text(spec), "Parameters": parameters_text(spec), "Weights": size_text(spec), "Speed": speed_text(spec)}
        lines = "".join(f"<dt>{escape(head)}</dt><dd>{escape(text)}</dd>" for head, text in texts.items())
        st.html(
            f'<div class="ub-card"><h2>{escape(spec.name)}<span class="ub-badge">{escape(spec.aim)}</span></h2>'
            f"<p class='ub-minor'><code>{escape(spec.id)}</code> · {escape(spec.group)} · {escape(_license(spec))}{reference}</p>"
            f"<p>{escape(spec.summary)}</p><dl class='ub-facts'>{lines}</dl>{_peek(spec, shown)}</div>"
        )
        _actions(spec, shown)


def _license(spec: UpscalerSpec) -> str:
    return "licence unknown" if spec.license == "unknown" else spec.license


def _peek(spec: UpscalerSpec, shown: Previews) -> str:
    preview = shown.of(spec)
    if preview is None:
        state = shown.state(spec)
        text = {"Waiting": "Preview waiting…", "Drawing": "Drawing its preview…"}.get(state or "", state or "No preview yet")
        return f'<div class="ub-peek ub-peek-none"><span>{escape(text)}</span></div>'
    return f'<div class="ub-peek" title="{PEEK}">{_half(preview, "before")}{_half(preview, "after")}</div>'


def _half(preview: Preview, which: str) -> str:
    name = preview.before if which == "before" else preview.after
    label = f"Shrunk by {preview.scale}" if which == "before" else f"Restored · {seconds(preview.row.warm_p50_s or preview.row.first_s)}"
    pixelated = " ub-pixelated" if which == "before" else ""
    address = escape(picture_url(preview.job_id, name))
    return (
        f'<figure><div role="img" aria-label="{escape(label)}" class="ub-crop{pixelated}" style="background-image:url({address})"></div>'
        f"<figcaption>{escape(label)}</figcaption></figure>"
    )


def _actions(spec: UpscalerSpec, shown: Previews) -> None:
    download = downloads().get(spec.id)
    state = state_of(spec)
    if download is not None and download.active:
        _progress(spec, download)
        return
    if download is not None and download.error:
        st.error(download.error, icon=":material/error:")
    with st.container(horizontal=True, vertical_alignment="center"):
        if state != "unavailable" and model_files.missing_files(spec):
            size = size_text(spec)
            label = "Download" if size == "unknown" else f"Download {size}"
            if state == "ready":
                label = "Download the rest"
            if st.button(label, key=f"get {spec.id}", icon=":material/download:"):
                downloads().start(spec.id, model_files.all_files(spec))
                st.rerun()
        if state == "unavailable":
            st.caption(spec.unavailable_reason() or "")
        if state == "ready":
            _preview_button(spec, shown)
        _remove_button(spec)


def _progress(spec: UpscalerSpec, download: Download) -> None:
    done = f"{download.done_bytes / MIB:.1f}" + (f" of {download.total_bytes / MIB:.1f} MiB" if download.total_bytes else " MiB")
    text = "Waiting for its turn" if download.state == "waiting" else f"{download.file_name}: {done}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(download.fraction, text)
        st.button("Cancel", key=f"stop {spec.id}", on_click=download.cancel)


def _preview_button(spec: UpscalerSpec, shown: Previews) -> None:
    if shown.of(spec) is not None or shown.state(spec) in ("Waiting", "Drawing"):
        return
    expected_s = previews.expected_call_s(spec)
    about = f" (about {seconds(expected_s)})" if expected_s is not None and expected_s >= 1 else ""
    if st.button(f"Draw its preview{about}", key=f"draw {spec.id}", icon=":material/image:"):
        try:
            shown.start([spec])
        except AppError as error:
            st.error(str(error))
        else:
            st.rerun()


def _remove_button(spec: UpscalerSpec) -> None:
    if not model_files.removable(spec):
        return
    with st.popover("Remove", icon=":material/delete:"):
        st.write(f"Delete the files of {spec.name} from this machine?")
        if st.button("Delete", key=f"remove {spec.id}", type="primary"):
            model_files.remove(spec)
            st.rerun()
