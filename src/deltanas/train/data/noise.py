"""Synthetic noise of cameras on clean images: Poisson-Gaussian in linear light, and whence its randomness comes.

T. Brooks, B. Mildenhall, T. Xue, J. Chen, D. Sharlet, J. T. Barron (2019), "Unprocessing images for learned raw
denoising", CVPR: the variance of a value x is shot * x + read, with a read noise that goes with the shot noise.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from functools import cache
from math import exp, log
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deltanas.errors import DataError
from deltanas.train.job import Noise

Levels = NDArray[np.uint8]
Floats = NDArray[np.float64]
Strength = float | Floats

SHOT = (1e-4, 1.2e-2)
"""Between which shot noise is drawn for training, with a uniform logarithm."""
EVALUATED = (0.0004, 0.002, 0.008)
"""Shot noise of the evaluation images, in turn."""
DARKTABLE = Path("/usr/share/darktable/noiseprofiles.json")
"""Where Debian's package has it."""
LEAST_ISO = 1600
"""Below it the noise of most cameras is less than what rounding to 8 bits makes."""
_GAMMA = 2.2
_READ_SLOPE, _READ_START, _READ_SPREAD = 2.18, 1.2, 0.26
_PUBLIC = b"training noise: a child sees the clean images beside it"
_TENT = np.array([0.5, 1.0, 0.5])


def with_training_noise(clean: Levels, kind: Noise, purpose: str) -> Levels:
    """Each image with noise of a strength of its own, the same on every machine. uint8 [n, c, h, w]."""
    found = np.empty_like(clean)
    for place, image in enumerate(clean):
        chance = _stream(_PUBLIC, f"{purpose}:{place}")
        if kind == "darktable":
            found[place] = noisy(image, *_measured(len(image), chance), kind, chance)
            continue
        shot = exp(chance.uniform(log(SHOT[0]), log(SHOT[1])))
        found[place] = noisy(image, shot, _read(shot, chance), kind, chance)
    return found


def with_evaluation_noise(clean: Levels, kind: Noise, purpose: str, secret: bytes | None) -> Levels:
    """Each image with noise of one of the strengths `EVALUATED`, in turn. uint8 [n, c, h, w].

    secret: without it nobody can draw this noise again, and take it off. None: noise of this call alone.
    """
    secret = secrets.token_bytes(32) if secret is None else secret
    found = np.empty_like(clean)
    for place, image in enumerate(clean):
        chance = _stream(secret, f"{purpose}:{place}")
        if kind == "darktable":
            found[place] = noisy(image, *_measured(len(image), chance), kind, chance)
            continue
        shot = EVALUATED[place % len(EVALUATED)]
        found[place] = noisy(image, shot, _read(shot), kind, chance)
    return found


def noisy(clean: Levels, shot: Strength, read: Strength, kind: Noise, chance: np.random.RandomState) -> Levels:
    """One image [c, h, w] with noise that is added in linear light, clipped and rounded to 8 bits.

    shot, read: of all channels, or [c, 1, 1].
    mosaic: noise as it is after a Bayer mosaic of one colour a pixel was interpolated, correlated over some pixels; of
    images of three channels alone.
    """
    light = (clean / 255) ** _GAMMA
    noise = np.sqrt(np.maximum(shot * light + read, 0)) * chance.standard_normal(clean.shape)
    if kind == "mosaic" and len(clean) == 3:
        noise = _demosaicked(noise)
    shown = np.clip(light + noise, 0, 1) ** (1 / _GAMMA)
    levels: Levels = np.rint(shown * 255).astype(np.uint8)
    return levels


def fingerprint(*images: Levels) -> str:
    """Of noisy images: whether two runs were scored on the same ones."""
    digest = hashlib.sha256()
    for one in images:
        digest.update(repr(one.shape).encode() + np.ascontiguousarray(one).tobytes())
    return digest.hexdigest()


def _measured(channels: int, chance: np.random.RandomState) -> tuple[Floats, Floats]:
    """Shot and read noise of a camera at some sensitivity, [c, 1, 1]; of grey images those of green."""
    a, b = _profiles()[chance.randint(len(_profiles()))]
    both = [np.array(each if channels == 3 else [each[1]] * channels).reshape(-1, 1, 1) for each in (a, b)]
    return both[0], both[1]


@cache
def _profiles(file: Path = DARKTABLE) -> list[tuple[list[float], list[float]]]:
    """Shot and read noise by colour of every profile from ISO `LEAST_ISO` up. Raises DataError where there are none."""
    try:
        makers = json.loads(file.read_text("utf-8"))["noiseprofiles"]
        models = [model for maker in makers for model in maker["models"]]
        found = [
            (list(map(float, one["a"])), list(map(float, one["b"])))
            for model in models
            for one in model["profiles"]
            if one["iso"] >= LEAST_ISO and len(one["a"]) == len(one["b"]) == 3
        ]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DataError(
            f"the noise of cameras stands in {file}, which can't be read: {error}",
            "apt-get install darktable, or leave train.noise out",
        ) from None
    if not found:
        raise DataError(f"{file} holds no profile from ISO {LEAST_ISO} up", "leave train.noise out")
    return found


def _read(shot: float, chance: np.random.RandomState | None = None) -> float:
    spread = _READ_SPREAD * chance.standard_normal() if chance else 0.0
    return exp(_READ_SLOPE * log(shot) + _READ_START + spread)


def _stream(secret: bytes, purpose: str) -> np.random.RandomState:
    """A stream of its own for each image, so that none foretells another."""
    return np.random.RandomState(np.frombuffer(hashlib.sha256(secret + purpose.encode()).digest(), np.uint32))


def _demosaicked(noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """[3, h, w]: of each colour the pixels that a Bayer sensor has (RGGB), and bilinear means of them elsewhere."""
    found = np.empty_like(noise)
    for colour, places in enumerate((((0, 0),), ((0, 1), (1, 0)), ((1, 1),))):
        mask = np.zeros(noise.shape[1:])
        for row, column in places:
            mask[row::2, column::2] = 1
        found[colour] = _tent(mask * noise[colour]) / _tent(mask)
    return found


def _tent(image: NDArray[np.float64]) -> NDArray[np.float64]:
    for axis in (0, 1):
        padded = np.pad(image, [(1, 1) if side == axis else (0, 0) for side in (0, 1)])
        image = sum(
            weight * np.take(padded, range(start, start + image.shape[axis]), axis)
            for start, weight in enumerate(_TENT)
        )
    return image
