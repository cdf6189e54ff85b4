"""Does what finished searches hand over stay ahead when it is trained longer, on more images?

    python -m benchmarks transfer RUN... --out FILE [--size 10000] [--epochs 5] [--fresh 3] [--workers N]

The runs have one data set and the same baselines. All baselines are trained once at that length; the one with the
highest score on the validation images is the rival: no test image chose it. Then it, each network that a run handed
over, and the baseline that its own search ranked highest are trained with fresh seeds and tested on the test images.
Gains are means over the seeds. Their t-intervals are over the runs and, with two seeds or more, over the seeds too: all
runs are compared with the same few trainings of the rival. FLOPs and seconds stand as ratios to the rival's.
A row a training goes into FILE. Interrupt it at any moment; the same command goes on. It ends with JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

import deltanas
from benchmarks.compare import Interval, mean
from benchmarks.table import Row, stamp
from deltanas.config import TrainConfig
from deltanas.errors import UsageError
from deltanas.program import Program, Trained
from deltanas.report import summary
from deltanas.sandbox import Pool
from deltanas.seams import Split
from deltanas.search import training_seed
from deltanas.whole import append_rows, read_rows
from deltanas.wiring import open_dataset_pool
from deltanas.wiring.resuming import begun_config

FRESH = 1_000
"""Seed that no search has."""


@dataclass(frozen=True, slots=True)
class Searched:
    """A finished search: what it hands over, its best baseline and all of them by name."""

    run: str
    dataset: str
    handed: Program
    best: str
    baselines: Mapping[str, Program]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--fresh", type=int, default=3, help="number of final trainings of each network")
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    searches = [searched(run) for run in given.runs]
    baselines = searches[0].baselines
    if any(one.baselines != baselines or one.dataset != searches[0].dataset for one in searches):
        raise UsageError("the runs differ in their data set or baselines", "give runs of one search with several seeds")
    config = TrainConfig(size=given.size, epochs=given.epochs, workers=given.workers, threads=1, timeout=3600)
    with open_dataset_pool(searches[0].dataset, config) as pool:
        method: Row = {"dataset": searches[0].dataset, "size": given.size, "epochs": given.epochs,
                       "data": pool.dataset.record}  # fmt: skip
        stamp(given.out.with_suffix(".json"), method, pool.tier)
        trained(pool, given.out, list(baselines.values()), "validation", 0)
        rival = rival_of(read_rows(given.out), baselines)
        tested = [baselines[rival], *(one.handed for one in searches), *(baselines[one.best] for one in searches)]
        for repeat in range(given.fresh):
            trained(pool, given.out, list({program.id: program for program in tested}.values()), "test", repeat)
    rows = [row for row in read_rows(given.out) if int(str(row["repeat"])) < given.fresh]  # the same seeds for all
    sys.stdout.write(json.dumps(told(rows, searches, rival), indent=1) + "\n")


def searched(path: Path) -> Searched:
    """Raises UsageError for a run that hands nothing over."""
    view = deltanas.open_run(path)
    found = summary(view).handed_over
    if found is None or found.over is None:
        raise UsageError(f"{path} hands over no network with a baseline beside it", "leave it out, or finish the run")
    rows = [row for row in view.candidates if not row.cycle]
    baselines = {row.name: row.program for row in rows if row.program is not None and row.score is not None}
    settings = view.manifest["config"]
    assert isinstance(settings, dict)
    return Searched(str(path), begun_config(settings).dataset, view.programs[found.program], found.over.name, baselines)


def trained(pool: Pool, out: Path, programs: Sequence[Program], split: Split, repeat: int) -> None:
    """Train those without a row; what fails is worth nothing."""
    known = {(row["program"], row["split"], row["repeat"]) for row in read_rows(out)}
    left = [program for program in programs if (program.id, split, repeat) not in known]
    built = pool.build(left)
    for place, outcome in pool.train(left, seed=training_seed(FRESH, split, repeat), split=split):
        row: Row = {"program": left[place].id, "split": split, "repeat": repeat}
        row |= {key: getattr(built[place], key, None) for key in ("flops", "params")}
        score = outcome.score if isinstance(outcome, Trained) else 0.0
        append_rows(out, [{**row, "score": score, "seconds": round(outcome.cpu_seconds, 1)}])


def rival_of(rows: Sequence[Row], baselines: Mapping[str, Program]) -> str:
    scores = {row["program"]: float(str(row["score"])) for row in rows if row["split"] == "validation"}
    return max(baselines, key=lambda name: scores[baselines[name].id])


def told(rows: Sequence[Row], searches: Sequence[Searched], rival: str) -> dict[str, object]:
    """By run and in all: accuracy of what was handed over, less the rival's and less that of its own best baseline."""
    tests: defaultdict[str, list[Row]] = defaultdict(list)
    for row in sorted((row for row in rows if row["split"] == "test"), key=lambda row: int(str(row["repeat"]))):
        tests[str(row["program"])].append(row)
    levels = {program: np.array(_floats(some, "score")) for program, some in tests.items()}
    handed = [one.handed.id for one in searches]
    over = np.array([levels[one.handed.id] - levels[one.baselines[rival].id] for one in searches])
    over_own = np.array([levels[one.handed.id] - levels[one.baselines[one.best].id] for one in searches])
    theirs = tests[searches[0].baselines[rival].id]
    found = [
        {
            "run": one.run,
            "accuracy": round(float(levels[name].mean()), 4),
            "gain": mean(gains.tolist()),
            "own_baseline": one.best,
            "gain_over_own": mean(own.tolist()),
            **{
                key: round(median(_floats(tests[name], key)) / median(_floats(theirs, key)), 2)
                for key in ("flops", "params", "seconds")
            },
        }
        for one, name, gains, own in zip(searches, handed, over, over_own, strict=True)
    ]
    return {
        "rival": rival,
        "rival_accuracy": mean(_floats(theirs, "score")),
        "gain": crossed(over),
        "gain_over_own": crossed(over_own),
        "runs": found,
    }


def crossed(gains: NDArray[np.float64]) -> Interval:
    """Mean of gains [runs, seeds] with its t-interval, where runs and seeds are both drawn.

    Its variance is (R + S - E) / (runs x seeds), of the mean squares of runs, of seeds and of the rest, but at least
    that of runs alone; degrees of freedom by F. E. Satterthwaite (1946), Biometrics Bulletin 2:110-114. With one seed,
    or one run, over the other alone.
    """
    runs, seeds = gains.shape
    if min(runs, seeds) < 2:
        return mean(gains.ravel().tolist())
    whole, of_runs, of_seeds = float(gains.mean()), gains.mean(1), gains.mean(0)
    rest = gains - of_runs[:, None] - of_seeds + whole
    run, seed = float(seeds * of_runs.var(ddof=1)), float(runs * of_seeds.var(ddof=1))
    left = float((rest**2).sum()) / ((runs - 1) * (seeds - 1))
    both = max(run, run + seed - left)
    parts = (run, runs - 1), (seed, seeds - 1), (left, (runs - 1) * (seeds - 1))
    spread = sum(square**2 / degrees for square, degrees in (parts if both > run else parts[:1]))
    half = float(stdtrit(both**2 / spread, 0.975)) * sqrt(both / gains.size) if both else 0.0
    return {"value": round(whole, 4), "low": round(whole - half, 4), "high": round(whole + half, 4), "n": runs}


def _floats(rows: Sequence[Row], key: str) -> list[float]:
    return [float(str(row[key])) for row in rows]


if __name__ == "__main__":
    main()
