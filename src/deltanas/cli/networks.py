"""Networks of a run in a table: score, and gains over baseline and parent."""

from __future__ import annotations

from collections.abc import Sequence

from deltanas.cli.output import print_table, print_text
from deltanas.prices import priced
from deltanas.report import Gain, Handed, Network
from deltanas.task import Metric
from deltanas.wording import counted


def print_networks(networks: Sequence[Network], metric: Metric, head: str, shorter: int = 0) -> None:
    """head: what these networks are, in one word. shorter: number of candidates that were trained for fewer epochs."""
    unit = f", in {metric.unit}" if metric.unit else ""
    print_table(
        (head, f"{metric.name} [95 %]", f"over its baseline{unit} [95 %]", "over its parent", "times its baseline's"),
        (
            (
                f"{network.program} ({network.name})",
                f"{metric.shown(network.score)}{_interval(network, metric)}{_spread(network, metric)}",
                _gain(network.over_baseline, metric),
                _gain(network.over_parent, metric),
                priced(network.prices),
            )
            for network in networks
        ),
    )
    if shorter and networks:
        were = counted(shorter, "candidate was", "candidates were")
        print_text(f"scores are after {networks[0].rung} epochs; {were} trained for fewer, and not ranked with them")
    gains = [gain for each in networks for gain in (each.over_baseline, each.over_parent) if gain]
    if any(not gain.paired for gain in gains):
        print_text("unpaired: the scores of the images are not known of both networks, so the interval is wider")
    if any(gain.seeds for gain in gains):
        print_text("intervals are for other images; the one after `seeds` is for other seeds")


def handed_line(found: Handed, metric: Metric) -> str:
    """What the search hands over, beside the best baseline."""
    line = f"handed over: {found.name}, {metric.shown(found.score)} on {counted(found.n, 'test image')}"
    if found.over:
        gained = f"{metric.points(found.over.gain)} [{metric.gain(found.over.low)}, {metric.gain(found.over.high)}]"
        line += f", {gained} over {found.over.name}, the best baseline, trained alike"
        line += "; the interval holds 0: it may be chance" if found.over.low <= 0 <= found.over.high else ""
    if found.worse_than is not None:
        line += f"; it makes images worse: before denoising they have {metric.shown(found.worse_than)}"
    line = f"{line} ({priced(found.prices)})"
    return f"{line}; the final training of {', '.join(found.failed)} failed" if found.failed else line


def _interval(network: Network, metric: Metric) -> str:
    if network.low is None or network.high is None:
        return ""
    return f" [{metric.shown(network.low)}, {metric.shown(network.high)}]"


def _spread(network: Network, metric: Metric) -> str:
    error = network.standard_error
    return "" if error is None else f" +- {metric.shown(error)} ({network.seeds} seeds)"


def _gain(gain: Gain | None, metric: Metric) -> str:
    if gain is None:
        return "unknown"
    paired = "" if gain.paired else " unpaired"
    seeds = f" seeds [{metric.gain(gain.seeds.low)}, {metric.gain(gain.seeds.high)}]" if gain.seeds else ""
    bounds = f"[{metric.gain(gain.low)}, {metric.gain(gain.high)}]"
    return f"{metric.gain(gain.gain)} {bounds}{paired}{seeds} over {gain.name}"
