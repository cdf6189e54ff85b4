"""The command that asks the compilers of NPUs."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from deltanas import nets
from deltanas.cli.output import Json, print_json, print_table, print_text, say
from deltanas.errors import UsageError
from deltanas.npu import FIRST, SIZE, Checker, Report, graph_of, partition_of, target_of, targets
from deltanas.prediction import exported_graph
from deltanas.program import Program, Refused
from deltanas.sources import read_source
from deltanas.task import CLASSIFY, DENOISE, TASKS, Task
from deltanas.wiring import program_of

npu = typer.Typer(help="What an NPU takes of a network, by its compiler.", no_args_is_help=True)
_SIZES = {DENOISE.name: SIZE, CLASSIFY.name: (32, 32)}
_MOST_SIDE = 16384


def add_to(app: typer.Typer) -> None:
    app.add_typer(npu, name="npu")


@npu.command()
def check(
    model: Annotated[
        str,
        typer.Argument(
            help="ONNX file, folder that `runs export` wrote, program, or name of a built-in one.",
            metavar="MODEL.onnx|FILE",
        ),
    ],
    target: Annotated[str, typer.Option(help=f"Processor: {', '.join(targets())}.")] = FIRST,
    size: Annotated[
        str | None,
        typer.Option(
            help="Height x width of the image, where the network leaves them open; default: "
            + ", ".join(f"{height}x{width} for --task {name}" for name, (height, width) in _SIZES.items())
            + "."
        ),
    ] = None,
    task: Annotated[str, typer.Option(help="Of a program: denoise or classify.")] = DENOISE.name,
    unsafe: Annotated[bool, typer.Option(help="Run even where the sandbox is not tight.")] = False,
    as_json: Json = False,
) -> None:
    """Tell where each operator of a network runs on an NPU, and the bytes through its memory, by its compiler.

    A target of kind `list` has no compiler: operators are looked up in a published list. Status 0, fallbacks or none.
    """
    wanted = target_of(target, onnx=_is_export(Path(model)))
    if task not in TASKS:
        raise UsageError(f"unknown task {task!r}", f"known: {', '.join(TASKS)}")
    image = _size(size) if size else _SIZES[task]
    given = _read(model, TASKS[task])
    if wanted.takes == "program":
        assert isinstance(given, Program)
        found = partition_of(given, TASKS[task], image, model, target, unsafe=unsafe)
    else:
        graph = graph_of(given, TASKS[task], image, model, unsafe=unsafe) if isinstance(given, Program) else given
        with Checker(unsafe=unsafe) as checker:
            found = checker.check(graph, target, image)
    if as_json:
        print_json(asdict(found))
        return
    print_table(("operator", "name", "where"), [(one.op, one.name, one.where) for one in found.nodes])
    print_text(_told(found))
    if found.kind == "list":
        say("list, not compiler: it tells operators alone, not whether their arguments are taken")


def _told(found: Report) -> str:
    if found.partitions is not None:
        taken = sum(one.where == "delegate" for one in found.nodes)
        return (
            f"{found.target} ({found.version}): {taken} operators in {found.partitions} partitions,"
            f" {found.fallbacks} outside of them"
        )
    on = sum(one.where == "npu" for one in found.nodes)
    traffic = "memory traffic not known"
    if found.traffic_bytes is not None and found.size is not None:
        traffic = f"{found.traffic_bytes / 1e6:,.1f} MB through memory for {found.size[0]} x {found.size[1]}"
    return f"{found.target} ({found.version}): {on} on the NPU, {found.fallbacks} on the processor; {traffic}"


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text.strip().lower())
    sides = (int(found[1]), int(found[2])) if found else (0, 0)
    if not all(0 < side <= _MOST_SIDE for side in sides):
        raise UsageError(f"--size {text}: no height and width of 1 to {_MOST_SIDE} pixels", "as in --size 1088x1920")
    return sides


def _is_export(path: Path) -> bool:
    """Whether it is an ONNX file by its name, in capitals too, or a folder."""
    return path.is_dir() or path.suffix.lower() == ".onnx"


def _read(model: str, task: Task) -> Program | bytes:
    """A program, or an ONNX file."""
    path, known = Path(model), nets.baselines(task.name)
    if model in known and not path.exists():
        return program_of(known[model])
    if not path.exists():
        others = f"; {model} is one of --task {its}" if (its := nets.task_with(model)) else ""
        raise UsageError(
            f"no network {model!r}: no file, no folder and no built-in one", f"built in: {', '.join(known)}{others}"
        )
    if _is_export(path):
        return exported_graph(path)
    source = read_source(path)
    if isinstance(source, Refused):
        raise UsageError(f"{model} can't be used: {source.reason}", "name a program or an ONNX file")
    return program_of(source)
