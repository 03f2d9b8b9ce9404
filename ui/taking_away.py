"""What a person takes along from a comparison, or removes: report, archive, link."""

from pathlib import Path

import streamlit as st
from streamlit.components.v2 import component

from benchmark import export, jobs
from benchmark.schema import Comparison
from ui.image_route import report_url
from ui.keeping import keeping_buttons, keeping_line

_HERE = Path(__file__).parent
_HTML = """<div class="row">
  <a download title="One HTML file with pictures, viewer and numbers; it opens without a network">Save report</a>
  <button type="button" title="Whoever has the link sees this comparison, and may delete it">Copy link</button>
</div>"""

_links = component(
    "upscale_bench_links",
    html=_HTML,
    css=(_HERE / "taking_away.css").read_text(encoding="utf-8"),
    js=(_HERE / "taking_away.js").read_text(encoding="utf-8"),
)


def taking_away(job: Comparison) -> None:
    """Report, ZIP, link and, for what is not shown to everybody, delete."""
    directory = jobs.find(job.id)
    if directory is None or job.image is None:
        return
    own = job.user != jobs.EVERYBODY
    with st.container(horizontal=True, key="taking away"):
        # Only narrow screens show it, and hide the rest of the row until it is open.
        st.html('<details class="ub-menu"><summary>Save and share</summary></details>')
        _links(key="links", data={"report": report_url(job.id), "job": job.id if own else None}, width="content")
        # The archive is made when it is asked for, not on each look at the page.
        st.download_button(
            "Pictures, CSV and JSON (ZIP)",
            data=lambda: export.archive(directory, jobs.load(directory)),
            file_name=f"upscale-bench_{job.image.name}_x{job.scale:g}.zip",
            mime="application/zip",
            on_click="ignore",
            icon=":material/download:",
        )
        if own:
            keeping_buttons(job)
    if own:
        keeping_line(job)
