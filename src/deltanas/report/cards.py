"""The sections of the page: for each, what its template needs, or the reason why it can't be there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from deltanas.gains import Measured, interval, measured
from deltanas.prices import priced, prices, ratios
from deltanas.program import Failed, Program, Refused, Trained
from deltanas.records import Candidate, Final
from deltanas.report import charts
from deltanas.report.askers import askers_card
from deltanas.report.atlas import atlas
from deltanas.report.classes import classes_card
from deltanas.report.control import comparison
from deltanas.report.counts import cost
from deltanas.report.denoised import denoised_card
from deltanas.report.figures import Network, Summary
from deltanas.report.front import front_card
from deltanas.report.gain import Gain, told
from deltanas.report.lines import Differences, differences, lineage
from deltanas.report.reading import AbsentError, Reading, label
from deltanas.report.refusals import reasons
from deltanas.report.screened import screen_card
from deltanas.report.sheets import sheets_card


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
    score: float | None
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
    price: str


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the final table.

    test: score on the test images, from `bottom` to `top` with its interval, which are the score where that is not
    known. `low`, `mid`, `high`: the interval's place on the common axis, in percent.
    price: in times of its baseline's, in words; "" for a baseline.
    """

    name: str
    program: str
    baseline: bool
    test: float
    bottom: float
    top: float
    n: int
    seed: int
    validation: float | None
    over_baseline: Gain | None
    price: str
    low: float
    mid: float
    high: float


def progress(reading: Reading, _: Summary) -> dict[str, object]:
    points = []
    for candidate in reading.view.candidates:
        reached = reading.longest(candidate)
        if reached is not None:
            title = f"{label(candidate)}: {reading.told(candidate)}"
            points.append(charts.Point(candidate.cycle, candidate.strategy, reached, title))
    if not points:
        raise AbsentError(f"No network has been trained yet, so there is no {reading.metric.name} to draw.")
    known = {label(c): reached for c in reading.baselines if (reached := reading.value(c)) is not None}
    top = min(known, key=lambda name: reading.metric.key(known[name]), default=None)
    reference = (f"best baseline ({top}, {reading.metric.shown(known[top])})", known[top]) if top is not None else None
    return {"chart": charts.strip(points, reference, reading.metric), "height": charts.HEIGHT}


def best(reading: Reading, figures: Summary) -> dict[str, object]:
    if figures.best is None:
        raise AbsentError(f"{reading.none_trained()}, so there is none to show.")
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
    steps = tuple(_generation(reading, step) for step in line.steps)
    diffs = tuple(differences(ancestor, program)) if ancestor is not None else ()
    return Elite(one, steps, line.missing, label(line.steps[0]), diffs, program, priced(one.prices))


def _generation(reading: Reading, step: Candidate) -> Generation:
    last = step.kept if step.cycle > 0 else None
    return Generation(label(step), reading.value(step), last.aim if last else "", last.rung if last else None)


def finals(reading: Reading, found: Summary) -> dict[str, object]:
    if not reading.view.finals:
        raise AbsentError("No final scores yet: they are taken once, on the test images, after the last cycle.")
    scored = {f.program: one for f in reading.view.finals if (one := measured(reading.task, f.outcome)) is not None}
    failures = [(_name(reading, f), f.outcome) for f in reading.view.finals if isinstance(f.outcome, Failed)]
    if not scored:
        return {"rows": [], "failures": failures, "scale": None, "sizes": "", "marks": (), "handed": None}
    ends = [_ends(reading, one) for one in scored.values()]
    scale = charts.axis(min(low for low, _ in ends), max(high for _, high in ends), reading.metric.limits)
    rows = [_row(reading, final, scored, scale) for final in reading.view.finals if final.program in scored]
    marks = tuple(charts.tick(end, scale, reading.metric) for end in (scale.low, scale.high))
    sizes = " or ".join(f"{n:,}" for n in sorted({row.n for row in rows}))
    rows.sort(key=lambda row: reading.metric.key(row.test))
    told = {"rows": rows, "failures": failures, "scale": marks, "sizes": sizes, "marks": _marks(rows)}
    return {**told, "handed": found.handed_over}


def _marks(rows: Iterable[Row]) -> tuple[str, ...]:
    """What the gains of the table have to say of themselves."""
    gains = [row.over_baseline for row in rows if row.over_baseline]
    marks = (("unpaired", any(not gain.paired for gain in gains)), ("seeds", any(gain.seeds for gain in gains)))
    return tuple(name for name, there in marks if there)


def _ends(reading: Reading, found: Measured) -> tuple[float, float]:
    bounds = interval(reading.metric, found)
    return (bounds.low, bounds.high) if bounds else (found.score, found.score)


def _name(reading: Reading, final: Final) -> str:
    holder = reading.holder(final.program)
    return label(holder) if holder is not None else final.program[:8]


