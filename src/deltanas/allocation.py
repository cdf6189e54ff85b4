"""Who is trained, how long and how often: rungs of lengths, and repeats where they may change the choice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf, sqrt
from statistics import NormalDist, fmean, variance

from deltanas.journal import Journal, Noise
from deltanas.program import Failed, Trained
from deltanas.records import Candidate

BATCH = 4
"""So many trainings are given out at a time; a few workers are kept busy, and the next ones know how these ended."""
CERTAIN = 2.5
"""Number of standard errors below its bar at which a candidate is not trained again."""
CHOSEN = 0.25
"""Worth of knowing better what is chosen, beside choosing right. 0.1 and 0.6 did as well in simulations; 0 did not."""
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Due:
    """Trainings that are to be made now, one of each candidate.

    Attributes:
        candidates: in the order of the journal.
        epochs: length of the training; None: the run's one length.
        repeat: number of trainings of this length that each of them has. promoted: it is not the first length.
    """

    candidates: list[Candidate]
    epochs: int | None
    repeat: int
    promoted: bool


@dataclass(frozen=True, slots=True)
class Allocation:
    """How often candidates are trained, and for how long.

    Attributes:
        each: trainings of a candidate at each length; a baseline has two at least where there is a budget, as they tell
            the noise.
        budget: further trainings in each cycle, at most.
        top: number of best candidates of the run that the choice serves.
        rungs: lengths of trainings, in ascending numbers of epochs; none: the run has one length.
        share: of the candidates of a cycle that were trained at one rung, the share that goes on to the next one.
        lasting: share of a gain after a short training that is counted on after a longer one.

    **Rungs** (successive halving, K. Jamieson, A. Talwalkar (2016), AISTATS). Baselines are trained at every rung. A
    cycle is trained at the first rung; at each next one the candidates are trained that are expected to stand best at
    the top, by the level of their parent there and a share (`lasting`) of what they gained over it so far. So a short
    training ranks edits of a parent, and parents are ranked by their longest training alone.

    **Repeats** are of the longest training. A candidate is chosen if it beats its parent and is among the best `top` of
    the baselines and of all that beat theirs; its bar is the higher of the two. With z the distance of a mean above its
    bar in standard errors s, by the noise pooled over all programs, the budget goes to the candidates of the cycle with
    the largest

        s (phi(z) - |z| Phi(-|z|) + CHOSEN Phi(z)).

    The first two terms are the expected linear loss of standing on the wrong side (S. E. Chick, K. Inoue (2001),
    Operations Research 49:732-743), where the bar between the best and the rest is midway between the means of rank
    `top` and `top` + 1 (C.-H. Chen, D. He, M. Fu, L. H. Lee (2008), INFORMS Journal on Computing 20:579-595). The last
    one is our own: what is chosen is a parent and the bar of its offspring, so its luck is passed on.
    Candidates of earlier cycles are settled: they have a rank and get no training.

    All of it is worked out anew from the journal, training by training, so that a resumed run gives out the same.
    """

    each: int = 1
    budget: int = 0
    top: int = 3
    rungs: tuple[int, ...] = ()
    share: float = 0.25
    lasting: float = 0.5

    def due(self, journal: Journal, cycle: int) -> Due | None:
        """The candidates of the cycle to be trained once more now, all equally long and often; None: it is done."""
        rows = [c for c in journal.of_cycle(cycle) if c.program and (c.trainings or c.outcome is None)]
        each, earlier = self._each(cycle), journal.before(cycle)
        for place, rung in enumerate(self._lengths):
            if place and cycle:
                rows = self._promoted(rows, self.rungs[place - 1], earlier)
            if wanted := [c for c in rows if c.outcome is None and not _failed(c) and len(_made(c, rung)) < each]:
                return self._evenly(wanted, rung)
        if self.budget and cycle and (wanted := self._from_budget(rows, earlier)):
            return self._evenly(wanted, self._lengths[-1])
        return None

    def last(self, candidate: Candidate) -> bool:
        """Is its latest training known to be its last one, before the others of its cycle have ended?"""
        spared = not self.budget or candidate.cycle == 0
        longest = len(_made(candidate, self._lengths[-1]))
        return _failed(candidate) or (spared and longest == self._each(candidate.cycle))

    def sizes(self, candidates: int) -> list[int]:
        """How many of a cycle's candidates are trained at each length, at most."""
        sizes = [candidates]
        for _ in self.rungs[1:]:
            sizes.append(ceil(self.share * sizes[-1]))
        return sizes

    @property
    def _lengths(self) -> tuple[int | None, ...]:
        return self.rungs or (None,)

    def _each(self, cycle: int) -> int:
        return max(2, self.each) if self.budget and cycle == 0 else self.each

    def _evenly(self, wanted: Sequence[Candidate], rung: int | None) -> Due:
        """Those with the fewest trainings of this length: they get one with the same seed."""
        counts = [len(_made(c, rung)) for c in wanted]
        fewest = [c for c, count in zip(wanted, counts, strict=True) if count == min(counts)]
        return Due(fewest, rung, min(counts), rung != self._lengths[0])

    def _promoted(self, rows: Sequence[Candidate], rung: int, earlier: Journal) -> list[Candidate]:
        """Of those that were to be trained at a rung, the ones that go on; one that failed there does not."""
        known = [(c, scores) for c in rows if (scores := _scores(c, self.each, rung)) and len(scores) == self.each]
        best = sorted(known, key=lambda one: -self._promise(one[0], fmean(one[1]), rung, earlier))
        places = {(c.cycle, c.index) for c, _ in best[: ceil(self.share * len(rows))]}
        return [c for c in rows if (c.cycle, c.index) in places]

    def _promise(self, candidate: Candidate, score: float, rung: int, earlier: Journal) -> float:
        """How high it is expected to stand after the longest training, by its score after a shorter one."""
        parent = earlier.of(candidate.parent or "")
        before = parent.at(rung) if parent else None
        if before is None or before.score is None:
            return -inf
        return _height(earlier, parent) + self.lasting * earlier.metric.over(score, before.score)

    def _from_budget(self, rows: Sequence[Candidate], earlier: Journal) -> list[Candidate]:
        """Give the budget out from its beginning; the first trainings that the journal does not hold are due."""
        counts = dict.fromkeys(range(len(rows)), self.each)
        spent = 0
        while spent < self.budget:
            batch = self._next(rows, earlier, counts)[: min(BATCH, self.budget - spent)]
            due = [rows[place] for place in batch if len(_made(rows[place], self._lengths[-1])) == counts[place]]
            if due or not batch:
                return due
            for place in batch:
                counts[place] += 1
            spent += len(batch)
        return []

    def _next(self, rows: Sequence[Candidate], earlier: Journal, counts: Mapping[int, int]) -> list[int]:
        """Places of the candidates that may be chosen, by what a training of them is worth."""
        rung = self._lengths[-1]
        known = {place: _scores(rows[place], count, rung) for place, count in counts.items()}
        known = {place: scores for place, scores in known.items() if len(scores) == counts[place]}  # none has failed
        means = {place: -earlier.metric.key(fmean(scores)) for place, scores in known.items()}
        bars = self._bars(rows, means, earlier)
        noise = _noise(known.values(), _grain(rows, rung), earlier.noise)
        errors = {place: noise / sqrt(len(scores)) for place, scores in known.items()}
        above = {place: (mean - bars[place]) / errors[place] for place, mean in means.items()}
        worth = {place: errors[place] * _worth(z) for place, z in above.items() if -CERTAIN < z < inf}
        return sorted(worth, key=lambda place: (-worth[place], place))

    def _bars(self, rows: Sequence[Candidate], means: Mapping[int, float], earlier: Journal) -> dict[int, float]:
        """What each candidate of the cycle must exceed to be chosen; minus infinity where nothing stands against it."""
        parents = {place: _height(earlier, earlier.of(rows[place].parent or "")) for place in means}
        rivals = [_height(earlier, rival) for rival in earlier.parents[: self.top + 1]]
        ranked = sorted([*rivals, *(mean for place, mean in means.items() if mean > parents[place])], reverse=True)
        cut = fmean(ranked[self.top - 1 : self.top + 1]) if 0 < self.top < len(ranked) else -inf
        return {place: max(cut, parent) for place, parent in parents.items()}


