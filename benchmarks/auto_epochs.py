"""How many optimizer steps does the short training of a search need? The measurement behind `train.epochs = "auto"`.

    python -m benchmarks auto_epochs OUT.json

Trains the 17 built-in baselines on small data sets for 1, 2, 4, ... epochs, each training from scratch, and compares
the accuracies with those of the longest one: how far up they are, and whether they rank the networks alike.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from math import ceil
from pathlib import Path
from random import Random
from statistics import fmean

from PIL import Image, ImageDraw
from scipy.stats import spearmanr

from deltanas import nets
from deltanas.config import TrainConfig
from deltanas.program import Trained
from deltanas.search import training_seed
from deltanas.wiring import open_dataset_pool, program_of

EPOCHS = (1, 2, 4, 8, 16)
COLOURS = {"red": (200, 40, 40), "blue": (40, 60, 200)}
SHAPES = ("circle", "square", "triangle")


def draw_shapes(folder: Path, count: int = 900, side: int = 24, seed: int = 0) -> None:
    """Easy pictures in a folder a class: three shapes in two colours, at any place, on a dark ground."""
    rng = Random(seed)
    classes = [(shape, colour) for shape in SHAPES for colour in COLOURS]
    for number in range(count):
        shape, colour = classes[number % len(classes)]
        image = Image.frombytes("RGB", (side, side), rng.randbytes(3 * side * side)).point(lambda v: v // 8)
        radius = rng.uniform(side / 4, side / 3)
        x, y = (rng.uniform(radius, side - radius) for _ in range(2))
        box = (x - radius, y - radius, x + radius, y + radius)
        fill = tuple(value + rng.randint(-30, 30) for value in COLOURS[colour])
        pen = ImageDraw.Draw(image)
        if shape == "circle":
            pen.ellipse(box, fill=fill)
        elif shape == "square":
            pen.rectangle(box, fill=fill)
        else:
            pen.polygon([(x, y - radius), (x - radius, y + radius), (x + radius, y + radius)], fill=fill)
        place = folder / f"{shape}-{colour}" / f"{number:04}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        image.save(place)


def measured(dataset: str, size: int | None, most: int) -> list[dict[str, object]]:
    """One row an epoch count of `EPOCHS` up to `most`, each with the accuracies and CPU seconds by baseline."""
    programs = {name: program_of(source) for name, source in nets.baselines().items()}
    rows: list[dict[str, object]] = []
    for epochs in [each for each in EPOCHS if each <= most]:
        with open_dataset_pool(
            dataset, TrainConfig(size=size, validation_size="all", epochs=epochs, average=0)
        ) as pool:
            found = dict(pool.train(list(programs.values()), seed=training_seed(0)))
            images = len(pool.dataset.train)
        ends = {name: found[place] for place, name in enumerate(programs)}
        accuracy = {name: end.score for name, end in ends.items() if isinstance(end, Trained)}
        row = {
            "dataset": dataset.partition(":")[0],
            "images": images,
            "epochs": epochs,
            "steps": epochs * ceil(images / nets.DEFAULT_PRM["batch"]),
            "mean": fmean(accuracy.values()),
            "accuracy": accuracy,
            "cpu_seconds": fmean(end.cpu_seconds for end in ends.values()),
        }
        sys.stderr.write(f"{row['dataset']} {images} images, {row['steps']} steps: mean {row['mean']:.3f}\n")
        rows.append(row)
    for row in rows:
        then, now = rows[-1]["accuracy"], row["accuracy"]
        assert isinstance(then, dict)
        assert isinstance(now, dict)
        both = sorted(then.keys() & now.keys())
        row["rank"] = float(spearmanr([now[name] for name in both], [then[name] for name in both]).statistic)
    return rows


def main(out: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        draw_shapes(Path(place))
        rows = measured(f"folder:{place}", None, 16)
    rows += measured("digits", None, 16)
    for size, most in ((500, 16), (2000, 4)):
        rows += measured("fashion-mnist", size, most)
    out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("out", type=Path, metavar="OUT.json")
    main(options.parse_args().out)
