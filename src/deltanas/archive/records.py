"""Rows to records and back, without a database in sight."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import groupby
from sys import intern
from typing import Any, assert_never

from sqlalchemy import Row

from deltanas.archive.tables import clean
from deltanas.errors import ArchiveError
from deltanas.program import EMPTY, Failed, Outcome, Program, Refused, Trained
from deltanas.records import Attempt, Call, Candidate, Draft, Final, Measurement

Values = dict[str, Any]
Slot = tuple[int, int]
_KEYS = ("run", "cycle", "index", "repeat", "program")


def manifest_of(row: Any) -> dict[str, object]:
    """Of a row of runs, by its `id` and `manifest`. Raises ArchiveError where it is damaged."""
    try:
        found = json.loads(row.manifest)
    except (TypeError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ArchiveError(
            f"table runs, key {row.id}: the stored manifest is damaged", "Restore the archive from a copy."
        )
    return found


def moment_of(run: int, moment: str, event: str) -> datetime:
    """A time of a run's row. event: what the run did then. Raises ArchiveError for what is no time."""
    try:
        return datetime.fromisoformat(moment)
    except (TypeError, ValueError):
        raise ArchiveError(
            f"table runs, key {run}: {moment!r} is no time at which the run {event}",
            "Restore the archive from a copy.",
        ) from None


def now() -> str:
    """This moment in UTC as ISO 8601; such texts sort as the moments do."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def program_values(run: int, program: Program) -> Values:
    values = {
        "id": program.id,
        "net": clean(program.net),
        "transform": clean(program.transform),
        "prm": clean(program.prm),
        "more_parts": json.dumps({part: clean(text) for part, text in program.parts.items() if part not in EMPTY}),
    }
    parents = {"parent": program.parent, "more_parents": json.dumps(program.parents[1:])}
    return {"run": run, **values, **parents, "digest": _digest(values)}


def program_from(row: Row[Any]) -> Program:
    """The program of a row. Raises ArchiveError where the text is no longer the one that was stored under that id."""
    if _digest(row._asdict()) != row.digest:
        raise ArchiveError(
            f"table programs, key (run {row.run}, id {row.id}): the stored text is not the one that was written",
            "Restore the archive from a copy; every other row of the run can still be read.",
        )
    return _program(row._asdict(), str)


def _program(row: Mapping[str, Any], shared: Callable[[str], str]) -> Program:
    parts = {"net": row["net"], "transform": shared(row["transform"]), "prm": shared(row["prm"])}
    parents = () if row["parent"] is None else (row["parent"], *json.loads(row["more_parents"]))
    # The identity that the run recorded stays in force, should a later version or another Python canonicalise
    # differently: every parent and candidate of the run refers to it.
    identity = shared(row["id"])
    return Program({**parts, **json.loads(row["more_parts"])}, tuple(map(shared, parents)), identity=identity)


def _digest(values: Mapping[str, Any]) -> str:
    held = [values[name] for name in ("id", "net", "transform", "prm")]
    more = values["more_parts"]
    text = json.dumps(held if more == "{}" else [*held, more])
    return hashlib.sha256(text.encode()).hexdigest()


def outcome_values(outcome: Outcome | None) -> Values:
    """The outcome's columns, unused ones None, so that the rows of a batch have equal keys."""
    unknown = dict.fromkeys(("kind", "reason", "score", "n", "seed", "seconds", "cpu_seconds", "tier", "settled"))
    unknown |= {"epochs": 0, "cached": False}
    known: Values
    match outcome:
        case None:
            known = {"status": "open"}
        case Refused(stage, reason):
            known = {"status": "refused", "kind": stage, "reason": reason, "settled": now()}
        case Failed():
            known = {
                "status": "failed",
                **_fields(outcome, "kind reason seconds cpu_seconds tier epochs"),
                "settled": now(),
            }
        case Trained():
            known = {
                "status": "trained",
                **_fields(outcome, "score n seed seconds cpu_seconds tier epochs cached"),
                "settled": now(),
            }
        case _:
            assert_never(outcome)
    return {**unknown, **known}


