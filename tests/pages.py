"""A page without a server and without a browser."""

from streamlit.testing.v1 import AppTest

from ui.state import ROOT

TIMEOUT_S = 60.0


def run_page(name: str) -> AppTest:
    """Run `pages/NAME.py` once, as for a visitor who has just come."""
    return AppTest.from_file(str(ROOT / "pages" / f"{name}.py"), default_timeout=TIMEOUT_S).run()
