"""Commands that check, train and search."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from math import isfinite, nan
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from deltanas.askers import open_slots
from deltanas.assess import Evaluation, assumed_of, check_programs, evaluate_programs, told_assumed
from deltanas.cli.front import print_front
from deltanas.cli.networks import handed_line, print_networks
from deltanas.cli.output import Json, keyed, print_json, print_text, show_rehearsal
from deltanas.cli.settings import Options, SettingsCommand, with_settings
from deltanas.config import read_config
from deltanas.errors import DeltanasError, UsageError
from deltanas.narrate import Narrator
from deltanas.pages import current_report, write_report
from deltanas.program import Program, Refused, apply_edit, diff
from deltanas.rehearsal import rehearse
from deltanas.report import Summary, summary
from deltanas.settings import given_settings, setting
from deltanas.sources import read_source, source_of
from deltanas.task import CLASSIFY, TASKS, Metric, task_of
from deltanas.train.data import told
from deltanas.wiring import (
    gates,
    open_dataset_pool,
    open_search,
    open_shape_pool,
    program_of,
)
from deltanas.wording import counted

Files = Annotated[list[Path], typer.Argument(help="Programs that follow the LEMUR contract.", metavar="FILE...")]
Prm = Annotated[list[str] | None, typer.Option("--prm", help="A hyperparameter, NAME=VALUE; may be repeated.")]
Unsafe = Annotated[bool, typer.Option("--unsafe", help="Run even if the sandbox is weaker than tier B.")]
TRAINING = {
    "--train-size": "train.size",
    "--resize": "train.resize",
    "--colour/--grey": "train.colour",
    "--epochs": "train.epochs",
    "--timeout": "train.timeout",
    "--workers": "train.workers",
    "--device": "train.device",
    "--executor": "train.executor",
    "--address": "train.address",
    "--unsafe": "train.unsafe",
}
PAIRS = {"--patch": "train.patch", "--crops": "train.crops", "--noise": "train.noise"}
"""Of trainings on pairs of images."""


def add_to(app: typer.Typer) -> None:
    app.command(cls=SettingsCommand)(search)
    for command in (check, evaluate, edit):
        app.command()(command)


@with_settings(
    {
        "--dataset": "dataset",
        "--task": "task",
        "--strategy": "strategy",
        "--llm": "model.spec",
        "--decoding": "model.decoding",
        "--edits": "edits",
        "--steps-per-edit": "steps_per_edit",
        "--screen": "screen",
        "--learn": "learn.enabled",
        "--cycles": "cycles",
        "--candidates": "candidates",
        "--proposals": "proposals",
        "--seed": "seed",
        "--seeds": "seeds",
        "--seeds-budget": "seeds_budget",
        "--rungs": "rungs",
        "--final-epochs": "final_epochs",
        "--objective": "objectives",
        "--npu": "npu",
        "--max-params": "max_params",
        "--max-flops": "max_flops",
        "--growth": "growth",
        "--baseline --baselines": "baselines",
        **TRAINING,
        **PAIRS,
        "--track": "track",
        "--archive": "archive",
    }
)
def search(
    options: Options,
    config: Annotated[Path | None, typer.Argument(help="File of settings, TOML.", metavar="[CONFIG.toml]")] = None,
    preset: Annotated[
        str | None, typer.Option(help="Name of published settings; CONFIG.toml and options override them.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any setting, as model.top_k=50; may be repeated.", metavar="KEY=VALUE"),
    ] = None,
    prm: Prm = None,
    run: Annotated[Path | None, typer.Option(help="Folder of the run; an existing run is resumed.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what the search would do and what is missing for it.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print no line for each candidate.")] = False,
    as_json: Json = False,
) -> None:
    """Search: edit, check, train and rank networks in cycles. The same command with the same --run resumes."""
    said = {**options, "prm": hyperparameters(prm) or None, **dict(map(setting, changes or ()))}
    given = given_settings(config, said, preset)
    if dry_run:
        show_rehearsal(rehearse(given), as_json)
    with Narrator(quiet=quiet) as narrator, open_search(given, run, narrator) as opened:
        for line in (f"run: {opened.folder.path}", *opened.assumed):
            narrator.say(line)
        if opened.search is not None:
            try:
                opened.search.run()
            except KeyboardInterrupt:
                hint = f"resume it with: deltanas search --run {opened.folder.path}"
                raise DeltanasError("interrupted; all that was settled is kept", hint) from None
            if spread := opened.spread():
                narrator.say("trainings by node: " + ", ".join(f"{host} {n}" for host, n in sorted(spread.items())))
        view = opened.run.view()
        page = current_report(opened.folder, opened.run) or write_report(opened.folder, view)
    found = summary(view)
    if as_json:
        print_json(
            {
                "run": str(opened.folder.path),
                "trained": found.trained,
                "failed": found.failed,
                "refused": found.refused,
                "metric": found.metric,
                "best": found.best.score if found.best else None,
                "front": asdict(found.front) if found.front else None,
                "elites": [keyed(asdict(elite), found.metric) for elite in found.elites],
                "report": str(page),
            }
        )
    elif left := open_slots(view):
        print_text(f"open to askers: deltanas ask {quote(str(opened.folder.path))} --json ({left} slots)")
    else:
        _print_summary(found, task_of(view.manifest).metric)
        print_text(f"report: {page}")


def check(
    files: Files,
    dataset: Annotated[str | None, typer.Option(help="Data set that gives the shapes.")] = None,
    task: Annotated[str, typer.Option(help="What the networks are asked to do, on the data set.")] = CLASSIFY.name,
    shape: Annotated[
        str | None, typer.Option(help="Without a data set: channels x height x width.", show_default="3x32x32")
    ] = None,
    classes: Annotated[
        int | None, typer.Option(help="Without a data set: number of classes.", min=1, show_default="10")
    ] = None,
    resize: Annotated[int | None, typer.Option(help="Height and width to resize images to, in pixels.")] = None,
    colour: Annotated[bool | None, typer.Option("--colour/--grey", help="Read images as RGB, or as grey.")] = None,
    prm: Prm = None,
    unsafe: Unsafe = False,
    as_json: Json = False,
) -> None:
    """Check whether programs follow the contract, build and train a step; count parameters and FLOPs."""
    train = {"resize": resize, "colour": colour, "unsafe": unsafe, "workers": 1}
    config = read_config({"task": task, "train": train}).train
    values = hyperparameters(prm)
    programs = _programs(files, values)
    if not dataset and task != CLASSIFY.name:
        raise UsageError(f"--task {task} takes its shapes from a data set", "name one: --dataset photos")
    if dataset and (shape is not None or classes is not None):
        raise UsageError("--shape and --classes are for checks without a data set", "leave them or --dataset out")
    if not dataset and (resize is not None or colour is not None):
        raise UsageError("--resize and --colour read a data set", "name it with --dataset, or give --shape")
    pool = (
        open_dataset_pool(dataset, config, values, TASKS[task])
        if dataset
        else open_shape_pool(_shape(shape or "3x32x32"), classes or 10, config)
    )
    good = True
    with pool as runner:
        if dataset:
            typer.echo(told(runner.dataset), err=True)
        for file, program in zip(files, programs, strict=True):
            (found,) = check_programs([program], gates(runner))
            verdict = replace(found, assumed=assumed_of(program, values))
            good &= verdict.ok
            _tell(file, verdict.assumed)
            if as_json:
                identity = program.id if isinstance(program, Program) else None
                print_json({"file": str(file), "program": identity, **asdict(verdict)})
            elif verdict.ok:
                print_text(f"{file}: ok, {verdict.params:,} parameters, {verdict.flops:,} FLOPs an image")
            else:
                print_text("\n".join(f"{file}: {reason}" for reason in verdict.reasons))
    raise typer.Exit(0 if good else 1)


@with_settings({"--dataset": "dataset", "--task": "task", "--seed": "seed", **TRAINING, **PAIRS})
def evaluate(
    files: Files,
    options: Options,
    seeds: Annotated[int, typer.Option(help="Trainings of each program, with derived seeds.", min=1)] = 1,
    prm: Prm = None,
    as_json: Json = False,
) -> None:
    """Train programs in the sandbox and score them on the validation split."""
    config = read_config(given_settings(options=options))
    values = hyperparameters(prm)
    programs = _programs(files, values)
    good = True
    with open_dataset_pool(config.dataset, config.train, values, TASKS[config.task]) as runner:
        typer.echo(told(runner.dataset), err=True)
        metric = runner.task.metric
        results = evaluate_programs(programs, gates(runner), runner, seed=config.seed, seeds=seeds, metric=metric.name)
        for file, program, found in zip(files, programs, results, strict=True):
            result = replace(found, epochs=runner.epochs, assumed=assumed_of(program, values))
            good &= result.status == "trained"
            _tell(file, result.assumed)
            if as_json:
                print_json({"file": str(file), **keyed(_figures(result), result.metric)})
            else:
                print_text(f"{file}: {_told(result, metric)}")
    raise typer.Exit(0 if good else 1)


def edit(
    base: Annotated[Path, typer.Argument(help="The program to edit.", metavar="BASE")],
    edit: Annotated[
        Path,
        typer.Argument(
            help="A diff, SEARCH/REPLACE blocks, a mailed patch or a model's reply; - reads stdin.", metavar="EDIT"
        ),
    ],
    inverse: Annotated[
        bool, typer.Option("--diff", help="EDIT is the edited program: print the diff that makes it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Apply an edit exactly or not at all and print the program. With --diff: print the diff between two programs."""
    source = text_of(base)
    text = text_of(edit)
    result = {"diff": diff(source, text, base.name)} if inverse else asdict(apply_edit(source, text))
    if as_json:
        print_json(result)
    else:
        sys.stdout.write(result["diff" if inverse else "source"])


