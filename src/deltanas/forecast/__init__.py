"""Foretells what an edit of a program gains, by measured edits of others and of the run itself."""

from deltanas.forecast.forecaster import LEAST, Forecaster
from deltanas.forecast.ridge import fitted
from deltanas.forecast.table import BUILTIN, NO_TABLES, Row, Table, builtin, read_table, rows_of, write_table

__all__ = [
    "BUILTIN",
    "LEAST",
    "NO_TABLES",
    "Forecaster",
    "Row",
    "Table",
    "builtin",
    "fitted",
    "read_table",
    "rows_of",
    "write_table",
]
