"""The gates before training: the static contract, the build check that runs in the sandbox, and limits of size."""

from deltanas.check.contract import MAX_CHARACTERS, contract_faults
from deltanas.check.gates import BuildGate, ContractGate
from deltanas.check.limits import LimitedBuilds, LimitGate, Limits

__all__ = [
    "MAX_CHARACTERS",
    "BuildGate",
    "ContractGate",
    "LimitGate",
    "LimitedBuilds",
    "Limits",
    "contract_faults",
]
