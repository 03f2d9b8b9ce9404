"""MS-SSIM, VIF, GMSD and HaarPSI once more, plainly, as their papers and their authors' MATLAB code have them: the oracle of the tests.

Whole pictures in `float64`, two-dimensional convolution, nothing shared with the product.
"""

import numpy as np
from scipy.ndimage import correlate1d
from scipy.signal import convolve2d


def gaussian(side: int, sigma: float) -> np.ndarray:
    """As `fspecial('gaussian', side, sigma)`."""
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    weights = np.exp(-(rows**2 + columns**2) / (2 * sigma**2))
    return weights / weights.sum()


def luma(image: np.ndarray) -> np.ndarray:
    """0.299 R + 0.587 G + 0.114 B."""
    return image.astype(float) if image.ndim == 2 else image @ np.array([0.299, 0.587, 0.114])


def ms_ssim(image: np.ndarray, reference: np.ndarray) -> float:
    """Wang, Simoncelli, Bovik 2003, `msssim.m`, method `product`; the mean of the channels."""
    if image.ndim == 3:
        return float(np.mean([ms_ssim(image[..., channel], reference[..., channel]) for channel in range(3)]))
    x, y = image.astype(float), reference.astype(float)
    window = gaussian(11, 1.5)
    value = 1.0
    for level, exponent in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        mean_x, mean_y, xx, yy, xy = (convolve2d(each, window, "valid") for each in (x, y, x * x, y * y, x * y))
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        contrast = (2 * (xy - mean_x * mean_y) + c2) / (xx - mean_x**2 + yy - mean_y**2 + c2)
        luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
        mean = contrast.mean() if level < 4 else (luminance * contrast).mean()
        value *= max(mean, 0.0) ** exponent
        # imfilter(..., ones(2)/4, 'symmetric', 'same') and every second value.
        x, y = (
            correlate1d(correlate1d(each, [0.5, 0.5], 0, mode="reflect", origin=-1), [0.5, 0.5], 1, mode="reflect", origin=-1)[::2, ::2]
            for each in (x, y)
        )
    return value


def vif(image: np.ndarray, reference: np.ndarray) -> float:
    """Sheikh, Bovik 2006, `vifp_mscale.m`."""
    distorted, original = luma(image), luma(reference)
    numerator = denominator = 0.0
    for scale in range(1, 5):
        side = 2 ** (4 - scale + 1) + 1
        window = gaussian(side, side / 5)
        if scale > 1:
            original, distorted = (convolve2d(each, window, "valid")[::2, ::2] for each in (original, distorted))
        mean_1, mean_2 = convolve2d(original, window, "valid"), convolve2d(distorted, window, "valid")
        var_1 = np.maximum(convolve2d(original**2, window, "valid") - mean_1**2, 0)
        var_2 = np.maximum(convolve2d(distorted**2, window, "valid") - mean_2**2, 0)
        cov = convolve2d(original * distorted, window, "valid") - mean_1 * mean_2
        for v1, v2, c in zip(var_1.ravel(), var_2.ravel(), cov.ravel(), strict=True):
            gain, noise, known = c / (v1 + 1e-10), v2 - c / (v1 + 1e-10) * c, v1
            if v1 < 1e-10:
                gain, noise, known = 0.0, v2, 0.0
            if v2 < 1e-10:
                gain, noise = 0.0, 0.0
            if gain < 0:
                gain, noise = 0.0, v2
            noise = max(noise, 1e-10)
            numerator += np.log10(1 + gain**2 * known / (noise + 2))
            denominator += np.log10(1 + known / 2)
    return float(numerator / denominator)


def halved(plane: np.ndarray) -> np.ndarray:
    """`conv2(plane, ones(2)/4, 'same')` and every second value."""
    padded = np.pad(plane, ((0, 1), (0, 1)))
    return ((padded[:-1, :-1] + padded[1:, :-1] + padded[:-1, 1:] + padded[1:, 1:]) / 4)[::2, ::2]


def gmsd(image: np.ndarray, reference: np.ndarray) -> float:
    """Xue, Zhang, Mou, Bovik 2014, equations 4 to 6."""
    prewitt = np.array([[1, 0, -1], [1, 0, -1], [1, 0, -1]]) / 3
    lengths = []
    for each in (image, reference):
        plane = halved(luma(each))
        lengths.append(np.hypot(convolve2d(plane, prewitt, "same"), convolve2d(plane, prewitt.T, "same")))
    similarity = (2 * lengths[0] * lengths[1] + 170) / (lengths[0] ** 2 + lengths[1] ** 2 + 170)
    return float(similarity.std())


def haarpsi(image: np.ndarray, reference: np.ndarray) -> float:
    """Reisenhofer, Bosse, Kutyniok, Wiegand 2018, `HaarPSI.m`."""

    def planes(picture: np.ndarray) -> list[np.ndarray]:
        if picture.ndim == 2:
            return [halved(picture.astype(float))]
        mix = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
        return [halved(picture @ row) for row in mix]

    def coefficients(plane: np.ndarray, scale: int, turned: bool) -> np.ndarray:
        wavelet = np.ones((2**scale, 2**scale)) / 2**scale
        wavelet[: 2 ** (scale - 1)] *= -1
        kernel = wavelet.T if turned else wavelet
        # conv2(..., 'same') of MATLAB keeps what begins half a kernel in, rounded up.
        start = 2 ** (scale - 1)
        return np.abs(convolve2d(plane, kernel)[start : start + plane.shape[0], start : start + plane.shape[1]])

    def similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (2 * a * b + 30) / (a**2 + b**2 + 30)

    x, y = planes(image), planes(reference)
    weights, similarities = [], []
    for turned in (False, True):
        weights.append(np.maximum(coefficients(x[0], 3, turned), coefficients(y[0], 3, turned)))
        similarities.append(sum(similarity(coefficients(x[0], s, turned), coefficients(y[0], s, turned)) for s in (1, 2)) / 2)
    if len(x) == 3:
        means = [[np.abs(_mean_of_4(plane)) for plane in each[1:]] for each in (x, y)]
        similarities.append((similarity(means[0][0], means[1][0]) + similarity(means[0][1], means[1][1])) / 2)
        weights.append((weights[0] + weights[1]) / 2)
    share = sum((weight / (1 + np.exp(-4.2 * each))).sum() for weight, each in zip(weights, similarities, strict=True))
    share /= sum(weight.sum() for weight in weights)
    return float((np.log(share / (1 - share)) / 4.2) ** 2)


def _mean_of_4(plane: np.ndarray) -> np.ndarray:
    padded = np.pad(plane, ((0, 1), (0, 1)))
    return (padded[:-1, :-1] + padded[1:, :-1] + padded[:-1, 1:] + padded[1:, 1:]) / 4
