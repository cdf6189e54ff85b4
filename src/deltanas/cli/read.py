"""Commands that read: runs, programs, the report, the data sets, the state of the machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from deltanas.archive import POINTER, list_folders, read_folder
from deltanas.cli.front import print_front
from deltanas.cli.networks import handed_line, print_networks
from deltanas.cli.output import Against, Json, RunArgument, RunOption, keyed, print_json, print_table, print_text, say
from deltanas.doctor import examine
from deltanas.errors import MALFORMED, DeltanasError, UsageError
from deltanas.journal import Journal
from deltanas.pages import write_report
from deltanas.prices import ratios, told_growth
from deltanas.program import EMPTY, Failed, Program, Refused, diff, differing_parts
from deltanas.records import Candidate, RunView
from deltanas.report import ClassScores, Counts, Step, summary
from deltanas.sandbox import machine_secret
from deltanas.task import Metric, task_of
from deltanas.train.data import Making, available, load, prepare, told
from deltanas.wording import counted

runs = typer.Typer(help="List, show and export runs.", no_args_is_help=True)
programs = typer.Typer(help="List, show and compare the programs of a run.", no_args_is_help=True)
datasets = typer.Typer(help="List, show and download data sets.", no_args_is_help=True)

PRICED = ("params", "flops", "seconds")
"""Costs of a candidate that are listed in times of its baseline's."""
_CLASSES = 20
"""Largest number of classes of the best final network that is printed."""
Root = Annotated[Path, typer.Option("--runs", help="Folder that holds the runs.")]
Identity = Annotated[
    str,
    typer.Argument(
        help="Identity of the program, its beginning, or its name in the run (mixer, 2.0).", metavar="PROGRAM"
    ),
]


def add_to(app: typer.Typer) -> None:
    app.add_typer(runs, name="runs")
    app.add_typer(programs, name="programs")
    app.add_typer(datasets, name="datasets")
    app.command()(report)
    app.command()(doctor)


def view_of(path: Path) -> RunView:
    with read_folder(path).open() as run:
        return run.view()


@runs.command("list")
def runs_list(root: Root = Path("runs"), as_json: Json = False) -> None:
    """List the runs in a folder, the newest last."""
    if (root / POINTER).exists():
        raise UsageError(f"{root} is a run, not a folder of runs", f"`deltanas runs show {quote(str(root))}` shows it")
    found = []
    for path in list_folders(root):
        try:
            with read_folder(path).open() as run:
                metric = task_of(run.manifest).metric
                best = run.best()
                shown = None if best is None else metric.shown(best)
                found.append((str(path), run.finished, run.tally(), best, shown, metric.name))
        except DeltanasError as error:  # the others are shown
            say(f"{path} is broken: {error}")
        except MALFORMED as error:
            say(f"{path} is broken: {type(error).__name__}: {error}")
    columns = ("trained", "failed", "refused")
    if as_json:
        print_json(
            [
                {
                    "run": path,
                    "finished": finished,
                    **{name: counts[name] for name in columns},
                    "best": best,
                    "metric": metric,
                }
                for path, finished, counts, best, _, metric in found
            ]
        )
        return
    print_table(
        ("run", "state", *columns, "best"),
        (
            (
                path,
                "finished" if finished else "not finished",
                *(counts[name] for name in columns),
                shown,
            )
            for path, finished, counts, _, shown, _ in found
        ),
    )


@runs.command("show")
def runs_show(run: RunArgument, as_json: Json = False) -> None:
    """Show the results of a run and where they come from."""
    view = view_of(run)
    found = summary(view)
    if as_json:
        print_json({"manifest": view.manifest, **keyed(asdict(found), found.metric)})
        return
    print_text(f"{found.run}: {'finished' if found.finished else 'not finished'}, {told_growth(found.growth)}")
    print_text(f"{found.trained} trained, {found.failed} failed, {found.refused} refused, {found.open} open")
    metric = task_of(view.manifest).metric
    if found.best:
        print_networks([found.best], metric, "best", found.shorter)
    if found.handed_over:
        print_text(handed_line(found.handed_over, metric))
    if found.front:
        print_front(found.front, metric)
    if found.screen:
        state = "on" if found.screen.on else "switched off, as the interval lies below 0"
        print_text(f"screen {state}: rank correlation of foretold and measured gains {found.screen.told}")
    for counts in found.counts:
        _print_counts(counts)
    if found.finals:
        _print_classes(found.finals[0], metric)
    for name, value in view.manifest.items():
        if name not in ("began", "contents"):
            print_text(f"{name}: {json.dumps(value, ensure_ascii=False)}")


