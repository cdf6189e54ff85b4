"""What flows through the house: programs, outcomes, edits and the space of edits. Pure: nothing here runs a program."""

from deltanas.program.outcome import Failed, Outcome, Refused, Stage, Trained
from deltanas.program.program import PARTS, Part, Program, prm_text

__all__ = ["PARTS", "Failed", "Outcome", "Part", "Program", "Refused", "Stage", "Trained", "prm_text"]
