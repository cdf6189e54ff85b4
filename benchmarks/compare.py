"""Does the model add something over a sampler? Strategies with the same baselines, equal trainings and equal time.

    printf '[model]\nchoice = "any"\n' >any.toml
    deltanas learn tune benchmarks/gains --config any.toml --held-out .3 --preferences --out ADAPTER
    python -m benchmarks compare --gains benchmarks/gains --adapter ADAPTER --out DIR [--arms random,tuned]
    python -m benchmarks compare --gains benchmarks/gains --out DIR --arms random,screened --seeds 12 [--set growth=1.5]

    random     the uniform sampler               bandit     the same draws, kinds by what this search gained
    rule       the same draws, kinds by what the measured edits gained on the baselines that are not held out
    evolution  the same draws, parents by tournament
    screened   the same draws, 30 a slot, ranked by the measured edits of the baselines that are not held out
    frozen     the model as it is                tuned      the model with the adapter
    ranked     the model with the adapter, which writes nothing: it ranks draws of the sampler (`model.choice`)
    large      frozen, of --large                large-ranked    ranked, of --large with --large-adapter
    none       no search: the best baselines, always among the arms

Each searches from the baselines that the tuning held out, with the seeds 0, 1, ... Fixed before the first search:

    test    accuracy on the test images of the three best elites, each trained with four fresh seeds (the first metric)
    gain    of every trained candidate over its parent, on the validation images
    beats   share of the trained candidates that beat their parent

Each is given at equal trainings (the candidates that every search has) and at equal seconds (what fits into the time of
the fastest search, calls of the model and trainings; build checks, some 50 ms each, are not in it). `test` is compared
with `random` search by search, t-intervals over the searches; `gain` and `beats` have intervals over the candidates.
Interrupt it at any moment; the same command goes on. It ends with a JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from statistics import fmean
from typing import Any

import deltanas
from benchmarks.table import stamp
from deltanas import intervals
from deltanas.config import TrainConfig
from deltanas.forecast import Table, rows_of, write_table
from deltanas.journal import Journal
from deltanas.learn.corpus import held_families
from deltanas.learn.sources import EDITS, METHOD, gains_edits
from deltanas.program import Trained
from deltanas.propose import RandomProposer, Space
from deltanas.records import Candidate, RunView
from deltanas.sandbox import Pool
from deltanas.seams import Builds
from deltanas.search import training_seed
from deltanas.settings import given_settings, merged, setting
from deltanas.thompson import Known, thompson
from deltanas.whole import append_rows, read_rows
from deltanas.wiring import open_dataset_pool

ARMS = ("random", "rule", "bandit", "evolution", "frozen", "tuned")
ELITES, FRESH = 3, 4
BATCH, MAX_TOKENS = 16, 256
TABLE = "screen.json.gz"
Interval = dict[str, float | int]


class Rule(RandomProposer):
    """The uniform sampler, but for the kind, which comes from gains that were measured before."""

    strategy = "rule"

    def __init__(self, builds: Builds, known: Mapping[str, Sequence[float]]) -> None:
        gains = Known.of(known)
        super().__init__(Space(builds, kinds=lambda ask: thompson(gains, ask.rng("kind"))))


@dataclass(frozen=True)
class Part:
    """A search, cut short: the candidates that it had made by then, and these with its baselines."""

    arm: str
    journal: list[Candidate]
    made: list[Candidate]

    @property
    def gains(self) -> list[tuple[str, float]]:
        """(baseline, gain) of the trained candidates."""
        scores = {c.program.id: c.score for c in self.journal if c.program and c.score is not None}
        journal, found = Journal(self.journal), []
        for candidate in self.made:
            before = scores.get(candidate.parent or "")
            if candidate.score is not None and before is not None:
                found.append((journal.family(candidate), candidate.score - before))
        return found

    @property
    def best(self) -> list[str]:
        """Identities of the elites; a search without enough of them has its best baselines in their place."""
        baselines = sorted((c for c in self.journal if not c.cycle), key=lambda c: -(c.score or 0.0))
        return [c.program.id for c in (*Journal(self.journal).improvements, *baselines) if c.program][:ELITES]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gains", type=Path, required=True)
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--llm", default="smollm2")
    parser.add_argument("--large", help="another model, of the arms large and large-ranked")
    parser.add_argument("--large-adapter", type=Path)
    parser.add_argument("--offers", type=int, default=6, help="edits among which the model chooses")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--choice", default="any", help="goal | any: what the models but ranked ones choose among")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cycles", type=int, default=6)
    parser.add_argument("--candidates", type=int, default=16)
    parser.add_argument("--held-out", type=float, default=0.3)
    parser.add_argument("--train-size", type=int, help="as the edits were measured, if not given")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE, a setting of all searches")
    given = parser.parse_args()
    arms = given.arms.split(",")
    for arm, option in (("tuned", "adapter"), ("ranked", "adapter"), ("large", "large"), ("large-ranked", "large")):
        if arm in arms and getattr(given, option) is None:
            parser.error(f"the arm {arm} takes --{option}")
    method = json.loads((given.gains / METHOD).read_text("utf-8"))
    held, known = measured(given.gains, given.held_out)
    if "screened" in arms:
        seen = [edit for edit in gains_edits(given.gains) if edit.family not in held]
        given.out.mkdir(parents=True, exist_ok=True)
        write_table(given.out / TABLE, Table(tuple(rows_of(seen))))
    train = {"size": given.train_size or method["train_size"], "workers": given.workers, "threads": 1, "epochs": 1}
    own = given_settings(options=dict(map(setting, given.set)))
    views: dict[tuple[str, int], RunView] = {}
    for seed in range(given.seeds):
        for arm in arms:
            sys.stderr.write(f"{arm}, seed {seed}\n")
            views[arm, seed] = deltanas.search(
                merged(
                    {"dataset": method["dataset"], "baselines": held, "train": train, **_settings(arm, seed, given)},
                    own,
                ),
                run=given.out / f"{arm}-{seed}",
                proposer=(lambda builds: Rule(builds, known)) if arm == "rule" else None,
            )
    parts = _cuts(views)
    config = final_training(train, own)
    with open_dataset_pool(method["dataset"], config) as pool:
        way = config.model_dump(mode="json", exclude={"workers", "cache", "unsafe"})
        stamp(given.out / "tests.json", {"dataset": method["dataset"], "train": way}, pool.tier)
        tests = _tested(given.out / "tests.jsonl", [part for some in parts.values() for part in some], views, pool)
    rule = {kind: round(fmean(values), 4) for kind, values in sorted(known.items())}
    found = {name: _compared(some, tests) for name, some in parts.items()}
    told = {"held_out": held, "rule": rule, "searches": given.seeds, **found}
    sys.stdout.write(json.dumps(told, indent=1) + "\n")


def final_training(train: Mapping[str, object], own: Mapping[str, Any]) -> TrainConfig:
    """How the elites are trained for the test: as in the searches. own: the settings of `--set`."""
    return TrainConfig.read(merged({"train": train}, own)["train"])


def measured(folder: Path, share: float) -> tuple[list[str], dict[str, list[float]]]:
    """The baselines that are held out, and the gains of the others' edits, by kind."""
    kinds, edits = kinds_of(folder), gains_edits(folder)
    held = sorted(held_families({edit.family for edit in edits}, share, 0))
    known: defaultdict[str, list[float]] = defaultdict(list)
    for edit in edits:
        if edit.family not in held:
            known[kinds[edit.origin]].append(edit.gain)
    return held, dict(known)