def _print_classes(final: ClassScores, metric: Metric) -> None:
    shown = final.worst[:_CLASSES]
    most = f", the {len(shown)} least accurate of {len(final.classes)}" if len(shown) < len(final.classes) else ""
    print_text(f"{final.name} on {counted(final.n, 'test image')}, {metric.said(final.score)}; class by class{most}:")
    print_table(
        ("class", "output", "right", f"{metric.name} [95 %]", "taken for most often"),
        (
            (
                one.name,
                one.output,
                f"{one.right} of {one.n}",
                f"{one.accuracy:.1%} [{one.low:.1%}, {one.high:.1%}]",
                one.mistaken,
            )
            for one in shown
        ),
    )
    print_text("")


def _print_counts(counts: Counts) -> None:
    who = [counts.strategy, counts.decoding if counts.model else None, counts.model]
    asked = counted(counts.proposals[0].of, "proposal")
    print_text(f"\n{', '.join(part for part in who if part)}: {asked}, {counts.retried} retried")
    print_table(
        ("", "first proposals", "share [95 %]", "all proposals", "share [95 %]"),
        (
            (one.name, f"{one.count} of {one.of}", _share(one), f"{every.count} of {every.of}", _share(every))
            for one, every in zip(counts.first, counts.proposals, strict=True)
        ),
    )
    print_table(
        ("slots", "count", "share [95 %]"),
        ((one.name, f"{one.count} of {one.of}", _share(one)) for one in counts.slots),
    )
    rungs = ", ".join(f"{rung} {count}" for rung, count in counts.rungs.items())
    print_text(f"applied: {rungs or 'none'}; repaired {counts.repaired}")
    if counts.cost.calls:
        cost, each = counts.cost, counts.proposals[0].of
        tokens = f"{cost.prompt_tokens / each:.0f} + {cost.reply_tokens / each:.0f} tokens"
        print_text(f"a proposal: {tokens} (prompt + reply), {cost.seconds / each:.2f} s")
    print_text("")


def _share(step: Step) -> str:
    if step.low is None:
        return "not known"
    return f"{step.count / step.of:.1%} [{step.low:.1%}, {step.high:.1%}]"


def _row(candidate: Candidate, journal: Journal) -> dict[str, object]:
    outcome, metric, times = candidate.outcome, journal.metric, ratios(candidate, journal)
    last = candidate.kept or (candidate.attempts[-1] if candidate.attempts else None)
    row = {
        "cycle": candidate.cycle,
        "index": candidate.index,
        "strategy": candidate.strategy,
        "status": type(outcome).__name__.lower() if outcome else "open",
        "program": candidate.program.id if candidate.program else None,
        "parent": candidate.parent,
        "parents": list(candidate.parents),
        "score": candidate.score,
        "standard_error": candidate.standard_error,
        "scores": candidate.scores,
        "metric": metric.name,
        **{f"{name}_ratio": times[name] for name in PRICED},
        "rung": candidate.rung or None,
        "applied": last.rung if last else None,
        "steps": last.steps if last and last.edit else None,
        "predicted": last.predicted if last else None,
        "reason": outcome.reason if isinstance(outcome, Refused | Failed) else None,
    }
    return keyed(row, metric.name)


@programs.command("list")
def programs_list(
    run: Annotated[Path | None, typer.Argument(help="Folder of the run.", metavar="[RUN]")] = None,
    same: Annotated[Path | None, typer.Option("--run", help="The same, as an option.", metavar="RUN")] = None,
    baselines: Annotated[bool, typer.Option("--baselines", help="Include the baselines, as cycle 0.")] = False,
    as_json: Json = False,
) -> None:
    """List the candidates of a run in the order in which they were proposed."""
    path = run or same
    if path is None or (run and same):
        raise UsageError(
            "name one run", "as in `deltanas programs list runs/demo`; `deltanas runs list` shows the runs"
        )
    view = view_of(path)
    metric = task_of(view.manifest).metric
    journal = Journal(view.candidates, metric=metric)
    rows = [_row(candidate, journal) for candidate in view.candidates if candidate.cycle or baselines]
    if as_json:
        print_json(rows)
    else:
        first = ("cycle", "index", "strategy", "status", "program", "parent")
        columns = (
            *first,
            metric.name,
            "standard_error",
            *(f"{name}_ratio" for name in PRICED),
            "rung",
            "applied",
            "reason",
        )
        print_table(columns, ([_cell(name, row[name], metric) for name in columns] for row in rows))


