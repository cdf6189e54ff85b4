"""What edits measured at length say: what lasts, and which short measure foretells the end.

A gain is an edit's figure less the mean of its baseline's, positive where it is better. Ranks are compared within
families, their correlations averaged by number of edits; intervals come from drawing the families again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from benchmarks.table import Row

Floats = NDArray[np.float64]
DRAWS, FEW_DRAWS = 10_000, 200
"""Of the bootstrap over families; few, where a draw takes long."""
FEWEST = 4
"""Edits of a family, below which its ranks are not compared."""
TOLD = 10
"""Edits of a group, below which no slope is told."""
SIZES = (0.0, 0.95, 1.05, 1.5)
"""Ratios of FLOPs to the baseline's, from which on gains are told apart."""
Pair = tuple[str, float, float]
"""Family, gain by a measure, gain at the end."""


class Measure(NamedTuple):
    """A figure of a training: of the kind of training, after so many epochs, by averaged weights or the last ones."""

    what: str
    epochs: int
    averaged: bool
    figure: str

    @property
    def name(self) -> str:
        weights = "averaged" if self.averaged else "last"
        data = "4,000 images" if self.what == "short" else "10,000 images"
        return f"{self.figure}, {weights} weights, {self.epochs} x {data}"


class Edit(NamedTuple):
    """gains: by measure and number of the seed."""

    family: str
    row: Row
    gains: Mapping[Measure, Mapping[int, float]]
    seconds: Mapping[str, float]


def report(edits: Sequence[Row], trainings: Sequence[Row]) -> str:
    """Markdown."""
    known = measured(edits, trainings)
    ends = [measure for measure in measures(known) if measure.what == "long" and measure.figure == "accuracy"]
    if not ends or len({edit.family for edit in known}) < 2:
        return "fewer than two families have measured edits\n"
    last = max(measure.epochs for measure in ends)
    end, mean = (Measure("long", last, averaged=averaged, figure="accuracy") for averaged in (False, True))
    started = Measure("short", 1, averaged=False, figure="accuracy")
    failed = sum(row["failure"] is not None for row in trainings)
    hours = sum(float(str(row["cpu_seconds"])) for row in trainings) / 3600
    about = (
        f"{len(known)} edits of {len({edit.family for edit in known})} families; {len(trainings)} trainings, {failed} "
        f"failed; {hours:.1f} CPU hours. Intervals: families drawn again, 95 %."
    )
    parts = [about, f"## What lasts ({end.name})", lasting(known, started, end)]
    parts += [f"## What foretells {end.name}", foretelling(known, end)]
    parts += [f"## What foretells {mean.name}", foretelling(known, mean), "## Noise", noises(known, end)]
    return "\n\n".join(parts) + "\n"