def _fields(record: object, names: str) -> Values:
    return {name: getattr(record, name) for name in names.split()}


def outcome_from(row: Row[Any]) -> Outcome | None:
    match row.status:
        case "refused":
            return Refused(row.kind, row.reason)
        case "failed" | "trained":
            return scored_from(row)
        case _:
            return None


def scored_from(row: Row[Any]) -> Trained | Failed:
    """The outcome of a training. Raises ArchiveError where a figure of it is a text: SQLite keeps what is put there."""
    for name in ("score", "n", "seed", "seconds", "cpu_seconds", "epochs"):
        if isinstance(value := row._mapping.get(name), str | bytes):
            key = ", ".join(f"{each} {row._mapping[each]}" for each in _KEYS if each in row._mapping)
            raise ArchiveError(
                f"a training of the run ({key}): the stored {name}, {value!r}, is no number",
                "Restore the archive from a copy.",
            )
    if row.status == "trained":
        per_image = row._mapping.get("per_image")
        made = (row.score, row.n, row.seed, row.seconds, row.cpu_seconds, intern(row.tier), per_image)
        return Trained(*made, epochs=row.epochs, cached=row.cached)
    return Failed(row.kind, row.reason, row.seconds, row.cpu_seconds, row.tier, row.epochs)


def training_fields(training: Trained | Failed) -> Values:
    """The columns of a training: those of its outcome, and its scores an image."""
    return {**outcome_values(training), "per_image": training.per_image if isinstance(training, Trained) else None}


def measurement_from(row: Row[Any]) -> Measurement:
    return Measurement(row.name, row.value, row.low, row.high, row.n, row.detail)


def candidate_values(run: int, candidate: Candidate) -> Values:
    built = dict.fromkeys(("program", "params", "flops", "trace", "probe"))
    if draft := candidate.draft:
        probe = None if draft.probe is None else json.dumps(draft.probe)
        built = {**_fields(draft, "params flops trace"), "program": draft.program.id, "probe": probe}
    return {
        **_key(run, candidate),
        **_fields(candidate, "strategy name parent"),
        **built,
        "opened": now(),
        **outcome_values(candidate.outcome),
    }


def attempt_values(run: int, candidate: Candidate) -> Iterator[Values]:
    for number, attempt in enumerate(candidate.attempts):
        yield {
            **_key(run, candidate),
            "attempt": number,
            **_fields(attempt, "edit rung goal round program trace effective kind note part steps predicted"),
            "stage": attempt.refusal and attempt.refusal.stage,
            "reason": attempt.refusal and attempt.refusal.reason,
        }


def training_values(run: int, candidate: Candidate) -> Iterator[Values]:
    for repeat, training in enumerate(candidate.trainings):
        yield {**_key(run, candidate), "repeat": repeat, **training_fields(training)}


def call_values(run: int, candidate: Candidate) -> Iterator[Values]:
    for attempt_number, attempt in enumerate(candidate.attempts):
        for number, call in enumerate(attempt.calls):
            yield {**_key(run, candidate), "attempt": attempt_number, "number": number, **asdict(call)}


def _key(run: int, candidate: Candidate) -> Values:
    return {"run": run, "cycle": candidate.cycle, "index": candidate.index}


def _slot(row: Row[Any]) -> Slot:
    cycle, index = row._mapping["cycle"], row._mapping["index"]  # `row.index` is the method of tuples
    return cycle, index


class _Merged:
    """The rows of one table by slot, read beside those of the candidates; both in the order of their keys."""

    def __init__(self, rows: Iterable[Row[Any]]) -> None:
        self._groups = groupby(rows, _slot)
        self._next = next(self._groups, None)

    def of(self, slot: Slot) -> list[Row[Any]]:
        """Asked for in the order of the slots."""
        if self._next is None or self._next[0] != slot:
            return []
        found = list(self._next[1])
        self._next = next(self._groups, None)
        return found


