"""What `python -m benchmarks rivals` says of the arms: each by its searches, and search by search less the others."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from math import sqrt
from statistics import fmean, median, variance

from benchmarks.compare import Interval, mean
from benchmarks.table import Row

HANDED = 3
"""Networks that a search hands over."""


def compared(rows: Sequence[Row], tests: Mapping[tuple[str, int], Sequence[float]]) -> dict[str, object]:
    """By arm, with what it hands over; and its difference to every other arm, search by search."""
    means = {(program, epochs): fmean(scores) for (program, epochs), scores in tests.items()}
    scores: defaultdict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in sorted(rows, key=lambda row: int(str(row["place"]))):
        lengths = [epochs for program, epochs in means if program == row["program"]]
        if lengths:
            epochs = max(lengths) if row["arm"] == "longer" else min(lengths)
            scores[str(row["arm"])][int(str(row["seed"]))].append(means[str(row["program"]), epochs])
    champions = {row["seed"]: row for row in rows if row["arm"] == "none" and row["place"] == 0}
    told: dict[str, object] = {}
    for arm, by_seed in scores.items():
        mine = [row for row in rows if row["arm"] == arm]
        entry: dict[str, object] = {
            "searches": len(by_seed),
            "transfer": mean([fmean(found) for found in by_seed.values()]),
            "first": mean([found[0] for found in by_seed.values()]),
            "by_search": {seed: round(fmean(found), 4) for seed, found in sorted(by_seed.items())},
            "trained": median(int(str(row["trained"])) for row in mine),
            "spent": median(float(str(row["spent"])) for row in mine),
            "spent_on_baselines": median(float(str(row["spent_on_baselines"])) for row in mine),
        }
        for key in ("flops", "params"):
            ratios = [float(str(row[key])) / float(str(champions[row["seed"]][key])) for row in mine
                      if row["seed"] in champions and row[key]]  # fmt: skip
            entry[f"{key}_ratio"] = round(median(ratios), 2) if ratios else None
        for other in (name for name in scores if name != arm):
            both = [seed for seed in by_seed if seed in scores[other]]
            for name, figure, places in (("over", fmean, HANDED), ("first_over", lambda found: found[0], 1)):
                gains = [figure(by_seed[s]) - figure(scores[other][s]) for s in both]
                luck = shared_luck([row for row in rows if row["seed"] in both and int(str(row["place"])) < places],
                                   {arm: 1.0, other: -1.0}, tests)  # fmt: skip
                entry[f"{name}_{other}"] = _with_luck(mean(gains), luck)
        told[arm] = entry
    return told


def shared_luck(
    rows: Sequence[Row], signs: Mapping[str, float], tests: Mapping[tuple[str, int], Sequence[float]]
) -> float:
    """What searches that hand over the same programs share of the luck of their final trainings: a variance.

    It is the part of the variance of a difference of two arms' means that does not show from search to search. signs:
    of the two arms. 0 where nothing was tested twice.
    """
    sums = [(len(scores) - 1, variance(scores)) for scores in tests.values() if len(scores) > 1]
    if not sums:
        return 0.0
    one = sum(count * square for count, square in sums) / sum(count for count, _ in sums)
    repeats: defaultdict[str, int] = defaultdict(int)
    for (program, _), scores in tests.items():
        repeats[program] = max(repeats[program], len(scores))
    places = Counter((row["arm"], row["seed"]) for row in rows)
    seeds = len({row["seed"] for row in rows})
    weights: defaultdict[str, defaultdict[object, float]] = defaultdict(lambda: defaultdict(float))
    for row in rows:
        if sign := signs.get(str(row["arm"]), 0.0):
            weights[str(row["program"])][row["seed"]] += sign / (seeds * places[row["arm"], row["seed"]])
    return sum(
        max(0.0, sum(held.values()) ** 2 - sum(each**2 for each in held.values())) * one / max(1, repeats[program])
        for program, held in weights.items()
    )


def _with_luck(found: Interval, luck: float) -> Interval:
    """The interval with a variance added to that of the mean."""
    if "low" not in found:
        return found
    half = sqrt(((found["high"] - found["low"]) / 2) ** 2 + 1.96**2 * luck)
    return {**found, "low": round(found["value"] - half, 4), "high": round(found["value"] + half, 4)}
