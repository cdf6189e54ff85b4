"""The table: a row for each training of one epoch, and the numbers that rules see of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, spearmanr
from sklearn.linear_model import LinearRegression, RidgeCV

from deltanas.intervals import mean
from deltanas.learn.released import insertion, is_idle
from deltanas.lemur import TRANSFORMS, Memory, import_tree, open_tree
from deltanas.lemur.shares import converted
from deltanas.lemur.transforms import CALLS, SIDE, Call, read_released
from deltanas.program.transforms import Step

Floats = NDArray[np.float64]
MODES = ("constant", "edge", "reflect", "symmetric")


@dataclass(frozen=True)
class Entry:
    """One training of one epoch."""

    name: str
    text: str
    accuracy: float

    @cached_property
    def calls(self) -> tuple[Call, ...]:
        return read_released(self.text).calls

    @cached_property
    def sequence(self) -> tuple[str, ...]:
        """Its operations in their order, as the file has them."""
        return tuple(call.name for call in self.calls)

    @cached_property
    def policy(self) -> tuple[Step, ...]:
        """Its operations that do something, in terms of the menu."""
        return tuple(step for step in converted(read_released(self.text), SIDE).steps if not is_idle(step))

    @cached_property
    def family(self) -> str:
        """As in `transform_edits`; "" where nothing is done."""
        return "+".join(sorted(step.name for step in self.policy))

    @cached_property
    def edit(self) -> str:
        """The edit of no transform that makes the policy."""
        return insertion(self.policy)


def read_table(wheel: Path) -> tuple[list[Entry], dict[str, int]]:
    """The trainings of one epoch that did not fail, and how many files and trials there are."""
    shelf = Memory()
    with open_tree(wheel, TRANSFORMS) as tree:
        files = [name for name in tree.names if TRANSFORMS.program_name(name)]
        broken = import_tree(tree, shelf, lambda *_: None, TRANSFORMS).broken
    first = [trial for trial in shelf.trials if trial.epoch == 1]
    entries = [
        Entry(trial.experiment.program, shelf.sources[trial.experiment.program], trial.accuracy)
        for trial in first
        if trial.failure is None
    ]
    counts = {
        "brute_force_files": sum(name.startswith("out_gen/") for name in files),
        "other_files": sum(name.startswith("dataset_epoch1/") for name in files),
        "by_a_model": sum(name.rpartition("/")[2][0] == "A" and "B" in name for name in files),
        "refused": len(broken),
        "one_epoch": len(first),
        "failed": len(first) - len(entries),
        "five_epochs": sum(trial.epoch == 5 for trial in shelf.trials),
    }
    return entries, counts


def presence(entries: Sequence[Entry]) -> Floats:
    """[n, 19]: which operations it has."""
    return np.array([[name in entry.sequence for name in CALLS] for entry in entries], float)


def parameters(entries: Sequence[Entry]) -> Floats:
    """[n, 61]: which operations it has, and each number of theirs, 0 where it lacks the operation."""
    return np.hstack([presence(entries), np.array([_numbers(entry) for entry in entries])])


def _numbers(entry: Entry) -> list[float]:
    given = {call.name: call.arguments for call in entry.calls}
    found: list[float] = []
    for name, known in CALLS.items():
        for key in known:
            width = _width(name, key)
            value = given[name].get(key) if name in given else None
            if key == "padding_mode":
                found += [float(value == mode) for mode in MODES[1:]]
            elif value is None:
                found += [0.0] * width
            else:
                numbers = value if isinstance(value, tuple) else (value,)
                found += [float(one) for one in (*numbers, 0.0, 0.0)[:width]]
    return found


def _width(name: str, key: str) -> int:
    if (name, key) in (("Grayscale", "num_output_channels"), ("RandomResizedCrop", "size"), ("RandomCrop", "padding")):
        return 0
    pairs = ("scale", "ratio", "translate", "sigma") + (("shear",) if name == "RandomAffine" else ())
    return 3 if key == "fill" else 2 if key in pairs else 1


def ridge(train: Sequence[Entry], test: Sequence[Entry]) -> Floats:
    x, y = parameters(train), np.array([entry.accuracy for entry in train])
    spread = x.std(0) + 1e-9
    model = RidgeCV(alphas=np.logspace(-2, 3, 11)).fit(x / spread, y)
    return np.asarray(model.predict(parameters(test) / spread), float)


def additive(train: Sequence[Entry], test: Sequence[Entry]) -> Floats:
    model = LinearRegression().fit(presence(train), [entry.accuracy for entry in train])
    return np.asarray(model.predict(presence(test)), float)


def op_mean(train: Sequence[Entry], test: Sequence[Entry]) -> Floats:
    """The mean, over its operations, of the mean accuracy of the trainings with that operation."""
    x, y = presence(train), np.array([entry.accuracy for entry in train])
    means = (x.T @ y) / np.maximum(x.sum(0), 1)
    own = presence(test)
    return np.asarray((own @ means) / own.sum(1), float)


def fewest(_: Sequence[Entry], test: Sequence[Entry]) -> Floats:
    """The fewer operations, the better."""
    return np.array([-len(entry.sequence) for entry in test], float)


RULES: Mapping[str, Callable[[Sequence[Entry], Sequence[Entry]], Floats]] = {
    "ridge": ridge,
    "additive": additive,
    "op mean": op_mean,
    "fewest operations": fewest,
}


def noise(entries: Sequence[Entry]) -> dict[str, float]:
    """Standard deviation of one training, of texts that were trained more than once, with a 95 % interval."""
    groups: dict[str, list[float]] = defaultdict(list)
    for entry in entries:
        groups[entry.text].append(entry.accuracy)
    repeated = [some for some in groups.values() if len(some) > 1]
    freedom = sum(len(some) - 1 for some in repeated)
    squares = sum(float(np.var(some)) * len(some) for some in repeated)
    low, high = (float(np.sqrt(squares / chi2.ppf(at, freedom))) for at in (0.975, 0.025))
    return {"groups": len(repeated), "files": sum(map(len, repeated)), "freedom": freedom,
            "sd": float(np.sqrt(squares / freedom)), "low": low, "high": high}  # fmt: skip


def known_answers(entries: Sequence[Entry]) -> dict[str, Any]:
    """What anyone who reads the table has to find."""
    singles = [entry.accuracy for entry in entries if not entry.policy and len(entry.sequence) == 1]
    every = [entry.accuracy for entry in entries if not entry.policy]
    depths = {str(depth): [e.accuracy for e in entries if len(e.sequence) == depth] for depth in (1, 2, 3)}
    chance = np.random.default_rng(0)
    order = chance.permutation(len(entries))
    cut = round(0.3 * len(entries))
    test, train = ([entries[place] for place in places] for places in (order[:cut], order[cut:]))
    found, truth = additive(train, test), np.array([entry.accuracy for entry in test])
    whole = LinearRegression().fit(presence(entries), [entry.accuracy for entry in entries])
    return {
        "trainings": len(entries),
        "sources": len({entry.text for entry in entries}),
        "sequences": len({entry.sequence for entry in entries}),
        "mean": float(np.mean([entry.accuracy for entry in entries])),
        "best": max(entry.accuracy for entry in entries),
        "noise": noise(entries),
        "nothing_done": {"singles": _mean(singles), "all": _mean(every)},
        "by_depth": {depth: {**_mean(some), "best": max(some)} for depth, some in depths.items()},
        "additive": {"r2": _r2(found, truth), "spearman": float(spearmanr(found, truth).statistic),
                     "intercept": float(whole.intercept_),
                     "effects": dict(sorted(zip(CALLS, map(float, whole.coef_), strict=True), key=lambda x: -x[1]))},
        "ridge_on_sequences": _by_sequence(entries),
    }  # fmt: skip


def _by_sequence(entries: Sequence[Entry]) -> dict[str, float]:
    """Ridge where 30 % of the ordered sequences are held out; the share of pairs is of those beyond noise."""
    names = sorted({entry.sequence for entry in entries})
    held = {names[place] for place in np.random.default_rng(0).permutation(len(names))[: round(0.3 * len(names))]}
    train, test = ([e for e in entries if (e.sequence in held) is side] for side in (False, True))
    found, truth = ridge(train, test), np.array([entry.accuracy for entry in test])
    right, pairs = right_pairs(found, truth, np.full(len(test), noise(entries)["sd"]))
    return {"files": len(test), "r2": _r2(found, truth), "spearman": float(spearmanr(found, truth).statistic),
            "pairs": pairs, "right": right / pairs}  # fmt: skip


def right_pairs(scores: Floats, truth: Floats, errors: Floats, beyond: float = 1.645) -> tuple[float, int]:
    """Of the pairs that differ beyond noise, how many are in the right order (a tie counts half), and how many."""
    gap = truth[:, None] - truth[None, :]
    counted = gap > beyond * np.hypot(errors[:, None], errors[None, :])
    order = np.sign(scores[:, None] - scores[None, :])[counted]
    return float((order > 0).sum() + 0.5 * (order == 0).sum()), int(counted.sum())


def _mean(values: Sequence[float]) -> dict[str, float]:
    found = mean(values)
    assert found is not None
    return {"n": len(values), "mean": found.value, "low": found.low, "high": found.high,
            "sd": float(np.std(values, ddof=1)), "most": max(values)}  # fmt: skip


def _r2(found: Floats, truth: Floats) -> float:
    return float(1 - ((found - truth) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())
