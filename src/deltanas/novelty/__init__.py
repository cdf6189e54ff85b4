"""Is a program new to the run? By identity (canonical source) and by what it computes (traced operations)."""

from deltanas.novelty.gate import NoveltyGate

__all__ = ["NoveltyGate"]
