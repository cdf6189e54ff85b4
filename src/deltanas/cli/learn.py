"""Commands of learning: collect measured edits, tune a model on them, take an adapter out of a run."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Annotated, TypeVar, cast

import typer

from deltanas.archive import read_folder
from deltanas.cli.output import Json, RunArgument, print_json, print_text, say
from deltanas.cli.settings import Options, with_settings
from deltanas.config import read_config
from deltanas.errors import DataError, UsageError
from deltanas.intervals import wilson
from deltanas.learn import Tuned, export_adapter
from deltanas.learn.corpus import Corpus, Phrasing, corpus_of, held_families, preferences_of, some_of
from deltanas.learn.elites import EliteRule
from deltanas.learn.learner import Teaching
from deltanas.learn.measured import MeasuredEdit, measured_lines, write_measured
from deltanas.llm import Lesson, Loss, Preference, Tunable
from deltanas.settings import given_settings
from deltanas.wording import counted

T = TypeVar("T")

learn = typer.Typer(help="Measured edits, and tuning a model on them.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    app.add_typer(learn, name="learn")


@learn.command("corpus")
def corpus(
    sources: Annotated[
        list[Path],
        typer.Argument(
            help="Runs, imported programs or transforms, wheels of these, files, the folder of `python -m benchmarks "
            "gains`.",
            metavar="SOURCE...",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="File to write, JSON lines; default: stdout.", metavar="F.jsonl")
    ] = None,
    distance: Annotated[
        int, typer.Option(help="Imported programs: number of lines in which two may differ.", min=1)
    ] = 12,
    parents: Annotated[int, typer.Option(help="Imported programs: number of nearest parents of each.", min=1)] = 2,
    as_json: Json = False,
) -> None:
    """Collect measured edits: the gain or loss in accuracy of each edit of a program, with its standard error."""
    from deltanas.wiring.teaching import measured_edits

    if as_json and out is None:
        raise UsageError("--json tells of a file that is written", "name it with --out, or leave --json out")
    places: dict[Path, Path] = {}
    for place in sources:  # one that is named twice counts once
        places.setdefault(place.resolve(), place)
    found = [
        edit
        for place in places.values()
        for edit in measured_edits(place, _left_out, distance=distance, parents=parents)
    ]
    if not found:
        raise UsageError("there is no measured edit", "a search measures some; `deltanas lemur import` brings others")
    if out is None:
        sys.stdout.writelines(measured_lines(found))
    else:
        write_measured(out, found)
    elites = EliteRule().chosen(found)
    families = Counter(edit.family for edit in found)
    if as_json:
        print_json({"file": str(out), "edits": len(found), "beyond_noise": len(elites), "families": families})
    else:
        tell = say if out is None else print_text
        many = counted(len(found), "measured edit"), counted(len(families), "family", "families")
        tell(f"{' of '.join(many)}{f' written to {out}' if out else ''}")
        tell(f"{len(elites):,} gained beyond their noise")


@learn.command("tune")
@with_settings(
    {
        "--llm": "model.spec",
        "--strategy": "strategy",
        "--decoding": "model.decoding",
        "--after": "model.adapter",
        "--rule": "learn.rule",
        "--held-out": "learn.held_out",
        "--measured": "learn.measured",
        "--epochs": "tuning.epochs",
        "--rate": "tuning.rate",
        "--seed": "seed",
    }
)
def tune_command(
    corpora: Annotated[
        list[Path], typer.Argument(help="Sources of measured edits, as for `learn corpus`.", metavar="CORPUS...")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the new adapter.", metavar="DIR")],
    options: Options,
    config: Annotated[Path | None, typer.Option(help="File of settings, TOML: [learn], [tuning], [model].")] = None,
    preferences: Annotated[
        bool,
        typer.Option("--preferences", help="Learn from pairs of a better and a worse edit (DPO) instead of by --rule."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Tune a model on measured edits; print the likelihood of held-out ones before and after. Resumes."""
    from deltanas.wiring.proposing import model_of, proposer_of
    from deltanas.wiring.teaching import measured_edits, teaching_of

    settings = read_config(given_settings(config, options))
    teaching = teaching_of(settings)
    edits = [*(edit for place in corpora for edit in measured_edits(place, _left_out)), *teaching.more]
    held = held_families({edit.family for edit in edits}, teaching.learn.held_out, teaching.seed)
    model = cast("Tunable", model_of(settings))
    phrasing = cast("Phrasing", proposer_of(settings, None, model))
    taught = _preferences if preferences else _elites
    shown, lines = taught(edits, held, model, phrasing, teaching, out)
    if as_json:
        print_json({**shown, "held_out_families": held})
    else:
        print_text("\n".join(lines))


def _left_out(what: str) -> None:
    say(f"left out: {what}")


def _elites(
    edits: list[MeasuredEdit], held: list[str], model: Tunable, phrasing: Phrasing, teaching: Teaching, out: Path
) -> tuple[dict[str, object], list[str]]:
    """Tune on the lessons; the result, as JSON and as lines."""
    from deltanas.learn import tune

    elites = teaching.learn.chosen(edits)
    found = corpus_of(elites, phrasing, held, edits).require()
    many = counted(len(edits), "measured edit"), counted(len(elites), "elite"), counted(len(found.tuning), "lesson")
    sys.stderr.write(f"{', '.join(many)}\n")
    sides = _measured(teaching, found.tuning, found.held_out)
    before = [model.losses(lessons) for lessons in sides]
    tuned = tune(model, found.tuning, teaching.settings, out, teaching.start, teaching.seed, note=_told)
    model.adapt(tuned.folder)
    now = [model.losses(lessons) for lessons in sides]
    return _likelihoods(found, tuned, before, now)


