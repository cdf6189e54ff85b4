"""Small pairs of noisy and clean images, in memory and in the layouts of folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deltanas import nets
from deltanas.program import Program, prm_text
from deltanas.train.data import Dataset
from deltanas.train.data.noise import with_evaluation_noise, with_training_noise
from deltanas.train.data.records import Images

Levels = NDArray[np.uint8]
SIZE = 16
PRM = {**nets.DEFAULT_PRM, "batch": 16}


def smooth(n: int, size: int = SIZE, seed: int = 0, channels: int = 3) -> Levels:
    """Clean images: waves of a few colours, [n, channels, size, size]."""
    rng = np.random.RandomState(seed)
    rows, columns = np.mgrid[:size, :size] / size
    waves = rng.uniform(-6, 6, (2, n, channels, 1, 1))
    phases = rng.uniform(0, 6, (n, channels, 1, 1))
    found: Levels = np.rint(128 + 90 * np.sin(waves[0] * rows + waves[1] * columns + phases)).astype(np.uint8)
    return found


def pairs(size: int = SIZE, secret: bytes = b"a secret") -> Dataset:
    """48 pairs to train on, 12 to validate, 12 to test."""
    train, validation, test = smooth(48, size), smooth(12, size, 1), smooth(12, size, 2)
    return Dataset(
        "waves",
        Images(with_training_noise(train, "independent", "waves"), train),
        Images(with_evaluation_noise(validation, "independent", "waves:validation", secret), validation),
        Images(with_evaluation_noise(test, "independent", "waves:test", secret), test),
        0,
    )


def denoiser(name: str = "half", **prm: float) -> Program:
    return Program.of(nets.baseline(name, "denoise"), prm=prm_text({**PRM, **prm}))


def saved(image: Levels, path: Path) -> Path:
    """image: [c, h, w]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.transpose(1, 2, 0) if len(image) == 3 else image[0]).save(path)
    return path


def folders(root: Path, sides: tuple[str, str] = ("noisy", "clean"), n: int = 20, size: int = 64) -> Path:
    """Pairs under equal names."""
    for place, image in enumerate(smooth(n, size)):
        for side, shift in zip(sides, (3, 0), strict=True):
            saved(image + np.uint8(shift), root / side / f"{place:02d}.png")
    return root


def sidd(root: Path, scenes: int = 4, instances: int = 3, size: int = 64) -> Path:
    """The layout of SIDD's sRGB sets: Data/INSTANCE_SCENE_.../NOISY_SRGB_NUMBER.PNG beside GT_SRGB_NUMBER.PNG."""
    number = 0
    for scene in range(1, scenes + 1):
        for image in smooth(instances, size, seed=scene):
            number += 1
            folder = root / "Data" / f"{number:04d}_{scene:03d}_S6_00100_00060_3200_L"
            saved(image + np.uint8(3), folder / "NOISY_SRGB_010.PNG")
            saved(image, folder / "GT_SRGB_010.PNG")
    return root
