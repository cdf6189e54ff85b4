"""The study of suitability in words and figures, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from deltanas.study.estimate import Absent
from deltanas.study.suitability import Figure, Suitability

_ROWS = (
    ("majority", "the more frequent answer of each pair of sets"),
    ("one_order", "one order of the sets"),
    ("sets_alone", "boosted trees on the two sets alone"),
    ("sizes", "with the size of the text"),
    ("nearest", "the network with the nearest code"),
    ("trees", "boosted trees on code and sets"),
    ("code", "code: regressions of the standing on each set"),
)
_DIVIDED = (
    ("trees_by_network", "boosted trees, networks divided at random"),
    ("leak", "boosted trees, examples divided at random: a leak"),
)


def suitability_described(found: Suitability) -> str:
    """The verdict first, then what it rests on."""
    return "\n".join([found.verdict, "", *_lines(found)])


def _lines(found: Suitability) -> Iterator[str]:
    yield (
        f"{found.examples.n:,} examples: {found.networks:,} networks of {found.families} families, each with each two"
        f" of {len(found.datasets)} data sets ({', '.join(found.datasets)}); label {found.label}."
    )
    if found.ties:
        yield f"{found.ties:,} more were left out, as the network stands alike on both."
    if found.copies:
        yield f"{found.copies:,} networks differ from one of another family in numbers alone."
    yield "Share of right answers, families held out, 95 % intervals for other families:"
    yield from (_row(title, getattr(found, name)) for name, title in _ROWS)
    yield _row("code less majority", found.gain, signed=True)
    yield from (_row(title, getattr(found, name)) for name, title in _DIVIDED)
    yield from _limits(found)
    yield "By data set (examples with it): majority, code"
    yield from (f"    {one.majority:.3f}  {one.code:.3f}  {one.dataset} ({one.n:,})" for one in found.sets)


def _limits(found: Suitability) -> Iterator[str]:
    if isinstance(found.ceiling, Absent):
        yield f"No ceiling is known: {found.ceiling.why}."
    else:
        yield _row("two halves of the trials agree", found.ceiling)
        yield f"    so that one half is right in about {found.best_possible:.2f} of the cases"
    yield _row("code, on the half that it is surest of", found.confident)
    yield _row("majority there", found.confident_majority)
    yield f"    {found.calibration:.3f}  mean gap between the chance that code tells and the share that is right"


def _row(title: str, figure: Figure, *, signed: bool = False) -> str:
    return f"    {figure:{'+.3f' if signed else '.3f'}}  {title}"
