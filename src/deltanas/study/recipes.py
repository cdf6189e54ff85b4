"""Losses and optimizers compared over networks and data sets, from a table of trainings."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

from deltanas.intervals import Estimate, mean
from deltanas.study.blocks import Friedman, complete, friedman, holm, mean_ranks, pairs, wilcoxon
from deltanas.study.effects import Posterior, clustered, detectable, mean_difference, rank_biserial, signed_rank
from deltanas.study.estimate import Absent, Floats, LackingError, tried
from deltanas.study.shares import EFFECTS, variance_shares
from deltanas.trainings import Block, GridTable, Recipe, Training
from deltanas.wording import counted

TWIN = {"nll": "ce"}
"""Losses that are the same operations as another one."""


@dataclass(frozen=True)
class Cells:
    """The scored trainings of an arm by block and combination.

    Attributes:
        decays: weight decay by optimizer; NaN where the table does not tell it, or tells several.
        means: [blocks, combinations] mean score, NaN where nothing was trained. scores: of each training of a cell. A
            training that failed counts with what a guess scores, or the worst score of its block if that is lower.
        failed, trained: [blocks, combinations] number of trainings.
    """

    arm: str
    blocks: tuple[Block, ...]
    what: tuple[Recipe, ...]
    decays: Mapping[str, float]
    means: Floats
    scores: tuple[tuple[tuple[float, ...], ...], ...]
    failed: Floats
    trained: Floats

    def of(self, combination: Recipe) -> Floats | None:
        """Mean score in each block; None where the arm holds no training of it."""
        return self.means[:, self.what.index(combination)] if combination in self.what else None


@dataclass(frozen=True, slots=True)
class Rank:
    """A treatment of a comparison. mean_rank and accuracy over the networks that hold all treatments; failed of all."""

    name: str
    mean_rank: float
    accuracy: Estimate | Absent
    trained: int
    failed: int


@dataclass(frozen=True, slots=True)
class Pair:
    """Two treatments over the networks that hold both; differences are first - second.

    Attributes:
        p, p_holm: Wilcoxon's signed-rank test, alone and corrected for the pairs of the comparison.
        detectable: mean difference that so many blocks would show in 80 of 100 cases.
    """

    first: str
    second: str
    blocks: int
    difference: Estimate
    rank_biserial: Estimate | Absent
    p: float
    p_holm: float
    posterior: Posterior
    detectable: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Optimizers within a loss, or losses within an optimizer.

    Attributes:
        among: "optimizer" or "loss". within: name of what is held fixed. failures: "last", or "left out" where the
            trainings that failed are.
        blocks, incomplete: networks that hold all treatments, and those that lack one.
    """

    arm: str
    among: str
    within: str
    failures: str
    blocks: int
    incomplete: int
    ranks: tuple[Rank, ...]
    friedman: Friedman | Absent
    pairs: tuple[Pair, ...]

    @property
    def title(self) -> str:
        return f"{'optimizers under' if self.among == 'optimizer' else 'losses with'} {self.within}"


@dataclass(frozen=True, slots=True)
class Share:
    """Shares of the variance of one training's score on a data set, by effect. blocks: networks."""

    arm: str
    dataset: str
    networks: int
    losses: tuple[str, ...]
    optimizers: tuple[str, ...]
    shares: dict[str, Estimate]


@dataclass(frozen=True, slots=True)
class Curve:
    """The tuned arm's search for a rate. points: (rate, mean score over networks, networks). at_edge: share of blocks
    whose best rate is the least or the largest that was tried."""

    what: Recipe
    points: tuple[tuple[float, Estimate | Absent, int], ...]
    at_edge: Estimate


def cells_of(table: GridTable, arm: str, *, left_out: bool = False) -> Cells | None:
    """The scored trainings of an arm; None if there is none. left_out: without those that failed."""
    rows = [row for row in table.rows if row.arm == arm and row.phase == "score" and row.tried]
    if not rows:
        return None
    blocks, what = sorted({row.block for row in rows}), sorted({row.what for row in rows})
    guess = _guesses(rows)
    shape = len(blocks), len(what)
    found: list[list[list[float]]] = [[[] for _ in what] for _ in blocks]
    failed, trained = np.zeros(shape), np.zeros(shape)
    for row in sorted(rows, key=lambda row: row.seed):
        place = blocks.index(row.block), what.index(row.what)
        trained[place] += 1
        failed[place] += row.failed
        if not (row.failed and left_out):
            found[place[0]][place[1]].append(guess[row.block] if row.failed else row.score)
    means = np.array([[float(np.mean(cell)) if cell else nan for cell in line] for line in found])
    scores = tuple(tuple(map(tuple, line)) for line in found)
    return Cells(arm, tuple(blocks), tuple(what), decays_of(rows), means, scores, failed, trained)


