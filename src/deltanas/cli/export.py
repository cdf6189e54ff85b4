"""The command that takes the best networks of a run out of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from deltanas.archive import read_folder
from deltanas.cli.output import Json, RunArgument, keyed, print_json, print_text, say
from deltanas.errors import UsageError
from deltanas.export import Net, export_best, write_sources
from deltanas.export.quantizing import Kind, Quantized
from deltanas.task import Metric, task_of
from deltanas.wiring import open_export_pool


def add_to(runs: typer.Typer) -> None:
    runs.command("export")(runs_export)


def runs_export(
    run: RunArgument,
    out: Annotated[Path, typer.Option(help="Folder to write to; created if missing.")],
    top: Annotated[
        int | None, typer.Option(help="Number of elites to write, the best first; default: 3.", min=1)
    ] = None,
    program: Annotated[
        list[str] | None,
        typer.Option(help="Network to write in place of the best: its name in the run (mixer, 2.0) or its identity."),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Number of epochs of their training; default: as in the search; 0: write sources only.", min=0
        ),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="The run's data set, if it is elsewhere now than where the run had it.")
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Write each with eight bits too, by training images, and say what it loses.")
    ] = False,
    w8a16: Annotated[
        bool,
        typer.Option(
            "--w8a16", help="The same with activations of sixteen bits, which lose less, for NPUs that have them."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Write the best elites, and the best baseline if none is better: source, weights, checked ONNX, a card.

    Status 1 if one has no weights.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file, not a folder to write to", "name another --out")
    if top is not None and program:
        raise UsageError("--top and --program exclude each other", "give one of them")
    which = program or top or 3
    nets: list[Net] = []
    with read_folder(run).open() as archive:
        view = archive.view()
        metric = task_of(view.manifest).metric
        baselines = {row.label for row in view.candidates if not row.cycle}
        if epochs == 0:
            nets = write_sources(view, which, out)
        else:
            seed = view.manifest.get("seed")
            with open_export_pool(archive, run, epochs, dataset) as pool:
                asked: dict[Kind, bool] = {"int8": int8, "w8a16": w8a16}
                kinds = [kind for kind, wanted in asked.items() if wanted]
                for net in export_best(view, which, out, pool, seed if isinstance(seed, int) else 0, kinds):
                    nets.append(net)
                    if not as_json:
                        print_text(_told(net, metric))
    nets.sort(key=lambda net: net.rank)
    if as_json:
        print_json([{**keyed(asdict(net), metric.name), "metric": metric.name} for net in nets])
    elif epochs == 0:
        print_text("\n".join(net.folder for net in nets))
    for net in nets:
        for kind, found in net.quantized.items():
            if isinstance(found, Quantized) and found.warned:
                better = "; try --w8a16" if "w8a16" not in net.quantized else ""
                word = f"may lose more than it should, {metric.points(-found.high)}{better}"
                say(f"warning: {net.folder}/model.{kind}.onnx {word}")
    if nets and not program and nets[0].name in baselines:
        say(f"the best network is a baseline, {nets[0].name}: no candidate beat both its parent and this one")
    raise typer.Exit(1 if any(net.reason for net in nets) else 0)


def _told(net: Net, metric: Metric) -> str:
    if net.validation is None or net.test is None:
        return f"{net.folder}: no weights: {net.reason}"
    scores = f"validation {metric.shown(net.validation.score)}, test {metric.shown(net.test.score)}"
    if not net.onnx:
        return f"{net.folder}: {scores}; no ONNX: {net.onnx_reason}"
    said = f"{net.folder}: {scores}; ONNX within {net.onnx_difference:.2g} of torch over {net.onnx_images} images"
    for kind, found in net.quantized.items():
        if isinstance(found, str):
            said += f"; no {kind}: {found}"
        else:
            bounds = f"{metric.gain(-found.high)} to {metric.gain(-found.low)}"
            said += f"; {kind} {metric.points(-found.loss)} ({bounds}) over {found.images} images"
    return said
