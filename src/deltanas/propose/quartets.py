"""Which programs are joined next: groups in which all programs, and all pairs of them, stand about equally often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import combinations
from math import comb
from random import Random

Group = tuple[int, ...]


class Groups:
    """A sequence of different groups of `count` of `pool` things, drawn with chance, the least used pairs first.

    It depends on the chances alone: the same group comes at the same place, whoever asks for which ones before.
    """

    def __init__(self, pool: int, count: int, chance: Callable[[int], Random]) -> None:
        """chance: that of the group at a place."""
        self._pool, self._count, self._chance = pool, count, chance
        self._drawn: list[Group] = []
        self._known: set[Group] = set()
        self._single: Counter[int] = Counter()
        self._pairs: Counter[tuple[int, int]] = Counter()

    def __len__(self) -> int:
        return comb(self._pool, self._count)

    def at(self, place: int) -> Group | None:
        """The group at a place; None where all groups come before it."""
        while len(self._drawn) <= place:
            if len(self._drawn) == len(self):
                return None
            self._draw(self._chance(len(self._drawn)))
        return self._drawn[place]

    def _draw(self, rng: Random) -> None:
        group = next(self._candidates(rng))
        self._drawn.append(group)
        self._known.add(group)
        self._single.update(group)
        self._pairs.update(combinations(group, 2))

    def _candidates(self, rng: Random) -> Iterator[Group]:
        """Groups that were not drawn: the rarest pair, joined by what makes the rarest pairs with it."""
        pairs = list(combinations(range(self._pool), 2))
        rng.shuffle(pairs)
        for pair in sorted(pairs, key=lambda pair: (self._pairs[pair], self._single[pair[0]] + self._single[pair[1]])):
            group = list(pair)
            for left in range(self._count - 2, 0, -1):
                order = self._joining(group, rng)
                if left == 1:
                    order = [one for one in order if tuple(sorted([*group, one])) not in self._known]
                if not order:
                    break
                group.append(order[0])
            found = tuple(sorted(group))
            if len(found) == self._count and found not in self._known:
                yield found
        yield from (group for group in combinations(range(self._pool), self._count) if group not in self._known)

    def _joining(self, group: list[int], rng: Random) -> list[int]:
        others = [one for one in range(self._pool) if one not in group]
        rng.shuffle(others)
        return sorted(others, key=lambda one: (self._used(group, one), self._single[one]))

    def _used(self, group: list[int], one: int) -> int:
        return sum(self._pairs[min(one, member), max(one, member)] for member in group)
