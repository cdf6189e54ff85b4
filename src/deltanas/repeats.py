"""Which candidates are trained once more: a number for each, and a budget that goes where it may change the choice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, sqrt
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
class Repeats:
    """How often candidates are trained.

    Attributes:
        each: trainings of every candidate; a baseline has two at least where there is a budget, as they tell the noise.
        budget: further trainings in each cycle, at most.
        top: number of best candidates of the run that the choice serves.

    A candidate is chosen if it beats its parent and is among the best `top` of the baselines and of all that beat
    theirs; its bar is the higher of the two. With z the distance of a mean above its bar in standard errors s, by the
    noise pooled over all programs, the budget goes to the candidates of the cycle with the largest

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

    def due(self, journal: Journal, cycle: int) -> list[Candidate]:
        """Candidates of the cycle to be trained once more now, all with equally many trainings; none: it is done."""
        rows = [c for c in journal.of_cycle(cycle) if c.program and (c.trainings or c.outcome is None)]
        each = self._each(cycle)
        wanted = [c for c in rows if c.outcome is None and len(c.trainings) < each]
        if not wanted and self.budget and cycle:
            wanted = self._from_budget(rows, journal.before(cycle))
        least = min((len(c.trainings) for c in wanted), default=0)
        return [c for c in wanted if len(c.trainings) == least]

    def last(self, candidate: Candidate) -> bool:
        """Is its latest training known to be its last one, before the others of its cycle have ended?"""
        spared = not self.budget or candidate.cycle == 0
        failed = isinstance(candidate.trainings[-1], Failed)
        return failed or (spared and len(candidate.trainings) == self._each(candidate.cycle))

    def _each(self, cycle: int) -> int:
        return max(2, self.each) if self.budget and cycle == 0 else self.each

    def _from_budget(self, rows: Sequence[Candidate], earlier: Journal) -> list[Candidate]:
        """Give the budget out from its beginning; the first trainings that the journal does not hold are due."""
        counts = dict.fromkeys(range(len(rows)), self.each)
        spent = 0
        while spent < self.budget:
            batch = self._next(rows, earlier, counts)[: min(BATCH, self.budget - spent)]
            due = [rows[place] for place in batch if len(rows[place].trainings) == counts[place]]
            if due or not batch:
                return due
            for place in batch:
                counts[place] += 1
            spent += len(batch)
        return []

    def _next(self, rows: Sequence[Candidate], earlier: Journal, counts: Mapping[int, int]) -> list[int]:
        """Places of the candidates that may be chosen, by what a training of them is worth."""
        known = {place: _scores(rows[place], count) for place, count in counts.items()}
        known = {place: scores for place, scores in known.items() if len(scores) == counts[place]}  # none has failed
        means = {place: -earlier.metric.key(fmean(scores)) for place, scores in known.items()}
        bars = self._bars(rows, means, earlier)
        noise = _noise(known.values(), _grain(rows), earlier.noise)
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


ONCE = Repeats()


def _height(journal: Journal, candidate: Candidate | None) -> float:
    """The score, or its negative where the lower one is better; minus infinity where there is none."""
    return -inf if candidate is None else -journal.rank(candidate)[0]


def _scores(candidate: Candidate, count: int) -> list[float]:
    """Scores of those of its first `count` trainings that ended well."""
    return [each.score for each in candidate.trainings[:count] if isinstance(each, Trained)]


def _noise(groups: Iterable[Sequence[float]], images: float, earlier: Noise) -> float:
    """Standard deviation of one training, pooled over the programs; at least the step of one image."""
    squares, degrees = earlier.squares, earlier.degrees
    for scores in groups:
        if len(scores) > 1:
            squares += variance(scores) * (len(scores) - 1)
            degrees += len(scores) - 1
    least = 1 / min(images, earlier.images)
    return max(least, sqrt(squares / degrees)) if degrees else least


def _grain(candidates: Sequence[Candidate]) -> float:
    """Least number of evaluation images of a training."""
    return min((each.n for c in candidates for each in c.trainings if isinstance(each, Trained)), default=inf)


def _worth(z: float) -> float:
    """Value of a training, in standard errors of the mean. z: how many of them the mean lies above its bar."""
    return _NORMAL.pdf(z) - abs(z) * _NORMAL.cdf(-abs(z)) + CHOSEN * _NORMAL.cdf(z)
