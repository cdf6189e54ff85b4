"""Commands that ask whether results can be believed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from deltanas.archive import read_folder
from deltanas.cli.output import Json, RunArgument, print_json, print_text, say
from deltanas.errors import UsageError
from deltanas.lemur import METRIC, TASK, csv_rows, curves, scored, told_misfiled
from deltanas.llm import Tunable, open_model, parse_spec
from deltanas.pages import write_recipes
from deltanas.program.features import SIZES, network_features, skeleton
from deltanas.program.trial import Trial
from deltanas.sources import trials_in
from deltanas.task import task_of
from deltanas.trainings import read_grid

if TYPE_CHECKING:
    from deltanas.study import Scores
    from deltanas.study.questions import Asked

study = typer.Typer(help="Can the results be believed?", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    app.add_typer(study, name="study")


@study.callback()
def _study() -> None:
    """Can the results be believed?"""


@study.command("convergence")
def convergence(
    source: Annotated[
        Path, typer.Argument(help="A run, imported trials, or a table of trainings.", metavar="RUN|LEMUR|FILE.csv")
    ],
    dataset: Annotated[str | None, typer.Option(help="With imported trials: LEMUR's name of the data set.")] = None,
    repeats: Annotated[int, typer.Option(help="Number of trainings whose mean is the score.", metavar="R", min=1)] = 1,
    as_json: Json = False,
) -> None:
    """Diagnose a search with 95 % intervals: does it converge, and can its ranking be trusted?"""
    from deltanas.study import as_json as plain  # SciPy takes a second to load
    from deltanas.study import convergence as diagnosed
    from deltanas.study import convergence_of, convergence_of_imported, described, read_trials

    if dataset is not None and not source.is_dir():
        raise UsageError("--dataset is for imported trials", f"{source} is a table: keep one data set's rows")
    if source.is_dir():
        with read_folder(source).open() as run:
            view = run.view()
            trials = [] if view.candidates else run.trials.trials(task=TASK, dataset=dataset)
            sources = run.trials.sources(sorted({trial.experiment.program for trial in trials})) if trials else {}
        if dataset is not None and not trials:
            raise UsageError(f"{source} holds no trials of {dataset}", f"`deltanas lemur trials {source}` lists them")
        if trials:
            found = convergence_of_imported(_of_one(source, trials), sources, repeats=repeats)
        else:
            found = convergence_of(view, repeats=repeats)
    else:
        table = read_trials(source)
        if table.ignored:
            sys.stderr.write(f"columns that are not read: {', '.join(table.ignored)}\n")
        found = diagnosed(table, repeats=repeats)
    if as_json:
        print_json(plain(found))
    else:
        print_text(described(found))


@study.command("experts")
def experts(
    run: RunArgument,
    exported: Annotated[
        Path | None,
        typer.Option("--exported", help="Folder that `runs export` wrote: how each gate used its experts."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Study a run's mixtures: coverage, yield, gains, effects of experts and pairs, and what could be foreseen."""
    from deltanas.export.gates import gates_in
    from deltanas.study import experts_described, experts_study, plain

    with read_folder(run).open() as opened:
        view = opened.view()
    found = experts_study(view.candidates, task_of(view.manifest).metric)
    gates = list(gates_in(exported)) if exported else []
    if exported and not gates:
        raise UsageError(
            f"{exported} holds no mixture with a gate and its weights",
            f"write some: deltanas runs export {run} --out {exported}",
        )
    if as_json:
        figures = plain(found)
        assert isinstance(figures, dict)
        print_json({**figures, "gates": plain(gates)})
    else:
        print_text(experts_described(found, gates))


