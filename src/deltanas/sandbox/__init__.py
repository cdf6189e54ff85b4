"""Generated programs run here and nowhere else: in children that are watched, limited and never believed."""

from deltanas.sandbox.cluster import RayPool
from deltanas.sandbox.pool import LocalPool, Pool

__all__ = ["LocalPool", "Pool", "RayPool"]
