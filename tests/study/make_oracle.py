"""Write oracle.json: what other packages say of random tables with ties and gaps.

    python -m venv VENV && VENV/bin/pip install autorank scikit-posthocs baycomp
    VENV/bin/python tests/study/make_oracle.py

They bring statsmodels, seaborn and pandas, so the tests read what they said instead of installing them.
"""

from __future__ import annotations

import json
import warnings
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scikit_posthocs
from autorank import autorank
from baycomp.multiple import SignedRankTest
from scikit_posthocs._plotting import _find_maximal_cliques
from scipy.stats import PermutationMethod, friedmanchisquare
from statsmodels.stats.multitest import multipletests

OUT = Path(__file__).with_name("oracle.json")
TABLES, DRAWS, ROPE = 100, 8, 0.01


def main() -> None:
    packages = ("autorank", "baycomp", "scikit-posthocs", "scipy", "statsmodels")
    rng = np.random.default_rng(2026)
    tables = [_said(_scores(rng, number), number) for number in range(TABLES)]
    rows = ",\n".join(json.dumps(table) for table in tables)
    versions = json.dumps({name: version(name) for name in packages})
    OUT.write_text(f'{{"versions": {versions}, "rope": {ROPE}, "tables": [\n{rows}\n]}}\n', "utf-8")


def _scores(rng: np.random.Generator, number: int) -> pd.DataFrame:
    """Every second table has ties, every third gaps. Scores are fractions of two: equal differences have equal bits."""
    ties = number % 2 == 1
    blocks, treatments = int(rng.integers(8, 12 if ties else 21)), int(rng.integers(3, 7))
    levels = rng.normal(0, 0.02, treatments)
    scores = rng.normal(0.7, 0.05, (blocks, 1)) + levels + rng.normal(0, 0.03, (blocks, treatments))
    steps = 2.0 ** (6 if ties else 40)
    scores = (scores * steps).round() / steps
    if number % 3 == 0:
        for _ in range(3):
            scores[rng.integers(blocks), rng.integers(treatments)] = np.nan
    return pd.DataFrame(scores, columns=[f"t{place}" for place in range(treatments)])


def _said(table: pd.DataFrame, seed: int) -> dict[str, Any]:
    full = table.dropna()
    chi2, p = friedmanchisquare(*(full[name] for name in full.columns))
    nemenyi = scikit_posthocs.posthoc_nemenyi_friedman(full.to_numpy())
    alike = (nemenyi > 0.05).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ranked = autorank(full, alpha=0.05, order="descending", force_mode="nonparametric")
    gaps = [_gap(table, a, b) for a, b in combinations(table.columns, 2)]
    raw = [_wilcoxon(both) for both in gaps]
    first = gaps[0].to_numpy()
    np.random.seed(seed)
    areas = SignedRankTest.sample(first[:, 1], first[:, 0], ROPE, nsamples=DRAWS)
    return {
        "scores": [[None if value != value else value for value in row] for row in table.to_numpy().tolist()],
        "chi2": float(chi2),
        "chi2_p": float(p),
        "autorank_p": float(ranked.pvalue),
        "critical_difference": float(ranked.cd),
        "mean_ranks": [float(ranked.rankdf.loc[name, "meanrank"]) for name in table.columns],
        "nemenyi": nemenyi.to_numpy().tolist(),
        "cliques": sorted(sorted(map(int, clique)) for clique in _find_maximal_cliques(alike) if len(clique) > 1),
        "wilcoxon": raw,
        "holm": multipletests(raw, method="holm")[1].tolist(),
        "seed": seed,
        "areas": areas.tolist(),
    }


def _wilcoxon(both: pd.DataFrame) -> float:
    """Exact: by all signs where there are ties, as SciPy's own distribution has none."""
    gaps = both.iloc[:, 0] - both.iloc[:, 1]
    plain = gaps.abs().is_unique and (gaps != 0).all()
    method = "exact" if plain else PermutationMethod(n_resamples=2**11)
    columns = [both.iloc[:, place].to_list() for place in (0, 1)]
    return float(scikit_posthocs.posthoc_wilcoxon(columns, method=method).iloc[0, 1])


def _gap(table: pd.DataFrame, a: str, b: str) -> pd.DataFrame:
    return table[[a, b]].dropna()


if __name__ == "__main__":
    main()
