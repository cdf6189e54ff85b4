"""What the sandbox costs by itself: its server's start, a failing candidate's way to its verdict, a build check."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from benchmarks.soak import soak
from deltanas import nets
from deltanas.calibrate import where
from deltanas.cli.output import Json, print_figures, say
from deltanas.config import TrainConfig
from deltanas.program import Program, Refused
from deltanas.sandbox import Pool
from deltanas.wiring import open_shape_pool, program_of

VERDICT_BAR = 60.0
"""Milliseconds, the median from fork to verdict of a candidate that fails its contract."""
_SHAPE, _CLASSES = (1, 28, 28), 10
_STARTS = 3
_BROKEN = {
    "raises at import": ("class Net", "raise ValueError\n\n\nclass Net"),
    "wrong output": ("return x", "return x[:, 1:]"),
}


@dataclass(frozen=True, slots=True)
class Spread:
    """Milliseconds: median, the slowest but one in twenty, the range, n."""

    name: str
    median: float
    p95: float
    low: float
    high: float
    n: int


def bench_sandbox(repeats: int) -> dict[str, object]:
    """One worker, a warm server but for its start; the build check is the mean of a baseline, over all of them."""
    began = where()
    spreads = []
    with _pool() as pool:
        tier = pool.tier
        programs = [program_of(source) for source in nets.baselines().values()]
        pool.build(programs)
        for name, (old, new) in _BROKEN.items():
            broken = program_of(nets.baseline("mlp").replace(old, new, 1))
            times = [_verdict(pool, [broken], refused=True) for _ in range(repeats)]
            spreads.append(_spread(f"fork to verdict: {name}", times))
        times = [_verdict(pool, programs, refused=False) / len(programs) for _ in range(max(1, repeats // 10))]
        spreads.append(_spread("build check of a baseline", times))
    spreads.append(_spread("start of the server, self-test included", [_start() for _ in range(min(_STARTS, repeats))]))
    return {
        **began,
        "load_after": where()["load"],
        "tier": tier,
        "milliseconds": [asdict(spread) for spread in spreads],
        "bar": f"fork to verdict: a median of at most {VERDICT_BAR:g} ms",
        "kept": all(spread.median <= VERDICT_BAR for spread in spreads if spread.name.startswith("fork")),
    }


def _pool() -> Pool:
    return open_shape_pool(_SHAPE, _CLASSES, TrainConfig(workers=1))


def _verdict(pool: Pool, programs: Sequence[Program], *, refused: bool) -> float:
    began = time.perf_counter()
    verdicts = pool.build(programs)
    seconds = time.perf_counter() - began
    assert all(isinstance(verdict, Refused) == refused for verdict in verdicts), verdicts
    return seconds


def _start() -> float:
    began = time.perf_counter()
    with _pool():
        return time.perf_counter() - began


def _spread(name: str, seconds: Sequence[float]) -> Spread:
    times = sorted(1000 * value for value in seconds)
    p95 = times[min(len(times) - 1, round(0.95 * len(times)))]
    return Spread(
        name, round(statistics.median(times), 1), round(p95, 1), round(times[0], 1), round(times[-1], 1), len(times)
    )


def main(
    repeats: Annotated[int, typer.Option(help="Candidates that fail, of each kind.", min=1)] = 40,
    candidates: Annotated[
        int | None, typer.Option("--soak", help="Instead: so many candidates in a row on digits.", metavar="N", min=1)
    ] = None,
    as_json: Json = False,
) -> None:
    """Cost of the sandbox: start, verdict on a failing candidate, build check. With --soak, what grows over many."""
    if candidates is not None:
        print_figures(soak(candidates, say=say), ["groups"], as_json=as_json)
    else:
        print_figures(bench_sandbox(repeats), ["milliseconds"], as_json=as_json)


if __name__ == "__main__":
    typer.run(main)
