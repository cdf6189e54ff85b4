"""Are scores of averaged weights steadier than those of the last weights? Both of the same trainings.

    python -m benchmarks averages --out benchmarks/averages [--minutes M] [--workers W] [--share 0.25]
    python -m benchmarks averages --out benchmarks/averages --report

Eight baselines, five fair draws of edits of each, eight seeds, one epoch on 4,000 images of Fashion-MNIST: 320
trainings. A score is taken apart, family by family, into what the program adds, what the seed adds, and the rest: the
rest is the noise among which a search compares the edits of a family under one seed. Interrupt it at any moment; the
same command goes on. `trainings.jsonl` has a row a training.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.lengths import outcome
from benchmarks.table import Row, stamp
from deltanas import nets
from deltanas.config import TrainConfig
from deltanas.errors import UsageError
from deltanas.program import Program, apply_edit
from deltanas.propose import Space
from deltanas.sandbox import Pool
from deltanas.seams import Ask
from deltanas.search import training_seed
from deltanas.whole import append_rows, read_rows
from deltanas.wiring import builtin_programs, kept_builds, open_dataset_pool

DATASET, TRAIN_SIZE = "fashion-mnist", 4_000
NETWORKS, EDITS, SEEDS = 8, 5, 8
DRAWS = 10_000
"""Of the bootstrap over networks."""
Floats = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="end with the first training after it")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--share", type=float, default=0.25, help="of the last steps, over which weights are averaged")
    parser.add_argument("--report", action="store_true", help="print what the file says, measure nothing")
    given = parser.parse_args()
    path = given.out / "trainings.jsonl"
    if given.report:
        sys.stdout.write(report(read_rows(path)))
        return
    given.out.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + 60 * given.minutes
    config = TrainConfig(
        size=TRAIN_SIZE, validation_size="all", workers=given.workers, threads=1, timeout=120, epochs=1
    )
    with open_dataset_pool(DATASET, config) as pool:
        _stamp(given.out / "meta.json", pool, given.share)
        programs = _programs(pool)
        for repeat in range(SEEDS):
            done = {(row["program"], row["seed"]) for row in read_rows(path)}
            open_ = [(family, one) for family, one in programs if (one.id, repeat) not in done]
            seed = training_seed(0, repeat=repeat)
            curves = pool.curves([one for _, one in open_], seed=seed, average=given.share, both=True)
            with closing(curves):
                for place, curve in curves:
                    family, program = open_[place]
                    row: Row = {"family": family, "program": program.id, "seed": repeat}
                    append_rows(path, [row | outcome(curve, pool.dataset.validation.y)])
                    if time.monotonic() > deadline:
                        return


def _programs(pool: Pool) -> list[tuple[str, Program]]:
    space = Space(kept_builds(pool))
    found = []
    for family, root in list(builtin_programs({}).items())[::2][:NETWORKS]:
        asks = [Ask(0, place, 0, f"averages:{family}:{place}:0", root) for place in range(EDITS)]
        for edit in space.draw(asks):
            if edit is None:
                raise UsageError(f"no edit of {family} holds")
            found.append((family, root.edited("net", apply_edit(root.net, edit.text).source)))
    return found


@dataclass(frozen=True)
class Parts:
    """Of one family: sums of squares of what is left of its scores, its degrees of freedom, and the mean score.

    edits: variance of the programs' means, less what the rest adds to it.
    """

    rest: float
    degrees: int
    edits: float
    mean: float


def taken_apart(scores: Floats) -> Parts:
    """scores: [programs, seeds]."""
    rest = scores - scores.mean(1, keepdims=True) - scores.mean(0, keepdims=True) + scores.mean()
    programs, seeds = scores.shape
    squares, degrees = float((rest**2).sum()), (programs - 1) * (seeds - 1)
    edits = float(scores.mean(1).var(ddof=1)) - squares / degrees / seeds
    return Parts(squares, degrees, edits, float(scores.mean()))


def report(rows: Sequence[Row]) -> str:
    """Markdown: the rest of last and averaged weights, their ratio and the difference of means, with intervals."""
    tables = {name: _tables(rows, name) for name in ("accuracy", "loss")}
    lines = ["| score | rest, s.d. | ratio of variances | edits, s.d. | reliability | mean | difference |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for name, families in tables.items():
        if len(families) < 2:
            return "fewer than two networks have all of their scores\n"
        last, averaged = ([taken_apart(pair[place]) for pair in families.values()] for place in (0, 1))
        lines.append(f"| {name} | {_row(last, averaged)} |")
    counted = ", ".join(f"{name} {pair[0].shape[0]} x {pair[0].shape[1]}" for name, pair in tables["accuracy"].items())
    about = f"Pairs: of the last weights; of the averaged ones. Programs x seeds: {counted}."
    return "\n".join([*lines, "", f"{about} Intervals: networks drawn again, 95 %.", ""])


def _row(last: Sequence[Parts], averaged: Sequence[Parts]) -> str:
    chance = np.random.default_rng(0)
    chosen = chance.integers(len(last), size=(DRAWS, len(last)))
    rests = [np.array([one.rest for one in parts]) for parts in (last, averaged)]
    means = np.array([two.mean - one.mean for one, two in zip(last, averaged, strict=True)])
    ratios = rests[1][chosen].sum(1) / rests[0][chosen].sum(1)
    degrees = sum(one.degrees for one in last)
    noise = [float(each.sum()) / degrees for each in rests]
    signal = [max(0.0, float(np.mean([one.edits for one in parts]))) for parts in (last, averaged)]
    pairs = [
        "; ".join(f"{value**0.5:.4f}" for value in noise),
        f"{noise[1] / noise[0]:.2f} {_interval(ratios, 2)}",
        "; ".join(f"{value**0.5:.4f}" for value in signal),
        "; ".join(f"{value / (value + rest):.2f}" for value, rest in zip(signal, noise, strict=True)),
        "; ".join(f"{np.mean([one.mean for one in parts]):.4f}" for parts in (last, averaged)),
        f"{means.mean():+.4f} {_interval(means[chosen].mean(1), 4, sign='+')}",
    ]
    return " | ".join(pairs)


def _interval(values: Floats, digits: int, *, sign: str = "") -> str:
    low, high = np.quantile(values, [0.025, 0.975])
    return f"[{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"


def _tables(rows: Sequence[Row], name: str) -> dict[str, tuple[Floats, Floats]]:
    """By family: scores of the last and of the averaged weights, [programs, seeds], of seeds that all programs have."""
    found: dict[str, dict[str, dict[int, list[float]]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        readings = row["readings"]
        assert isinstance(readings, list)
        scores = [reading[name] for reading in readings]
        if len(scores) == 2 and None not in scores:
            found[str(row["family"])][str(row["program"])][int(str(row["seed"]))] = scores
    tables = {}
    for family, programs in found.items():
        seeds = sorted(set.intersection(*(set(scores) for scores in programs.values())))
        if len(programs) > 1 and len(seeds) > 1:
            table = np.array([[scores[seed] for seed in seeds] for scores in programs.values()])
            tables[family] = (table[..., 0], table[..., 1])
    return tables


def _stamp(path: Path, pool: Pool, share: float) -> None:
    method: Row = {
        "dataset": DATASET,
        "train_size": TRAIN_SIZE,
        "epochs": 1,
        "average": share,
        "prm": nets.DEFAULT_PRM,
        "seeds": [training_seed(0, repeat=repeat) for repeat in range(SEEDS)],
        "data": pool.dataset.record,
        "torch": metadata.version("torch"),
    }
    stamp(path, method, pool.tier)


if __name__ == "__main__":
    main()
