"""What a released table of 6,000 measured transforms says, who ranks it, and how fast searches find its best.

    python -m benchmarks transforms nn_gpt-1.0.6-py3-none-any.whl --out benchmarks/augmentation [--model smollm2]

known.json    answers that a reader of the table has to find: noise, no transform, an additive model, depths
ranking.json  policies of held-out sets of operations, in pairs that differ beyond noise: the share in the right order,
              by rules and by a model; and the mean accuracy of the ten that each ranks highest
replay.json   trainings until one reaches .59, by searches on the table; "given" ones were made from the rest of it

A policy is a list of operations that do something; its accuracy is the mean over its trainings. Nothing is trained.
The model is asked with --model alone: it scores `--policies` held-out policies as it is, is tuned on pairs of the
others (DPO), and on pairs with shuffled outcomes. Interrupt it at any moment: the same command goes on. SmolLM2 took
27 s of one core for a step of 8 pairs and .6 s for an answer: about 45 minutes of two cores for 1,000 pairs.
Intervals, 95 %: bootstrap over sets of operations, of 1,000 draws, or 100 where more than 400 policies are ranked; of
replays: over replays; `needed`: for other trainings without a transform than the few that there are.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from benchmarks.augmentation.model import Ranking
from benchmarks.augmentation.replay import BLIND, best_of, board_of, idle_board, needed, repeated, replayed
from benchmarks.augmentation.table import RULES, Entry, Floats, known_answers, read_table, right_pairs
from deltanas.learn import Tuning
from deltanas.learn.corpus import held_families
from deltanas.learn.measured import MeasuredEdit
from deltanas.whole import write_whole
from deltanas.wiring.released import wheel_edits

HELD_OUT, SEED = 0.3, 0
TOP, DRAWS = 10, 1_000
OFFERED = (6, 64)
"""Files that a ranking is offered at a time: as many as a strategy offers a model, and many."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--replays", type=int, default=1_000)
    parser.add_argument("--model", help="language model that ranks, as smollm2; none if not given")
    parser.add_argument(
        "--adapters", type=Path, help="folder of the model's scores and adapters; default: runs/ranking"
    )
    parser.add_argument("--policies", type=int, default=300, help="held-out policies that the model scores")
    parser.add_argument("--pairs", type=int, default=1_000, help="largest number of pairs to tune on")
    parser.add_argument("--rate", type=float, default=2e-4)
    parser.add_argument("--batch", type=int, default=8)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    entries, counts = read_table(given.wheel)
    _write(given.out / "known.json", {"files": counts, **known_answers(entries)})
    edits = wheel_edits(given.wheel, lambda _: None)
    held = set(held_families({edit.family for edit in edits}, HELD_OUT, SEED))
    scores = _model_scores(given, edits, held) if given.model else {}
    _write(given.out / "ranking.json", _ranking(entries, edits, held, scores))
    _write(given.out / "replay.json", _replay(entries, held, scores, given.replays))


def _write(path: Path, found: Mapping[str, Any]) -> None:
    write_whole(path, json.dumps(found, indent=1) + "\n")
    sys.stdout.write(f"{path}\n")


def _model_scores(
    given: argparse.Namespace, edits: Sequence[MeasuredEdit], held: set[str]
) -> dict[str, dict[str, float]]:
    train, test = ([edit for edit in edits if (edit.family in held) is side] for side in (False, True))
    few = Random(f"{SEED}:policies").sample(test, min(given.policies, len(test)))
    settings = Tuning(rate=given.rate, batch=given.batch)
    folder = given.adapters or Path("runs/ranking")
    folder.mkdir(parents=True, exist_ok=True)
    return Ranking(folder, given.model, given.pairs, settings, SEED).scores(train, few)


