"""How often is the champion changed wrongly, and is what is better found? Simulated runs of the referee.

    python -m benchmarks referee [--runs N] [--out FILE]

A run has 500 candidates that do nothing, told one after the other. The scatter of a training is that of 320 real ones
(`benchmarks/averages`, Fashion-MNIST, 4,000 training images, one epoch, averaged weights): the residuals of 40 programs
around their means. `even`: a candidate scatters as the champion does; `noisier`: twice as much; `noisiest`: three
times; `worse`: it loses a third of the noise of a training. Each candidate is settled, as `deltanas tell --settle` does
it, by the code of `deltanas.referee`. Beside it, on the same first trainings, keeping whatever scored higher. Then how
often a gain of one, two and three times the noise is found within `outside.pairs`, for runs of 16, 100 and 500 slots.

Each row is written as it is done; the same command goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import sqrt
from pathlib import Path
from random import Random
from statistics import fmean, variance

from deltanas.intervals import wilson
from deltanas.referee import ERROR, PAIRS, Trial, share
from deltanas.whole import append_rows, read_rows

HERE = Path(__file__).parent
CANDIDATES, GROUP = 500, 200
IMAGES_NOISE = 0.004
"""What the referee takes for the noise before it has seen any: that of 10,000 images at an accuracy of .8."""
KINDS = {"even": (1.0, 0.0), "noisier": (2.0, 0.0), "noisiest": (3.0, 0.0), "worse": (1.0, -1 / 3)}
"""By name: scatter of a candidate, and its gain, both in units of the noise of a training."""
GAINS, SLOTS = (1.0, 2.0, 3.0), (16, 100, 500)
Row = dict[str, object]


@dataclass
class Noise:
    """The scatter that trainings have, and what a run has learned of it."""

    residuals: Sequence[float]
    squares: float = 2 * IMAGES_NOISE**2
    degrees: float = 2.0

    @property
    def true(self) -> float:
        return sqrt(fmean([each**2 for each in self.residuals]))

    @property
    def known(self) -> float:
        return sqrt(self.squares / self.degrees)

    def learn(self, differences: Sequence[float]) -> None:
        if len(differences) > 1:
            self.squares += variance(differences) / 2 * (len(differences) - 1)
            self.degrees += len(differences) - 1


@dataclass
class Played:
    """One run. wrong: number of changes of the champion; kept: the same by keeping what scored higher."""

    wrong: int = 0
    kept: int = 0
    pairs: int = 0
    tested: int = 0
    spent: float = 0.0


def residuals() -> list[float]:
    """Of each training around the mean of its program, blown up by the degree of freedom that the mean took."""
    scores: dict[str, list[float]] = defaultdict(list)
    for line in (HERE / "averages" / "trainings.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        for reading in row["readings"]:
            if reading["epochs"] == 1 and reading["averaged"]:
                scores[row["program"]].append(reading["accuracy"])
    return [
        (score - fmean(own)) * sqrt(len(own) / (len(own) - 1))
        for own in scores.values()
        if len(own) > 1
        for score in own
    ]


def played(key: str, noise: Noise, scatter: float, gain: float) -> Played:
    """A run of candidates that are no better."""
    rng, found = Random(key), Played()
    shift = gain * noise.true
    bar = first = rng.choice(noise.residuals)
    for place in range(CANDIDATES):
        score = shift + scatter * rng.choice(noise.residuals)
        found.kept += score > bar
        bar = max(bar, score)
        if score <= first:
            continue
        error = share(ERROR - found.spent, CANDIDATES - place)
        found.spent += error
        found.tested += 1
        trial = duel(rng, noise, error, shift, scatter)
        noise.learn(trial.differences)
        found.pairs += len(trial.differences)
        if trial.state == "better":
            found.wrong += 1
            first = score
    return found


def duel(rng: Random, noise: Noise, error: float, shift: float, scatter: float = 1.0) -> Trial:
    trial = Trial(noise.known, error, PAIRS)
    while trial.state == "going":
        trial.add(shift + scatter * rng.choice(noise.residuals) - rng.choice(noise.residuals))
    return trial


def rows(runs: int) -> Iterator[tuple[str, Callable[[], Row]]]:
    """Each by its key, with what makes it."""
    known = residuals()
    for kind in KINDS:
        for number in range(runs):
            key = f"{kind}:{number}"
            yield key, partial(counted, key, known, *KINDS[kind])
    for slots in SLOTS:
        for gain in GAINS:
            key = f"power:{slots}:{gain:g}"
            yield key, partial(power, key, Noise(known), slots, gain)


def counted(key: str, known: Sequence[float], scatter: float, gain: float) -> Row:
    found = played(key, Noise(known), scatter, gain)
    return {"wrong": found.wrong, "kept": found.kept, "pairs": found.pairs, "tested": found.tested}


def power(key: str, noise: Noise, slots: int, gain: float) -> Row:
    """Share of `GROUP` candidates with this gain that are found, each the first of its run; with their trainings."""
    rng, shift, found, pairs = Random(key), gain * noise.true, 0, 0
    for _ in range(GROUP):
        if shift + rng.choice(noise.residuals) > rng.choice(noise.residuals):
            trial = duel(rng, noise, share(ERROR, slots), shift)
            found += trial.state == "better"
            pairs += len(trial.differences)
    return {"found": found, "of": GROUP, "pairs": pairs}


def table(found: dict[str, Row]) -> Iterator[str]:
    yield f"error {ERROR:g}, at most {PAIRS} pairs a candidate, {CANDIDATES} candidates a run"
    yield f"{'candidates':12}{'runs':>6}{'wrong: referee':>30}{'wrong: higher score kept':>30}{'trainings each':>16}"
    for kind in KINDS:
        own = [row for key, row in found.items() if key.startswith(f"{kind}:")]
        if own:
            shares = [_shown(sum(bool(row[name]) for row in own), len(own)) for name in ("wrong", "kept")]
            each = 1 + 2 * fmean([float(str(row["pairs"])) for row in own]) / CANDIDATES
            yield f"{kind:12}{len(own):6}{shares[0]:>30}{shares[1]:>30}{each:16.2f}"
    yield ""
    yield f"{'slots':>6}{'gain / noise':>14}{'found':>30}{'trainings':>12}"
    for key, row in found.items():
        if key.startswith("power:"):
            _, slots, gain = key.split(":")
            of = int(str(row["of"]))
            each = 1 + 2 * int(str(row["pairs"])) / of
            yield f"{slots:>6}{gain:>14}{_shown(int(str(row['found'])), of):>30}{each:12.1f}"


def _shown(count: int, of: int) -> str:
    around = wilson(count, of)
    return f"{count}/{of} {100 * around.value:.1f} % [{100 * around.low:.1f}, {100 * around.high:.1f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200, help="number of simulated runs of each kind of candidates")
    parser.add_argument("--out", type=Path, default=HERE / "referee.jsonl", help="file of the rows")
    given = parser.parse_args()
    found: dict[str, Row] = {row.pop("key"): row for row in read_rows(given.out)}
    for key, made in rows(given.runs):
        if key not in found:
            found[key] = made()
            append_rows(given.out, [{"key": key, **found[key]}])
    sys.stdout.write("\n".join(table(found)) + "\n")


if __name__ == "__main__":
    main()
