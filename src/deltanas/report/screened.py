"""How well a run's screen ranked what it let through, by cycle."""

from __future__ import annotations

from dataclasses import dataclass

from deltanas.foretold import foretold, told_rho
from deltanas.intervals import Estimate
from deltanas.report.reading import AbsentError, Reading


@dataclass(frozen=True, slots=True)
class Ranked:
    """Rank correlation of the gains that were foretold with the measured ones, with its 95 % interval.

    n: number of candidates. A rho is None where there are too few. on: whether the screen went on after it.
    """

    rho: float | None
    low: float | None
    high: float | None
    n: int
    on: bool

    @property
    def told(self) -> str:
        if self.rho is None or self.low is None or self.high is None:
            return told_rho(None, self.n)
        return told_rho(Estimate(self.rho, self.low, self.high), self.n)


@dataclass(frozen=True, slots=True)
class Cycle(Ranked):
    """That of one cycle alone."""

    cycle: int = 0


@dataclass(frozen=True, slots=True)
class Screened(Ranked):
    """That of all cycles, each ranked by itself."""

    cycles: tuple[Cycle, ...] = ()


def screened(reading: Reading) -> Screened | None:
    """None where nothing was foretold."""
    found = foretold(reading.view.candidates, reading.metric)
    if not found:
        return None
    cycles = tuple(Cycle(*_parts(one.rho), one.n, one.on, one.cycle) for one in found)
    return Screened(*_parts(found[-1].pooled), found[-1].total, found[-1].on, cycles)


def _parts(rho: Estimate | None) -> tuple[float | None, float | None, float | None]:
    return (None, None, None) if rho is None else (rho.value, rho.low, rho.high)


def screen_card(found: Screened | None) -> dict[str, object]:
    if found is None:
        raise AbsentError("No gain was foretold.")
    return {"screen": found}
