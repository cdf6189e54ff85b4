"""The lineage of the best networks as one graph: from the baselines on, an edge a step, with what the step changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from deltanas.prices import priced, prices
from deltanas.program import Program, diff, differing_parts
from deltanas.records import Candidate
from deltanas.report.figures import Summary, gain
from deltanas.report.gain import Gain
from deltanas.report.reading import AbsentError, Reading, label

ACROSS, DOWN = 208, 58
"""Pixels from one generation to the next, and from one line to the next."""
WIDE, HIGH = 116, 40
"""Pixels of a network's box."""
_MARGIN = 4
_LONGEST_DIFF = 400


@dataclass(frozen=True, slots=True)
class DiffLine:
    kind: str
    sign: str
    text: str


Differences = tuple[tuple[str, tuple[DiffLine, ...], int], ...]
"""For each part of a program that differs: its name, its diff and how many lines of it were cut off."""


@dataclass(frozen=True, slots=True)
class Node:
    """A network, the upper left corner of its box in pixels. kind: "base", "step" or "best"."""

    slot: str
    name: str
    score: str
    kind: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Edge:
    """A step from a parent to a child.

    price: of the child, in times of its baseline's, in words. y1, y2: the heights at which it leaves the one and meets
    the other.
    """

    number: int
    parent: str
    child: str
    goal: str
    rung: str
    gain: Gain | None
    price: str
    diffs: Differences
    x1: float
    y1: float
    x2: float
    y2: float


def lineage(reading: Reading, figures: Summary) -> dict[str, object]:
    """The graph of the networks that are shown in full."""
    shown = figures.elites or ((figures.best,) if figures.best else ())
    if not shown:
        raise AbsentError(f"{reading.none_trained()}, so there is no line to draw.")
    lines = [reading.lineage(reading.slots[each.name]).steps for each in shown]
    at = _places(lines)
    first, best = {_slot(line[0]) for line in lines}, _slot(lines[0][-1])
    nodes = {_slot(each): _node(reading, each, *at[_slot(each)], first, best) for line in lines for each in line}
    steps = {_slot(child): (parent, child) for line in lines for parent, child in pairwise(line)}
    edges = [
        _edge(reading, n, parent, child, at[_slot(parent)], at[_slot(child)])
        for n, (parent, child) in enumerate(steps.values(), 1)
    ]
    if not edges:
        raise AbsentError("The run does not hold the program that the best one was edited from.")
    right, low = max(node.x for node in nodes.values()), max(node.y for node in nodes.values())
    size = (right + WIDE + _MARGIN, low + HIGH + _MARGIN)
    return {"nodes": list(nodes.values()), "edges": edges, "size": size, "box": (WIDE, HIGH)}


def _slot(candidate: Candidate) -> str:
    return f"{candidate.cycle}.{candidate.index}"


def _places(lines: Sequence[Sequence[Candidate]]) -> Mapping[str, tuple[float, float]]:
    """A tidy tree: generations side by side, each end of a line in a row, a parent midway between its children."""
    children: dict[str, dict[str, None]] = {}
    for line in lines:
        for parent, child in pairwise(line):
            children.setdefault(_slot(parent), {})[_slot(child)] = None
    at: dict[str, tuple[float, float]] = {}
    row = 0

    def place(slot: str, depth: int) -> float:
        nonlocal row
        below = [place(child, depth + 1) for child in children.get(slot, ())]
        if not below:
            below, row = [row], row + 1
        middle = (below[0] + below[-1]) / 2
        at[slot] = (_MARGIN + ACROSS * depth, _MARGIN + DOWN * middle)
        return middle

    for root in dict.fromkeys(_slot(line[0]) for line in lines):
        place(root, 0)
    return at


def _node(reading: Reading, candidate: Candidate, x: float, y: float, first: set[str], best: str) -> Node:
    slot = _slot(candidate)
    kind = "best" if slot == best else "base" if slot in first else "step"
    return Node(slot, label(candidate), reading.told(candidate), kind, x, y)


def _edge(
    reading: Reading,
    number: int,
    parent: Candidate,
    child: Candidate,
    start: tuple[float, float],
    end: tuple[float, float],
) -> Edge:
    last = child.kept
    return Edge(
        number=number,
        parent=label(parent),
        child=label(child),
        goal=last.aim if last else "",
        rung=(last.rung if last else None) or "",
        gain=gain(reading, child, parent),
        price=priced(prices(child, reading.journal)),
        diffs=tuple(differences(parent.program, child.program)) if parent.program and child.program else (),
        x1=start[0] + WIDE,
        y1=start[1] + HIGH / 2,
        x2=end[0],
        y2=end[1] + HIGH / 2,
    )


def differences(base: Program, edited: Program) -> Iterable[tuple[str, tuple[DiffLine, ...], int]]:
    """The items of `Differences`."""
    for part, old, new in differing_parts(base, edited):
        # The two lines of file names say nothing here.
        text = diff(old, new).rstrip("\n").split("\n")[2:]
        lines = tuple(_diff_line(line) for line in text[:_LONGEST_DIFF])
        yield part, lines, max(0, len(text) - _LONGEST_DIFF)


def _diff_line(line: str) -> DiffLine:
    kinds = {"+": "added", "-": "removed", "@": "place", "\\": "place"}
    kind = kinds.get(line[:1], "same")
    return DiffLine(kind, "", line) if kind == "place" else DiffLine(kind, line[:1], line[1:])
