"""Faults of dataset runs, made in the process in which they happen: name this module in `UPSCALE_BENCH_PLUGINS`.

`RUN_FAULT` says what goes wrong: `before-commit:N` and `after-commit:N` kill the host around the Nth time that it saves,
`full:N` leaves the store without space then.
"""

import dataclasses
import itertools
import os
import signal
import time
from pathlib import Path

from benchmark.storage.store import Store
from core.errors import StoreError
from tests.fakes import _fake
from upscalers.base import Upscaler


def _crash_once(_: Upscaler) -> None:
    marker = Path(os.environ["FAKE_MARKER"])
    if not marker.exists():
        marker.touch()
        os.abort()


def _note(_: Upscaler) -> None:
    with Path(os.environ["FAKE_NOTES"]).open("a") as notes:
        notes.write(f"{os.getpid()}\n")
    time.sleep(0.4)


SPECS = (
    _fake("fake-crash-once", _crash_once),
    _fake("fake-noted", _note),
    dataclasses.replace(_fake("fake-drawing", _note), stochastic=True),
)

_fault, _, _turn = os.environ.get("RUN_FAULT", "").partition(":")
_saves = itertools.count(1)
_save = Store.save


def _faulty(store: Store, *arguments) -> None:
    now = next(_saves) == int(_turn)
    if now and _fault == "full":
        raise StoreError("store: no space is left.")
    if now and _fault == "before-commit":
        os.kill(os.getpid(), signal.SIGKILL)
    _save(store, *arguments)
    if now and _fault == "after-commit":
        os.kill(os.getpid(), signal.SIGKILL)


if _fault:
    setattr(Store, "save", _faulty)  # noqa: B010 - its type is another
