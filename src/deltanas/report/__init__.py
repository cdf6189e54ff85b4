"""A run in figures and on one page: `summary` for the command line, `render` for the browser."""

from deltanas.report.figures import Gain, Network, Summary, summary
from deltanas.report.funnel import Funnel, Step
from deltanas.report.page import render

__all__ = ["Funnel", "Gain", "Network", "Step", "Summary", "render", "summary"]
