"""The command line. Thin: it reads arguments, calls the package, prints. Data on stdout, narration on stderr.

Exit status: 0 done, 1 failed, 2 usage.
"""

from __future__ import annotations

import os
import sys
from importlib import metadata
from typing import Annotated

import typer

from deltanas.cli import (
    calibrate,
    distil,
    experts,
    export,
    grid,
    learn,
    lemur,
    npu,
    outside,
    predict,
    read,
    recipes,
    serve,
    starting,
    study,
    suggest,
    transforms,
    work,
)
from deltanas.cli.output import print_text
from deltanas.cli.streams import use_utf8
from deltanas.errors import DeltanasError, UsageError

app = typer.Typer(
    name="deltanas",
    help="Search for neural networks by edits; measure what a language model adds over a sampler.",
    no_args_is_help=True,
    rich_markup_mode=None,  # a help text says [train] and deltanas[llm]: markup would take these away
    pretty_exceptions_enable=False,
    add_completion=False,
)
work.add_to(app)
read.add_to(app)
export.add_to(read.runs)
predict.add_to(app)
distil.add_to(app)
npu.add_to(app)
lemur.add_to(app)
transforms.add_to(app)
learn.add_to(app)
recipes.add_to(app)
grid.add_to(recipes.recipes)
experts.add_to(app)
study.add_to(app)
suggest.add_to(app)
serve.add_to(app)
outside.add_to(app)
starting.add_to(app)
calibrate.add_to(app)


def _version(wanted: bool) -> None:
    if wanted:
        print_text(f"deltanas {metadata.version('deltanas')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Search for neural networks by edits; measure what a language model adds over a sampler."""


def main() -> None:
    """Entry point: every error that a user can mend ends as a message and a status."""
    use_utf8()
    try:
        app()
    except DeltanasError as error:
        _complain(str(error))
        raise SystemExit(2 if isinstance(error, UsageError) else 1) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone; nothing is left to say
        raise SystemExit(1) from None
    except OSError as error:
        _complain(f"{error.filename or 'input/output'}: {error.strerror or error}")
        raise SystemExit(1) from None


def _complain(message: str) -> None:
    sys.stderr.write(f"error: {message}\n")
