"""Are the accepted programs different from one another, and do they stay so?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from math import exp

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from deltanas.study.estimate import (
    Absent,
    Estimate,
    Floats,
    Integers,
    LackingError,
    column,
    difference,
    flags,
    same_length,
    share,
)

Hashes = NDArray[np.uint64]

SHINGLE = 5
"""Tokens a shingle."""
NEAR = 0.8
"""Programs whose Jaccard index is at least this, and chains of them, are one cluster."""
_BLOCK = 512
_SHOWN = 5
_DRAWS = 1000
_MIX, _STEP = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03)
_TOKEN = re.compile(r"\w+(?:\.\d+)?|[^\w\s]")


@dataclass(frozen=True, slots=True)
class CycleNovelty:
    """One cycle.

    Attributes:
        n: accepted programs. families: how many they come from. entropy: of the families, in nats; exp of it is
            `effective`, the number of equally common families with that entropy.
        repeats: share of the proposals that were turned back as known.
    """

    cycle: int
    n: int
    families: int | None
    entropy: float | None
    effective: float | None
    repeats: Estimate | Absent


@dataclass(frozen=True, slots=True)
class Novelty:
    """The fifth diagnostic.

    Attributes:
        programs: accepted ones that were compared. threshold: pairs are to be below it.
        largest: the largest Jaccard index of a pair. broken: pairs at the threshold or above; `examples` of them, as
            positions in the input. clusters: groups of near copies (`NEAR`).
        repeats: share of all proposals that were turned back as known.
        warning: early sign of a collapse, if there is one.
    """

    programs: int
    threshold: float
    largest: float
    broken: int
    examples: tuple[tuple[int, int], ...]
    clusters: int
    cycles: tuple[CycleNovelty, ...]
    repeats: Estimate | Absent
    warning: str | None
    verdict: str


def shingles(source: str, size: int = SHINGLE) -> Hashes:
    """The runs of `size` tokens in a program's text as sorted 64-bit hashes; numbers are kept.

    A run that comes again is another shingle: a layer more of the same makes another program. A text of fewer tokens
    is one shingle.
    """
    tokens = np.array([_hash(token) for token in _TOKEN.findall(source)], np.uint64)
    if len(tokens) < size:
        return np.array([_hash(" ".join(map(str, tokens)))], np.uint64)
    runs = np.zeros(len(tokens) - size + 1, np.uint64)
    for offset in range(size):
        runs = runs * _MIX + tokens[offset : len(tokens) - size + 1 + offset]
    runs.sort()
    again = np.arange(len(runs)) - np.searchsorted(runs, runs, "left")
    return np.unique(runs + again.astype(np.uint64) * _STEP)


@lru_cache(100_000)
def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "little")


def novelty(
    programs: Sequence[Hashes],
    *,
    cycle: ArrayLike | None = None,
    family: Sequence[str] | None = None,
    threshold: float = 1.0,
    proposal_cycle: ArrayLike | None = None,
    repeat: ArrayLike | None = None,
) -> Novelty:
    """The invariant of the novelty filter, checked over all pairs; clusters; families; repeats; a warning of collapse.

    Jaccard index |A & B| / |A | B| of the programs' shingles (P. Jaccard, 1901); entropy of C. E. Shannon (1948). The
    warning rests on a permutation test of the families of the first and the last cycle, and on the interval of the
    difference of their shares of repeats, both at 5 %.

    Args:
        programs: shingles of each accepted program. cycle, family: of each of them.
        threshold: what the filter promises: every pair is below it. 1: no two are equal.
        proposal_cycle, repeat: of each proposal that came to the filter; `repeat` 1: turned back as known.

    Raises:
        LackingError: fewer than two programs. DataError: columns that don't fit together.
    """
    if len(programs) < 2:
        raise LackingError(f"{len(programs)} programs with a text: novelty compares two or more")
    when = None if cycle is None else column(cycle, "cycle")
    asked = None if proposal_cycle is None else column(proposal_cycle, "proposal_cycle")
    known = None if repeat is None else flags(repeat, "repeat")
    same_length(programs=programs, cycle=when, family=family)
    same_length(proposal_cycle=asked, repeat=known)
    largest, broken, examples, clusters = _compared(programs, threshold)
    cycles = () if when is None else _cycles(when, family, asked, known)
    warning = _warning(cycles, when, family)
    held = "holds" if not broken else f"is broken by {broken} pair{'s' if broken > 1 else ''}"
    verdict = f"The invariant (every pair below {threshold:g}) {held}; {clusters} clusters of {len(programs)} programs."
    return Novelty(
        len(programs),
        threshold,
        largest,
        broken,
        examples,
        clusters,
        cycles,
        _repeats(known),
        warning,
        f"{verdict} {warning}" if warning else verdict,
    )


def _compared(programs: Sequence[Hashes], threshold: float) -> tuple[float, int, tuple[tuple[int, int], ...], int]:
    """All pairs, in blocks: the largest index, the pairs at the threshold, some of them, and the clusters."""
    n, sizes = len(programs), np.array([len(program) for program in programs])
    held, weights = _columns(programs, sizes)
    weighted = (held @ sparse.diags(weights)).T.tocsr()
    largest, broken = 0.0, 0
    examples: list[tuple[int, int]] = []
    near: list[Integers] = []
    for start in range(0, n, _BLOCK):
        pairs = (held[start : start + _BLOCK] @ weighted).tocoo()
        row, other = pairs.row + start, pairs.col
        later = other > row
        row, other, common = row[later], other[later], pairs.data[later]
        index = common / (sizes[row] + sizes[other] - common)
        largest = max(largest, float(index.max(initial=0.0)))
        at = np.flatnonzero(index >= threshold)
        broken += len(at)
        examples += [(int(row[i]), int(other[i])) for i in at[: _SHOWN - len(examples)]]
        close = index >= NEAR
        near.append(np.stack([row[close], other[close]]))
    row, other = np.concatenate(near, axis=1)
    graph = sparse.coo_matrix((np.ones(len(row)), (row, other)), (n, n))
    count, _ = sparse.csgraph.connected_components(graph, directed=False)
    return largest, broken, tuple(examples), int(count)


def _columns(programs: Sequence[Hashes], sizes: Integers) -> tuple[sparse.csr_matrix, Floats]:
    """Which program holds which shingles. Shingles held by the same programs are one column, with their number.

    Most are: what an edit leaves alone is shared by a whole family. That makes the products small. The set of programs
    of a shingle is told by the sum of 64-bit keys, one a program.
    """
    n = len(programs)
    place = np.repeat(np.arange(n), sizes)
    distinct, shingle = np.unique(np.concatenate(programs), return_inverse=True)
    keys = np.random.default_rng(0).integers(2**64, size=n, dtype=np.uint64)
    order = np.argsort(shingle, kind="stable")
    holders = np.bincount(shingle, minlength=len(distinct))
    sums = np.add.reduceat(keys[place[order]], np.cumsum(holders) - holders)
    shared = holders > 1
    groups, first, weights = np.unique(sums[shared], return_index=True, return_counts=True)
    one = np.full(len(distinct), -1)
    one[np.flatnonzero(shared)[first]] = np.arange(len(groups))
    used = one[shingle] >= 0
    held = sparse.csr_matrix((np.ones(used.sum()), (place[used], one[shingle][used])), (n, max(1, len(groups))))
    return held, weights.astype(float) if len(groups) else np.zeros(1)


def _cycles(
    when: Floats, family: Sequence[str] | None, asked: Floats | None, known: Floats | None
) -> tuple[CycleNovelty, ...]:
    rows = []
    everywhere = when if asked is None else np.concatenate([when, asked])
    for cycle in np.unique(everywhere[~np.isnan(everywhere)]):
        members = np.flatnonzero(when == cycle).tolist()
        counts = None if family is None or not members else Counter(family[i] for i in members)
        entropy = None if counts is None else _entropy(np.array(list(counts.values())))
        repeats = _repeats(None if known is None or asked is None else known[asked == cycle])
        effective = None if entropy is None else exp(entropy)
        rows.append(
            CycleNovelty(int(cycle), len(members), None if counts is None else len(counts), entropy, effective, repeats)
        )
    return tuple(rows)


def _entropy(counts: Integers) -> float:
    """In nats."""
    shares = counts[counts > 0] / counts.sum()
    return max(0.0, -float((shares * np.log(shares)).sum()))


def _repeats(known: Floats | None) -> Estimate | Absent:
    if known is None:
        return Absent("it is not known which proposals were turned back as known")
    known = known[~np.isnan(known)]
    return share(int(known.sum()), len(known)) if len(known) else Absent("no proposal came to the novelty filter")


def _warning(cycles: tuple[CycleNovelty, ...], when: Floats | None, family: Sequence[str] | None) -> str | None:
    found = []
    if when is not None and family is not None:
        filled = [c for c in cycles if c.n]
        if len(filled) > 1:
            found += _fewer_families(filled[0], filled[-1], when, family)
    asked = [(c.cycle, c.repeats) for c in cycles if isinstance(c.repeats, Estimate)]
    if len(asked) > 1:
        (first, a), (last, b) = asked[0], asked[-1]
        if difference(b, a).low > 0:
            found.append(f"repeats rose from {a.value:.0%} in cycle {first} to {b.value:.0%} in cycle {last}")
    return f"Warning of a collapse: {'; '.join(found)}." if found else None


def _fewer_families(first: CycleNovelty, last: CycleNovelty, when: Floats, family: Sequence[str]) -> list[str]:
    before, after = ([family[i] for i in np.flatnonzero(when == c.cycle).tolist()] for c in (first, last))
    fall = (first.entropy or 0.0) - (last.entropy or 0.0)
    if fall <= 0:
        return []
    names = {name: code for code, name in enumerate(sorted({*before, *after}))}
    pool = np.array([names[name] for name in before + after])
    rng, reached = np.random.default_rng(0), 0
    for _ in range(_DRAWS):
        rng.shuffle(pool)
        one, two = (_entropy(np.bincount(part)) for part in (pool[: len(before)], pool[len(before) :]))
        reached += one - two >= fall - 1e-12
    if (reached + 1) / (_DRAWS + 1) >= 0.05:
        return []
    return [
        f"{first.effective:.1f} families of equal weight in cycle {first.cycle}, {last.effective:.1f} in {last.cycle}"
    ]