def text_of(path: Path) -> str:
    """What the file holds; "-": what stdin does."""
    source = source_of(sys.stdin.buffer.read()) if str(path) == "-" else read_source(path)
    if isinstance(source, Refused):
        raise UsageError(f"{path}: {source.reason}")
    return source


def _programs(files: Sequence[Path], values: Mapping[str, float]) -> list[Program | Refused]:
    sources = [read_source(file) for file in files]
    return [source if isinstance(source, Refused) else program_of(source, values) for source in sources]


def _tell(name: object, assumed: Mapping[str, float]) -> None:
    for line in told_assumed(assumed):
        typer.echo(f"{name}: {line}", err=True)


def hyperparameters(texts: Sequence[str] | None) -> dict[str, float]:
    return dict(_hyperparameter(text) for text in texts or ())


def _hyperparameter(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        number = float(value)
    except ValueError:
        number = nan
    if not name or not isfinite(number):
        raise UsageError(f"--prm {text}: not NAME=VALUE with a number", "as in --prm dropout=0.2")
    return name, number


def _shape(text: str) -> tuple[int, int, int]:
    try:
        channels, height, width = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise UsageError(f"--shape {text}: not channels x height x width, as in 3x32x32") from None
    if min(channels, height, width) < 1:
        raise UsageError(f"--shape {text}: every size must be at least 1")
    return channels, height, width


def _figures(result: Evaluation) -> dict[str, object]:
    """What JSON tells of it: the further figures of a task stand beside the score."""
    told = asdict(result)
    further = told.pop("further")
    return {**told, **further}


def _told(result: Evaluation, metric: Metric) -> str:
    if result.score is None:
        return f"{result.status}: {result.reason}"
    error = "" if result.standard_error is None else f" +- {_exact(result.standard_error, metric)} (standard error)"
    error += "".join(f", {name} {figure:.4f}" for name, figure in result.further.items())
    trained = f"{counted(result.epochs or 0, 'epoch')}, {result.seconds:.1f} s"
    return f"{_exact(result.score, metric)}{error} on validation, {result.params:,} parameters, {trained}"


def _exact(score: float, metric: Metric) -> str:
    """With a digit more than in a table."""
    return f"{metric.column(score)}{metric.sign}"


def _print_summary(found: Summary, metric: Metric) -> None:
    print_text(f"{found.trained} trained, {found.failed} failed, {found.refused} refused")
    if found.front:
        print_front(found.front, metric)
        return
    if not found.elites:
        print_text("no candidate beat its parent: more cycles may (--cycles); `runs export` gives the best baseline")
        return
    print_networks(found.elites, metric, "elite", found.shorter)
    if found.handed_over:
        print_text(handed_line(found.handed_over, metric))
