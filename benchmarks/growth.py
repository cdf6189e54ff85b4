"""What a candidate costs beside its training as a run grows, how long a run takes to resume, and its memory a row.

    python -m benchmarks growth --sizes 100 10000 100000 --out growth.json
    python -m benchmarks growth --postgres postgresql://USER@HOST/postgres     makes databases growth_*, and drops them

Each size is measured in a process of its own. Its archive is filled with that many rows, as a search leaves them:
edited descendants of the built-in baselines, one training a row with its scores an image. Then the search is taken up
for some more cycles with a runner that answers at once, so that what is left is the loop: parents, proposals, gates,
the archive, the listener. `scripted`: a proposer that appends a line, which costs next to nothing; `random`: the
strategy of that name, which derives the space of edits of each new parent; `checked`: the same with real build checks
in the sandbox, as a search on digits has them (a parent was checked when it was a candidate). Milliseconds are of CPU
time, with `checked` of wall clock, as the checks run in children; `wall_ms` is of wall clock for all, with what the
server of the database computes. Then `runs list`, `runs show` and `report` read the run, each in a process of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import median

import psycopg
from sqlalchemy import make_url

from deltanas.archive import POINTER, RunArchive, create_run, open_run, sqlite_url
from deltanas.check import BuildGate, ContractGate
from deltanas.config import TrainConfig
from deltanas.novelty import NoveltyGate
from deltanas.plan import Plan
from deltanas.program import Failed, Probe, Program, Refused, Trained
from deltanas.propose import RandomProposer, Space
from deltanas.records import Attempt, Candidate, Draft
from deltanas.sandbox import Pool
from deltanas.seams import Ask, Builds, Built, Event, Gate, Proposal, Proposer, Settled, Split
from deltanas.search import Search
from deltanas.wiring import builtin_programs, open_dataset_pool

IMAGES, CANDIDATES, CYCLES = 360, 8, 12
BASELINES = builtin_programs({})


class Instant:
    """A runner that scores a program by its identity, at once."""

    tier = "none"

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
        return [Built(100_000, 1_000_000, program.id, probe(program.id)) for program in programs]

    def train(
        self,
        programs: Sequence[Program],
        *,
        seed: int,  # noqa: ARG002
        split: Split = "validation",  # noqa: ARG002
        epochs: int | None = None,  # noqa: ARG002
    ) -> Iterator[tuple[int, Trained | Failed]]:
        for place, program in enumerate(programs):
            yield place, scored(program.id)


def probe(identity: str) -> Probe:
    return tuple(float(byte) for byte in hashlib.sha256(identity.encode()).digest())


def scored(identity: str) -> Trained:
    digest = hashlib.sha256(identity.encode()).digest()
    share = int.from_bytes(digest[:4], "big") / 2**32
    return Trained(share, IMAGES, 1, 0.1, 0.1, "A", (digest * 2)[: IMAGES // 8])


def fill(archive: RunArchive, rows: int) -> None:
    """Rows as a search of `CANDIDATES` a cycle leaves them; each fourth parent is a descendant."""
    rng = Random(0)
    parents = list(BASELINES.values())
    done = [(p, Candidate(0, i, "baseline", None, None, name=n)) for i, (n, p) in enumerate(BASELINES.items())]
    number = 0
    while len(done) < rows:
        cycle, index = divmod(number, CANDIDATES)
        parent = parents[rng.randrange(len(BASELINES) if number % 4 else len(parents))]
        child = parent.edited("net", f"{parent.net}x{number} = {number}\n")
        if number % 50 == 0:
            parents.append(child)
        edit = f"<<<<<<< SEARCH\nx = {number}\n=======\nx = {number + 1}\n>>>>>>> REPLACE\n"
        attempt = Attempt(edit, "exact", "", None, (), 0, child.id, f"{number:016x}", True, "width")
        done.append((child, Candidate(1 + cycle, index, "random", parent.id, None, (attempt,))))
        number += 1
    for start in range(0, len(done), 2000):
        batch = []
        for program, row in done[start : start + 2000]:
            draft = Draft(program, 100_000, 1_000_000, f"trace {program.id}", probe(program.id), True)
            score = scored(program.id)
            batch.append(replace(row, draft=draft, outcome=score, trainings=(score,)))
        archive.open(batch)


class Checked:
    """Checks what is new in the sandbox; what the run holds was checked when it was a candidate."""

    def __init__(self, pool: Pool, known: set[str]) -> None:
        self._pool, self._known, self._held = pool, known, Instant()

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
        new = [program for program in programs if program.id not in self._known]
        answers = dict(zip((program.id for program in new), self._pool.build(new), strict=True))
        return [answers.get(program.id) or self._held.build([program])[0] for program in programs]


class Scripted:
    """Appends a line to the parent."""

    strategy = "scripted"
    batch = 8

    def propose(self, asks: Sequence[Ask]) -> list[Proposal]:
        return [self._one(ask) for ask in asks]

    def _one(self, ask: Ask) -> Proposal:
        edit = f"y{ask.cycle} = {ask.index}"
        return Proposal(ask.parent.edited("net", f"{ask.parent.net}{edit}\n"), edit, "exact", kind="width")


class Clock:
    """A listener that notes the time at which each cycle was settled."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.cycles: dict[int, float] = {}
        self._clock = clock

    def __call__(self, event: Event) -> None:
        if isinstance(event, Settled):
            self.cycles[event.candidate.cycle] = self._clock()

    def candidate_ms(self) -> float:
        """Median over cycles."""
        moments = [self.cycles[cycle] for cycle in sorted(self.cycles)]
        return round(1000 * median(after - then for then, after in pairwise(moments)) / CANDIDATES, 3)


