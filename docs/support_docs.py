"""What the docs take from the code: the commands and the settings. `make docs` writes it, `make check` compares."""

from __future__ import annotations

import json
from pathlib import Path

import typer
from pydantic import BaseModel

from deltanas import nets
from deltanas.cli import app
from deltanas.config import with_sections
from deltanas.program.transforms import MENU, Step
from deltanas.propose import STRATEGIES


def commands() -> str:
    """A table of the commands with the first line of their help."""
    rows = []
    group = typer.main.get_command(app)
    for name, command in sorted(group.commands.items()):  # type: ignore[attr-defined]
        for inner, sub in sorted(getattr(command, "commands", {}).items()) or [("", command)]:
            text = (sub.help or "").strip().splitlines()[0]
            rows.append(f"| `deltanas {name}{' ' + inner if inner else ''}` | {text} |")
    return "\n".join(["| command | what it does |", "|---|---|", *rows]) + "\n"


def settings() -> str:
    """A table of every key of the config, with its default and its meaning."""
    rows = [
        f"| `{key}` | `{default}` | {text} |" for key, default, text in _keys(with_sections(STRATEGIES.values()), "")
    ]
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows]) + "\n"


def toy(name: str) -> str:
    """A file of `tests/extending/toys`, which a test adds to the package and runs."""
    text = (Path(__file__).parents[1] / "tests" / "extending" / "toys" / name).read_text("utf-8")
    return f"```python\n{text}```\n"


def strategies() -> str:
    """A table of the built-in strategies."""
    rows = [
        f"| `{one.name}` | {one.calls} | {one.about} | {'yes' if one.taught else ''} |" for one in STRATEGIES.values()
    ]
    return "\n".join(["| strategy | model calls | proposes | by LoRA |", "|---|---|---|---|", *rows]) + "\n"


def baselines(task: str = "classify") -> str:
    """The built-in baselines, one a line, with the first line of their docstring."""
    return "".join(f"- `{name}`: {_first_line(source)}\n" for name, source in nets.baselines(task).items())


def operations() -> str:
    """A table of the operations of transforms: what each does and takes, at its weakest and strongest."""
    rows = []
    for one in MENU.values():
        bounds = "; ".join(f"`{value.name}`: {value.bounds}" for value in one.parameters)
        weak, strong = (Step(one.name, one.at(strength)).call.partition(".")[2] for strength in (0, 2))
        calls = f"`{weak}`, `{strong}`" if one.parameters else f"`{weak}`"
        rows.append(f"| `{one.name}` | {one.about}{'' if one.singles else ' *'} | {bounds} | {calls} |")
    return (
        "\n".join(["| operation | what it does to an image | takes | weak, strong |", "|---|---|---|---|", *rows])
        + "\n"
    )


def _first_line(source: str) -> str:
    return source.removeprefix('"""').partition("\n")[0].removesuffix('"""')


def _keys(section: type[BaseModel], prefix: str) -> list[tuple[str, str, str]]:
    keys: list[tuple[str, str, str]] = []
    for name, field in section.model_fields.items():
        if isinstance(field.default, BaseModel):
            keys += _keys(type(field.default), f"{prefix}{name}.")
        else:
            default = "not given" if field.default is None else json.dumps(field.default)
            keys.append((f"{prefix}{name}", default, (field.description or "").replace("|", "\\|")))
    return keys
