"""Measure simple edits: what each one does to a baseline's accuracy after one epoch, with its noise.

    python -m benchmarks gains --out benchmarks/gains [--edits 3000] [--dataset fashion-mnist] [--minutes M]

Every edit is a fair draw of the uniform sampler from the verified space of a built-in baseline (architecture only: the
recipe is the same for all). A baseline is trained with eight seeds, an edited network with one of these, which go by
turns, so that no seed's luck is in all gains; every sixteenth with a second one, which shows whether an edited network
is as noisy as its baseline. The figures stand in the order of the draws, so a prefix of the file is a fair sample too.
Networks of which every edit was drawn are followed by a descendant of each, three fair draws away, which is measured
as the baselines are (`resnet.1`; after it `resnet.2`). Data of one shape get the same draws. Interrupt it at any
moment; the same command goes on.
`edits.jsonl` has a row an edit, `baselines.jsonl` a row a baseline; `meta.json` says how they were measured.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from importlib import metadata
from itertools import count
from pathlib import Path
from statistics import fmean
from typing import cast

from benchmarks.table import Row, stamp
from deltanas import nets
from deltanas.config import TrainConfig
from deltanas.errors import UsageError
from deltanas.program import Failed, Program, Refused, Trained, apply_edit, edits_of
from deltanas.propose import Space
from deltanas.sandbox import Pool
from deltanas.seams import Ask, Built, Runner
from deltanas.search import training_seed
from deltanas.whole import append_rows, read_rows
from deltanas.wiring import builtin_programs, kept_builds, open_dataset_pool

TRAIN_SIZE = 4_000
SEEDS, TWICE = 8, 16
"""Seeds of a baseline, and of how many edits one is trained with a second seed."""
TOGETHER = 2
"""Rounds of one draw a baseline that are drawn together."""
STEPS = 3
"""Draws between a baseline and each of its descendants."""
TRIES = 20
"""Draws for one place before it is left empty: an edit that was drawn before is drawn again."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--edits", type=int, default=3_000)
    parser.add_argument("--dataset", default="fashion-mnist")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="end after the round that passes it")
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    config = TrainConfig(
        size=TRAIN_SIZE, validation_size="all", workers=given.workers, threads=1, timeout=120, epochs=1, average=0
    )
    with open_dataset_pool(given.dataset, config) as pool:
        _stamp(given.out / "meta.json", pool)
        deadline = time.monotonic() + 60 * given.minutes
        edits = given.out / "edits.jsonl"
        for generation in count():
            parents = _parents(given.out / "baselines.jsonl", generation, pool)
            for rows in _rounds(edits, parents, pool):
                append_rows(edits, rows)
                done = len(read_rows(edits))
                sys.stderr.write(f"{done} of {given.edits} edits\n")
                if done >= given.edits or time.monotonic() > deadline:
                    return


def _parents(path: Path, generation: int, pool: Pool) -> dict[str, Program]:
    """The networks whose edits are measured: the baselines, or a descendant of each. Measures what is missing."""
    parents: dict[str, Program] = {}
    known = {row["baseline"]: row for row in read_rows(path)}
    for root, program in builtin_programs({}).items():
        name = f"{root}.{generation}" if generation else root
        row: Row = known.get(name) or {"baseline": name}
        if generation and "edits" not in row:
            row |= {"root": root, "edits": _steps(name, program, pool)}
        for text in cast("list[str]", row.get("edits", [])):
            program = program.edited("net", apply_edit(program.net, text).source)
        if name not in known:
            (built,) = pool.build([program])
            if isinstance(built, Refused):
                raise UsageError(f"the network {name} does not build: {built.reason}")
            (trainings,) = _trained([program], [range(SEEDS)], pool)
            row |= {"program": program.id, **_costs(built), **_outcome(trainings)}
            append_rows(path, [row])
        if row["failure"] is None:
            parents[name] = program
    return parents


def _steps(name: str, program: Program, pool: Pool) -> list[str]:
    """The edits that lead to a descendant, drawn one after another."""
    space, steps = Space(kept_builds(pool)), []
    for step in range(STEPS):
        (edit,) = space.draw([Ask(0, 0, step, f"gains:{name}:{step}", program)])
        if edit is not None:
            program = program.edited("net", apply_edit(program.net, edit.text).source)
            steps.append(edit.text)
    return steps


