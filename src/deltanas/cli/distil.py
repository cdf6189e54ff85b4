"""The command that makes a data set of what a teacher makes of one."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from deltanas import nets
from deltanas.cli.output import Json, print_json, print_text, say
from deltanas.cli.settings import Options, with_settings
from deltanas.cli.work import PAIRS, TRAINING, Prm, hyperparameters
from deltanas.config import read_config
from deltanas.distil import answers, trained_graph, write_blended
from deltanas.errors import UsageError
from deltanas.prediction import exported_graph
from deltanas.program import Refused
from deltanas.sandbox import LocalPool
from deltanas.settings import given_settings
from deltanas.sources import read_source
from deltanas.task import DENOISE
from deltanas.train.data import told
from deltanas.wiring import open_dataset_pool, program_of


def add_to(app: typer.Typer) -> None:
    app.command()(distil)


@with_settings({"--dataset": "dataset", "--seed": "seed", **TRAINING, **PAIRS})
def distil(
    teacher: Annotated[
        str, typer.Argument(help="Name of a built-in denoiser, a program, or what `runs export` wrote of one.")
    ],
    options: Options,
    out: Annotated[Path, typer.Option(help="File of the data set, .npz; one that is there is not overwritten.")],
    alpha: Annotated[float, typer.Option(help="Share of the teacher in the training targets.", min=0, max=1)] = 0.9,
    prm: Prm = None,
    as_json: Json = False,
) -> None:
    """Blend what a teacher makes of noisy training images into their targets, as a data set of its own.

    A student that trains on it with the mean squared error learns as from both losses; with another loss it does not.
    A program is trained first, in the sandbox; validation and test images stay as they are.
    """
    given = {"dataset": "photos", "task": DENOISE.name}
    config = read_config({**given, **given_settings(options=options), "task": DENOISE.name})
    if out.suffix != ".npz":
        raise UsageError(f"--out {out}: the data set is an npz file", f"give --out {out}.npz")
    if out.exists():
        raise UsageError(f"{out} is there already, and nothing is overwritten", "name another --out")
    if not out.parent.is_dir():
        raise UsageError(
            f"there is no folder {out.parent} to write {out.name} to", f"mkdir -p {quote(str(out.parent))}"
        )
    values = hyperparameters(prm)
    source = _source(teacher)
    graph = None if source else exported_graph(Path(teacher))
    with open_dataset_pool(config.dataset, config.train, values, DENOISE) as pool:
        if not isinstance(pool, LocalPool):
            raise UsageError("a teacher answers on this machine alone", "give --executor local")
        say(told(pool.dataset))
        if source:
            graph = trained_graph(pool, program_of(source, values), config.seed)
        assert graph is not None
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("images", total=len(pool.dataset.train))
            found = answers(pool, graph, pool.dataset.train.x, lambda done, _: progress.update(task, completed=done))
        score = write_blended(pool.dataset, found, alpha, out)
    if as_json:
        print_json({"out": str(out), "alpha": alpha, "images": len(found), "teacher_psnr": score})
    else:
        print_text(f"{out}: {len(found):,} targets, {alpha:g} of a teacher with {score:.2f} dB on them")
        print_text(f"to train on it: --task denoise --dataset {quote(f'npz:{out}')}")


def _source(teacher: str) -> str | None:
    """The text of a program; None where it is an export. Raises UsageError where it is none of these."""
    known = nets.baselines(DENOISE.name)
    if teacher in known:
        return known[teacher]
    path = Path(teacher)
    if not path.exists():
        raise UsageError(
            f"no teacher {teacher!r}: no built-in denoiser, no file and no folder", f"built in: {', '.join(known)}"
        )
    if path.is_dir() or path.suffix.lower() == ".onnx":
        return None
    source = read_source(path)
    if isinstance(source, Refused):
        raise UsageError(f"the teacher {teacher} can't be used: {source.reason}", "name a program or an export")
    return source
