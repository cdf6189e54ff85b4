"""Whole candidates through the pool, beside the same loop written by hand and LEMUR's own trainer."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.trainers import Cost, Rival, measured, write_task
from benchmarks.trainers.lemur import INSTALL
from deltanas import nets
from deltanas.calibrate import train_all, where
from deltanas.cli.output import Json, print_figures, say
from deltanas.errors import DeltanasError
from deltanas.program import Program
from deltanas.sandbox import LocalPool, Pool
from deltanas.train.data import load
from deltanas.wiring import program_of

SHARE, SECONDS = 1.05, 0.15
"""A candidate may cost this many times the loop by hand, and this many seconds on top."""
HAND_BAR, LEMUR_BAR = 1.8, 3.5
"""Candidates an hour on all cores, over those of one loop on all cores and of LEMUR's trainer."""
_EACH = 2
"""Candidates of each worker in a turn of the whole pool."""
_TRIES = 6
"""Turns that are tried for each that counts, where a quiet machine is asked for."""


@dataclass(frozen=True, slots=True)
class Way:
    """Medians of the seconds, wall clock and CPU, of one candidate; the range of the first; the mean accuracy."""

    name: str
    seconds: float
    low: float
    high: float
    cpu_seconds: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """Median and range of a ratio taken turn by turn, and whether the median keeps the bar, where there is one."""

    name: str
    median: float
    low: float
    high: float
    bar: str | None
    kept: bool | None


@dataclass(frozen=True, slots=True)
class Turn:
    """Every way once. others: the share of all cores that other work on the machine took meanwhile."""

    costs: dict[str, Cost]
    others: float


def bench_evaluate(
    *,
    dataset: str,
    size: int,
    net: str,
    batch: int,
    repeats: int,
    lemur: Path | None,
    quiet: float,
    say: Callable[[str], None],
) -> dict[str, object]:
    """Train one epoch in every way, turn by turn; medians, and ratios against the bars.

    Args:
        net: a built-in baseline. lemur: the folder that `INSTALL` fills, or None to leave that rival out.
        quiet: a turn counts only if other work took at most this share of the cores. say: gets a line a turn.

    Raises DeltanasError where the net or a trainer can't do it, or the machine does not become quiet.
    """
    source = nets.baseline(net)
    if lemur is not None and not (lemur / "ab" / "nn").is_dir():
        raise DeltanasError(f"{lemur} holds no LEMUR", INSTALL)
    began = where()
    data = load(dataset, train_size=size)
    program = program_of(source, {"batch": batch})
    cores = len(os.sched_getaffinity(0))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_task(folder, program, data)
        ways = _ways(stack, program, LocalPool(data, timeout=3600.0, workers=1), 1, folder)
        if cores > 1:
            ways |= _ways(stack, program, LocalPool(data, timeout=3600.0, workers=cores), cores, folder)
        if lemur is not None:
            if data.in_shape[1] != 1:
                raise DeltanasError(f"{dataset}: LEMUR's trainer is compared on grey images only")
            place = str(lemur.resolve())
            rival = Rival("benchmarks.trainers.lemur", place, folder=folder, threads=cores, hint=INSTALL)
            ways["lemur"] = stack.enter_context(rival).train
        turns = _turns(ways, repeats, quiet, say)
    counted = {name: [turn.costs[name] for turn in turns if turn.others <= quiet] for name in ways}
    return {
        **began,
        "load_after": where()["load"],
        "dataset": dataset,
        "training_images": len(data.train),
        "evaluation_images": len(data.validation),
        "net": net,
        "batch": batch,
        "quiet": quiet,
        "turns": [{"others": round(turn.others, 3), **_seconds(turn)} for turn in turns],
        "ways": [asdict(_way(name, costs)) for name, costs in counted.items()],
        "ratios": [asdict(ratio) for ratio in _ratios(counted, cores)],
    }


def _turns(
    ways: dict[str, Callable[[int], Cost]], repeats: int, quiet: float, say: Callable[[str], None]
) -> list[Turn]:
    for way in ways.values():
        way(0)  # what a first time costs is no candidate's
    turns: list[Turn] = []
    while sum(turn.others <= quiet for turn in turns) < repeats:
        if len(turns) == _TRIES * repeats:
            raise DeltanasError(f"the machine is busy: {len(turns)} turns, too few of them quiet", "raise --quiet")
        clock, worked = time.perf_counter(), _worked()
        costs = {name: way(len(turns) + 1) for name, way in ways.items()}
        own = sum(cost.cpu_seconds * cost.candidates for cost in costs.values())
        others = (_worked() - worked - own) / ((os.cpu_count() or 1) * (time.perf_counter() - clock))
        turns.append(Turn(costs, max(0.0, others)))
        seconds = ", ".join(f"{name} {value:.2f}" for name, value in _seconds(turns[-1]).items())
        say(f"turn {len(turns)}, seconds a candidate: {seconds}; others took {turns[-1].others:.0%} of the cores")
    return turns


