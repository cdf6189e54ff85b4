"""The nodes of a Ray cluster that work for a pool: found, started, watched, and started again when they are lost."""

from __future__ import annotations

import contextlib
import importlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread
from typing import Any, TypeVar

from deltanas.errors import SandboxError
from deltanas.sandbox.connect import reach
from deltanas.sandbox.node import Hello, Node

LOSSES = 3
"""So often a node may be lost, with nothing done in between, before it is left alone."""
_LOG = logging.getLogger("deltanas")
_BEAT = 2.0
"""Seconds between two looks at the cluster."""
_SILENCE = 10.0
"""Seconds for which the cluster may be out of reach. Ray itself ends the whole process after 60."""
_PATIENCE = 30.0
"""Seconds for which an answer of the cluster is waited for, which may be lost after it was in reach."""
_START_SECONDS = 180.0
T = TypeVar("T")


@dataclass(eq=False)
class Member:
    """An actor on a node. slots: children at a time. due: when it counts as lost, unless it has said hello by then."""

    node: str
    host: str
    actor: Any
    hello: Any
    slots: int
    due: float
    ready: bool = False


class Crew:
    """Args: workers, threads: as in `Pool`. admit: raises SandboxError for what a node that says hello lacks."""

    def __init__(self, ray: Any, workers: int | None, threads: int, admit: Callable[[Hello], None]) -> None:
        self._ray = ray
        self._workers = workers
        self._threads = threads
        self._admit = admit
        self._gcs = ray.get_runtime_context().gcs_address
        self._affinity = importlib.import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy
        self._losses: Counter[str] = Counter()
        self._missed: float | None = None
        self._next_look = 0.0
        self.members: dict[str, Member] = {}
        self.done: Counter[str] = Counter()
        """Trainings that ended, by host."""
        self.trouble = SandboxError("none has as many cores as one child needs", _HINT)

    def look(self, *, now: bool = False) -> None:
        """Once a beat, or now: is the cluster there, and has it nodes without an actor? They get one.

        Raises SandboxError where no node is left, or the cluster was out of reach for too long.
        """
        if not now and time.monotonic() < self._next_look:
            return
        if self._within_reach():  # else Ray would wait for it, and end the whole process
            self._timely(self._enlist)
        self._next_look = time.monotonic() + _BEAT

    def _enlist(self) -> None:
        for node in self._ray.nodes():
            identity, cpus = node["NodeID"], int(node["Resources"].get("CPU", 0))
            slots = self._workers or cpus // self._threads
            if node["Alive"] and cpus and slots and identity not in self.members and self._losses[identity] < LOSSES:
                actor = (
                    self._ray.remote(Node)
                    .options(
                        num_cpus=min(slots * self._threads, cpus),
                        max_concurrency=slots + 2,  # `hello` and `stop` are answered while all slots work
                        scheduling_strategy=self._affinity(identity, soft=False),
                    )
                    .remote()
                )
                due = time.monotonic() + _START_SECONDS
                host = node["NodeManagerHostname"]
                self.members[identity] = Member(identity, host, actor, actor.hello.remote(), slots, due)
        if not self.members:
            message = f"no node of the Ray cluster at {self._gcs} is left to work on: {self.trouble.message}"
            raise SandboxError(message, self.trouble.hint)

    def starting(self) -> list[Member]:
        return [member for member in self.members.values() if not member.ready]

    def wait(self, refs: Sequence[Any]) -> list[Any]:
        """At most one of `refs` and the hellos that has ended; none where the beat passed."""
        hellos = {member.hello: member for member in self.starting()}
        if not refs and not hellos:
            time.sleep(_BEAT)
            return []
        ended, _ = self._ray.wait([*refs, *hellos], num_returns=1, timeout=_BEAT)
        if ended and ended[0] in hellos:
            self._greet(hellos[ended[0]])
            return []
        for member in hellos.values():
            if time.monotonic() > member.due:
                self.lose(member, SandboxError(f"no answer in {_START_SECONDS:g} s, are its cores taken?", _HINT))
        return list(ended)

    def unended(self, refs: Sequence[Any]) -> list[Any]:
        """Those that have not ended, at this moment."""
        return list(self._ray.wait(list(refs), num_returns=len(refs), timeout=0)[1]) if refs else []

    def result(self, member: Member, ref: Any) -> Any:
        """What a call came to; None where the member was lost over it."""
        try:
            value = self._ray.get(ref, timeout=_START_SECONDS)
        except self._ray.exceptions.RayError as error:
            self.lose(member, told(error))
            return None
        self._losses.pop(member.node, None)
        return value

    def lose(self, member: Member, trouble: SandboxError) -> None:
        """Give an actor up. Its node gets another at the next look, unless it was lost too often."""
        self._losses[member.node] += 1
        self.trouble = SandboxError(f"{member.host}: {trouble.message}", trouble.hint)
        if self.members.pop(member.node, None):
            again = self._losses[member.node] < LOSSES
            then = "it is used again if it lives" if again else "it is left alone"
            _LOG.warning("lost node %s: %s; its work is handed out again, %s", member.host, trouble.message, then)
        self._next_look = 0.0
        self._kill(member)

    def given_up(self) -> bool:
        """Is there a node that lives, and was lost too often?"""
        lost = {node for node, count in self._losses.items() if count >= LOSSES}
        return any(node["Alive"] and node["NodeID"] in lost for node in self._timely(self._ray.nodes))

    def dismiss(self) -> None:
        while self.members:
            self._kill(self.members.popitem()[1])

    def _kill(self, member: Member) -> None:
        with contextlib.suppress(self._ray.exceptions.RayError, ValueError):
            self._ray.kill(member.actor)

    def _greet(self, member: Member) -> None:
        try:
            hello = self._ray.get(member.hello)
        except self._ray.exceptions.RayError as error:
            self.lose(member, told(error))
            return
        try:
            self._admit(hello)
            member.ready = True
        except SandboxError as error:
            self._losses[member.node] = LOSSES
            self.lose(member, error)

    def _timely(self, call: Callable[[], T]) -> T:
        """What a call comes to that waits for the cluster. Raises SandboxError where it waits for too long."""
        answer: Future[T] = Future()

        def ask() -> None:
            try:
                answer.set_result(call())
            except BaseException as error:  # noqa: BLE001  it is raised where the answer is waited for
                answer.set_exception(error)

        Thread(target=ask, daemon=True).start()
        try:
            return answer.result(_PATIENCE)
        except TimeoutError:
            if answer.done():
                raise
            told = f"the Ray cluster at {self._gcs} is gone: it was there and gives no answer for {_PATIENCE:g} s"
            raise SandboxError(told, _HINT) from None

    def _within_reach(self) -> bool:
        """Raises SandboxError where the cluster was out of reach for too long."""
        try:
            reach(self._gcs)
        except SandboxError as error:
            now = time.monotonic()
            self._missed = self._missed or now
            if now - self._missed > _SILENCE:
                raise SandboxError(f"the Ray cluster is gone: {error.message}", _HINT) from error
            return False
        self._missed = None
        return True


_HINT = "what was settled is kept: mend the cluster and give the same command again, or use --executor local"


def told(error: Exception) -> SandboxError:
    """An error of Ray's, or what lies under it, in one line of those that it may have."""
    cause = getattr(error, "cause", None) or error
    if isinstance(cause, SandboxError):
        return SandboxError(cause.message, cause.hint)
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()] or [type(cause).__name__]
    return SandboxError(" ".join(dict.fromkeys((lines[0], lines[-1]))), _HINT)
