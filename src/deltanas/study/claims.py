"""What a table of trainings says of each published claim on losses and optimizers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import nan, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from deltanas.intervals import Estimate, wilson
from deltanas.study.blocks import ALPHA, LEAST, complete, wilcoxon_rows
from deltanas.study.effects import ROPE, mean_difference
from deltanas.study.estimate import Floats, LackingError
from deltanas.study.recipes import TWIN, Cells, by_network, cells_of
from deltanas.trainings import ARMS, Block, GridTable, Recipe
from deltanas.wording import counted

HOLDS, NOT, UNKNOWN = "holds", "does not hold", "can't be told from this table"
SCALE = 12.3
"""Times that the gradient of cross-entropy is as large as that of NGL where all of ten classes are equally likely."""
_TWO = (Recipe("ce", "adam"), Recipe("ce", "adamw"))
_ADAPTIVE = ("adadelta", "adagrad", "adam", "adamw", "rmsprop")
_RESAMPLINGS, _SPLITS, _SHUFFLES = 1000, 20, 99
"""Splits of the seeds that are drawn, how many different ones are taken at most, and orders of each block's seeds."""
_SEEN = 5
"""Blocks with which Wilcoxon's test can't reject at 5 % yet."""
_SHRINKS = 2 / 3
_CLIMBS = 2.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """A claim against a table.

    Attributes:
        arm: "fixed", "tuned", or "both" where it is about their difference. claim: the statement.
        verdict: `HOLDS`, `NOT` or `UNKNOWN`. why: the figures in words, or what is lacking.
        estimate: what was compared, in `unit` ("accuracy", "ranks", "share"); None where nothing could be.
        bound: what the interval is compared with. blocks: number of networks that it rests on.
    """

    name: str
    arm: str
    claim: str
    verdict: str
    why: str
    estimate: Estimate | None
    bound: float
    unit: str
    blocks: int


@dataclass(frozen=True, slots=True)
class _Answer:
    estimate: Estimate
    bound: float
    holds: bool
    fails: bool
    why: str
    blocks: int
    unit: str = "accuracy"


def verdicts(table: GridTable, arms: Collection[str]) -> Iterator[Verdict]:
    """Each claim in each arm, then those on the difference of the arms."""
    by_arm = {arm: cells for arm in ARMS if arm in arms and (cells := cells_of(table, arm)) is not None}
    for arm, cells in by_arm.items():
        for name, claim, ask in _CLAIMS:
            yield _asked(name, arm, claim, partial(ask, cells))
        yield _asked(
            "ce_is_nll",
            arm,
            "Control: NLL of the log-softmax is cross-entropy, so equal trainings score alike",
            partial(_alike, table, arm),
        )
    if len(by_arm) == len(ARMS):
        claim = "Adadelta's rank under cross-entropy improves by 2 or more when each rate is tuned"
        yield _asked("adadelta_climbs", "both", claim, partial(_climbs, *(by_arm[arm] for arm in ARMS)))


def _asked(name: str, arm: str, claim: str, ask: Callable[[], _Answer]) -> Verdict:
    try:
        found = ask()
    except LackingError as lacking:
        return Verdict(name, arm, claim, UNKNOWN, lacking.message, None, 0.0, "", 0)
    said = HOLDS if found.holds else NOT if found.fails else UNKNOWN
    return Verdict(name, arm, claim, said, found.why, found.estimate, found.bound, found.unit, found.blocks)


def _robust(cells: Cells) -> _Answer:
    """The mean of the two against each other combination; intervals hold for all of them at once."""
    two = (_column(cells, "ce", "adam") + _column(cells, "ce", "adamw")) / 2
    rivals = {
        str(one): values
        for one in cells.what
        if one.scale == 1
        and one.loss not in TWIN
        and one not in _TWO
        and (values := _both(cells, two - _column(cells, one.loss, one.optimizer), *_TWO, one)).size >= LEAST
    }
    if not rivals:
        raise LackingError(f"no other combination is in {LEAST} networks with cross-entropy and Adam and AdamW")
    margins = {name: mean_difference(values, ALPHA / len(rivals)) for name, values in rivals.items()}
    closest = min(margins, key=lambda name: margins[name].value)
    better = [name for name, margin in margins.items() if margin.high < 0]
    clear = sum(margin.low > 0 for margin in margins.values())
    near = " None is better by more than a point." if all(m.low > -ROPE for m in margins.values()) else ""
    said = f"; better than the two: {', '.join(better)}" if better else ""
    why = (
        f"the mean of the two less {closest}, the closest of {len(rivals)} others: {_points(margins[closest])} "
        f"(intervals hold for all of them at once); it is clearly above {clear}{said}.{near}"
    )
    return _Answer(margins[closest], 0.0, clear == len(rivals), bool(better), why, len(rivals[closest]))


