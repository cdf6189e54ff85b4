"""The pages: a run's report with its diagnostics, in a file or drawn again as the run grows; the runs of a folder;
a study of recipes."""

from deltanas.pages.folder import FollowedFolder, holds_runs
from deltanas.pages.recipes import write_recipes
from deltanas.pages.run import Followed, current_report, write_report

__all__ = ["Followed", "FollowedFolder", "current_report", "holds_runs", "write_recipes", "write_report"]
