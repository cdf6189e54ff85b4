"""The referee of proposals from outside: slots, answers that are trained as a search does, verdicts beyond luck."""

from deltanas.referee.answers import Rules
from deltanas.referee.asked import Asked
from deltanas.referee.court import Bench, Referee
from deltanas.referee.evidence import ERROR, PAIRS, Trial, pairs_needed, share
from deltanas.referee.verdict import Verdict

__all__ = ["ERROR", "PAIRS", "Asked", "Bench", "Referee", "Rules", "Trial", "Verdict", "pairs_needed", "share"]
