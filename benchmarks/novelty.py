"""What it costs to ask whether a program is like one of many, and how many that are alike are found."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count, takewhile
from math import log
from typing import Annotated, Any

import numpy as np
import typer

from deltanas.calibrate import where
from deltanas.cli.output import Json, print_figures, say
from deltanas.errors import DeltanasError
from deltanas.intervals import wilson
from deltanas.novelty import Neighbours
from deltanas.program.shingles import SHINGLE, Hashes, jaccard, shingles_of

FASTER_BAR, RECALL_BAR, GROWTH_BAR = 5.0, 0.99, 0.5
_FAMILY, _EDITS = 20, 13
"""Programs that are edits of one text, and one more than the most tokens in which each differs from it."""
_WORDS = 2_000
_SAMPLED = 500
"""Families whose pairs are all compared exactly, for the recall; others are like none outside their own."""
_QUERIES = 1_000
"""Fresh programs that are asked for at each size, each of a random family of those that are held."""
_LEAST = 1_000
"""Programs of the smallest index whose cost is told."""
_Clock = tuple[float, float]


@dataclass
class _Spent:
    """Seconds of wall clock and of CPU time."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def since(self, clock: _Clock) -> _Clock:
        now = _clock()
        self.seconds += now[0] - clock[0]
        self.cpu_seconds += now[1] - clock[1]
        return now


def _clock() -> _Clock:
    return time.perf_counter(), time.process_time()


class _Texts:
    """Made-up programs in families, each a few edits of a random text."""

    def __init__(self, families: int, tokens: int, seed: int) -> None:
        self._rng, self._asking = np.random.default_rng(seed), np.random.default_rng((seed, 1))
        self._hashed = self._rng.integers(2**64, size=_WORDS, dtype=np.uint64)
        drawn = (self._rng.zipf(1.3, size=tokens) % _WORDS for _ in range(families))
        self._texts = np.stack([text.astype(np.uint16) for text in drawn])

    def next(self, family: int) -> Hashes:
        """The shingles of another program of this family."""
        return self._edited(family, self._rng)

    def asked(self, families: int) -> Hashes:
        """Those of another program of one of the first families; it does not count as one of the next ones."""
        return self._edited(int(self._asking.integers(families)), self._asking)

    def _edited(self, family: int, rng: np.random.Generator) -> Hashes:
        text, edits = self._texts[family].copy(), rng.integers(_EDITS)
        text[rng.integers(len(text), size=edits)] = rng.integers(_WORDS, size=edits)
        return shingles_of(self._hashed[text])


