"""Time `metrics.score` against scikit-image on a pair of 2.6 MP, in turns, and show the largest difference; and the memory that it
takes beside a pair of 24 MP, in a process of its own. Then the same for the metrics on request, against piq.

python perf/scoring.py
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from core.memory import clear_peak_memory, peak_memory_mib
from metrics import METRICS, PROTOCOLS, score
from metrics.protocol import prepare

SIZE = (1288, 2048)
LARGE_SIZE = (4000, 6000)
SCALE = 4
ROUNDS = 7
PIQ = {"ms_ssim": "multi_scale_ssim", "vif": "vif_p", "gmsd": "gmsd", "haarpsi": "haarpsi"}
Scores = dict[str, dict[str, float]]


def pair(size: tuple[int, int] = SIZE) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A smooth picture with noise, and the same with more noise."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float32)
    smooth = 128 + 80 * np.sin(rows / 37)[..., None] * np.cos(columns[..., None] / np.array([23, 41, 67], np.float32))
    reference = (smooth + rng.normal(0, 6, smooth.shape)).clip(0, 255).astype(np.uint8)
    image = (reference + rng.normal(0, 9, smooth.shape)).clip(0, 255).astype(np.uint8)
    return image, reference


def score_with_skimage(image: NDArray[np.uint8], reference: NDArray[np.uint8]) -> Scores:
    """The same scores from scikit-image, on the same pixels."""
    from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

    scores: Scores = {}
    for protocol in PROTOCOLS:
        planes = prepare(image, reference, protocol=protocol, scale=SCALE, stored_channels=3)
        a, b = planes[0][:], planes[1][:]
        channel_axis = None if protocol.luma else 2
        similarity: Any = structural_similarity(
            a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, channel_axis=channel_axis
        )
        scores[protocol.id] = {
            "mse": float(mean_squared_error(a, b)),
            "psnr_db": float(peak_signal_noise_ratio(b, a, data_range=255)),
            "ssim": float(similarity),
        }
    return scores


def score_with_piq(name: str, image: NDArray[np.uint8], reference: NDArray[np.uint8]) -> float:
    """One metric on request from piq, in its usual `float32`."""
    import piq
    import torch

    tensors = [torch.from_numpy(each.transpose(2, 0, 1)[None]).float() / 255 for each in (image, reference)]
    return float(getattr(piq, PIQ[name])(*tensors, data_range=1.0))


def in_turns(*works: Callable[[], object], rounds: int = ROUNDS) -> list[list[float]]:
    """Seconds of `rounds` calls of each, one after the other in every round; a call of each before is not counted."""
    for work in works:
        work()
    times: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, taken in zip(works, times, strict=True):
            start = time.perf_counter()
            work()
            taken.append(time.perf_counter() - start)
    return times


def compute(name: str, image: NDArray[np.uint8], reference: NDArray[np.uint8]) -> object:
    """The scores that every comparison has under the name `score`, or one metric on request."""
    return score(image, reference, scale=SCALE, stored_channels=3) if name == "score" else METRICS.get(name).fn(image, reference)


def added_memory_mib(name: str) -> float:
    """Resident memory that a pair of 24 MP takes at its peak, beside the two pictures. For a fresh process on Linux."""
    image, reference = pair(LARGE_SIZE)
    compute(name, image[:200, :200], reference[:200, :200])
    clear_peak_memory()
    before_mib = peak_memory_mib() or 0.0
    compute(name, image, reference)
    return (peak_memory_mib() or 0.0) - before_mib


def main() -> None:
    """Print both times, their ratio, the largest difference of a score, and the memory."""
    if "--memory" in sys.argv:
        print(f"{added_memory_mib(sys.argv[-1]):.0f}")
        return
    image, reference = pair()
    ours_s, theirs_s = in_turns(lambda: compute("score", image, reference), lambda: score_with_skimage(image, reference))
    ours = score(image, reference, scale=SCALE, stored_channels=3)
    theirs = score_with_skimage(image, reference)
    difference = max(abs((ours[p][key] or 0.0) - value) for p, values in theirs.items() for key, value in values.items())
    print(f"Pairs of {SIZE[1]}x{SIZE[0]}; memory beside a pair of {LARGE_SIZE[1]}x{LARGE_SIZE[0]}")
    print(f"  MSE, PSNR and SSIM under three protocols: {_summary(ours_s, theirs_s, 'scikit-image', 'score')}")
    print(f"  largest difference of a score from scikit-image: {difference:.1e}")
    for name in PIQ:
        times = in_turns(
            lambda name=name: compute(name, image, reference), lambda name=name: score_with_piq(name, image, reference), rounds=3
        )
        print(f"  {METRICS.get(name).name}: {_summary(times[0], times[1], 'piq', name)}")


def _summary(ours_s: list[float], theirs_s: list[float], other: str, name: str) -> str:
    memory = subprocess.run([sys.executable, __file__, "--memory", name], capture_output=True, text=True, check=True).stdout.strip()
    ratio = statistics.median(slow / quick for quick, slow in zip(ours_s, theirs_s, strict=True))
    times = [f"{statistics.median(each) * 1e3:.0f} ms (quickest {min(each) * 1e3:.0f})" for each in (ours_s, theirs_s)]
    return f"{times[0]}, {other} {times[1]}, {ratio:.1f} times as fast; {memory} MiB"


if __name__ == "__main__":
    main()
