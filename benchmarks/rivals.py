"""Is a search worth its seconds? What each rival hands over after equal seconds of training, judged after longer ones.

    python -m benchmarks rivals --out DIR [--seconds 360] [--seeds 12] [--arms none,longer,random,default,tpe]

    none       no search: the best baselines by their score; none@5: by their score after 5 epochs, as at rungs
    whole      no search: the best baselines by one training of the final length (every seed hands over the same)
    longer     the best baseline, trained with all the seconds that the others search
    default    `deltanas search` as it is            random     the uniform sampler, one epoch
    evolution  the same draws, parents by tournament local      the same draws, the parent is the best so far
    tpe        Optuna's TPE on a parametric convolutional network (benchmarks/parametric.py)
    NAME=JSON  settings of a search of one epoch, as 'short={"growth": "off"}', or of several, as 'two={"rungs": "1,5"}'

All arms have the same data, pool and recipe. A search is given cycles until its trainings (CPU seconds) and calls of a
model have taken the seconds, and is cut there; what else it does, as checks of edits, is in no arm's seconds. Those of
its baselines stand beside: where they are trained for longer, as at rungs, they are no small share. It hands over the
three networks that it ranks highest. These are the first metric, fixed before the first search:

    transfer   accuracy on the test images after the final training (`--final-size` images, `--final-epochs`, a fresh
               seed for each of `--fresh`), mean of the three; and of the one ranked highest
    cost       FLOPs and parameters of the three, as ratios to the best baseline

Arms are compared seed by seed, t-intervals over the searches. A network that several searches hand over is tested once
for all of them: with `--fresh 2` or more the luck of that training, which a t-interval takes for many, is added. No arm
has networks of more than `--growth` times the FLOPs or parameters (`off`: no limit): TPE of those of the best baseline,
a search of those of each one's own. Interrupt it at any moment; the same command goes on. It ends with JSON.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from math import inf
from pathlib import Path
from typing import Any

import deltanas
from benchmarks.parametric import best_of, score_of, tuned
from benchmarks.rivals_report import HANDED, compared
from benchmarks.table import Row, stamp
from deltanas import nets
from deltanas.archive import POINTER
from deltanas.config import TrainConfig
from deltanas.errors import UsageError
from deltanas.journal import Journal
from deltanas.policy import finalists
from deltanas.program import Program, Trained
from deltanas.records import Candidate
from deltanas.sandbox import Pool
from deltanas.search import training_seed
from deltanas.whole import append_rows, read_rows
from deltanas.wiring import open_dataset_pool, program_of

CYCLES = 400
"""More cycles than any number of seconds allows."""
ALIKE = ("dataset", "baselines", "train_size", "seconds", "candidates", "growth", "final_size", "final_epochs")
"""Options that all that a folder holds was made with."""
PLAIN: dict[str, object] = {"strategy": "random"}
SEARCHES: dict[str, dict[str, object]] = {
    "default": {},
    "random": PLAIN,
    "evolution": {"strategy": "evolution"},
    "local": {"strategy": "evolution", "evolution": {"population": 100_000, "share": 1.0}},
}
Handed = list[Row]
"""What an arm hands over with one seed, the best first: "text" and "prm" of a network, its "flops" and "params"."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--arms", default="none,longer,random,evolution,local,tpe,default")
    parser.add_argument("--dataset", default="fashion-mnist")
    parser.add_argument("--baselines", default=",".join(nets.baselines()))
    parser.add_argument("--train-size", type=int, default=4_000)
    parser.add_argument("--seconds", type=float, default=360.0, help="CPU seconds of trainings")
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument(
        "--first", type=int, default=0, help="the seed to begin with, where others have a process of their own"
    )
    parser.add_argument("--candidates", type=int, default=16)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--growth", type=growth_of, default=1.5)
    parser.add_argument("--final-size", type=int, default=10_000)
    parser.add_argument("--final-epochs", type=int, default=5)
    parser.add_argument("--fresh", type=int, default=1, help="number of final trainings of each network")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no search after so many")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    arms = [arm_of(text) for text in names_of(given.arms)]
    plan = Contest(given.out, given, tuple(given.baselines.split(",")))
    stamp(given.out / "contest.json", {key: getattr(given, key) for key in ALIKE}, "")
    for arm in arms:
        if arm.name not in SEARCHES and arm.settings is not None:
            stamp(given.out / f"arm-{arm.name}.json", {"settings": arm.settings}, "")
    deadline = time.monotonic() + 60 * given.minutes
    for seed in range(given.first, given.seeds):
        for arm in arms:
            if time.monotonic() < deadline:
                sys.stderr.write(f"{arm.name}, seed {seed}\n")
                plan.handed(arm, seed)
    tests = plan.tested([arm.name for arm in arms])
    sys.stdout.write(json.dumps(compared(plan.rows(), tests), indent=1) + "\n")


