"""What a run says of itself to who plays in it: its history, the change of a candidate, a verdict in words."""

from __future__ import annotations

import ast
from dataclasses import asdict

from deltanas.askers import askers
from deltanas.errors import UsageError
from deltanas.program import Program, diff
from deltanas.program.canonical import parsed
from deltanas.records import Candidate
from deltanas.referee.asked import scored, tried
from deltanas.referee.court import Referee, place_of
from deltanas.referee.standing import Standing
from deltanas.referee.verdict import Verdict

MOST_ROWS = 50
"""Number of candidates in an answer."""
MOST_TEXT = 20_000
"""Number of characters of a text in an answer; what is longer is cut, and says so."""


def history(referee: Referee, last: int = 20) -> dict[str, object]:
    """The champion, the latest candidates, and who proposed how many. Notes of askers are not in it."""
    task = referee.rules.task
    with referee.reading() as run:
        now = Standing(run, referee.plan)
    told = [row for place, row in now.rows.items() if place[0]]
    shown = told[-max(1, min(last, MOST_ROWS)) :]
    return {
        "metric": task.metric.name,
        "champion": scored(task, now.champion),
        "told": len(told),
        "slots_left": now.unsettled(),
        "candidates": [tried(task, now, row) for row in shown],
        "askers": [
            {**asdict(each), "name": each.name or "(uniform control)"}
            for each in askers(now.journal, now.leases.values(), now.duels)
        ],
    }


def source(referee: Referee, name: str) -> str:
    """The text of a program: of a baseline by its name, of a candidate by its label, as "1.3", of the champion.

    Raises UsageError: there is none.
    """
    program = _named(referee, name)[0].program
    if program is None:
        raise UsageError(f"{name[:60]!r} has no program: its edit did not apply", "`history` lists the candidates")
    return cut(program.net)


def change(referee: Referee, name: str) -> str:
    """What a candidate changes of its parent, as a unified diff of the sources without comments and docstrings."""
    row, parent = _named(referee, name)
    if row.program is None or parent is None or parent.program is None:
        raise UsageError(f"{name[:60]!r} has no program with a parent to compare", "`history` lists the candidates")
    texts = [_bare(each) for each in (parent.program, row.program)]
    return cut(diff(*texts)) or "the sources differ in comments alone"


def explained(referee: Referee, name: str) -> str:
    """A verdict in sentences, each with the figures that it goes by."""
    found, metric = referee.verdict(name), referee.rules.task.metric
    lines = [f"{found.verdict}: {found.reason}."]
    if found.gain is not None and found.low is not None and found.high is not None:
        around = f"{metric.points(found.low)} to {metric.points(found.high)}"
        lines.append(
            f"It gains {metric.points(found.gain)} over its parent in trainings with equal seeds; another sample of"
            f" images would give {around} (95 %, paired by image)."
        )
    if found.noise_low is not None and found.noise_high is not None:
        around = f"{metric.points(found.noise_low)} to {metric.points(found.noise_high)}"
        lines.append(f"Other seeds would give {around}, by the noise of single trainings in this run.")
    if found.seeds:
        lines.append(_pairs(found, metric.points(found.seeds.gain)))
    if found.better is not None:
        lines.append(f"All in all it is better than its parent with probability {found.better:.2f}.")
    if found.cost is not None:
        lines.append(f"To know takes about {found.cost} trainings more (`tell` again with settle).")
    lines.append(f"The champion is {found.champion}; it changes by a test alone, never by a score.")
    return "\n".join(lines)


def cut(text: str) -> str:
    rest = len(text) - MOST_TEXT
    return text if rest <= 0 else f"{text[:MOST_TEXT]}\n... {rest:,} characters more"


def _pairs(found: Verdict, gain: str) -> str:
    assert found.seeds is not None
    return f"In {found.seeds.pairs} pairs of trainings with fresh seeds it gained {gain} on average."


def _named(referee: Referee, name: str) -> tuple[Candidate, Candidate | None]:
    """A candidate with its parent."""
    with referee.reading() as run:
        now = Standing(run, referee.plan)
    if name == "champion":
        row = now.champion
    else:
        by_name = {each.name: each for each in now.journal.of_cycle(0)}
        found = by_name.get(name) or now.rows.get(place_of(name))
        if found is None:
            raise UsageError(f"the run holds no candidate {name[:60]!r}", "`history` lists the candidates")
        row = found
    return row, now.journal.of(row.parent or "")


def _bare(program: Program) -> str:
    """The source as it is written without comments, docstrings and blanks; as it is where it does not parse."""
    tree = parsed(program.net)
    if tree is None:
        return program.net
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            kept = [each for each in node.body if not _is_text(each)]
            node.body = kept or [ast.Pass()]
    return f"{ast.unparse(tree)}\n"


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
