"""The released table of transforms: what it says, who ranks it, and searches that are replayed on it."""