def kinds_of(folder: Path) -> dict[str, str]:
    """By origin, the kind of each measured edit."""
    return {f"gains {row['draw']}": str(row["kind"]) for row in read_rows(folder / EDITS)}


def _settings(arm: str, seed: int, given: argparse.Namespace) -> dict[str, object]:
    """How one search differs from the others."""
    models = {
        "frozen": (given.llm, None, given.choice),
        "tuned": (given.llm, given.adapter, given.choice),
        "ranked": (given.llm, given.adapter, "ranked"),
        "large": (given.large, None, given.choice),
        "large-ranked": (given.large, given.large_adapter, "ranked"),
    }
    strategy = "delta" if arm in models else "random" if arm in ("rule", "screened") else arm
    settings = {"strategy": strategy, "seed": seed, "cycles": given.cycles, "candidates": given.candidates, "finals": 0}
    if arm == "screened":
        settings["screen"] = str(given.out / TABLE)
    if arm in models:
        spec, adapter, choice = models[arm]
        model = {"spec": spec, "choice": choice, "offers": given.offers}
        if not str(spec).startswith("openai:"):
            model["dtype"] = given.dtype
        settings["model"] = {**model, "batch": BATCH, "max_tokens": MAX_TOKENS} | (
            {"adapter": str(adapter.resolve())} if adapter else {}
        )
    return settings