def _seconds(turn: Turn) -> dict[str, float]:
    return {name: round(cost.seconds, 3) for name, cost in turn.costs.items()}


def _worked() -> float:
    """Seconds that all cores together have worked since the machine came up."""
    user, nice, system, _, _, irq, softirq = map(int, Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def _ways(
    stack: ExitStack, program: Program, pool: Pool, workers: int, folder: Path
) -> dict[str, Callable[[int], Cost]]:
    """The pool of so many one-thread workers, and a loop by hand of as many threads."""
    stack.enter_context(pool)
    hand = stack.enter_context(Rival("benchmarks.trainers.hand", folder=folder, threads=workers))
    copies = [program] if workers == 1 else [program] * (_EACH * workers)
    return {f"pool-{workers}": lambda seed: through(pool, copies, seed), f"hand-{workers}": hand.train}


def through(pool: Pool, programs: Sequence[Program], seed: int) -> Cost:
    """A candidate's share of building and training all of them."""
    spent = 0.0

    def work() -> float:
        nonlocal spent
        accuracy, spent = train_all(pool, programs, seed)
        return accuracy

    cost = measured(work)
    n = len(programs)
    return Cost(cost.seconds / n, (cost.cpu_seconds + spent) / n, cost.accuracy, n)


def _way(name: str, costs: Sequence[Cost]) -> Way:
    seconds = [cost.seconds for cost in costs]
    return Way(
        name,
        round(statistics.median(seconds), 3),
        round(min(seconds), 3),
        round(max(seconds), 3),
        round(statistics.median(cost.cpu_seconds for cost in costs), 3),
        round(statistics.fmean(cost.accuracy for cost in costs), 4),
    )


def _ratios(costs: dict[str, list[Cost]], cores: int) -> list[Ratio]:
    pairs = list(zip(costs["pool-1"], costs["hand-1"], strict=True))
    excess = statistics.median(pool.seconds - SHARE * hand.seconds for pool, hand in pairs)
    bar = f"at most {SHARE} and {SECONDS} s"
    ratios = [
        _ratio(
            "pool-1 / hand-1, seconds", [pool.seconds / hand.seconds for pool, hand in pairs], bar, excess <= SECONDS
        ),
        _ratio(
            "pool-1 / hand-1, CPU seconds", [pool.cpu_seconds / hand.cpu_seconds for pool, hand in pairs], None, None
        ),
    ]
    for name, least in ((f"hand-{cores}", HAND_BAR), ("lemur", LEMUR_BAR)):
        if name in costs and name != "hand-1":
            pairs = list(zip(costs[name], costs[f"pool-{cores}"], strict=True))
            values = [rival.seconds / pool.seconds for rival, pool in pairs]
            label = f"pool-{cores} / {name}, candidates an hour"
            ratios.append(_ratio(label, values, f"at least {least}", statistics.median(values) >= least))
    return ratios


def _ratio(name: str, values: Sequence[float], bar: str | None, kept: bool | None) -> Ratio:
    return Ratio(name, round(statistics.median(values), 3), round(min(values), 3), round(max(values), 3), bar, kept)


def main(
    dataset: Annotated[str, typer.Option(help="Data set to train on.")] = "fashion-mnist",
    train_size: Annotated[int, typer.Option(help="Training images to use.", min=1)] = 10_000,
    net: Annotated[str, typer.Option(help="A built-in baseline.")] = "vgg",
    batch: Annotated[int, typer.Option(help="Images a step.", min=1)] = 32,
    repeats: Annotated[int, typer.Option(help="Turns of every trainer.", min=1)] = 5,
    lemur: Annotated[
        Path | None, typer.Option(help="Folder with LEMUR's wheel, unpacked by pip install --target.", metavar="DIR")
    ] = None,
    quiet: Annotated[float, typer.Option(help="Count turns in which other work took at most this share.")] = 1.0,
    as_json: Json = False,
) -> None:
    """Compare a candidate's cost with a hand-written loop and, with --lemur, with LEMUR's own trainer."""
    result = bench_evaluate(
        dataset=dataset, size=train_size, net=net, batch=batch, repeats=repeats, lemur=lemur, quiet=quiet, say=say
    )
    print_figures(result, ["ways", "ratios"], as_json=as_json)


if __name__ == "__main__":
    typer.run(main)
