"""What every proposer, gate, runner, archive, listener and task must hold, as tests to inherit.

    from deltanas.testing import ProposerContract

    class TestMine(ProposerContract):
        def proposer(self):
            return MyProposer()

pytest finds the inherited tests by the class's name. What a contract needs to know stands in methods that raise
`NotImplementedError` here; the others have defaults that fit most implementations. Nothing here imports pytest.
"""

from deltanas.testing.archive import ArchiveContract
from deltanas.testing.gate import GateContract
from deltanas.testing.listener import ListenerContract
from deltanas.testing.proposer import ProposerContract
from deltanas.testing.runner import RunnerContract
from deltanas.testing.task import Scored, TaskContract

__all__ = [
    "ArchiveContract",
    "GateContract",
    "ListenerContract",
    "ProposerContract",
    "RunnerContract",
    "Scored",
    "TaskContract",
]
