"""Small wheels and folders in LEMUR's two layouts."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

NET = """import torch
from torch import nn


def supported_hyperparameters():
    return {"lr", "momentum"}


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(in_shape[1] * in_shape[2] * in_shape[3], WIDTH), nn.ReLU())
        self.head = nn.Linear(WIDTH, out_shape[0])

    def forward(self, x):
        return self.head(self.body(x))

    def train_setup(self, prm):
        self.criteria = (nn.CrossEntropyLoss(),)
        self.optimizer = torch.optim.SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])

    def learn(self, train_data):
        for inputs, labels in train_data:
            self.optimizer.zero_grad()
            self.criteria[0](self(inputs), labels).backward()
            self.optimizer.step()
"""


def net(width: int) -> str:
    return NET.replace("WIDTH", str(width))


def trial(accuracy: float, lr: float = 0.1, **more: object) -> dict[str, object]:
    row = {
        "accuracy": accuracy,
        "batch": 32,
        "lr": lr,
        "momentum": 0.5,
        "transform": "norm_32",
        "uid": f"u{lr}",
        **more,
    }
    return {name: value for name, value in sorted(row.items()) if value is not None}


def rows(*trials: dict[str, object]) -> str:
    return json.dumps(list(trials), indent=4)


CLASSIFICATION = "img-classification_mnist_acc"
PROGRAMS = {"Small": net(8), "Wide-1f": net(64).replace("\n", "\r\n"), "Same": net(8) + "# é\n"}
TRIALS = {
    f"{CLASSIFICATION}_Small/1.json": rows(trial(0.5, duration=10), trial(0.25, lr=1e-05, duration=None)),
    f"{CLASSIFICATION}_Small/2.json": rows(trial(0.75, duration=20, dropout=0.1 + 0.2)),
    f"{CLASSIFICATION}_Small/10.json": rows(trial(0.875, duration=2**62, epoch=10)),
    f"{CLASSIFICATION}_Wide-1f/1.json": rows(trial(0.9, duration=5), trial(0.4, duration=7), trial(0.4, duration=7)),
    "obj-detection_coco_map_Same/50.json": rows(trial(0.125, pretrained=1.0)),
}


def files(old: bool = False, programs: Mapping[str, str] = PROGRAMS) -> dict[str, bytes]:
    """A good tree, by path: of the layout up to 1.2.6 if `old`."""
    stat = "ab/nn/stat" if old else "ab/nn/stat/train"
    return {
        "ab/__init__.py": b"raise RuntimeError('imported')\n",
        "ab/nn/__init__.py": b"raise RuntimeError('imported')\n",
        "ab/nn/nn/__init__.py": b"raise RuntimeError('imported')\n",
        **{f"ab/nn/nn/{name}.py": source.encode() for name, source in programs.items()},
        **{f"{stat}/{name}": text.encode() for name, text in TRIALS.items()},
        "ab/nn/stat/run/img-classification_Small/phone.json": b'{"duration": 3}',
        "ab/nn/transform/norm_32.py": b"",
    }


def write_wheel(path: Path, content: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def write_folder(path: Path, content: Mapping[str, bytes]) -> Path:
    for name, data in content.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def read_folder(path: Path) -> dict[str, bytes]:
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}