def _preferences(
    edits: list[MeasuredEdit], held: list[str], model: Tunable, phrasing: Phrasing, teaching: Teaching, out: Path
) -> tuple[dict[str, object], list[str]]:
    """Tune on pairs; the number of pairs with the better edit likelier, as JSON and as lines."""
    from deltanas.learn import tune_preferences

    found, held_out = preferences_of(edits, phrasing, held, teaching.learn.beyond)
    if not found:
        reasons = [f"{count} x {reason}" for reason, count in corpus_of(edits, phrasing, held).dropped.items()]
        raise DataError(
            f"of {counted(len(edits), 'measured edit')} no two answer the same question and differ beyond their noise",
            "\n  ".join(
                [
                    "measure more edits of each program, or take a smaller `learn.beyond`; --decoding free asks for "
                    "edits that are not simple, as those to whole transforms",
                    *reasons,
                ]
            ),
        )
    many = counted(len(edits), "measured edit"), counted(len(found), "pair")
    sys.stderr.write(f"{', '.join(many)}, {len(held_out)} held out\n")
    sides = _measured(teaching, found, held_out)
    before = [_right(model, pairs) for pairs in sides]
    tuned = tune_preferences(model, found, teaching.settings, out, teaching.start, teaching.seed, note=_told)
    model.adapt(tuned.folder)
    now = [_right(model, pairs) for pairs in sides]
    shown: dict[str, object] = {}
    steps = counted(tuned.steps, "step")
    lines = [f"{counted(len(found), 'pair')}, {steps}, {tuned.seconds:.0f} s", f"adapter: {tuned.folder}"]
    for name, pairs, *counts in zip(("learned from", "held out"), sides, before, now, strict=True):
        if pairs:
            old, new = (wilson(count, len(pairs)) for count in counts)
            shown[name] = {"n": len(pairs), "before": asdict(old), "after": asdict(new)}
            ends = (f"{one:.0%}" for one in (old, new))
            lines.append(
                f"{name}: the better of two edits is the likelier in {' before, '.join(ends)} after, n = {len(pairs)}"
            )
    return {**_made(tuned), "pairs": len(found), "held_out": len(held_out), "better_is_likelier": shown}, lines


def _measured(teaching: Teaching, *sides: Sequence[T]) -> list[list[T]]:
    """A draw from each side: those measured before and after the tuning."""
    chance = Random(f"{teaching.seed}:likelihood")
    return [some_of(side, teaching.learn.measured, chance) for side in sides]


def _right(model: Tunable, pairs: Sequence[Preference]) -> int:
    """Number of pairs in which the model finds the better answer likelier than the worse."""
    answers = [Lesson(pair.messages, said, pair.family) for pair in pairs for said in (pair.better, pair.worse)]
    losses = model.losses(answers)
    return sum(better.nll < worse.nll for better, worse in zip(losses[::2], losses[1::2], strict=True))


def _made(tuned: Tuned) -> dict[str, object]:
    return {
        "folder": str(tuned.folder),
        "steps": tuned.steps,
        "tokens": tuned.tokens,
        "seconds": tuned.seconds,
        "losses": tuned.losses,
        "left_out": tuned.left_out,
    }


def _told(step: int, steps: int, loss: float) -> None:
    sys.stderr.write(f"step {step} of {steps}, loss {loss:.3f}\n")


def _likelihoods(
    found: Corpus, tuned: Tuned, before: list[list[Loss]], now: list[list[Loss]]
) -> tuple[dict[str, object], list[str]]:
    from deltanas.study import LackingError, elite_nll  # SciPy takes a second to load

    shown: dict[str, object] = {}
    lines = [f"no lesson: {count} x {reason}" for reason, count in found.dropped.items()]
    if tuned.left_out:
        lines.append(f"no lesson: {tuned.left_out} x longer than tuning.max_length")
    learned = len(found.tuning) - tuned.left_out
    many = counted(learned, "lesson"), counted(tuned.steps, "step"), counted(tuned.tokens, "token")
    lines.append(f"{', '.join(many)}, {tuned.seconds:.0f} s")
    for name, old, new in zip(("learned from", "held out"), before, now, strict=True):
        try:
            nll = elite_nll([one.nll for one in old], [one.nll for one in new], [one.tokens for one in old])
        except LackingError as lacking:
            lines.append(f"{name}: {lacking.message}")
            continue
        shown[name] = asdict(nll)
        told = f"{nll.before:.3f} nats a token before, {nll.after:.3f} after, change {nll.change:.3f}"
        lines.append(f"{name}, n = {len(old)}: {told}")
    counts = {"lessons": learned, "held_out": len(found.held_out), "dropped": found.dropped}
    return {**_made(tuned), **counts, "likelihood": shown}, [*lines, f"adapter: {tuned.folder}"]


@learn.command("export")
def export(
    run: RunArgument,
    out: Annotated[Path, typer.Argument(help="New folder.", metavar="DIR")],
    cycle: Annotated[
        int | None, typer.Option(help="Cycle after which the adapter was made; default: the last.")
    ] = None,
    base: Annotated[str | None, typer.Option(help="Name of the base model on the server.")] = None,
) -> None:
    """Copy an adapter of a run in PEFT's format, for a server or for `model.adapter`."""
    folder = read_folder(run)
    with folder.open() as opened:
        line = opened.adapters()
    chosen = [one for one in line if cycle in (None, one.cycle)][-1:]
    if not chosen:
        known = ", ".join(str(one.cycle) for one in line)
        hint = f"there is one of cycle {known}" if line else "`deltanas search --learn` makes some"
        raise UsageError(f"{run} has no adapter{f' of cycle {cycle}' if cycle is not None else ''}", hint)
    print_text(str(export_adapter(folder.path / chosen[0].folder, out, base)))
