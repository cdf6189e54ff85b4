"""Programs and trials that others measured, in four tables beside a run's journal.

A trial row is small: settings are shared by the epochs of a training, and SQLite keeps the rows in the index itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Row,
    Select,
    Table,
    Text,
    UniqueConstraint,
    func,
    insert,
    select,
)

from deltanas.archive import records
from deltanas.archive.tables import CleanText, clean, metadata, programs
from deltanas.program import Program
from deltanas.program.trial import Experiment, Trial

# `text`: the name's own source where the run keeps another text under the program's identity.
names = Table(
    "names",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run", ForeignKey("runs.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("program", Text, nullable=False),
    Column("text", CleanText),
    UniqueConstraint("run", "name"),
    ForeignKeyConstraint(["run", "program"], ["programs.run", "programs.id"]),
)

experiments = Table(
    "experiments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", ForeignKey("names.id"), nullable=False),
    Column("task", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("metric", Text, nullable=False),
    UniqueConstraint("name", "task", "dataset", "metric"),
)

settings = Table(
    "settings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run", ForeignKey("runs.id"), nullable=False),
    Column("text", Text, nullable=False),
    Index("ix_settings_run", "run"),
)

# `position`: the trial's place among those of its experiment and epoch, in the order in which they came.
trials = Table(
    "trials",
    metadata,
    Column("experiment", ForeignKey("experiments.id"), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("setting", ForeignKey("settings.id"), nullable=False),
    Column("accuracy", Double, nullable=False),
    Column("duration", BigInteger),
    sqlite_with_rowid=False,
)

IMPORTED = "part"
"""What in the manifest of an imported run names the part that its programs are of; none: "net"."""

_Content = tuple[int, int, int, float, int | None]
_CHUNK = 500


class TrialStore:
    """The imported programs and trials of one run; `read` and `write` begin its transactions.

    A program that is imported is the text of one part, of the same `part` in all the run: a network, or a transform.

    Adding twice adds nothing: a trial is known by all that it says. Of trials that are equal in all, as many are kept
    as came at once.
    """

    def __init__(
        self,
        run: int,
        read: Callable[[], AbstractContextManager[Connection]],
        write: Callable[[], AbstractContextManager[Connection]],
        part: Literal["net", "transform"] = "net",
    ) -> None:
        self.part = part
        self._run = run
        self._read = read
        self._write = write
        self._settings: dict[str, int] | None = None

    def add_programs(self, sources: Mapping[str, str]) -> dict[str, Literal["new", "held", "other"]]:
        """By name: new, held already, or held with another text, which stays."""
        with self._write() as connection:
            held = {name: text for name, _, text in self._sources(connection, list(sources))}
            new = {name: Program({self.part: source}) for name, source in sources.items() if name not in held}
            texts = self._texts(connection, [program.id for program in new.values()])
            rows = []
            for program in new.values():
                if program.id not in texts:
                    rows.append(records.program_values(self._run, program))
                    texts[program.id] = clean(program.part(self.part))
            _insert(connection, programs, rows)
            _insert(connection, names, [self._name(name, program, texts) for name, program in new.items()])
        return {
            name: "new" if name not in held else "held" if held[name] == clean(source) else "other"
            for name, source in sources.items()
        }

    def add_trials(self, wanted: Sequence[Trial]) -> int:
        """Keep those that are not held yet, of programs that are; how many they were."""
        with self._write() as connection:
            known = self._experiment_ids(connection, list(dict.fromkeys(trial.experiment for trial in wanted)))
            shared = self._setting_ids(connection, dict.fromkeys(trial.settings for trial in wanted))
            held, places = _held(connection, list(known.values()))
            rows: list[dict[str, Any]] = []
            for trial in wanted:
                experiment, setting = known[trial.experiment], shared[trial.settings]
                content = (experiment, trial.epoch, setting, trial.accuracy, trial.duration)
                if held[content]:
                    held[content] -= 1
                    continue
                place = (experiment, trial.epoch)
                values = (*place, places[place], setting, trial.accuracy, trial.duration)
                rows.append(dict(zip(_COLUMNS, values, strict=True)))
                places[place] += 1
            _insert(connection, trials, rows)
        return len(rows)

    def sources(self, wanted: Sequence[str] | None = None) -> dict[str, str]:
        """Programs' texts by their names, in the order of these; all programs, if none are named."""
        with self._read() as connection:
            return {name: text for name, _, text in sorted(self._sources(connection, wanted))}

    def identities(self) -> dict[str, str]:
        """Every program's identity by its name. Names may share one."""
        with self._read() as connection:
            return {name: identity for name, identity, _ in self._sources(connection)}

    def trials(self, *, task: str | None = None, dataset: str | None = None, epoch: int | None = None) -> list[Trial]:
        """By experiment, epoch and place in it. 600,000 of them take some 150 MB."""
        query = (
            select(experiments, names.c.name.label("program"), trials, settings.c.text)
            .join_from(trials, experiments, trials.c.experiment == experiments.c.id)
            .join(names, experiments.c.name == names.c.id)
            .join(settings, trials.c.setting == settings.c.id)
            .where(names.c.run == self._run)
        )
        for column, value in ((experiments.c.task, task), (experiments.c.dataset, dataset), (trials.c.epoch, epoch)):
            if value is not None:
                query = query.where(column == value)
        shared: dict[int, str] = {}
        made: dict[int, Experiment] = {}
        found: list[tuple[Experiment, int, int, Trial]] = []
        with self._read() as connection:
            for row in connection.execute(query):
                text = shared.setdefault(row.setting, row.text)
                experiment = made.setdefault(row.experiment, Experiment(row.task, row.dataset, row.metric, row.program))
                trial = Trial(experiment, row.epoch, row.accuracy, row.duration, text)
                found.append((experiment, row.epoch, row.position, trial))
        found.sort(key=lambda item: item[:3])
        return [trial for *_, trial in found]

    def _name(self, name: str, program: Program, texts: Mapping[str, str]) -> dict[str, Any]:
        own = clean(program.part(self.part))
        text = None if texts[program.id] == own else own
        return {"run": self._run, "name": name, "program": program.id, "text": text}

    def _sources(self, connection: Connection, wanted: Sequence[str] | None = None) -> list[tuple[str, str, str]]:
        """(name, identity, text)."""
        here = (programs.c.run == names.c.run) & (programs.c.id == names.c.program)
        source = func.coalesce(names.c.text, programs.c[self.part]).label("source")
        query = select(names.c.name, names.c.program, source).join_from(names, programs, here)
        query = query.where(names.c.run == self._run)
        return [(row.name, row.program, row.source) for row in _chunked(connection, query, names.c.name, wanted)]

    def _texts(self, connection: Connection, identities: Sequence[str]) -> dict[str, str]:
        query = select(programs.c.id, programs.c[self.part].label("text")).where(programs.c.run == self._run)
        return {row.id: row.text for row in _chunked(connection, query, programs.c.id, identities)}

    def _experiment_ids(self, connection: Connection, wanted: Sequence[Experiment]) -> dict[Experiment, int]:
        """The numbers of the experiments; those that are not held are added."""
        query = select(names.c.id, names.c.name).where(names.c.run == self._run)
        titles = list({experiment.program for experiment in wanted})
        numbers = {row.name: row.id for row in _chunked(connection, query, names.c.name, titles)}
        back = {number: name for name, number in numbers.items()}
        held = {
            Experiment(row.task, row.dataset, row.metric, back[row.name]): row.id
            for row in _chunked(connection, select(experiments), experiments.c.name, list(back))
        }
        new = [each for each in wanted if each not in held]
        rows = [{"name": numbers[e.program], "task": e.task, "dataset": e.dataset, "metric": e.metric} for e in new]
        return held | dict(zip(new, _numbered(connection, experiments, rows), strict=True))

    def _setting_ids(self, connection: Connection, wanted: Iterable[str]) -> dict[str, int]:
        """The numbers of the settings; those that are not held are added. One writer a run: no other adds them."""
        if self._settings is None:
            query = select(settings.c.text, settings.c.id).where(settings.c.run == self._run)
            self._settings = {row.text: row.id for row in connection.execute(query)}
        new = [text for text in wanted if text not in self._settings]
        rows = [{"run": self._run, "text": text} for text in new]
        self._settings |= dict(zip(new, _numbered(connection, settings, rows), strict=True))
        return self._settings


