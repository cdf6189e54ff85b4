"""A run in figures and on one page: `summary` for the command line, `render` for the browser."""

from deltanas.report.classes import ClassScore, ClassScores, class_scores, least_accurate
from deltanas.report.counts import Counts, Step
from deltanas.report.figures import Network, Summary, summary
from deltanas.report.front import Front
from deltanas.report.gain import Gain
from deltanas.report.handed import Handed
from deltanas.report.listing import Entry, Listed, Score, draw_list
from deltanas.report.page import Diagnostic, Drawn, Live, document, draw, drawn_page, render

__all__ = [
    "ClassScore",
    "ClassScores",
    "Counts",
    "Diagnostic",
    "Drawn",
    "Entry",
    "Front",
    "Gain",
    "Handed",
    "Listed",
    "Live",
    "Network",
    "Score",
    "Step",
    "Summary",
    "class_scores",
    "document",
    "draw",
    "draw_list",
    "drawn_page",
    "least_accurate",
    "render",
    "summary",
]
