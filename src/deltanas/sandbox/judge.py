"""From how a child ended to an outcome. Nothing a child says is believed: all of it is checked here."""

from __future__ import annotations

import contextlib
import json
import signal
from dataclasses import dataclass, field, replace
from math import isfinite, prod
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from deltanas.program import Failed, Refused, Trained
from deltanas.program.probe import TRACE
from deltanas.sandbox.supervise import Ended, Limits
from deltanas.seams import Built
from deltanas.task import Describes, Shows, Sorts, Task
from deltanas.train.job import HEADER_LIMIT, PROBE, REASON_LIMIT, Job, unpacked_widths

Kind = Literal["timeout", "memory", "crash", "error", "output"]
_IDLE = 0.1
"""Share of its time that a program computes in which no more than this counts as waiting."""
_FLOAT = 4
"""Bytes of a float32."""


@dataclass(frozen=True, slots=True)
class Target:
    """What the outputs of a child are scored by; none of it ever enters the child.

    Attributes:
        out_shape: of one image's output. values: target of each image, [n, ...], as the child got the images.
        order: int64 [n], place of each in its split.
        confused: tell what is taken for what, where the task has classes.
        inputs: the images themselves, uint8 [n, c, h, w], if a picture is to be made of what became of them.
    """

    task: Task
    out_shape: tuple[int, ...]
    values: NDArray[Any]
    order: NDArray[np.int64]
    confused: bool = False
    inputs: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def floats(self) -> int:
        """Number of values that the outputs of all images have."""
        return len(self) * prod(self.out_shape)

    def part(self, chosen: NDArray[np.bool_]) -> Target:
        """The chosen images alone, as a split of its own in the same order."""
        order, inputs = self.order[chosen], None if self.inputs is None else self.inputs[chosen]
        return replace(self, values=self.values[chosen], order=np.argsort(np.argsort(order)), inputs=inputs)


def due(floats: int) -> int:
    """Largest number of bytes of an answer, given the number of values of its outputs."""
    return HEADER_LIMIT + floats * _FLOAT


