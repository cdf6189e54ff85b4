"""What flows through the house: programs, outcomes, edits and the space of edits. Pure: nothing here runs a program."""

from deltanas.program.canonical import canonical_source
from deltanas.program.composite import Chain, Composite, kinds_of
from deltanas.program.diffs import diff
from deltanas.program.edits import AppliedEdit, Rung, apply_edit
from deltanas.program.hyperparameters import SHOWN, USUAL, assumed, declared, unshown
from deltanas.program.net_class import names_bound, net_class
from deltanas.program.outcome import Confusion, Failed, Outcome, Refused, Stage, Trained, combined, standard_error
from deltanas.program.probe import Probe, acting, same_function
from deltanas.program.program import EMPTY, Part, Program, differing_parts, prm_text
from deltanas.program.space import SpaceEdit, WidthGroup, WidthVectors, edits_of, width_vectors
from deltanas.program.spaces import SPACES, edits_in, parts_named, text_of

__all__ = [
    "EMPTY",
    "SHOWN",
    "SPACES",
    "USUAL",
    "AppliedEdit",
    "Chain",
    "Composite",
    "Confusion",
    "Failed",
    "Outcome",
    "Part",
    "Probe",
    "Program",
    "Refused",
    "Rung",
    "SpaceEdit",
    "Stage",
    "Trained",
    "WidthGroup",
    "WidthVectors",
    "acting",
    "apply_edit",
    "assumed",
    "canonical_source",
    "combined",
    "declared",
    "diff",
    "differing_parts",
    "edits_in",
    "edits_of",
    "kinds_of",
    "names_bound",
    "net_class",
    "parts_named",
    "prm_text",
    "same_function",
    "standard_error",
    "text_of",
    "unshown",
    "width_vectors",
]