def _under(loss: str, optimizer: str, rival: tuple[str, str]) -> Callable[[Cells], _Answer]:
    """Is a combination worse than its rival by more than a point?"""

    def ask(cells: Cells) -> _Answer:
        found = _gap(cells, (loss, optimizer), rival)
        gap = mean_difference(found)
        why = f"{loss} + {optimizer} is {_points(gap)} from {' + '.join(rival)}; bad is more than a point below"
        return _Answer(gap, -ROPE, gap.high < -ROPE, gap.low > -ROPE, why, len(found))

    return ask


def _scaled(cells: Cells) -> _Answer:
    """The share of NGL's gap under SGD that goes when its loss has the scale of cross-entropy."""
    at_scale = next((one for one in cells.what if one.loss == "ngl" and abs(one.scale / SCALE - 1) < 0.01), None)
    if at_scale is None:
        raise LackingError(f"the arm holds no training of ngl x {SCALE:g} + sgd")
    ce, plain = _column(cells, "ce", "sgd"), _column(cells, "ngl", "sgd")
    scaled = _column(cells, "ngl", "sgd", at_scale.scale)
    ce, plain, scaled = by_network(cells.blocks, np.stack([ce, plain, scaled], axis=1)).T
    known = ~np.isnan(ce + plain + scaled)
    gap, gained = (ce - plain)[known], (scaled - plain)[known]
    if len(gap) < LEAST:
        raise LackingError(f"{len(gap)} networks hold all three: the claim needs {LEAST} or more")
    before, after = mean_difference(gap), mean_difference(gap - gained)
    if before.low <= 0:
        raise LackingError(f"ngl + sgd is not clearly below ce + sgd ({_points(before)}), so there is no gap to shrink")
    share = _ratio(gained, gap)
    why = (
        f"{100 * share.value:.0f} % [{100 * share.low:.0f}, {100 * share.high:.0f}] of the gap goes: "
        f"{_points(before)} before, {_points(after)} after; the prediction is two thirds or more"
    )
    return _Answer(share, _SHRINKS, share.low >= _SHRINKS, share.high < _SHRINKS, why, len(gap), "share")


def _adaptive(cells: Cells) -> _Answer:
    names = [name for name in _ADAPTIVE if all(cells.of(Recipe(loss, name)) is not None for loss in ("ce", "ngl"))]
    if not names:
        raise LackingError("the arm holds no adaptive optimizer with both losses")
    gaps = [_gaps(cells, Recipe("ngl", name), Recipe("ce", name)) for name in names]
    found = _enough(cells, np.mean(gaps, axis=0), "both losses with each adaptive optimizer")
    gap = mean_difference(found)
    why = f"over {', '.join(names)}, ngl is {_points(gap)} from ce; competitive is within a point of it or above"
    return _Answer(gap, -ROPE, gap.low > -ROPE, gap.high < -ROPE, why, len(found))


def _equivalent(cells: Cells) -> _Answer:
    found = _gap(cells, ("ce", "adamw"), ("ce", "adam"))
    gap = mean_difference(found)
    inside, outside = gap.low > -ROPE and gap.high < ROPE, gap.high < -ROPE or gap.low > ROPE
    why = f"ce + adamw is {_points(gap)} from ce + adam; no difference is within a point both ways"
    first, second = cells.decays["adamw"], cells.decays["adam"]
    if abs(first - second) > 0:
        why += f"; they decay weights by {first:g} and {second:g}, so this compares optimizer and decay together"
    return _Answer(gap, ROPE, inside, outside, why, len(found))


def _alike(table: GridTable, arm: str) -> _Answer:
    """Trainings that differ in nothing but the name of the loss; where both failed there is nothing to compare."""
    scores: dict[tuple[Block, str, float, str, str], dict[str, float | None]] = {}
    for row in table.rows:
        if row.arm == arm and row.what.loss in ("ce", "nll") and row.what.scale == 1 and row.tried:
            key = (row.block, row.what.optimizer, row.rate, row.phase, row.seed)
            scores.setdefault(key, {})[row.what.loss] = None if row.failed else row.score
    both = {key: (found["ce"], found["nll"]) for key, found in scores.items() if len(found) == 2}
    pairs = {key: pair for key, pair in both.items() if pair != (None, None)}
    if not pairs:
        failed = ", one of which has a score" if both else ""
        raise LackingError(f"the arm holds no training by ce and by nll that is else the same{failed}")
    same = wilson(sum(a == b for a, b in pairs.values()), len(pairs))
    by_block: dict[Block, list[float]] = {}
    for (block, *_), (a, b) in pairs.items():
        if a is not None and b is not None:
            by_block.setdefault(block, []).append(a - b)
    means = by_network(list(by_block), np.array([np.mean(values) for values in by_block.values()]))
    mean = f"; mean difference {_points(mean_difference(means))}" if len(means) > 1 else ""
    why = f"{sum(a == b for a, b in pairs.values())} of {len(pairs)} pairs of trainings have equal scores{mean}"
    return _Answer(same, 0.95, same.low >= 0.95, same.high < 0.95, why, len({key[0][1] for key in pairs}), "share")


