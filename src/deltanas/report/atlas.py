"""The novelty map: programs in two dimensions, the nearer the more of their text they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deltanas.journal import families
from deltanas.program import Program, Refused
from deltanas.program.shingles import Hashes, fingerprint
from deltanas.records import Candidate
from deltanas.report.reading import AbsentError, Reading, label

HEIGHT = 440
"""Height of the map in pixels."""
MOST = 1_500
"""Programs on the map: more marks than that hide one another."""
LANDMARKS = 300
_EDGE = 4.0
_LETTER, _LINE = 0.75, 15
"""What a letter of a label takes across, in percent of a wide map, and a line down, in pixels."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Spot:
    """A program's place: x in percent, y in pixels. kind: "base", "elite" (beat its parent), "trained" or "other".

    left: its label stands to the left of it.
    """

    slot: str
    x: float
    y: float
    kind: str
    title: str
    label: str = ""
    left: bool = False


def atlas(reading: Reading) -> dict[str, object]:
    shown = _shown(reading)
    if len(shown) < 3:
        raise AbsentError(f"A map needs three programs, and the run has {len(shown)}.")
    places, kept = mapped([fingerprint(program) for _, program in shown])
    elites = {id(elite) for elite in reading.elites()}
    roots = families(reading.view.candidates)
    across, up = (_scaled(column) for column in places.T)
    spots = []
    for (candidate, program), x, y in zip(shown, across, up, strict=True):
        known = reading.value(candidate) is not None
        kind = "base" if candidate.cycle == 0 else "elite" if id(candidate) in elites else "trained"
        family = "" if candidate.cycle == 0 else f", from {' + '.join(map(label, roots[program.id]))}"
        title = f"{label(candidate)}{family}: {reading.told(candidate)}"
        spots.append(
            Spot(f"{candidate.cycle}.{candidate.index}", x, HEIGHT * (1 - y / 100), kind if known else "other", title)
        )
    order = ("other", "trained", "elite", "base")
    return {
        "spots": sorted(_labelled(spots, shown), key=lambda spot: order.index(spot.kind)),
        "height": HEIGHT,
        "kept": kept,
        "shown": len(shown),
        "left_out": sum(1 for _ in _programs(reading)) - len(shown),
        "kinds": [kind for kind in reversed(order) if any(spot.kind == kind for spot in spots)],
    }


def mapped(programs: Sequence[Hashes]) -> tuple[Floats, float]:
    """Places in the plane, [n, 2], and the share of all squared distance that they show.

    Principal coordinates (J. C. Gower, 1966, Biometrika 53:325-338) of d^2 = 1 - J with the Jaccard index J, which are
    Euclidean; exact up to `LANDMARKS` programs, above it the landmarks' coordinates with the others put among them
    (V. de Silva and J. B. Tenenbaum, 2004). Equal input gives equal places.
    """
    chosen = np.unique(np.linspace(0, len(programs) - 1, min(len(programs), LANDMARKS)).round().astype(int))
    alike = _jaccard(programs, [programs[place] for place in chosen])
    among = alike[chosen]
    centred = (among - among.mean(0) - among.mean(1)[:, None] + among.mean()) / 2
    values, vectors = np.linalg.eigh(centred)
    values, vectors = values[::-1][:2], vectors[:, ::-1][:, :2]
    if values[0] <= 1e-12:
        return np.zeros((len(programs), 2)), 0.0
    # An eigenvector's sign is any; the largest entry is made positive.
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(0), [0, 1]])
    rest = (alike - alike.mean(1)[:, None] - among.mean(0) + among.mean()) / 2
    places: Floats = rest @ vectors / np.sqrt(np.maximum(values, 1e-12))
    return places, float(np.maximum(values, 0).sum() / np.trace(centred))


def _jaccard(programs: Sequence[Hashes], landmarks: Sequence[Hashes]) -> Floats:
    """The index of each program with each landmark, [n, k]."""
    from scipy.sparse import csr_matrix  # takes longer to load than other commands run

    _, column = np.unique(np.concatenate([*programs, *landmarks]), return_inverse=True)
    sizes = np.array([len(each) for each in (*programs, *landmarks)])
    rows = csr_matrix((np.ones(len(column), np.float32), column, np.concatenate([[0], np.cumsum(sizes)])))
    common = (rows[: len(programs)] @ rows[len(programs) :].T).toarray().astype(float)
    index: Floats = common / (sizes[: len(programs), None] + sizes[None, len(programs) :] - common)
    return index


def _programs(reading: Reading) -> list[tuple[Candidate, Program]]:
    """The programs that passed the gates, each once."""
    first: dict[str, tuple[Candidate, Program]] = {}
    for candidate in reading.view.candidates:
        if candidate.program is not None and not isinstance(candidate.outcome, Refused):
            first.setdefault(candidate.program.id, (candidate, candidate.program))
    return list(first.values())


def _shown(reading: Reading) -> list[tuple[Candidate, Program]]:
    """All of them, or the baselines, the best third and an even choice of the others."""
    found = _programs(reading)
    if len(found) <= MOST:
        return found
    best = {id(each[0]) for each in sorted(found, key=lambda each: reading.journal.rank(each[0]))[: MOST // 3]}
    first = [each for each in found if each[0].cycle == 0 or id(each[0]) in best]
    rest = [each for each in found if each[0].cycle and id(each[0]) not in best]
    even = np.linspace(0, len(rest) - 1, max(0, MOST - len(first))).round().astype(int)
    return [*first, *(rest[place] for place in even)]


def _scaled(values: Floats) -> Floats:
    """To percent, with room at the edges."""
    low, span = values.min(), np.ptp(values)
    return _EDGE + (100 - 2 * _EDGE) * ((values - low) / span if span > 0 else np.full(len(values), 0.5))


def _labelled(spots: Sequence[Spot], shown: Sequence[tuple[Candidate, Program]]) -> list[Spot]:
    """The baselines get their names, to the right or else to the left, where no other name stands."""
    taken: list[tuple[float, float, float]] = []
    result = []
    for spot, (candidate, _) in zip(spots, shown, strict=True):
        name = label(candidate) if candidate.cycle == 0 else ""
        length = 1 + _LETTER * len(name)
        left = spot.x + length > 100
        start, end = (spot.x - length, spot.x) if left else (spot.x, spot.x + length)
        if name and all(abs(y - spot.y) > _LINE or high < start or low > end for low, y, high in taken):
            taken.append((start, spot.y, end))
            result.append(replace(spot, label=name, left=left))
        else:
            result.append(spot)
    return result
