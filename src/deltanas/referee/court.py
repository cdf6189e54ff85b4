"""The referee of one run: it gives slots out, takes answers, trains them as the search does, and gives verdicts.

Whatever is written is written under the run's lock, which is held for moments; trainings are made outside of it. So
several askers work side by side, in one process or in several, and a killed one loses nothing: what was told is in the
journal, and its training is made again by whoever tells next, or by `deltanas search --run`.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import RLock
from time import monotonic, sleep

from deltanas.archive import RunArchive, RunFolder, TakenError
from deltanas.askers import CONTROL
from deltanas.errors import UsageError
from deltanas.plan import Plan
from deltanas.program import Part, Program, Refused, combined, diff, text_of
from deltanas.propose import Told
from deltanas.propose.edits import proposal_of
from deltanas.propose.goals import goals
from deltanas.records import Candidate, Draft, Lease
from deltanas.referee.answers import Rules, answer, noise_at, over_budget
from deltanas.referee.asked import Asked, answer_of, known_of
from deltanas.referee.control import draw_beside
from deltanas.referee.settling import settled
from deltanas.referee.standing import Place, Standing, moment_after, this_process
from deltanas.referee.verdict import Verdict
from deltanas.seams import Ask, Gate, Proposal, Proposer, Runner, judged
from deltanas.search import training_seed
from deltanas.slots import Slots

WAIT = 120.0
"""Seconds that a writer waits for others, who hold the run for moments."""
MOST_HELD = 16
"""Number of slots that an asker may hold; who asks for more gets its own oldest one again."""
MOST_EDIT, MOST_NOTE, MOST_NAME = 400_000, 2_000, 80
"""Number of characters of an edit or a program, of a note, and of an asker's name."""
_SLOT = re.compile(r"([0-9]{1,6})\.([0-9]{1,6})(?:\.([0-9a-f]{16}))?")


class Bench:
    """What candidates are checked and trained with. The gates are told of every program that the run holds, once."""

    def __init__(
        self, runner: Runner, checks: tuple[Gate, ...], novelty: Gate, control: Proposer | None = None
    ) -> None:
        """control: draws edits by chance, to compare askers with; None: nobody does."""
        self.runner = runner
        self.control = control
        self._gates = (*checks, novelty)
        self._told = Told()
        self._slots = Slots(self._told, checks, novelty)
        self._known: set[Place] = set()

    def judged(self, now: Standing, program: Program) -> Draft | Refused:
        """What the gates say of it; nothing is kept."""
        self.remember(now)
        (verdict,) = judged([Draft(program)], self._gates)
        return verdict

    def filled(self, now: Standing, ask: Ask, proposal: Proposal, strategy: str = "outside") -> Candidate:
        """The slot with its one proposal, as a search would fill it."""
        self.remember(now)
        self._told.proposal, self._told.strategy = proposal, strategy
        (row,) = self._slots.filled([ask], 1, 0)
        self._known.add((row.cycle, row.index))
        return row

    def remember(self, now: Standing) -> None:
        for place, row in now.rows.items():
            if place not in self._known and row.draft and not isinstance(row.outcome, Refused):
                self._slots.remember([row.draft])
                self._known.add(place)