@dataclass(frozen=True)
class Arm:
    """settings: of a search; None where the name says what is done."""

    name: str
    settings: Mapping[str, object] | None


def arm_of(text: str) -> Arm:
    """Raises UsageError where it is none."""
    name, _, settings = text.partition("=")
    if settings:
        try:
            return Arm(name, dict(json.loads(settings)))
        except (ValueError, TypeError) as error:
            raise UsageError(
                f"the settings of arm {name} are no JSON object: {error}", f"""give {name}='{{"growth": 2}}'"""
            ) from None
    if name in ("none", "whole", "longer", "tpe") or re.fullmatch(r"none@[1-9]\d*", name):
        return Arm(name, None)
    if name not in SEARCHES:
        raise UsageError(
            f"no arm {name!r}",
            f"known: none, none@EPOCHS, whole, longer, tpe, {', '.join(SEARCHES)}, or NAME=JSON of settings",
        )
    return Arm(name, SEARCHES[name])


def growth_of(text: str) -> float | str:
    """As the setting of a search has it."""
    return text if text == "off" else float(text)


def names_of(text: str) -> list[str]:
    """Names at commas, but for those within braces."""
    found, depth = [""], 0
    for letter in text:
        depth += (letter == "{") - (letter == "}")
        if letter == "," and not depth:
            found.append("")
        else:
            found[-1] += letter
    return found


