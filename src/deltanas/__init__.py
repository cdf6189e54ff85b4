"""deltanas: a language model edits PyTorch networks by diffs, and every edit is trained for one epoch in isolation."""

__version__ = "0.1.0"
