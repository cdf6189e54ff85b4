"""The sections of the page: for each, what its template needs, or the reason why it can't be there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from deltanas.intervals import Estimate, difference
from deltanas.journal import Candidate, Final
from deltanas.program import Failed, Program, Refused, Trained
from deltanas.report import charts
from deltanas.report.atlas import atlas
from deltanas.report.control import comparison
from deltanas.report.counts import cost
from deltanas.report.figures import Network, Summary
from deltanas.report.lines import Differences, differences, lineage
from deltanas.report.reading import AbsentError, Reading, accuracy, label, score
from deltanas.report.refusals import reasons


@dataclass(frozen=True)
class Card:
    """A section of the page: `build` makes the variables of the template `name`, or raises `AbsentError`."""

    name: str
    title: str
    build: Callable[[Reading, Summary], dict[str, object]]


@dataclass(frozen=True, slots=True)
class Generation:
    """A step of a lineage: what was asked of the edit, and on which rung it applied ("" and None for a baseline)."""

    name: str
    score: Estimate | None
    goal: str
    rung: str | None


@dataclass(frozen=True, slots=True)
class Elite:
    """A network with its story; `missing` is the ancestor that the run does not hold."""

    network: Network
    steps: tuple[Generation, ...]
    missing: str | None
    base: str
    diffs: Differences
    program: Program


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the final table. `low`, `mid`, `high`: the interval's place on the common axis, in percent."""

    name: str
    program: str
    baseline: bool
    test: Estimate
    n: int
    seed: int
    validation: Estimate | None
    over_baseline: Estimate | None
    baseline_name: str
    low: float
    mid: float
    high: float


def progress(reading: Reading, _: Summary) -> dict[str, object]:
    points = []
    for candidate in reading.view.candidates:
        reached = score(candidate)
        if reached is not None:
            title = f"{label(candidate)}: {100 * reached.value:.1f} %"
            points.append(charts.Point(candidate.cycle, candidate.strategy, reached.value, title))
    if not points:
        raise AbsentError("No network has been trained yet, so there is no accuracy to draw.")
    known = [(reached.value, label(c)) for c in reading.baselines if (reached := score(c)) is not None]
    top = max(known, default=None)
    reference = (f"best baseline ({top[1]}, {100 * top[0]:.1f} %)", top[0]) if top else None
    return {"chart": charts.strip(points, reference), "height": charts.HEIGHT}


def best(reading: Reading, figures: Summary) -> dict[str, object]:
    if figures.best is None:
        raise AbsentError("No edited network has been trained yet, so there is none to show.")
    shown = figures.elites or (figures.best,)
    return {"cards": [_guarded(reading, one) for one in shown], "beaten": bool(figures.elites)}


def _guarded(reading: Reading, one: Network) -> dict[str, object]:
    try:
        return {"elite": _elite(reading, one), "error": None}
    except Exception as error:  # noqa: BLE001 - one card must not take the others with it
        return {"elite": None, "error": f"{type(error).__name__}: {error}", "name": one.name}


def _elite(reading: Reading, one: Network) -> Elite:
    candidate = next(c for c in reading.search if (c.cycle, c.index) == (one.cycle, one.index))
    program = candidate.program
    if program is None:
        raise ValueError("the run holds no source of this program")
    line = reading.lineage(candidate)
    ancestor = line.steps[0].program if len(line.steps) > 1 else None
    steps = tuple(_generation(step) for step in line.steps)
    diffs = tuple(differences(ancestor, program)) if ancestor is not None else ()
    return Elite(one, steps, line.missing, label(line.steps[0]), diffs, program)


def _generation(step: Candidate) -> Generation:
    last = step.kept if step.cycle > 0 else None
    return Generation(label(step), score(step), last.aim if last else "", last.rung if last else None)


def finals(reading: Reading, _: Summary) -> dict[str, object]:
    if not reading.view.finals:
        raise AbsentError("No final scores yet: they are taken once, on the test images, after the last cycle.")
    scored = {f.program: reached for f in reading.view.finals if (reached := accuracy(f.outcome)) is not None}
    failures = [(_name(reading, f), f.outcome) for f in reading.view.finals if isinstance(f.outcome, Failed)]
    if not scored:
        return {"rows": [], "failures": failures, "scale": None, "sizes": ""}
    scale = charts.axis(min(e.low for e in scored.values()), max(e.high for e in scored.values()))
    rows = [_row(reading, final, scored, scale) for final in reading.view.finals if final.program in scored]
    ends = (charts.percent(scale.low, scale), charts.percent(scale.high, scale))
    sizes = " or ".join(f"{n:,}" for n in sorted({row.n for row in rows}))
    rows.sort(key=lambda row: -row.test.value)
    return {"rows": rows, "failures": failures, "scale": ends, "sizes": sizes}


def _name(reading: Reading, final: Final) -> str:
    holder = reading.holder(final.program)
    return label(holder) if holder is not None else final.program[:8]


