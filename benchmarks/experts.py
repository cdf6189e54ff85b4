"""Are mixtures of four worth their seconds, and can any four be joined? Controls, checks and collapsed gates.

    python -m benchmarks experts --out DIR worth              24 quartets x 3 seeds x 5 heads, and the controls
    python -m benchmarks experts --out DIR valid              600 quartets of the built-in baselines
    python -m benchmarks experts --out DIR valid --lemur RUN  300 of LEMUR's, from a run of `deltanas lemur import`
    python -m benchmarks experts --out DIR collapse           20 gates that begin with one expert
    python -m benchmarks experts --out DIR coverage           96 quartets, drawn as a search draws them, or as published
    python -m benchmarks experts --out DIR report             what the rows say, as JSON

worth: Fashion-MNIST, 4,000 training images, one epoch. Heads: a gate or the mean of the probabilities, each expert by
its own loss or all by the mixture's; and a gate that stays as it is drawn. Controls: each baseline alone, for one epoch
and for as many as take a mixture's CPU seconds; the best expert of each quartet widened to a mixture's parameters, and
four seeds of it under the mean. At the end the best three of either kind on the test images, with fresh seeds.

valid: each base is checked alone, then alone in a file of four (`exact`: same operations, same figures), then mixtures
are built, trained for two steps and evaluated. Mixtures are drawn as a search draws them.

collapse: the gate's first scores give one expert more than .95 of each image, under either loss, with the loss for
balance and without it. `use` has the mean shares at the end of the epoch.

Rows go into DIR, each as it is measured. Interrupt it at any moment; the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from benchmarks.compare import Interval, mean
from benchmarks.experts_draws import drawn_coverage
from benchmarks.experts_rows import HEADS, built_in, checked, collapsed, of_lemur, tested, trained
from benchmarks.table import Row, stamp
from deltanas.config import TrainConfig
from deltanas.errors import UsageError
from deltanas.intervals import wilson
from deltanas.sandbox import LocalPool
from deltanas.whole import read_rows
from deltanas.wiring import open_dataset_pool, open_shape_pool

FILES = ("worth", "valid", "collapse")
BySeed = Mapping[int, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=[*FILES, "coverage", "report"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dataset", default="fashion-mnist")
    parser.add_argument("--train-size", type=int, default=4_000)
    parser.add_argument(
        "--quartets", type=int, default=None, help="default: 24 (worth), 600 or 300 (valid), 20 (collapse)"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--lemur", type=Path, help="run of `deltanas lemur import`")
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.part == "coverage":
        found = drawn_coverage(given.out / "experts-coverage.png", given.quartets or 96)
        sys.stdout.write(json.dumps(found, indent=1) + "\n")
        return
    if given.part == "report":
        sys.stdout.write(json.dumps(report(given.out), indent=1) + "\n")
        return
    config = TrainConfig(
        size=given.train_size, validation_size="all", workers=given.workers, threads=1, epochs=1, timeout=3600
    )
    path = given.out / f"{given.part}.jsonl"
    if given.part == "valid":
        shape, bases, count = (
            ((3, 32, 32), of_lemur(given.lemur), 300) if given.lemur else ((1, 28, 28), built_in(), 600)
        )
        shaped = open_shape_pool(shape, 10, config)
        shaped.build_timeout = 600.0  # four large networks on a busy machine
        with shaped as pool:
            checked(pool, path, "lemur" if given.lemur else "built in", bases, given.quartets or count)
        return
    with open_dataset_pool(given.dataset, config) as pool:
        method: Row = {"dataset": given.dataset, "train_size": given.train_size, "data": pool.dataset.record}
        stamp(given.out / "method.json", method, pool.tier)
        if given.part == "worth":
            trained(pool, path, given.quartets or 24, given.seeds)
            tested(pool, path, 4)
        elif isinstance(pool, LocalPool):
            collapsed(pool, path, given.quartets or 20)


def report(out: Path) -> dict[str, object]:
    """Raises UsageError where there is nothing to report."""
    rows = {name: read_rows(out / f"{name}.jsonl") for name in FILES}
    if not any(rows.values()):
        raise UsageError(f"{out} holds no rows", f"begin with: python -m benchmarks experts --out {out} worth")
    return {
        **({"worth": worth(rows["worth"])} if rows["worth"] else {}),
        **({"valid": valid(rows["valid"])} if rows["valid"] else {}),
        **({"collapse": collapses(rows["collapse"])} if rows["collapse"] else {}),
    }


def worth(rows: Sequence[Row]) -> dict[str, object]:
    """Differences quartet by quartet, over the seeds that both sides have, with t-intervals over the quartets.

    So these intervals are of other quartets: the luck of the trainings of a baseline, with which many quartets are
    compared, is not in them.
    """
    scores: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    cpu: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row["score"] is not None:
            scores[str(row["what"])][str(row["name"])][int(str(row["seed"]))] = float(str(row["score"]))
            cpu[str(row["what"])].append(float(str(row["cpu"])))
    singles, longer = scores.get("single", {}), scores.get("single, equal seconds", {})
    told: dict[str, object] = {}
    for what, found in scores.items():
        if what.startswith("single"):
            told[what] = {"n": len(found), "best": best(found), "cpu": round(fmean(cpu[what]), 2)}
            continue
        if what.startswith("test: "):
            told[what] = {name: mean(list(values.values())) for name, values in found.items()}
            continue
        figures: dict[str, object] = {
            "score": mean([fmean(values.values()) for values in found.values()]),
            "cpu": round(fmean(cpu[what]), 2),
        }
        for length, alone in (("", singles), (" at equal seconds", longer)):
            if alone:
                own = ((values, _highest(alone, name.split(" + "))) for name, values in found.items())
                figures[f"over the best expert{length}"] = gaps(own)
                figures[f"over the best single{length}"] = gaps(
                    (each, _highest(alone, alone)) for each in found.values()
                )
        told[what] = figures
    gated = scores.get("gate, own", {})
    for what in (*HEADS, "widened", "four seeds of the best"):
        other = scores.get(what, {})
        if what != "gate, own" and other:
            told[f"gate, own minus {what}"] = gaps((gated[name], other[name]) for name in gated if name in other)
    failed = [row for row in rows if row["score"] is None]
    told["failed"] = [f"{row['what']}, {row['name']}, seed {row['seed']}: {row['reason']}" for row in failed]
    return told


def gaps(pairs: Iterable[tuple[BySeed, BySeed]]) -> Interval:
    shared = [(one, other, one.keys() & other.keys()) for one, other in pairs]
    return mean([fmean(one[seed] - other[seed] for seed in seeds) for one, other, seeds in shared if seeds])


def _highest(found: Mapping[str, BySeed], names: Iterable[str]) -> BySeed:
    """The scores of the best of these; none where none of them has a score."""
    return max((found[name] for name in names if name in found), key=lambda one: fmean(one.values()), default={})


def best(found: Mapping[str, BySeed]) -> list[object]:
    means = {name: fmean(values.values()) for name, values in found.items()}
    name = max(means, key=lambda one: means[one])
    return [name, round(means[name], 4)]


def valid(rows: Sequence[Row]) -> dict[str, object]:
    told: dict[str, object] = {}
    for source in dict.fromkeys(str(row["source"]) for row in rows):
        for what in ("alone", "exact", "mixture"):
            some = [row for row in rows if (row["source"], row["what"]) == (source, what)]
            if some:
                fine = sum(not row["reason"] for row in some)
                share = wilson(fine, len(some))
                told[f"{source}, {what}"] = {
                    "n": len(some), "fine": fine, "low": round(share.low, 4), "high": round(share.high, 4),
                    "faults": [f"{row['name']}: {row['reason']}" for row in some if row["reason"]],
                }  # fmt: skip
    return told


def collapses(rows: Sequence[Row]) -> dict[str, object]:
    told: dict[str, object] = {}
    for arm in dict.fromkeys((str(row["loss"]), float(str(row["balance"]))) for row in rows):
        some = [row["use"] for row in rows if (row["loss"], row["balance"]) == arm]
        shares = [max(use) for use in some if isinstance(use, list)]
        told[f"{arm[0]} loss, weight {arm[1]:g}"] = {
            "n": len(shares), "largest share below .6": sum(share < 0.6 for share in shares),
            "largest share": mean(shares), "failed": len(some) - len(shares),
        }  # fmt: skip
    return told


if __name__ == "__main__":
    main()
