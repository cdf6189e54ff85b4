"""The study of a table of losses and optimizers: what it holds, its comparisons and verdicts, as plain data too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from deltanas.intervals import mean
from deltanas.study.blocks import Friedman, nemenyi
from deltanas.study.claims import Verdict, verdicts
from deltanas.study.effects import clustered
from deltanas.study.estimate import Absent, plain
from deltanas.study.recipes import Cells, Comparison, Curve, Share, cells_of, comparisons, curves, decays_of, shares
from deltanas.trainings import ARMS, GridTable
from deltanas.wording import counted


@dataclass(frozen=True)
class RecipeStudy:
    """notes: what to know of the table, as rows that are lacking. shares: by (arm, data set)."""

    table: GridTable
    notes: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    cells: tuple[Cells, ...]
    comparisons: tuple[Comparison, ...]
    shares: tuple[tuple[str, str, Share | Absent], ...]
    curves: tuple[Curve, ...]


def recipe_study(table: GridTable) -> RecipeStudy:
    """All that a table says; what it can't say is told in its place."""
    arms = [arm for arm in ARMS if any(row.arm == arm for row in table.rows)]
    cells = tuple(found for arm in arms if (found := cells_of(table, arm)) is not None)
    return RecipeStudy(
        table,
        tuple(_notes(table, cells)),
        tuple(verdicts(table, arms)),
        cells,
        tuple(comparisons(table, arms)),
        tuple(shares(table, arms)),
        tuple(curves(table)),
    )


def _notes(table: GridTable, cells: tuple[Cells, ...]) -> Iterator[str]:
    if table.cut is not None:
        yield f"line {table.cut}, the last, is cut off and not read"
    if table.unended:
        yield "the last line has no end: if it was cut there, digits of its last cell are lost"
    if table.told_again:
        again = counted(table.told_again, "row that an earlier one tells is", "rows that earlier ones tell are")
        yield f"{again} not counted again"
    if not cells:
        yield "no row is of phase `score`, so there is nothing to compare yet"
    blocks = {row.block for row in table.rows}
    if len({network for _, network in blocks}) < len(blocks):
        yield "a network on several data sets counts once, by the mean over those that hold what is compared"
    yield from _decays(table)
    refused = sum(not row.tried for row in table.rows)
    if refused:
        rows = counted(refused, "row holds", "rows hold")
        yield f"{rows} no training, as the recipe could not be put into the network: gaps, not failures"
    for one in cells:
        gaps = int((one.trained == 0).sum())
        if gaps:
            yield (
                f"arm {one.arm}: {gaps} of {one.trained.size} pairs of a network and a recipe were not trained; "
                "a comparison leaves out the networks that lack one of its recipes"
            )
        few = int(((one.trained > 0) & (one.trained < one.trained.max())).sum())
        if few:
            lack = counted(few, "pair of a network and a recipe has", "pairs of a network and a recipe have")
            yield f"arm {one.arm}: {lack} fewer seeds than the {int(one.trained.max())} of others"


def _decays(table: GridTable) -> Iterator[str]:
    """Where comparisons of optimizers are comparisons of weight decays too."""
    known = decays_of(table.rows)
    untold = [name for name, decay in known.items() if decay != decay]
    if len(known) < 2:
        return
    if untold and "adamw" in known:
        yield (
            f"one weight decay is not told of {', '.join(untold)}; torch's default is 0.01 for adamw and 0 for others, "
            "so comparisons with adamw may mix optimizer and weight decay"
        )
    elif len(set(known.values())) > 1:
        told = ", ".join(f"{name} {decay:g}" for name, decay in known.items())
        yield (
            f"comparisons of optimizers that decay weights otherwise mix optimizer and decay ({told}); "
            "`recipes run --decay` trains all with one"
        )


