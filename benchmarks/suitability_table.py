"""How networks stand on five data sets under one recipe: the built-in baselines and edits of them.

    python -m benchmarks suitability_table --out benchmarks/suitability [--edits 100] [--seeds 2] [--minutes M]
    python -m benchmarks suitability_table --out benchmarks/suitability --report

The sets: Fashion-MNIST, the same with its pixels permuted (one order for all images: neighbours mean nothing, so
convolutions should lose), the same inverted at 14 px, two classes of it that look alike (T-shirt and shirt), and
scikit-learn's digits. Edits are the first of `benchmarks/gains`, fair draws of the uniform sampler. All networks have
the default recipe, batch and learning rate, 4,000 training images (digits have fewer) and about 125 steps. The rows are
one seed after the other, set by set. A network that fails is a row. Interrupt it at any moment; the same command goes
on. `table.jsonl` has a row a training, which `deltanas suggest --from` reads; `table.json` says how they were measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path

import numpy as np

from benchmarks.suggestions import first_three
from benchmarks.table import Row, stamp
from deltanas import nets
from deltanas.config import TrainConfig
from deltanas.errors import SandboxError, UsageError
from deltanas.intervals import mean
from deltanas.program import Failed, Program, Trained, apply_edit
from deltanas.program.features import SIZES, network_features, skeleton
from deltanas.sandbox import Pool, kept_warm
from deltanas.sandbox.supervise import STARVED
from deltanas.search import training_seed
from deltanas.study import Scores, suitability, suitability_as_json
from deltanas.study.predictors import family_folds, matrix, out_of_fold, regressed
from deltanas.study.standing import examples_of, family_of, standing_of, table_of
from deltanas.study.suitability import figure
from deltanas.train.data import Dataset, Images, load
from deltanas.whole import append_rows, read_rows
from deltanas.wiring import open_dataset_pool, program_of

GAINS = Path("benchmarks/gains/edits.jsonl")
SIZE, CLASSES = 4_000, (0, 6)
EPOCHS = {"fashion-mnist": 1, "permuted": 1, "inverted-14": 1, "two-classes": 1, "digits": 4}
"""By data set, so that all have 125 to 136 steps."""
PLAIN, PERMUTED = "fashion-mnist", "permuted"
DENSE = ("mlp", "mixer")
"""Baselines that have no use of neighbouring pixels, or less."""
CLEAR = 0.1
"""Gap of two standings from which both seeds have to agree for an answer to be clear."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--edits", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no training after so many")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--report", action="store_true", help="say what the table shows, as JSON")
    given = parser.parse_args()
    table = given.out / "table.jsonl"
    if given.report:
        rows = read_rows(table)
        told = {**controls(rows), "suggest": first_three(table), "suitability": by_code(rows)}
        sys.stdout.write(json.dumps(told, indent=1) + "\n")
        return
    given.out.mkdir(parents=True, exist_ok=True)
    method: Row = {
        "train_size": SIZE, "epochs": EPOCHS, "edits": given.edits, "prm": nets.DEFAULT_PRM,
        "classes": list(CLASSES), "torch": metadata.version("torch"),
    }  # fmt: skip
    programs = chosen(given.edits)
    deadline = time.monotonic() + 60 * given.minutes
    with kept_warm():
        for repeat in range(given.seeds):
            for name in EPOCHS:
                _fill(table, name, programs, training_seed(0, "validation", repeat), method, deadline, given.workers)


def chosen(edits: int) -> dict[str, Program]:
    """The baselines, then so many edits of them, by BASELINE-NUMBER; equal in every call."""
    held = nets.baselines()
    rows = [row for row in read_rows(GAINS) if row["baseline"] in held][:edits]
    return {
        **{name: program_of(source) for name, source in held.items()},
        **{_name(row): program_of(_edited(held, row)) for row in rows},
    }


def _name(row: Row) -> str:
    return f"{row['baseline']}-{row['draw']}"


def _edited(held: Mapping[str, str], row: Row) -> str:
    return apply_edit(held[str(row["baseline"])], str(row["edit"])).source


