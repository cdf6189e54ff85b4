"""LEMUR, the open data set of network programs and their trials: read, written, ranked, drawn from; and the transforms
that nn-gpt released with their scores.

Trials come from a broad search over hyperparameters, leave out failed trainings, and are few for most settings: a
prior, not a controlled comparison (docs/lemur.md).
"""

from deltanas.lemur.curves import (
    CSV_COLUMNS,
    METRIC,
    TASK,
    Curve,
    csv_rows,
    curves,
    drawn,
    ranked,
    scored,
    sifted,
    told_misfiled,
)
from deltanas.lemur.exporting import of_networks, own_meaning, own_programs, write_layout
from deltanas.lemur.importing import Imported, Memory, import_tree
from deltanas.lemur.transforms import TRANSFORMS
from deltanas.lemur.tree import open_tree

__all__ = [
    "CSV_COLUMNS",
    "METRIC",
    "TASK",
    "TRANSFORMS",
    "Curve",
    "Imported",
    "Memory",
    "csv_rows",
    "curves",
    "drawn",
    "import_tree",
    "of_networks",
    "open_tree",
    "own_meaning",
    "own_programs",
    "ranked",
    "scored",
    "sifted",
    "told_misfiled",
    "write_layout",
]