def bench_novelty(
    n: int, *, tokens: int, threshold: float, rival: bool, seed: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Ask the index for `n` made-up programs of `tokens` tokens, one after the other, and add each, as a search does.

    `seconds` are those of sketches, queries and additions, `compared_seconds` those with the exact comparisons; making
    the programs is not counted. `rival`: the same with datasketch, on the same shingles, with as many values and bands,
    given the hashes of the shingles; it compares nothing exactly.

    Raises:
        DeltanasError: datasketch is not installed, or there are too few programs to tell.
    """
    if n < 2 * _LEAST:
        raise DeltanasError(f"{n} programs are too few to time", f"give {2 * _LEAST} or more")
    families = -(-n // _FAMILY)
    index, texts = Neighbours(threshold), _Texts(families, tokens, seed)
    sizes = [*takewhile(lambda size: size < n, (_LEAST * 10**power for power in count())), n]
    plain, compared, pairs = _Spent(), _Spent(), _Pairs(threshold)
    queries: list[dict[str, Any]] = []
    for number in range(n):
        family = number // _FAMILY
        one = texts.next(family)
        clock = _clock()
        sketch = index.sketched(one)
        index.met(sketch)
        clock = plain.since(clock)
        like = index.like(sketch)
        clock = compared.since(clock)
        index.add(str(number), sketch)
        plain.since(clock)
        if family % max(1, families // _SAMPLED) == 0:
            pairs.note(family, number, one, [int(name) for name, _ in like])
        if number + 1 in sizes:
            queries.append(_asked(index, [texts.asked(family + 1) for _ in range(_QUERIES)], number + 1))
            say(f"{number + 1:,} of {n:,} programs")
    growth = log(queries[-1]["median_us"] / queries[0]["median_us"]) / log(sizes[-1] / sizes[0])
    result = {
        **where(),
        "programs": n,
        "shingles_each": tokens - SHINGLE + 1,
        "threshold": threshold,
        "bands": index.bands,
        "values_a_band": index.rows,
        "seconds": plain.seconds,
        "cpu_seconds": plain.cpu_seconds,
        "compared_seconds": plain.seconds + compared.seconds,
        "compared_cpu_seconds": plain.cpu_seconds + compared.cpu_seconds,
        **pairs.recall(),
        "growth": growth,
        "growth_bar": GROWTH_BAR,
        "queries": queries,
    }
    if rival:
        theirs = _rival(index, _Texts(families, tokens, seed), n, say)
        result |= {
            "rival_seconds": theirs.seconds,
            "rival_cpu_seconds": theirs.cpu_seconds,
            "faster": theirs.cpu_seconds / plain.cpu_seconds,
            "faster_though_compared": theirs.cpu_seconds / (plain.cpu_seconds + compared.cpu_seconds),
            "faster_bar": FASTER_BAR,
        }
    return result


def _asked(index: Neighbours, programs: list[Hashes], size: int) -> dict[str, Any]:
    """What a query costs, sketch and exact comparisons included: median and quarters."""
    seconds = []
    for one in programs:
        start = time.perf_counter()
        index.like(index.sketched(one))
        seconds.append(time.perf_counter() - start)
    low, median, high = (1e6 * np.quantile(seconds, (0.25, 0.5, 0.75))).tolist()
    return {"size": size, "median_us": median, "quarter_us": low, "three_quarters_us": high, "n": len(seconds)}


class _Pairs:
    """Pairs of the sampled families that are alike, all of them, and those that the index found."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._members: dict[int, list[tuple[int, Hashes]]] = {}
        self._alike: set[tuple[int, int]] = set()
        self._found: set[tuple[int, int]] = set()

    def note(self, family: int, number: int, one: Hashes, found: list[int]) -> None:
        earlier = self._members.setdefault(family, [])
        index = jaccard(one, [other for _, other in earlier])
        self._alike |= {(earlier[at][0], number) for at in np.flatnonzero(index >= self._threshold)}
        self._found |= {(other, number) for other in found}
        earlier.append((number, one))

    def recall(self) -> dict[str, Any]:
        """The share that was found, with its 95 % Wilson interval."""
        share = wilson(len(self._alike & self._found), len(self._alike))
        return {
            "recall": share.value,
            "recall_low": share.low,
            "recall_high": share.high,
            "recall_bar": RECALL_BAR,
            "pairs": len(self._alike),
            "wrong": len(self._found - self._alike),
        }


def _rival(index: Neighbours, texts: _Texts, n: int, say: Callable[[str], None]) -> _Spent:
    try:
        from datasketch import MinHash, MinHashLSH
    except ImportError:
        raise DeltanasError("datasketch is not installed", "pip install datasketch, or give --no-rival") from None
    values = index.bands * index.rows
    lsh, spent = MinHashLSH(num_perm=values, params=(index.bands, index.rows)), _Spent()
    blank = MinHash(num_perm=values, hashfunc=int)
    for number in range(n):
        one = texts.next(number // _FAMILY)
        clock = _clock()
        sketch = blank.copy()
        sketch.update_batch((one >> np.uint64(32)).tolist())
        lsh.query(sketch)
        lsh.insert(number, sketch, check_duplication=False)
        spent.since(clock)
        if (number + 1) % (n // 10) == 0:
            say(f"{number + 1:,} of {n:,} programs, datasketch, {spent.seconds:.0f} s")
    return spent


def main(
    programs: Annotated[int, typer.Option("--programs", "-n", help="Made-up programs.", min=1)] = 20_000,
    tokens: Annotated[int, typer.Option(help="Tokens of each.", min=50)] = 600,
    threshold: Annotated[float, typer.Option(help="Of the Jaccard index.", min=0.01, max=0.99)] = 0.9,
    rival: Annotated[bool, typer.Option(help="The same with datasketch.")] = True,
    seed: Annotated[int, typer.Option(help="The root of all chance.", min=0)] = 0,
    as_json: Json = False,
) -> None:
    """Ask whether a program is like one of many: what asking costs as they grow, and how many alike ones are found."""
    result = bench_novelty(programs, tokens=tokens, threshold=threshold, rival=rival, seed=seed, say=say)
    print_figures(result, ["queries"], as_json=as_json)


if __name__ == "__main__":
    typer.run(main)
