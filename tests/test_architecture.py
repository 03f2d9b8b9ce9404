"""The house rules that a reader relies on: who imports whom, and what is not imported before it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = {"core": 0, "runtimes": 1, "upscalers": 2, "metrics": 2, "benchmark": 3, "ui": 4, "cli": 4, "pages": 5, "streamlit_app": 6}
HEAVY = ("torch", "torchvision", "spandrel", "cv2", "openvino", "diffusers", "skimage", "pandas", "lpips", "piq")
MODULES = sorted(path for name in FLOORS for path in [*ROOT.glob(f"{name}.py"), *(ROOT / name).rglob("*.py")])


def imports(path: Path) -> set[str]:
    """Top-level packages that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    floor = path.relative_to(ROOT).parts[0].removesuffix(".py")
    above = {name for name in imports(path) if FLOORS.get(name, -1) > FLOORS[floor]}
    beside = {name for name in imports(path) if name in FLOORS and name != floor and FLOORS[name] == FLOORS[floor]}
    assert not above | beside
    if floor not in ("ui", "pages", "streamlit_app"):
        assert "streamlit" not in imports(path)
    if path.parent != ROOT / "benchmark" / "ray":
        assert "ray" not in imports(path)


def test_pages_are_short() -> None:
    assert {path.name: lines for path in (ROOT / "pages").glob("*.py") if (lines := len(path.read_text().splitlines())) > 150} == {}


@pytest.mark.parametrize(
    "statement",
    ["import cli", "import upscalers, metrics, benchmark.runner, benchmark.workers.worker", "import ui.setup, ui.taking_away, ui.viewer"],
)
def test_nothing_heavy_is_imported_before_it_is_used(statement: str) -> None:
    code = f"import sys; {statement}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"
