"""The Ray pool: jobs go to the nodes of a cluster, one a free slot, and once more where a node was lost."""

from __future__ import annotations

import contextlib
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Self

from deltanas.errors import SandboxError
from deltanas.sandbox.connect import cluster
from deltanas.sandbox.crew import Crew, Member
from deltanas.sandbox.node import Hello, versions
from deltanas.sandbox.pool import Part, Pool
from deltanas.sandbox.supervise import Ended, Limits
from deltanas.train.job import Job

_TRIES = 3
"""So often a job is handed out, if its nodes are lost under it."""
_GRACE = 60.0
"""Seconds on top of a job's own limit, after which its node counts as lost."""
_STOP_SECONDS = 15.0


@dataclass(eq=False, repr=False)
class RayPool(Pool):
    """Children on every node of a Ray cluster, each node with a fork server and a copy of the data.

    Attributes:
        address: HOST:PORT, or "auto" for the cluster that this machine belongs to; a cluster on this machine alone,
            for as long as the pool is open, if not given.

    Nodes that join are used from the next batch on. Raises SandboxError, beside the reasons of `Pool`, where Ray or the
    cluster is missing, a node has other versions of what accuracies depend on, or no node is left.
    """

    address: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        self._batches = count()
        self._tier = ""
        self._stack = contextlib.ExitStack()

    @property
    def tier(self) -> str:
        """The weakest of the nodes'."""
        return self._tier

    def __enter__(self) -> Self:
        parts = (self.dataset.train, self.dataset.validation, self.dataset.test)
        self._tier = ""
        with contextlib.ExitStack() as stack:
            self._ray = stack.enter_context(cluster(self.address, sum(part.x.nbytes + part.y.nbytes for part in parts)))
            self._data: dict[Part | None, list[Any]] = {}
            stack.callback(self._data.clear)
            self._crew = Crew(self._ray, self.workers, self.threads, self._admit)
            stack.callback(self._crew.dismiss)
            self._crew.enlist()
            while self._crew.starting():
                self._crew.wait([])
                self._crew.enlist()
            if self._crew.given_up():
                raise self._crew.trouble
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _run(self, jobs: Sequence[Job], split: Part | None, limits: Limits, most: int) -> Iterator[tuple[int, Ended]]:
        if split not in self._data:
            self._data[split] = [self._ray.put(array) for array in self._arrays(split)]
        batch = _Batch(self._crew, next(self._batches), jobs, (split, limits, most, *self._data[split]), limits.timeout)
        try:
            yield from batch.ends()
        finally:
            batch.stop(self._ray)

    def _admit(self, hello: Hello) -> None:
        """Raises SandboxError for a node whose results would not be this machine's, or would be worth less."""
        if hello.versions != versions():
            told = ", ".join(f"{name} {version}" for name, version in hello.versions.items())
            raise SandboxError(f"has {told}, unlike this machine", "install the same versions on all nodes")
        self._refuse_leaks(hello.tier, "there")
        self._tier = max(self._tier, hello.tier)


@dataclass(frozen=True, eq=False)
class _Flight:
    """A job under way. due: time at which its node counts as lost."""

    position: int
    member: Member
    slot: int
    due: float


class _Batch:
    """The jobs of one call. Each ends exactly once: what a lost node may still send is not waited for."""

    def __init__(self, crew: Crew, number: int, jobs: Sequence[Job], common: tuple[Any, ...], timeout: float) -> None:
        self._crew = crew
        self._number = number
        self._jobs = jobs
        self._common = common
        self._patience = timeout + _GRACE
        self._waiting = deque(range(len(jobs)))
        self._losses: Counter[int] = Counter()
        self._flights: dict[Any, _Flight] = {}
        self._free: dict[Member, list[int]] = {}

    def ends(self) -> Iterator[tuple[int, Ended]]:
        self._crew.enlist()
        while self._waiting or self._flights:
            self._hand_out()
            for ref in self._crew.wait(list(self._flights)):
                flight = self._flights.pop(ref)
                ended = self._crew.result(flight.member, ref)
                self._free[flight.member].append(flight.slot)
                if ended is None or ended.how == "stopped":  # by another batch
                    self._again(flight.position)
                else:
                    yield flight.position, ended
            self._lose_the_late()
            if self._crew.short:
                self._take_back()
                self._crew.enlist()

    def stop(self, ray: Any) -> None:
        """Kill what is still under way, and wait until it is dead."""
        members = self._crew.members.values()
        living = {ref: flight.member for ref, flight in self._flights.items() if flight.member in members}
        stops = {member.actor.stop.remote(self._number): member for member in set(living.values())}
        if stops:  # else Ray may be shut down already, and a call would start it again
            left = [*stops, *living]
            _, late = ray.wait(left, num_returns=len(left), timeout=_STOP_SECONDS)
            for member in {(stops | living)[ref] for ref in late}:
                self._crew.lose(member, SandboxError("it does not stop"))

    def _hand_out(self) -> None:
        for member in self._crew.members.values():
            free = self._free.setdefault(member, list(range(member.slots)))
            while member.ready and free and self._waiting:
                position, slot = self._waiting.popleft(), free.pop()
                ref = member.actor.run.remote(self._number, slot, self._jobs[position], *self._common)
                self._flights[ref] = _Flight(position, member, slot, time.monotonic() + self._patience)

    def _lose_the_late(self) -> None:
        now = time.monotonic()
        for member in {flight.member for flight in self._flights.values() if now > flight.due}:
            self._crew.lose(member, SandboxError(f"no answer in {self._patience:g} s"))

    def _take_back(self) -> None:
        """The jobs that lost nodes had."""
        members = self._crew.members.values()
        for ref in [ref for ref, flight in self._flights.items() if flight.member not in members]:
            self._again(self._flights.pop(ref).position)

    def _again(self, position: int) -> None:
        self._losses[position] += 1
        if self._losses[position] == _TRIES:
            trouble = self._crew.trouble
            raise SandboxError(f"nodes were lost {_TRIES} times over one program: {trouble.message}", trouble.hint)
        self._waiting.appendleft(position)
