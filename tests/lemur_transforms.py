"""Small wheels and folders of transforms as nn-gpt lays them out."""

from __future__ import annotations

import json
from collections.abc import Mapping

INSIDE = "ab/gpt/brute/trans"


def text(*calls: str, resize: int | None = 64) -> str:
    """A transform in the words of the released ones."""
    scaled = [] if resize is None else [f"Resize(({resize},{resize}))"]
    lines = ",\n".join(f"    transforms.{call}" for call in [*calls, *scaled, "ToTensor()", "Normalize(*norm)"])
    head = "import torch\nimport torchvision.transforms as transforms\n\ndef transform(norm):\n"
    return f"{head}    return transforms.Compose([\n{lines}\n])"


def result(name: str, accuracy: float, **more: object) -> str:
    row: dict[str, object] = {"accuracy": accuracy, "time metric": 2.5, "batch": 64, "duration": 13_000_000_000}
    return json.dumps({**row, "lr": 0.01, "momentum": 0.9, "transform": name, "uid": f"u-{name}", **more}, indent=2)


BLUR = "GaussianBlur(kernel_size=5, sigma=(0.71, 1.22))"
JITTER = "ColorJitter(brightness=1.04, contrast=0.87, saturation=0.95, hue=0.06)"
TEXTS = {
    "out_gen/Pad": text("Pad(padding=0, fill=(1, 2, 3), padding_mode='edge')"),
    "out_gen/Pad_2": text("Pad(padding=4, fill=(30, 60, 90), padding_mode='constant')"),
    "out_gen/ColorJitter": text(JITTER),
    "out_gen/CenterCrop_RandomCrop": text("CenterCrop(size=24)", "RandomCrop(size=28)"),
    "dataset_epoch1/Pad": text("Pad(padding=0, fill=(1, 2, 3), padding_mode='edge')"),
    "dataset_epoch1/A1B2": text("CenterCrop(size=28)", BLUR),
    "dataset_epoch1/A1B2_256": text("CenterCrop(size=28)", BLUR, resize=256),
}
RESULTS = {
    "result_gen/Pad": result("Pad", 0.5654),
    "result_gen/Pad_2": result("Pad_2", 0.57),
    "result_gen/ColorJitter": result("ColorJitter", 0.39),
    "result_gen/CenterCrop_RandomCrop": result(
        "CenterCrop_RandomCrop", 0.0, error="ValueError: Required crop size (28, 28) is larger", uid="", duration=0
    ),
    "result_epoch1/Pad": result("Pad", 0.735, epoch=5),
}


def files(texts: Mapping[str, str] = TEXTS, results: Mapping[str, str] = RESULTS) -> dict[str, bytes]:
    """A good tree, by path."""
    return {
        "ab/gpt/__init__.py": b"raise RuntimeError('imported')\n",
        f"{INSIDE}/TransformEval.py": b"raise RuntimeError('imported')\n",
        **{f"{INSIDE}/{name}.py": text.encode() for name, text in texts.items()},
        **{f"{INSIDE}/{name}.json": text.encode() for name, text in results.items()},
    }
