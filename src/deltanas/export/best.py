"""Train the best elites once more, fetch them out of the sandbox, check their ONNX and write them down."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltanas.askers import champion_of
from deltanas.errors import UsageError
from deltanas.export.card import card
from deltanas.export.meaning import config_of, metadata_of
from deltanas.export.net import Net, score
from deltanas.export.quantizing import KINDS, Kind, quantized
from deltanas.export.safetensors import safetensors_bytes
from deltanas.imagery import in_levels
from deltanas.journal import Journal
from deltanas.objective import stored_objectives
from deltanas.onnxfile import with_metadata
from deltanas.policy import finalists
from deltanas.program import Failed, Program
from deltanas.records import Candidate, RunView
from deltanas.report import class_scores
from deltanas.sandbox import Exported, LocalPool
from deltanas.search import training_seed
from deltanas.task import Sorts, task_of
from deltanas.train.data import class_names
from deltanas.train.job import NEAR_LEVELS
from deltanas.whole import write_whole

FILES = {"net": "net.py", "transform": "transform.py", "prm": "prm.json"}
"""Where the parts of a program are written; any other stands in a text file of its name."""
CHECKED = 256
"""Images by which ONNX Runtime is compared with torch, at most."""
NEAR = 0.01
"""Largest difference of a logit that is let through, as a share of the largest logit; of images `NEAR_LEVELS`."""


def write_sources(view: RunView, wanted: int | Sequence[str], out: Path) -> list[Net]:
    """The parts of each of the networks, in a folder of its own; wanted as in `export_best`. Raises as that does."""
    return [_begun(*each, out, ranked=isinstance(wanted, int)) for each in _chosen(view, wanted)]


def export_best(
    view: RunView, wanted: int | Sequence[str], out: Path, pool: LocalPool, seed: int, kinds: Sequence[Kind] = ()
) -> Iterator[Net]:
    """Train networks for the pool's epochs with a fresh seed and write each down as soon as it is there.

    The seed is that of the final scores: with as many epochs as in the search these are the same networks, and the test
    split tells nothing new. A network that fails is reported, the others go on.

    Raises UsageError, SandboxError, OSError.

    Args:
        wanted: how many of the best; or which ones, by label or by the beginning of an identity.
        kinds: of quantised files that are written beside each, and scored.
    """
    best, named = _chosen(view, wanted), not isinstance(wanted, int)
    nets = [_begun(*each, out, ranked=not named) for each in best]
    fresh = training_seed(seed, "test")
    for place, found in pool.export([program for _, _, program in best], seed=fresh):
        candidate = best[place][1]
        if isinstance(found, Failed):
            yield replace(nets[place], reason=f"{found.kind}: {found.reason}", seed=fresh, epochs=pool.epochs)
            continue
        net = _filled(nets[place], found, pool)
        config = config_of(view, net, pool.dataset, pool.task, best[place][2].transform)
        net, graph = _checked(net, found, pool, metadata_of(config))
        folder = Path(net.folder)
        for name in ("model.onnx", *(f"model.{kind}.onnx" for kind in KINDS)):
            (folder / name).unlink(missing_ok=True)  # of an earlier export: it has other weights
        write_whole(folder / "model.safetensors", safetensors_bytes(found.weights, metadata_of(config)))
        if graph is not None:
            write_whole(folder / "model.onnx", graph)
            for kind in kinds:
                net = _quantized(net, graph, found, pool, metadata_of(config), kind)
        write_whole(folder / "config.json", json.dumps(config, indent=2, ensure_ascii=False) + "\n")
        if found.test.picture is not None:
            write_whole(folder / "examples.png", found.test.picture)
        write_whole(folder / "README.md", card(view, candidate, net, pool.dataset, config, named))
        yield net


def _quantized(
    net: Net, graph: bytes, found: Exported, pool: LocalPool, metadata: Mapping[str, str], kind: Kind
) -> Net:
    made = quantized(graph, found, pool, metadata, kind)
    if isinstance(made, str):
        why: dict[str, Any] = {f"{kind}_reason": made}
        return replace(net, **why)
    write_whole(Path(net.folder) / f"model.{kind}.onnx", made[1])
    told: dict[str, Any] = {kind: made[0]}
    return replace(net, **told)


def _chosen(view: RunView, wanted: int | Sequence[str]) -> list[tuple[int, Candidate, Program]]:
    """With the place of each among them, from 1."""
    if isinstance(wanted, int):
        rows = _best(view, wanted)
    else:
        journal = Journal(view.candidates)
        held = {name: journal.of(view.identity(name)) for name in wanted}
        if refused := [name for name, row in held.items() if row is None]:
            raise UsageError(
                f"{', '.join(refused)} was refused by a gate and never trained", "name one that was trained"
            )
        rows = list({row.label: row for row in held.values() if row}.values())
    with_programs = [(row, row.program) for row in rows if row.program]
    return [(rank, row, program) for rank, (row, program) in enumerate(with_programs, 1)]


def _best(view: RunView, top: int) -> list[Candidate]:
    """The best elites by rank; before them the best baseline, where it is better than all of them or there are none."""
    journal = Journal(view.candidates, metric=task_of(view.manifest).metric)
    best = finalists(journal, objectives := stored_objectives(view.manifest), top)
    if len(objectives) < 2 or not best:  # a front holds its baselines
        first = sorted([row for row in (journal.best_baseline, *best[:1]) if row], key=journal.rank)[:1]
        best = best if first == best[:1] else [*first, *best][:top]
    if view.leases:  # what a test called better comes before what scored higher
        champion = champion_of(journal, view.duels)
        best = [champion, *(row for row in best if row.label != champion.label)][:top]
    return best


def _begun(rank: int, candidate: Candidate, program: Program, out: Path, *, ranked: bool) -> Net:
    """ranked: by the search; the folder of one that was named stands behind these, and tells no rank."""
    folder = out / f"{f'{rank:02d}' if ranked else 'named'}-{program.id}"
    folder.mkdir(parents=True, exist_ok=True)
    for part, text in program.parts.items():
        write_whole(folder / FILES.get(part, f"{part}.txt"), text)
    draft = candidate.draft
    known = (draft.params, draft.flops) if draft else (None, None)
    return Net(rank, program.id, candidate.label, str(folder), *known)


def _filled(net: Net, found: Exported, pool: LocalPool) -> Net:
    names = class_names(pool.dataset.source.names, pool.dataset.classes)
    return replace(
        net,
        seed=found.test.seed,
        epochs=pool.epochs,
        validation=score(found.validation, pool.task),
        test=score(found.test, pool.task),
        classes=class_scores(found.test.confusion, names) if found.test.confusion else (),
        tensors=len(found.weights),
        bytes=sum(len(weight.data) for weight in found.weights),
    )


def _checked(net: Net, found: Exported, pool: LocalPool, metadata: Mapping[str, str]) -> tuple[Net, bytes | None]:
    """Compare the ONNX file with torch; what can't be run, or computes something else, is not written."""
    missing = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]
    if missing:
        return replace(net, onnx_reason=f"{' and '.join(missing)} is missing: pip install 'deltanas[export]'"), None
    if found.onnx is None:
        return replace(net, onnx_reason=found.why or "the exporter gave nothing"), None
    graph = with_metadata(found.onnx, metadata)
    pixels = pool.evaluated("both", CHECKED)
    answer = pool.infer(graph, pixels)
    if isinstance(answer, Failed):
        return replace(net, onnx_reason=f"ONNX Runtime does not run it: {answer.reason}"), None
    torches = found.outputs[: len(pixels)]
    difference = float(np.abs(answer - torches).max())
    sorts = isinstance(pool.task, Sorts)
    shown: Callable[[NDArray[np.float32]], NDArray[Any]] = _named if sorts else in_levels
    net = replace(
        net,
        onnx_difference=difference,
        onnx_agreement=float((shown(answer) == shown(torches)).mean()),
        onnx_images=len(pixels),
    )
    if difference > (NEAR * float(np.abs(torches).max()) if sorts else NEAR_LEVELS):
        return replace(net, onnx_reason=f"ONNX Runtime's outputs differ from torch's by {difference:.2g}"), None
    return replace(net, onnx=True), graph


def _named(outputs: NDArray[np.float32]) -> NDArray[np.int64]:
    names: NDArray[np.int64] = outputs.argmax(1)
    return names
