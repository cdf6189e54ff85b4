"""Nothing that is in brackets or between colons is taken for markup: help texts, lines of a search, tables, errors."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import deltanas
from deltanas.cli import _complain, app
from deltanas.cli.output import print_table, print_text
from deltanas.errors import DeltanasError
from deltanas.narrate import Narrator
from deltanas.program import Failed, Program, Refused, Trained
from deltanas.records import Attempt, Candidate, Draft, Measurement
from deltanas.seams import Began, Measured, Proposed, Settled

TEXTS = ("[train]", "pip install 'deltanas[vision]'", "[/]", "[bold red]x[/bold red]", ":smile: [0.1, 0.9]", "a\\[b]\\")


def commands() -> Iterator[tuple[tuple[str, ...], typer.core.TyperCommand]]:
    def walked(path: tuple[str, ...], command: typer.core.TyperCommand) -> Iterator[tuple[tuple[str, ...], object]]:
        yield path, command
        for name, inner in getattr(command, "commands", {}).items():
            yield from walked((*path, name), inner)

    yield from walked((), typer.main.get_command(app))  # type: ignore[misc, arg-type]


COMMANDS = list(commands())


@pytest.mark.parametrize("path", [path for path, _ in COMMANDS], ids=" ".join)
def test_every_help_text_is_shown_as_it_is_written(path: tuple[str, ...]) -> None:
    command = dict(COMMANDS)[path]
    shown = "".join(CliRunner().invoke(app, [*path, "--help"]).stdout.split())
    for parameter in command.params:
        text = getattr(parameter, "help", None) or ""
        assert "".join(text.split()) in shown, parameter.name
    assert "".join((command.help or "").split()) in shown


def hints() -> list[str]:
    """All texts of the package that hold a bracket with letters in it, as [train]."""
    found = set()
    for file in Path(deltanas.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "").endswith("Error"):
                texts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
                found |= {text for text in texts if isinstance(text, str) and re.search(r"\[[a-z/#]", text)}
    return sorted(found)


def test_every_hint_is_printed_as_it_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    known = hints()
    assert len(known) >= 5
    for text in (*known, *TEXTS):
        _complain(str(DeltanasError("it failed", text)))
        assert capsys.readouterr().err == f"error: it failed\n  {text}\n"


@pytest.mark.parametrize("text", TEXTS)
def test_a_search_and_a_table_say_a_text_as_it_is(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    narrator = Narrator()
    base = Program.of("x = 1")
    attempt = Attempt(f"<<<<<<< SEARCH\n1\n=======\n{text}\n>>>>>>> REPLACE", "exact", text, None)
    draft = Draft(base.edited("net", "x = 2"))
    candidate = Candidate(1, 0, "random", base.id, draft, (attempt,), name=text)
    narrator.say(text)
    narrator(Began(1, "propose", 1))
    narrator(
        Settled(
            Candidate(0, 0, "baseline", None, Draft(base), (attempt,), Trained(0.5, 9, 0, 1.0, 1.0, "A"), name=text)
        )
    )
    narrator(Proposed(candidate))
    refused = Attempt("", None, text, Refused("build", text))
    narrator(Proposed(Candidate(1, 1, "random", base.id, None, (refused,), Refused("build", text))))
    narrator(Settled(Candidate(1, 2, "random", base.id, draft, (attempt,), Failed("error", text, 1.0, 1.0, "A"))))
    narrator(Measured(candidate, Measurement("latency_ms", None, detail=text)))
    said = capsys.readouterr().err
    assert said.count(text) >= 9
    print_table(["name", text], [(text, 1)])
    print_text(text)
    assert capsys.readouterr().out.count(text) == 3


def test_the_folder_and_the_data_of_a_search_are_said_as_they_are(tmp_path: Path) -> None:
    run = tmp_path / "[mine]"
    args = ["search", "--strategy", "random", "--baseline", "mlp", "--cycles", "1", "--candidates", "1"]
    ended = CliRunner().invoke(app, [*args, "--train-size", "64", "--epochs", "1", "--run", str(run)])
    assert f"run: {run}\n" in ended.stderr
