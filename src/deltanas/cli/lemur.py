"""Commands for LEMUR's data: import it, write it, and put its trials into a table."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from deltanas.archive import read_folder
from deltanas.cli.importing import SOURCE, imported_run, progress, version_of
from deltanas.cli.output import Json, RunArgument, print_json, print_table, print_text
from deltanas.errors import UsageError
from deltanas.lemur import (
    CSV_COLUMNS,
    Curve,
    Imported,
    csv_rows,
    curves,
    import_tree,
    of_networks,
    open_tree,
    own_meaning,
    own_programs,
    write_layout,
)
from deltanas.wording import counted

lemur = typer.Typer(help="LEMUR's programs and trials.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    app.add_typer(lemur, name="lemur")


@lemur.command("import")
def import_lemur(
    source: Annotated[Path, typer.Argument(help="A wheel of nn-dataset or a folder.", metavar="WHEEL|DIR")],
    run: Annotated[Path | None, typer.Option(help="Folder of the run; default: runs/lemur-VERSION.")] = None,
    archive: Annotated[str | None, typer.Option(help="Archive URL, e.g. postgresql://HOST/NAME.")] = None,
    as_json: Json = False,
) -> None:
    """Import programs and trials into an archive without running them. Nothing is added twice."""
    path = run or Path("runs") / f"lemur-{version_of(source)}"
    with open_tree(source) as tree, imported_run(path, archive, source) as opened, progress() as told:
        done = import_tree(tree, opened.trials, told)
        opened.finish()
    if as_json:
        print_json({"run": str(path), **asdict(done)})
    else:
        _print_import(done, path)


def _print_import(done: Imported, path: Path) -> None:
    for file in done.broken:
        print_text(f"broken: {file.path}: {file.reason}")
    broken = counted(len(done.broken), "file is", "files are")
    added = f"{counted(done.programs, 'program')} and {counted(done.trials, 'trial')} added to {path}"
    print_text(f"{added}; {broken} broken")


@lemur.command("export")
def export_lemur(
    run: RunArgument,
    out: Annotated[Path | None, typer.Option(help="New or empty folder; default: RUN/lemur.")] = None,
    as_json: Json = False,
) -> None:
    """Write programs and trials in LEMUR's layout: imported ones unchanged, or those that a search trained."""
    folder = out or run / "lemur"
    transforms: Mapping[str, str] = {}
    with read_folder(run).open() as opened:
        if opened.trials.part == "transform":
            transforms = opened.trials.sources()
            programs, trials = write_layout(folder, {}, of_networks(opened.trials.trials()), transforms=transforms)
        elif SOURCE in opened.manifest:
            programs, trials = write_layout(folder, opened.trials.sources(), opened.trials.trials())
        else:
            view = opened.view()
            own = own_programs(view)
            transforms = own.transforms
            programs, trials = write_layout(folder, own.sources, own.trials, own_meaning(view), transforms)
    if as_json:
        print_json({"folder": str(folder), "programs": programs, "transforms": len(transforms), "trials": trials})
    else:
        written = [(programs, "program"), (len(transforms), "transform"), (trials, "trial")]
        said = ", ".join(counted(number, what) for number, what in written if number)
        print_text(f"{said or 'nothing'} written to {folder}")


@lemur.command("trials")
def trials_lemur(
    run: RunArgument,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="CSV with one row for each training, for `study convergence`.")
    ] = False,
    dataset: Annotated[str | None, typer.Option(help="LEMUR's name of a data set; default: all.")] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="With --csv: number of epochs after which the target was scored; default: the most.", min=2),
    ] = None,
    as_json: Json = False,
) -> None:
    """List imported trials by program and data set. With --csv: one epoch against the longest training."""
    with read_folder(run).open() as opened:
        identities, part = opened.trials.identities(), opened.trials.part
        found = list(curves(opened.trials.trials(dataset=dataset)))
        known = () if found else sorted({trial.experiment.dataset for trial in opened.trials.trials()})
    if not found:
        adds = "transforms" if part == "transform" else "lemur"
        raise UsageError(
            f"{run} holds no trials{f' of {dataset}' if dataset else ''} that tell an accuracy",
            f"it holds those of {', '.join(known)}" if known else f"`deltanas {adds} import WHEEL` adds some",
        )
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(CSV_COLUMNS)
        writer.writerows(csv_rows(found, epochs))
        return
    rows = [_row(identities, group) for group in _by_experiment(found).values()]
    if as_json:
        print_json(rows)
    else:
        print_table(tuple(rows[0]), (tuple(row.values()) for row in rows))


def _by_experiment(found: list[Curve]) -> dict[tuple[str, ...], list[Curve]]:
    groups: dict[tuple[str, ...], list[Curve]] = {}
    for curve in found:
        groups.setdefault(curve.experiment, []).append(curve)
    return groups


def _row(identities: dict[str, str], group: list[Curve]) -> dict[str, object]:
    experiment = group[0].experiment
    return {
        "name": experiment.program,
        "program": identities[experiment.program],
        "dataset": experiment.dataset,
        "metric": experiment.metric,
        "settings": len(group),
        "trials": sum(len(curve.epoch) for curve in group),
        "longest": max(int(curve.epoch[-1]) for curve in group),
        "best": round(max(float(curve.accuracy.max()) for curve in group), 4),
    }
