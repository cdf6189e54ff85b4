"""Thousands of candidates in a row: does anything grow, and does the cost of one stay what it was?"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from deltanas import nets
from deltanas.calibrate import where
from deltanas.config import TrainConfig
from deltanas.errors import DeltanasError
from deltanas.program import Failed, Refused, Trained
from deltanas.wiring import open_dataset_pool, program_of

_NETS = ("mlp", "nin", "vgg")
_GROUP = 100


@dataclass(frozen=True, slots=True)
class Group:
    """A hundred candidates, and what tool and server hold after them.

    Attributes:
        until: candidates so far. seconds: wall clock of one. cpu_ms: median CPU time of a training of `mlp`.
        memory_mb: resident memory of the tool and of the server. descriptors: open ones of both.
        processes: of the tool, the server and all under it. threads: of the tool and the server.
    """

    until: int
    seconds: float
    cpu_ms: float
    memory_mb: tuple[float, float]
    descriptors: tuple[int, int]
    threads: tuple[int, int]
    processes: int


def soak(n: int, *, say: Callable[[str], None]) -> dict[str, object]:
    """Build and train n candidates on `digits`: three networks in turn, one in ten of which fails its contract.

    Raises DeltanasError where one does not end as it must.
    """
    began = where()
    good = [program_of(nets.baseline(name)) for name in _NETS]
    broken = program_of(nets.baseline("mlp").replace("return x", "return x[:, 1:]", 1))
    groups: list[Group] = []
    scores: dict[int, set[float]] = {}
    with open_dataset_pool("digits", TrainConfig(epochs=1)) as pool:
        pool.build(good)
        for start in range(0, n, _GROUP):
            places = range(start, min(n, start + _GROUP))
            programs = [broken if place % 10 == 9 else good[place % len(good)] for place in places]
            clock = time.perf_counter()
            builds = pool.build(programs)
            if [isinstance(built, Refused) for built in builds] != [program is broken for program in programs]:
                raise DeltanasError(f"a build check went wrong before candidate {places[-1] + 1}")
            trained = [program for program in programs if program is not broken]
            spent = []
            for position, outcome in pool.train(trained, seed=0):
                if not isinstance(outcome, Trained):
                    raise DeltanasError(f"a training went wrong before candidate {places[-1] + 1}: {_told(outcome)}")
                which = good.index(trained[position])
                scores.setdefault(which, set()).add(outcome.score)
                if which == 0:
                    spent.append(1000 * outcome.cpu_seconds)
            seconds = (time.perf_counter() - clock) / len(programs)
            groups.append(_group(places[-1] + 1, seconds, statistics.median(spent)))
            say(str(groups[-1]))
    return {
        **began,
        "load_after": where()["load"],
        "candidates": n,
        "distinct_accuracies": {name: len(scores[which]) for which, name in enumerate(_NETS)},
        "groups": [asdict(group) for group in groups],
    }


def _told(outcome: Failed) -> str:
    return f"{outcome.kind}: {outcome.reason}"


def _group(until: int, seconds: float, cpu_ms: float) -> Group:
    tool = os.getpid()
    (server,) = _children(tool)
    both = (tool, server)
    return Group(
        until,
        round(seconds, 4),
        round(cpu_ms, 1),
        (_resident(tool), _resident(server)),
        (_count(tool, "fd"), _count(server, "fd")),
        (_count(tool, "task"), _count(server, "task")),
        len(both) + len(_children(server)),
    )


def _children(pid: int) -> list[int]:
    listings = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for listing in listings for child in listing.read_text().split()]


def _resident(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def _count(pid: int, what: str) -> int:
    return len(list(Path(f"/proc/{pid}/{what}").iterdir()))