@study.command("recipes")
def recipes(
    table: Annotated[
        Path, typer.Argument(help="Table of trainings: JSON lines or CSV, one row a training.", metavar="TABLE")
    ],
    arm: Annotated[Literal["fixed", "tuned"] | None, typer.Option(help="Only this arm.")] = None,
    loss: Annotated[list[str] | None, typer.Option(help="Only this loss; may be repeated.", metavar="LOSS")] = None,
    dataset: Annotated[
        list[str] | None, typer.Option(help="Only this data set; may be repeated.", metavar="NAME")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Page with plots to write.", metavar="FILE.html")] = None,
    as_json: Json = False,
) -> None:
    """Compare losses and optimizers over networks: rank tests, effects, and a verdict on each published claim."""
    from deltanas.study import recipe_study, recipes_as_json, recipes_described  # SciPy takes a second

    held = read_grid(table).only([arm] if arm else (), loss or (), dataset or ())
    if held.ignored:
        say(f"columns that are not read: {', '.join(held.ignored)}")
    found = recipe_study(held)
    if html is not None:
        say(f"wrote {write_recipes(html, table, found)}")
    if as_json:
        print_json(recipes_as_json(found))
    else:
        print_text(recipes_described(found))


@study.command("suitability")
def suitability(
    source: Annotated[Path, typer.Argument(help="Imported trials, or a wheel of nn-dataset.", metavar="LEMUR|WHEEL")],
    epoch: Annotated[int, typer.Option(help="Number of epochs after which networks are compared.", min=1)] = 1,
    label: Annotated[
        Literal["relative", "quantile"],
        typer.Option(help="A network's standing on a set: its share of the best score, or of the networks it beats."),
    ] = "relative",
    division: Annotated[
        int, typer.Option(help="Another division of the families into the five parts that are held out.", min=0)
    ] = 0,
    llm: Annotated[
        str | None, typer.Option(help="A language model to ask as well, frozen and tuned.", metavar="SPEC")
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="With --llm: only code, metadata, names, leaked or nonsense; may be repeated."),
    ] = None,
    taught: Annotated[
        int | None, typer.Option(help="With --llm: number of examples to tune on; default: 400.", min=8)
    ] = None,
    asked: Annotated[
        int | None, typer.Option(help="With --llm: number of held-out examples; default: 500.", min=8)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="With --llm: folder of answers and adapters, which a killed command goes on with; default:"
            " runs/suitability."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """On which of two data sets does a network stand higher? Its code against the names of the sets, families held out.

    Reading a wheel takes a minute or more: import it to ask again.
    """
    from deltanas.study import Scores, suitability_as_json, suitability_described  # SciPy takes a second to load
    from deltanas.study import suitability as studied
    from deltanas.study.questions import asked_described, kinds_of
    from deltanas.study.standing import compared

    if llm is None:
        _refuse_of_model({"--kind": kind, "--taught": taught, "--asked": asked, "--out": out})
    kept, wrong, sources = _trials_after(source, epoch)
    scores = Scores.of(kept)
    compared(scores, label)  # before a model is opened
    answered = None
    if llm is not None:
        how = {"label": label, "epochs": epoch, "kinds": kinds_of(kind or ()), "taught": taught or 400,
               "number": asked or 500}  # fmt: skip
        answered = _ask(llm, scores, sources, out or Path("runs/suitability"), **how)
    names = sorted({trial.experiment.program for trial in kept})
    features = {name: network_features(sources[name]) for name in names}
    skeletons = {name: skeleton(sources[name]) for name in names}
    found = studied(scores, features, skeletons, label=label, sizes=SIZES, division=division)
    if as_json:
        told = {} if answered is None else {"llm": asdict(answered)}
        print_json({"epoch": epoch, "misfiled": wrong, **suitability_as_json(found), **told})
    else:
        print_text(suitability_described(found))
        if answered is not None:
            print_text(f"\n{asked_described(answered, label)}")


_ABOUT = {"--kind": "prompts", "--taught": "tuning", "--asked": "questions", "--out": "answers"}


def _refuse_of_model(given: Mapping[str, object]) -> None:
    """Raises UsageError for options that say nothing where no language model is asked."""
    for option, value in given.items():
        if value:
            raise UsageError(
                f"{option} is of {_ABOUT[option]}, and no language model is asked",
                f"add --llm smollm2, or leave {option} out",
            )


def _trials_after(source: Path, epoch: int) -> tuple[list[Trial], int, dict[str, str]]:
    """Those of classifiers after so many epochs, how many were left out as misfiled, and the programs' texts."""
    trials, sources = trials_in(source)
    kept, wrong = scored(trials, epoch)
    if not kept:
        known = sorted({trial.epoch for trial in trials if scored([trial], trial.epoch)[0]})
        raise UsageError(
            f"{source} holds no trials of classifiers after {epoch} epochs",
            f"name another number: {' '.join(f'`--epoch {each}`' for each in known[:5])}"
            if known
            else "`deltanas lemur import WHEEL` of nn-dataset 1.2.6 holds some",
        )
    for line in told_misfiled(wrong):
        say(line)
    return kept, len(wrong), sources


def _ask(llm: str, scores: Scores, sources: Mapping[str, str], out: Path, **how: Any) -> Asked:
    """Raises UsageError for a model behind a server: its likelihoods of given answers are not known."""
    from deltanas.wiring.suiting import asked as ask

    if parse_spec(llm).kind == "openai":
        raise UsageError(
            f"{llm} can't be tuned: its weights are on a server",
            "name a model on this machine: --llm smollm2, hub:OWNER/NAME, path:DIR",
        )
    return ask(cast("Tunable", open_model(llm)), scores, sources, out, told=say, **how)


def _of_one(source: Path, trials: list[Trial]) -> list[tuple[str, int, float | None, float | None]]:
    """A row a training: one epoch against the longest. Scores on several data sets are not compared."""
    rows = [row for row in csv_rows(curves(trials)) if row[6] == METRIC]
    known = sorted({row[5] for row in rows})
    if len(known) != 1:
        raise UsageError(
            f"{source} holds trials of {len(known)} data sets: scores on one are not compared with those on another",
            f"name one with --dataset: {', '.join(known)}",
        )
    return [row[:4] for row in rows]