def recipes_as_json(found: RecipeStudy) -> dict[str, object]:
    """Plain data for JSON."""
    rows = found.table.rows
    told: dict[str, object] = {
        "table": {
            "rows": len(rows),
            "datasets": sorted({row.block[0] for row in rows}),
            "networks": sorted({row.block[1] for row in rows}),
            "arms": sorted({row.arm for row in rows}),
            "decays": decays_of(rows),
            "told_again": found.table.told_again,
            "cut_line": found.table.cut,
            "ignored": list(found.table.ignored),
        },
        "notes": list(found.notes),
        "verdicts": list(found.verdicts),
        "ranks": [
            {**_key(one), "name": rank.name, "mean_rank": rank.mean_rank, "accuracy": rank.accuracy}
            | {"trained": rank.trained, "failed": rank.failed}
            for one in found.comparisons
            for rank in one.ranks
        ],
        "friedman": [{**_key(one), **_friedman(one)} for one in found.comparisons],
        "pairs": [{**_key(one), **pair} for one in found.comparisons for pair in _pairs(one)],
        "shares": [
            {"arm": arm, "dataset": dataset, "why": share.why}
            if isinstance(share, Absent)
            else {"arm": arm, "dataset": dataset, "networks": share.networks, "shares": share.shares}
            for arm, dataset, share in found.shares
        ],
        "failures": list(failures(found)),
        "sensitivity": [
            {
                "loss": curve.what.loss,
                "optimizer": curve.what.optimizer,
                "scale": curve.what.scale,
                "points": [{"rate": rate, "score": score, "blocks": blocks} for rate, score, blocks in curve.points],
                "best_at_edge": curve.at_edge,
            }
            for curve in found.curves
        ],
        "cells": [cell for one in found.cells for cell in _cells(one)],
    }
    return {name: plain(value) for name, value in told.items()}


def failures(found: RecipeStudy) -> Iterator[dict[str, object]]:
    """Share of the scored trainings that failed, by arm and combination; those of one network go together."""
    for one in found.cells:
        networks = [network for _, network in one.blocks]
        of_networks = np.array([[float(name == other) for other in networks] for name in sorted(set(networks))])
        for place, what in enumerate(one.what):
            trained, failed = int(one.trained[:, place].sum()), int(one.failed[:, place].sum())
            keys = {"arm": one.arm, "loss": what.loss, "optimizer": what.optimizer, "scale": what.scale}
            share = clustered(of_networks @ one.failed[:, place], of_networks @ one.trained[:, place])
            yield {**keys, "trained": trained, "failed": failed, "share": share}


def _cells(one: Cells) -> Iterator[dict[str, object]]:
    for line, (dataset, network) in enumerate(one.blocks):
        for place, what in enumerate(one.what):
            scores = one.scores[line][place]
            if scores:
                yield {
                    "arm": one.arm,
                    "dataset": dataset,
                    "network": network,
                    "loss": what.loss,
                    "optimizer": what.optimizer,
                    "scale": what.scale,
                    "score": mean(scores) or {"value": scores[0], "low": None, "high": None},
                    "trained": int(one.trained[line, place]),
                    "failed": int(one.failed[line, place]),
                }


def _key(one: Comparison) -> dict[str, object]:
    return {"arm": one.arm, "among": one.among, "within": one.within, "failures": one.failures}


def _friedman(one: Comparison) -> dict[str, object]:
    keys: dict[str, object] = {"blocks": one.blocks, "incomplete": one.incomplete, "treatments": len(one.ranks)}
    if isinstance(one.friedman, Absent):
        return keys | {"p": None, "why": one.friedman.why}
    test = one.friedman
    return keys | {
        "chi2": test.chi2,
        "chi2_p": test.chi2_p,
        "f": test.f,
        "p": test.p,
        "critical_difference": test.critical_difference,
        "cliques": [[one.ranks[place].name for place in clique] for clique in test.cliques],
    }


def _pairs(one: Comparison) -> Iterator[dict[str, object]]:
    names = [rank.name for rank in one.ranks]
    for pair in one.pairs:
        yield {
            "first": pair.first,
            "second": pair.second,
            "blocks": pair.blocks,
            "difference": pair.difference,
            "rank_biserial": pair.rank_biserial,
            "p": pair.p,
            "p_holm": pair.p_holm,
            "p_nemenyi": _nemenyi(one.friedman, names.index(pair.first), names.index(pair.second)),
            "bayes": pair.posterior,
            "detectable": pair.detectable,
        }


def _nemenyi(test: Friedman | Absent, one: int, other: int) -> float | None:
    return None if isinstance(test, Absent) else nemenyi(test, one, other)
