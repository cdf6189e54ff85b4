"""Where edits come from: one file a strategy."""

from deltanas.propose.random import RandomProposer

__all__ = ["RandomProposer"]
