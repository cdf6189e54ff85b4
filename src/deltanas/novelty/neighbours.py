"""Which programs are like another one, found without comparing it with all of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from deltanas.program.shingles import Hashes, jaccard

PERMUTATIONS = 256
"""Most values of a sketch."""
FOUND = 0.995
"""A pair whose index is the threshold comes to be compared with this probability at least; a closer one with more."""
_SEED = 1


class Sketch(NamedTuple):
    """A fingerprint and its MinHash."""

    fingerprint: Hashes
    values: Any


class Neighbours:
    """Programs by name, asked for those that are like another one.

    MinHash sketches (A. Broder, 1997), cut into bands. Programs that agree in a whole band are compared exactly: what
    is found is alike, and what is alike is found but for a share of `1 - FOUND` at most.

    Attributes:
        bands, rows: number of bands, and of values in each.
    """

    def __init__(self, threshold: float) -> None:
        """threshold: of the Jaccard index, in (0, 1)."""
        from rensa import RMinHash, RMinHashLSH  # most runs need none of it

        self.rows = rows_of_a_band(threshold)
        self.bands = PERMUTATIONS // self.rows
        self._threshold = threshold
        self._minhash = RMinHash
        self._banded = RMinHashLSH(threshold, self.bands * self.rows, self.bands)
        self._names: list[str] = []
        self._held: list[Hashes] = []

    def sketched(self, fingerprint: Hashes) -> Sketch:
        values = self._minhash(self.bands * self.rows, _SEED)
        values.update(fingerprint.astype("<u8").view("V8").tolist())
        return Sketch(fingerprint, values)

    def add(self, name: str, sketch: Sketch) -> None:
        self._banded.insert(len(self._held), sketch.values)
        self._names.append(name)
        self._held.append(sketch.fingerprint)

    def met(self, sketch: Sketch) -> list[int]:
        """Positions, in the order of addition, of those that agree in a band."""
        return sorted(self._banded.query(sketch.values))

    def like(self, sketch: Sketch) -> list[tuple[str, float]]:
        """(name, Jaccard index) of those whose index is the threshold at least, the nearest first."""
        met = self.met(sketch)
        index = jaccard(sketch.fingerprint, [self._held[place] for place in met])
        order = np.argsort(-index, kind="stable")
        return [(self._names[met[at]], float(index[at])) for at in order if index[at] >= self._threshold]


def rows_of_a_band(threshold: float) -> int:
    """As many values as a band may have: the more, the fewer programs are compared in vain.

    Programs with index s agree in one of b bands of r values with probability 1 - (1 - s^r)^b.
    """
    fitting = (rows for rows in range(PERMUTATIONS, 1, -1) if _met(threshold, rows) >= FOUND)
    return next(fitting, 1)


def _met(index: float, rows: int) -> float:
    return 1.0 - float(1.0 - index**rows) ** (PERMUTATIONS // rows)