@dataclass(slots=True)
class Referee:
    """A run that is filled from outside.

    Attributes:
        bench: opened when a candidate is there to be checked. limits: of a network and of a training, as asked for.
        fresh: draws the seed of a test.
    """

    folder: RunFolder
    plan: Plan
    rules: Rules
    bench: Callable[[], Bench]
    limits: Mapping[str, object] = field(default_factory=dict)
    fresh: Callable[[], int] = lambda: secrets.randbelow(2**31)
    _lock: RLock = field(default_factory=RLock)

    def ask(self, asker: str = "") -> Asked:
        """An open slot; without one, why there is none."""
        name = named(asker)
        with self._lock, self.writing() as run:
            now, moment = Standing(run, self.plan), moment_after(0)
            spent = now.spent(name, moment)
            known = known_of(self.rules.task, now, noise_at(self.rules, run, now))
            limits = {**self.limits, "answer": answer_of(self.part), "left": self._left(now, name)}
            place = now.free(moment)
            if len(spent.held) >= MOST_HELD:
                place = spent.held[0].cycle, spent.held[0].index
            reason = self._over_budget(now, name) or ("" if place else _nothing_free(now, run.finished))
            if reason or place is None:
                return Asked(None, None, None, known, limits, reason)
            champion = now.champion
            assert champion.program is not None
            until, token = moment_after(self.rules.settings.lease), secrets.token_hex(8)
            run.ledger.lease(Lease(*place, name, token, champion.program.id, until))
        slot = f"{place[0]}.{place[1]}.{token}"
        return Asked(slot, champion.label, champion.program.editable(self.part), known, limits)

    def check(self, slot: str, *, edit: str | None = None, program: str | None = None) -> Verdict:
        """What the gates say of an answer. Nothing is kept, and nothing of a budget is spent."""
        with self._lock:
            with self.reading() as run:
                now, lease = self._held(run, slot)
            proposal = self._proposal(now, lease, edit, program)
            found = self.bench().judged(now, proposal.program) if proposal.program else proposal.refusal
            row = Candidate(lease.cycle, lease.index, "outside", lease.parent, None)
            if isinstance(found, Refused):
                with self.reading() as run:
                    return answer(self.rules, run, now, slot, replace(row, outcome=found))
        passed = "it passes all gates; nothing was kept"
        return Verdict(slot, "checked", None, None, None, None, None, "not shown", passed, champion=now.champion.label)

    def tell(
        self,
        slot: str,
        *,
        edit: str | None = None,
        program: str | None = None,
        note: str = "",
        kind: str = "",
        settle: bool = False,
    ) -> Verdict:
        """Check and train an answer, and say what it is worth. Told twice, it is answered from the journal.

        kind: of the edit, one of the goals that an asker is told. settle: train it and the champion again, in pairs,
        until it is known whether it is better.

        Raises:
            UsageError: the slot is not the teller's, or there is no answer.
        """
        self.require(note, kind)
        with self._lock:
            with self.reading() as run:
                now, lease = self._held(run, slot)
            place = lease.cycle, lease.index
            if place not in now.rows:
                reason = self._over_budget(now, lease.asker)
                if not reason:
                    proposal = replace(self._proposal(now, lease, edit, program), note=note, kind=kind)
                    if proposal.program:
                        self.bench().judged(now, proposal.program)  # what takes time is done before the run is held
                    reason = self._open(slot, proposal)
                if reason:
                    left = Verdict(slot, "over budget", None, None, None, None, None, "refused", reason)
                    return replace(left, champion=now.champion.label)
            self.train(place)
            spent = settled(self, place) if settle else ""
            draw_beside(self, place)
            for orphan in self._orphans():
                self.train(orphan)
            found = self.verdict(slot)
            return replace(found, reason=f"{found.reason}; {spent}") if spent else found

    def require(self, note: str, kind: str) -> None:
        """Raises UsageError for a note or a kind that no answer may have."""
        if len(note) > MOST_NOTE:
            raise UsageError(f"a note of {len(note):,} characters", f"give {MOST_NOTE:,} or fewer")
        if kind and kind not in (known := goals(self.part)):
            raise UsageError(f"{kind[:60]!r} is no kind of edit", f"known: {', '.join(known)}; or leave it out")

    def verdict(self, slot: str) -> Verdict:
        """What is known of a candidate now. slot: as it was given out, or its label, as "1.3"."""
        with self.reading() as run:
            now, place = Standing(run, self.plan), place_of(slot)
            if place not in now.leases:
                raise UsageError(f"no slot {slot[:60]!r} was given out", "`deltanas ask RUN` gives one")
            return answer(self.rules, run, now, slot, run.candidate(*place))

    def train(self, place: Place) -> None:
        """Make the trainings that a candidate lacks, unless another process makes them."""
        with self.writing() as run:
            now = Standing(run, self.plan)
            row, lease = now.rows[place], now.leases[place]
            mine = lease.owner == this_process() or place in now.orphans(moment_after(0))
            if row.outcome is not None or not mine:
                return
            run.ledger.lease(self._owned(lease))
        try:
            self._train(place, row)
        finally:
            with self.writing() as run:
                run.ledger.lease(replace(lease, owner=None))

    def _train(self, place: Place, row: Candidate) -> None:
        while row.outcome is None and row.program:
            seed = training_seed(self.plan.seed, repeat=len(row.trainings))
            ((_, training),) = self.bench().runner.train([row.program], seed=seed)
            grown = replace(row, trainings=(*row.trainings, training))
            row = replace(grown, outcome=combined(grown.trainings) if self.plan.allocation.last(grown) else None)
            settled = row.outcome
            assert not isinstance(settled, Refused)
            with self.writing() as run:
                held = Standing(run, self.plan).rows[place]
                if held.outcome is not None or len(held.trainings) + 1 != len(row.trainings):
                    return  # a search that ended the run made it meanwhile
                run.record(*place, training, settled)

    def _open(self, slot: str, proposal: Proposal) -> str:
        """Journal what was told, after the gates. Of two that tell one slot at once the first is kept.

        Why it is not kept, where others of that name spent the budget meanwhile; "" where it is.
        """
        with self.writing() as run:
            now, lease = self._held(run, slot)
            if (lease.cycle, lease.index) not in now.rows:
                if reason := self._over_budget(now, lease.asker):
                    return reason
                row = self.bench().filled(now, self.ask_of(now, lease), proposal)
                run.ledger.lease(self._owned(lease))  # nobody else takes it for one that was left
                run.open([row])
        return ""

    def _over_budget(self, now: Standing, asker: str) -> str:
        spent = now.spent(asker, moment_after(0))
        return over_budget(self.rules.settings, spent, more=self.plan.allocation.each)

    def _owned(self, lease: Lease) -> Lease:
        return replace(lease, owner=this_process(), until=moment_after(self.rules.settings.lease))

    def _orphans(self) -> list[Place]:
        with self.reading() as run:
            return Standing(run, self.plan).orphans(moment_after(0))

    def _proposal(self, now: Standing, lease: Lease, edit: str | None, program: str | None) -> Proposal:
        text = edit if program is None else program
        if text is None or (edit is not None and program is not None):
            raise UsageError("an answer is either an edit or a program", "give one of --edit FILE and --program FILE")
        if len(text) > MOST_EDIT:
            refusal = Refused("parse", f"{len(text):,} characters; {MOST_EDIT:,} are read at most")
            return Proposal(None, "", None, refusal=refusal, part=self.part)
        ask = self.ask_of(now, lease)
        if program is None:
            return proposal_of(ask, text)
        return Proposal(ask.parent.edited(self.part, text), diff(ask.text, text), "exact", part=self.part)

    def ask_of(self, now: Standing, lease: Lease) -> Ask:
        """The slot as a proposer is asked to fill it."""
        parent = now.journal.of(lease.parent)
        assert parent is not None
        assert parent.program is not None
        key = f"{self.plan.seed}:{lease.cycle}:{lease.index}:0"
        return Ask(lease.cycle, lease.index, 0, key, parent.program, parts=self.plan.parts[:1], journal=now.journal)

    @property
    def part(self) -> Part:
        """The text of a program that answers edit: "net", "transform" or "prm"."""
        return text_of(self.plan.parts[0])

    def _held(self, run: RunArchive, slot: str) -> tuple[Standing, Lease]:
        """Raises UsageError where the slot is not the teller's."""
        now, found = Standing(run, self.plan), _SLOT.fullmatch(slot)
        lease = now.leases.get(place_of(slot))
        if lease is None or found is None or not hmac.compare_digest(lease.token, found[3] or ""):
            raise UsageError(
                f"slot {slot[:60]!r} is nobody's: it was never given out so, or it ran out and another has it",
                "`deltanas ask RUN` gives an open one",
            )
        return now, lease

    def _left(self, now: Standing, asker: str) -> dict[str, object]:
        """What an asker may still spend; None: any number."""
        spent, most = now.spent(asker, moment_after(0)), self.rules.settings
        return {
            "slots": now.unsettled(),
            "candidates": None if most.candidates is None else max(0, most.candidates - spent.candidates),
            "trainings": None if most.trainings is None else max(0, most.trainings - spent.trainings),
            "seconds": None if most.seconds is None else max(0.0, most.seconds - spent.seconds),
        }

    @contextmanager
    def reading(self) -> Iterator[RunArchive]:
        with self.folder.open() as run:
            yield run

    @contextmanager
    def writing(self) -> Iterator[RunArchive]:
        """The run, to be written by nobody else; others are waited for."""
        end = monotonic() + WAIT
        while True:
            try:
                run = self.folder.open(writer=True)
                break
            except TakenError:
                if monotonic() > end:
                    raise
                sleep(0.05)
        with run:
            yield run


def named(asker: str) -> str:
    """An asker's name, on one line. Raises UsageError for one that is none."""
    name = asker.strip() or "anyone"
    if len(name) > MOST_NAME or not name.isprintable():
        raise UsageError(f"{name[:MOST_NAME]!r} names no asker", f"give {MOST_NAME} or fewer printable characters")
    return name


def place_of(slot: str) -> Place:
    """Raises UsageError for a text that names no slot."""
    found = _SLOT.fullmatch(slot)
    if found is None:
        raise UsageError(f"{slot[:60]!r} names no slot", "give it as `deltanas ask RUN` gave it")
    return int(found[1]), int(found[2])


def _nothing_free(now: Standing, ended: bool) -> str:
    held = [lease.until for place, lease in now.leases.items() if place not in now.rows and lease.asker != CONTROL]
    if held:
        return f"all open slots are given out; the first of them runs out at {min(held)} UTC"
    or_end = "" if ended else ", or end it (without --cycles)"
    return f"all slots are told: lengthen the run (`deltanas search --run RUN --cycles N`){or_end}"
