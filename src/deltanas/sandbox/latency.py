"""How long a network takes for one image: exported in one child, timed in another that runs no candidate's code."""

from __future__ import annotations

import numpy as np

from deltanas.objective import LATENCY
from deltanas.records import Measurement
from deltanas.sandbox.judge import answered
from deltanas.sandbox.supervise import Ended, Limits
from deltanas.train.job import HEADER_LIMIT, LATENCY_RUNS

MOST_GRAPH = 1 << 30
"""Bytes of an ONNX file, at most."""
MOST_BYTES = HEADER_LIMIT + 8 * LATENCY_RUNS[1]
"""Of the answer of a timing."""
TRIES = 3


def not_measured(name: str) -> Measurement:
    """The measurement of a network whose children came to no answer."""
    why = "each was out of time or of memory, or was ended by a signal"
    return Measurement(name, None, detail=f"nothing ended in {TRIES} tries: {why}")


def cut_off(ended: Ended, limits: Limits) -> bool:
    """Whether the child ran out of time or of memory, or was ended by a signal: a busy machine may be the reason."""
    _, _, failure = answered(ended, limits)
    return failure is not None and failure[0] in ("timeout", "memory", "crash")


def judge_graph(ended: Ended, limits: Limits, name: str) -> bytes | Measurement:
    """The ONNX file, or the measurement of that name that there is none of."""
    _, raw, failure = answered(ended, limits)
    if failure is not None:
        return Measurement(name, None, detail=f"the network can't be exported: {failure[1]}")
    return raw or Measurement(name, None, detail="the exporter gave nothing")


def judge_latency(ended: Ended, limits: Limits) -> Measurement:
    """Median and quartiles of the repetitions, in milliseconds."""
    _, raw, failure = answered(ended, limits)
    if failure is not None:
        return Measurement(LATENCY, None, detail=f"ONNX Runtime does not run it: {failure[1]}")
    fewest, most = LATENCY_RUNS
    times = np.frombuffer(raw, np.float64) if len(raw) % 8 == 0 else np.empty(0)
    if not (fewest <= len(times) <= most and np.isfinite(times).all() and (times > 0).all()):
        return Measurement(LATENCY, None, detail="the timing gave an answer that makes no sense")
    low, median, high = (float(value) for value in np.quantile(times, [0.25, 0.5, 0.75]))
    return Measurement(LATENCY, median, low, high, len(times))