def decays_of(rows: Iterable[Training]) -> dict[str, float]:
    """Weight decay by optimizer; NaN where it is not told of a training, or not the same in all."""
    found: dict[str, set[float]] = {}
    for row in (one for one in rows if one.tried):
        found.setdefault(row.what.optimizer, set()).add(row.decay)
    return {name: min(values) if len(values) == 1 else nan for name, values in sorted(found.items())}


def by_network(blocks: Sequence[Block], values: Floats) -> Floats:
    """Values of blocks, [blocks, ...], as those of networks: the mean over the data sets that hold all of a row.

    One network on several data sets is no independent sample of networks. Where no data set holds all, it is the first
    row.
    """
    lines: dict[str, list[int]] = {}
    for place, (_, network) in enumerate(blocks):
        lines.setdefault(network, []).append(place)
    if not lines:
        return values
    whole = np.isfinite(values.reshape(len(values), -1).sum(axis=1)).tolist()
    held = [[place for place in places if whole[place]] or places[:1] for places in lines.values()]
    return np.array([values[places].mean(axis=0) for places in held], float)


def _guesses(rows: Sequence[Training]) -> dict[Block, float]:
    """What a training that failed counts with, by block."""
    known: dict[Block, list[float]] = {row.block: [] for row in rows}
    for row in rows:
        known[row.block] += [value for value in (row.score, row.chance) if value == value]
    return {block: min(values, default=0.0) for block, values in known.items()}


def comparisons(table: GridTable, arms: Collection[str]) -> Iterator[Comparison]:
    """Optimizers within each loss and losses within each optimizer; once more without failures where there are some."""
    for arm in arms:
        kept = cells_of(table, arm)
        if kept is None:
            continue
        other = cells_of(table, arm, left_out=True) if kept.failed.any() else None
        plain = [one for one in kept.what if one.scale == 1]
        groups = [
            (among, within, [one for one in plain if getattr(one, of) == within])
            for among, of in (("optimizer", "loss"), ("loss", "optimizer"))
            for within in _sorted(plain, of)
        ]
        for among, within, members in groups:
            places = [kept.what.index(one) for one in members]
            if len(members) > 1:
                yield _compared(kept, places, among, within, "last")
                if other is not None and kept.failed[:, places].any():
                    yield _compared(other, places, among, within, "left out")


def _sorted(combinations: Sequence[Recipe], field: str) -> list[str]:
    return sorted({getattr(one, field) for one in combinations})


def _compared(cells: Cells, places: list[int], among: str, within: str, failures: str) -> Comparison:
    scores = by_network(cells.blocks, cells.means[:, places])
    full = complete(scores)
    means = mean_ranks(scores) if len(full) else np.full(len(places), nan)
    hold = counted(len(full), "network holds", "networks hold")
    names = [getattr(cells.what[place], among) for place in places]
    ranks = tuple(
        Rank(
            name,
            float(means[at]),
            mean(full[:, at]) or Absent(f"{hold} all: an interval needs two or more"),
            int(cells.trained[:, place].sum()),
            int(cells.failed[:, place].sum()),
        )
        for at, (name, place) in enumerate(zip(names, places, strict=True))
    )
    return Comparison(
        cells.arm,
        among,
        within,
        failures,
        len(full),
        int((~np.isnan(scores).all(axis=1)).sum()) - len(full),
        ranks,
        tried(lambda: friedman(scores)),
        _pairs(names, cells.blocks, cells.means[:, places]),
    )


