"""What a Ray cluster costs beside this machine's own pool: seconds to start, milliseconds a candidate.

    python -m benchmarks nodes [--candidates 40] [--turns 3]

Both pools have one child at a time here, and take turns. `short`: programs that raise as they are imported, so that the
pool is all that is timed. `trained`: a small network on 200 images of digits. Ray starts a cluster on this machine.
"""

from __future__ import annotations

import argparse
import json
import time
from contextlib import ExitStack
from statistics import median

from deltanas.program import Program
from deltanas.sandbox import LocalPool, Pool, RayPool
from deltanas.testing.runner import HONEST
from deltanas.train.data import load

SHORT = Program.of("raise ValueError\n")


def seconds(pool: Pool, program: Program, count: int) -> float:
    """Of wall clock that a pool takes for a program, that many times."""
    start = time.perf_counter()
    assert len(list(pool.train([program] * count, seed=0))) == count
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=40)
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()
    data = load("digits", train_size=200)
    pools: dict[str, Pool] = {"local": LocalPool(data, workers=1), "ray": RayPool(data, workers=1)}
    found: dict[str, dict[str, list[float]]] = {}
    with ExitStack() as stack:
        for name, pool in pools.items():
            start = time.perf_counter()
            stack.enter_context(pool)
            found[name] = {"start_s": [time.perf_counter() - start]}
        for _ in range(given.turns):
            for kind, program in (("short", SHORT), ("trained", HONEST)):
                for name, pool in pools.items():
                    each = 1000 * seconds(pool, program, given.candidates) / given.candidates
                    found[name].setdefault(f"{kind}_ms", []).append(each)
    for name, figures in found.items():
        row = {"pool": name, **{key: round(median(values), 1) for key, values in figures.items()}}
        print(json.dumps({**row, "candidates": given.candidates, "turns": given.turns}))  # noqa: T201


if __name__ == "__main__":
    main()
