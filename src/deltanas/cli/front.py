"""The front of a run as a table."""

from __future__ import annotations

from deltanas.cli.output import print_table, print_text
from deltanas.report import Front
from deltanas.task import Metric


def print_front(front: Front, metric: Metric) -> None:
    """The networks of the front, each with its costs and these as multiples of its baseline's; the hypervolume."""
    if not front.members:
        print_text("no network has a figure for each objective")
        return
    shown = metric.shown
    costs = [price.name for price in front.members[0].prices]
    print_table(
        ("on the front", f"{metric.name} [95 %]", *(f"{name} (times its baseline's)" for name in costs)),
        (
            (
                f"{one.program} ({one.name})",
                shown(one.score)
                if one.low is None or one.high is None
                else f"{shown(one.score)} [{shown(one.low)}, {shown(one.high)}]",
                *(price.shown if price.ratio is None else f"{price.shown} ({price.ratio:.2f})" for price in one.prices),
            )
            for one in front.members
        ),
    )
    volumes = [f"{one.volume:.4f}" for one in front.cycles if one.volume is not None]
    if volumes:
        print_text(f"hypervolume by cycle: {', '.join(volumes[-8:])}")
