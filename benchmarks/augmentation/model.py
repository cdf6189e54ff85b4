"""A model that ranks policies by likelihood: as it is, tuned on pairs, and tuned on pairs whose outcomes were shuffled.

A policy is the answer to one question: what to put in place of no transform. The score of a tuned model is how much
likelier the tuning made the answer (what DPO learns, but for a factor); of the model as it is, how likely a token is.
That is how choice "ranked" ranks.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import cast

from benchmarks.table import stamp
from deltanas.config import read_config
from deltanas.learn import Tuning, tune_preferences
from deltanas.learn.corpus import Phrasing, preferences_of
from deltanas.learn.measured import MeasuredEdit
from deltanas.llm import Lesson, Preference, Tunable
from deltanas.whole import append_rows, read_rows
from deltanas.wiring.proposing import model_of, proposer_of

FROZEN, TUNED, SHUFFLED = "frozen", "tuned", "shuffled outcomes"
TOGETHER = 16
"""Answers that are scored between two rows on the disk."""


@dataclass(frozen=True)
class Ranking:
    """Where scores and adapters are kept, and how much is done.

    Attributes:
        pairs: largest number of pairs to tune on. settings: of the tuning.
    """

    folder: Path
    spec: str
    pairs: int
    settings: Tuning
    seed: int = 0

    def scores(self, train: Sequence[MeasuredEdit], test: Sequence[MeasuredEdit]) -> dict[str, dict[str, float]]:
        """By arm, the score of each edit of `test` by its text. Goes on where it was interrupted.

        Raises UsageError where the folder has what another model, or another tuning, gave.
        """
        method = {"model": self.spec, "pairs": self.pairs, "seed": self.seed}
        stamp(self.folder / "ranking.json", method | {"tuning": self.settings.model_dump(mode="json")}, "")
        config = read_config({"model": {"spec": self.spec, "decoding": "free"}})
        model = cast("Tunable", model_of(config))
        phrasing = cast("Phrasing", proposer_of(config, None, model))
        lessons = {edit.edit: _lesson(phrasing, edit) for edit in test}
        found = {FROZEN: self._scored(FROZEN, model, lessons)}
        bare = found[FROZEN]
        for arm, edits in ((TUNED, train), (SHUFFLED, _shuffled(train, self.seed))):
            adapter = self.folder / arm.replace(" ", "_")
            if not (adapter / "lineage.json").exists():
                pairs = self._pairs(edits, phrasing)
                sys.stderr.write(f"{arm}: {len(pairs)} pairs\n")
                tune_preferences(model, pairs, self.settings, adapter, None, self.seed, note=_told)
            model.adapt(adapter)
            worn = self._scored(arm, model, lessons)
            model.adapt(None)
            found[arm] = {text: (bare[text][0] - nll, tokens) for text, (nll, tokens) in worn.items()}
        likely = {text: (-nll / tokens, tokens) for text, (nll, tokens) in bare.items()}
        return {
            arm: {text: score for text, (score, _) in rows.items()} for arm, rows in {**found, FROZEN: likely}.items()
        }

    def _pairs(self, edits: Sequence[MeasuredEdit], phrasing: Phrasing) -> list[Preference]:
        # Three edits make a pair, about: a third of the pairs are within noise.
        chance = Random(f"{self.seed}:pairs")
        few = chance.sample(list(edits), min(3 * self.pairs, len(edits)))
        pairs, _ = preferences_of(few, phrasing, ())
        return chance.sample(pairs, min(self.pairs, len(pairs)))

    def _scored(self, arm: str, model: Tunable, lessons: dict[str, Lesson]) -> dict[str, tuple[float, int]]:
        """Negative log-likelihood and number of tokens of each answer."""
        path = self.folder / "scores.jsonl"
        known = {str(row["edit"]): (float(str(row["nll"])), int(str(row["tokens"])))
                 for row in read_rows(path) if row["arm"] == arm}  # fmt: skip
        left = [text for text in lessons if text not in known]
        for start in range(0, len(left), TOGETHER):
            some = left[start : start + TOGETHER]
            losses = model.losses([lessons[text] for text in some])
            rows = [{"arm": arm, "edit": text, "nll": loss.nll, "tokens": loss.tokens}
                    for text, loss in zip(some, losses, strict=True)]  # fmt: skip
            append_rows(path, rows)
            known |= {text: (loss.nll, loss.tokens) for text, loss in zip(some, losses, strict=True)}
            sys.stderr.write(f"{arm}: {len(known)} of {len(lessons)} answers scored\n")
        return {text: known[text] for text in lessons}


def _lesson(phrasing: Phrasing, edit: MeasuredEdit) -> Lesson:
    found = phrasing.lesson(edit.ask, edit.edit, edit.goal, edit.family)
    if not isinstance(found, Lesson):
        raise SystemExit(f"{edit.origin} can't be asked for: {found.reason}")
    return found


def _shuffled(edits: Sequence[MeasuredEdit], seed: int) -> list[MeasuredEdit]:
    """The edits, each with the outcome of another one."""
    outcomes = [(edit.gain, edit.accuracy, edit.noise) for edit in edits]
    Random(f"{seed}:shuffled").shuffle(outcomes)
    return [replace(edit, gain=gain, accuracy=accuracy, noise=error)
            for edit, (gain, accuracy, error) in zip(edits, outcomes, strict=True)]  # fmt: skip


def _told(step: int, steps: int, loss: float) -> None:
    sys.stderr.write(f"step {step} of {steps}, loss {loss:.3f}\n")
