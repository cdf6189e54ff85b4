"""A search mirrored to other tools while it runs: TensorBoard's event files, MLflow."""

from deltanas.trackers.mirror import Mirror, Tracker, mirrored, require_trackers

__all__ = ["Mirror", "Tracker", "mirrored", "require_trackers"]
