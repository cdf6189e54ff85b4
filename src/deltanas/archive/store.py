"""One run's journal in a database."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Literal, Self
from zlib import crc32

from sqlalchemy import ColumnElement, Connection, Result, Row, Table, delete, func, insert, select, update

from deltanas.archive import records
from deltanas.archive.adapters import adapters, adapters_of, add_adapter
from deltanas.archive.ledger import Ledger, duels, duels_of, leases, leases_of, pairs
from deltanas.archive.lock import FileLock, is_locked
from deltanas.archive.measurements import add_measurement, measurements
from deltanas.archive.overview import Overview, best_slot, overview, tally
from deltanas.archive.place import Place
from deltanas.archive.session import Session, lasting
from deltanas.archive.tables import attempts, calls, candidates, finals, programs, runs, trainings
from deltanas.archive.trials import IMPORTED, TrialStore
from deltanas.errors import ArchiveError
from deltanas.program import Failed, Program, Trained
from deltanas.program.adapter import Adapter
from deltanas.records import Candidate, Final, Measurement, RunView
from deltanas.task import task_of


class RunArchive:
    """The journal of one run (the Protocol `seams.Archive`), for one thread. Every method is one transaction.

    A reader sees what is committed and writes nothing; the one writer of a run holds a lock on it until `close`, and on
    PostgreSQL waits for a server that restarts (`Session`).
    Texts are stored as they are, save that NUL and lone surrogates become U+FFFD (`tables.clean`). If two texts
    share an id, the run keeps the first. Every method raises ArchiveError where the database fails.
    """

    def __init__(
        self, place: Place, connection: Connection, row: Row[Any], *, writer: bool, lock: FileLock | None
    ) -> None:
        self.name: str = row.name
        self.created: str = row.created
        self.manifest: dict[str, object] = records.manifest_of(row)
        self.session = Session(place, connection, row, writer=writer, lock=lock)
        self.ledger = Ledger(self.session)
        self._run: int = row.id
        part: Literal["net", "transform"] = "transform" if self.manifest.get(IMPORTED) == "transform" else "net"
        self.trials = TrialStore(row.id, self.session.read, self.session.write, part)

    @property
    def finished(self) -> bool:
        return self.ended is not None

    @property
    @lasting
    def ended(self) -> datetime | None:
        """When the search ended, in UTC; None while it goes on or was cut off."""
        with self.session.read() as connection:
            moment = connection.execute(select(runs.c.finished).where(runs.c.id == self._run)).scalar_one()
        return None if moment is None else records.moment_of(self._run, moment, "ended")

    @property
    def is_written(self) -> bool:
        """Whether a process writes it now."""
        with self.session.read() as connection:
            return is_locked(connection, self.session.place.path, self._run)

    @property
    def revision(self) -> int:
        """Another number when another process has written to the file; for an archive in a file alone.

        The times of its files don't tell: they move by some milliseconds at once.
        """
        with self.session.read() as connection:
            number: int = connection.exec_driver_sql("PRAGMA data_version").scalar_one()
        return number

    @lasting
    def candidates(self) -> list[Candidate]:
        """All of them, by (cycle, index). One whose program is damaged keeps its place, without its draft."""
        with self.session.read() as connection:
            return list(self._candidates(connection))

    def rows(self) -> Iterator[Candidate]:
        """`candidates` in a stream, without the texts of calls and the scores an image: what a loop needs to go on."""
        with self.session.read() as connection:
            yield from self._candidates(connection, without=_LONG)

    @lasting
    def candidate(self, cycle: int, index: int) -> Candidate | None:
        """One of them, with the scores an image; without the texts of calls."""
        with self.session.read() as connection:
            found = list(self._candidates(connection, _LONG - {"per_image"}, (cycle, index)))
        return found[0] if found else None

    @lasting
    def baselines(self) -> list[Candidate]:
        """The candidates of cycle 0, without their attempts and trainings."""
        with self.session.read() as connection:
            return list(
                records.candidates_from(self._rows_of(connection, _CANDIDATES.c.cycle == 0), *[()] * len(_MADE))
            )

    @lasting
    def finals(self) -> list[Final]:
        with self.session.read() as connection:
            return self._finals(connection)

    def pulse(self) -> tuple[int, ...]:
        """Figures; one of them moves whenever something is written. To ask for them costs little.

        What is written over moves no count: on PostgreSQL the token of the last transaction tells of it, in a file
        a checksum of what can be, the manifest and who has which slot.
        """
        counted = (_CANDIDATES, attempts, trainings, measurements, finals, adapters, leases, duels, pairs)
        counts = [select(func.count()).where(table.c.run == self._run).scalar_subquery() for table in counted]
        for closed in (_CANDIDATES.c.settled, duels.c.closed):
            counts.append(select(func.count(closed)).where(closed.table.c.run == self._run).scalar_subquery())
        mine = runs.c.id == self._run
        with self.session.read() as connection:
            found = connection.execute(select(*counts)).one()
            if self.session.place.path is None:
                ended, told = connection.execute(select(runs.c.finished, runs.c.written).where(mine)).one()
            else:
                ended, told = connection.execute(select(runs.c.finished, runs.c.manifest).where(mine)).one()
                told += repr(connection.execute(select(*_HANDED).where(leases.c.run == self._run)).all())
        return (*found, ended is not None, crc32((told or "").encode("utf-8", "surrogatepass")))

    def overview(self) -> Overview:
        """What a list of runs says of this one, at one moment; no text of it is read."""
        with self.session.read() as connection:
            row = connection.execute(select(runs).where(runs.c.id == self._run)).one()
            self.manifest = records.manifest_of(row)  # it may have been lengthened
            slot = best_slot(connection, self._run, task_of(self.manifest).metric.better)
            best = None if slot is None else self._one(connection, slot)
            written = is_locked(connection, self.session.place.path, self._run)
            return overview(connection, row, best, is_written=written)

    def tally(self) -> dict[str, int]:
        """Number of the search's candidates by status ("open", "refused", "failed", "trained")."""
        with self.session.read() as connection:
            return tally(connection, self._run)

    def best(self) -> float | None:
        """Best score of the search's candidates that were trained longest, by the task's metric; None if none was."""
        extreme = func.max if task_of(self.manifest).metric.better == "higher" else func.min
        mine = (_CANDIDATES.c.run == self._run, _CANDIDATES.c.cycle > 0, _CANDIDATES.c.score.is_not(None))
        longest = select(func.max(_CANDIDATES.c.epochs)).where(*mine).scalar_subquery()
        query = select(extreme(_CANDIDATES.c.score)).where(*mine, _CANDIDATES.c.epochs == longest)
        with self.session.read() as connection:
            score: float | None = connection.execute(query).scalar_one()
        return score

    @lasting
    def view(self) -> RunView:
        """The whole run at one moment. A damaged program is absent from `programs` (see `damage`)."""
        with self.session.read() as connection:
            intact, _ = self._programs(connection)
            query = select(runs.c.id, runs.c.manifest).where(runs.c.id == self._run)
            self.manifest = records.manifest_of(connection.execute(query).one())  # it may have been lengthened
            return RunView(
                name=self.name,
                finished=self._is_finished(connection),
                manifest=self.manifest,
                candidates=tuple(self._candidates(connection)),
                programs=intact,
                finals=tuple(self._finals(connection)),
                adapters=tuple(adapters_of(connection, self._run)),
                pictures=self._pictures(connection),
                leases=tuple(leases_of(connection, self._run)),
                duels=tuple(duels_of(connection, self._run)),
            )

    def damage(self) -> list[ArchiveError]:
        """One error for each program whose stored text is not the one that was written."""
        with self.session.read() as connection:
            return self._programs(connection)[1]

    def program(self, identity: str) -> Program:
        """Raises ArchiveError if the run holds no such program, or a damaged one."""
        with self.session.read() as connection:
            query = select(programs).where(programs.c.run == self._run, programs.c.id == identity)
            row = connection.execute(query).one_or_none()
        if row is None:
            raise ArchiveError(f"run '{self.name}' holds no program {identity}", "See: deltanas programs list")
        return records.program_from(row)

    @lasting
    def open(self, candidates: Sequence[Candidate]) -> None:
        """Journal candidates, their programs, attempts and calls; one without an outcome stays open.

        Raises ArchiveError, and records none of them, if one's (cycle, index) is taken or a parent is unknown.
        """
        with self.session.write() as connection:
            self._require_new(connection, candidates)
            self._insert(connection, programs, self._new_programs(connection, candidates))
            self._insert(connection, _CANDIDATES, [records.candidate_values(self._run, each) for each in candidates])
            for table, values in (
                (attempts, records.attempt_values),
                (calls, records.call_values),
                (trainings, records.training_values),
            ):
                self._insert(connection, table, [row for each in candidates for row in values(self._run, each)])

    @lasting
    def record(
        self, cycle: int, index: int, training: Trained | Failed | None, outcome: Trained | Failed | None
    ) -> None:
        """Journal the next training of an open candidate and, if there will be no more, what they come to.

        Raises ArchiveError if the candidate was settled already or never opened.
        """
        table = _CANDIDATES.c
        here = (table.run == self._run, table.cycle == cycle, table.index == index)
        with self.session.write() as connection:
            status = connection.execute(select(table.status).where(*here)).scalar_one_or_none()
            if status != "open":
                what = "was never opened" if status is None else f"is settled already ({status})"
                raise ArchiveError(
                    f"run '{self.name}', cycle {cycle}, index {index} {what}", "What is recorded stays as it was."
                )
            if training is not None:
                slot = {"run": self._run, "cycle": cycle, "index": index}
                held = select(func.count()).select_from(trainings).filter_by(**slot)
                repeat = connection.execute(held).scalar_one()
                self._insert(connection, trainings, [{**slot, "repeat": repeat, **records.training_fields(training)}])
            if outcome is not None:
                connection.execute(update(_CANDIDATES).where(*here).values(records.outcome_values(outcome)))

    @lasting
    def measure(self, cycle: int, index: int, measurement: Measurement) -> None:
        """Raises ArchiveError if the candidate has one of this name already, or was never opened."""
        with self.session.write() as connection:
            add_measurement(connection, self._run, cycle, index, measurement)

    @lasting
    def add_final(self, final: Final) -> None:
        """Raises ArchiveError if the program has its final score already: the test split is used once."""
        with self.session.write() as connection:
            here = (finals.c.run == self._run, finals.c.program == final.program)
            if connection.execute(select(finals.c.id).where(*here)).first() is not None:
                raise ArchiveError(
                    f"run '{self.name}': program {final.program} has its final score already",
                    "The test split is used once for each program.",
                )
            self._insert(connection, finals, [records.final_values(self._run, final)])

    @lasting
    def adapters(self) -> list[Adapter]:
        with self.session.read() as connection:
            return adapters_of(connection, self._run)

    @lasting
    def add_adapter(self, adapter: Adapter) -> None:
        """Raises ArchiveError if there is one of this cycle or a later one: the line only grows."""
        with self.session.write() as connection:
            add_adapter(connection, self._run, adapter)

    @lasting
    def finish(self) -> None:
        """Note that the search ended; a second call keeps the first time."""
        with self.session.write() as connection:
            unfinished = (runs.c.id == self._run, runs.c.finished.is_(None))
            connection.execute(update(runs).where(*unfinished).values(finished=records.now()))

    def amend(self, manifest: dict[str, object], *, reopen: bool = False) -> None:
        """Put another manifest in place of the run's. reopen: the run goes on under it, it is finished no more."""
        self._amend({"manifest": manifest_text(manifest), **({"finished": None} if reopen else {})})
        self.manifest = manifest

    @lasting
    def _amend(self, values: records.Values) -> None:
        with self.session.write() as connection:
            connection.execute(update(runs).where(runs.c.id == self._run).values(values))

    def remove_empty(self) -> bool:
        """Take the run out of the archive if nothing was journalled in it; whether it was."""
        with self.session.write() as connection:
            held = select(_CANDIDATES.c.cycle).where(_CANDIDATES.c.run == self._run).limit(1)
            if connection.execute(held).first() is not None:
                return False
            connection.execute(delete(runs).where(runs.c.id == self._run))
            return True

    def close(self) -> None:
        """Give back the connection and the lock. More than once does no harm."""
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _insert(self, connection: Connection, table: Table, rows: Sequence[records.Values]) -> None:
        if rows:
            connection.execute(insert(table), rows)

    def _require_new(self, connection: Connection, wanted: Sequence[Candidate]) -> None:
        table = _CANDIDATES.c
        cycles = {candidate.cycle for candidate in wanted}
        query = select(table.cycle, table.index).where(table.run == self._run, table.cycle.in_(cycles))
        taken = {(row[0], row[1]) for row in connection.execute(query)}
        for candidate in wanted:
            slot = (candidate.cycle, candidate.index)
            if slot in taken:
                raise ArchiveError(
                    f"run '{self.name}' holds a candidate of cycle {slot[0]}, index {slot[1]} already",
                    "What is recorded stays as it was; none of the new candidates is.",
                )
            taken.add(slot)

    def _new_programs(self, connection: Connection, wanted: Sequence[Candidate]) -> list[records.Values]:
        """The rows of the programs that the run does not hold yet; every parent must be held or be among them."""
        parents = {parent for candidate in wanted for parent in candidate.parents}
        named: dict[str, Program] = {}
        for candidate in wanted:
            if candidate.draft is not None:
                named.setdefault(candidate.draft.program.id, candidate.draft.program)
        query = select(programs.c.id).where(programs.c.run == self._run, programs.c.id.in_(parents | set(named)))
        held = set(connection.execute(query).scalars())
        if unknown := parents - held - set(named):
            raise ArchiveError(
                f"run '{self.name}' holds no program {', '.join(sorted(unknown))}, named as a parent",
                "Open the parents, the baselines first, before their offspring.",
            )
        return [records.program_values(self._run, each) for identity, each in named.items() if identity not in held]

    def _programs(self, connection: Connection) -> tuple[dict[str, Program], list[ArchiveError]]:
        intact: dict[str, Program] = {}
        damage: list[ArchiveError] = []
        for row in connection.execute(select(programs).where(programs.c.run == self._run).order_by(programs.c.id)):
            try:
                intact[row.id] = records.program_from(row)
            except ArchiveError as error:
                damage.append(error)
        return intact, damage

    def _candidates(
        self, connection: Connection, without: frozenset[str] = frozenset(), slot: tuple[int, int] | None = None
    ) -> Iterator[Candidate]:
        """slot: (cycle, index) of the only one that is wanted."""
        made = [select(*(c for c in table.c if c.name not in without)) for table in _MADE]
        rows = (
            connection.execute(
                query.where(table.c.run == self._run, *_at(table, slot)).order_by(*table.primary_key), **_STREAMED
            )
            for query, table in zip(made, _MADE, strict=True)
        )
        return records.candidates_from(self._rows_of(connection, *_at(_CANDIDATES, slot)), *rows)

    def _one(self, connection: Connection, slot: tuple[int, int]) -> Candidate:
        (found,) = self._candidates(connection, _LONG - {"per_image"}, slot)
        return found

    def _rows_of(self, connection: Connection, *where: ColumnElement[bool]) -> Result[Any]:
        """The rows of candidates, each with its program's."""
        held = programs.alias("held")
        own = [column.label(f"program_{column.name}") for column in held.c]
        joined = _CANDIDATES.outerjoin(held, (held.c.run == self._run) & (held.c.id == _CANDIDATES.c.program))
        query = select(*_CANDIDATES.c, *own).select_from(joined).where(_CANDIDATES.c.run == self._run, *where)
        return connection.execute(query.order_by(*_CANDIDATES.primary_key), **_STREAMED)

    def _finals(self, connection: Connection) -> list[Final]:
        rows = connection.execute(select(finals).where(finals.c.run == self._run).order_by(finals.c.id))
        return [records.final_from(row) for row in rows]

    def _pictures(self, connection: Connection) -> bytes:
        return connection.execute(select(runs.c.pictures).where(runs.c.id == self._run)).scalar_one() or b""

    def _is_finished(self, connection: Connection) -> bool:
        return connection.execute(select(runs.c.finished).where(runs.c.id == self._run)).scalar_one() is not None


def _at(table: Table, slot: tuple[int, int] | None) -> list[ColumnElement[bool]]:
    return [] if slot is None else [table.c.cycle == slot[0], table.c.index == slot[1]]


_STREAMED: dict[str, Any] = {"execution_options": {"stream_results": True}}
_HANDED = (leases.c.cycle, leases.c.index, leases.c.token, leases.c.asker, leases.c.until, leases.c.owner)
_LONG = frozenset(("prompt", "reply", "per_image"))
"""Columns of long values that the loop does without."""
_MADE = (attempts, calls, trainings, measurements)
"""The tables whose rows belong to candidates."""
_CANDIDATES = candidates  # inside the class the name is a method's


def manifest_text(manifest: dict[str, object]) -> str:
    return json.dumps(manifest, sort_keys=True, allow_nan=False)
