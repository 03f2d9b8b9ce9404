"""Time `metrics.score` against scikit-image on a pair of 2.6 MP, in turns, and show the largest difference; and the memory that it
takes beside a pair of 24 MP, in a process of its own.

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
from metrics import PROTOCOLS, score
from metrics.protocol import prepare

SIZE = (1288, 2048)
LARGE_SIZE = (4000, 6000)
SCALE = 4
ROUNDS = 7
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


def in_turns(*works: Callable[[], object]) -> list[list[float]]:
    """Seconds of `ROUNDS` calls of each, one after the other in every round; a call of each before is not counted."""
    for work in works:
        work()
    times: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for work, taken in zip(works, times, strict=True):
            start = time.perf_counter()
            work()
            taken.append(time.perf_counter() - start)
    return times


def added_memory_mib() -> float:
    """Resident memory that scoring a pair of 24 MP takes at its peak, beside the two pictures. For a fresh process: Linux."""
    image, reference = pair(LARGE_SIZE)
    score(image[:64], reference[:64], scale=SCALE, stored_channels=3)
    clear_peak_memory()
    before_mib = peak_memory_mib() or 0.0
    score(image, reference, scale=SCALE, stored_channels=3)
    return (peak_memory_mib() or 0.0) - before_mib


def main() -> None:
    """Print both times, their ratio, the largest difference of a score, and the memory."""
    if "--memory" in sys.argv:
        print(f"{added_memory_mib():.0f}")
        return
    image, reference = pair()
    ours_s, theirs_s = in_turns(
        lambda: score(image, reference, scale=SCALE, stored_channels=3), lambda: score_with_skimage(image, reference)
    )
    ours = score(image, reference, scale=SCALE, stored_channels=3)
    theirs = score_with_skimage(image, reference)
    difference = max(abs((ours[p][key] or 0.0) - value) for p, values in theirs.items() for key, value in values.items())
    ratio = statistics.median(slow / quick for quick, slow in zip(ours_s, theirs_s, strict=True))
    print(
        f"{SIZE[1]}x{SIZE[0]}, three protocols: metrics.score {statistics.median(ours_s) * 1e3:.0f} ms "
        f"(quickest {min(ours_s) * 1e3:.0f}), scikit-image {statistics.median(theirs_s) * 1e3:.0f} ms"
    )
    print(f"{ratio:.1f} times as fast; largest difference of a score {difference:.1e}")
    memory = subprocess.run([sys.executable, __file__, "--memory"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"{LARGE_SIZE[1]}x{LARGE_SIZE[0]}: {memory} MiB beside the two pictures")


if __name__ == "__main__":
    main()