def _itself(cells: Cells) -> _Answer:
    """A combination against itself on other seeds: how often Wilcoxon's test rejects at 5 %.

    Networks with the same seeds may share the luck of one. Splits that all networks have in common show that. Splits of
    the same seeds, and combinations with the same seeds, are alike, so the share's interval is that of the shares that
    come where each network's seeds stand in an order of their own, the same for all of its combinations. No luck is
    shared then, and all else is as it was.
    """
    rng = np.random.default_rng(0)
    held: list[tuple[list[int], Floats, list[tuple[int, ...]]]] = []
    for place, what in enumerate(cells.what):
        lines = [(block, line[place]) for block, line in enumerate(cells.scores) if len(set(line[place])) > 1]
        most = max((len(one) for _, one in lines), default=0)
        full = _over_data_sets(cells, [(block, one) for block, one in lines if len(one) == most])
        if len(full) > _SEEN and what.loss not in TWIN:
            orders = [rng.permutation(most) for _ in range(_RESAMPLINGS)]
            splits = sorted({tuple(sorted(order[: most // 2].tolist())) for order in orders})[:_SPLITS]
            held.append(([network for network, _ in full], np.array([one for _, one in full]), splits))
    if not held:
        raise LackingError("no combination has six networks whose seeds differ: the test could not reject at 5 %")
    found = np.concatenate([_rejected(scores, splits) for _, scores, splits in held])
    shares, networks = [], len({network for _, network in cells.blocks})
    for _ in range(_SHUFFLES):
        keys = rng.random((networks, max(scores.shape[1] for _, scores, _ in held)))
        mixed = [(np.take_along_axis(s, keys[at, : s.shape[1]].argsort(axis=1), axis=1), few) for at, s, few in held]
        shares.append(float(np.concatenate([_rejected(*one) for one in mixed]).mean()))
    share, beside = float(found.mean()), float(np.mean(shares))
    least, most_of_all = np.quantile(shares, [ALPHA / 2, 1 - ALPHA / 2], method="higher").tolist()
    low, high = max(0.0, share - (most_of_all - beside)), min(1.0, share + max(0.0, beside - least))
    why = (
        f"{int(found.sum())} of {len(found)} splits of the seeds, the same in all networks, are rejected at 5 % "
        f"({100 * low:.1f} to {100 * high:.1f} %); where each network has a split of its own {100 * beside:.1f} %"
    )
    return _Answer(
        Estimate(share, low, high), ALPHA, low <= ALPHA, low > ALPHA, why, max(len(at) for at, _, _ in held), "share"
    )


def _over_data_sets(cells: Cells, lines: Sequence[tuple[int, tuple[float, ...]]]) -> list[tuple[int, Floats]]:
    """Scores by seed of a block, in the order of the seeds: by number of the network, the mean over its data sets."""
    numbers = {network: number for number, network in enumerate(dict.fromkeys(name for _, name in cells.blocks))}
    found: dict[int, list[tuple[float, ...]]] = {}
    for block, scores in lines:
        found.setdefault(numbers[cells.blocks[block][1]], []).append(scores)
    return [(number, np.array(rows, float).mean(axis=0)) for number, rows in found.items()]


def _rejected(scores: Floats, splits: Sequence[tuple[int, ...]]) -> Floats:
    """Of each split, 1 where the means over its seeds and over the others differ at 5 %. scores: [networks, seeds]."""
    gaps = [scores[:, list(one)].mean(axis=1) - np.delete(scores, list(one), axis=1).mean(axis=1) for one in splits]
    return np.asarray(wilcoxon_rows(np.array(gaps)) < ALPHA, float)


def _climbs(fixed: Cells, tuned: Cells) -> _Answer:
    names = sorted(
        {one.optimizer for one in fixed.what if one.loss == "ce" and one.scale == 1}
        & {one.optimizer for one in tuned.what if one.loss == "ce" and one.scale == 1}
    )
    if "adadelta" not in names or len(names) < 4:
        raise LackingError("the arms do not both hold cross-entropy with Adadelta and three other optimizers")
    ranks: list[dict[Block, float]] = []
    for cells in (fixed, tuned):
        scores = np.stack([_column(cells, "ce", name) for name in names], axis=1)
        scores[~_scored(cells, *(Recipe("ce", name) for name in names))] = nan
        full = np.flatnonzero(~np.isnan(scores).any(axis=1)).tolist()
        found = stats.rankdata(-complete(scores), axis=1)[:, names.index("adadelta")]
        ranks.append({cells.blocks[line]: float(rank) for line, rank in zip(full, found, strict=True)})
    common = sorted(ranks[0].keys() & ranks[1].keys())
    both = by_network(common, np.array([[one[block] for one in ranks] for block in common], float).reshape(-1, 2))
    if len(both) < LEAST:
        raise LackingError(_few(len(both), "all optimizers in both arms"))
    gain = mean_difference(both[:, 0] - both[:, 1])
    before, after = both.mean(axis=0).tolist()
    why = f"mean rank {before:.2f} of {len(names)} at the fixed rate, {after:.2f} tuned: better by {gain:.2f} ranks"
    return _Answer(gain, _CLIMBS, gain.low >= _CLIMBS, gain.high < _CLIMBS, why, len(both), "ranks")


def _column(cells: Cells, loss: str, optimizer: str, scale: float = 1.0) -> Floats:
    what = Recipe(loss, optimizer, scale)
    found = cells.of(what)
    if found is None:
        raise LackingError(f"the arm holds no training of {what}")
    return found


def _scored(cells: Cells, *what: Recipe) -> NDArray[np.bool_]:
    """[blocks] whether some training of these has a score: where all failed, they can't be told apart."""
    places = [cells.what.index(one) for one in what]
    return np.asarray((cells.failed < cells.trained)[:, places].any(axis=1))


def _both(cells: Cells, differences: Floats, *what: Recipe) -> Floats:
    """Differences between some combinations, by block: those of the networks that hold them all."""
    merged = by_network(cells.blocks, np.where(_scored(cells, *what), differences, nan))
    return np.asarray(merged[~np.isnan(merged)], float)


def _gaps(cells: Cells, one: Recipe, other: Recipe) -> Floats:
    """[blocks] one less the other; NaN where either is lacking, or none has a score."""
    gaps = _column(cells, one.loss, one.optimizer) - _column(cells, other.loss, other.optimizer)
    return np.where(_scored(cells, one, other), gaps, nan)


def _gap(cells: Cells, one: tuple[str, str], other: tuple[str, str]) -> Floats:
    first, second = Recipe(*one), Recipe(*other)
    return _enough(cells, _gaps(cells, first, second), f"a score of {first} or {second}, and trainings of both")


def _enough(cells: Cells, values: Floats, what: str) -> Floats:
    """Of values by block, those of the networks that hold what is asked for."""
    merged = by_network(cells.blocks, values)
    known = merged[~np.isnan(merged)]
    if len(known) < LEAST:
        raise LackingError(_few(len(known), what))
    return np.asarray(known, float)


def _few(number: int, what: str) -> str:
    return f"{counted(number, 'network')} with {what}: the claim needs {LEAST} or more"


def _ratio(above: Floats, below: Floats) -> Estimate:
    """mean(above) / mean(below) of paired values, the second clear of 0. E. C. Fieller (1954), JRSS B 16:175-185."""
    n = len(above)
    t = float(special.stdtrit(n - 1, 1 - ALPHA / 2)) ** 2 / n
    (s11, s12), (_, s22) = np.cov(above, below)
    a, b = float(above.mean()), float(below.mean())
    lead, middle, last = b * b - t * s22, a * b - t * s12, a * a - t * s11
    half = sqrt(max(0.0, middle * middle - lead * last))
    return Estimate(a / b, float((middle - half) / lead), float((middle + half) / lead))


def _points(estimate: Estimate) -> str:
    return f"{100 * estimate.value:+.2f} [{100 * estimate.low:+.2f}, {100 * estimate.high:+.2f}] points"


_CLAIMS: Sequence[tuple[str, str, Callable[[Cells], _Answer]]] = (
    ("ce_adam_robust", "Cross-entropy with Adam or AdamW is the most robust combination", _robust),
    ("ngl_sgd_bad", "NGL is bad under SGD", _under("ngl", "sgd", ("ce", "sgd"))),
    ("ngl_sgd_is_scale", f"NGL's gap under SGD is its scale: x {SCALE:g} closes two thirds of it or more", _scaled),
    ("ngl_adaptive", "NGL is competitive with adaptive optimizers", _adaptive),
    ("adadelta_bad", "Adadelta is bad", _under("ce", "adadelta", ("ce", "adam"))),
    ("adagrad_bad", "Adagrad is bad", _under("ce", "adagrad", ("ce", "adam"))),
    ("adam_is_adamw", "Adam and AdamW do not differ", _equivalent),
    ("itself", "Control: a combination does not differ from itself on other seeds", _itself),
)