def judge_build(ended: Ended, limits: Limits) -> Built | Refused:
    header, raw, failure = answered(ended, limits)
    if failure:
        return Refused("step" if header and header.get("step") is True else "build", failure[1])
    match header:
        case {"params": int(params), "flops": int(flops), "trace": str(trace), "probe": list(figures), **rest} if (
            not raw
        ):
            sound = len(trace) in (TRACE, 2 * TRACE) and trace.isalnum() and trace.isascii() and len(figures) == PROBE
            probe = tuple(figure if isinstance(figure, float) and isfinite(figure) else None for figure in figures)
            with contextlib.suppress(ValueError):
                widths = unpacked_widths(str(rest.get("widths", "")))
                if 0 <= params < 2**63 and 0 <= flops < 2**63 and sound:
                    return Built(params, flops, trace, probe, widths)
    return Refused("build", "the build check gave an answer that makes no sense")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a network gives at one moment of its training.

    Attributes:
        epochs: done by then. averaged: with weights that are averaged over the last steps.
        outcome: its score, or why there is none; seconds are those of the whole training.
        outputs: float32 [n, *out_shape], in the order of the split.
    """

    epochs: int
    averaged: bool
    outcome: Trained | Failed
    outputs: NDArray[np.float32] = field(repr=False)


def judge_curve(ended: Ended, limits: Limits, target: Target, job: Job, tier: str) -> tuple[Reading, ...] | Failed:
    """Score the outputs of every reading of a job."""
    together = outputs_of(ended, limits, len(job.readings) * len(target), target.out_shape, tier)
    if isinstance(together, Failed):
        return together
    places = np.argsort(target.order)
    return tuple(
        Reading(epochs, averaged, scored(ended, outputs, target, seed=job.seed, tier=tier), outputs[places])
        for (epochs, averaged), outputs in zip(job.readings, np.split(together, len(job.readings)), strict=True)
    )


def outputs_of(
    ended: Ended, limits: Limits, n: int, out_shape: tuple[int, ...], tier: str
) -> NDArray[np.float32] | Failed:
    """The outputs of n images, float32 [n, *out_shape], or why there are none."""
    _, raw, failure = answered(ended, limits)
    if failure is not None:
        return Failed(*failure, ended.seconds, ended.cpu_seconds, tier)
    if len(raw) != n * prod(out_shape) * _FLOAT:
        reason = f"{len(raw)} bytes of outputs came back, not {' x '.join(map(str, (n, *out_shape, _FLOAT)))}"
        return Failed("output", reason, ended.seconds, ended.cpu_seconds, tier)
    return np.frombuffer(raw, np.float32).reshape(n, *out_shape)


def scored(ended: Ended, outputs: NDArray[np.float32], target: Target, *, seed: int, tier: str) -> Trained | Failed:
    """outputs: float32 [n, *out_shape]."""
    if not np.isfinite(outputs).all():
        reason = "the trained network returns values that are not finite"
        return Failed("output", reason, ended.seconds, ended.cpu_seconds, tier)
    scores = np.empty(len(target))
    scores[target.order] = target.task.scores(outputs, target.values)
    task = target.task
    confusion = task.confusion(outputs, target.values) if target.confused and isinstance(task, Sorts) else None
    known = (ended.seconds, ended.cpu_seconds, tier, task.packed(scores), confusion)
    further = task.further(outputs, target.values) if isinstance(task, Describes) else ()
    picture = None
    if target.inputs is not None and isinstance(task, Shows):
        picture = task.picture(target.inputs, outputs, target.values)
    return Trained(float(scores.mean()), len(target), seed, *known, further=further, picture=picture)


def answered(ended: Ended, limits: Limits) -> tuple[dict[str, object] | None, bytes, tuple[Kind, str] | None]:
    """The first line of an answer, None where it is not as it should be; the rest; and the reason of `failed_as`."""
    line, _, raw = ended.answer.partition(b"\n")
    header = object_of(line) if len(line) <= HEADER_LIMIT else None
    return header, raw, failed_as(ended, header, limits)


def object_of(text: bytes) -> dict[str, object] | None:
    """What a child wrote as one object of JSON; None where it is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def failed_as(ended: Ended, header: dict[str, object] | None, limits: Limits) -> tuple[Kind, str] | None:
    """Why there is no result, None if there is one to look at."""
    no_memory = f"more than {limits.bounds.memory / 2**30:g} GiB of memory"
    if ended.how == "timeout":
        return "timeout", f"took longer than {limits.timeout:g} s{_idle(ended, limits)}"
    if ended.how == "excess":
        return "output", "answered more bytes than are due"
    if ended.code == -signal.SIGXCPU or (ended.code == -signal.SIGKILL and ended.cpu_seconds >= limits.bounds.cpu):
        return "timeout", f"used more than {limits.bounds.cpu} s of CPU time"
    if ended.code < 0:
        if "bad_alloc" in ended.tail:
            return "memory", f"asked for {no_memory}"
        return "crash", _with_tail(f"was ended by {_signal_name(-ended.code)}", ended.tail)
    if ended.code or header is None:
        return "error", _with_tail(f"exited with code {ended.code} and no answer", ended.tail)
    if "failed" in header:
        kind, reason = header["failed"], printable(str(header.get("reason", "")))
        if kind == "memory":
            return "memory", reason if "CUDA" in reason else f"asked for {no_memory}: {reason}"
        return (cast(Kind, kind) if kind in get_args(Kind) else "error"), reason
    return None


def _idle(ended: Ended, limits: Limits) -> str:
    """What is told of one that hardly computed; where its time is not known, nothing is."""
    if not 0 < ended.cpu_seconds < _IDLE * limits.timeout:
        return ""
    return f", and computed for only {ended.cpu_seconds:.1f} s of it: does it sleep or wait for something?"


def _with_tail(reason: str, tail: str) -> str:
    last = tail.strip().splitlines()[-1:]
    return printable(f"{reason}: {last[0]}") if last else reason


def printable(text: str) -> str:
    """Text of a candidate that a terminal, a database and a language model can take."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[:REASON_LIMIT])


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
