"""From a search's winners to a better model. Importing this room is cheap; `tune` pays."""

from __future__ import annotations

from deltanas.learn.tuning import Packing, Schedule, Tuned, Tuning

__all__ = ["Packing", "Schedule", "Tuned", "Tuning"]
