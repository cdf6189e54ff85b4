"""How many workers of how many threads train most candidates an hour on this machine."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from deltanas import nets
from deltanas.config import SearchConfig
from deltanas.errors import DeltanasError
from deltanas.program import Program, Refused, Trained
from deltanas.sandbox import Calibration, LocalPool, Pool, keep_calibration, this_machine
from deltanas.train.data import load
from deltanas.wiring import manifest, program_of

_EACH = 2
"""Candidates of each worker in a turn."""
_MARGIN = 1.05
"""Factor by which more threads must train more than one: they change the last digits, and differ by noise too."""


def calibrate(
    *,
    dataset: str,
    size: int | None,
    resize: int | None,
    net: str,
    batch: int,
    repeats: int,
    keep: bool,
    say: Callable[[str], None],
) -> dict[str, object]:
    """Train copies of one candidate on all cores, by workers of 1, 2, 4, ... threads, turn by turn; keep the best.

    Args:
        net: a built-in baseline. keep: store what is best in the state folder, where pools find it.
        say: gets a line a turn.

    Raises DeltanasError if the net is unknown or can't be trained, or the state folder can't be written.
    """
    source = nets.baseline(net)
    began = where()
    cpu, cores, torch = this_machine()
    data = load(dataset, train_size=size, resize=resize)
    program = program_of(source, {"batch": batch})
    rates: dict[int, list[float]] = {threads: [] for threads in choices(cores)}
    with ExitStack() as stack:
        pools: dict[int, Pool] = {}
        for threads in rates:
            shape = LocalPool(data, timeout=3600.0, workers=cores // threads, threads=threads)
            pools[threads] = stack.enter_context(shape)
        for turn in range(repeats + 1):
            for threads, pool in pools.items():
                programs = [program] * (_EACH * cores // threads)
                clock = time.perf_counter()
                train_all(pool, programs, turn)
                if turn:  # what a first time costs is no candidate's
                    rates[threads].append(3600 * len(programs) / (time.perf_counter() - clock))
            if turn:
                told = ", ".join(f"{_name(cores, threads)}: {found[-1]:.0f}" for threads, found in rates.items())
                say(f"turn {turn}, candidates an hour: {told}")
    medians = {threads: statistics.median(found) for threads, found in rates.items()}
    threads = best(medians)
    task = f"{net} on {len(data.train)} images of {dataset}, {data.in_shape[2]}x{data.in_shape[3]}, batch {batch}"
    found = {_name(cores, each): round(rate, 1) for each, rate in medians.items()}
    path = keep_calibration(Calibration(cpu, cores, torch, threads, found, task)) if keep else None
    return {
        **began,
        "load_after": where()["load"],
        "cpu": cpu,
        "task": task,
        "best": _name(cores, threads),
        "kept": str(path) if path else None,
        "shapes": [
            {
                "workers x threads": _name(cores, each),
                "candidates an hour": round(medians[each], 1),
                "low": round(min(found), 1),
                "high": round(max(found), 1),
                "turns": len(found),
            }
            for each, found in rates.items()
        ],
    }


def train_all(pool: Pool, programs: Sequence[Program], seed: int) -> tuple[float, float]:
    """Build and train them: their mean accuracy, and the CPU seconds that the trainings took.

    Raises DeltanasError if one does not build or train.
    """
    for built in pool.build(programs):
        if isinstance(built, Refused):
            raise DeltanasError(f"the network does not build: {built.reason}")
    trained = []
    for _, outcome in pool.train(programs, seed=seed):
        if not isinstance(outcome, Trained):
            raise DeltanasError(f"the network does not train: {outcome.reason}")
        trained.append(outcome)
    return statistics.fmean(one.score for one in trained), sum(one.cpu_seconds for one in trained)


def where() -> dict[str, object]:
    """Where figures come from, and how busy the machine is with other work."""
    kept = ("version", "commit", "dirty", "python", "torch", "machine")
    facts = manifest(SearchConfig(), "")
    return {name: facts[name] for name in kept} | {"load": [round(value, 1) for value in os.getloadavg()]}


def choices(cores: int) -> list[int]:
    """Threads a worker that share `cores` without a rest: the powers of two, and all of them."""
    powers = [1 << power for power in range(cores.bit_length())]
    return sorted({threads for threads in powers if cores % threads == 0} | {cores})


def best(rates: dict[int, float]) -> int:
    """The threads with the highest rate, or one thread where no other is better by more than the margin."""
    leader = max(rates, key=lambda threads: rates[threads])
    return leader if rates[leader] > _MARGIN * rates[1] else 1


def _name(cores: int, threads: int) -> str:
    return f"{cores // threads} x {threads}"