def _pairs(names: Sequence[str], blocks: Sequence[Block], scores: Floats) -> tuple[Pair, ...]:
    """The pairs that two networks or more hold."""
    both = {(a, b): by_network(blocks, scores[:, a] - scores[:, b]) for a, b in pairs(len(names))}
    both = {key: values[~np.isnan(values)].round(12) for key, values in both.items()}
    both = {key: values for key, values in both.items() if len(values) > 1}
    raw = [wilcoxon(values) for values in both.values()]
    return tuple(
        Pair(
            names[a],
            names[b],
            len(values),
            mean_difference(values),
            tried(lambda values=values: rank_biserial(values)),  # type: ignore[misc]
            p,
            corrected,
            signed_rank(values),
            detectable(values),
        )
        for ((a, b), values), p, corrected in zip(both.items(), raw, holm(raw).tolist(), strict=True)
    )


def shares(table: GridTable, arms: Collection[str]) -> Iterator[tuple[str, str, Share | Absent]]:
    """By arm and data set. A loss that is another one's twin is left out where both are there."""
    for arm in arms:
        cells = cells_of(table, arm)
        if cells is None:
            continue
        for dataset in sorted({block[0] for block in cells.blocks}):
            yield arm, dataset, tried(lambda cells=cells, dataset=dataset: _shares(cells, dataset))  # type: ignore[misc]


def _shares(cells: Cells, dataset: str) -> Share:
    plain = [one for one in cells.what if one.scale == 1]
    losses, optimizers = _sorted(plain, "loss"), _sorted(plain, "optimizer")
    losses = [loss for loss in losses if TWIN.get(loss) not in losses]
    wanted = [[Recipe(loss, name) for name in optimizers] for loss in losses]
    lacking = [one for line in wanted for one in line if one not in plain]
    if lacking:
        raise LackingError(f"no training of {lacking[0]}: the shares need each loss with each optimizer")
    blocks = [place for place, block in enumerate(cells.blocks) if block[0] == dataset]
    columns = [[cells.what.index(one) for one in line] for line in wanted]
    held = [[cells.scores[block][column] for line in columns for column in line] for block in blocks]
    counts = [len(cell) for line in held for cell in line if cell]
    if max(counts, default=0) < 2:
        raise LackingError("no combination was trained twice, so the share of the seed is not known")
    seeds = len(counts) / sum(1 / count for count in counts)
    found = variance_shares(cells.means[blocks][:, columns], [_noise(line) for line in held], seeds)
    return Share(
        cells.arm,
        dataset,
        found.blocks,
        tuple(losses),
        tuple(optimizers),
        dict(zip(EFFECTS, found.shares, strict=True)),
    )


def _noise(cells: Sequence[tuple[float, ...]]) -> float:
    """Variance of one training about its cell's mean; NaN where none was repeated."""
    degrees = sum(max(0, len(cell) - 1) for cell in cells)
    return sum(float(np.var(cell)) * len(cell) for cell in cells if cell) / degrees if degrees else nan


def curves(table: GridTable) -> Iterator[Curve]:
    """How the score depends on the rate: a curve for each combination that was tuned."""
    rows = [row for row in table.rows if row.phase == "tune" and row.tried]
    guess = _guesses(rows)
    for what in sorted({row.what for row in rows}):
        mine = [row for row in rows if row.what == what]
        rates = sorted({row.rate for row in mine})
        values: dict[tuple[Block, float], list[float]] = {}
        for row in mine:
            values.setdefault((row.block, row.rate), []).append(guess[row.block] if row.failed else row.score)
        means = {key: float(np.mean(found)) for key, found in values.items()}
        blocks = sorted({row.block for row in mine})
        points = []
        for rate in rates:
            known = [block for block in blocks if (block, rate) in means]
            found = by_network(known, np.array([means[block, rate] for block in known])).tolist()
            points.append((rate, mean(found) or Absent("1 network: an interval needs two or more"), len(found)))
        middle = (len(rates) - 1) / 2
        best = [
            max(
                (place for place, rate in enumerate(rates) if (block, rate) in means),
                key=lambda place: (means[block, rates[place]], -abs(place - middle)),
            )
            for block in blocks
        ]
        edges: dict[str, list[bool]] = {}
        for (_, network), place in zip(blocks, best, strict=True):
            edges.setdefault(network, []).append(place in (0, len(rates) - 1))
        edge = clustered([sum(one) for one in edges.values()], [len(one) for one in edges.values()])
        yield Curve(what, tuple(points), edge)
