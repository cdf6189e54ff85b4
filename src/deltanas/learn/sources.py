"""Where measured edits come from: a search's own candidates, and what `python -m benchmarks gains` wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from deltanas import nets
from deltanas.errors import MALFORMED, DataError, EditError
from deltanas.journal import Journal
from deltanas.learn.luck import Trainings, seed_luck, without_luck
from deltanas.learn.measured import MeasuredEdit
from deltanas.learn.noise import SHARE, gain_noise, scoring_noise, training_noise
from deltanas.program import Program, Trained, apply_edit, diff, differing_parts, prm_text, text_of
from deltanas.records import Attempt, Candidate
from deltanas.task import CLASSIFY, Metric

EDITS, BASELINES, METHOD = "edits.jsonl", "baselines.jsonl", "meta.json"


@dataclass(frozen=True, slots=True)
class OwnEdit:
    """A measured edit of a search, with the number of trainings of the child and of its parent.

    The noise of `edit` is that of scoring alone.
    """

    edit: MeasuredEdit
    child: int
    parent: int

    def noise(self, known: Mapping[str, float]) -> float | None:
        """That of its gain, given the noise of one training by family; None where none is known."""
        return gain_noise(known, self.edit.family, self.child, self.parent)


class OwnEdits:
    """The measured edits of a search: every trained candidate whose parent was trained, gain or loss.

    All are measured after the shortest training, which all candidates have: those that are trained for longer were
    chosen by their gains, and a gain after more epochs is no sample of the same kind.

    A family is a baseline with all that descends from it. The noise of a gain is that of the run's repeated trainings;
    with one seed, that of the finite number of evaluation images alone, which is less than the truth, and is known of
    shares alone, as accuracy is one.
    """

    def __init__(self, origin: str = "run") -> None:
        self._origin = origin
        self._read = 0
        self._found: list[OwnEdit] = []
        self._repeats: list[tuple[str, list[float]]] = []

    def edits(self, journal: Journal) -> list[MeasuredEdit]:
        """In the journal's order. A call reads the rows that were added since the last one; all are settled."""
        self.read(journal)
        noise = self.noise()
        errors = [one.noise(noise) for one in self._found]
        pairs = zip(self._found, errors, strict=True)
        return [one.edit if error is None else replace(one.edit, noise=error) for one, error in pairs]

    def read(self, journal: Journal) -> list[OwnEdit]:
        """The edits of the rows that were added since the last call."""
        known = len(self._found)
        for row in journal[self._read :]:
            candidate = row.at(row.shortest)
            if candidate and candidate.score is not None:
                family = journal.family(candidate)
                if len(candidate.scores) > 1:
                    self._repeats.append((family, candidate.scores))
                self._add(candidate, family, journal)
        self._read = len(journal)
        return self._found[known:]

    def noise(self) -> Mapping[str, float]:
        """That of one training, as `training_noise` says."""
        return training_noise(self._repeats)

    def _add(self, candidate: Candidate, family: str, journal: Journal) -> None:
        held = journal.of(candidate.parent or "")
        parent = held.at(candidate.rung) if held else None
        program, outcome, kept = candidate.program, candidate.outcome, candidate.kept
        if parent is None or parent.program is None or parent.score is None:
            return
        if program is None or kept is None or not isinstance(outcome, Trained) or len(candidate.parents) > 1:
            return
        edit = _edit_text(parent.program, program, kept)
        if edit is None:
            return
        told = journal.before(candidate.cycle).telemetry(parent.program)
        measured = MeasuredEdit(
            family,
            parent.program.net,
            edit,
            gain=journal.metric.over(outcome.score, parent.score),
            accuracy=outcome.score,
            noise=scoring_noise(parent.score, outcome.score, outcome.n) if journal.metric.limits == SHARE else None,
            goal=kept.goal,
            before=told.score,
            params=told.params,
            moved=told.gains.get(kept.goal),
            origin=f"{self._origin} {candidate.cycle}.{candidate.index}",
            part=text_of(kept.part),
            transform=parent.program.transform,
            prm=parent.program.prm,
            kind=kept.kind,
            space=kept.part,
        )
        self._found.append(OwnEdit(measured, len(candidate.scores), len(parent.scores)))


def own_edits(
    candidates: Sequence[Candidate], origin: str = "run", metric: Metric = CLASSIFY.metric
) -> list[MeasuredEdit]:
    """The measured edits of a search's candidates, which come in the order of the journal. metric: of their scores."""
    return OwnEdits(origin).edits(Journal(candidates, metric=metric))


