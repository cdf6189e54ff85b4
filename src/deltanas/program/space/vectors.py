"""The widths of a program as a vector: groups that can be set apart from one another, and the edit that sets them.

Groups come in families; those of one family share no place in the source, so any of them may be set together. What
else holds of a group (that the network builds, which layers it moves, which values fit) only a build shows.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from deltanas.program.canonical import parsed
from deltanas.program.space.coupled import scaled
from deltanas.program.space.flow import Follower
from deltanas.program.space.numbers import width_numbers
from deltanas.program.space.source import Change, Source, SpaceEdit, literal_int


@dataclass(frozen=True, eq=False)
class WidthGroup:
    """Places of a program that one width stands in.

    Attributes:
        line: of the first place, from 1. text: that line.
        value: the width, where the source says it; the smallest, where it says several.
        sites: the arguments. sums: arguments that hold a sum that the width is a part of.
    """

    line: int
    text: str
    value: int | None
    sites: tuple[ast.expr, ...]
    sums: tuple[ast.expr, ...] = ()


class WidthVectors:
    """The groups of one program, by family, each in the order of the source.

    The families: what the flow of the data shows to be one width; the numbers of one value that widths come from,
    wherever they stand; and all these numbers, moved by one factor.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        numbers = width_numbers(source)
        values = sorted(set(numbers.values()))
        by_value = [[node for node, other in numbers.items() if other == value] for value in values]
        flows = [self._group(width.sites, width.sums) for width in Follower(source).widths()]
        families = [flows, [self._group(nodes) for nodes in by_value]]
        if len(values) > 1:
            families.append([self._group(list(numbers))])
        self.families = tuple(tuple(sorted(groups, key=lambda group: group.line)) for groups in families if groups)

    def _group(self, sites: list[ast.expr], sums: list[ast.expr] | None = None) -> WidthGroup:
        first = min(sites, key=self._source.span)
        literals = [value for site in sites if (value := literal_int(site)) is not None]
        line = self._source.lines[first.lineno - 1].strip()
        return WidthGroup(first.lineno, line, min(literals, default=None), tuple(sites), tuple(sums or ()))

    def edit(self, factors: Mapping[WidthGroup, tuple[int, int]]) -> SpaceEdit | None:
        """The edit that multiplies each group by (times, over); None where the source admits none.

        The groups are of one family. The program's own expressions stay: `2 * width` becomes `3 * (2 * width) // 2`.
        """
        spans: dict[tuple[int, int], str] = {}
        added: dict[ast.expr, list[str]] = {}
        for group, factor in factors.items():
            for site in group.sites:
                text, place = scaled(self._source, site, factor), self._source.span(site)
                if text is None or place in spans:
                    return None
                spans[place] = text
            for site, times in Counter(group.sums).items():
                added.setdefault(site, []).append(self._difference(group.sites[0], factor, times))
        for site, terms in added.items():
            if self._source.span(site) in spans:
                return None
            spans[self._source.span(site)] = _summed(self._source.of(site), terms)
        ordered = sorted(spans)
        if not spans or any(one[1] > two[0] for one, two in pairwise(ordered)):
            return None
        found = self._source.edit(Change("width", tuple((*place, text) for place, text in spans.items())))
        return found[1] if found else None

    def _difference(self, site: ast.expr, factor: tuple[int, int], times: int) -> str:
        """What a sum grows by for each time that the width at `site` is in it."""
        value = literal_int(site)
        if value is not None:
            return str(times * (value * factor[0] // factor[1] - value))
        old, new = self._source.of(site), scaled(self._source, site, factor)
        return f"{times} * ({new} - ({old}))"


def _summed(text: str, terms: list[str]) -> str:
    if text.isdigit() and all(term.lstrip("-").isdigit() for term in terms):
        return str(int(text) + sum(map(int, terms)))
    return " + ".join([text, *(f"({term})" if term.startswith("-") else term for term in terms)])


@lru_cache(maxsize=64)
def width_vectors(source: str) -> WidthVectors | None:
    """The groups of widths of a program; None where it does not parse or has no layers of torch."""
    text = source.replace("\r\n", "\n")
    tree = parsed(text)
    if tree is None or "\r" in text:
        return None
    program = Source(text, tree)
    return WidthVectors(program) if program.alias("torch.nn") else None
