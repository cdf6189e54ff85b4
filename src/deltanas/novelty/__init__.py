"""Is a program new to the run? By identity, by what it computes (traced operations), and by how alike the texts are."""

from deltanas.novelty.gate import NoveltyGate
from deltanas.novelty.luck import SeedGate
from deltanas.novelty.neighbours import Neighbours

__all__ = ["Neighbours", "NoveltyGate", "SeedGate"]