@dataclass(frozen=True)
class Contest:
    """All searches of all arms, kept in a folder."""

    out: Path
    given: argparse.Namespace
    baselines: tuple[str, ...]

    @property
    def _searching(self) -> dict[str, Any]:
        return {"size": self.given.train_size, "workers": self.given.workers, "threads": 1, "epochs": 1}

    def _trainings(self, arm: Arm) -> dict[str, Any]:
        """Of one epoch where the arm does not say otherwise; the default search asks its data."""
        asks = arm.name == "default" or "rungs" in (arm.settings or {})
        return {key: value for key, value in self._searching.items() if not asks or key != "epochs"}

    @property
    def _final(self) -> dict[str, Any]:
        return {**self._searching, "size": self.given.final_size, "epochs": self.given.final_epochs}

    def rows(self) -> list[Row]:
        """A row a network that was handed over."""
        return read_rows(self.out / "handed.jsonl")

    def handed(self, arm: Arm, seed: int) -> None:
        """Search, unless that was done, and keep what the arm hands over."""
        if any(row["arm"] == arm.name and row["seed"] == seed for row in self.rows()):
            return
        if arm.name == "tpe":
            found = self._tpe(seed)
        elif arm.name == "whole":
            found = self._whole()[:HANDED]
        elif arm.settings is None:
            found = self._baselines(seed, int(arm.name.partition("@")[2] or 1))[: 1 if arm.name == "longer" else HANDED]
        else:
            found = self._searched(arm, seed)
        if not found:
            raise UsageError(
                f"{arm.name}, seed {seed}: no network was trained in {self.given.seconds:g} s", "give more --seconds"
            )
        append_rows(
            self.out / "handed.jsonl",
            [{**row, "arm": arm.name, "seed": seed, "place": place} for place, row in enumerate(found)],
        )

    def _whole(self) -> Handed:
        """The baselines by one training of the final length, the best first; for every seed the same."""
        return self._scored("whole", 0, self._final)

    def _baselines(self, seed: int, epochs: int = 1) -> Handed:
        """The baselines as a search of this seed scores them after so many epochs, the best first."""
        if epochs == 1:
            return self._scored("baselines", seed, self._searching)
        return self._scored(f"baselines-{epochs}", seed, {**self._searching, "epochs": epochs}, epochs)

    def _scored(self, name: str, seed: int, length: Mapping[str, Any], rung: int | None = None) -> Handed:
        """The baselines by their validation score after trainings of that length, kept in the file of that name.

        rung: the number of epochs where it is the second length of a search, which has a seed of its own.
        """
        path = self.out / f"{name}.jsonl"
        with open_dataset_pool(self.given.dataset, TrainConfig(**length, timeout=3600)) as pool:
            method: Row = {"dataset": self.given.dataset, "train_size": length["size"], "data": pool.dataset.record}
            stamp(path.with_suffix(".json"), method, pool.tier)
            known = {row["baseline"] for row in read_rows(path) if row["seed"] == seed}
            names = [name for name in self.baselines if name not in known]
            programs = [program_of(nets.baseline(name)) for name in names]
            built = pool.build(programs)
            for place, outcome in pool.train(programs, seed=training_seed(seed, epochs=rung)):
                size = built[place]
                row: Row = {"seed": seed, "baseline": names[place], **_sized(size), **_text(programs[place])}
                append_rows(path, [{**row, "score": outcome.score if isinstance(outcome, Trained) else None,
                                    "seconds": outcome.cpu_seconds}])  # fmt: skip
        mine = [row for row in read_rows(path) if row["seed"] == seed]
        seconds = round(sum(float(str(row["seconds"])) for row in mine), 1)  # those that failed took theirs too
        told: Row = {"trained": 0, "spent": 0.0, "spent_on_baselines": seconds}
        scored = [{**row, **told} for row in mine if row["score"] is not None]
        return sorted(scored, key=lambda row: -float(str(row["score"])))

    def _searched(self, arm: Arm, seed: int) -> Handed:
        """A search that is given cycles until it has taken the seconds, cut there."""
        settings = {
            "dataset": self.given.dataset, "baselines": list(self.baselines), "seed": seed, "finals": 0,
            "candidates": self.given.candidates, "growth": self.given.growth, "train": self._trainings(arm),
            **(arm.settings or {}),
        }  # fmt: skip
        folder, rows = self.out / f"{arm.name}-{seed}", []
        for cycles in range(cycles_of(folder), CYCLES):
            view = deltanas.search({**settings, "cycles": cycles}, run=folder)
            rows = list(view.candidates)
            if sum(map(spent, _made(rows))) >= self.given.seconds:
                break
        kept = within(rows, self.given.seconds)
        best = _best(kept)
        known = [row for row in kept if not row.cycle]
        told = {"trained": len(_made(kept)), "spent": _seconds(_made(kept)), "spent_on_baselines": _seconds(known)}
        return [
            {**_sized(c.draft), **_text(c.program), "score": c.score, **told} for c in best if c.program is not None
        ]

    def _tpe(self, seed: int) -> Handed:
        champion = self._baselines(seed)[0]
        times = inf if self.given.growth == "off" else float(self.given.growth)
        most = {key: times * float(str(champion[key])) for key in ("flops", "params")}
        done: list[Any] = []
        seconds = 0.0
        with open_dataset_pool(self.given.dataset, TrainConfig(**self._searching, timeout=600)) as pool:
            for some in tuned(
                pool, seed, training_seed(seed), self.given.workers,
                lambda built: built.flops <= most["flops"] and built.params <= most["params"],
            ):  # fmt: skip
                seconds += sum(one.outcome.cpu_seconds for one in some)
                if seconds > self.given.seconds:
                    break
                done += some
        told = {"trained": len(done), "spent": round(seconds, 1),
                "spent_on_baselines": champion["spent_on_baselines"]}  # fmt: skip
        return [
            {"flops": one.flops, "params": one.params, **_text(one.program), "score": score_of(one), **told}
            for one in best_of(done, HANDED)
        ]

    def tested(self, arms: Sequence[str]) -> dict[tuple[str, int], list[float]]:
        """By program and epochs, the accuracies on the test images after final trainings. What is known stays."""
        path = self.out / "tests.jsonl"
        wanted: dict[tuple[str, int], Row] = {}
        for row in (row for row in self.rows() if row["arm"] in arms):
            wanted.setdefault((str(row["program"]), self._epochs(row)), row)
        done = {(row["program"], row["epochs"], row["repeat"]) for row in read_rows(path)}
        for epochs in sorted({epochs for _, epochs in wanted}):
            config = TrainConfig(**{**self._final, "epochs": epochs}, timeout=3600)
            rows = [row for (_, length), row in wanted.items() if length == epochs]
            with open_dataset_pool(self.given.dataset, config) as pool:
                for repeat in range(self.given.fresh):
                    self._train(path, [r for r in rows if (r["program"], epochs, repeat) not in done], pool, repeat)
        found: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
        for row in read_rows(path):
            found[str(row["program"]), int(str(row["epochs"]))].append(float(str(row["accuracy"])))
        return dict(found)

    def _train(self, path: Path, rows: Sequence[Row], pool: Pool, repeat: int) -> None:
        programs = [Program.of(str(row["text"]), prm=str(row["prm"]), transform=str(row["transform"])) for row in rows]
        for place, outcome in pool.train(programs, seed=training_seed(0, "test", repeat), split="test"):
            accuracy = outcome.score if isinstance(outcome, Trained) else 0.0  # a network that fails is worth nothing
            append_rows(path, [{"program": rows[place]["program"], "epochs": pool.epochs, "repeat": repeat,
                                "accuracy": accuracy, "seconds": round(outcome.cpu_seconds, 1)}])  # fmt: skip

    def _epochs(self, row: Row) -> int:
        """Of the final training: with all the seconds of a search for the arm that does not search."""
        final = int(self.given.final_epochs)
        if row["arm"] != "longer":
            return final
        epoch = float(str(row["seconds"])) * self.given.final_size / self.given.train_size
        return final + max(1, int(float(self.given.seconds) / epoch + 0.5))


