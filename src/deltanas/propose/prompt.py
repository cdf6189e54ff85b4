"""Prompts are files: a Jinja template with a heading for each turn of the chat. So are the goals, by kind of edit."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import cast, get_args

from jinja2 import StrictUndefined, Template

from deltanas.llm import Message
from deltanas.llm.model import Role
from deltanas.program import Part
from deltanas.task import CLASSIFY, DENOISE, Metric

_TURN = re.compile(rf"^# ({'|'.join(get_args(Role))})\n", re.MULTILINE)


def render(name: str, of: Part = "net", **values: object) -> tuple[Message, ...]:
    """The messages of the prompt `name` about a part of a program.

    Values are never read as headings: the file is split before it is filled. `purpose`, if it is not given, is that of
    a classifier.
    """
    values = {"purpose": purpose(CLASSIFY.metric), **values}
    _, *parts = _TURN.split(prompt_text(name, of))
    return tuple(
        Message(cast("Role", role), _filled(content, values))
        for role, content in zip(parts[::2], parts[1::2], strict=True)
    )


def purpose(metric: Metric) -> str:
    """What the networks are for, by what their score is."""
    return "denoising images" if metric == DENOISE.metric else "image classification"


def _filled(template: str, values: dict[str, object]) -> str:
    text: str = Template(template, undefined=StrictUndefined, trim_blocks=True).render(values)
    return text.strip("\n")


@cache
def prompt_text(name: str, of: Part) -> str:
    """The part's own file where it has one, else that of the network."""
    folder = resources.files(__package__).joinpath("prompts")
    own = folder.joinpath(of, f"{name}.md")
    return (own if own.is_file() else folder.joinpath(f"{name}.md")).read_text("utf-8")
