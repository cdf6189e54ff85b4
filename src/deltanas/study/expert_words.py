"""The study of mixtures in words and figures, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from deltanas.intervals import Estimate
from deltanas.study.coverage import Coverage, Evenness
from deltanas.study.estimate import Absent
from deltanas.study.experts import JOIN, Effect, ExpertsStudy, Foreseen

_SHOWN = 5
"""Effects that are shown from either end."""


@dataclass(frozen=True, slots=True)
class GateUse:
    """Of an exported mixture, as the network itself noted it while it trained, over about its last 20 batches.

    Attributes:
        network: name of its folder.
        experts: of each its name, its mean share, and the share of images of which it had the largest one.
    """

    network: str
    experts: tuple[tuple[str, float, float], ...]


def experts_described(found: ExpertsStudy, gates: Sequence[GateUse] = ()) -> str:
    """What a terminal shows. gates: of exported networks."""
    lines = [
        f"{found.mixtures} mixtures of {len(found.experts) - len(found.apart)} trained baselines. Intervals are 95 %."
    ]
    if found.apart:
        lines.append(f"in no mixture, as they can't share a file with others: {', '.join(found.apart)}")
    lines += ["", *_coverage(found.coverage)]
    lines += ["", f"passed the checks: {found.passed:.1%}; trained: {found.trained:.1%}"]
    lines += [f"    {JOIN.join(experts)}: {fault}" for experts, fault in found.faults]
    lines += ["", *_gains(found)]
    lines += ["", "effects of families on a mixture's score:", *_effects(found.families)]
    lines += ["", _pairs_head(found), *_effects(found.pairs)]
    lines += ["", *_foreseen(found.foreseen)]
    lines += ["", *_gates(gates)]
    return "\n".join(lines)


def _coverage(found: Coverage | Absent) -> Iterator[str]:
    if isinstance(found, Absent):
        yield f"coverage is not computed: {found.why}"
        return
    again = f", {found.repeats} of them drawn before" if found.repeats else ", all different"
    yield f"coverage: {found.groups} mixtures{again}"
    for what, one in (("family", found.families), ("pair", found.pairs)):
        counts = f"{one.least} to {one.most} (expected {one.expected:.1f}), {one.missing} in none"
        yield f"    each {what} in {counts}; {_test(one)}"


def _test(one: Evenness) -> str:
    verdict = "no less even than draws by chance" if one.p > 0.05 else "less even than draws by chance"
    return f"chi-square {one.chi2:.1f} with {one.degrees} degrees of freedom, p = {one.p:.3g}: {verdict}"


def _gains(found: ExpertsStudy) -> Iterator[str]:
    name, score = found.experts[0]
    yield f"gain over the best of its own experts: {_gain(found.over_best)}"
    yield f"gain over the best baseline of all ({name}, {found.metric} {score:.4f}): {_gain(found.over_single)}"
    if not isinstance(found.best, Absent):
        experts, over = found.best
        yield f"the best mixture, {JOIN.join(experts)}: {over:+.4f} over that baseline, and it was chosen by this score"
    if not isinstance(found.cost, Absent):
        yield f"a mixture's training takes {found.cost:.1f} times the CPU seconds of its best expert's; the median"
    yield "these intervals are of other mixtures; the luck of the baselines' own trainings is not in them"
    yield "baselines had as many epochs, not as many seconds: `python -m benchmarks experts` has the other controls"


def _pairs_head(found: ExpertsStudy) -> str:
    head = "effects of pairs beyond those of their two families"
    if isinstance(found.pairs, Absent):
        return f"{head}:"
    return f"{head}: {found.clear} of {len(found.pairs)} clear of 0, by chance {0.05 * len(found.pairs):.1f} would be:"


def _effects(found: tuple[Effect, ...] | Absent) -> Iterator[str]:
    if isinstance(found, Absent):
        yield f"    not computed: {found.why}"
        return
    cut = len(found) > 2 * _SHOWN + 7  # all families of the built-in baselines are shown
    for place, one in enumerate(found):
        if cut and _SHOWN <= place < len(found) - _SHOWN:
            if place == _SHOWN:
                yield f"    ... {len(found) - 2 * _SHOWN} more (--json has all)"
            continue
        yield f"    {_gain(one.effect)}  {JOIN.join(one.experts)} (n = {one.n})"


def _foreseen(found: Foreseen | Absent) -> Iterator[str]:
    if isinstance(found, Absent):
        yield f"foreseen: not computed: {found.why}"
        return
    yield "foreseen: each mixture's score from all others, by its families and its experts' scores"
    yield f"    rank correlation {found.rho:+.2f}; of its experts' mean score alone {found.alone:+.2f}"
    yield f"    the worst quarter by it ({found.worst} mixtures) holds {found.top} of the best tenth"


def _gates(gates: Sequence[GateUse]) -> Iterator[str]:
    if not gates:
        yield "use of the gate: a run keeps no weights, so it is not known; `runs export` writes some for --exported"
        return
    yield "use of the gate, as each network noted it over the last batches of its training (mean share; largest for):"
    for gate in gates:
        told = ", ".join(f"{name} {mean:.2f} ({largest:.0%})" for name, mean, largest in gate.experts)
        yield f"    {gate.network}: {told}"


def _gain(one: Estimate | Absent) -> str:
    return f"not computed: {one.why}" if isinstance(one, Absent) else f"{one:+.4f}"