def _cuts(views: Mapping[tuple[str, int], RunView]) -> dict[str, list[Part]]:
    """The searches, cut to be compared: to equal trainings, and to equal seconds."""
    fewest = min(len(_made(view)) for view in views.values())
    shortest = min(sum(map(_seconds, _made(view))) for view in views.values())
    first = next(arm for arm, _ in views)
    none = [_part("none", view, 0) for (arm, _), view in views.items() if arm == first]
    return {
        "equal_trainings": [_part(arm, view, fewest) for (arm, _), view in views.items()] + none,
        "equal_seconds": [_part(arm, view, _within(_made(view), shortest)) for (arm, _), view in views.items()] + none,
    }


def _within(made: Sequence[Candidate], seconds: float) -> int:
    """How many of the candidates were done in that time."""
    return sum(spent <= seconds + 1e-6 for spent in accumulate(map(_seconds, made)))


def _part(arm: str, view: RunView, count: int) -> Part:
    made = _made(view)[:count]
    return Part(arm, [c for c in view.candidates if not c.cycle] + made, made)


def _made(view: RunView) -> list[Candidate]:
    return [candidate for candidate in view.candidates if candidate.cycle]


def _seconds(candidate: Candidate) -> float:
    calls = sum(call.seconds for attempt in candidate.attempts for call in attempt.calls)
    return calls + sum(training.seconds for training in candidate.trainings)


def _tested(
    path: Path, parts: Sequence[Part], views: Mapping[tuple[str, int], RunView], pool: Pool
) -> dict[str, list[float]]:
    """By program, its accuracies on the test images with fresh seeds. What `path` holds is not trained again."""
    programs = {name: program for view in views.values() for name, program in view.programs.items()}
    wanted = list(dict.fromkeys(name for part in parts for name in part.best))
    found: defaultdict[str, list[float]] = defaultdict(list)
    done = {(row["program"], row["repeat"]) for row in read_rows(path)}
    for repeat in range(FRESH):
        missing = [name for name in wanted if (name, repeat) not in done]
        seed = training_seed(0, "test", repeat)
        for place, outcome in pool.train([programs[name] for name in missing], seed=seed, split="test"):
            # A network that fails is worth nothing.
            accuracy = outcome.score if isinstance(outcome, Trained) else 0.0
            append_rows(path, [{"program": missing[place], "repeat": repeat, "accuracy": accuracy}])
    for row in read_rows(path):
        found[str(row["program"])].append(float(str(row["accuracy"])))
    return found


def _compared(parts: Sequence[Part], tests: Mapping[str, Sequence[float]]) -> dict[str, object]:
    by_arm: defaultdict[str, list[Part]] = defaultdict(list)
    for part in parts:
        by_arm[part.arm].append(part)
    scores = {arm: [fmean(fmean(tests[name]) for name in part.best) for part in some] for arm, some in by_arm.items()}
    told: dict[str, object] = {}
    for arm, some in by_arm.items():
        gains = [gain for part in some for gain in part.gains]
        families = sorted({family for family, _ in gains})
        beats = intervals.wilson(sum(gain > 0 for _, gain in gains), len(gains)) if gains else None
        row: dict[str, object] = {
            "trained": len(gains),
            "seconds": round(fmean(sum(map(_seconds, part.made)) for part in some), 1),
            "test": mean(scores[arm]),
            "test_by_search": [round(score, 4) for score in scores[arm]],
            "gain": mean([gain for _, gain in gains]),
            "beats": {"value": beats.value, "low": beats.low, "high": beats.high} if beats else None,
            "gain_by_baseline": {family: mean([gain for name, gain in gains if name == family]) for family in families},
        }
        if "random" in scores and arm != "random":
            row["test_over_random"] = mean([a - b for a, b in zip(scores[arm], scores["random"], strict=True)])
            control = [gain for part in by_arm["random"] for _, gain in part.gains]
            row["gain_over_random"] = _told(intervals.mean_difference([gain for _, gain in gains], control), len(gains))
        told[arm] = row
    return told


def mean(values: Sequence[float]) -> Interval:
    """Mean with its t-interval; one value has none."""
    if len(values) < 2:
        return {"value": round(fmean(values), 4), "n": len(values)} if values else {"n": 0}
    return _told(intervals.mean(values), len(values))


def _told(found: intervals.Estimate | None, n: int) -> Interval:
    if found is None:
        return {"n": n}
    return {"value": round(found.value, 4), "low": round(found.low, 4), "high": round(found.high, 4), "n": n}


if __name__ == "__main__":
    main()
