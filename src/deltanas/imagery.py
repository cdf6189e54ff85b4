"""How near one image comes to another: PSNR and SSIM, image by image, and pictures of it. By numpy alone."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from math import exp

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Levels = NDArray[np.uint8]

WHITE = 255
_RADIUS, _SIGMA = 5, 1.5
_WEIGHTS = np.array([exp(-((offset / _SIGMA) ** 2) / 2) for offset in range(-_RADIUS, _RADIUS + 1)])
_WINDOW = _WEIGHTS / _WEIGHTS.sum()
_SHOWN = 192
"""Height and width of an image in a picture, about; of a larger one the middle is shown."""
_GAP = 6
_TIMES = 4
"""By how much differences are shown larger than they are."""
_C1, _C2 = (0.01 * WHITE) ** 2, (0.03 * WHITE) ** 2


def in_levels(outputs: NDArray[np.float32]) -> Levels:
    """What a device shows of outputs on the scale 0 to 1: clipped, and rounded to 8 bits."""
    levels: Levels = np.rint(np.clip(outputs, 0, 1) * np.float32(WHITE)).astype(np.uint8)
    return levels


def psnr(images: Levels, clean: Levels) -> Floats:
    """Peak signal-to-noise ratio of each image in dB, over all its pixels and channels. uint8 [n, c, h, w] to [n].

    Images that are equal get that of a single value that is off by one level, so that every score is finite.
    """
    squares = [int(((one.astype(np.int64) - other) ** 2).sum()) for one, other in zip(images, clean, strict=True)]
    values = clean[0].size if len(clean) else 1
    return 10 * np.log10(WHITE**2 * values / np.maximum(squares, 1).astype(np.float64))


def ssim(images: Levels, clean: Levels) -> Floats:
    """Structural similarity of each image: the mean over its channels and places. uint8 [n, c, h, w] to [n].

    By a Gaussian window of 11 x 11, sigma 1.5, where it lies in the image as a whole; with biased variances. Z. Wang,
    A. C. Bovik, H. R. Sheikh, E. P. Simoncelli (2004), "Image quality assessment: from error visibility to structural
    similarity", IEEE Transactions on Image Processing 13:600-612. Images smaller than the window have none: NaN.
    """
    if min(clean.shape[2:]) < len(_WINDOW):
        return np.full(len(clean), np.nan)
    return np.array([_ssim(one.astype(float), other.astype(float)) for one, other in zip(images, clean, strict=True)])


def _ssim(one: Floats, other: Floats) -> float:
    mean, mean_clean = _blurred(one), _blurred(other)
    variance = _blurred(one * one) - mean**2
    variance_clean = _blurred(other * other) - mean_clean**2
    covariance = _blurred(one * other) - mean * mean_clean
    alike = (2 * mean * mean_clean + _C1) * (2 * covariance + _C2)
    return float((alike / ((mean**2 + mean_clean**2 + _C1) * (variance + variance_clean + _C2))).mean())


def _blurred(image: Floats) -> Floats:
    """[c, h, w] to [c, h - 10, w - 10]."""
    for axis in (1, 2):
        length = image.shape[axis] - 2 * _RADIUS
        image = sum(weight * np.take(image, range(start, start + length), axis) for start, weight in enumerate(_WINDOW))
    return image


def before_and_after(noisy: Levels, denoised: Levels, clean: Levels) -> bytes:
    """A PNG with three rows, by the PSNR of the denoised image: the worst, the median, the best.

    In each: the noisy image, the denoised one, the clean one, and four times their difference on grey. Images: uint8
    [n, c, h, w].
    """
    rows = []
    for place in extremes(psnr(denoised, clean)):
        apart = denoised[place].astype(int) - clean[place]
        difference = np.clip(128 + _TIMES * apart, 0, WHITE).astype(np.uint8)
        shown = [_enlarged(image) for image in (noisy[place], denoised[place], clean[place], difference)]
        rows.append(_joined(shown, axis=1))
    return png(_joined(rows, axis=0))


def extremes(scores: Floats) -> tuple[int, int, int]:
    """Places of the lowest score, the median one and the highest one."""
    order = np.argsort(scores, kind="stable")
    return int(order[0]), int(order[len(order) // 2]), int(order[-1])


def png(pixels: Levels) -> bytes:
    """A PNG file. pixels: uint8 [height, width, channels]: grey or red, green, blue; the last may be opacity."""
    height, width, channels = pixels.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _enlarged(image: Levels) -> Levels:
    """[c, h, w] to [height, width, c], each pixel as a square of several where the image is small."""
    top, left = (max(0, side - _SHOWN) // 2 for side in image.shape[1:])
    middle = image[:, top : top + _SHOWN, left : left + _SHOWN]
    times = max(1, _SHOWN // max(middle.shape[1:]))
    return middle.repeat(times, axis=1).repeat(times, axis=2).transpose(1, 2, 0)


def _joined(images: Sequence[Levels], axis: int) -> Levels:
    """Images [height, width, c] one after another, with white between them."""
    shape = [_GAP if place == axis else size for place, size in enumerate(images[0].shape)]
    gap = np.full(shape, WHITE, np.uint8)
    return np.concatenate([part for image in images for part in (image, gap)][:-1], axis=axis)
