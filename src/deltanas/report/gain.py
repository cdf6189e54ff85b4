"""What one network gained over another, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

from deltanas.gains import Compared
from deltanas.intervals import Estimate


@dataclass(frozen=True, slots=True)
class Gain:
    """What a network gained over another, both scored on the same images.

    Attributes:
        over, name: identity and short name of the other. score: its own.
        gain, low, high: difference of the scores, positive where the first is better, with its 95 % interval. The
            interval knows the chance in the choice of images; neither that of the training nor that of picking the
            best.
        paired: the interval is over the differences of the images' scores (`intervals.paired`). Where these are not
            known of both networks it is the wider one of two independent scores (`intervals.difference`).
        seeds: the difference with its 95 % interval for other seeds, by repeated trainings. None where no program was
            trained repeatedly.
    """

    over: str
    name: str
    score: float
    gain: float
    low: float
    high: float
    paired: bool
    seeds: Estimate | None


def told(over: str, name: str, score: float, found: Compared) -> Gain:
    gained = found.gain
    return Gain(over, name, score, gained.value, gained.low, gained.high, found.paired, found.seeds)
