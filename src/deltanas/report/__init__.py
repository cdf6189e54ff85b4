"""A run in figures and on one page: `summary` for the command line, `render` for the browser."""

from deltanas.report.counts import Cost, Counts, Step
from deltanas.report.figures import Gain, Network, Summary, summary
from deltanas.report.front import Front, Price, Standing, priced
from deltanas.report.page import Diagnostic, Drawn, Live, Part, document, draw, render

__all__ = [
    "Cost",
    "Counts",
    "Diagnostic",
    "Drawn",
    "Front",
    "Gain",
    "Live",
    "Network",
    "Part",
    "Price",
    "Standing",
    "Step",
    "Summary",
    "document",
    "draw",
    "priced",
    "render",
    "summary",
]
