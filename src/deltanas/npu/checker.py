"""The tool's end of a check: a child of the sandbox compiles, and what it says is looked at before it is told."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Self, get_args

from deltanas.errors import DataError, installed
from deltanas.npu.catalog import FIRST, Target, target_of
from deltanas.npu.child import END
from deltanas.npu.qnn import TRAFFIC
from deltanas.npu.report import Placed, Report, Where
from deltanas.onnxfile import lies_outside
from deltanas.sandbox import (
    Bounds,
    Ended,
    ForkServer,
    Limits,
    failed_as,
    object_of,
    printable,
    require_tight,
    run_alone,
)

_SERVER = ("deltanas.sandbox.zygote", "deltanas.npu.child")
_MOST_ANSWER = 1 << 28
"""Bytes of an answer: Qualcomm's log has tens of thousands of lines."""
_MEMORY = 8 << 30
"""Bytes of address space that a check may take."""
_MOST_NODES = 100_000
_MOST_TRAFFIC = 1 << 50
_BY_DESIGN = ("QuantizeLinear", "DequantizeLinear")
"""Qualcomm's compiler leaves those of a graph's own inputs and outputs to the processor: they are no fallbacks."""


@dataclass(frozen=True, slots=True)
class _Ask:
    """What a child is asked. target: None for a child that does nothing."""

    target: Target | None
    size: tuple[int, int] | None

    def to_bytes(self) -> bytes:
        target = self.target
        asked = {} if target is None else {
            "runs": target.runs, "options": dict(target.options), "operators": target.operators, "size": self.size,
        }  # fmt: skip
        return json.dumps(asked).encode()

    def empty(self) -> Self:
        return type(self)(None, None)


class UnfinishedError(DataError):
    """A check that came to no answer: out of time or of memory, or ended by a signal. A busy machine may be why."""

    def __init__(self, message: str, hint: str, ended: Ended) -> None:
        super().__init__(message, hint)
        self.ended = ended


class Checker:
    """Checks networks, each in a child of one fork server without torch. A context manager.

    Args:
        timeout: seconds of wall clock for a check. unsafe: run even where the sandbox is not tight.

    Raises SandboxError on entry where the sandbox can't start, or is not tight and `unsafe` is not given.
    """

    def __init__(self, *, timeout: float = 300.0, unsafe: bool = False) -> None:
        self._server = ForkServer(_SERVER)
        self._limits = Limits(timeout, Bounds(math.ceil(timeout) + 1, _MEMORY))
        self._unsafe = unsafe

    def __enter__(self) -> Self:
        try:
            require_tight(self._server.tier, self._unsafe)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def check(self, model: bytes, target: str = FIRST, size: tuple[int, int] | None = None) -> Report:
        """What the target's compiler, or its list, says of an ONNX file.

        size: height and width of the image, where the file leaves them open.

        Raises:
            UsageError: an unknown target, one whose compiler is not installed, or one that takes programs alone.
            DataError: no ONNX file, or one that can't be compiled; `UnfinishedError` where that took too much.
            SandboxError: no child can be started.
        """
        wanted = target_of(target, onnx=True)
        whole(model)
        ended = run_alone(self._server, _Ask(wanted, size), [model], self._limits, _MOST_ANSWER)
        log, _, line = ended.answer.rpartition(END)
        failure = failed_as(ended, header := object_of(line), self._limits)
        if failure is not None:
            message, hint = f"the network can't be checked for {target}: {failure[1]}", _hint(failure, wanted)
            if failure[0] in ("timeout", "memory", "crash"):
                raise UnfinishedError(message, hint, ended)
            raise DataError(message, hint)
        assert header is not None
        found = report_of(header, wanted, log)
        if found is None:
            raise DataError(f"the check for {target} gave an answer that makes no sense", "is the ONNX file sound?")
        return found


def whole(model: bytes) -> None:
    """Raises DataError where the bytes are no ONNX file, or where values of it lie elsewhere."""
    try:
        outside = lies_outside(model)
    except ValueError as error:
        raise DataError(
            f"no ONNX file: {error}", "give a file that `runs export` wrote, or another ONNX file"
        ) from error
    if outside is not None:
        raise DataError(f"the ONNX file keeps the values of {outside} in another file", "save it as one file")


def _hint(failure: tuple[str, str], target: Target) -> str:
    if failure[0] in ("timeout", "memory"):
        return "a smaller --size takes less of both"
    if "no operator of ONNX" in failure[1]:
        return "give a file of ONNX's own operators: of an export that is model.onnx or model.int8.onnx"
    if "any size" in failure[1] or "not known before" in failure[1]:
        return "give a --size that the network's strides divide, or write the ONNX file anew with those sizes fixed"
    return f"is the ONNX file sound? Another target may take it: --target {'mediatek' if target.runs else FIRST}"


def report_of(header: dict[str, object], target: Target, log: bytes = b"") -> Report | None:
    """What a child answered, looked at; None where it makes no sense."""
    match header:
        case {"nodes": list(rows), "traffic": int() | None as traffic, "size": list(sides)} if len(rows) <= _MOST_NODES:
            nodes = []
            for row in rows:
                match row:
                    case [str(name), str(op), str(where)] if where in get_args(Where):
                        nodes.append(Placed(printable(name), printable(op), where))  # type: ignore[arg-type]
                    case _:
                        return None
        case _:
            return None
    if target.runs == "qnn":
        traffic = sum(int(count[:19]) for count in TRAFFIC.findall(log)) or None
    if traffic is not None and not 0 <= traffic < _MOST_TRAFFIC:
        return None
    partitions = header.get("partitions")
    if not (partitions is None or (type(partitions) is int and 0 <= partitions <= len(nodes))):
        return None
    told = (
        f"{target.source}, {target.version}" if target.kind == "list" else f"{target.wheel} {installed(target.wheel)}"
    )
    fallbacks = sum(one.where == "cpu" and one.op not in _BY_DESIGN for one in nodes)
    size = (sides[0], sides[1]) if len(sides) == 2 and all(type(side) is int and side > 0 for side in sides) else None
    return Report(target.name, target.kind, tuple(nodes), fallbacks, traffic, told, size, partitions)
