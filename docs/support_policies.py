"""Tables of docs/results.md from what `python -m benchmarks policy_report` wrote."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

REPORT = Path(__file__).parents[1] / "benchmarks" / "policies" / "resnet-500x20-report.json"
REFERENCES = ("none", "crop+flip", "TrivialAugment", "RandAugment middle")
"""What the picks of searches are compared with."""


def policy_figures() -> str:
    report = _report()
    noise, trust, none = (report[key] for key in ("noise", "trust", "against_none"))
    quarters = ", ".join(f"{one['sd_at_equal_seeds']:.4f} (mean {one['mean']:.3f})" for one in noise["quarters"])
    rows = [
        ("policies; seeds of each; trainings", f"{report['policies']}; {report['seeds']}; {report['trainings']}"),
        ("trainings that failed", f"{report['failures']}"),
        ("standard deviation of one training, all policies pooled", _interval(noise["sd"], 4)),
        ("the same at equal seeds, by quarters of the table, best first", quarters),
        ("signal to noise (variances) of one training: all; bootstrap", _both(noise, "snr", "snr_bootstrap")),
        ("the same in the better half", _interval(noise["better_half"]["snr_at_equal_seeds"], 2)),
        *((f"Spearman of half the seeds with the others, {key}", _interval(trust[name], 2)) for key, name in
          (("all policies", "half the seeds against the others"), ("the better half", "the same in the better half"))),
        *((f"study of convergence, {key}", trust[key]["verdict"]) for key in trust if "mean of" in key),
        ("policies above none, with the noise of both drawn", _share(none["share"])),
        (f"of {none['policies']}, beyond chance for all together (Holm)",
         f"{none['better']} better, {none['worse']} worse"),
    ]  # fmt: skip
    return _table(("figure", "value [95 %]"), rows)


def best_policies() -> str:
    rows = [
        (one["rank"], f"`{one['policy']}`", f"{one['mean']:.4f}", _interval(one["level"], 3), _points(one["over_none"]))
        for one in _report()["best"]
    ]
    return _table(("rank", "policy", "mean score", "level after shrinkage", "over none, points"), rows)


def policy_replays() -> str:
    return "\n".join(_replays(which, found) for which, found in _report()["replays"].items())


def _replays(which: str, found: Mapping[str, Any]) -> str:
    rows = []
    for arm, counts in found["all seeds"].items():
        median, mean = (f"{counts[key]:.4g} [{counts[key + '_low']:.4g}, {counts[key + '_high']:.4g}]"
                        for key in ("median", "mean"))  # fmt: skip
        times = f"{counts['times_fewer']:.1f} [{counts['times_low']:.1f}, {counts['times_high']:.1f}]"
        other = found["other seeds"][arm]
        unseen = f"{other['median']:.4g} [{other['median_low']:.4g}, {other['median_high']:.4g}]"
        gains = [_of_replays(gain) for gain in found["worth"][arm].values()]
        rows.append((arm, median, mean, times if arm != "random" else "", unseen, *gains))
    budgets = [f"pick {key}, points over none" for key in next(iter(found["worth"].values()))]
    head = (f"{which}: {found['policies']} policies, {found['looked_for']} looked for", "median", "mean",
            "times fewer than random", "median, other seeds", *budgets)  # fmt: skip
    return _table(head, rows)


def policies_elsewhere() -> str:
    rows = []
    for name, found in _report()["beside"].items():
        first = found["best_there"][0]
        none = found["against_none_there"]
        rows.append((name, f"{found['policies']} x {found['seeds'][1]}", _interval(found["spearman"], 2),
                     _interval(found["spearman_in_better_half"], 2), _share(none["share"]),
                     f"`{first['policy']}` {_points(first['over_none'])}"))  # fmt: skip
    head = ("table", "policies x seeds", "Spearman with resnet-500x20", "in its better half", "above none there",
            "best there, points over none")  # fmt: skip
    return _table(head, rows)


def policy_finals() -> str:
    rows = []
    for name, found in _report().get("finals", {}).items():
        over = [found["over"].get(other) for other in REFERENCES]
        cells = ["" if one is None else f"{_points(one['images'])}; {_seeds(one['seeds'])}" for one in over]
        rows.append((f"`{name}`", ", ".join(found["for"]), _percent(found["test"]), *cells))
    rows.sort(key=lambda row: row[2], reverse=True)
    head = ("policy", "picked by", "test accuracy [seeds]", *(f"over {name} [images]; [seeds]" for name in REFERENCES))
    return _table(head, rows) if rows else ""


def _report() -> Any:
    return json.loads(REPORT.read_text("utf-8"))


def _table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def _interval(found: Mapping[str, float], digits: int) -> str:
    return "{:.{d}f} [{:.{d}f}, {:.{d}f}]".format(*(found[key] for key in ("value", "low", "high")), d=digits)


def _both(found: Mapping[str, Any], *keys: str) -> str:
    return "; ".join(_interval(found[key], 1) for key in keys)


def _share(found: Mapping[str, float]) -> str:
    return "{:.0f} % [{:.0f}, {:.0f}]".format(*(100 * found[key] for key in ("value", "low", "high")))


def _percent(found: Mapping[str, float]) -> str:
    return "{:.2f} % [{:.2f}, {:.2f}]".format(*(100 * found[key] for key in ("value", "low", "high")))


def _points(found: Mapping[str, float]) -> str:
    return "{:+.1f} [{:+.1f}, {:+.1f}]".format(*(100 * found[key] for key in ("value", "low", "high")))


def _seeds(found: Mapping[str, float]) -> str:
    return "[{:+.1f}, {:+.1f}]".format(*(100 * found[key] for key in ("low", "high")))


def _of_replays(found: Mapping[str, float]) -> str:
    return "{:+.1f} [{:+.1f}, {:+.1f}]".format(*(100 * found[key] for key in ("mean", "mean_low", "mean_high")))
