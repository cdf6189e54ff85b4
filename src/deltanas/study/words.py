"""The diagnostics in words and figures, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from deltanas.intervals import Estimate
from deltanas.study.concentration import Concentration
from deltanas.study.convergence import Convergence
from deltanas.study.estimate import Absent
from deltanas.study.monotone import Monotone
from deltanas.study.nll import EliteNll, TuningNll
from deltanas.study.novelty import Novelty
from deltanas.study.reliability import Reliability
from deltanas.study.validity import Validity

Part = EliteNll | Monotone | Concentration | Validity | Novelty | Reliability


@dataclass(frozen=True, slots=True)
class Section:
    """A diagnostic for a reader: its verdict, or what is lacking (`known` False), and the figures behind it."""

    title: str
    verdict: str
    figures: tuple[str, ...]
    known: bool


def sections(found: Convergence) -> tuple[Section, ...]:
    """The six diagnostics in the order of the theory's results."""
    parts: tuple[tuple[str, Part | Absent], ...] = (
        ("Elite likelihood", found.nll),
        ("Quality per cycle", found.monotone),
        ("Concentration", found.concentration),
        ("Validity", found.validity),
        ("Novelty", found.novelty),
        ("Proxy reliability", found.reliability),
    )
    first, *others = (_section(title, part) for title, part in parts)
    return replace(first, figures=(*first.figures, *map(_tuning, found.tunings))), *others


def _tuning(one: TuningNll) -> str:
    which = "held out" if one.held_out else "learned from"
    return f"cycle {one.cycle}, {one.nll.programs} elites {which}: change {_words(one.nll.change)} nats a token"


def _section(title: str, part: Part | Absent) -> Section:
    if isinstance(part, Absent):
        return Section(title, f"Not computed: {part.why}.", (), False)
    return Section(title, part.verdict, tuple(_figures(part)), True)


def described(found: Convergence) -> str:
    """The six diagnostics, each with its verdict and the figures behind it."""
    lines = []
    for number, section in enumerate(sections(found), 1):
        lines += [f"{number} {section.title}: {section.verdict}", *(f"    {figure}" for figure in section.figures)]
    return "\n".join(lines)


def _figures(part: Part) -> Iterator[str]:
    match part:
        case EliteNll():
            yield f"nats a token: {_words(part.before)} before, {_words(part.after)} after, {part.programs} programs"
        case Monotone():
            yield from _monotone(part)
        case Concentration():
            for share in part.cycles:
                mark = ", broken" if share.broken else ""
                yield f"cycle {share.cycle}: {_words(share.share)}, bound {share.bound:.3g}, n = {share.n}{mark}"
        case Validity():
            for generator in part.generators:
                yield (
                    f"{generator.name}: valid {_words(generator.valid)}, {generator.tokens:.0f} tokens, "
                    f"eps {_words(generator.eps)}, n = {generator.n}"
                )
        case Novelty():
            yield f"largest Jaccard index {part.largest:.3f}; repeats {_words(part.repeats)}"
            for cycle in part.cycles:
                if cycle.effective is not None:
                    yield f"cycle {cycle.cycle}: {cycle.families} families, like {cycle.effective:.1f} of equal weight"
        case Reliability():
            yield from _reliability(part)


def _monotone(part: Monotone) -> Iterator[str]:
    for row in part.cycles:
        yield f"cycle {row.cycle}: {_words(row.mean)}, n = {row.n}"
    for step in part.falls:
        p = "no p value" if step.p is None else f"p = {step.p:.2g}"
        yield f"falls by {step.fall:.4g} into cycle {step.cycle}, {p}"


def _reliability(part: Reliability) -> Iterator[str]:
    score = "one training" if part.repeats == 1 else f"the mean of {part.repeats} trainings"
    enough = "" if part.repeats == 1 else f" and {part.repeats} trainings"
    trained = f"{part.trainings} trainings of {part.programs} programs"
    yield f"{trained}, {part.pairs} with a target{enough}; the score is {score}"
    yield f"variance of programs {_words(part.var_arch)}, of one training {_words(part.var_noise)}"
    yield f"SNR {_words(part.snr)}"
    yield f"Spearman predicted ({part.form}) {_words(part.rho_spearman_predicted)}"
    yield f"Spearman predicted ({part.other_form}) {_words(part.other_spearman)}"
    yield f"Spearman measured {_words(part.rho_spearman_measured)}"
    if isinstance(part.rho_spearman_paired, Estimate):
        yield f"Spearman of the two scores of one row {_words(part.rho_spearman_paired)}"
    best = part.truncation
    yield f"among the best {best.share:.0%}: predicted {_words(best.predicted)}, measured {_words(best.measured)}"


def _words(estimate: Estimate | Absent) -> str:
    if isinstance(estimate, Absent):
        return f"not known ({estimate.why})"
    return f"{estimate:.4g}"