def set_of(name: str) -> Dataset:
    """One of the five, its images in the order of the published ones."""
    if name in ("digits", PLAIN):
        return load(name, train_size=SIZE if name == PLAIN else None)
    return derived(name, load(PLAIN, train_size=None if name == "two-classes" else SIZE))


def derived(name: str, whole: Dataset) -> Dataset:
    """One of the sets that are made of the published one."""
    made = replace(
        whole,
        name=name,
        train=_changed(name, whole.train),
        validation=_changed(name, whole.validation),
        test=_changed(name, whole.test),
    )
    if name != "two-classes":
        return made
    names = tuple(whole.source.names[number] for number in CLASSES)
    return replace(made, classes=len(CLASSES), source=replace(whole.source, names=names))


def _changed(name: str, images: Images) -> Images:
    x, y = images.x, images.y
    if name == PERMUTED:
        order = np.random.default_rng(0).permutation(x[0].size)
        return Images(np.ascontiguousarray(x.reshape(len(x), -1)[:, order].reshape(x.shape)), y)
    if name == "inverted-14":
        small = x.reshape(len(x), x.shape[1], x.shape[2] // 2, 2, x.shape[3] // 2, 2).mean(axis=(3, 5))
        return Images((255 - np.rint(small)).astype(np.uint8), y)
    kept = np.flatnonzero(np.isin(y, CLASSES))[:SIZE]
    return Images(np.ascontiguousarray(x[kept]), np.searchsorted(CLASSES, y[kept]).astype(np.int64))


def _fill(
    table: Path, name: str, programs: Mapping[str, Program], seed: int, method: Row, deadline: float, workers: int
) -> None:
    done = {row["program"] for row in read_rows(table) if (row["dataset"], row["seed"]) == (name, seed)}
    left = [program for program in programs if program not in done]
    if not left or time.monotonic() > deadline:
        return
    config = TrainConfig(validation_size="all", workers=workers, threads=1, timeout=120, epochs=EPOCHS[name])
    with open_dataset_pool(set_of(name), config) as pool:
        stamp(table.with_suffix(".json"), method, pool.tier)
        for row in _trained(left, programs, name, seed, pool):
            append_rows(table, [row])
            if time.monotonic() > deadline:
                return
    sys.stderr.write(f"{name}, seed {seed}: {len(programs)} networks\n")


def _trained(left: Sequence[str], programs: Mapping[str, Program], name: str, seed: int, pool: Pool) -> Iterator[Row]:
    for number, outcome in pool.train([programs[program] for program in left], seed=seed):
        if isinstance(outcome, Failed) and STARVED in outcome.reason:
            raise SandboxError(outcome.reason, "make room; the same command goes on")
        yield {
            "program": left[number],
            "dataset": name,
            "epochs": EPOCHS[name],
            "seed": seed,
            "score": outcome.score if isinstance(outcome, Trained) else None,
            "failure": outcome.reason if isinstance(outcome, Failed) else None,
            "cpu_seconds": round(outcome.cpu_seconds, 3),
        }


def controls(rows: Sequence[Row]) -> dict[str, object]:
    """Reliability of the label, and the positive control, with intervals of other families.

    Raises UsageError where the table is not far enough to say it.
    """
    seeds = sorted({int(str(row["seed"])) for row in rows})
    if len(seeds) < 2:
        raise UsageError("the table has one seed, or none", "go on with the same command without --report")
    whole = {seed: [row for row in rows if row["seed"] == seed and row["score"] is not None] for seed in seeds}
    averaged = _mean_scores(rows)
    features = {name: network_features(source) for name, source in _sources(averaged).items()}
    halves = [_answers(_by_cell(whole[seed])) for seed in seeds[:2]]
    agreed = {key: float(halves[0][key][0] == halves[1][key][0]) for key in sorted(halves[0].keys() & halves[1].keys())}
    return {
        "rows": len(rows),
        "failed": sum(row["failure"] is not None for row in rows),
        "reliability": _share(list(agreed.values()), [name for name, _, _ in agreed]),
        "places gained on permuted pixels": _places(averaged),
        "clear": _clear(averaged, halves, features),
    }


def by_code(rows: Sequence[Row]) -> dict[str, object]:
    """What suitability's predictors make of the table, by the label of quantiles."""
    averaged = _mean_scores(rows)
    sources = _sources(averaged)
    features = {name: network_features(source) for name, source in sources.items()}
    skeletons = {name: skeleton(text) for name, text in sources.items()}
    return suitability_as_json(suitability(_scores(averaged), features, skeletons, label="quantile", sizes=SIZES))


def _sources(cells: Mapping[tuple[str, str], float]) -> dict[str, str]:
    known, held = {name for name, _ in cells}, nets.baselines()
    edits = {name: _edited(held, row) for row in read_rows(GAINS) if (name := _name(row)) in known}
    return {**{name: source for name, source in held.items() if name in known}, **edits}


def _by_cell(rows: Sequence[Row]) -> dict[tuple[str, str], float]:
    return {(str(row["program"]), str(row["dataset"])): float(str(row["score"])) for row in rows}


def _mean_scores(rows: Sequence[Row]) -> dict[tuple[str, str], float]:
    held: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        if row["score"] is not None:
            held[str(row["program"]), str(row["dataset"])].append(float(str(row["score"])))
    return {key: float(np.mean(those)) for key, those in held.items()}


def _scores(cells: Mapping[tuple[str, str], float]) -> Scores:
    return Scores([name for name, _ in cells], [where for _, where in cells], list(cells.values()))


def _answers(cells: Mapping[tuple[str, str], float]) -> dict[tuple[str, str, str], tuple[bool, float]]:
    """By network and two sets: whether it stands higher on the first, and by how much."""
    table = table_of(_scores(cells))
    made = examples_of(standing_of(table.best, "quantile"))
    found = {}
    for row, higher in enumerate(made.higher.tolist()):
        place, one, other = made.program[row], made.first[row], made.second[row]
        gap = abs(float(made.standing[place, one] - made.standing[place, other]))
        found[table.programs[place], table.datasets[one], table.datasets[other]] = (higher, gap)
    return found


def _places(cells: Mapping[tuple[str, str], float]) -> dict[str, object]:
    """Gain in standing from plain to permuted pixels, of the dense families and of the others, a family's mean each."""
    table = table_of(_scores({key: score for key, score in cells.items() if key[1] in (PLAIN, PERMUTED)}))
    standing = standing_of(table.best, "quantile")
    gains = standing[:, table.datasets.index(PERMUTED)] - standing[:, table.datasets.index(PLAIN)]
    known = ~np.isnan(gains)
    families = {
        str(name): float(gains[known & (table.families == name)].mean()) for name in np.unique(table.families[known])
    }
    others = mean([gain for name, gain in families.items() if name not in DENSE])
    return {"by family": families, "others": asdict(others) if others else None}


def _clear(
    cells: Mapping[tuple[str, str], float],
    halves: Sequence[Mapping[tuple[str, str, str], tuple[bool, float]]],
    features: Mapping[str, Mapping[str, float]],
) -> dict[str, object]:
    """Plain against permuted pixels, families held out: right answers where both seeds agree by a clear gap."""
    table = table_of(_scores(cells))
    made = examples_of(standing_of(table.best, "quantile"))
    answers = out_of_fold(
        regressed, made, list(family_folds(table.families[made.program])),
        matrix([features[name] for name in table.programs]),
    )  # fmt: skip
    right: list[float] = []
    programs: list[str] = []
    for row, answer in enumerate(answers):
        sets = table.datasets[made.first[row]], table.datasets[made.second[row]]
        key = (table.programs[made.program[row]], *sets)
        told = [half[key] for half in halves if key in half]
        if set(sets) != {PLAIN, PERMUTED} or len(told) < 2 or told[0][0] != told[1][0]:
            continue
        if min(gap for _, gap in told) >= CLEAR:
            right.append(float((answer > 0) == made.higher[row]))
            programs.append(key[0])
    return _share(right, programs)


def _share(right: Sequence[float], programs: Sequence[str]) -> dict[str, object]:
    """With the interval of other families: the edits of one baseline, and the pairs of one network, are alike."""
    families = np.array([family_of(name) for name in programs])
    return asdict(figure(np.array(right), families)) if right else {"value": None, "n": 0}


if __name__ == "__main__":
    main()
