"""Which widths of a network are free, and what it becomes with others: learnt from builds of each, then predicted.

A group of places that hold one width (`program/space/vectors.py`) is free where the network still builds with that
width doubled. That build also shows which sizes of which parameters the width moves, and how fast: so the sizes of
every other vector are predicted (two more builds confirm it), and a network *has the widths that were asked* where
each size of each parameter is the predicted one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import ceil, gcd, prod
from random import Random

from deltanas.program import Program, SpaceEdit, WidthGroup, WidthVectors, width_vectors
from deltanas.seams import Builds, Built

LEAST, MOST = 4, 1024
"""Widths that are asked for; one that is larger already may stay as it is, or shrink."""
_STEPS = 8
"""Number of steps, about, from a width to its double."""
_NAMED = re.compile(r"\b(w\d+)=(\d+)\b")

Vector = Mapping[str, int]
"""Widths by name."""


@dataclass(frozen=True, eq=False)
class Axis:
    """A free width.

    Attributes:
        value, allowed: what it is, and what it may become.
        moves: how much each size of the parameters grows where it doubles. follows: the sizes that double with it.
    """

    name: str
    value: int
    group: WidthGroup
    moves: tuple[int, ...]
    follows: tuple[int, ...]
    allowed: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Survey:
    """The free widths of a network that may be set together, in the order of the source."""

    program: Program
    built: Built
    vectors: WidthVectors
    axes: tuple[Axis, ...]

    @cached_property
    def value(self) -> dict[str, int]:
        """The vector that the network has."""
        return {axis.name: axis.value for axis in self.axes}

    @property
    def size(self) -> int:
        """How many vectors there are."""
        return prod(len(axis.allowed) for axis in self.axes)

    def narrowed(self, most: int) -> Survey:
        """With at most this number of axes: those that move most sizes."""
        ranked = sorted(self.axes, key=lambda axis: -sum(map(bool, axis.moves)))[:most]
        return replace(self, axes=tuple(axis for axis in self.axes if axis in ranked))

    def misfit(self, vector: Vector) -> str:
        """Why a vector is none of these, "" where it is one."""
        if vector.keys() != self.value.keys():
            return f"not one value for each width: {' '.join(self.value)}"
        wrong = [axis for axis in self.axes if vector[axis.name] not in axis.allowed]
        return f"{wrong[0].name} may be {', '.join(map(str, wrong[0].allowed))}" if wrong else ""

    def edit(self, vector: Vector) -> SpaceEdit | None:
        """The edit that gives the network these widths; None where nothing changes, or the source admits none."""
        changed = [axis for axis in self.axes if vector[axis.name] != axis.value]
        return self.vectors.edit({axis.group: _factor(vector[axis.name], axis.value) for axis in changed})

    def made(self, vector: Vector) -> Program | None:
        """The network with these widths."""
        edit = self.edit(vector)
        return edit.apply(self.program) if edit else None

    def expected(self, vector: Vector) -> tuple[Fraction, ...]:
        """The sizes of all parameters with these widths."""
        sizes = [Fraction(size) for size in flat(self.built)]
        for axis in self.axes:
            share = Fraction(vector[axis.name] - axis.value, axis.value)
            if share:
                sizes = [size + share * move for size, move in zip(sizes, axis.moves, strict=True)]
        return tuple(sizes)

    def found(self, built: Built) -> dict[str, int | None]:
        """The widths that a network of this form has, read off what was built; None for one that is no whole number."""
        sizes, before = flat(built), flat(self.built)
        read = {
            axis.name: Fraction(sizes[axis.follows[0]] * axis.value, before[axis.follows[0]])
            for axis in self.axes
            if axis.follows[0] < len(sizes)
        }
        return {name: int(value) if value.denominator == 1 else None for name, value in read.items()}

    def fault(self, vector: Vector, built: Built) -> str:
        """What keeps a built network from having exactly these widths, "" where it has them."""
        if not alike(built, self.built):
            return "it has other parameters than its base"
        wrong = [
            (place, size, asked)
            for place, (size, asked) in enumerate(zip(flat(built), self.expected(vector), strict=True))
            if size != asked
        ]
        return f"{len(wrong)} sizes differ, the first is {wrong[0][1]} and not {wrong[0][2]}" if wrong else ""

    def drawn(self, rng: Random) -> dict[str, int]:
        """Some of the widths, at least one, each set to another by chance."""
        some = rng.sample(self.axes, rng.randint(1, len(self.axes)))
        changes = {axis.name: rng.choice([one for one in axis.allowed if one != axis.value]) for axis in some}
        return {**self.value, **changes}


def surveys(programs: Sequence[Program], builds: Builds) -> list[tuple[Survey, ...]]:
    """For each program the families of its widths with a free one; none if the program itself does not build."""
    bases = builds.build(programs)
    probes = [
        (place, number, group, edit.apply(program))
        for place, (program, base) in enumerate(zip(programs, bases, strict=True))
        if isinstance(base, Built) and base.widths and (vectors := width_vectors(program.net))
        for number, groups in enumerate(vectors.families)
        for group in groups
        if (edit := vectors.edit({group: (2, 1)}))
    ]
    results = builds.build([probe for *_, probe in probes])
    axes: dict[tuple[int, int], list[Axis]] = {}
    for (place, number, group, _), result in zip(probes, results, strict=True):
        base = bases[place]
        if isinstance(base, Built) and isinstance(result, Built) and alike(base, result):
            axes.setdefault((place, number), []).extend(_axis(group, flat(base), flat(result)))
    found = {
        at: Survey(programs[at[0]], base, vectors, _named(_apart(free)))
        for at, free in sorted(axes.items())
        if free and isinstance(base := bases[at[0]], Built) and (vectors := width_vectors(programs[at[0]].net))
    }
    kept = dict(zip(found, _confirmed(list(found.values()), builds), strict=True))
    return [
        tuple(survey for at, survey in kept.items() if at[0] == place and survey.axes) for place in range(len(programs))
    ]


def _named(axes: Iterable[Axis]) -> tuple[Axis, ...]:
    return tuple(replace(axis, name=f"w{number}") for number, axis in enumerate(axes, 1))


def _confirmed(found: Sequence[Survey], builds: Builds) -> list[Survey]:
    """Each width tried at its least value and one step up. Where that is not as predicted, as code rounds widths or
    splits them into heads, only what was seen to hold stays allowed."""
    tried = [
        (survey, axis, {**survey.value, axis.name: width}, program)
        for survey in found
        for axis in survey.axes
        for width in {axis.allowed[0], min((w for w in axis.allowed if w > axis.value), default=axis.allowed[0])}
        if (program := survey.made({**survey.value, axis.name: width}))
    ]
    results = builds.build([program for *_, program in tried])
    held: dict[Axis, list[int]] = {}
    wrong: set[Axis] = set()
    for (survey, axis, vector, _), built in zip(tried, results, strict=True):
        if isinstance(built, Built) and not survey.fault(vector, built):
            held.setdefault(axis, []).append(vector[axis.name])
        else:
            wrong.add(axis)
    kept = []
    for survey in found:
        axes = [axis if axis not in wrong else _narrowed(axis, held.get(axis, [])) for axis in survey.axes]
        kept.append(replace(survey, axes=_named(axis for axis in axes if len(axis.allowed) > 1)))
    return kept


def _narrowed(axis: Axis, held: Sequence[int]) -> Axis:
    """With the values that were built: its own, the double, and those of `held`."""
    return replace(axis, allowed=tuple(w for w in axis.allowed if w in (axis.value, 2 * axis.value, *held)))


def _apart(axes: Sequence[Axis]) -> list[Axis]:
    """Those that can be set apart: no size doubles with two of them. What stands in the way of most others goes first.

    (`hidden = 2 * width` in a block: its places and those of `width` are two groups, and one size.)
    """
    kept = list(axes)
    while True:
        shared = {axis: sum(not set(axis.follows).isdisjoint(other.follows) for other in kept) for axis in kept}
        worst = max(kept, key=lambda axis: (shared[axis], -sum(map(bool, axis.moves))))
        if shared[worst] == 1:  # with itself
            return kept
        kept.remove(worst)


def _axis(group: WidthGroup, before: Sequence[int], doubled: Sequence[int]) -> list[Axis]:
    """The axis of a group, where some size of a parameter doubles with it and other values fit than what it is."""
    moves = tuple(two - one for one, two in zip(before, doubled, strict=True))
    follows = tuple(place for place, move in enumerate(moves) if move and move == before[place])
    if not follows:
        return []
    value = group.value or min(before[place] for place in follows)
    allowed = tuple(w for w in steps(value) if all(move * (w - value) % value == 0 for move in moves))
    return [Axis("", value, group, moves, follows, allowed)] if len(allowed) > 1 else []


def steps(value: int) -> list[int]:
    """Widths from a half to the double of `value`, by steps that keep its divisors 2, 4 and 8: heads and groups fit."""
    power = gcd(value, 8)
    step = power * ceil(value / (_STEPS * power))
    lowest, highest = max(LEAST, ceil(value / 2)), min(2 * value, max(MOST, value))
    return [w for n in range(-_STEPS, _STEPS + 1) if lowest <= (w := value + n * step) <= highest]


def flat(built: Built) -> list[int]:
    return [size for shape in built.widths for size in shape]


def alike(one: Built, two: Built) -> bool:
    """Whether two networks have the same parameters but for their sizes."""
    return [len(shape) for shape in one.widths] == [len(shape) for shape in two.widths]


def told(vector: Vector) -> str:
    """`w1=24 w2=48`."""
    return " ".join(f"{name}={value}" for name, value in vector.items())


def read(text: str) -> dict[str, int]:
    """The widths that a text names, without those that it gives several values."""
    named = [(name, int(value)) for name, value in _NAMED.findall(text)]
    return {name: value for name, value in named if all(other == value for same, other in named if same == name)}


def _factor(value: int, before: int) -> tuple[int, int]:
    common = gcd(value, before)
    return value // common, before // common