def _edit_text(parent: Program, child: Program, kept: Attempt) -> str | None:
    """An edit of the part that was edited that makes the child: what was said, or the diff; None if none does."""
    of = text_of(kept.part)
    if {part for part, _, _ in differing_parts(parent, child)} - {of, "prm"}:
        return None
    old, new = parent.editable(of), child.editable(of)
    try:
        if parent.edited(of, apply_edit(old, kept.edit).source).editable(of) == new:
            return kept.edit
    except EditError:
        pass
    try:
        return diff(old, new) or None
    except EditError:
        return None


def gains_edits(folder: Path) -> list[MeasuredEdit]:
    """The data set of `python -m benchmarks gains`: edits of built-in networks and of some descendants of theirs.

    What a seed did to a parent and to all edits of it alike is taken off every accuracy (`learn/luck.py`).

    Raises DataError where a file is missing or damaged, or a built-in network is no longer the one that was measured.
    """
    try:
        return _gains(folder)
    except MALFORMED as error:
        raise DataError(
            f"{folder}: a row has another form than it should ({type(error).__name__}: {error})",
            "the files are damaged: measure them anew",
        ) from error


def _gains(folder: Path) -> list[MeasuredEdit]:
    method = _json(folder / METHOD, (folder / METHOD).read_text("utf-8")) if (folder / METHOD).exists() else {}
    prm = prm_text(method.get("prm", nets.DEFAULT_PRM))
    parents = {row["baseline"]: row for row in _rows(folder / BASELINES)}
    rows = [row for row in _rows(folder / EDITS) if row["failure"] is None]
    trained = {name: _trainings(row) for name, row in parents.items()}
    edited = [_trainings(row) for row in rows]
    luck = seed_luck(trained.values())
    known = without_luck(trained, edited, luck)
    noise = training_noise(zip([row.parent for row in (*edited, *trained.values())], known, strict=True))
    sources = {name: _source(row, prm) for name, row in parents.items()}
    found = []
    for row, after in zip(rows, known, strict=False):
        name, parent = row["baseline"], trained[row["baseline"]]
        before = [one - luck.get(seed, 0.0) for one, seed in zip(parent.accuracies, parent.seeds, strict=True)]
        if after and before:
            found.append(
                MeasuredEdit(
                    parents[name].get("root", name),
                    sources[name],
                    row["edit"],
                    gain=fmean(after) - fmean(before),
                    accuracy=fmean(after),
                    noise=gain_noise(noise, name, len(after), len(before)),
                    before=fmean(before),
                    params=parents[name]["params"],
                    prm=prm,
                    origin=f"gains {row['draw']}",
                    kind=row.get("kind", ""),
                )
            )
    return found


def _trainings(row: Mapping[str, Any]) -> Trainings:
    """The trainings of a row that ended well; a row that names no seeds was trained with the first ones."""
    pairs = zip(row["accuracies"], row.get("seeds") or range(len(row["accuracies"])), strict=True)
    known = [(accuracy, seed) for accuracy, seed in pairs if accuracy is not None]
    return Trainings(row["baseline"], tuple(accuracy for accuracy, _ in known), tuple(seed for _, seed in known))


def _source(row: Mapping[str, Any], prm: str) -> str:
    """The network of a row: a built-in one, or what edits one after another made of it."""
    name = row.get("root", row["baseline"])
    source = nets.baselines().get(name)
    try:
        for edit in row.get("edits", ()):
            source = apply_edit(source or "", edit).source
    except EditError:
        source = None
    if source is None or Program.of(source, prm=prm).id != row["program"]:
        raise DataError(
            f"the built-in network {name} is not the one that was measured ({row['program']})",
            "measure it anew, or take the version of deltanas that measured it",
        )
    return source


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} can't be read: {error}") from None
    # The last piece has no newline: nothing, or a row that is being written.
    return [_json(f"{path}, line {number}", line) for number, line in enumerate(lines[:-1], 1)]


def _json(place: object, text: str) -> dict[str, Any]:
    try:
        row = json.loads(text)
    except ValueError as error:
        raise DataError(f"{place}: not JSON ({error})", "the file is damaged: measure it anew") from None
    if not isinstance(row, dict):
        raise DataError(f"{place}: not a JSON object")
    return row
