"""A grid of trainings: networks x losses x optimizers x data sets x seeds, in a table that grows row by row."""

from deltanas.grid.cells import FIXED_RATE, MOST_RATES, Arm, Batch, Cell, Grid, rates_of, winner
from deltanas.grid.clipping import clipping_of
from deltanas.grid.clock import Clock
from deltanas.grid.run import GridRun, Split, keys_of
from deltanas.grid.table import MADE, Row, description_of, known_rows, open_table, require_lines

__all__ = [
    "FIXED_RATE",
    "MADE",
    "MOST_RATES",
    "Arm",
    "Batch",
    "Cell",
    "Clock",
    "Grid",
    "GridRun",
    "Row",
    "Split",
    "clipping_of",
    "description_of",
    "keys_of",
    "known_rows",
    "open_table",
    "rates_of",
    "require_lines",
    "winner",
]
