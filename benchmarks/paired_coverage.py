"""How often the interval of a gain covers it if child and parent are scored on the same images, and how wide it is.

    python -m benchmarks paired_coverage [--studies N] [--out FILE]

Simulated pairs: an image has a normal difficulty, of which both networks' errors share a part. `paired` is
`deltanas.intervals.paired_shares`; beside it the interval that takes the two as independent (Newcombe's method 10 for
independent shares), Bonett and Price's (2012, the adjusted Wald interval of Agresti and Min, 2005, for each share) and
Newcombe's method 10 for paired shares (1998). `expected` is the number of images on which the networks differ.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product
from math import sqrt
from pathlib import Path

import numpy as np
from scipy import special

from deltanas.calibrate import where
from deltanas.intervals import Estimate, Z, difference, paired_shares, wilson
from deltanas.whole import write_whole

IMAGES = (360, 1000, 10_000)
ACCURACIES = (0.5, 0.8, 0.95, 0.99)
SHARED = (0.5, 0.9, 0.99, 0.999)
"""Part of the variance of the errors that is the image's."""
GAINS = (0.0, 0.1)
"""Part of the parent's errors that the child does not make."""
Counts = tuple[int, int, int, int]
"""Number of images that both get right, only the child, only the parent, and neither."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two networks and `n` images."""

    n: int
    accuracy: float
    shared: float
    gain: float

    @property
    def truth(self) -> float:
        return self.gain * (1 - self.accuracy)

    def cells(self) -> list[float]:
        """Probabilities of `Counts`, by the trapezoidal rule over the difficulty."""
        nodes = np.linspace(-9, 9, 20_001)
        weights = np.exp(-nodes * nodes / 2)
        child, parent = (
            special.ndtr((special.ndtri(share) - sqrt(self.shared) * nodes) / sqrt(1 - self.shared))
            for share in (self.accuracy + self.truth, self.accuracy)
        )
        both = [child * parent, child * (1 - parent), (1 - child) * parent, (1 - child) * (1 - parent)]
        cells = np.array([float(weights @ each) for each in both])
        return list(cells / cells.sum())


def independent(counts: Counts) -> Estimate:
    both, gained, lost, neither = counts
    n = both + gained + lost + neither
    return difference(wilson(both + gained, n), wilson(both + lost, n))


def bonett_price(counts: Counts) -> Estimate:
    _, gained, lost, _ = counts
    n = sum(counts) + 2
    first, second = (gained + 1) / n, (lost + 1) / n
    half = Z * sqrt((first + second - (first - second) ** 2) / n)
    return Estimate((gained - lost) / sum(counts), first - second - half, first - second + half)


def newcombe(counts: Counts) -> Estimate:
    both, gained, lost, neither = counts
    n = sum(counts)
    a, b = wilson(both + gained, n), wilson(both + lost, n)
    scale = sqrt((both + gained) * (lost + neither) * (both + lost) * (gained + neither))
    excess = both * neither - gained * lost
    phi = (max(0.0, excess - n / 2) if excess > 0 else excess) / scale if scale else 0.0
    gap = a.value - b.value

    def joined(mine: float, theirs: float) -> float:
        return sqrt(max(0.0, mine * mine - 2 * phi * mine * theirs + theirs * theirs))

    below, above = joined(a.value - a.low, b.high - b.value), joined(a.high - a.value, b.value - b.low)
    return Estimate(gap, gap - below, gap + above)


INTERVALS: dict[str, Callable[[Counts], Estimate]] = {
    "paired": lambda counts: paired_shares(counts[1], counts[2], sum(counts)),
    "independent": independent,
    "bonett_price": bonett_price,
    "newcombe": newcombe,
}


def simulated(pair: Pair, studies: int, seed: int = 0) -> dict[str, object]:
    """Coverage and mean width of each interval over simulated studies of a pair."""
    cells = pair.cells()
    rng = np.random.default_rng([seed, pair.n, round(1e3 * pair.accuracy), round(1e3 * pair.shared)])
    drawn = [tuple(map(int, row)) for row in rng.multinomial(pair.n, cells, studies)]
    row: dict[str, object] = {
        "n": pair.n,
        "accuracy": pair.accuracy,
        "shared": pair.shared,
        "gain": round(pair.truth, 6),
        "expected": round(pair.n * (cells[1] + cells[2]), 2),
        "studies": studies,
    }
    for name, interval in INTERVALS.items():
        known = cache(interval)
        found = [known(counts) for counts in drawn]
        row[name] = {
            "covers": sum(one.low <= pair.truth <= one.high for one in found) / studies,
            "width": round(float(np.mean([one.high - one.low for one in found])), 6),
        }
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=10_000, help="number of simulated studies of each pair")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/paired_coverage.json"))
    options = parser.parse_args()
    rows = []
    for n, accuracy, shared, gain in product(IMAGES, ACCURACIES, SHARED, GAINS):
        rows.append(simulated(Pair(n, accuracy, shared, gain), options.studies))
        sys.stderr.write(json.dumps(rows[-1]) + "\n")
    facts = json.dumps(where())
    write_whole(options.out, f'{{"where": {facts}, "rows": [\n' + ",\n".join(map(json.dumps, rows)) + "\n]}\n")


if __name__ == "__main__":
    main()
