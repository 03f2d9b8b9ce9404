"""The script that runs at each visit: page settings, the list of pages, the page."""

import base64

import streamlit as st

from ui.header import header, pages
from ui.state import ROOT

# In the address itself: Streamlit forgets a file of its own once no session uses it, and a page that opens just then misses it.
ICON = f"data:image/png;base64,{base64.b64encode((ROOT / 'assets' / 'icon.png').read_bytes()).decode()}"
st.set_page_config(page_title="Upscale Bench", page_icon=ICON, layout="wide")
st.html(ROOT / "benchmark" / "presentation" / "table.css")
st.html(ROOT / "ui" / "page.css")
page = st.navigation(pages(), position="hidden")
header()
page.run()
