"""Can the ranking be believed? The six results of the convergence theory as diagnostics, with intervals.

Functions over plain arrays, one a result: `elite_nll`, `monotone`, `concentration`, `validity`, `novelty`,
`reliability`. `convergence` computes those that a table allows. What can't be computed is a `LackingError`, or an
`Absent` in a record: it says what is lacking. `docs/study.md` says what each diagnostic shows and what it does not.

On which of two data sets a network stands higher: `suitability`.

Losses and optimizers over networks: `recipe_study`; `friedman`, `signed_rank` and the like over arrays.
"""

from deltanas.intervals import Estimate
from deltanas.program.shingles import shingles
from deltanas.study.blocks import critical_difference, friedman, holm, wilcoxon
from deltanas.study.claims import HOLDS, UNKNOWN
from deltanas.study.components import components
from deltanas.study.concentration import concentration
from deltanas.study.convergence import as_json, convergence
from deltanas.study.coverage import coverage
from deltanas.study.effects import rank_biserial, signed_rank
from deltanas.study.estimate import Absent, LackingError, plain
from deltanas.study.expert_words import GateUse, experts_described
from deltanas.study.experts import experts_study
from deltanas.study.forms import pearson_of, repeats_for, spearman_of, truncated
from deltanas.study.monotone import monotone
from deltanas.study.nll import EliteNll, elite_nll
from deltanas.study.novelty import novelty
from deltanas.study.recipe_study import RecipeStudy, failures, recipe_study, recipes_as_json
from deltanas.study.recipe_words import friedman_words, pairs_words, recipes_described, shown
from deltanas.study.recipes import Cells, Comparison, Share, by_network
from deltanas.study.reliability import Reliability, reliability
from deltanas.study.run import collapse_so_far, convergence_of, convergence_of_imported, trials_of
from deltanas.study.separation import ranking_so_far, separation
from deltanas.study.shares import variance_shares
from deltanas.study.standing import Scores, family_of
from deltanas.study.suitability import Suitability, suitability, suitability_as_json
from deltanas.study.suitability_words import suitability_described
from deltanas.study.trials import read_trials
from deltanas.study.validity import largest_ratio, validity
from deltanas.study.words import described, sections

__all__ = [
    "HOLDS",
    "UNKNOWN",
    "Absent",
    "Cells",
    "Comparison",
    "EliteNll",
    "Estimate",
    "GateUse",
    "LackingError",
    "RecipeStudy",
    "Reliability",
    "Scores",
    "Share",
    "Suitability",
    "as_json",
    "by_network",
    "collapse_so_far",
    "components",
    "concentration",
    "convergence",
    "convergence_of",
    "convergence_of_imported",
    "coverage",
    "critical_difference",
    "described",
    "elite_nll",
    "experts_described",
    "experts_study",
    "failures",
    "family_of",
    "friedman",
    "friedman_words",
    "holm",
    "largest_ratio",
    "monotone",
    "novelty",
    "pairs_words",
    "pearson_of",
    "plain",
    "rank_biserial",
    "ranking_so_far",
    "read_trials",
    "recipe_study",
    "recipes_as_json",
    "recipes_described",
    "reliability",
    "repeats_for",
    "sections",
    "separation",
    "shingles",
    "shown",
    "signed_rank",
    "spearman_of",
    "suitability",
    "suitability_as_json",
    "suitability_described",
    "trials_of",
    "truncated",
    "validity",
    "variance_shares",
    "wilcoxon",
]
