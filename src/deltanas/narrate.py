"""What a search says while it runs, on stderr: a line a candidate, and a bar with the best so far and the time left."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from itertools import takewhile
from threading import Event as Signal
from threading import Thread
from time import monotonic

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from deltanas.assess import told_assumed
from deltanas.errors import EditError
from deltanas.foretold import Foretelling, Foretold, told_rho
from deltanas.journal import Journal
from deltanas.objective import told_measurement
from deltanas.prices import priced, prices
from deltanas.program import Failed, Refused, Trained
from deltanas.program.adapter import Adapter
from deltanas.program.edit_formats import hunks_of
from deltanas.records import Attempt, Candidate, Final, Measurement
from deltanas.report.parts import brought, told
from deltanas.seams import (
    Began,
    Event,
    Measured,
    Phase,
    Planned,
    Proposed,
    Scored,
    Settled,
    Stepped,
    TrainingEnded,
    Tuned,
)
from deltanas.task import CLASSIFY, Metric
from deltanas.wording import counted

SILENCE = 10.0
"""Seconds without a line after which the first one says what goes on; the pauses to the next ones double."""
LINES = 4
"""So many lines of an edit are shown."""
GROWN = 1.05
"""Growth in the number of candidates after which the worth of the ranking is told again: it takes all of them."""

VERBS: dict[Phase, str] = {
    "check": "checking the baselines",
    "propose": "proposing",
    "train": "training",
    "promote": "training on the most promising",
    "repeat": "training again",
    "measure": "measuring",
    "learn": "tuning the model",
    "test": "testing the best",
}


def progress_bar(console: Console, counts: str, *more: ProgressColumn) -> Progress:
    """A bar that goes away: description, how many of how many, `counts` (a format of the task), the time, `more`."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn(counts),
        TimeElapsedColumn(),
        *more,
        console=console,
        transient=True,
    )


