"""The learning part of a cycle: from what was measured so far to the adapter that the next cycle proposes with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Protocol

from pydantic import Field

from deltanas import seams
from deltanas.journal import Journal
from deltanas.learn.corpus import Corpus, Phrasing, corpus_of, held_families, some_of
from deltanas.learn.elites import EliteRule
from deltanas.learn.measured import MeasuredEdit
from deltanas.learn.sources import OwnEdits
from deltanas.learn.tuning import Tuned, Tuning
from deltanas.llm import Lesson, Tunable
from deltanas.program.adapter import Adapter, Likelihood
from deltanas.seams import Archive, Began, Listener

ADAPTERS = "adapters"
"""Folder of a run's adapters, below the run's own."""


class Tune(Protocol):
    """`learn.tune`: a tuning that appears whole or not at all, and is taken up where it was cut off."""

    def __call__(
        self, model: Tunable, lessons: Sequence[Lesson], settings: Tuning, into: Path, after: Path | None, seed: int
    ) -> Tuned: ...


class Learning(EliteRule):
    """What the model learns from after each cycle. Families are held out for good."""

    enabled: bool = Field(False, description="tune the model after each cycle on the edits that gained so far")
    held_out: float = Field(0.2, ge=0, lt=1, description="share of the baselines to hold out, with their descendants")
    fewest: int = Field(4, ge=1, description="least number of lessons; a cycle with fewer does not tune the model")
    measured: int = Field(
        32,
        ge=0,
        description="number of lessons (or pairs) to measure before and after a tuning, learned from and held out each",
    )
    corpus: tuple[str, ...] = Field(
        (), description="files of measured edits (`deltanas learn corpus` writes them) to learn from in each cycle"
    )


@dataclass(frozen=True, slots=True)
class Teaching:
    """What is learned from, and how.

    Attributes:
        learn: which measured edits are elites, and what of them is held out. settings: of the tuning.
        seed: the root of all chance.
        more: measured edits from elsewhere, learned from in every cycle beside the run's own.
        start: the adapter that the line begins with.
    """

    learn: Learning
    settings: Tuning
    seed: int
    more: tuple[MeasuredEdit, ...] = ()
    start: Path | None = None


class LoraLearner:
    """Tunes the model after each cycle on the elites of all cycles so far. Each adapter continues the one before it.

    A row of the archive says that a tuning is done; its adapter lies in the run's folder by then. What a kill leaves
    without a row is taken up where it was cut off. So the adapter that a cycle proposes with is a function of the
    journal, and a resumed run has the one that it would have had.
    """

    def __init__(
        self,
        model: Tunable,
        phrasing: Phrasing,
        archive: Archive,
        listener: Listener,
        folder: Path,
        teaching: Teaching,
        tune: Tune,
    ) -> None:
        """folder: the run's. The model has the adapter `teaching.start` loaded, or none."""
        self._model = model
        self._phrasing = phrasing
        self._archive = archive
        self._listener = listener
        self._folder = folder
        self._teaching = teaching
        self._tune = tune
        self._worn = teaching.start
        self._own = OwnEdits()

    def learn(self, cycle: int, journal: Journal) -> None:
        """As `seams.Learner`. Raises ModelError where the tuning fails; the line of adapters is then as it was."""
        line = self._archive.adapters()
        if line and line[-1].cycle > cycle:
            return
        self._wear(self._folder / line[-1].folder if line else self._teaching.start)
        if line and line[-1].cycle == cycle:
            return
        corpus = self.corpus(journal.before(cycle + 1))
        self._listener(Began(cycle, "learn", len(corpus.tuning)))
        if len(corpus.tuning) >= self._teaching.learn.fewest:
            adapter = self._tuned(cycle, corpus, line[-1] if line else None)
            self._archive.add_adapter(adapter)
            self._listener(seams.Tuned(adapter))

    def corpus(self, journal: Journal) -> Corpus:
        """What `journal` and the edits from elsewhere teach. Families are held out for good: the run's baselines
        and the families from elsewhere are known before the first tuning."""
        teaching = self._teaching
        own = self._own.edits(journal)
        roots = journal.of_cycle(0)
        names = {c.name for c in roots} | {edit.family for edit in teaching.more}
        held = held_families(names, teaching.learn.held_out, teaching.seed)
        apart = [c.program for c in roots if c.name in held and c.program]
        elites = [*teaching.learn.chosen(own), *teaching.learn.chosen(teaching.more)]
        return corpus_of(elites, self._phrasing, held, [*own, *teaching.more], apart)

    def _tuned(self, cycle: int, corpus: Corpus, parent: Adapter | None) -> Adapter:
        teaching, name = self._teaching, self._model.name
        folder = f"{ADAPTERS}/{cycle:03d}"
        after = self._folder / parent.folder if parent else teaching.start
        lessons = self._sample(cycle, corpus)
        before = self._model.losses([lesson for lesson, _ in lessons])
        seed = Random(f"{teaching.seed}:{cycle}:learn").randrange(2**31)
        tuned = self._tune(self._model, corpus.tuning, teaching.settings, self._folder / folder, after, seed)
        self._wear(tuned.folder)
        now = self._model.losses([lesson for lesson, _ in lessons])
        settings = {
            "rule": teaching.learn.model_dump(include=set(EliteRule.model_fields)),
            "tuning": teaching.settings.model_dump(),
            "held_out": teaching.learn.held_out,
            "seed": seed,
        }
        return Adapter(
            cycle=cycle,
            folder=folder,
            parent=parent.folder if parent else str(teaching.start) if teaching.start else None,
            model=parent.model if parent else name,
            settings=json.loads(json.dumps(settings)),
            lessons=len(corpus.tuning) - tuned.left_out,
            digest=corpus.digest,
            dropped=corpus.dropped,
            losses=tuned.losses,
            steps=tuned.steps,
            tokens=tuned.tokens,
            seconds=tuned.seconds,
            likelihoods=tuple(
                Likelihood(held_out, lesson.family, old.tokens, old.nll, new.nll)
                for (lesson, held_out), old, new in zip(lessons, before, now, strict=True)
            ),
        )

    def _sample(self, cycle: int, corpus: Corpus) -> list[tuple[Lesson, bool]]:
        """Lessons whose likelihood is measured, and whether they are held out."""
        sides = ((corpus.tuning, False), (corpus.held_out, True))
        rng = Random(f"{self._teaching.seed}:{cycle}:likelihood")
        return [(one, held) for lessons, held in sides for one in some_of(lessons, self._teaching.learn.measured, rng)]

    def _wear(self, adapter: Path | None) -> None:
        if adapter != self._worn:
            self._model.adapt(adapter)
            self._worn = adapter
