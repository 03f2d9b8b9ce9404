"""Which code builds networks, so that what was made from them is made anew when it changes."""

import functools
from hashlib import sha256
from pathlib import Path

from runtimes.devices import library_version

FOLDER = Path(__file__).parent
BUILDERS = ("spandrel_models.py", "spandrel_files.py", "residual.py", "state_dicts.py", "architectures/*.py")


@functools.cache
def code_version() -> str:
    """Changes with the text of every file that takes part in building a PyTorch network, and with spandrel's version."""
    digest = sha256((library_version("spandrel") or "").encode())
    for path in sorted(path for pattern in BUILDERS for path in FOLDER.glob(pattern)):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
