"""The model card: where a network comes from, what was measured of it, and how it is used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template

from deltanas.export.net import Net, Score
from deltanas.journal import Candidate, Journal, RunView
from deltanas.program import Refused
from deltanas.train.data import Dataset

Scale = tuple[tuple[float, ...], tuple[float, ...]]


def card(view: RunView, candidate: Candidate, net: Net, dataset: Dataset, scale: Scale) -> str:
    """The card in Markdown. scale: mean and standard deviation of each channel, on the scale 0 to 255."""
    line = Journal(view.candidates).lineage(candidate)
    models = {call.model for step in line for attempt in step.attempts for call in attempt.calls}
    mean, std = ([[[round(value, 6)]] for value in values] for values in scale)
    return _template().render(
        net=net,
        run=view.name,
        manifest=view.manifest,
        data=dataset,
        size="x".join(map(str, dataset.in_shape[1:])),
        prm=candidate.program.prm if candidate.program else "{}",
        mean=json.dumps(mean),
        std=json.dumps(std),
        steps=[_step(step) for step in line],
        models=sorted(models),
        trained=sum(c.cycle > 0 and not isinstance(c.outcome, Refused) and bool(c.trainings) for c in view.candidates),
    )


def _step(step: Candidate) -> Mapping[str, object]:
    """An ancestor, or the network itself: what was asked for, and the edit."""
    kept = step.kept
    edit = kept.edit if kept and step.cycle else ""
    fence = "```"
    while fence in edit:
        fence += "`"
    goal = " ".join((kept.aim if kept else step.name).split()).replace("`", "'").replace("|", "/")
    return {
        "name": f"{step.cycle}.{step.index}" if step.cycle else "baseline",
        "goal": goal,
        "program": step.program.id if step.program else "",
        "accuracy": step.score,
        "error": step.standard_error,
        "trainings": len(step.trainings),
        "edit": edit,
        "fence": fence,
    }


def _scored(found: Score) -> str:
    return f"{found.accuracy:.2%} | {found.low:.2%} to {found.high:.2%} | {found.n:,}"


@cache
def _template() -> Template:
    env = Environment(  # noqa: S701  what is written is Markdown
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    env.filters["scored"] = _scored
    return env.from_string(files("deltanas.export").joinpath("card.md.j2").read_text("utf-8"))
