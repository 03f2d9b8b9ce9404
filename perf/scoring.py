"""Time `metrics.score` against scikit-image on a pair of 2.6 MP, and show the largest difference.

python perf/scoring.py
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from metrics import PROTOCOLS, score
from metrics.protocol import prepare

SIZE = (1288, 2048)
SCALE = 4
Scores = dict[str, dict[str, float]]


def pair() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A smooth picture with noise, and the same with more noise."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    smooth = 128 + 80 * np.sin(rows / 37)[..., None] * np.cos(columns[..., None] / np.array([23, 41, 67]))
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


def median_s(work: Callable[[], object], repeats: int) -> float:
    """Median time of `repeats` calls after one that is not counted."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Print both times, their ratio and the largest difference of a score."""
    image, reference = pair()
    ours_s = median_s(lambda: score(image, reference, scale=SCALE, stored_channels=3), 9)
    theirs_s = median_s(lambda: score_with_skimage(image, reference), 3)
    ours = score(image, reference, scale=SCALE, stored_channels=3)
    theirs = score_with_skimage(image, reference)
    difference = max(abs((ours[p][key] or 0.0) - value) for p, values in theirs.items() for key, value in values.items())
    print(f"{SIZE[1]}x{SIZE[0]}, three protocols: metrics.score {ours_s * 1e3:.0f} ms, scikit-image {theirs_s * 1e3:.0f} ms")
    print(f"{theirs_s / ours_s:.1f} times as fast; largest difference of a score {difference:.1e}")


if __name__ == "__main__":
    main()
