"""The script that runs at each visit: page settings, the list of pages, the page."""

import streamlit as st

from ui.header import header, pages
from ui.state import ROOT

st.set_page_config(page_title="Upscale Bench", page_icon=str(ROOT / "assets" / "icon.png"), layout="wide")
st.html(ROOT / "benchmark" / "presentation" / "table.css")
st.html(ROOT / "ui" / "page.css")
page = st.navigation(pages(), position="hidden")
header()
page.run()
