"""Which programs are like another one, found without comparing it with all of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from deltanas.program.shingles import Hashes, jaccard

PERMUTATIONS = 128
"""Most values of a sketch."""
FOUND = 0.995
"""A pair whose index is the threshold comes to be compared with this probability at least; a closer one with more."""
_SEED = 1


class Neighbours:
    """Fingerprints of programs, each with its name, asked for those that are like another one.

    MinHash sketches (A. Broder, 1997), cut into bands. Programs that agree in a whole band are compared exactly: what
    is found is alike, and what is alike is found but for a share of `1 - FOUND` at most.
    """

    def __init__(self, threshold: float) -> None:
        """threshold: of the Jaccard index, in (0, 1)."""
        from rensa import RMinHash, RMinHashLSH  # most runs need none of it

        rows = rows_of_a_band(threshold)
        bands = PERMUTATIONS // rows
        self._threshold = threshold
        self._sketch = RMinHash
        self._values = bands * rows
        self._bands = RMinHashLSH(threshold, self._values, bands)
        self._names: list[str] = []
        self._held: list[Hashes] = []

    def __len__(self) -> int:
        return len(self._held)

    def add(self, name: str, fingerprint: Hashes) -> None:
        self._bands.insert(len(self._held), self._sketched(fingerprint))
        self._names.append(name)
        self._held.append(fingerprint)

    def like(self, fingerprint: Hashes) -> list[tuple[str, float]]:
        """(name, Jaccard index) of those whose index is the threshold at least, the nearest first."""
        met = sorted(self._bands.query(self._sketched(fingerprint)))
        index = jaccard(fingerprint, [self._held[number] for number in met])
        order = np.argsort(-index, kind="stable")
        return [(self._names[met[place]], float(index[place])) for place in order if index[place] >= self._threshold]

    def _sketched(self, fingerprint: Hashes) -> Any:
        sketch = self._sketch(self._values, _SEED)
        sketch.update(fingerprint.astype("<u8").view("V8").tolist())
        return sketch


def rows_of_a_band(threshold: float) -> int:
    """As many values as a band may have: the more, the fewer programs are compared in vain.

    Programs with index s agree in one of b bands of r values with probability 1 - (1 - s^r)^b.
    """
    fitting = (rows for rows in range(PERMUTATIONS, 1, -1) if _met(threshold, rows) >= FOUND)
    return next(fitting, 1)


def _met(index: float, rows: int) -> float:
    return 1.0 - float(1.0 - index**rows) ** (PERMUTATIONS // rows)