def measured(edits: Sequence[Row], trainings: Sequence[Row]) -> list[Edit]:
    """The edits that have a gain by some measure; the luck of a seed is taken off within each family."""
    figures: dict[str, dict[Measure, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    seconds: dict[str, dict[str, float]] = defaultdict(dict)
    programs: dict[str, set[str]] = defaultdict(set)
    for row in trainings:
        program, what = str(row["program"]), str(row["what"])
        programs[str(row["family"])].add(program)
        seconds[program][what] = float(str(row["cpu_seconds"]))
        readings: Any = row["readings"]
        for reading in readings:
            for figure, sign in (("accuracy", 1.0), ("loss", -1.0)):
                if reading[figure] is not None:
                    measure = Measure(what, reading["epochs"], reading["averaged"], figure)
                    figures[program][measure][int(str(row["seed"]))] = sign * reading[figure]
    edited = {str(row["program"]): row for row in edits}
    found = []
    for family, members in programs.items():
        gains = _gains({one: figures[one] for one in sorted(members)}, edited)
        found += [Edit(family, edited[one], each, seconds[one]) for one, each in gains.items() if each]
    return sorted(found, key=lambda edit: int(str(edit.row["draw"])))


def _gains(
    figures: Mapping[str, Mapping[Measure, Mapping[int, float]]], edited: Mapping[str, Row]
) -> dict[str, dict[Measure, dict[int, float]]]:
    """Of the edits of one family; one program of it is the baseline."""
    gains: dict[str, dict[Measure, dict[int, float]]] = {one: {} for one in figures if one in edited}
    for measure in {measure for each in figures.values() for measure in each}:
        values = {one: each[measure] for one, each in figures.items() if each.get(measure)}
        base = next((each for one, each in values.items() if one not in edited), None)
        if base is None:
            continue
        luck = seed_luck(values)
        level = float(np.mean([value - luck[seed] for seed, value in base.items()]))
        for one in gains.keys() & values.keys():
            gains[one][measure] = {seed: value - luck[seed] - level for seed, value in values[one].items()}
    return gains


def seed_luck(values: Mapping[str, Mapping[int, float]]) -> dict[int, float]:
    """What each seed adds to all programs of a family: the mean of its cell, shrunken by what chance leaves in it.

    values: by program and seed. The variances come from the table itself, by one-way analysis of variance.
    """
    cells: dict[int, list[float]] = defaultdict(list)
    for each in values.values():
        for seed, value in each.items():
            cells[seed].append(value)
    total = np.concatenate([np.array(cell) for cell in cells.values()])
    within = [np.array(cell) - np.mean(cell) for cell in cells.values()]
    degrees = len(total) - len(cells)
    if len(cells) < 2 or degrees < 1:
        return dict.fromkeys(cells, 0.0)
    noise = float(sum((one**2).sum() for one in within)) / degrees
    sizes = np.array([len(cell) for cell in cells.values()], float)
    between = float(
        sum(size * (np.mean(cell) - total.mean()) ** 2 for size, cell in zip(sizes, cells.values(), strict=True))
    )
    typical = (sizes.sum() - (sizes**2).sum() / sizes.sum()) / (len(cells) - 1)
    luck = max(0.0, (between / (len(cells) - 1) - noise) / typical)
    if not luck:
        return dict.fromkeys(cells, 0.0)
    return {
        seed: float(np.mean(cell) - total.mean()) * luck / (luck + noise / len(cell)) for seed, cell in cells.items()
    }


def measures(edits: Sequence[Edit]) -> list[Measure]:
    return sorted({measure for edit in edits for measure in edit.gains})


def lasting(edits: Sequence[Edit], started: Measure, end: Measure) -> str:
    """Mean gains at the start and at the end, and the slope of the one on the other, by group."""
    both = [edit for edit in edits if edit.gains.get(started) and edit.gains.get(end)]
    groups: dict[str, list[Edit]] = {"all": both}
    for edit in both:
        for name in _groups(edit.row):
            groups.setdefault(name, []).append(edit)
    rows = [
        [name, *_lasting(groups[name], started, end)] for name in sorted(groups, key=lambda name: (name != "all", name))
    ]
    return _table(["edits", "n", "gain at the start", "gain at the end", "better at the end", "slope"], rows)


def _groups(row: Row) -> list[str]:
    steps = row["steps"]
    assert isinstance(steps, list)
    low = max(low for low in SIZES if low <= float(str(row["flops_ratio"])))
    growth = "growth: free" if row["growth"] is None else f"growth: at most {row['growth']}"
    return [f"part: {row['part']}", growth, f"FLOPs: from {low:g}"] + [f"kind: {steps[0]['kind']}"] * (len(steps) == 1)


def _lasting(edits: Sequence[Edit], started: Measure, end: Measure) -> list[str]:
    x, y = (np.array([_mean(edit, measure) for edit in edits]) for measure in (started, end))
    families = [edit.family for edit in edits]
    sums = _sums(families, np.ones(len(x)), x, y, x * y, x * x)
    slope = _told(sums, _slope, "+.2f") if len(edits) >= TOLD else ""
    return [
        str(len(edits)),
        _told(sums, lambda total: total[..., 1] / total[..., 0], "+.4f"),
        _told(sums, lambda total: total[..., 2] / total[..., 0], "+.4f"),
        f"{(y > 0).mean():.2f}",
        slope,
    ]


def foretelling(edits: Sequence[Edit], end: Measure) -> str:
    """How well each measure ranks the edits of a family by the end, of another seed and of the same training."""
    rows = []
    for measure in measures(edits):
        other, same = pairs(edits, measure, end, same=False), pairs(edits, measure, end, same=True)
        found, cost = ranks(other), passes(measure)
        if len(found) > 1:
            value = found[:, 0].sum() / found[:, 1].sum()
            told = _told(found, lambda total: total[..., 0] / total[..., 1], "+.2f")
            alike = ranks(same)
            known = f"{alike[:, 0].sum() / alike[:, 1].sum():+.2f}" if len(alike) and measure != end else ""
            rows.append([measure.name, f"{cost:.2f}", told, f"{value / cost:+.2f}", known, f"{best_of(6, other):+.4f}"])
    heads = ["measure", "passes", "rho, other seed", "a pass", "rho, same training", "best of six, other seed"]
    return f"{_table(heads, rows)}\n\n{speed_share(edits, end)}"


def passes(measure: Measure) -> float:
    """What a measure costs, in epochs of 10,000 images; to evaluate an image costs a third of training on it."""
    images = 4_000 if measure.what == "short" else 10_000
    return (measure.epochs * images + 5_000 / 3) / (10_000 + 5_000 / 3)


def pairs(edits: Sequence[Edit], measure: Measure, end: Measure, *, same: bool) -> list[Pair]:
    """(family, gain by the measure, gain at the end), of one training, or of trainings with different seeds."""
    found = []
    for edit in edits:
        for seed, value in edit.gains.get(measure, {}).items():
            for other, gain in edit.gains.get(end, {}).items():
                if (measure.what == end.what and seed == other) == same:
                    found.append((edit.family, value, gain))
    return found


def ranks(found: Sequence[Pair]) -> Floats:
    """[families, 2]: of each family Spearman's correlation times the number of pairs, and that number."""
    values = []
    for x, y in _by_family(found).values():
        one, other = rankdata(x), rankdata(y)
        if len(x) >= FEWEST and one.std() and other.std():
            values.append((len(x) * float(np.corrcoef(one, other)[0, 1]), len(x)))
    return np.array(values, float).reshape(-1, 2)


def best_of(most: int, found: Sequence[Pair]) -> float:
    """Gain at the end of the best of `most` edits of a family by a measure, over any of them: what to expect."""
    total, weights = 0.0, 0
    for x, y in _by_family(found).values():
        n = len(x)
        if n >= most:
            ranked = y[np.argsort(-x, kind="stable")]
            chance = np.array([_choose(n - place - 1, most - 1) for place in range(n)]) / _choose(n, most)
            total += n * float((chance * ranked).sum() - y.mean())
            weights += n
    return total / weights if weights else float("nan")


def _by_family(found: Sequence[Pair]) -> dict[str, tuple[Floats, Floats]]:
    families: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for family, x, y in found:
        families[family].append((x, y))
    return {family: (np.array(each)[:, 0], np.array(each)[:, 1]) for family, each in families.items()}


def _choose(n: int, k: int) -> float:
    return float(np.prod([(n - place) / (k - place) for place in range(k)])) if n >= k else 0.0


def noises(edits: Sequence[Edit], end: Measure) -> str:
    """How far two trainings of one edit lie apart, and what share of the spread within a family is the edits' own."""
    rows = []
    for measure in measures(edits):
        if measure.figure == end.figure and (measure.what == "short" or measure.epochs in (1, end.epochs)):
            noise, spread, n = variances(edits, measure)
            if n and spread:
                share = f"{max(0.0, 1 - noise / spread):.2f}"
                rows.append([measure.name, f"{noise**0.5:.4f} ({n})", f"{spread**0.5:.4f}", share])
    return _table(["measure", "noise, s.d. (n)", "spread within families, s.d.", "reliability"], rows)


def variances(edits: Sequence[Edit], measure: Measure) -> tuple[float, float, int]:
    """Of the noise of one training, by edits with two seeds, and of gains within families; number of those edits."""
    twice = [list(edit.gains[measure].values())[:2] for edit in edits if len(edit.gains.get(measure, {})) > 1]
    families: dict[str, list[float]] = defaultdict(list)
    for edit in edits:
        families[edit.family] += list(edit.gains.get(measure, {}).values())[:1]
    several = [np.array(gains) for gains in families.values() if len(gains) > 1]
    degrees = sum(len(gains) - 1 for gains in several)
    spread = sum(float(((gains - gains.mean()) ** 2).sum()) for gains in several) / degrees if degrees else 0.0
    return float(np.mean([(one - other) ** 2 / 2 for one, other in twice])) if twice else 0.0, spread, len(twice)


def shares(edits: Sequence[Edit], started: Measure, end: Measure) -> tuple[float, float, float]:
    """What the variance of the short gain within families is made of: noise, what lasts, and speed of the start.

    What lasts is the square of the correlation between what edits truly do at the start and at the end; the noise of
    either is known by edits with two seeds.
    """
    (noise, spread, n), (late_noise, late_spread, m) = variances(edits, started), variances(edits, end)
    own, late = spread - noise, late_spread - late_noise
    families: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for edit in edits:
        if edit.gains.get(started) and edit.gains.get(end):
            families[edit.family].append((_mean(edit, started), _mean(edit, end)))
    several = [np.array(each) - np.mean(each, 0) for each in families.values() if len(each) > 1]
    degrees = sum(len(each) - 1 for each in several)
    if not (n and m and degrees and own > 0 and late > 0):
        return float("nan"), float("nan"), float("nan")
    together = sum(float((each[:, 0] * each[:, 1]).sum()) for each in several) / degrees
    common = min(1.0, together**2 / (own * late)) if together > 0 else 0.0
    return noise / spread, own / spread * common, own / spread * (1 - common)


def speed_share(edits: Sequence[Edit], end: Measure) -> str:
    started = Measure("short", 1, averaged=False, figure="accuracy")
    families: dict[str, list[Edit]] = defaultdict(list)
    for edit in edits:
        families[edit.family].append(edit)
    groups = list(families.values())
    drawn = np.random.default_rng(0).integers(len(groups), size=(FEW_DRAWS, len(groups)))
    found = np.array([
        shares([edit._replace(family=f"{n}") for n, place in enumerate(one) for edit in groups[place]], started, end)
        for one in drawn
    ])  # fmt: skip
    names = ("noise", "what lasts", "speed of the start")
    told = [
        f"{name} {value:.2f} {_interval(found[:, place], '.2f')}"
        for place, (name, value) in enumerate(zip(names, shares(edits, started, end), strict=True))
    ]
    return f"Of the variance of the short score within families: {', '.join(told)}."


def _mean(edit: Edit, measure: Measure) -> float:
    return float(np.mean(list(edit.gains[measure].values())))


def _slope(total: Floats) -> Floats:
    """Of y on x, by sums of 1, x, y, x * y and x * x."""
    n, x, y, xy, xx = np.moveaxis(total, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope: Floats = (xy - x * y / n) / (xx - x * x / n)
    return slope


def _sums(families: Sequence[str], *columns: Floats) -> Floats:
    """[families, columns]"""
    names = list(dict.fromkeys(families))
    sums = np.zeros((len(names), len(columns)))
    np.add.at(sums, [names.index(family) for family in families], np.stack(columns, 1))
    return sums


def _told(sums: Floats, figure: Callable[[Floats], Floats], form: str) -> str:
    """A figure of sums over families, with its interval; without one for a single family. sums: [families, columns]."""
    value = f"{float(figure(sums.sum(0))):{form}}"
    if len(sums) < 2:
        return value
    chosen = np.random.default_rng(0).integers(len(sums), size=(DRAWS, len(sums)))
    return f"{value} {_interval(figure(sums[chosen].sum(1)), form)}"


def _interval(values: Floats, form: str) -> str:
    sound = values[np.isfinite(values)]
    if not len(sound):
        return ""
    low, high = np.quantile(sound, [0.025, 0.975])
    return f"[{low:{form}}, {high:{form}}]"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
