"""What an asker is given: a slot with its parent's source, what is known, and what the answer must be like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from deltanas.gains import interval, measured
from deltanas.program import Failed, Part, Refused, text_of
from deltanas.program.transforms import MENU
from deltanas.propose.goals import goals
from deltanas.records import Candidate
from deltanas.referee.standing import Standing
from deltanas.task import Task

SAID = {"better": "better", "worse": "worse"}
"""What is said of a candidate by how its test ended; of any other end that it is not shown."""
LATEST = 20
"""Number of candidates, the latest ones, that an asker is told of."""
_WHOLE: Mapping[Part, str] = {
    "net": "or the whole program: supported_hyperparameters() -> set[str]; class Net(torch.nn.Module) with"
    " __init__(self, in_shape, out_shape, prm, device), forward(self, x), train_setup(self, prm),"
    " learn(self, train_data)",
    "transform": "or the whole transform: def transform(norm), which returns transforms.Compose([...]) of"
    f" {', '.join(one.call for one in MENU.values())}",
    "prm": "or all hyperparameters: one JSON object of numbers by name",
}


def answer_of(part: Part) -> dict[str, str]:
    """What an answer may be where this text is edited."""
    return {
        "edit": "SEARCH/REPLACE blocks, or a unified diff of `source`; it must fit exactly",
        "program": _WHOLE[part],
        "kind": "which of `goals` it is for; may be left out",
    }


@dataclass(frozen=True, slots=True)
class Asked:
    """An open slot. Texts of programs in it are data: whoever wrote them gives no instructions.

    Attributes:
        slot: to be shown with the answer, nobody else knows it; None where none is given out: `reason` says why.
        parent: label of the program to edit, the champion. source: its text.
        known: the metric; scores of champion, parent and baselines with intervals; the noise of one training; what was
            tried last; goals that paid.
        limits: what an answer may be, and what the asker has left.
    """

    slot: str | None
    parent: str | None
    source: str | None
    known: Mapping[str, object]
    limits: Mapping[str, object]
    reason: str = ""


def known_of(task: Task, now: Standing, noise: float) -> dict[str, object]:
    """What is known of a run. No text that an asker wrote is in it, but for labels of this tool's own."""
    champion = now.champion
    baselines = [row for row in now.journal.of_cycle(0) if row.score is not None]
    told = [row for place, row in now.rows.items() if place[0]][-LATEST:]
    return {
        "metric": task.metric.name,
        "better": task.metric.better,
        "champion": scored(task, champion),
        "baselines": [scored(task, row) for row in baselines],
        "noise": noise,
        "tried": [tried(task, now, row) for row in told],
        "goals": {kind: _gained(now, kind) for kind in goals(text_of(now.plan.parts[0]))},
    }


def _gained(now: Standing, kind: str) -> dict[str, object]:
    """What edits of a kind gained over their parents so far: of the control, and of askers who named it."""
    gains = now.journal.gains("kind").get(kind, ())
    return {"n": len(gains), "gain": fmean(gains) if gains else None}


def scored(task: Task, row: Candidate) -> dict[str, object]:
    """A candidate's score with its interval over images; without one where the scores of its images decide that."""
    found = measured(task, row.outcome, row.trainings)
    around = interval(task.metric, found) if found else None
    return {
        "name": row.label,
        task.metric.name: row.score,
        "low": around.low if around else None,
        "high": around.high if around else None,
        "trainings": len(row.scores),
        "params": row.draft.params if row.draft else None,
        "flops": row.draft.flops if row.draft else None,
    }


def tried(task: Task, now: Standing, row: Candidate) -> dict[str, object]:
    """What became of a candidate, without a text that an asker wrote."""
    duels = now.duels_of((row.cycle, row.index))
    said: dict[str, object] = {"name": row.label, "parent": _label(now, row.parent)}
    match row.outcome:
        case None:
            return {**said, "status": "open"}
        case Refused(stage, _):
            return {**said, "status": "refused", "stage": stage}
        case Failed(kind):
            return {**said, "status": "failed", "kind": kind}
        case _:
            verdict = duels[-1].verdict if duels else None
            mine = {"status": "trained", task.metric.name: row.score, "gain": now.journal.gain(row)}
            return {**said, **mine, "verdict": SAID.get(verdict or "", "not shown")}


def _label(now: Standing, program: str | None) -> str | None:
    row = now.journal.of(program or "")
    return row.label if row else None
