"""A run in figures and on one page: `summary` for the command line, `render` for the browser."""

from deltanas.report.counts import Counts, Step
from deltanas.report.figures import Gain, Network, Summary, summary
from deltanas.report.front import Front, priced
from deltanas.report.page import Diagnostic, Drawn, Live, document, draw, render

__all__ = [
    "Counts",
    "Diagnostic",
    "Drawn",
    "Front",
    "Gain",
    "Live",
    "Network",
    "Step",
    "Summary",
    "document",
    "draw",
    "priced",
    "render",
    "summary",
]
