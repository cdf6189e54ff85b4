"""One epoch against ten: does the accuracy that a search ranks by say what a longer training would?

    python -m benchmarks proxy --out benchmarks/proxy [--programs 44] [--seeds 3]
    deltanas study convergence benchmarks/proxy/proxy.csv --json
    python -m benchmarks proxy --out benchmarks/proxy --report

The programs are the built-in baselines and, up to the number asked for, edits drawn from them by the uniform sampler.
Each is trained for one epoch and for ten, with its own seeds for either, so that no chance is shared between the two.
Interrupt it at any moment; the same command goes on. --report prints the rank correlation of the means over the seeds,
over all programs and of the edits' gains over their baselines: an edit resembles its baseline, so the study's interval
over programs is too narrow, and these are of families drawn again.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from benchmarks.table import Row
from deltanas.config import TrainConfig
from deltanas.errors import UsageError
from deltanas.program import Program, Trained, apply_edit
from deltanas.propose import Space
from deltanas.sandbox import Pool
from deltanas.seams import Ask
from deltanas.search import training_seed
from deltanas.whole import append_rows, read_rows
from deltanas.wiring import builtin_programs, kept_builds, open_dataset_pool

DATASET, TRAIN_SIZE = "fashion-mnist", 2_000
EPOCHS = {"proxy": 1, "target": 10}
DRAWS = 2_000
"""Of the bootstrap over families."""
COLUMNS = ["program", "seed", "proxy", "target", "generator"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--programs", type=int, default=44)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--report", action="store_true", help="print what the table says, measure nothing")
    given = parser.parse_args()
    if given.report:
        sys.stdout.write(report(_rows(given.out / "proxy.csv")))
        return
    given.out.mkdir(parents=True, exist_ok=True)
    journal = given.out / "trainings.jsonl"
    config = TrainConfig(
        size=TRAIN_SIZE, validation_size="all", workers=given.workers, threads=1, timeout=300, average=0
    )
    with open_dataset_pool(DATASET, config) as pool:
        programs = _programs(given.programs, pool)
    for what, epochs in EPOCHS.items():
        with open_dataset_pool(DATASET, config.model_copy(update={"epochs": epochs})) as pool:
            for repeat in range(given.seeds):
                _train(journal, what, repeat, programs, pool)
    _write_table(given.out / "proxy.csv", read_rows(journal), programs, given.seeds)


def _programs(count: int, pool: Pool) -> dict[str, Program]:
    """By name: the baselines, then edits `NAME+1`, `NAME+2`, ... of each in its turn."""
    baselines = builtin_programs({})
    programs, seen = dict(baselines), {program.id for program in baselines.values()}
    space = Space(kept_builds(pool))
    draw = 0
    while len(programs) < count:
        name, parent = list(baselines.items())[draw % len(baselines)]
        (edit,) = space.draw([Ask(0, draw, 0, f"proxy:{draw}:0", parent)])
        draw += 1
        if edit is None:
            raise UsageError(f"no edit of {name} holds")
        child = parent.edited("net", apply_edit(parent.net, edit.text).source)
        if child.id not in seen:
            seen.add(child.id)
            programs[f"{name}+{(draw - 1) // len(baselines) + 1}"] = child
    return dict(list(programs.items())[:count])


def _train(journal: Path, what: str, repeat: int, programs: dict[str, Program], pool: Pool) -> None:
    done = {(row["what"], row["seed"], row["program"]) for row in read_rows(journal)}
    due = [(name, program) for name, program in programs.items() if (what, repeat, program.id) not in done]
    # One seed a round for all programs; another for the target than for the proxy.
    seed = training_seed(1 + list(EPOCHS).index(what), repeat=repeat)
    for place, outcome in pool.train([program for _, program in due], seed=seed):
        name, program = due[place]
        accuracy = outcome.score if isinstance(outcome, Trained) else None
        append_rows(journal, [{"what": what, "seed": repeat, "program": program.id, "accuracy": accuracy}])
        sys.stderr.write(f"{what} {repeat} {name} {accuracy}\n")


def _rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _write_table(path: Path, trained: Sequence[Row], programs: dict[str, Program], seeds: int) -> None:
    """What `deltanas study convergence` reads: a row a program and seed. A training that failed is left empty."""
    known = {(row["program"], row["seed"], row["what"]): row["accuracy"] for row in trained}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for name, program in programs.items():
            for seed in range(seeds):
                figures = {what: known[program.id, seed, what] for what in EPOCHS}
                origin = "sampler" if "+" in name else "baseline"
                writer.writerow({"program": name, "seed": seed, **figures, "generator": origin})


def report(rows: Sequence[Mapping[str, str]]) -> str:
    """rows: of the table."""
    means: dict[str, list[float]] = {}
    for name in dict.fromkeys(row["program"] for row in rows):
        known = [[float(row[what] or "nan") for row in rows if row["program"] == name] for what in EPOCHS]
        if not np.isnan(known).all(1).any():
            means[name] = np.nanmean(known, axis=1).tolist()
    family = {name: name.partition("+")[0] for name in means}
    levels = [(family[name], pair[0], pair[1]) for name, pair in means.items()]
    gains = [
        (root, pair[0] - means[root][0], pair[1] - means[root][1])
        for name, pair in means.items()
        if (root := family[name]) != name and root in means
    ]
    return f"all programs: {_correlated(levels)}\ngains of edits: {_correlated(gains)}\n"


def _correlated(pairs: Sequence[tuple[str, float, float]]) -> str:
    """Spearman's correlation, with its 95 % interval by families drawn again."""
    table = np.array([pair[1:] for pair in pairs])
    names = sorted({pair[0] for pair in pairs})
    places = [[place for place, pair in enumerate(pairs) if pair[0] == name] for name in names]
    chosen = np.random.default_rng(0).integers(len(names), size=(DRAWS, len(names)))
    drawn = [spearmanr(table[[place for name in some for place in places[name]]]).statistic for some in chosen]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    value = spearmanr(table).statistic
    return f"Spearman {value:+.2f} [{low:+.2f}, {high:+.2f}] (n = {len(pairs)} of {len(names)} families)"


if __name__ == "__main__":
    main()