def _cell(name: str, value: object, metric: Metric) -> object:
    if isinstance(value, float):
        if name.endswith("_ratio"):
            return f"{value:.2f}x"
        return metric.shown(value)
    return value.partition("\n")[0] if isinstance(value, str) else value


@programs.command("show")
def programs_show(program: Identity, run: RunOption, as_json: Json = False) -> None:
    """Print the source of a program."""
    found = _found(program, view_of(run))
    if as_json:
        usual = {part: found.part(part) for part in EMPTY}
        print_json(
            {"program": found.id, **usual, **found.parts, "parent": found.parent, "parents": list(found.parents)}
        )
    else:
        print_text(found.net.rstrip("\n"))


@programs.command("diff")
def programs_diff(
    program: Identity,
    run: RunOption,
    against: Annotated[str | None, typer.Option(help="Program to compare with; default: the parent.")] = None,
) -> None:
    """Print what a program changes, as a unified diff."""
    view = view_of(run)
    found = _found(program, view)
    other = against or found.parent
    if other is None:
        raise UsageError(f"{found.id} is a baseline: it has no parent", "name another program with --against")
    changes = differing_parts(_found(other, view), found)
    names = {"net": "net.py"}
    print_text("".join(diff(old, new, names.get(part, part)) for part, old, new in changes).rstrip("\n"))


def _found(name: str, view: RunView) -> Program:
    return view.programs[view.identity(name)]


def report(
    run: RunArgument,
    out: Annotated[Path | None, typer.Option(help="File to write; default: report.html in the run's folder.")] = None,
    against: Against = None,
) -> None:
    """Write the report of a run: one HTML file that needs no network."""
    folder = read_folder(run)
    print_text(str(write_report(folder, view_of(run), out, [view_of(other) for other in against or ()])))


@datasets.command("list")
def datasets_list(as_json: Json = False) -> None:
    """List the known data sets and whether they are on this machine."""
    infos = available()
    if as_json:
        print_json([asdict(info) for info in infos])
        return
    rows = (
        (info.name, "found" if info.found else "missing", info.images, _shape(info.shape), info.where) for info in infos
    )
    print_table(("name", "state", "images", "shape", "where"), rows)
    print_text("\nYour own: folder:PATH (a folder of images for each class), npz:PATH (arrays x and y).")
    for info in infos:
        if not info.found:
            print_text(f"\n{info.name} is missing: {info.hint}")


def _shape(shape: tuple[int, int, int] | None) -> str:
    return "differs: give --resize" if shape is None else "x".join(map(str, shape))


@datasets.command("show")
def datasets_show(
    name: Annotated[str, typer.Argument(help="Name of a data set, folder:PATH or npz:PATH.", metavar="NAME")],
    resize: Annotated[int | None, typer.Option(help="Height and width to resize images to, in pixels.", min=1)] = None,
    colour: Annotated[bool | None, typer.Option("--colour/--grey", help="Read images as RGB, or as grey.")] = None,
    as_json: Json = False,
) -> None:
    """Read a data set and say what is in it: images by split and class, what was done to them and what was left out."""
    data = load(name, resize=resize, colour=colour, making=Making(secret=machine_secret()))
    if as_json:
        print_json({"name": data.name, **data.record})
    else:
        print_text(told(data))


@datasets.command("prepare")
def datasets_prepare(
    name: Annotated[str, typer.Argument(help="Name of a published data set.", metavar="NAME")],
    root: Annotated[
        Path | None, typer.Option("--dir", help="Folder for data sets; default: DELTANAS_DATA or the cache.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Download a published data set, compare its checksums and print its folder."""
    folder = prepare(name, root)
    if as_json:
        print_json({"name": name, "folder": str(folder)})
    else:
        print_text(str(folder))


def doctor(as_json: Json = False) -> None:
    """Show what this machine has, what is missing and how to mend it. Status 1 if a search would not run."""
    findings = examine()
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            mark = "ok     " if finding.ok else "MISSING" if finding.needed else "absent "
            print_text(f"{mark} {finding.name}: {finding.detail}")
            if not finding.ok:
                print_text(f"          {finding.hint}")
    raise typer.Exit(0 if all(finding.ok for finding in findings if finding.needed) else 1)
