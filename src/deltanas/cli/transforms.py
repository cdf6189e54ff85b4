"""Commands for transforms that others measured."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from deltanas.cli.importing import imported_run, progress, version_of
from deltanas.cli.output import Json, print_json, print_text
from deltanas.lemur import TRANSFORMS, import_tree, open_tree
from deltanas.wording import counted

transforms = typer.Typer(help="Transforms that others measured.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    app.add_typer(transforms, name="transforms")


@transforms.command("import")
def import_transforms(
    source: Annotated[Path, typer.Argument(help="A wheel of nn-gpt or a folder.", metavar="WHEEL|DIR")],
    run: Annotated[Path | None, typer.Option(help="Folder of the run; default: runs/transforms-VERSION.")] = None,
    archive: Annotated[str | None, typer.Option(help="Archive URL, e.g. postgresql://HOST/NAME.")] = None,
    as_json: Json = False,
) -> None:
    """Import transforms and their scores into an archive without executing them. Nothing is added twice."""
    path = run or Path("runs") / f"transforms-{version_of(source)}"
    with (
        open_tree(source, TRANSFORMS) as tree,
        imported_run(path, archive, source, "transform") as opened,
        progress() as told,
    ):
        done = import_tree(tree, opened.trials, told, TRANSFORMS)
        opened.finish()
        names, trials = opened.trials.identities(), opened.trials.trials()
    failed = sum(trial.failure is not None for trial in trials)
    unmeasured = len(names.keys() - {trial.experiment.program for trial in trials})
    held = {"transforms": len(names), "trials": len(trials), "failed": failed, "refused": len(done.broken)}
    if as_json:
        added = {"transforms": done.programs, "trials": done.trials}
        broken = [asdict(file) for file in done.broken]
        print_json({"run": str(path), **held, "unmeasured": unmeasured, "added": added, "broken": broken})
        return
    for file in done.broken:
        print_text(f"refused: {file.path}: {file.reason}")
    print_text(f"{counted(done.programs, 'transform')} and {counted(done.trials, 'trial')} added to {path}")
    refused = counted(len(done.broken), "file was", "files were")
    print_text(
        f"it holds {counted(len(names), 'transform')}, {unmeasured:,} of them without a trial, and "
        f"{counted(len(trials), 'trial')}, {failed:,} of them failed; {refused} refused"
    )
