"""The built-in baselines: networks by the LEMUR contract, one a file. They leave this room as text, never imported."""

from __future__ import annotations

from importlib import resources

from deltanas.errors import UsageError

# One recipe for all of them, held fixed when networks are compared. batch: images a step; momentum: AdamW's first beta.
DEFAULT_PRM: dict[str, float] = {"batch": 32, "lr": 0.002, "momentum": 0.9}


TEACHER = "teacher"
"""The name of a baseline, of tasks that have one, which is there to be learned from: too large for a search."""


def baselines(task: str = "classify") -> dict[str, str]:
    """Source text by name, in the order of the names; none for a task that has no built-in networks."""
    folder = resources.files(__name__)
    folder = folder if task == "classify" else folder.joinpath(task)
    if not folder.is_dir():
        return {}
    files = {file.name: file for file in folder.iterdir() if file.name.endswith(".py")}
    return {name.removesuffix(".py"): files[name].read_text("utf-8") for name in sorted(files) if name != "__init__.py"}


def task_with(name: str) -> str | None:
    """The task that has a built-in network of this name."""
    folders = sorted(each.name for each in resources.files(__name__).iterdir() if each.is_dir())
    return next((task for task in ("classify", *folders) if name in baselines(task)), None)


def baseline(name: str, task: str = "classify") -> str:
    """Source text of one baseline. Raises UsageError if there is none of that name."""
    known = baselines(task)
    if name not in known:
        raise UsageError(f"no baseline is called {name!r}", f"known baselines: {', '.join(known)}")
    return known[name]
