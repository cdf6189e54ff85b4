"""Does a cheap score rank programs as their target would? What variance components predict, and what is measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import ceil, inf

import numpy as np
from numpy.typing import ArrayLike

from deltanas.errors import DataError
from deltanas.intervals import Estimate
from deltanas.study.components import Components, Groups, components_of, grouped
from deltanas.study.estimate import Absent, Floats, LackingError, column, tried
from deltanas.study.forms import TOP, Form, pearson_of, repeats_for, spearman_of, truncated
from deltanas.study.joint import attenuated
from deltanas.study.ranks import averaged, coefficient, fisher, spearman
from deltanas.wording import counted

TRUSTED, USELESS = 0.8, 0.5
"""Spearman from which on a ranking is called trusted, and under which it is not."""
_DRAWS = 16
_MEASURED = (
    "The ranking can be trusted",
    "The ranking is a coarse guide: it tells good from bad, not good from better",
    "The ranking can't be trusted",
)
_PREDICTED = (
    "Other seeds would rank alike; whether the target would is not known",
    "Other seeds would rank roughly alike; whether the target would is not known",
    "The ranking can't be trusted: other seeds would rank otherwise",
)


@dataclass(frozen=True, slots=True)
class Truncation:
    """The rank correlation among the best `share` of the programs, chosen by the score itself.

    Attributes:
        predicted: from the closed forms, taking what is left as normal. measured: mean over draws of one score a
            program, with the interval of a single draw, which is too wide rather than too narrow.
    """

    share: float
    predicted: Estimate | Absent
    measured: Estimate | Absent


@dataclass(frozen=True, slots=True)
class Reliability:
    """The sixth diagnostic. `snr`, the rhos and `repeats_needed` are about the mean of `repeats` trainings.

    Attributes:
        programs, trainings: with a score. pairs: programs with a score and a target.
        var_arch, var_noise: of one training, in squared units of the score.
        form: what the predicted rhos assume of the target. "noiseless target": it has one value a program, or there is
            none and the program's own level is meant. "both noisy": it has repeats, whose own noise is used.
        other_form, other_pearson, other_spearman: the other closed form, beside.
        rho_spearman_paired: as measured, but score and target of the same row, where the target has repeats: what a
            training's two scores share beyond the program (its seed, its settings) counts as agreement here.
        repeats_needed: trainings a program, and targets where these have repeats, for a predicted rho_S of `TRUSTED`;
            None if no number gives it, or what it takes is not known.
    """

    repeats: int
    programs: int
    trainings: int
    pairs: int
    var_arch: Estimate | Absent
    var_noise: Estimate | Absent
    snr: Estimate | Absent
    form: Form
    rho_pearson: Estimate | Absent
    rho_spearman_predicted: Estimate | Absent
    rho_spearman_measured: Estimate | Absent
    rho_spearman_paired: Estimate | Absent
    other_form: Form
    other_pearson: Estimate | Absent
    other_spearman: Estimate | Absent
    truncation: Truncation
    repeats_needed: int | None
    verdict: str


def reliability(
    program: Sequence[str], proxy: ArrayLike, target: ArrayLike | None = None, *, repeats: int = 1
) -> Reliability:
    """Variance components, SNR, predicted and measured rank correlation between one training's score and the target.

    Args:
        program: name of the program of each training. proxy: its cheap score; NaN is left out.
        target: its score after the long training, NaN where it had none. A program's rows may all hold the same value
            (a target without repeats, taken as noiseless) or different ones (each one long training).
        repeats: R, the number of trainings whose mean is the score.

    Raises:
        DataError: columns that don't fit together, or hold something else than numbers.
    """
    if repeats < 1:
        raise DataError(f"{repeats} repeats", "a score is the mean of one training or more")
    scores = grouped(program, proxy, "proxy")
    targets = None if target is None else grouped(program, target, "target")
    noisy = targets is not None and _repeated(targets)
    form: Form = "both noisy" if noisy else "noiseless target"
    other: Form = "noiseless target" if noisy else "both noisy"
    parts = tried(lambda: components_of(scores))
    snr = parts if isinstance(parts, Absent) else parts.snr
    theirs = tried(lambda: components_of(targets)) if noisy and targets else None
    rho = _attenuated(scores, targets, parts, theirs, repeats) if theirs and targets else _closed(snr, repeats, form)
    pairs = _pairs(scores, targets, noisy, repeats)
    measured = pairs if isinstance(pairs, Absent) else tried(lambda: spearman(*pairs))
    rows = column(target, "target") if noisy and target is not None else None
    paired = _paired(program, column(proxy, "proxy"), rows)
    predicted = _spearman(rho)
    beside = _closed(snr, repeats, other)
    needed = _needed(snr, theirs.snr if isinstance(theirs, Components) else theirs)
    return Reliability(
        repeats=repeats,
        programs=len(scores.names),
        trainings=len(scores.score),
        pairs=0 if isinstance(pairs, Absent) else len(pairs[0].names),
        var_arch=parts if isinstance(parts, Absent) else parts.var_arch,
        var_noise=parts if isinstance(parts, Absent) else parts.var_noise,
        snr=_mapped(snr, lambda ratio: repeats * ratio),
        form=form,
        rho_pearson=rho,
        rho_spearman_predicted=predicted,
        rho_spearman_measured=measured,
        rho_spearman_paired=paired,
        other_form=other,
        other_pearson=beside,
        other_spearman=_spearman(beside),
        truncation=Truncation(TOP, _spearman(_mapped(rho, truncated)), _best_measured(pairs)),
        repeats_needed=needed,
        verdict=verdict(predicted, measured, needed if repeats == 1 else None) + _own(paired, measured),
    )


def unknown(why: str, repeats: int = 1) -> Reliability:
    """Nothing is known, for one reason."""
    absent = Absent(why)
    return Reliability(
        repeats=repeats,
        programs=0,
        trainings=0,
        pairs=0,
        var_arch=absent,
        var_noise=absent,
        snr=absent,
        form="noiseless target",
        rho_pearson=absent,
        rho_spearman_predicted=absent,
        rho_spearman_measured=absent,
        rho_spearman_paired=absent,
        other_form="both noisy",
        other_pearson=absent,
        other_spearman=absent,
        truncation=Truncation(TOP, absent, absent),
        repeats_needed=None,
        verdict=f"Not known: {why}.",
    )


def _mapped(estimate: Estimate | Absent, rising: Callable[[float], float]) -> Estimate | Absent:
    """An exact interval stays exact under a rising function."""
    if isinstance(estimate, Absent):
        return estimate
    return Estimate(rising(estimate.value), rising(estimate.low), rising(estimate.high))


def _spearman(rho: Estimate | Absent) -> Estimate | Absent:
    return _mapped(rho, spearman_of)


def _closed(snr: Estimate | Absent, repeats: int, form: Form) -> Estimate | Absent:
    return _mapped(snr, lambda ratio: pearson_of(repeats * ratio, form))


def _repeated(groups: Groups) -> bool:
    """Does a program have two different values? The same value on each of its rows is one value, told often."""
    if not groups.names:
        return False
    starts = np.cumsum(groups.sizes) - groups.sizes
    return bool((np.maximum.reduceat(groups.score, starts) > np.minimum.reduceat(groups.score, starts)).any())


def _attenuated(
    scores: Groups, targets: Groups, parts: Components | Absent, other: Components | Absent, repeats: int
) -> Estimate | Absent:
    if isinstance(parts, Absent):
        return parts
    if isinstance(other, Absent):
        return other
    mine, theirs = _common(scores, targets)
    alike = 0.0
    if len(mine.names) > 2 and mine.means.std() > 0 and theirs.means.std() > 0:
        alike = float(np.corrcoef(mine.means, theirs.means)[0, 1])
    return attenuated((scores, parts), (targets, other), alike, repeats)


def _common(a: Groups, b: Groups) -> tuple[Groups, Groups]:
    both = frozenset(a.names) & frozenset(b.names)
    return a.only(both), b.only(both)


def _pairs(scores: Groups, targets: Groups | None, noisy: bool, repeats: int) -> tuple[Groups, Groups] | Absent:
    if targets is None or not targets.names:
        return Absent("no target: no program has a long training to compare with")
    if not noisy:
        targets = Groups(targets.names, np.arange(len(targets.names)), targets.means)
    mine, theirs = _common(averaged(scores, repeats), averaged(targets, repeats) if noisy else targets)
    if not mine.names:
        return Absent(f"no program has both a target and {repeats} trainings")
    return mine, theirs


def _paired(program: Sequence[str], proxy: Floats, target: Floats | None) -> Estimate | Absent:
    """Mean over draws of one row a program, with the interval of a single draw."""
    if target is None:
        return Absent("the target has no repeats, so no row's own")
    both = np.where(np.isnan(proxy) | np.isnan(target), np.nan, np.arange(len(proxy)))
    rows = grouped(program, both, "row")
    k = len(rows.names)
    if k < 4:
        hold = counted(k, "program has", "programs have")
        return Absent(f"{hold} a row with both scores: a rank correlation needs four or more")
    rng, found = np.random.default_rng(0), []
    for _ in range(_DRAWS):
        drawn = _drawn(rows, rng).astype(int)
        with suppress(LackingError):
            found.append(coefficient(_single(proxy[drawn]), _single(target[drawn])))
    return fisher(float(np.mean(found)), k) if found else Absent("the programs are all alike")


def _best_measured(pairs: tuple[Groups, Groups] | Absent) -> Estimate | Absent:
    """Mean over draws of one score a program of Spearman's rho among those that it puts first."""
    if isinstance(pairs, Absent):
        return pairs
    scores, targets = pairs
    k = len(scores.names)
    best = round(TOP * k)
    if best < 4:
        return Absent(f"{best} of {k} programs are in the best quarter: a rank correlation needs four or more")
    rng, found = np.random.default_rng(0), []
    for _ in range(_DRAWS):
        mine, theirs = (_drawn(groups, rng) for groups in (scores, targets))
        first = np.argsort(-mine, kind="stable")[:best]
        with suppress(LackingError):
            found.append(coefficient(*(_single(values[first]) for values in (mine, theirs))))
    return fisher(float(np.mean(found)), best) if found else Absent("the programs of the best quarter are all alike")


