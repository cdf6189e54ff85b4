"""Where edits come from: one file a strategy."""

from deltanas.propose.asking import Sampling
from deltanas.propose.bandit import BanditProposer
from deltanas.propose.channels import ChannelsProposer
from deltanas.propose.delta import Decoding, DeltaProposer
from deltanas.propose.edits import Edits
from deltanas.propose.evolution import EvolutionProposer, Tournament
from deltanas.propose.feedback import FeedbackProposer
from deltanas.propose.full import FullProposer
from deltanas.propose.random import RandomProposer
from deltanas.propose.space import Space
from deltanas.propose.space_cache import CachedBuilds

__all__ = [
    "BanditProposer",
    "CachedBuilds",
    "ChannelsProposer",
    "Decoding",
    "DeltaProposer",
    "Edits",
    "EvolutionProposer",
    "FeedbackProposer",
    "FullProposer",
    "RandomProposer",
    "Sampling",
    "Space",
    "Tournament",
]
