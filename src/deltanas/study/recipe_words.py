"""The study of losses and optimizers in words and figures, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from deltanas.intervals import Estimate
from deltanas.study.blocks import ALPHA, blocks_needed
from deltanas.study.estimate import Absent
from deltanas.study.recipe_study import RecipeStudy, failures
from deltanas.study.recipes import TWIN, Comparison, Curve, Share
from deltanas.wording import counted


def recipes_described(found: RecipeStudy) -> str:
    """Verdicts first, then what they rest on."""
    rows = found.table.rows
    datasets, networks = ({row.block[place] for row in rows} for place in (0, 1))
    lines = [
        f"{counted(len(rows), 'training')}, {counted(len(networks), 'network')} on {', '.join(sorted(datasets))}; "
        "a network's score is the mean over seeds and data sets. Intervals are 95 %."
    ]
    lines += [f"note: {note}" for note in found.notes]
    for verdict in found.verdicts:
        lines += ["", f"[{verdict.arm}] {verdict.claim}: {verdict.verdict}", f"    {verdict.why}"]
    for comparison in shown(found):
        lines += ["", *_comparison(comparison)]
    for arm, dataset, share in found.shares:
        lines += ["", f"[{arm}] variance of one training's score on {dataset}: {_share(share)}"]
    lines += ["", *_failed(found)]
    lines += [line for curve in found.curves for line in _curve(curve)]
    return "\n".join(lines)


def shown(found: RecipeStudy) -> list[Comparison]:
    """All comparisons but those under a loss that is the same as another one's."""
    held = {(one.arm, one.within) for one in found.comparisons}
    return [one for one in found.comparisons if (one.arm, TWIN.get(one.within, "")) not in held]


def _comparison(one: Comparison) -> Iterator[str]:
    left = "" if one.failures == "last" else ", failures left out"
    lacking = f", {one.incomplete} left out, as a recipe is lacking" if one.incomplete else ""
    yield f"[{one.arm}] {one.title}{left}: {counted(one.blocks, 'network')}{lacking}"
    yield f"    {friedman_words(one)}"
    for rank in sorted(one.ranks, key=lambda rank: rank.mean_rank):
        failed = f", {rank.failed} of {rank.trained} failed" if rank.failed else ""
        yield f"    mean rank {rank.mean_rank:.2f}  {rank.name}: accuracy {accuracy_words(rank.accuracy)}{failed}"
    yield f"    {pairs_words(one)}"
    if not isinstance(one.friedman, Absent):
        for clique in one.friedman.cliques:
            yield f"    ranks within the critical difference: {', '.join(one.ranks[place].name for place in clique)}"


def friedman_words(one: Comparison) -> str:
    """The test over all, and what difference of ranks it can tell."""
    test = one.friedman
    if isinstance(test, Absent):
        return f"Friedman's test is not computed: {test.why}"
    f = f"F = {test.f:.3g}" if test.f < float("inf") else "all networks rank alike"
    return (
        f"Friedman (Iman-Davenport) {f}, p = {test.p:.2g}; critical difference "
        f"{test.critical_difference:.2f} of {test.treatments - 1} ranks"
    )


def pairs_words(one: Comparison) -> str:
    """How many pairs differ, and what so many networks could show."""
    if not one.pairs:
        return "no two of them were trained in two networks"
    number = len(one.pairs)
    differ = sum(pair.p_holm < ALPHA for pair in one.pairs)
    needed = blocks_needed(number)
    if max(pair.blocks for pair in one.pairs) < needed:
        return f"no pair can differ by Wilcoxon's test with Holm's correction: {number} of them need {needed} networks"
    size = sorted(pair.detectable for pair in one.pairs)[number // 2]
    return (
        f"{differ} of {number} pairs differ (Wilcoxon, Holm); a difference of {100 * size:.1f} points "
        "would be found in 80 of 100 cases (median of the pairs, one test)"
    )


def accuracy_words(estimate: Estimate | Absent) -> str:
    if isinstance(estimate, Absent):
        return f"not known ({estimate.why})"
    return f"{100 * estimate.value:.1f} % [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def _share(share: Share | Absent) -> str:
    if isinstance(share, Absent):
        return f"not known ({share.why})"
    parts = (
        f"{name} {100 * e.value:.0f} % [{100 * e.low:.0f}, {100 * e.high:.0f}]" for name, e in share.shares.items()
    )
    return f"{', '.join(parts)}; {counted(share.networks, 'network')}, losses {', '.join(share.losses)}"


def _failed(found: RecipeStudy) -> Iterator[str]:
    rows = [row for row in failures(found) if row["failed"]]
    if not rows:
        yield "No training failed."
    for row in rows:
        share = row["share"]
        assert isinstance(share, Estimate)
        times = "" if row["scale"] == 1 else f" x {row['scale']}"
        yield (
            f"[{row['arm']}] {row['loss']}{times} + {row['optimizer']}: {row['failed']} of {row['trained']} failed "
            f"({100 * share.low:.1f} to {100 * share.high:.1f} %)"
        )


def _curve(curve: Curve) -> Iterator[str]:
    points = ", ".join(
        f"{rate:g}: {'?' if isinstance(score, Absent) else f'{100 * score.value:.1f}'}"
        for rate, score, _ in curve.points
    )
    edge = curve.at_edge
    wide = f"; the best rate lies at an end in {100 * edge.value:.0f} % of the choices" if edge.value > 0 else ""
    yield f"{curve.what} by learning rate: {points}{wide}"
