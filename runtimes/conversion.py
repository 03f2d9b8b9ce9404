"""PyTorch networks converted for OpenVINO: traced once, compared with the original, stored (https://docs.openvino.ai).

What is stored takes pictures of any size. Tracing records what a network did with one picture, and a network that decides by the size
of its input would do the same with all others; so the result is compared on pictures of other sizes, and one that differs is refused.
"""

import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from core.errors import UnavailableError
from runtimes import converted
from runtimes.base import F32, NetworkSource, Placement, Session
from runtimes.converted import Entry
from runtimes.openvino_runtime import session_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import openvino
    import torch

TOLERANCE = 0.5 / 255
"""Largest distance from the original in 0..1. Conversions that work are off by 1e-5, those that don't by 1e-2 and more."""
Stage = Literal["loading", "converting", "comparing", "storing"]
Size = tuple[int, int]


def convert(source: NetworkSource, sizes: Sequence[Size], report: "Callable[[Stage], None]" = lambda _: None) -> Entry:
    """Convert a network unless it is there already. It takes seconds to minutes, and needs PyTorch.

    Parameters
    ----------
    source:
        A network with a `module`.
    sizes:
        Height and width of small pictures that it takes: the first is used to convert, all to compare.
    report:
        Called when a stage begins.

    Returns
    -------
    What is stored now; `refused` says why where the network can't be converted.

    Raises
    ------
    core.errors.WeightsError
        The weights are damaged or those of another network.
    OSError
        The disk refuses.
    """
    with converted.converting(source):
        known = converted.find(source)
        return known or converted.publish(source, lambda folder: _convert_into(folder, source, sizes, report))


def _convert_into(folder: Path, source: NetworkSource, sizes: Sequence[Size], report: "Callable[[Stage], None]") -> Entry:
    import openvino
    import torch

    assert source.module is not None
    # What is converted is small, and threads of small networks wait for each other longer than they work.
    torch.set_num_threads(1)
    started = time.monotonic()
    report("loading")
    module = source.module()
    pictures = [np.random.default_rng(index).random((1, source.channels, *size), np.float32) for index, size in enumerate(sizes)]
    try:
        report("converting")
        model = _traced(module, pictures[0])
        report("comparing")
        session = session_of(model, source, Placement(device="cpu", threads=1))
        largest = max(_difference(module, session, picture) for picture in pictures)
    except Exception as error:
        # A network of unknown kind may fail to be traced, converted or compiled in any way.
        if isinstance(error, MemoryError):
            raise
        return Entry(source=source.key, refused=_one_line(error))
    if not largest <= TOLERANCE:
        return Entry(source=source.key, refused=f"converted, it differs from the original by up to {255 * largest:.1f} of 255 levels")
    report("storing")
    openvino.save_model(model, folder / converted.NETWORK, compress_to_fp16=False)
    return Entry(source=source.key, largest_difference=float(largest), seconds=time.monotonic() - started)


def _traced(module: "torch.nn.Module", picture: F32) -> "openvino.Model":
    import openvino
    import torch

    with _quiet(), torch.inference_mode(False), torch.no_grad():
        model = openvino.convert_model(module, example_input=torch.from_numpy(picture))
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise UnavailableError(f"it has {len(model.inputs)} inputs and {len(model.outputs)} outputs; one of each is expected")
    model.reshape([1, picture.shape[1], -1, -1])
    return model


@contextmanager
def _quiet() -> "Iterator[None]":
    """Tracing warns of each decision that it records; whether one matters is found out by comparing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _difference(module: "torch.nn.Module", session: Session, picture: F32) -> float:
    """The largest distance between the two results for a picture; NaN where one of them holds such."""
    import torch

    with torch.inference_mode(), _quiet():
        expected = module(torch.from_numpy(picture)).float().numpy()
    result = session.run(picture)
    if result.shape != expected.shape:
        return float("inf")
    return float(np.abs(result - expected).max())


def _one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"it can't be converted ({type(error).__name__}: {(lines[-1] if lines else 'no reason given')[:200]})"
