"""How fast a machine multiplies matrices: the yardstick by which a time taken on one machine is told on another."""

import time

import numpy as np

REFERENCE_GFLOPS = 100.0
"""The rate for which costs of upscalers are stated."""
SIDE = 1024
REPEATS = 5


def matrix_gflops() -> float:
    """The matrix rate of this machine now, in GFLOP/s: f32, a product of two 1024x1024 matrices, the best of five."""
    left = np.random.default_rng(0).random((SIDE, SIDE), np.float32)
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        np.matmul(left, left)
        seconds.append(time.perf_counter() - started)
    return 2 * SIDE**3 / min(seconds) / 1e9
