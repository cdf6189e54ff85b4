"""Does it pay to choose parents along the front? Searches of denoisers beside draws without choice, at equal trainings.

    python -m benchmarks fronts search DIR --dataset photos:FOLDER --seeds 5 [OPTION OF `deltanas search`...]
    python -m benchmarks fronts again DIR --seeds 5 [--student half]
    python -m benchmarks fronts table DIR [--student half]

`search` runs `deltanas search --objective psnr,traffic` for each seed twice, in DIR/ARM-SEED: `front` is strategy
random, whose parents come from the front; `uniform` draws the same kinds of edits of a baseline, each baseline as
likely as the others, so that nothing is chosen. `--arms front,uniform,walk` adds `walk`: any network that was trained
so far is as likely a parent, so edits of edits are drawn too. `again` trains the best network of each search that
moves no more bytes than the student made by hand, and the student, with seeds that no search had, and scores them on
the test photographs. All three go on where they were stopped. `table` gives, of the runs that have ended:

- the hypervolume of each search, in dB x decades of bytes, of as many networks as both arms trained. Its reference
  point is the PSNR of the noisy images, and the bytes of the baseline that moves most. The difference of two arms is
  paired by the seed of the search, with Student's t over searches;
- what `again` found: the gain of each search over the student by its seeds, and over the searches.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import log10
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

import deltanas
from deltanas.archive import POINTER, read_folder
from deltanas.imagery import psnr
from deltanas.intervals import Estimate, mean
from deltanas.journal import Journal
from deltanas.objective import TRAFFIC, hypervolume
from deltanas.program import Failed, Program
from deltanas.propose.random import RANDOM, RandomProposer
from deltanas.records import Candidate, RunView
from deltanas.sandbox import machine_secret
from deltanas.seams import Slot
from deltanas.search import training_seed
from deltanas.task import DENOISE
from deltanas.train.data import Making, load
from deltanas.train.job import PATCH
from deltanas.whole import append_rows, read_rows
from deltanas.wiring import open_export_pool

_FRESH = 1_000_000
"""No search has such a seed."""


class _Unchosen(RandomProposer):
    strategy = "uniform"


class _Walking(RandomProposer):
    strategy = "walk"


def a_baseline(_: Slot, journal: Journal, rng: Random) -> Program:
    return _drawn(journal.of_cycle(0), rng)


def any_trained(_: Slot, journal: Journal, rng: Random) -> Program:
    return _drawn(journal, rng)


def _drawn(rows: Sequence[Candidate], rng: Random) -> Program:
    chosen = rng.choice([row for row in rows if row.score is not None]).program
    assert chosen is not None
    return chosen


UNIFORM = replace(
    RANDOM,
    name="uniform",
    about="a uniform draw of a baseline, and one from its edits: nothing is chosen",
    build=lambda context: _Unchosen(context.space()),
    parent=lambda _: a_baseline,
    blind=True,
)
WALK = replace(
    UNIFORM,
    name="walk",
    about="a uniform draw of a network that was trained, and one from its edits: nothing is chosen",
    build=lambda context: _Walking(context.space()),
    parent=lambda _: any_trained,
)
ARMS = {"front": "random", "uniform": "benchmarks.fronts:UNIFORM", "walk": "benchmarks.fronts:WALK"}


def search(options: argparse.Namespace, more: Sequence[str]) -> None:
    options.out.mkdir(parents=True, exist_ok=True)
    _tell_noisy(options)
    tool = str(Path(sys.executable).parent / "deltanas")
    for seed in range(options.seeds):
        for arm in options.arms.split(","):
            run = options.out / f"{arm}-{seed}"
            if (run / POINTER).exists() and deltanas.open_run(run).finished:
                continue
            told = ("--strategy", ARMS[arm], "--seed", str(seed), "--run", str(run), "--quiet", *more)
            fixed = ("--task", DENOISE.name, "--dataset", options.dataset, "--objective", f"psnr,{TRAFFIC}")
            patch = ("--patch", str(options.patch), "--set", "finals=0")
            if code := subprocess.run([tool, "search", *fixed, *patch, *told], check=False).returncode:
                raise SystemExit(code)


def _tell_noisy(options: argparse.Namespace) -> None:
    """What the validation images have that nothing was done to: one row, measured once."""
    rows = options.out / "noisy.jsonl"
    if not read_rows(rows):
        data = load(options.dataset, making=Making(options.patch, secret=machine_secret())).validation
        append_rows(rows, [{"dataset": options.dataset, "psnr": float(psnr(data.x, data.y).mean())}])


def ended(folder: Path) -> list[tuple[str, int, RunView]]:
    if runs := list(runs_of(folder)):
        return runs
    raise SystemExit(f"{folder} holds no search that has ended: python -m benchmarks fronts search {folder}")


def runs_of(folder: Path) -> Iterator[tuple[str, int, RunView]]:
    """(arm, seed, run) of the searches that have ended."""
    for arm in ARMS:
        for run in sorted(folder.glob(f"{arm}-*"), key=lambda path: int(path.name.rpartition("-")[2])):
            view = deltanas.open_run(run)
            if view.finished:
                yield arm, int(run.name.rpartition("-")[2]), view


def bytes_of(row: Candidate) -> float | None:
    found = row.measured(TRAFFIC)
    return found.value if found else None


def best_within(view: RunView, student: str) -> Candidate | None:
    """The candidate with the highest score that moves no more bytes than the student, which is a baseline."""
    most = next(bytes_of(row) for row in view.candidates if row.name == student)
    assert most is not None, f"the traffic of {student} was not measured"
    scored = [row for row in view.candidates if row.cycle and row.score is not None]
    found = [row for row in scored if (bytes_of(row) or np.inf) <= most]
    return max(found, key=lambda row: row.score or 0.0, default=None)


def again(options: argparse.Namespace) -> None:
    rows = options.out / "again.jsonl"
    wanted: dict[str, Program] = {}
    for _, _, view in ended(options.out):
        best = best_within(view, options.student)
        for row in (best, *(row for row in view.candidates if row.name == options.student)):
            if row is not None and row.program is not None:
                wanted[row.program.id] = row.program
    folder = next(path for path in sorted(options.out.iterdir()) if (path / POINTER).exists())
    done = {(row["program"], row["seed"]) for row in read_rows(rows)}
    with read_folder(folder).open() as run, open_export_pool(run, folder, options.epochs) as pool:
        for seed in range(options.seeds):
            due = [program for program in wanted.values() if (program.id, seed) not in done]
            for place, outcome in pool.train(due, seed=training_seed(_FRESH + seed, "test"), split="test"):
                found: dict[str, object] = {"program": due[place].id, "seed": seed, "epochs": pool.epochs}
                if isinstance(outcome, Failed):
                    found["failed"] = outcome.reason
                else:
                    found |= {"psnr": outcome.score, "cpu_seconds": outcome.cpu_seconds}
                append_rows(rows, [found])


def table(options: argparse.Namespace) -> None:
    runs = ended(options.out)
    if options.rows:
        options.rows.unlink(missing_ok=True)
        append_rows(options.rows, rows_of(runs))
    noisy = float(str(read_rows(options.out / "noisy.jsonl")[0]["psnr"]))
    most = max(found for _, _, view in runs for row in view.candidates if not row.cycle and (found := bytes_of(row)))
    say(f"reference: {noisy:.2f} dB (noisy images), {most / 1e6:,.0f} MB (baseline that moves most)")
    by_seed: dict[int, dict[str, RunView]] = {}
    for arm, seed, view in runs:
        by_seed.setdefault(seed, {})[arm] = view
    for arm in [one for one in ARMS if one != "front"]:
        pairs = {seed: (arms["front"], arms[arm]) for seed, arms in by_seed.items() if {"front", arm} <= arms.keys()}
        apart = []
        for seed, (chosen, drawn) in pairs.items():
            least = min(len(trained(chosen)), len(trained(drawn)))
            one, other = (volume(trained(view)[:least], noisy, most) for view in (chosen, drawn))
            apart.append(one - other)
            say(f"seed {seed}: front {one:.4f}, {arm} {other:.4f} dB x decades; {least} trainings each")
        if pairs:
            say(f"front less {arm}: {_told(mean(apart), 4)} dB x decades; {len(apart)} searches each")
    _gains(options, runs)


def _gains(options: argparse.Namespace, runs: Sequence[tuple[str, int, RunView]]) -> None:
    scores: dict[tuple[str, int], float] = {
        (str(row["program"]), int(str(row["seed"]))): float(str(row["psnr"]))
        for row in read_rows(options.out / "again.jsonl")
        if "psnr" in row
    }
    by_arm: dict[str, list[float]] = {}
    for arm, seed, view in runs:
        best = best_within(view, options.student)
        student = next(row for row in view.candidates if row.name == options.student)
        if best is None:
            say(f"{arm} {seed}: nothing within the bytes of {options.student}")
            continue
        assert best.program is not None
        assert student.program is not None
        ids = (best.program.id, student.program.id)
        gains = [scores[ids[0], n] - scores[ids[1], n] for n in range(1000) if all((one, n) in scores for one in ids)]
        if not gains:
            say(f"{arm} {seed}: not trained again yet")
            continue
        by_arm.setdefault(arm, []).append(float(np.mean(gains)))
        told = f"{_told(mean(gains))} dB; {len(gains)} seeds"
        say(f"{arm} {seed}: {best.label}, {(bytes_of(best) or 0.0) / 1e6:,.0f} MB: over {options.student} {told}")
    for arm, found in by_arm.items():
        say(f"{arm}: over {options.student} {_told(mean(found))} dB over {len(found)} searches")


def rows_of(runs: Sequence[tuple[str, int, RunView]]) -> list[dict[str, object]]:
    """What `table` is made of: the score and the bytes of each network that took a training."""
    return [
        {"arm": arm, "seed": seed, "name": row.label, "psnr": row.score, "bytes": bytes_of(row)}
        for arm, seed, view in runs
        for row in trained(view)
    ]


def trained(view: RunView) -> list[Candidate]:
    """All that took a training, in the order of the run; those that failed too."""
    return [row for row in view.candidates if row.trainings]


def volume(rows: Sequence[Candidate], noisy: float, most: float) -> float:
    points = [
        (row.score - noisy, log10(most / moved)) for row in rows if row.score is not None and (moved := bytes_of(row))
    ]
    return hypervolume(np.array(points, float).reshape(len(points), 2))


def _told(found: Estimate | None, digits: int = 2) -> str:
    return "no interval" if found is None else f"{found:+.{digits}f}"


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    searching = commands.add_parser("search", help="options that it does not know go to `deltanas search`")
    searching.add_argument("--dataset", default="photos")
    searching.add_argument("--patch", type=int, default=PATCH)
    searching.add_argument("--seeds", type=int, default=5)
    searching.add_argument("--arms", default="front,uniform")
    training = commands.add_parser("again")
    training.add_argument("--seeds", type=int, default=5)
    training.add_argument("--epochs", type=int, help="default: those of the searches")
    showing = commands.add_parser("table")
    showing.add_argument("--rows", type=Path, help="write the scores and bytes there too")
    for command in (searching, training, showing):
        command.add_argument("out", type=Path)
    for command in (training, showing):
        command.add_argument("--student", default="half", help="the baseline that was made by hand")
    options, more = parser.parse_known_args()
    if options.command != "search" and more:
        parser.error(f"unknown: {' '.join(more)}")
    works: dict[str, Any] = {"again": again, "table": table}
    if options.command == "search":
        search(options, more)
    else:
        works[options.command](options)


if __name__ == "__main__":
    main()
