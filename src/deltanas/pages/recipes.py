"""The page of a study of losses and optimizers: one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deltanas.intervals import Estimate, mean
from deltanas.pages.place import require_page
from deltanas.report import charts, compared, drawn_page
from deltanas.whole import write_whole

if TYPE_CHECKING:
    from deltanas.study import Cells, Comparison, RecipeStudy

_TITLES = {
    "verdicts": "Do the published claims hold?",
    "scores": "Accuracy of each recipe on each network",
    "ranks": "Which recipes differ?",
    "rates": "Does the learning rate matter?",
    "shares": "Where does the scatter come from?",
    "failures": "How often does a training fail?",
}
_ABOUT = (
    "Intervals are 95 %: Student's t for means and differences over networks, Wilson (1927) for shares, Fieller (1954) "
    "for ratios. They tell the chance in the choice of networks and seeds; other data, longer training or larger "
    "networks are not in them."
)


def write_recipes(target: Path, table: Path, found: RecipeStudy) -> Path:
    """Write the page whole or not at all. Raises UsageError where something else than a page is there."""
    require_page(target, "--html")
    sections = {
        "verdicts": _verdicts(found),
        "scores": _scores(found),
        "ranks": _ranks(found),
        "rates": _rates(found),
        "shares": {"shares": [_share(*one) for one in found.shares]},
        "failures": {"rows": list(_failed(found))},
    }
    rows = found.table.rows
    top = {
        "name": table.name,
        "rows": len(rows),
        "networks": len({row.block[1] for row in rows}),
        "datasets": sorted({row.block[0] for row in rows}),
        "notes": found.notes,
        "sections": list(_TITLES.items()),
    }
    write_whole(target, drawn_page(f"{table.name} · deltanas study", top, sections, _TITLES, _ABOUT))
    return target


def _verdicts(found: RecipeStudy) -> Mapping[str, object]:
    from deltanas.study import HOLDS, UNKNOWN

    claims = {one.claim: [other for other in found.verdicts if other.claim == one.claim] for one in found.verdicts}
    return {"claims": list(claims.items()), "holds": HOLDS, "unknown": UNKNOWN}


def _scores(found: RecipeStudy) -> Mapping[str, object]:
    return {
        "maps": [_map(cells) for cells in found.cells],
        "failed": any(bool(cells.failed.any()) for cells in found.cells),
    }


def _map(cells: Cells) -> Mapping[str, object]:
    from deltanas.study import by_network

    known = cells.means[~np.isnan(cells.means)]
    ends = float(known.min()), float(known.max())
    several = len({dataset for dataset, _ in cells.blocks}) > 1
    rows = []
    for line, (dataset, network) in enumerate(cells.blocks):
        name = f"{network}, {dataset}" if several else network
        drawn = []
        for place, what in enumerate(cells.what):
            scores = cells.scores[line][place]
            failed = int(cells.failed[line, place])
            drawn.append(_cell(f"{network}, {what}", scores, ends, failed) if scores else None)
        rows.append((name, drawn))
    means = []
    for what, column in zip(cells.what, cells.means.T, strict=True):
        merged = by_network(cells.blocks, column)
        means.append(_cell(str(what), merged[~np.isnan(merged)].tolist(), ends))
    losses = [(name, len(list(group))) for name, group in groupby(_loss(str(what)) for what in cells.what)]
    return {
        "arm": cells.arm,
        "losses": losses,
        "columns": [what.optimizer for what in cells.what],
        "rows": rows,
        "means": means,
    }


def _loss(name: str) -> str:
    return name.rpartition(" + ")[0]


def _cell(name: str, scores: Sequence[float], ends: tuple[float, float], failed: int = 0) -> compared.Cell:
    several = mean(scores)
    value = float(np.mean(scores))
    return compared.cell(name, several or Estimate(value, value, value), several is not None, ends, failed)


def _ranks(found: RecipeStudy) -> Mapping[str, object]:
    from deltanas.study import shown

    first = [one for one in shown(found) if one.among == "optimizer" and one.failures == "last"]
    others = [one for one in found.comparisons if one not in first]
    return {"first": list(map(_comparison, first)), "others": list(map(_comparison, others))}


def _comparison(one: Comparison) -> Mapping[str, object]:
    from deltanas.study import Absent, friedman_words, pairs_words

    test = one.friedman
    diagram = None
    if not isinstance(test, Absent):
        ranks = [(rank.name, rank.mean_rank) for rank in one.ranks]
        diagram = compared.rank_diagram(ranks, test.cliques, test.critical_difference)
    return {
        "title": one.title,
        "arm": one.arm,
        "among": one.among,
        "left_out": one.failures != "last",
        "blocks": one.blocks,
        "incomplete": one.incomplete,
        "test": friedman_words(one),
        "power": pairs_words(one),
        "diagram": diagram,
        "ranks": [
            {
                "name": rank.name,
                "rank": f"{rank.mean_rank:.2f}" if one.blocks else "not known",
                "accuracy": rank.accuracy if isinstance(rank.accuracy, Estimate) else None,
                "failed": rank.failed,
                "trained": rank.trained,
            }
            for rank in sorted(one.ranks, key=lambda rank: rank.mean_rank)
        ],
        "pairs": [
            {
                "first": pair.first,
                "second": pair.second,
                "difference": pair.difference,
                "biserial": pair.rank_biserial if isinstance(pair.rank_biserial, Estimate) else None,
                "p": pair.p_holm,
                "better": pair.posterior.better,
                "alike": pair.posterior.equivalent,
                "worse": pair.posterior.worse,
                "blocks": pair.blocks,
            }
            for pair in one.pairs
        ],
    }


def _rates(found: RecipeStudy) -> Mapping[str, object]:
    drawn = []
    for loss, group in groupby(found.curves, key=lambda curve: _loss(str(curve.what))):
        lines, edges = [], []
        for curve in group:
            points = [(rate, score) for rate, score, _ in curve.points if isinstance(score, Estimate)]
            if points:
                lines.append((curve.what.optimizer, points))
            if curve.at_edge.value:
                edges.append(f"{curve.what.optimizer} in {100 * curve.at_edge.value:.0f} % of the choices")
        if lines:
            drawn.append((loss, compared.curves(lines), edges))
    return {"charts": drawn, "height": charts.HEIGHT}


def _share(arm: str, dataset: str, share: object) -> Mapping[str, object]:
    from deltanas.study import Absent, Share

    if isinstance(share, Absent):
        return {"arm": arm, "dataset": dataset, "why": share.why, "parts": []}
    assert isinstance(share, Share)
    return {"arm": arm, "dataset": dataset, "why": "", "parts": list(share.shares.items())}


def _failed(found: RecipeStudy) -> Iterator[Mapping[str, object]]:
    from deltanas.study import failures

    for row in failures(found):
        if row["failed"]:
            times = "" if row["scale"] == 1 else f" x {row['scale']:g}"
            yield {**row, "name": f"{row['loss']}{times} + {row['optimizer']}"}