def candidates_from(
    rows: Iterable[Row[Any]],
    attempt_rows: Iterable[Row[Any]],
    call_rows: Iterable[Row[Any]],
    training_rows: Iterable[Row[Any]],
    measurement_rows: Iterable[Row[Any]],
) -> Iterator[Candidate]:
    """Candidates with all that belongs to them, one by one; all rows in the order of their keys.

    A candidate whose program is damaged keeps its place, without its draft. Columns of long texts may be absent from
    the rows. Equal names share one text.
    """
    streams = (attempt_rows, call_rows, training_rows, measurement_rows)
    attempts, calls, trainings, measurements = map(_Merged, streams)
    names: dict[str | None, str | None] = {}

    def shared(name: str | None) -> Any:
        return names.setdefault(name, name)

    for row in rows:
        slot = _slot(row)
        made: dict[int, list[Call]] = {}
        for one in calls.of(slot):
            made.setdefault(one.attempt, []).append(_call_from(one, shared))
        candidate = Candidate(
            cycle=row.cycle,
            index=slot[1],
            strategy=shared(row.strategy),
            parent=shared(row.parent),
            draft=None,
            attempts=tuple(_attempt_from(one, made.get(one.attempt, ()), shared) for one in attempts.of(slot)),
            outcome=outcome_from(row),
            trainings=tuple(map(scored_from, trainings.of(slot))),
            name=shared(row.name),
            measurements=tuple(map(measurement_from, measurements.of(slot))),
        )
        last = candidate.kept or (candidate.attempts[-1] if candidate.attempts else None)
        program = _own_program(row, shared)
        if program is not None:
            probe = None if row.probe is None else tuple(json.loads(row.probe))
            known = (row.params, row.flops, shared(row.trace), probe, last.effective if last else None)
            candidate = replace(candidate, draft=Draft(program, *known))
        yield candidate


def _attempt_from(row: Row[Any], calls: Iterable[Call], shared: Callable[[str | None], Any]) -> Attempt:
    refusal = None if row.stage is None else Refused(shared(row.stage), row.reason)
    said = (row.edit, shared(row.rung), shared(row.goal), refusal, tuple(calls), row.round)
    known = (shared(row.program), shared(row.trace), row.effective, shared(row.kind), row.note, shared(row.part))
    return Attempt(*said, *known, row.steps, row.predicted)


def _call_from(row: Row[Any], shared: Callable[[str | None], Any]) -> Call:
    prompt, reply = (row._mapping.get(name, "") for name in ("prompt", "reply"))
    model = shared(row.model)
    return Call(model, prompt, reply, row.prompt_tokens, row.reply_tokens, row.seconds, row.estimated)


def _own_program(row: Row[Any], shared: Callable[[str | None], Any]) -> Program | None:
    """The program that was read beside a candidate, None where there is none or it is damaged."""
    own = {name.removeprefix("program_"): value for name, value in row._mapping.items() if name[:8] == "program_"}
    if own["id"] is None or _digest(own) != own["digest"]:
        return None
    return _program(own, shared)


def final_values(run: int, final: Final) -> Values:
    known = final.outcome if isinstance(final.outcome, Trained) else None
    told = json.dumps(known.confusion) if known and known.confusion is not None else None
    more = {"confusion": told, "picture": known and known.picture}
    return {"run": run, "program": final.program, **training_fields(final.outcome), **more}


def final_from(row: Row[Any]) -> Final:
    outcome = scored_from(row)
    if isinstance(outcome, Trained) and row.confusion is not None:
        outcome = replace(outcome, confusion=tuple(map(tuple, json.loads(row.confusion))))
    if isinstance(outcome, Trained):
        outcome = replace(outcome, picture=row.picture)
    return Final(row.program, outcome)
