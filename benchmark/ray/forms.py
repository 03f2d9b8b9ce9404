"""Networks that the driver of a cluster has converted for a fast runtime, sent to the nodes that have not.

A run's rows name the runtime that the driver found ready. A node has the same code and the same libraries, so what the driver converted
from the same weights is what the node would have made; sent, it is so to the byte, and nobody waits for a conversion.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import upscalers
from benchmark.workers.worker import ModelKey
from core.errors import AppError, UnavailableError
from core.files import write_atomically
from runtimes import converted
from runtimes.base import NetworkSource


@dataclass(frozen=True)
class Form:
    """A converted network on its way."""

    entry: converted.Entry
    files: Mapping[str, bytes]
    """By name; their hashes are those of the entry."""


def is_missing(key: ModelKey) -> bool:
    """Whether this model needs a converted network that was never made here."""
    try:
        source = _source(key)
    except AppError:
        # Loading it will say what is wrong.
        return False
    return source is not None and converted.find(source) is None


def read_form(key: ModelKey) -> Form | None:
    """The converted network of this model as it lies here; None where there is none."""
    try:
        source = _source(key)
        entry = converted.find(source) if source is not None else None
        if source is None or entry is None or entry.refused is not None:
            return None
        folder = converted.network_path(source).parent
        return Form(entry, {name: (folder / name).read_bytes() for name in entry.files})
    except (AppError, OSError):
        return None


def keep_form(key: ModelKey, form: Form) -> None:
    """Keep a converted network that was sent here, unless there is one by now.

    Raises
    ------
    core.errors.UnavailableError
        It is not as it was sent, or of other weights than those that lie here.
    core.errors.AppError
        The weights are missing here.
    """
    source = _source(key)
    if source is None:
        return
    sent = {name: sha256(content).hexdigest() for name, content in form.files.items()}
    if sent != form.entry.files or form.entry.source != source.key:
        raise UnavailableError("The converted network that was sent to this node is damaged, or of other weights than the node's.")

    def write(folder: Path) -> converted.Entry:
        for name, content in form.files.items():
            write_atomically(folder / name, content)
        return form.entry

    with converted.converting(source):
        if converted.find(source) is None:
            converted.publish(source, write)


def _source(key: ModelKey) -> NetworkSource | None:
    """What must be converted before this model can run; None where nothing must. Raises `core.errors.AppError`."""
    return upscalers.create(key.upscaler, key.scale, dict(key.options), tile_px=key.tile_px).needs_conversion(key.runtime)
