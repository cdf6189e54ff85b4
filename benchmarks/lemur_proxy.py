"""LEMUR's trials drawn: the score after one epoch against the score after the longest training, per data set.

    deltanas lemur import nn_dataset-1.2.6-py3-none-any.whl --run runs/lemur
    python -m benchmarks lemur_proxy runs/lemur --out docs/lemur-proxy.png

Upper row: both scores of one training. Lower row: the first of one training, the second of another training of the same
program, drawn at random. A search ranks by the first and is after the second, so the lower row is what a ranking of
programs has to go by; the figures are in docs/results.md.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from random import Random

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from deltanas.archive import read_folder
from deltanas.lemur import csv_rows, curves

DATASETS = ("cifar-10", "cifar-100", "mnist", "svhn", "imagenette", "celeba-gender")
Pair = tuple[float, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of the imported run")
    parser.add_argument("--out", type=Path, required=True, help="picture to write")
    given = parser.parse_args()
    figure, panels = plt.subplots(2, len(DATASETS), figsize=(2.2 * len(DATASETS), 4.9), layout="constrained")
    for dataset, (upper, lower) in zip(DATASETS, panels.T, strict=True):
        trained = _trained(given.run, dataset)
        _draw(upper, [pair for pairs in trained.values() for pair in pairs])
        _draw(lower, _crossed(trained))
        upper.set_title(f"{dataset}, {len(trained)} programs", fontsize=9)
    panels[0, 0].set_ylabel("longest training,\nthe same one", fontsize=9)
    panels[1, 0].set_ylabel("longest training,\nanother of that program", fontsize=9)
    figure.supxlabel("accuracy after one epoch", fontsize=9)
    figure.savefig(given.out, dpi=100, metadata={"Software": None})


def _trained(run: Path, dataset: str) -> dict[str, list[Pair]]:
    """By program, (accuracy after one epoch, after the longest training) of each training that has both."""
    found: defaultdict[str, list[Pair]] = defaultdict(list)
    with read_folder(run).open() as opened:
        for program, _, proxy, target, *_ in csv_rows(curves(opened.trials.trials(dataset=dataset))):
            if proxy is not None and target is not None:
                found[program].append((proxy, target))
    return dict(found)


def _crossed(trained: dict[str, list[Pair]]) -> list[Pair]:
    """Each training's first accuracy with the last one of another training of the program."""
    rng, pairs = Random(0), []
    for own in trained.values():
        for place, (proxy, _) in enumerate(own):
            others = [target for other, (_, target) in enumerate(own) if other != place]
            if others:
                pairs.append((proxy, rng.choice(others)))
    return pairs


def _draw(panel: Axes, pairs: Sequence[Pair]) -> None:
    after_one, at_end = zip(*pairs, strict=True)
    panel.scatter(after_one, at_end, s=6, alpha=0.5, linewidths=0, color="#0b5fa5")
    panel.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, zorder=0)
    panel.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    panel.tick_params(labelsize=7)


if __name__ == "__main__":
    main()