_COLUMNS = ("experiment", "epoch", "position", "setting", "accuracy", "duration")


def _held(connection: Connection, wanted: Sequence[int]) -> tuple[Counter[_Content], Counter[tuple[int, int]]]:
    """What these experiments hold, and how many trials by experiment and epoch."""
    held: Counter[_Content] = Counter()
    places: Counter[tuple[int, int]] = Counter()
    columns = [trials.c[name] for name in _COLUMNS if name != "position"]
    for row in map(tuple, _chunked(connection, select(*columns), trials.c.experiment, wanted)):
        held[row] += 1
        places[row[:2]] += 1
    return held, places


def _chunked(
    connection: Connection, query: Select[Any], column: Column[Any], wanted: Sequence[object] | None
) -> list[Row[Any]]:
    """The query's rows; only those whose `column` is among `wanted`, if given, a part of them at a time."""
    if wanted is None:
        return list(connection.execute(query))
    parts = [wanted[start : start + _CHUNK] for start in range(0, len(wanted), _CHUNK)]
    return [row for part in parts for row in connection.execute(query.where(column.in_(part)))]


def _insert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)


def _numbered(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Insert rows; the numbers they got, in their order."""
    if not rows:
        return []
    statement = insert(table).returning(table.c.id, sort_by_parameter_order=True)
    return list(connection.execute(statement, rows).scalars())
