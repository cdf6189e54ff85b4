"""From settings to what is better: objectives, limits of size, and what is measured for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import cache
from importlib.util import find_spec

from deltanas.check import LimitedBuilds, Limits
from deltanas.config import SearchConfig
from deltanas.errors import DataError, DeltanasError, UsageError
from deltanas.npu import SIZE, Checker, UnfinishedError, target_of, targets
from deltanas.objective import LATENCY, TRAFFIC, Objective, objectives_of
from deltanas.program import Program
from deltanas.propose import Context
from deltanas.records import Measurement
from deltanas.sandbox import Ended, LocalPool, Pool
from deltanas.seams import Builds, Measure
from deltanas.task import TASKS


def require_objectives(config: SearchConfig) -> tuple[Objective, ...]:
    """The run's objectives.

    Raises:
        UsageError: an unknown one, or settings that don't go together.
        DeltanasError: what one of them is measured with is not installed.
    """
    objectives = objectives_of(config.objectives, TASKS[config.task])
    if len(objectives) > 1 and config.proposing.parent and not config.proposing.blind:
        raise UsageError(
            f"strategy {config.strategy} chooses its parents by the score alone, and there are several objectives",
            "give --strategy random, or one objective",
        )
    if len(objectives) > 1 and (config.seeds == "auto" or config.seeds_budget):
        raise UsageError(
            "repeats are given out by the score alone, and there are several objectives",
            "give --seeds a number, which repeats every candidate, or one objective",
        )
    if len(objectives) > 1 and config.lengths:
        raise UsageError(
            "who is trained longer is chosen by the score alone, and there are several objectives",
            f"give --rungs {config.lengths[-1]}, one length for all, or one objective",
        )
    if any(one.name == TRAFFIC for one in objectives):
        if config.train.executor != "local":
            raise UsageError(f"{TRAFFIC} is measured on this machine alone", "give --executor local")
        if not target_of(config.npu).counts:
            known = ",".join(name for name, one in targets().items() if one.counts)
            raise UsageError(f"{config.npu} knows no {TRAFFIC}", f"give --npu one of {known}")
    if any(one.name == LATENCY for one in objectives):
        if config.train.executor != "local":
            raise UsageError(f"{LATENCY} is measured on this machine alone", "give --executor local")
        missing = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]
        if missing:
            raise DeltanasError(
                f"{LATENCY} is measured with {' and '.join(missing)}, not installed here",
                "pip install 'deltanas[export]'",
            )
    return objectives


def joins_of(config: SearchConfig) -> int:
    """Number of baselines that a proposal of the strategy is made of; 0: it edits one parent."""
    return config.proposing.joins(Context(settings=getattr(config, config.proposing.name, None)))


def require_askable(config: SearchConfig) -> None:
    """Raises UsageError for settings that a run can't have whose slots are filled from outside."""
    if not config.asks_outside:
        return
    if config.lengths or config.seeds == "auto" or config.seeds_budget:
        raise UsageError(
            "strategy outside trains each candidate at once, and `rungs`, `seeds` = auto and `seeds_budget` wait for"
            " others",
            "leave them out: `deltanas tell --settle` trains again what seems better",
        )
    if len(config.edits) > 1 or len(config.objectives) > 1:
        raise UsageError(
            f"strategy outside has one text to edit and one champion, and `edits` = {','.join(config.edits)},"
            f" `objectives` = {','.join(config.objectives)}",
            "take one of each",
        )


def limits_of(config: SearchConfig) -> Limits:
    """One for a run: its gate tells it of the programs whose size limits others."""
    growth = None if config.growth == "off" else config.growth
    return Limits(config.max_params, config.max_flops, growth, joined=joins_of(config) > 0)


def limited(builds: Builds, limits: Limits) -> Builds:
    """The build checks, which refuse what is over the limits, if there are any."""
    return LimitedBuilds(builds, limits) if limits else builds


def measures_of(config: SearchConfig, pool: Pool, stack: ExitStack) -> dict[str, Measure]:
    """What measures the networks of the run, by the name of the objective that needs it; closed with `stack`."""
    if not isinstance(pool, LocalPool):
        return {}
    known: dict[str, Measure] = {LATENCY: pool.latencies, TRAFFIC: _traffic(pool, config.npu, stack)}
    return {name: known[name] for name in config.objectives if name in known}


def _traffic(pool: LocalPool, target: str, stack: ExitStack) -> Measure:
    """Bytes through the memory of an NPU, of an image of its real size where a network takes any."""

    @cache
    def checker() -> Checker:
        return stack.enter_context(Checker(unsafe=pool.unsafe))

    def measure(graph: bytes) -> Measurement | Ended:
        try:
            found = checker().check(graph, target, SIZE)
        except UnfinishedError as error:
            return error.ended
        except DataError as error:
            return Measurement(TRAFFIC, None, detail=error.message)
        left = Counter(one.op for one in found.nodes if one.where == "cpu")
        told = ", ".join(f"{count} {op}" for op, count in sorted(left.items())) or "nothing"
        return Measurement(TRAFFIC, found.traffic_bytes, n=1, detail=f"{target}: {told} on the processor")

    def measured(programs: Sequence[Program]) -> Iterator[Measurement]:
        return pool.by_graph(programs, TRAFFIC, measure)

    return measured