def _ranking(
    entries: Sequence[Entry], edits: Sequence[MeasuredEdit], held: set[str], scores: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    """Where a model scored some of the policies, all arms are told on these; the rules on all too."""
    train = [entry for entry in entries if entry.policy and entry.family not in held]
    test = [edit for edit in edits if edit.family in held]
    shown_by = {entry.edit: entry for entry in entries}
    shown = [shown_by[edit.edit] for edit in test]
    rules = {
        name: dict(zip((edit.edit for edit in test), rule(train, shown), strict=True)) for name, rule in RULES.items()
    }
    few = [edit for edit in test if all(edit.edit in some for some in scores.values())]
    none = [entry.accuracy for entry in entries if not entry.policy]
    found: dict[str, Any] = {
        "held_out": {"sets": len(held), "policies": len(test), "trained_on": len(train)},
        "no transform": {"n": len(none), "mean": float(np.mean(none)), "right": 0.5},
        "all held-out policies": {name: _arm(test, some) for name, some in rules.items()},
    }
    if scores:
        found[f"{len(few)} policies"] = {name: _arm(few, some) for name, some in {**rules, **scores}.items()}
    return found


def _arm(edits: Sequence[MeasuredEdit], scores: Mapping[str, float]) -> dict[str, float]:
    """Pairs in the right order, and the mean accuracy of the top, with intervals over families."""
    merit = np.array([scores[edit.edit] for edit in edits], float)
    truth = np.array([edit.accuracy for edit in edits])
    errors = np.array([edit.noise or 0.0 for edit in edits])
    right, pairs = right_pairs(merit, truth, errors)
    places: dict[str, list[int]] = defaultdict(list)
    for place, edit in enumerate(edits):
        places[edit.family].append(place)
    groups, chance = list(places.values()), np.random.default_rng(SEED)
    draws = [_resampled(groups, chance, merit, truth, errors) for _ in range(DRAWS if len(edits) <= 400 else 100)]
    low, high = np.quantile([share for share, _ in draws], [0.025, 0.975])
    top_low, top_high = np.quantile([top for _, top in draws], [0.025, 0.975])
    return {"pairs": pairs, "right": right / pairs, "low": float(low), "high": float(high),
            "top": _top(merit, truth), "top_low": float(top_low), "top_high": float(top_high)}  # fmt: skip


def _resampled(
    groups: Sequence[Sequence[int]], chance: np.random.Generator, merit: Floats, truth: Floats, errors: Floats
) -> tuple[float, float]:
    chosen = [place for group in chance.integers(len(groups), size=len(groups)) for place in groups[group]]
    right, pairs = right_pairs(merit[chosen], truth[chosen], errors[chosen])
    return right / pairs, _top(merit[chosen], truth[chosen])


def _top(merit: Floats, truth: Floats) -> float:
    return float(truth[np.argsort(-merit, kind="stable")[:TOP]].mean())


def _replay(
    entries: Sequence[Entry],
    held: set[str],
    scores: Mapping[str, Mapping[str, float]],
    replays: int,
) -> dict[str, Any]:
    """On the whole table, and, for arms that were made from the rest, on its held-out part."""
    idle = [entry for entry in entries if not entry.policy and len(entry.sequence) == 1]
    outside = [entry for entry in entries if entry.family in held]
    train = [entry for entry in entries if entry.policy and entry.family not in held]
    whole, part = board_of(entries), board_of(outside)
    found: dict[str, Any] = {"threshold": 0.59, "whole": {"files": len(entries)}, "held out": {"files": len(outside)}}
    for where, board in (("whole", whole), ("held out", part)):
        without = idle_board(idle)
        found[where]["identity"] = {**replayed([without], repeated, "identity", replays), **needed(without)}
        for name, arm in BLIND.items():
            found[where][name] = _timed(name, partial(replayed, [board], arm, name, replays))
    merits = {name: rule(train, outside) for name, rule in RULES.items()}
    for name, merit in merits.items():
        for offered in OFFERED:
            key = f"given {name}, best of {offered}"
            found["held out"][key] = replayed([part], best_of(merit, offered), key, replays)
    if scores:
        found["scored"] = _replay_scored(outside, scores, merits, replays)
    return found


def _replay_scored(
    outside: Sequence[Entry],
    scores: Mapping[str, Mapping[str, float]],
    rules: Mapping[str, Floats],
    replays: int,
) -> dict[str, Any]:
    """On the files whose policy the model scored."""
    known = set.intersection(*(set(some) for some in scores.values()))
    kept = [place for place, entry in enumerate(outside) if entry.edit in known]
    few = [outside[place] for place in kept]
    board = board_of(few)
    arms = {name: np.array([some[entry.edit] for entry in few]) for name, some in scores.items()}
    arms |= {name: merit[kept] for name, merit in rules.items()}
    found: dict[str, Any] = {"files": len(few), "reaching": int(board.hits.sum())}
    for name, arm in BLIND.items():
        found[name] = replayed([board], arm, name, replays)
    for name, merit in arms.items():
        for offered in OFFERED:
            key = f"given {name}, best of {offered}"
            found[key] = replayed([board], best_of(merit, offered), key, replays)
    return found


def _timed(name: str, work: Any) -> dict[str, float]:
    start = time.monotonic()
    found: dict[str, float] = work()
    sys.stderr.write(f"{name}: {time.monotonic() - start:.0f} s\n")
    return found


if __name__ == "__main__":
    main()
