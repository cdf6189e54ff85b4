"""What somebody begins with: a folder with a program, a place for pictures, and settings, all of them commented."""

from deltanas.starting.skeleton import write_skeleton

__all__ = ["write_skeleton"]