def _drawn(groups: Groups, rng: np.random.Generator) -> Floats:
    """One score of each program."""
    rows = np.cumsum(groups.sizes) - groups.sizes + rng.integers(groups.sizes)
    return np.asarray(groups.score[rows], float)


def _single(values: Floats) -> Groups:
    return Groups(tuple(map(str, range(len(values)))), np.arange(len(values)), values)


def _needed(snr: Estimate | Absent, targets: Estimate | Absent | None) -> int | None:
    """targets: the SNR of a target, None where it has no noise."""
    if isinstance(snr, Absent) or isinstance(targets, Absent):
        return None
    found = repeats_for(TRUSTED, snr.value, inf if targets is None else targets.value)
    return max(1, ceil(found)) if found < inf else None


def verdict(predicted: Estimate | Absent, measured: Estimate | Absent, needed: int | None = None) -> str:
    """Can the ranking be trusted? In words. Repeats alone can show that it can't, not that it can."""
    if isinstance(measured, Estimate):
        known, words, source = measured, _MEASURED, "measured against the target"
    elif isinstance(predicted, Estimate):
        known, words, source = predicted, _PREDICTED, "predicted from repeats; not measured"
    else:
        return f"Not known: {predicted.why}; {measured.why}."
    if known.low >= TRUSTED:
        said = words[0]
    elif known.high < USELESS:
        said = words[2]
    else:
        said = words[1] if known.low >= USELESS else "Not decided by this data: the interval is too wide"
    figures = f"Spearman {known:.2f}, {source}"
    return f"{said} ({figures}).{_remark(predicted, measured, needed)}"


def _own(paired: Estimate | Absent, measured: Estimate | Absent) -> str:
    if isinstance(paired, Estimate) and isinstance(measured, Estimate) and paired.low > measured.high:
        return (
            f" A training and its own continuation agree better ({paired.value:.2f}): what they share beyond the "
            "program, settings or seed, decides much of the score."
        )
    return ""


def _remark(predicted: Estimate | Absent, measured: Estimate | Absent, needed: int | None) -> str:
    if isinstance(predicted, Estimate) and isinstance(measured, Estimate):
        if predicted.low > measured.high:
            return " Repeats agree better than the target does: the score measures something else, steadily."
        if measured.low > predicted.high:
            return " The target agrees better than repeats allow: the noise of the repeats is not that of the ranking."
    if isinstance(predicted, Estimate) and predicted.high > 0 and predicted.low < TRUSTED and needed and needed > 1:
        return f" The mean of {needed} trainings a program would be needed for a predicted {TRUSTED:g}."
    return ""
