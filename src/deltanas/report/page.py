"""The page: one HTML file that needs nothing from outside, drawn card by card."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from math import isfinite

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from deltanas.report.cards import CARDS, AbsentError, Card
from deltanas.report.figures import Summary, summarise
from deltanas.report.reading import Reading
from deltanas.seams import RunView

STUDY = 3
"""Place of the diagnostics among the sections."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One diagnostic of the search: its verdict, or what it lacks (`known` False), and the figures behind it."""

    title: str
    verdict: str
    figures: tuple[str, ...]
    known: bool


def render(view: RunView, diagnose: Callable[[], Sequence[Diagnostic]] | None = None) -> str:
    """The report as HTML: self-contained, and true to what was read of the run, however little that is.

    `diagnose` makes the diagnostics of the search; without it the page has no such section.

    A section that can't be computed says why in its place. Every text of a model or a candidate is escaped, and the
    page's own content policy lets no other script run than the one that sorts the tables.
    """
    env = _environment()
    reading = Reading(view)
    figures = summarise(reading)
    style, script = _file("page.css"), _file("page.js")
    shown = list(CARDS)
    if diagnose is not None:
        built = diagnose
        shown.insert(STUDY, Card("study", "Can the ranking be believed?", lambda *_: {"diagnostics": built()}))
    return env.get_template("page.html.j2").render(
        view=view,
        figures=figures,
        cards=[(card, _drawn(env, card, reading, figures)) for card in shown],
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        policy=f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}",
    )


def _drawn(env: Environment, card: Card, reading: Reading, figures: Summary) -> Markup:
    try:
        text = env.get_template(f"{card.name}.html.j2").render(card.build(reading, figures))
    except AbsentError as absent:
        text = env.get_template("absent.html.j2").render(reason=str(absent))
    except Exception as error:  # noqa: BLE001 - a card that fails shows its error and leaves the others standing
        text = env.get_template("broken.html.j2").render(error=f"{type(error).__name__}: {error}")
    return Markup(text)  # noqa: S704 - drawn by a template that escapes


def _environment() -> Environment:
    env = Environment(
        loader=PackageLoader("deltanas.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "pct": lambda share: f"{100 * share:.1f}",
        "points": lambda gain: f"{100 * gain:+.1f}".replace("-", "\N{MINUS SIGN}"),
        "count": lambda number: f"{number:,}",
        "magnitude": _magnitude,
        "duration": _duration,
        "cut": _cut,
    }
    return env


def _file(name: str) -> str:
    return resources.files("deltanas.report").joinpath("templates", name).read_text("utf-8")


def _hash(text: str) -> str:
    """A source expression of the content security policy: only this very text may run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _magnitude(number: float) -> str:
    for power, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= power:
            return f"{number / power:.3g} {unit}"
    return f"{number:.3g}"


def _duration(seconds: float) -> str:
    if not isfinite(seconds):
        return "not known"
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