def _row(reading: Reading, final: Final, scored: dict[str, Estimate], scale: charts.Axis) -> Row:
    holder, test = reading.holder(final.program), scored[final.program]
    root = reading.lineage(holder).baseline if holder is not None and holder.cycle > 0 else None
    base = scored.get(root.program.id) if root is not None and root.program is not None else None
    if not isinstance(final.outcome, Trained):
        raise TypeError("a final score is a training's")
    return Row(
        name=_name(reading, final),
        program=final.program,
        baseline=holder is not None and holder.cycle == 0,
        test=test,
        n=final.outcome.n,
        seed=final.outcome.seed,
        validation=score(holder),
        over_baseline=difference(test, base) if base is not None else None,
        baseline_name=label(root) if root is not None else "",
        low=100 * scale.part(test.low),
        mid=100 * scale.part(test.value),
        high=100 * scale.part(test.high),
    )


def passage(reading: Reading, figures: Summary) -> dict[str, object]:
    if not reading.search:
        raise AbsentError("Nothing has been proposed yet.")
    return {"groups": figures.counts}


def refusals(reading: Reading, _: Summary) -> dict[str, object]:
    found = reasons(reading.search)
    if not found:
        raise AbsentError("No proposal was refused and no training failed." if reading.search else "No proposals yet.")
    stages = dict.fromkeys(reason.stage for reason in found)
    groups = []
    for stage in stages:
        here = [reason for reason in found if reason.stage == stage]
        groups.append((stage, sum(r.count for r in here), here[:5], sum(r.count for r in here[5:])))
    return {"groups": groups}


def table(reading: Reading, _: Summary) -> dict[str, object]:
    if not reading.view.candidates:
        raise AbsentError("The run holds no candidates yet.")
    return {"rows": [_line(candidate) for candidate in reading.view.candidates]}


def _line(candidate: Candidate) -> dict[str, object]:
    last = candidate.kept or (candidate.attempts[-1] if candidate.attempts else None)
    seconds, reason = None, ""
    match candidate.outcome:
        case None:
            status = "open"
        case Refused(stage=stage, reason=why):
            status, reason = "refused", f"{stage}: {why}"
        case Failed(kind=kind, reason=why, seconds=took):
            status, reason, seconds = "failed", f"{kind}: {why}", took
        case Trained(seconds=took):
            status, seconds = "trained", took
    return {
        "candidate": candidate,
        "status": status,
        "program": candidate.program.id[:8] if candidate.program else "",
        "parent": (candidate.parent or "")[:8],
        "goal": last.aim if last else "",
        "rung": (last.rung if last else None) or "",
        "score": score(candidate),
        "params": candidate.draft.params if candidate.draft else None,
        "seconds": seconds,
        "reason": " ".join(reason.split()),
    }


def costs(reading: Reading, _: Summary) -> dict[str, object]:
    calls = [call for c in reading.view.candidates for attempt in c.attempts for call in attempt.calls]
    trainings = [
        ("baselines", _time(each for c in reading.baselines for each in c.trainings)),
        ("search", _time(each for c in reading.search for each in c.trainings)),
        ("final scores", _time(f.outcome for f in reading.view.finals)),
    ]
    if not calls and not any(count for _, (count, _, _) in trainings):
        raise AbsentError("Nothing has been generated or trained yet, so nothing has been spent.")
    models = dict.fromkeys(call.model for call in calls)
    return {
        "models": [(model, cost(c for c in calls if c.model == model)) for model in models],
        "trainings": trainings,
    }


def _time(outcomes: Iterable[object]) -> tuple[int, float, float]:
    """(trainings, wall seconds, CPU seconds), of trainings that gave a score and of those that failed."""
    run = [o for o in outcomes if isinstance(o, Trained | Failed)]
    return len(run), sum(o.seconds for o in run), sum(o.cpu_seconds for o in run)


def origin(reading: Reading, _: Summary) -> dict[str, object]:
    manifest = reading.view.manifest
    first = ("version", "commit", "torch", "device", "tier", "seed")
    rest = [key for key in manifest if key not in first and key != "config"]
    config = manifest.get("config")
    return {
        "facts": [(key, _plain(manifest.get(key))) for key in (*first, *rest)],
        "config": None if config is None else json.dumps(config, indent=2, sort_keys=True, default=str),
    }


def _plain(value: object) -> object:
    """A record as its own words: what Python or JSON puts around them tells a reader nothing."""
    return ", ".join(f"{key} {part}" for key, part in value.items()) if isinstance(value, dict) else value


CARDS = (
    Card("progress", "Accuracy by cycle", progress),
    Card("best", "Best networks", best),
    Card("lineage", "Lineage of the best", lineage),
    Card("control", "Strategies against the uniform control", lambda reading, _: comparison(reading)),
    Card("finals", "Final scores on the test images", finals),
    Card("funnel", "From proposal to trained network", passage),
    Card("atlas", "How alike the programs are", lambda reading, _: atlas(reading)),
    Card("refusals", "What turned proposals back", refusals),
    Card("costs", "What it cost", costs),
    Card("table", "All candidates", table),
    Card("origin", "Origin of every figure", origin),
)
