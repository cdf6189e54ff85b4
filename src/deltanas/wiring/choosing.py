"""From settings to what is better: objectives, limits of size, and what is measured for them."""

from __future__ import annotations

from importlib.util import find_spec

from deltanas.check import LimitedBuilds, Limits
from deltanas.config import SearchConfig
from deltanas.errors import DeltanasError, UsageError
from deltanas.objective import LATENCY, Objective, objectives_of
from deltanas.sandbox import LocalPool, Pool
from deltanas.seams import Builds, Measure
from deltanas.task import TASKS


def require_objectives(config: SearchConfig) -> tuple[Objective, ...]:
    """The run's objectives.

    Raises:
        UsageError: an unknown one, or settings that don't go together.
        DeltanasError: what one of them is measured with is not installed.
    """
    objectives = objectives_of(config.objectives, TASKS[config.task])
    if len(objectives) > 1 and config.proposing.parent:
        raise UsageError(
            f"strategy {config.strategy} chooses its parents by the score alone, and there are several objectives",
            "give --strategy random, or one objective",
        )
    if len(objectives) > 1 and (config.seeds == "auto" or config.seeds_budget):
        raise UsageError(
            "repeats are given out by the score alone, and there are several objectives",
            "give --seeds a number, which repeats every candidate, or one objective",
        )
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


def limits_of(config: SearchConfig) -> Limits:
    """One for a run: its gate tells it of the programs whose size limits others."""
    return Limits(config.max_params, config.max_flops, None if config.growth == "off" else config.growth)


def limited(builds: Builds, limits: Limits) -> Builds:
    """The build checks, which refuse what is over the limits, if there are any."""
    return LimitedBuilds(builds, limits) if limits else builds


def measure_of(config: SearchConfig, pool: Pool) -> Measure | None:
    """What measures the networks of the run; None where no objective needs it."""
    if LATENCY not in config.objectives or not isinstance(pool, LocalPool):
        return None
    return pool.latencies