class Narrator:
    """A `Listener` that draws. `quiet` keeps the bar and leaves out the lines."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._quiet = quiet
        self._scores: dict[str, dict[int, float]] = {}
        self._metric: Metric = CLASSIFY.metric
        self._journal = Journal()
        self._names: dict[str, str] = {}
        self._given: dict[str, Set[str]] = {}
        self._counts = {"trained": 0, "failed": 0, "refused": 0}
        self._best: float | None = None
        self._rung = 0
        self._ladder = False
        self._cycles = 0
        self._seeds = 1
        self._top = 1
        self._settled: list[Candidate] = []
        self._foretelling = Foretelling()
        self._read = self._screened = 0
        self._judged = 0
        self._doing = "loading"
        self._spoke = monotonic()
        self._ended = Signal()
        self._breath = Thread(target=self._breathe, name="narrator", daemon=True)
        left = (TextColumn("left"), TimeRemainingColumn())
        self._progress = progress_bar(self._console, "{task.fields[counts]}", *left)
        self._task = self._progress.add_task("loading", total=None, counts="")

    def __enter__(self) -> Narrator:
        self._progress.start()
        if not self._quiet and not self._console.is_terminal:
            self._breath.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._breath.is_alive():
            self._breath.join()
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        match event:
            case Planned():
                self._plan(event)
            case Began():
                self._begin(event)
            case Proposed(candidate):
                self._proposed(candidate)
            case TrainingEnded(candidate):
                self._trained(candidate)
            case Settled(candidate):
                self._settle(candidate)
            case Measured(candidate, found):
                self._measured(candidate, found)
            case Stepped(step, steps, loss):
                self._progress.update(self._task, counts=f"step {step} of {steps}, loss {loss:.3f}")
            case Tuned(adapter):
                self._tuned(adapter)
            case Scored(final):
                self._scored(final)

    def _plan(self, plan: Planned) -> None:
        self._cycles, self._seeds, self._top = plan.cycles, plan.seeds, plan.top
        self._metric, self._journal = plan.journal.metric, plan.journal
        self._foretelling = Foretelling(self._metric)
        for candidate in plan.journal:
            self._note(candidate)
        # A candidate counts when it is journalled, and with each of its trainings, those that it is spared too.
        done = sum(1 + (plan.seeds if each.outcome else min(plan.seeds, len(each.trainings))) for each in plan.journal)
        self._progress.update(self._task, total=(1 + plan.seeds) * plan.total, completed=done)
        if plan.journal:
            self.say(f"resuming: the journal holds {len(plan.journal)} of {plan.total} candidates, baselines included")

    def _begin(self, began: Began) -> None:
        cycle, phase = began.cycle, began.phase
        self._ladder |= began.epochs is not None
        where = f"cycle {cycle}/{self._cycles}: " if cycle and phase not in ("check", "test") else ""
        ours = cycle == 0 and phase in ("train", "promote", "repeat", "measure")
        verb = VERBS["train" if ours and phase == "promote" else phase]
        what = f"{verb} the baselines" if ours else verb
        what += f", {counted(began.epochs, 'epoch')} each" if began.epochs else ""
        if not self._quiet and (phase == "test" or (phase == "propose" and cycle > 1)):
            if phase == "test" or len(self._settled) >= GROWN * self._judged:
                self._judge()
            self._tell_screen(cycle + (phase == "test"))
        self._doing = f"{where}{what}"
        self._progress.update(self._task, description=self._doing)
        if began.total:
            self._say(f"[bold]{where}{what}[/] ({began.total})")

    def _score(self, program: str, rung: int) -> float | None:
        return self._scores.get(program, {}).get(rung)

    def _judge(self) -> None:
        """Say what each part brought, what rankings are worth, and whether the search narrows down."""
        from deltanas.study import collapse_so_far, ranking_so_far  # SciPy takes a second to load

        self._judged = len(self._settled)
        if parts := brought(self._settled, self._metric, self._score):
            self.say(f"  so far: {told(parts, self._metric)}")
        longest = [c for c in self._settled if c.program and c.rung == self._rung and c.score is not None]
        key = self._metric.key
        scores = [(c.program.id, -key(score)) for c in longest if c.program for score in c.scores]
        if len(scores) > len(longest) or self._seeds > 1:
            self.say(f"  {ranking_so_far(scores, self._top)}")
        if warning := collapse_so_far(self._settled):
            self._say(f"  [yellow]{escape(warning)}[/]")

    def _tell_screen(self, before: int) -> None:
        """Say how well the screen ranked the cycles before this one, if it ranked one since it was told last."""
        fresh = list(takewhile(lambda row: row.cycle < before, self._settled[self._read :]))
        self._foretelling.read(fresh)
        self._read += len(fresh)
        found = self._foretelling.cycles()
        if found and found[-1].cycle > self._screened:
            self._screened = found[-1].cycle
            self.say(f"  {_screen(found[-1])}")

    def _proposed(self, candidate: Candidate) -> None:
        self._progress.advance(self._task, 1)
        last = candidate.kept or candidate.attempts[-1]
        count = candidate.attempts.index(last) + 1
        retried = f", attempt {count}" if count > 1 else ""
        parent = self._names.get(candidate.parent or "", "a network")
        goal = last.aim.rstrip(".")
        aim = f": {escape(goal)}" if goal else ""
        made = f" from {escape(parent)}{aim}{retried}" if candidate.cycle else ""
        head = f"  {escape(candidate.label)}{made}"
        if isinstance(candidate.outcome, Refused):
            self._note(candidate)
            self._progress.advance(self._task, self._seeds)
            reason = escape(candidate.outcome.reason.splitlines()[0])
            self._say(f"{head}: [yellow]refused[/] ({candidate.outcome.stage}) {reason}")
        elif candidate.cycle:
            self._say("\n".join([head, *_shown(last), *self._assumed(candidate)]))

    def _assumed(self, candidate: Candidate) -> list[str]:
        """A line on the hyperparameters that the edit newly declares."""
        known = self._given.get(candidate.parent or "")
        if known is None or candidate.program is None:
            return []
        values = candidate.program.hyperparameters
        return [f"      {line}" for line in told_assumed({name: values[name] for name in values.keys() - known})]

    def _trained(self, candidate: Candidate) -> None:
        if len(candidate.trainings) <= self._seeds:
            self._progress.advance(self._task, 1)
        training = candidate.trainings[-1]
        if candidate.outcome is None and isinstance(training, Trained):
            made = [each for each in candidate.trainings if each.epochs == training.epochs]
            seconds = f"seed {len(made)}, {training.seconds:.1f} s{_cached(training.cached)}"
            score = f"{self._metric.shown(training.score)}{self._after(training.epochs)}"
            self._say(f"  {escape(candidate.label)} {score} ({seconds})")

    def _after(self, epochs: int) -> str:
        """Of a score, the length of its training, where there are several."""
        return f" after {counted(epochs, 'epoch')}" if self._ladder else ""

    def _settle(self, candidate: Candidate) -> None:
        self._note(candidate)
        self._progress.advance(self._task, max(0, self._seeds - len(candidate.trainings)))
        head = f"  {escape(candidate.label)}"
        match candidate.outcome:
            case Trained(score=score, seconds=seconds, cached=cached):
                parent = self._score(candidate.parent or "", candidate.rung)
                parent_name = escape(self._names.get(candidate.parent or "", "its parent"))
                metric, error = self._metric, candidate.standard_error
                gain = f", {metric.points(metric.over(score, parent))} over {parent_name}" if parent is not None else ""
                spread = "" if error is None else f" +- {metric.shown(error)} ({len(candidate.scores)} seeds)"
                cost = f"; {self._price(candidate)}" if gain else ""
                after = self._after(candidate.rung)
                took = f"{seconds:.1f} s{_cached(cached)}{cost}"
                self._say(f"{head} [green]{metric.shown(score)}[/]{after}{spread}{gain} ({took})")
            case Failed(kind=kind, reason=reason):
                self._say(f"{head} [red]failed[/] ({kind}) {escape(reason.splitlines()[0])}")
            case _:
                pass

    def _measured(self, candidate: Candidate, found: Measurement) -> None:
        self._say(f"  {escape(candidate.label)} {escape(told_measurement(found))}")

    def _tuned(self, adapter: Adapter) -> None:
        shown = [
            f"{name} {nats[0]:.3f} -> {nats[1]:.3f}"
            for name, held_out in (("learned from", False), ("held out", True))
            if (nats := adapter.nats(held_out=held_out))
        ]
        told = f"; nats a token, {', '.join(shown)}" if shown else ""
        many = counted(adapter.lessons, "lesson"), counted(adapter.steps, "step")
        self.say(f"  {adapter.folder}: {', '.join(many)} ({adapter.seconds:.0f} s){told}")

    def _scored(self, final: Final) -> None:
        name = escape(self._names.get(final.program, final.program))
        match final.outcome:
            case Trained(score=score):
                found = self._journal.of(final.program)
                cost = f" ({self._price(found)})" if found and found.cycle else ""
                self._say(f"  {name} {self._metric.shown(score)} on the test split{cost}")
            case Failed(kind=kind, reason=reason):
                self._say(f"  {name} [red]failed[/] ({kind}) {escape(reason.splitlines()[0])}")

    def _price(self, candidate: Candidate) -> str:
        root = self._journal.root(candidate)
        return f"{priced(prices(candidate, self._journal))} of {escape(root.label) if root else 'its baseline'}'s"

    def _note(self, candidate: Candidate) -> None:
        if candidate.outcome:
            attempts = tuple(replace(attempt, edit="", calls=()) for attempt in candidate.attempts)
            self._settled.append(replace(candidate, attempts=attempts).slim(None))
        if candidate.program and candidate.score is not None:
            lengths = {each.epochs for each in candidate.trainings} | {candidate.rung}
            known = [row for epochs in lengths if (row := candidate.at(epochs))]
            self._scores[candidate.program.id] = {row.rung: row.score for row in known if row.score is not None}
            self._names[candidate.program.id] = candidate.label
            self._given[candidate.program.id] = candidate.program.hyperparameters.keys()
            if candidate.rung > self._rung:
                self._rung, self._best = candidate.rung, None
            if candidate.rung == self._rung:
                scores = [candidate.score] if self._best is None else [self._best, candidate.score]
                self._best = self._metric.best(scores)
        if candidate.cycle and candidate.outcome:
            self._counts[type(candidate.outcome).__name__.lower()] += 1
        best = "" if self._best is None else f"best {self._metric.shown(self._best)}"
        counts = ", ".join(f"{count} {status}" for status, count in self._counts.items())
        self._progress.update(self._task, counts=f"{counts}; {best}")

    def say(self, text: str) -> None:
        """A line as it stands: what is in brackets is no markup."""
        self._say(escape(text))

    def _say(self, marked: str) -> None:
        self._spoke = monotonic()
        if not self._quiet:
            self._progress.console.print(marked, soft_wrap=True, emoji=False)

    def _breathe(self) -> None:
        """Say now and then what goes on, where no bar shows it: a batch of proposals takes minutes without a line."""
        spoke, pause = self._spoke, SILENCE
        while not self._ended.wait(max(0.1, spoke + pause - monotonic())):
            if self._spoke != spoke:
                spoke, pause = self._spoke, SILENCE
            elif (silent := monotonic() - spoke) >= pause:
                self._progress.console.print(f"  still {self._doing} ({silent:.0f} s)", soft_wrap=True)
                while pause <= silent:  # a busy machine may have kept this thread waiting for several of them
                    pause *= 2


def _screen(found: Foretold) -> str:
    """What the gains that were foretold are worth so far."""
    one, every = (told_rho(*pair) for pair in ((found.rho, found.n), (found.pooled, found.total)))
    off = "" if found.on else "; the interval lies below 0: the screen is off from here"
    return f"screen: foretold and measured gains, rank correlation {one} in cycle {found.cycle}, {every} in all{off}"


def _cached(cached: bool) -> str:
    return ", from the cache" if cached else ""


def _shown(attempt: Attempt) -> list[str]:
    """The lines that the edit takes out and puts in; none for a whole program."""
    try:
        marked = [pair for hunk in hunks_of(attempt.edit) for pair in hunk.readings[0].lines if pair[0] != " "]
    except EditError:
        return []
    colours = {"-": "red", "+": "green"}
    changed = [(colours[sign], sign, text) for sign, line in dict.fromkeys(marked) if (text := line.strip())]
    lines = [f"      [{colour}]{sign} {escape(text)}[/]" for colour, sign, text in changed[:LINES]]
    return [*lines, *(["      ..."] if len(changed) > LINES else [])]
