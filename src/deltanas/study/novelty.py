"""Are the accepted programs different from one another, and do they stay so?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from deltanas.intervals import Estimate, difference, wilson
from deltanas.program.shingles import Hashes
from deltanas.study.estimate import Absent, Floats, Integers, LackingError, column, flags, same_length
from deltanas.wording import counted

NEAR = 0.8
"""Programs whose Jaccard index is at least this, and chains of them, are one cluster."""
_BLOCK, _REFERENCES = 256, 64
_SHOWN = 5
_DRAWS = 1000


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
        raise LackingError(f"{counted(len(programs), 'program')} with a text: novelty compares two or more")
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


def collapse(
    cycle: ArrayLike,
    family: Sequence[str],
    *,
    proposal_cycle: ArrayLike | None = None,
    repeat: ArrayLike | None = None,
) -> str | None:
    """The early warning alone, without comparing the programs; arguments and tests as those of `novelty`."""
    when = column(cycle, "cycle")
    asked = None if proposal_cycle is None else column(proposal_cycle, "proposal_cycle")
    known = None if repeat is None else flags(repeat, "repeat")
    same_length(cycle=when, family=family)
    same_length(proposal_cycle=asked, repeat=known)
    return _warning(_cycles(when, family, asked, known), when, family)


def _compared(programs: Sequence[Hashes], threshold: float) -> tuple[float, int, tuple[tuple[int, int], ...], int]:
    """All pairs, exactly: the largest index, the pairs at the threshold, some of them, and the clusters.

    Most programs are small edits of others. So the rows H of what each holds are written as references and what differs
    from them, H = C R + D, and the shared shingles of all pairs, H H', as C R R' C' + C R D' + (C R D')' + D D'. The
    references R are few, and D holds little.
    """
    n, sizes = len(programs), np.array([float(len(program)) for program in programs])
    chosen, differs, between, beyond = _referred(programs, sizes)
    largest, broken = 0.0, 0
    examples: list[tuple[int, int]] = []
    labels = np.arange(n)
    for start in range(0, n, _BLOCK):
        rows = slice(start, start + _BLOCK)
        common = (differs[rows] @ differs[start:].T).toarray()
        common += (between[chosen[rows]] + beyond[rows])[:, chosen[start:]]
        common += beyond[start:].T[chosen[rows]]
        index = common / (sizes[rows, None] + sizes[start:] - common)
        index[np.tril_indices(len(index), 0, n - start)] = 0.0
        largest = max(largest, float(index.max()))
        broken += int((index >= threshold).sum())
        if broken and len(examples) < _SHOWN:
            row, other = np.nonzero(index >= threshold)
            examples += list(zip((row + start).tolist(), (other + start).tolist(), strict=True))[
                : _SHOWN - len(examples)
            ]
        labels = _joined(labels, labels[rows], labels[start:], index >= NEAR)
    return largest, broken, tuple(examples), len(np.unique(labels))


def _referred(
    programs: Sequence[Hashes], sizes: Floats
) -> tuple[Integers, sparse.csr_matrix, NDArray[np.float32], NDArray[np.float32]]:
    """(C, D, R R', D R') of `_compared`: n, [n, shingles], [k, k] and [n, k], float32, which holds such counts exactly.

    The references are programs at even distances, and one without a shingle for those that are like none of them.
    """
    n = len(programs)
    drawn = np.unique(np.linspace(0, n - 1, _REFERENCES).astype(int))
    # The references' shingles come first; to number the few others takes little.
    used = np.unique(np.concatenate([programs[place] for place in drawn]))
    shingle = np.concatenate(programs)
    column = np.minimum(np.searchsorted(used, shingle), len(used) - 1)
    other = used[column] != shingle
    others, numbers = np.unique(shingle[other], return_inverse=True)
    column[other] = len(used) + numbers
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    held = sparse.csr_matrix((np.ones(len(column), np.float32), column, starts), (n, len(used) + len(others)))
    none = sparse.csr_matrix((1, held.shape[1]), dtype=np.float32)
    references = sparse.vstack([held[drawn], none]).tocsr()
    columns = references[:, : len(used)].T.toarray()
    chosen = np.argmin(columns.sum(axis=0) - 2 * (held[:, : len(used)] @ columns), axis=1)
    differs = (held - references[chosen]).tocsr()
    differs.eliminate_zeros()
    return chosen, differs, columns.T @ columns, differs[:, : len(used)] @ columns


def _joined(labels: Integers, rows: Integers, columns: Integers, close: NDArray[np.bool_]) -> Integers:
    """The labels of the clusters once more are joined: those of the rows and columns that are close to each other."""
    row, column = np.nonzero(close)
    pairs = np.stack([rows[row], columns[column]])
    pairs = pairs[:, pairs[0] != pairs[1]]
    graph = sparse.coo_matrix((np.ones(pairs.shape[1]), (pairs[0], pairs[1])), (len(labels), len(labels)))
    joined: Integers = sparse.csgraph.connected_components(graph, directed=False)[1]
    return joined[labels]


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
    return wilson(int(known.sum()), len(known)) if len(known) else Absent("no proposal came to the novelty filter")


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
