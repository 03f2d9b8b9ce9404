"""The process of a model. It loads the model, runs it when asked, and measures time and memory where the work happens.

A network has a process to itself, so that its memory can be told and taken back; the interpolators share one.
Messages to it are tuples `(verb, key, ...)`; it answers each with any number of `("progress", done, total)` and `("part", value)`, and
then one of `("ok", value)` and `("error", kind, text)`.
"""

import functools
import importlib
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

import upscalers
from benchmark.failures import failure_of
from benchmark.runs.cells import CellResult, PictureTask, compute
from benchmark.scoring_process import ScoringProcess
from core.image import RGB8
from core.memory import clear_peak_memory, peak_memory_mib
from runtimes import RUNTIMES
from runtimes.base import Placement, Precision
from upscalers.base import Progress, Upscaler
from upscalers.parameters import OptionValue


@dataclass(frozen=True)
class ModelKey:
    """Which model, how."""

    upscaler: str
    scale: float
    runtime: str
    precision: Precision
    threads: int
    options: tuple[tuple[str, OptionValue], ...]
    weights: tuple[str | None, ...]
    """Published hashes of its weight files: an id can be given to another model while this one is warm."""
    tile_px: int | None = None
    """Side of the tiles that was asked for; None: the upscaler's own."""


@dataclass(frozen=True)
class Loaded:
    """Facts about a loaded model."""

    load_s: float
    import_s: float
    device: str
    runtime_version: str
    weights_sha256: str | None
    verified_weights: bool | None


@dataclass(frozen=True, eq=False)
class Called:
    """The first call on a picture."""

    picture: RGB8
    expect_s: float
    """What had to be done for a picture of this size before: part of loading."""
    seconds: float
    tile: int | None
    base_rss_mib: float | None
    peak_rss_mib: float | None
    peak_vram_mib: float | None


def main(connection: Connection) -> None:
    """Serve until the other side hangs up."""
    # Ctrl-C in a terminal reaches the whole group: the host decides what it means for its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_host, daemon=True).start()
    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s")
    bench = ModelBench()
    while True:
        try:
            verb, *arguments = connection.recv()
            connection.send(_answer(bench, connection, verb, arguments))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return


def _answer(bench: "ModelBench", connection: Connection, verb: str, arguments: list[Any]) -> tuple[Any, ...]:
    def progress(done: int, total: int) -> None:
        connection.send(("progress", done, total))

    def part(value: object) -> None:
        connection.send(("part", value))

    verbs: dict[str, Callable[..., object]] = {
        "load": bench.load,
        "call": bench.call,
        "hold": bench.hold,
        "repeat": bench.repeat,
        "cells": functools.partial(bench.cells, part=part),
    }
    try:
        return ("ok", verbs[verb](*arguments, progress=progress))
    except Exception as error:  # noqa: BLE001 - whatever a model raises is a row with a reason
        return ("error", *failure_of(error, arguments[0].upscaler))


def _end_with_host() -> None:
    """A call can't be interrupted from Python: when the host is gone, this process goes at once."""
    host = multiprocessing.parent_process()
    if host is not None:
        host.join()
        os._exit(1)


class ModelBench:
    """The models of this process, and the one picture that they work on."""

    def __init__(self) -> None:
        self._models: dict[ModelKey, Upscaler] = {}
        self._picture: RGB8 | None = None
        self._token = ""
        self.called: set[ModelKey] = set()
        self.scoring = ScoringProcess()

    def load(self, key: ModelKey, *, progress: Progress) -> Loaded:
        """Import the libraries of runtime and adapter, then load the model: two times, measured apart."""
        runtime = RUNTIMES.get(key.runtime)
        started = time.perf_counter()
        for module in (runtime.module, *runtime.preload, *upscalers.get(key.upscaler).imports):
            importlib.import_module(module)
        imported = time.perf_counter()
        upscaler = upscalers.create(key.upscaler, key.scale, dict(key.options), tile_px=key.tile_px)
        upscaler.load(key.runtime, Placement(precision=key.precision, threads=key.threads))
        loaded = time.perf_counter()
        self._models[key] = upscaler
        return Loaded(
            load_s=loaded - imported,
            import_s=imported - started,
            device=upscaler.device_name,
            runtime_version=runtime.version(),
            weights_sha256=upscaler.weights_sha256,
            verified_weights=upscaler.verified_weights,
        )

    def call(self, key: ModelKey, token: str, picture: RGB8, seed: int | None, *, progress: Progress) -> Called:
        """Enlarge a picture, and keep it for `repeat`."""
        self._keep(token, picture)
        upscaler = self._models[key]
        started = time.perf_counter()
        upscaler.expect(*picture.shape[:2])
        expect_s = time.perf_counter() - started
        upscaler.peak_vram_mib()
        measurable = clear_peak_memory()
        base_rss_mib = peak_memory_mib() if measurable else None
        started = time.perf_counter()
        result = upscaler(picture, seed=seed, progress=progress)
        seconds = time.perf_counter() - started
        self.called.add(key)
        return Called(
            picture=np.ascontiguousarray(result),
            expect_s=expect_s,
            seconds=seconds,
            tile=upscaler.tile_px(*picture.shape[:2]),
            base_rss_mib=base_rss_mib,
            peak_rss_mib=peak_memory_mib() if measurable else None,
            peak_vram_mib=upscaler.peak_vram_mib(),
        )

    def cells(self, _: ModelKey, tasks: Sequence[PictureTask], *, progress: Progress, part: Callable[[CellResult], None]) -> None:
        """Compute cells of a dataset run with the models of this process; each goes out as soon as it is finished."""
        compute(tasks, self, progress, part)

    def hold(self, key: ModelKey, token: str, picture: RGB8, seed: int | None, *, progress: Progress) -> None:
        """Take a picture back in hand that another comparison has displaced, and warm the model up on it again."""
        self._keep(token, picture)
        self._models[key](picture, seed=seed, progress=progress)

    def repeat(self, key: ModelKey, token: str, seed: int | None, *, progress: Progress) -> float | None:
        """The seconds of one more call on the picture with this token; None when another one is in hand."""
        if token != self._token or self._picture is None:
            return None
        started = time.perf_counter()
        self._models[key](self._picture, seed=seed, progress=progress)
        return time.perf_counter() - started

    def _keep(self, token: str, picture: RGB8) -> None:
        picture.setflags(write=False)
        self._picture, self._token = picture, token