ONCE = Allocation()


def _height(journal: Journal, candidate: Candidate | None) -> float:
    """The score, or its negative where the lower one is better; minus infinity where there is none."""
    score = candidate.score if candidate else None
    return -inf if score is None else -journal.metric.key(score)


def _made(candidate: Candidate, rung: int | None) -> list[Trained | Failed]:
    """Its trainings of a length; all of them where the run has one length."""
    return [each for each in candidate.trainings if rung in (None, each.epochs)]


def _failed(candidate: Candidate) -> bool:
    return any(isinstance(each, Failed) for each in candidate.trainings)


def _scores(candidate: Candidate, count: int, rung: int | None) -> list[float]:
    """Scores of those of its first `count` trainings of a length that ended well."""
    return [each.score for each in _made(candidate, rung)[:count] if isinstance(each, Trained)]


def _noise(groups: Iterable[Sequence[float]], images: float, earlier: Noise) -> float:
    """Standard deviation of one training, pooled over the programs; at least the step of one image."""
    squares, degrees = earlier.squares, earlier.degrees
    for scores in groups:
        if len(scores) > 1:
            squares += variance(scores) * (len(scores) - 1)
            degrees += len(scores) - 1
    least = 1 / min(images, earlier.images)
    return max(least, sqrt(squares / degrees)) if degrees else least


def _grain(candidates: Sequence[Candidate], rung: int | None) -> float:
    """Least number of evaluation images of a training."""
    made = [each for c in candidates for each in _made(c, rung)]
    return min((each.n for each in made if isinstance(each, Trained)), default=inf)


def _worth(z: float) -> float:
    """Value of a training, in standard errors of the mean. z: how many of them the mean lies above its bar."""
    return _NORMAL.pdf(z) - abs(z) * _NORMAL.cdf(-abs(z)) + CHOSEN * _NORMAL.cdf(z)
