"""The Ray pool: jobs go to the nodes of a cluster, one a free slot, and once more where a node was lost."""

from __future__ import annotations

import contextlib
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from deltanas.errors import SandboxError
from deltanas.sandbox.connect import cluster
from deltanas.sandbox.crew import Crew, Member, told
from deltanas.sandbox.host import require_tight
from deltanas.sandbox.node import Hello, versions
from deltanas.sandbox.pool import Part, Pool
from deltanas.sandbox.supervise import Ended, Limits
from deltanas.train.job import Job

_TRIES = 3
"""So often a job is handed out, if its nodes are lost under it."""
_GRACE = 60.0
"""Seconds on top of a job's own limit, after which its node counts as lost."""
_SLOWEST = 1 << 20
"""Bytes a second at which data comes to a node, at the least: so much longer may its first job take."""
_STOP_SECONDS = 15.0


@dataclass(eq=False, repr=False)
class RayPool(Pool):
    """Children on every node of a Ray cluster, each node with a fork server and a copy of the data.

    Attributes:
        address: HOST:PORT, or "auto" for the cluster that this machine belongs to; a cluster on this machine alone,
            for as long as the pool is open, if not given.

    Nodes that join are used within seconds. Each node fetches the data once. Raises SandboxError, beside the reasons of
    `Pool`, where Ray or the cluster is missing, a node has other versions of what scores depend on, or none is left.
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
        self._bytes = sum(part.x.nbytes + part.y.nbytes for part in parts)
        self._tier = ""
        with contextlib.ExitStack() as stack:
            self._ray = stack.enter_context(cluster(self.address, self._bytes))
            self._data: dict[Part | None, list[Any]] = {}
            self._training: list[Any] = []
            stack.callback(self._data.clear)
            stack.callback(self._training.clear)
            self._crew = Crew(self._ray, self.workers, self.threads, self._admit)
            stack.callback(self._crew.dismiss)
            self._crew.look(now=True)
            while self._crew.starting():
                self._crew.wait([])
                self._crew.look()
            if self._crew.given_up():
                raise self._crew.trouble
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def spread(self) -> dict[str, int]:
        return dict(self._crew.done)

    def _run(self, jobs: Sequence[Job], split: Part | None, limits: Limits, most: int) -> Iterator[tuple[int, Ended]]:
        common = (split, limits, most, self._references(split))
        patience = limits.timeout + _GRACE + self._bytes / _SLOWEST
        batch = _Batch(self._crew, next(self._batches), jobs, common, patience)
        try:
            yield from batch.ends()
        finally:
            batch.stop(self._ray)

    def _references(self, split: Part | None) -> list[Any]:
        """To the arrays of a split; all splits share those of the training images."""
        if split not in self._data:
            arrays = self._arrays(split)
            if arrays and not self._training:
                self._training.extend([self._put(array) for array in arrays[:-1]])
            self._data[split] = [*self._training, *map(self._put, arrays[-1:])] if arrays else []
        return self._data[split]

    def _put(self, array: NDArray[np.generic]) -> Any:
        try:
            return self._ray.put(array)
        except self._ray.exceptions.RayError as error:
            raise SandboxError(
                f"the data ({self._bytes / 1e6:,.0f} MB) can't be given to the cluster: {told(error).message}",
                "give Ray more room here (ray start --object-store-memory BYTES), then the same command again",
            ) from error

    def _admit(self, hello: Hello) -> None:
        """Raises SandboxError for a node whose results would not be this machine's, or would be worth less."""
        if hello.versions != versions():
            told = ", ".join(f"{name} {version}" for name, version in hello.versions.items())
            raise SandboxError(f"has {told}, unlike this machine", "install the same versions on all nodes")
        require_tight(hello.tier, self.unsafe, "there")
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

    def __init__(self, crew: Crew, number: int, jobs: Sequence[Job], common: tuple[Any, ...], patience: float) -> None:
        self._crew = crew
        self._number = number
        self._jobs = jobs
        self._common = common
        self._patience = patience
        self._waiting = deque(range(len(jobs)))
        self._losses: Counter[int] = Counter()
        self._flights: dict[Any, _Flight] = {}
        self._free: dict[Member, list[int]] = {}

    def ends(self) -> Iterator[tuple[int, Ended]]:
        self._crew.look(now=True)
        while self._waiting or self._flights:
            self._hand_out()
            for ref in self._crew.wait(list(self._flights)):
                flight = self._flights.pop(ref)
                ended = self._crew.result(flight.member, ref)
                self._free[flight.member].append(flight.slot)
                if ended is None or ended.how == "stopped":  # by another batch
                    self._again(flight.position)
                else:
                    self._crew.done[flight.member.host] += self._jobs[flight.position].mode != "build"
                    yield flight.position, ended
            self._lose_the_late()
            self._take_back()
            self._crew.look()

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
        # Who took the last result may have kept this loop waiting for long: what has ended by now is not late.
        overdue = [ref for ref, flight in self._flights.items() if now > flight.due]
        for member in {self._flights[ref].member for ref in self._crew.unended(overdue)}:
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
