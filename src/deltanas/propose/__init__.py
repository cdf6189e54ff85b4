"""Where edits come from: one file a strategy."""

from deltanas.propose.delta import Decoding, DeltaProposer
from deltanas.propose.edits import Edits
from deltanas.propose.random import RandomProposer
from deltanas.propose.space import Space

__all__ = ["Decoding", "DeltaProposer", "Edits", "RandomProposer", "Space"]
