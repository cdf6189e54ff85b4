"""How often each pair of baselines meets: as a search draws quartets, as the published code does, and by chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from itertools import combinations, islice
from pathlib import Path
from random import Random

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.experts_rows import built_in, quartets
from deltanas.study import coverage

Draws = Sequence[Sequence[int]]


def drawn_coverage(picture: Path, count: int) -> dict[str, object]:
    """Draws the picture; the tests of evenness. The published code enumerates combinations of the sorted names."""
    names = [base.name for base in built_in()]
    places = {name: place for place, name in enumerate(names)}
    rng = Random("chance")
    ways: dict[str, Draws] = {
        "least used pairs first": [[places[base.name] for base in one] for one in quartets(built_in(), count, "drawn")],
        "by chance": [rng.sample(range(len(names)), 4) for _ in range(count)],
        "enumerated, as published": list(islice(combinations(range(len(names)), 4), count)),
    }
    figure, panels = plt.subplots(1, len(ways), figsize=(4.1 * len(ways), 4.6), layout="constrained")
    for (title, groups), panel in zip(ways.items(), panels, strict=True):
        met = Counter(pair for group in groups for pair in combinations(sorted(group), 2))
        table = np.full((len(names), len(names)), np.nan)
        for (one, other), number in {pair: met[pair] for pair in combinations(range(len(names)), 2)}.items():
            table[one, other] = table[other, one] = number
        image = panel.imshow(table, vmin=0, vmax=12, cmap="viridis")
        least = min(met[pair] for pair in combinations(range(len(names)), 2))
        panel.set_title(f"{title}: {least} to {max(met.values())}", fontsize=10)
        panel.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
        panel.set_yticks(range(len(names)), names, fontsize=7)
    figure.colorbar(image, ax=panels, shrink=0.7, label=f"number of {count} mixtures in which two baselines meet")
    figure.savefig(picture, dpi=100, metadata={"Software": None})
    return {title: asdict(coverage(groups, len(names))) for title, groups in ways.items()}
