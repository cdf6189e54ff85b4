"""What the build check shows of a program: how it computes, what it computes, and when two of them do the same."""

from __future__ import annotations

Probe = tuple[float | None, ...]
"""`PARTS` parts of equal length; None where a figure is not finite. `train/build.py` says how they are made."""

TRACE = 16
"""Digits of a trace that tell the network's operations. As many follow where the transform does something."""
PARTS = 4
TOLERANCE = 1e-5
"""Largest difference between two probes of one function, relative to the largest figure of the part (docs/lab.md)."""


def acting(trace: str) -> str:
    """What the program's transform does, by its trace; "" where it does what the run does without one."""
    return trace[TRACE:]


def same_function(one: Probe, other: Probe) -> bool:
    """Every part of both is finite, and they are close: what is not known counts as different."""
    each = len(one) // PARTS
    return len(one) == len(other) and all(
        _close(one[start : start + each], other[start : start + each]) for start in range(0, len(one), each)
    )


def _close(one: Probe, other: Probe) -> bool:
    a, b = ([figure for figure in part if figure is not None] for part in (one, other))
    if len(a) < len(one) or len(b) < len(other):
        return False
    scale = max(map(abs, [*a, *b]))
    return all(abs(x - y) <= TOLERANCE * scale for x, y in zip(a, b, strict=True))
