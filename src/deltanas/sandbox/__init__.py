"""Generated programs run here and nowhere else: in children that are watched, limited and never believed."""

from deltanas.sandbox.pool import LocalPool

__all__ = ["LocalPool"]
