"""The model card: where a network comes from, what was measured of it, and how it is used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template

from deltanas.export.net import Net, Score
from deltanas.prices import growth_of, priced, prices, told_growth
from deltanas.program import Refused
from deltanas.program.transforms import read_transform
from deltanas.records import Candidate, RunView
from deltanas.report import Gain, least_accurate
from deltanas.report.figures import gain
from deltanas.report.reading import Reading
from deltanas.task import Metric
from deltanas.train.data import Dataset

_CLASSES = 50
"""Number of classes up to which all are told; of more the least accurate are."""


def card(
    view: RunView, candidate: Candidate, net: Net, dataset: Dataset, config: Mapping[str, object], named: bool = False
) -> str:
    """The card in Markdown. config: what stands in `config.json`. named: a user chose the network, not its rank."""
    reading = Reading(view)
    transform = candidate.program.transform if candidate.program else ""
    line = reading.lineage(candidate).steps
    models = {call.model for step in line for attempt in step.attempts for call in attempt.calls}
    mean, std = ([[[round(value, 6)]] for value in values] for values in dataset.scale)
    return _template().render(
        net=net,
        named=named,
        run=view.name,
        manifest=view.manifest,
        config=config,
        classes=net.classes if len(net.classes) <= _CLASSES else least_accurate(net.classes)[:_CLASSES],
        data=dataset,
        size="x".join(map(str, dataset.in_shape[1:])),
        prm=candidate.program.prm if candidate.program else "{}",
        transform=", ".join(f"`{step.call.partition('.')[2]}`" for step in read_transform(transform)),
        mean=json.dumps(mean),
        std=json.dumps(std),
        metric=reading.metric,
        steps=[_step(step, reading) for step in line],
        growth=told_growth(growth_of(view.manifest)),
        models=sorted(models),
        trained=sum(c.cycle > 0 and not isinstance(c.outcome, Refused) and bool(c.trainings) for c in view.candidates),
    )


def _step(step: Candidate, reading: Reading) -> Mapping[str, object]:
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
        "score": reading.value(step),
        "gain": gain(reading, step, reading.lineage(step).parent),
        "price": priced(prices(step, reading.journal)) if step.cycle else "",
        "error": step.standard_error,
        "trainings": len(step.trainings),
        "edit": edit,
        "fence": fence,
    }


def _name(name: str) -> str:
    """The name of a class in a cell of a table."""
    return f"`{' '.join(name.split()).replace('`', chr(39)).replace('|', '/')}`" if name else ""


def _scored(found: Score, metric: Metric) -> str:
    bounds = "not known"
    if found.low is not None and found.high is not None:
        bounds = f"{_exact(found.low, metric)} to {_exact(found.high, metric)}"
    return f"{_exact(found.score, metric)} | {bounds} | {found.n:,}"


def _exact(score: float, metric: Metric) -> str:
    return f"{metric.column(score)}{metric.sign}"


def _gained(found: Gain, metric: Metric) -> str:
    paired = "" if found.paired else ", unpaired"
    seeds = found.seeds
    over = f"; over seeds {metric.gain(seeds.low)} to {metric.gain(seeds.high)}" if seeds else ""
    return f"{metric.points(found.gain)} ({metric.gain(found.low)} to {metric.gain(found.high)}{paired}{over})"


@cache
def _template() -> Template:
    env = Environment(  # noqa: S701  what is written is Markdown
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    env.filters |= {"scored": _scored, "exact": _exact, "gained": _gained, "name": _name}
    return env.from_string(files("deltanas.export").joinpath("card.md.j2").read_text("utf-8"))
