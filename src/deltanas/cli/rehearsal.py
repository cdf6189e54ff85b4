"""Printing what a search would do, lack and cost."""

from __future__ import annotations

from dataclasses import asdict

import typer

from deltanas.cli.output import print_json, print_table, print_text
from deltanas.rehearsal import Rehearsal


def show(found: Rehearsal, *, as_json: bool) -> None:
    """Ends the command: status 0 where nothing is lacking, else 1."""
    if as_json:
        print_json(asdict(found))
    else:
        print_text("\n".join(found.does))
        print_text("")
        print_table(("cost", "amount", "by"), ((cost.what, cost.amount, cost.basis) for cost in found.costs))
        print_text("")
        lacks = [f"lacking: {lack.message}\n  hint: {lack.hint}" for lack in found.lacks]
        print_text("\n".join(lacks) or "nothing is lacking")
    raise typer.Exit(1 if found.lacks else 0)
