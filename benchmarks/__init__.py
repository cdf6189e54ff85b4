"""What parts of deltanas cost and are worth, measured; not part of the package. See `python -m benchmarks`."""
