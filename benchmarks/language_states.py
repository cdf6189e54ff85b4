"""Does a language model know more of an edit than its text tells? Its hidden states beside the forecast's features.

    python -m benchmarks language_states --states DIR [--model smollm2] [--minutes 60] [--out FILE.json]

Each family of baselines (with its descendants) is foretold by the others, by the ridge regression of the forecast:

    features   what the forecast takes: the tokens that come and go, the kind
    states     the same and the model's states
    permuted   the same and the model's states, permuted among the edits of each parent (mean of 3 draws)
    random     the same and the states of the same network with random weights
    alone      the model's states alone

States are less the mean of those of the same parent, reduced to 32 principal components, which are fitted to the
families that are learned from. From which layer they are taken (the middle or the last) and how large they stand beside
the features is chosen within these families too, by rho over 4 groups of them.
rho, six and intervals are those of `python -m benchmarks forecast`; differences are paired.
DIR keeps the states: interrupt it at any moment, and the same command goes on. After so many --minutes of passes
through the network it takes what is there: edits drawn evenly over the parents. --model takes what a search takes, as
path:DIR or gguf:PATH. It ends with a JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.linalg import eigh

from benchmarks.forecast import Tables, by_family, estimate
from benchmarks.hidden import DEPTHS, Kept, Reader, collect, key_of, rounds, untrained
from benchmarks.ranking import Floats
from deltanas.errors import UsageError
from deltanas.forecast import Row, rows_of
from deltanas.forecast.ridge import FEWEST, Sums
from deltanas.learn.sources import gains_edits
from deltanas.seams import Expected
from deltanas.wiring.origin import commit_of_checkout

COMPONENTS = 32
GROUPS = 4
SCALES = (0.3, 1.0)
"""Standard deviation of the first component, beside counts of tokens."""
PERMUTATIONS = 3
DIFFERENCES = (
    ("states", "features"),
    ("permuted", "features"),
    ("random", "features"),
    ("alone", "features"),
    ("states", "permuted"),
    ("states", "random"),
)


class Setting(NamedTuple):
    """depth: place in `DEPTHS`."""

    depth: int
    scale: float


SETTINGS = tuple(Setting(depth, scale) for depth in range(len(DEPTHS)) for scale in SCALES)


@dataclass(frozen=True, slots=True, eq=False)
class Stated(Row):
    """A measured edit with its states: [depth, width], less the mean of those of the same parent."""

    states: Floats = field(default_factory=lambda: np.zeros((len(DEPTHS), 0)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--states", type=Path, required=True, help="folder that keeps the states")
    parser.add_argument("--gains", type=Path, default=Path("benchmarks/gains"))
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--minutes", type=float, help="of passes through the network; until all is known if not given")
    parser.add_argument("--out", type=Path, help="write the figures to this file too")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows, states, meta = _read(given)
    begun = time.process_time()
    told = ladder(rows, states)
    told["meta"] = meta | {"ladder_cpu_seconds": round(time.process_time() - begun, 1)}
    text = json.dumps(told, indent=1) + "\n"
    if given.out:
        given.out.write_text(text, "utf-8")
    sys.stdout.write(text)


def _read(given: argparse.Namespace) -> tuple[list[Row], dict[str, Floats], dict[str, Any]]:
    """Edits with all their states, the states by weights ([row, depth, width]), and where both come from."""
    reader = Reader(given.model, given.dtype)
    model, every = reader.model, gains_edits(given.gains)
    lessons = reader.lessons(every)
    networks = {"trained": model.network, "random": untrained(model.network)}
    kept = {name: Kept(given.states / f"{model.digest[:16]}-{given.dtype}-{name}.npz") for name in networks}
    turns = ([one for place in places if (one := lessons[place])] for places in rounds(every))
    collect(model, networks, kept, turns, minutes=given.minutes)
    known: list[tuple[Row, str]] = []
    for edit, lesson in zip(every, lessons, strict=True):
        key = key_of(lesson) if lesson else ""
        if all(key in one.states for one in kept.values()):
            known += [(row, key) for row in rows_of([edit])]
    states = {name: np.array([one.states[key] for _, key in known], np.float64) for name, one in kept.items()}
    meta = {
        "model": given.model,
        "digest": model.digest,
        "dtype": given.dtype,
        "width": int(model.network.config.get_text_config().hidden_size),
        "cpu_seconds": {name: round(one.seconds, 1) for name, one in kept.items()},
        "edits": len(known),
        "of": len(every),
        "not_asked_for": lessons.count(None),
        "families": len({row.family for row, _ in known}),
        "parents": len({row.parent for row, _ in known}),
        "commit": str(commit_of_checkout()[0])[:7],
        "torch": torch.__version__,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, 1 thread",
    }
    return [row for row, _ in known], states, meta


def ladder(rows: Sequence[Row], states: Mapping[str, Floats]) -> dict[str, Any]:
    """states: "trained" and "random", as `_read` gives them. Raises UsageError for too few families."""
    families = sorted({row.family for row in rows})
    if len(families) <= GROUPS:
        raise UsageError(
            f"states of {len(families)} families are known, and {GROUPS + 1} are needed",
            "give more --minutes, and the same --states: what was found is kept there",
        )
    trained, other = (centred(states[name], rows) for name in ("trained", "random"))
    told: dict[str, Any] = {"rungs": {}, "differences": {}}
    tables = {"features": by_family(rows, families, _foretold)[1]}
    parts: dict[str, list[tuple[Floats, bool]]] = {
        "states": [(trained, False)],
        "permuted": [(permuted(trained, rows, seed), False) for seed in range(PERMUTATIONS)],
        "random": [(other, False)],
        "alone": [(trained, True)],
    }
    chosen: dict[str, Counter[str]] = {}
    for name, tried in parts.items():
        fits = [Chosen(alone=alone) for _, alone in tried]
        found = [by_family(stated(rows, table), families, fit)[1] for fit, (table, _) in zip(fits, tried, strict=True)]
        tables[name] = _mean(found)
        chosen[name] = sum((fit.counts for fit in fits), Counter[str]())
        sys.stderr.write(f"{name}: rho {estimate(tables[name]['rho'])}\n")
    for name, one in tables.items():
        told["rungs"][name] = {measure: estimate(one[measure]) for measure in one}
        if name in chosen:
            told["rungs"][name]["settings"] = dict(sorted(chosen[name].items()))
    for first, second in DIFFERENCES:
        pair = tables[first], tables[second]
        told["differences"][f"{first} - {second}"] = {one: estimate(pair[0][one], pair[1][one]) for one in pair[0]}
    rhos = {name: [round(value, 3) for value, _ in one["rho"]] for name, one in tables.items()}
    told["rho_by_family"] = {
        family: {name: rhos[name][place] for name in rhos} for place, family in enumerate(families)
    }
    return told


class Chosen:
    """A `Fit` to features and states whose setting is chosen within the rows that are known.

    counts: how often each setting was chosen.
    """

    def __init__(self, *, alone: bool) -> None:
        self._alone = alone
        self.counts: Counter[str] = Counter()

    def __call__(self, known: Sequence[Stated], asked: Sequence[Stated]) -> list[Expected]:
        group = {name: str(place % GROUPS) for place, name in enumerate(sorted({row.family for row in known}))}
        regrouped = [replace(row, family=group[row.family]) for row in known]
        groups = sorted(set(group.values()))

        def merit(setting: Setting) -> float:
            found = by_family(regrouped, groups, partial(_fitted, setting=setting, alone=self._alone))[1]["rho"]
            return float(np.average([value for value, _ in found], weights=[count for _, count in found]))

        best = max(SETTINGS, key=merit)
        self.counts[f"depth {DEPTHS[best.depth]}, scale {best.scale}"] += 1
        return _fitted(known, asked, best, alone=self._alone)


def _fitted(known: Sequence[Stated], asked: Sequence[Stated], setting: Setting, *, alone: bool) -> list[Expected]:
    learned, others = (np.array([row.states[setting.depth] for row in some]) for some in (known, asked))
    width = learned.shape[1]
    # The states of each parent have mean 0.
    sizes, axes = eigh(learned.T @ learned / len(learned), subset_by_index=[max(0, width - COMPONENTS), width - 1])
    axes *= setting.scale / np.sqrt(max(float(sizes[-1]), 1e-12))
    return _foretold(_merged(known, learned @ axes, alone=alone), _merged(asked, others @ axes, alone=alone))


def _merged(rows: Sequence[Row], components: Floats, *, alone: bool) -> list[Row]:
    names = [f"state:{place}" for place in range(components.shape[1])]
    values = [dict(zip(names, one, strict=True)) for one in components.tolist()]
    pairs = zip(rows, values, strict=True)
    return [_plain(row, value if alone else {**row.features, **value}) for row, value in pairs]


def _plain(row: Row, features: Mapping[str, Any]) -> Row:
    return Row(row.family, row.parent, row.part, features, row.gain, row.noise)


def _foretold(known: Sequence[Row], asked: Sequence[Row]) -> list[Expected]:
    """As `fitted` foretells, in two steps: columns that are known to be dense are added up at once."""
    sums = Sums()
    sums.add(known[:FEWEST])
    sums.add(known[FEWEST:])
    return sums.fitted(0.0).expected([row.features for row in asked])


def stated(rows: Sequence[Row], states: Floats) -> list[Stated]:
    return [
        Stated(row.family, row.parent, row.part, row.features, row.gain, row.noise, table)
        for row, table in zip(rows, states, strict=True)
    ]


def _by_parent(rows: Sequence[Row]) -> list[list[int]]:
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        places[row.parent].append(place)
    return list(places.values())


def centred(states: Floats, rows: Sequence[Row]) -> Floats:
    """Less the mean of those of the same parent."""
    found = states.copy()
    for places in _by_parent(rows):
        found[places] -= states[places].mean(0)
    return found


def permuted(states: Floats, rows: Sequence[Row], seed: int) -> Floats:
    """Each edit with the states of another edit of its parent, drawn."""
    chance, found = np.random.default_rng(seed), states.copy()
    for places in _by_parent(rows):
        found[places] = states[chance.permutation(places)]
    return found


def _mean(tables: Sequence[Tables]) -> Tables:
    return {
        measure: [
            (float(np.mean([value for value, _ in same])), same[0][1])
            for same in zip(*(one[measure] for one in tables), strict=True)
        ]
        for measure in tables[0]
    }


if __name__ == "__main__":
    main()
