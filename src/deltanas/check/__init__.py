"""The gates before training: the static contract, and the build check that runs in the sandbox."""

from deltanas.check.contract import MAX_CHARACTERS, contract_faults
from deltanas.check.gates import BuildGate, ContractGate

__all__ = ["MAX_CHARACTERS", "BuildGate", "ContractGate", "contract_faults"]