def _row(reading: Reading, final: Final, scored: dict[str, Measured], scale: charts.Axis) -> Row:
    holder, test = reading.holder(final.program), scored[final.program]
    bottom, top = _ends(reading, test)
    root = reading.lineage(holder).baseline if holder is not None and holder.cycle > 0 else None
    base = scored.get(root.program.id) if root is not None and root.program is not None else None
    if not isinstance(final.outcome, Trained):
        raise TypeError("a final score is a training's")
    over = reading.compared(test, base)
    return Row(
        name=_name(reading, final),
        program=final.program,
        baseline=holder is not None and holder.cycle == 0,
        test=test.score,
        bottom=bottom,
        top=top,
        n=final.outcome.n,
        seed=final.outcome.seed,
        validation=reading.value(holder),
        over_baseline=told(root.program.id, label(root), base.score, over)
        if root and root.program and base and over
        else None,
        price=priced(prices(holder, reading.journal)) if holder is not None and holder.cycle else "",
        low=100 * scale.part(bottom),
        mid=100 * scale.part(test.score),
        high=100 * scale.part(top),
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
    return {"rows": [_line(reading, candidate) for candidate in reading.view.candidates]}


def _line(reading: Reading, candidate: Candidate) -> dict[str, object]:
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
        "parent": ", ".join(parent[:8] for parent in candidate.parents),
        "goal": last.aim if last else "",
        "applied": (last.rung if last else None) or "",
        "epochs": candidate.rung if reading.shorter() else 0,
        "score": reading.value(candidate),
        "params": candidate.draft.params if candidate.draft else None,
        "flops": candidate.draft.flops if candidate.draft else None,
        "seconds": seconds,
        "ratios": ratios(candidate, reading.journal),
        "reason": " ".join(reason.split()),
    }


def costs(reading: Reading, _: Summary) -> dict[str, object]:
    calls = [call for c in reading.view.candidates for attempt in c.attempts for call in attempt.calls]
    trainings = [
        ("baselines", _time(each for c in reading.baselines for each in c.trainings)),
        ("search", _time(each for c in reading.search for each in c.trainings)),
        ("final scores", _time(f.outcome for f in reading.view.finals)),
    ]
    if not calls and not any(count for _, (count, *_) in trainings):
        raise AbsentError("Nothing has been generated or trained yet, so nothing has been spent.")
    models = dict.fromkeys(call.model for call in calls)
    return {
        "models": [(model, cost(c for c in calls if c.model == model)) for model in models],
        "trainings": trainings,
    }


def _time(outcomes: Iterable[object]) -> tuple[int, int, float, float]:
    """(trainings, of them read from an earlier run, wall seconds, CPU seconds), of those that failed too."""
    run = [o for o in outcomes if isinstance(o, Trained | Failed)]
    read = sum(isinstance(o, Trained) and o.cached for o in run)
    return len(run), read, sum(o.seconds for o in run), sum(o.cpu_seconds for o in run)


def origin(reading: Reading, _: Summary) -> dict[str, object]:
    manifest = reading.view.manifest
    first = ("version", "commit", "torch", "device", "tier", "seed")
    rest = [key for key in manifest if key not in first and key not in ("config", "began")]
    config = manifest.get("config")
    return {
        "facts": [(key, _plain(manifest.get(key))) for key in (*first, *rest)],
        "config": None if config is None else json.dumps(config, indent=2, sort_keys=True, default=str),
    }


def _plain(value: object) -> object:
    """A record as its own words: what Python or JSON puts around them tells a reader nothing."""
    return ", ".join(f"{key} {part}" for key, part in value.items()) if isinstance(value, dict) else value


FRONT = Card("front", "The front", lambda reading, _: front_card(reading))
"""Of a run with several objectives alone."""
CLASSES = Card("classes", "Class by class", lambda reading, _: classes_card(reading))
"""Of a run whose networks name classes alone."""
DENOISED = Card("denoised", "Before and after", lambda reading, _: denoised_card(reading))
"""Of a run whose networks give images back alone."""
PARTS = Card("parts", "What each part brought", lambda reading, _: {"rows": reading.brought})
"""Of a run whose edits are of several parts alone."""
SHEETS = Card("sheets", "What the transforms do", lambda reading, _: sheets_card(reading))
"""Of a run whose programs have transforms alone."""
ASKERS = Card("askers", "Who proposed what", lambda reading, _: askers_card(reading))
"""Of a run that is filled from outside alone."""
SCREEN = Card("screen", "Gains foretold and measured", lambda _, found: screen_card(found.screen))
"""Of a run that foretold gains alone."""
CARDS = (
    Card("progress", "Scores by cycle", progress),
    FRONT,
    Card("best", "Best networks", best),
    Card("lineage", "Lineage of the best", lineage),
    SHEETS,
    PARTS,
    ASKERS,
    Card("control", "Strategies against the uniform control", lambda reading, _: comparison(reading)),
    Card("finals", "Final scores on the test images", finals),
    CLASSES,
    DENOISED,
    Card("funnel", "From proposal to trained network", passage),
    SCREEN,
    Card("atlas", "How alike the programs are", lambda reading, _: atlas(reading)),
    Card("refusals", "What turned proposals back", refusals),
    Card("costs", "What it cost", costs),
    Card("table", "All candidates", table),
    Card("origin", "Origin of every figure", origin),
)
