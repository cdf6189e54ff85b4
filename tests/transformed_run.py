"""A run whose programs have transforms, and the pictures that it keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from deltanas.program import Program
from deltanas.records import Draft, RunView
from deltanas.train.data import Images
from deltanas.train.data.sample import kept_pictures

FLIP = "def transform(norm):\n    return transforms.Compose([transforms.RandomHorizontalFlip(p=1.0)])\n"
BOTH = FLIP.replace("([", "([transforms.RandomCrop(padding=0.25), ")
NONE = "def transform(norm):\n    return transforms.Compose([])\n"


def images(n: int = 30, channels: int = 1, height: int = 8, width: int = 8) -> Images:
    x = np.random.default_rng(0).integers(0, 256, (n, channels, height, width), np.uint8)
    return Images(x, np.arange(n) % 3)


def with_transforms(story: RunView, *texts: str) -> RunView:
    """The run with one more baseline for each text, whose network is the same."""
    first = story.candidates[0]
    assert first.program is not None
    rows = [
        replace(first, index=9 + place, name=f"policy{place}", draft=Draft(Program.of(first.program.net, text)))
        for place, text in enumerate(texts)
    ]
    return replace(story, candidates=(*rows, *story.candidates), pictures=kept_pictures(images(), 5))
