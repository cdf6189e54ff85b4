"""LEMUR's own trainer (`ab.nn.util.Train`, unchanged) over the same images. A rival of `bench`: not needed by deltanas.

`python -m benchmarks.trainers.lemur FOLDER`: FOLDER is where pip put it, see `INSTALL`. Its loader of MNIST reads the
images, which lie in files of MNIST's format; it draws them as PIL images through two worker processes, its default.
Its transform `norm` keeps their size. Its database stays empty and nothing is saved, which is to its advantage.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

INSTALL = (
    "pip install --no-deps --target FOLDER nn-dataset==1.2.6 'pandas<3' python-dateutil pytz tzdata six radon mando "
    "colorama; torchvision and tqdm in this environment"
)
_WORKERS = 2
"""LEMUR's `default_num_workers`."""
_MINUTES = 30
"""LEMUR's `default_epoch_limit_minutes`."""


def write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    """One array of unsigned bytes in the IDX format of MNIST."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    path.write_bytes(header + np.ascontiguousarray(array).tobytes())


def main() -> None:
    from benchmarks.trainers import serve  # before LEMUR, whose import prints

    raw = Path("data/MNIST/raw")
    raw.mkdir(parents=True)
    with np.load("data.npz") as arrays:
        for split, x, y in (("train", "x", "y"), ("t10k", "held_x", "held_y")):
            write_idx(raw / f"{split}-images-idx3-ubyte", arrays[x][:, 0])
            write_idx(raw / f"{split}-labels-idx1-ubyte", arrays[y].astype(np.uint8))
    Path("db").mkdir()
    Path("db/ab.nn.db").touch()  # else the import fills a database of 128 MB
    sys.path.append(sys.argv[1])
    prm = json.loads(Path("prm.json").read_text(encoding="utf-8"))

    def train(seed: int) -> float:
        torch, loader, trainer = (
            importlib.import_module(name) for name in ("torch", "ab.nn.util.Loader", "ab.nn.util.Train")
        )
        torch.manual_seed(seed)
        out_shape, least, train_set, test_set = loader.load_dataset("img-classification", "mnist", "norm")
        work = trainer.Train(
            ("img-classification", "mnist", "acc", "candidate"),
            out_shape,
            least,
            int(prm["batch"]),
            "candidate",
            "img-classification",
            train_set,
            test_set,
            "acc",
            _WORKERS,
            dict(prm),
            save_to_db=False,
        )
        return float(work.train_n_eval(1, _MINUTES)[0])

    serve(train)


if __name__ == "__main__":
    main()
