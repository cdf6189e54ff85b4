"""Commands of a run that anyone fills: ask for a slot, tell an answer, read a verdict."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from deltanas.cli.output import Json, RunArgument, print_json, print_text, say
from deltanas.cli.work import text_of
from deltanas.errors import UsageError
from deltanas.program import Part
from deltanas.referee import Asked, Referee, Verdict
from deltanas.wiring import open_referee

SlotArgument = Annotated[str, typer.Argument(help="The slot, as `ask` gave it.", metavar="SLOT")]
Asker = Annotated[
    str | None, typer.Option("--as", help="Name of who asks; budgets are kept by it. Default: the user's.")
]
Note = Annotated[str, typer.Option(help="What to remember of the answer; it is shown on the page, and to no model.")]
Kind = Annotated[str, typer.Option(help="Which of the goals that `ask` tells it is for, as activation.")]
Settle = Annotated[
    bool,
    typer.Option("--settle", help="Train it and the champion again, in pairs, until it is known whether it is better."),
]


def add_to(app: typer.Typer) -> None:
    for name, command in (("ask", ask), ("tell", tell), ("try", try_), ("verdict", verdict)):
        app.command(name)(command)


def ask(run: RunArgument, asker: Asker = None, as_json: Json = False) -> None:
    """Ask a run of strategy outside for an open slot: the program to edit, and what is known."""
    with open_referee(run) as referee:
        asked = referee.ask(_name(asker))
    _print_asked(run, asked, as_json)


def tell(
    run: RunArgument,
    slot: SlotArgument,
    edit: Annotated[
        Path | None, typer.Option(help="SEARCH/REPLACE blocks or a diff; - reads stdin.", metavar="FILE")
    ] = None,
    program: Annotated[
        Path | None, typer.Option(help="The whole edited program; - reads stdin.", metavar="FILE")
    ] = None,
    note: Note = "",
    kind: Kind = "",
    settle: Settle = False,
    as_json: Json = False,
) -> None:
    """Answer a slot: the edit is checked and trained, and the verdict printed. Told twice, the journal answers."""
    with open_referee(run) as referee:
        texts = [None if file is None else _answer_in(file) for file in (edit, program)]
        is_told = _is_told(referee, slot)
        if texts == [None, None] and not is_told:
            raise UsageError("there is nothing to tell", "give --edit FILE or --program FILE")
        found = referee.tell(slot, edit=texts[0], program=texts[1], note=note, kind=kind, settle=settle)
        if is_told and texts != [None, None]:
            say(f"{slot} was told before and keeps that answer; for another: deltanas ask {quote(str(run))}")
        _print(referee, found, as_json)


def try_(
    run: RunArgument,
    file: Annotated[Path, typer.Argument(help="An edit, or a whole program.", metavar="FILE")],
    asker: Asker = None,
    note: Note = "",
    kind: Kind = "",
    settle: Settle = False,
    as_json: Json = False,
) -> None:
    """Ask and tell in one: what is this edit of the champion, or this program, worth?"""
    text = _answer_in(file)
    is_edit = _is_edit(text)
    given = {"edit" if is_edit else "program": text}
    with open_referee(run) as referee:
        marks, what, hint = _WHOLE[referee.part]
        if not is_edit and not all(mark in text for mark in marks):
            raise UsageError(f"{file} holds neither an edit nor {what}", f"give SEARCH/REPLACE blocks, {hint}")
        referee.require(note, kind)  # before a slot is given out that nobody else gets meanwhile
        asked = referee.ask(_name(asker))
        if asked.slot is None:
            _print_asked(run, asked, as_json)
            raise typer.Exit(1)  # nothing was tried
        found = referee.tell(asked.slot, **given, note=note, kind=kind, settle=settle)
        _print(referee, found, as_json)


def verdict(
    run: RunArgument,
    slot: Annotated[str, typer.Argument(help="The slot as it was given out, or its label, as 1.3.", metavar="SLOT")],
    as_json: Json = False,
) -> None:
    """What is known of a candidate that was told."""
    with open_referee(run) as referee:
        _print(referee, referee.verdict(slot), as_json)


def _print_asked(run: Path, asked: Asked, as_json: bool) -> None:
    if as_json:
        print_json(asdict(asked))
        return
    if asked.slot is None:
        print_text(f"no slot: {asked.reason}")
        return
    print_text(f"slot: {asked.slot}\nparent: {asked.parent} (the champion)")
    print_text(
        f"\n{asked.source}\nanswer with: deltanas tell {quote(str(run))} {asked.slot} --edit FILE (or --program FILE)"
    )


def _is_told(referee: Referee, slot: str) -> bool:
    """Told already: the journal answers, or the test goes on, without a file."""
    try:
        return referee.verdict(slot).reason != "nothing was told yet"
    except UsageError:
        return False


def _print(referee: Referee, found: Verdict, as_json: bool) -> None:
    if as_json:
        print_json(asdict(found))
        return
    metric = referee.rules.task.metric
    said = [f"slot: {found.slot}", f"verdict: {found.verdict} ({found.reason})", f"status: {found.status}"]
    if found.accuracy is not None:
        said.append(f"{metric.name}: {metric.shown(found.accuracy)}")
    if found.gain is not None and found.low is not None and found.high is not None:
        images = f"[{metric.points(found.low)}, {metric.points(found.high)}] over images"
        said.append(f"gain over its parent: {metric.points(found.gain)} {images}")
    if found.noise_low is not None and found.noise_high is not None:
        said.append(f"over seeds: [{metric.points(found.noise_low)}, {metric.points(found.noise_high)}]")
    if found.seeds:
        said.append(f"by {found.seeds.pairs} pairs with fresh seeds: {metric.points(found.seeds.gain)}")
    if found.better is not None:
        said.append(f"probability that it is better: {found.better:.2f}")
    if found.cost is not None:
        said.append(f"trainings to know: about {found.cost}")
    said.append(f"champion: {found.champion}")
    print_text("\n".join(said))


def _answer_in(file: Path) -> str:
    """What a file holds. Raises UsageError for an empty one: a slot that is told nothing would be lost."""
    text = text_of(file)
    if not text.strip():
        raise UsageError(f"{file} is empty", "write an edit or a program into it; nothing was told")
    return text


_WHOLE: Mapping[Part, tuple[tuple[str, ...], str, str]] = {
    "net": (
        ("class Net", "def supported_hyperparameters"),
        "a program by the contract",
        "a unified diff or a program; `deltanas adapt` makes one of a plain Module",
    ),
    "transform": (("def transform",), "a transform", "a unified diff or `def transform(norm): ...`"),
    "prm": (("{",), "hyperparameters", "a unified diff or one JSON object of numbers"),
}
"""Of each text that may be edited: what a whole one holds, what it is called, and what to give."""


def _is_edit(text: str) -> bool:
    return "<<<<<<<" in text or "\n@@" in text or text.startswith("@@")


def _name(asker: str | None) -> str:
    if asker is not None:
        return asker
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "anyone"