def _rounds(path: Path, programs: dict[str, Program], pool: Pool) -> Iterator[list[Row]]:
    """Rows of the next draws, round by round, each baseline in its turn."""
    builds = kept_builds(pool)
    space = Space(builds)
    kinds = {name: {edit.text: edit.kind for edit in edits_of(program.net)} for name, program in programs.items()}
    kept = read_rows(path)
    seen = {str(row["program"]) for row in kept} | {program.id for program in programs.values()}
    number, size = max((int(str(row["draw"])) for row in kept), default=-1) + 1, TOGETHER * len(programs)
    number = -(-number // size) * size  # a round that was cut short is not filled up
    while True:
        rows: list[Row] = []
        for _ in range(TOGETHER):
            for name, parent in programs.items():
                drawn = _drawn(number, parent, space, seen)
                if drawn is not None:
                    text, child = drawn
                    seen.add(child.id)
                    rows.append({"draw": number, "baseline": name, "parent": parent.id, "program": child.id,
                                 "kind": kinds[name][text], "edit": text, "_child": child})  # fmt: skip
                number += 1
        if not rows:
            return
        children = [row.pop("_child") for row in rows]
        programs_drawn = [child for child in children if isinstance(child, Program)]
        built = builds.build(programs_drawn)
        seeds = [_seeds(int(str(row["draw"])), len(programs)) for row in rows]
        for row, check, repeats, trainings in zip(
            rows, built, seeds, _trained(programs_drawn, seeds, pool), strict=True
        ):
            assert isinstance(check, Built)
            row |= {**_costs(check), "seeds": repeats, **_outcome(trainings)}
        yield rows


def _drawn(number: int, parent: Program, space: Space, seen: set[str]) -> tuple[str, Program] | None:
    for attempt in range(TRIES):
        (edit,) = space.draw([Ask(0, number, attempt, f"gains:{number}:{attempt}", parent)])
        if edit is None:
            return None
        child = parent.edited("net", apply_edit(parent.net, edit.text).source)
        if child.id not in seen:
            return edit.text, child
    return None


def _seeds(draw: int, programs: int) -> list[int]:
    """Which of the seeds an edit is trained with: another one for each round of draws."""
    first = draw // programs % SEEDS
    return [first, (first + 1) % SEEDS] if draw % TWICE == 0 else [first]


def _trained(programs: Sequence[Program], seeds: Sequence[Sequence[int]], pool: Runner) -> list[list[Trained | Failed]]:
    """Every program with its seeds, given by their numbers."""
    outcomes: dict[tuple[int, int], Trained | Failed] = {}
    for seed in range(SEEDS):
        places = [place for place, wanted in enumerate(seeds) if seed in wanted]
        for number, outcome in pool.train([programs[place] for place in places], seed=training_seed(0, repeat=seed)):
            outcomes[places[number], seed] = outcome
    return [[outcomes[place, seed] for seed in wanted] for place, wanted in enumerate(seeds)]


def _costs(built: Built) -> Row:
    return {"params": built.params, "flops": built.flops}


def _outcome(trainings: Sequence[Trained | Failed]) -> Row:
    """accuracies: one a seed, in the order of the seeds, null where a training failed."""
    failures = [one.reason for one in trainings if isinstance(one, Failed)]
    return {
        "accuracies": [one.score if isinstance(one, Trained) else None for one in trainings],
        "failure": failures[0] if failures else None,
        "cpu_seconds": round(fmean(one.cpu_seconds for one in trainings), 3),
    }


def _stamp(path: Path, pool: Pool) -> None:
    method: Row = {
        "dataset": pool.dataset.name,
        "train_size": TRAIN_SIZE,
        "epochs": 1,
        "prm": nets.DEFAULT_PRM,
        "seeds": [training_seed(0, repeat=repeat) for repeat in range(SEEDS)],
        "second_seed": f"one edit of {TWICE}",
        "data": pool.dataset.record,
        "torch": metadata.version("torch"),
    }
    stamp(path, method, pool.tier)


if __name__ == "__main__":
    main()