def cycles_of(folder: Path) -> int:
    """Number of cycles that the search in this folder was lengthened to, and may not fall below; 1 where none is."""
    if not (folder / POINTER).exists():
        return 1
    config = deltanas.open_run(folder).manifest["config"]
    assert isinstance(config, dict)
    return int(config["cycles"])


def spent(candidate: Candidate) -> float:
    """CPU seconds of its trainings and seconds of the calls of a model."""
    calls = sum(call.seconds for attempt in candidate.attempts for call in attempt.calls)
    return calls + sum(training.cpu_seconds for training in candidate.trainings)


def _seconds(rows: Sequence[Candidate]) -> float:
    return round(sum(map(spent, rows)), 1)


def within(rows: Sequence[Candidate], seconds: float) -> list[Candidate]:
    """The baselines, and the candidates as far as they were trained in that time.

    Whoever is trained for longer is chosen once all of the cycle have had the shortest training, so these come first.
    """
    kept = [row for row in rows if not row.cycle]
    for _, some in groupby(_made(rows), key=lambda row: row.cycle):
        made = list(some)
        early = [row.at(row.shortest) or row for row in made]
        done = sum(total <= seconds for total in accumulate(map(spent, early)))
        seconds -= sum(map(spent, early))
        for row, short in zip(made[:done], early, strict=False):
            seconds -= spent(row) - spent(short)
            kept.append(row if seconds >= 0 else short)
        if seconds < 0:
            break
    return kept


def _made(rows: Sequence[Candidate]) -> list[Candidate]:
    return [row for row in rows if row.cycle]


def _best(rows: Sequence[Candidate]) -> list[Candidate]:
    """The finalists; a search without enough of them has its best baselines in their place."""
    baselines = sorted((c for c in rows if not c.cycle), key=lambda c: -(c.score or 0.0))
    return [*finalists(Journal(rows), (), HANDED), *baselines][:HANDED]


def _sized(known: object) -> Row:
    return {key: getattr(known, key, None) for key in ("flops", "params")}


def _text(program: Program) -> Row:
    return {"program": program.id, "text": program.net, "prm": program.prm, "transform": program.transform}


if __name__ == "__main__":
    main()