def measured(url: str, size: int, name: str) -> dict[str, float]:
    last = -(-(size - len(BASELINES)) // CANDIDATES)
    wall, cpu = Clock(time.perf_counter), Clock(time.process_time)

    def listener(event: Event) -> None:
        wall(event)
        cpu(event)

    before, start = _rss(), time.perf_counter()
    with ExitStack() as stack:
        archive = stack.enter_context(open_run(url, "run", writer=True))
        builds: Builds = Instant()
        if name == "checked":
            pool = stack.enter_context(open_dataset_pool("digits", TrainConfig(workers=1)))
            builds = Checked(pool, {row.program.id for row in archive.rows() if row.program})
        space = Space(builds if name == "checked" else None)
        proposer: Proposer = Scripted() if name == "scripted" else RandomProposer(space)

        def search(cycles: int) -> Search:
            gates: list[Gate] = [ContractGate(), BuildGate(builds)]
            plan = Plan(cycles, CANDIDATES, 1, finals=0)
            return Search(plan, BASELINES, proposer, gates, NoveltyGate(), Instant(), archive, listener)

        taken_up = search(last)
        taken_up.run()
        resumed, held = time.perf_counter() - start, _rss() - before
        del taken_up
        search(last + CYCLES).run()
    return {
        "rows": size,
        "resume_s": round(resumed, 3),
        "candidate_ms": (wall if name == "checked" else cpu).candidate_ms(),
        "wall_ms": wall.candidate_ms(),
        "kb_a_row": round(held / size, 2),
    }


def read(folder: Path) -> Iterator[dict[str, object]]:
    """What it costs to read the run of a folder by command."""
    program = str(Path(sys.executable).with_name("deltanas"))
    for command in (("runs", "list", "--runs", folder.parent), ("runs", "show", folder), ("report", folder)):
        start = time.perf_counter()
        child = subprocess.Popen([program, *map(str, command)], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        name = " ".join(word for word in command if isinstance(word, str))
        if child.returncode:
            raise SystemExit(f"deltanas {name} ended with {child.returncode}")
        seconds, cpu = time.perf_counter() - start, usage.ru_utime + usage.ru_stime
        yield {"command": name, "s": round(seconds, 2), "cpu_s": round(cpu, 2), "peak_mb": usage.ru_maxrss // 1024}


class Files:
    """Archives in SQLite files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def new(self) -> str:
        return sqlite_url(self._folder / "filled.db")

    def copy(self, name: str) -> str:
        return sqlite_url(Path(shutil.copy(self._folder / "filled.db", self._folder / f"{name}.db")))

    def drop(self, name: str) -> None:
        (self._folder / f"{name}.db").unlink()


class Databases:
    """Archives in databases of a PostgreSQL server."""

    def __init__(self, server: str) -> None:
        self._server = make_url(server).set(drivername="postgresql")

    def new(self) -> str:
        return self._make("filled", "template1")

    def copy(self, name: str) -> str:
        return self._make(name, "growth_filled")

    def drop(self, name: str) -> None:
        self._do(f"DROP DATABASE IF EXISTS growth_{name}")

    def _make(self, name: str, template: str) -> str:
        self.drop(name)
        self._do(f"CREATE DATABASE growth_{name} TEMPLATE {template}")
        return self._server.set(database=f"growth_{name}").render_as_string(hide_password=False)

    def _do(self, statement: str) -> None:
        with psycopg.connect(self._server.render_as_string(hide_password=False), autocommit=True) as connection:
            connection.execute(statement.encode())


def _rss() -> float:
    """Resident memory now, kB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 10_000, 100_000])
    parser.add_argument("--postgres", help="URL of a server; SQLite if not given")
    parser.add_argument("--proposers", nargs="+", default=["scripted", "random", "checked"])
    parser.add_argument("--out", type=Path)
    for hidden, kind in (("--one", int), ("--url", str), ("--proposer", str)):
        parser.add_argument(hidden, type=kind, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measured(given.url, given.one, given.proposer)))  # noqa: T201
        return
    rows: list[dict[str, object]] = []
    for size in given.sizes:
        with tempfile.TemporaryDirectory() as folder:
            store = Databases(given.postgres) if given.postgres else Files(Path(folder))
            for row in of_size(size, store, given.proposers, Path(folder) / "runs" / "run"):
                rows.append(row)
                print(row, flush=True)  # noqa: T201
    if given.out:
        given.out.write_text(json.dumps(rows, indent=1) + "\n")


def of_size(size: int, store: Files | Databases, proposers: Sequence[str], run: Path) -> Iterator[dict[str, object]]:
    start = time.perf_counter()
    with create_run(url := store.new(), "run", {"version": "made up", "config": {"strategy": "random"}}) as archive:
        fill(archive, size)
    yield {"rows": size, "filled_s": round(time.perf_counter() - start, 1)}
    for proposer in proposers:
        command = [sys.executable, "-m", "benchmarks", "growth"]
        command += ["--one", str(size), "--url", store.copy(proposer), "--proposer", proposer]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        store.drop(proposer)
        yield {"proposer": proposer, **json.loads(done.stdout)}
    run.mkdir(parents=True)
    (run / POINTER).write_text(json.dumps({"format": 1, "name": "run", "archive": url}))
    yield from ({"rows": size, **row} for row in read(run))
    store.drop("filled")


if __name__ == "__main__":
    main()
