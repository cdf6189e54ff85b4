"""Where edits come from: one file a strategy."""

from deltanas.propose.asking import Asking, Decoding, ModelProposer
from deltanas.propose.bandit import BanditProposer
from deltanas.propose.channels import ChannelsProposer
from deltanas.propose.delta import DeltaProposer
from deltanas.propose.evolution import EvolutionProposer, Tournament
from deltanas.propose.feedback import FeedbackProposer
from deltanas.propose.full import FullProposer
from deltanas.propose.outside import OutsideSettings, Told
from deltanas.propose.random import RandomProposer
from deltanas.propose.space import Space
from deltanas.propose.space_cache import CachedBuilds
from deltanas.propose.strategies import STRATEGIES, strategy_named
from deltanas.propose.strategy import Context, Strategy

__all__ = [
    "STRATEGIES",
    "Asking",
    "BanditProposer",
    "CachedBuilds",
    "ChannelsProposer",
    "Context",
    "Decoding",
    "DeltaProposer",
    "EvolutionProposer",
    "FeedbackProposer",
    "FullProposer",
    "ModelProposer",
    "OutsideSettings",
    "RandomProposer",
    "Space",
    "Strategy",
    "Told",
    "Tournament",
    "strategy_named",
]
