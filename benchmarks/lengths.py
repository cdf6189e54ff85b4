"""Measure simple edits after one epoch and after five: what lasts, and what foretells it.

    python -m benchmarks lengths --out benchmarks/lengths [--edits 600] [--minutes M] [--workers W]
    python -m benchmarks lengths --out benchmarks/lengths --report

The edits are fair draws from the spaces of the built-in baselines: of the network, each kind as likely as the others,
of the recipe, of the transform, and composites of three. Half of them are held to 1.5 times the parameters and FLOPs of
their baseline. Each is trained for 5 epochs on 10,000 images and evaluated after 1, 2, 3 and 5 of them, with its last
weights and with the mean of those of the last quarter of the steps; and, with another seed, for one epoch on 4,000
images, as a search does. Every eighth is trained with a second seed. A baseline is trained with four seeds. The draws
come in rounds over the families, the dearest in every second one, so a prefix of the files is a fair sample too. A row
costs some 30 CPU seconds: 600 of them with the baselines and second seeds some 5.7 hours, 400 some 4. Interrupt it at
any moment; the same command goes on.

`edits.jsonl` has a row an edit, `trainings.jsonl` a row a training; `meta.json` says how they were measured.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from importlib import metadata
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from benchmarks import length_draws as draws
from benchmarks.length_report import report
from benchmarks.table import Row, stamp
from deltanas import nets
from deltanas.config import TrainConfig
from deltanas.program import Failed, Program, Trained
from deltanas.sandbox import Pool
from deltanas.sandbox.judge import Reading
from deltanas.search import training_seed
from deltanas.whole import append_rows, read_rows
from deltanas.wiring import builtin_programs, kept_builds, open_dataset_pool

DATASET, VALIDATION = "fashion-mnist", 5_000
AVERAGE = 0.25
SEEDS, TWICE = 4, 8
"""Seeds of a baseline, and of how many edits one is trained with a second seed."""


@dataclass(frozen=True)
class Length:
    """epochs, images: of the training. evaluate: after how many epochs it is evaluated too. offset: of its seeds."""

    epochs: int
    images: int
    evaluate: tuple[int, ...]
    offset: int


LENGTHS = {"short": Length(1, 4_000, (), 2), "long": Length(5, 10_000, (1, 2, 3), 0)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--edits", type=int, default=600)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="end with the first training after it")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--report", action="store_true", help="print what the files say, measure nothing")
    given = parser.parse_args()
    if given.report:
        sys.stdout.write(report(read_rows(given.out / "edits.jsonl"), read_rows(given.out / "trainings.jsonl")))
        return
    given.out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        pools = {name: stack.enter_context(_pool(length, given.workers)) for name, length in LENGTHS.items()}
        _stamp(given.out / "meta.json", pools)
        deadline = time.monotonic() + 60 * given.minutes
        roots = builtin_programs({})
        for number in count():
            programs = _programs(given.out / "edits.jsonl", number, roots, pools["short"], given.edits)
            if not programs and number >= SEEDS:
                return
            for row in _trained(given.out / "trainings.jsonl", number, programs, pools):
                append_rows(given.out / "trainings.jsonl", [row])
                sys.stderr.write(f"round {number}: {row['family']} {row['what']} {row['cpu_seconds']} s\n")
                if time.monotonic() > deadline:
                    return


def _pool(length: Length, workers: int) -> Pool:
    config = TrainConfig(
        size=length.images,
        validation_size=VALIDATION,
        workers=workers,
        threads=1,
        timeout=240 * length.epochs,
        epochs=length.epochs,
    )
    return open_dataset_pool(DATASET, config)


def _programs(
    path: Path, number: int, roots: dict[str, Program], pool: Pool, most: int
) -> list[tuple[Row, Program, bool]]:
    """Of a round: rows, programs, and whether each is trained twice; draws what is missing."""
    kept = read_rows(path)
    rows = [row for row in kept if row["round"] == number]
    if not rows and len(kept) < most:
        rows = [row for row, _ in draws.drawn_round(number, roots, kept, kept_builds(pool))][: most - len(kept)]
        append_rows(path, rows)
    edited = [
        (row, draws.program_of(row, roots[str(row["family"])]), int(str(row["draw"])) % TWICE == 0) for row in rows
    ]
    baselines: list[tuple[Row, Program, bool]] = [({"family": name}, root, False) for name, root in roots.items()]
    return [*(baselines if number < SEEDS else []), *edited]


def _trained(
    path: Path, number: int, programs: Sequence[tuple[Row, Program, bool]], pools: dict[str, Pool]
) -> Iterator[Row]:
    """The trainings of a round that are not there yet, as each ends."""
    done = {(row["program"], row["what"], row["seed"]) for row in read_rows(path)}
    for repeat in range(2):
        chosen = [(row, program) for row, program, twice in programs if twice or not repeat]
        for what, length in LENGTHS.items():
            seed, pool = (number + length.offset + repeat) % SEEDS, pools[what]
            open_ = [(row, program) for row, program in chosen if (program.id, what, seed) not in done]
            curves = pool.curves(
                [program for _, program in open_],
                seed=training_seed(0, repeat=seed),
                evaluate=length.evaluate,
                average=AVERAGE,
                both=True,
            )
            with closing(curves):
                for place, curve in curves:
                    row, program = open_[place]
                    known: Row = {"program": program.id, "family": row["family"], "what": what, "seed": seed}
                    yield known | outcome(curve, pool.dataset.validation.y)


def outcome(curve: tuple[Reading, ...] | Failed, labels: NDArray[np.int64]) -> Row:
    """What a training came to, reading by reading; accuracy and loss are null where outputs are not finite."""
    if isinstance(curve, Failed):
        return {"failure": curve.reason, "cpu_seconds": round(curve.cpu_seconds, 3), "readings": []}
    readings = [
        {
            "epochs": one.epochs,
            "averaged": one.averaged,
            "accuracy": one.outcome.score if isinstance(one.outcome, Trained) else None,
            "loss": round(cross_entropy(one.outputs, labels), 5) if isinstance(one.outcome, Trained) else None,
        }
        for one in curve
    ]
    end = curve[-1].outcome
    failure = end.reason if isinstance(end, Failed) else None
    return {"failure": failure, "cpu_seconds": round(end.cpu_seconds, 3), "readings": readings}


def cross_entropy(outputs: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Mean over the images, in nats. outputs: logits [n, classes]."""
    return float(-log_softmax(outputs.astype(np.float64), axis=1)[np.arange(len(labels)), labels].mean())


def _stamp(path: Path, pools: dict[str, Pool]) -> None:
    method: Row = {
        "dataset": DATASET,
        "lengths": {name: [one.epochs, one.images, list(one.evaluate)] for name, one in LENGTHS.items()},
        "validation": VALIDATION,
        "average": AVERAGE,
        "prm": nets.DEFAULT_PRM,
        "seeds": [training_seed(0, repeat=repeat) for repeat in range(SEEDS)],
        "second_seed": f"one edit of {TWICE}",
        "growth": f"at most {draws.GROWTH} for half of the draws",
        "data": {name: pool.dataset.record for name, pool in pools.items()},
        "torch": metadata.version("torch"),
    }
    stamp(path, method, pools["long"].tier)


if __name__ == "__main__":
    main()
