"""The page: one HTML file that needs nothing from outside, drawn part by part."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from math import isfinite

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from deltanas.objective import stored_objectives
from deltanas.prices import priced, told_growth
from deltanas.records import RunView
from deltanas.report.cards import ASKERS, CARDS, CLASSES, DENOISED, FRONT, PARTS, SCREEN, SHEETS, Card
from deltanas.report.figures import Summary, summarise
from deltanas.report.opened import opened, opened_within
from deltanas.report.reading import AbsentError, Reading
from deltanas.report.sheets import has_transforms
from deltanas.task import Shows, Sorts
from deltanas.wording import counted

STUDY = "funnel"
"""The section before which the diagnostics stand."""
MOST_TEXT = 2_000_000
"""Characters of programs and edits that a file carries, so that it opens at once; a server has them all."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One diagnostic of the search: its verdict, or what it lacks (`known` False), and the figures behind it."""

    title: str
    verdict: str
    figures: tuple[str, ...]
    known: bool


@dataclass(frozen=True)
class Part:
    """A part of the page as HTML: its head ("top"), or a section with its title. Texts of models are escaped in it."""

    title: str
    html: str


@dataclass(frozen=True)
class Drawn:
    """A run's page in parts, by the id of the element that holds them, in the order in which they stand."""

    reading: Reading
    parts: dict[str, Part]

    @property
    def title(self) -> str:
        return self.reading.view.name

    def candidate(self, name: str) -> dict[str, object] | None:
        """All that there is to read of the candidate "cycle.index", as plain data; None if there is none."""
        found = self.reading.slots.get(name)
        return None if found is None else opened(self.reading, found)


@dataclass(frozen=True, slots=True)
class Live:
    """What a server adds to the page: the nonce that its own header names, its script, and the state of the parts.

    home: address of the page that lists the runs, "" if there is none.
    """

    nonce: str
    script: str
    revision: str
    home: str = ""


def draw(
    view: RunView,
    diagnose: Callable[[], Sequence[Diagnostic]] | None = None,
    against: Sequence[RunView] = (),
    notice: str = "",
) -> Drawn:
    """The parts of the page, true to what was read of the run, however little that is.

    `diagnose` makes the diagnostics of the search; without it the page has no such section. A section that can't be
    computed says why in its place. `against` are runs to compare it with. `notice` stands above all: why there is no
    more to show.
    """
    env = environment()
    reading = Reading(view, against)
    figures = summarise(reading)
    wanted = {
        FRONT: len(stored_objectives(view.manifest)) > 1,
        CLASSES: isinstance(reading.task, Sorts),
        DENOISED: isinstance(reading.task, Shows),
        PARTS: bool(reading.brought),
        ASKERS: bool(view.leases),
        SCREEN: figures.screen is not None,
        SHEETS: has_transforms(reading),
    }
    shown = [card for card in CARDS if wanted.get(card, True)]
    if diagnose is not None:
        built = diagnose
        place = next(number for number, card in enumerate(shown) if card.name == STUDY)
        shown.insert(place, Card("study", "Can the ranking be believed?", lambda *_: {"diagnostics": built()}))
    parts = {card.name: Part(card.title, _drawn(env, card, reading, figures)) for card in shown}
    top = env.get_template("top.html.j2").render(
        view=view,
        figures=figures,
        cards=shown,
        notice=notice,
        metric=reading.metric,
        growth=told_growth(figures.growth),
        price=priced(figures.best.prices) if figures.best else "",
        none_trained=reading.none_trained(),
    )
    return Drawn(reading, {"top": Part("", top), **parts})


def document(drawn: Drawn, live: Live | None = None) -> str:
    """The parts of a run's page as one document."""
    data = None if live else _data(opened_within(drawn.reading, MOST_TEXT))
    return framed(f"{drawn.title} · deltanas report", drawn.parts, live, data)


def drawn_page(
    title: str,
    top: Mapping[str, object],
    sections: Mapping[str, Mapping[str, object]],
    titles: Mapping[str, str],
    about: str,
) -> str:
    """A page that is none of a run, but of a study of losses and optimizers; self-contained.

    top, sections: what each template is filled with; titles: their headings. about: foot of the page.
    """
    env = environment()
    filled = {name: env.get_template(f"recipes-{name}.html.j2").render(held) for name, held in sections.items()}
    parts = {name: Part(titles[name], html) for name, html in filled.items()}
    return framed(
        title, {"top": Part("", env.get_template("recipes-top.html.j2").render(top)), **parts}, None, about=about
    )


def framed(
    title: str, parts: Mapping[str, Part], live: Live | None, data: str | None = None, about: str | None = None
) -> str:
    """One document of the parts. No other script than the page's own may run: by its hash, or by a server's nonce.

    data: JSON of the candidates that a file carries. about: foot of the page in place of that of a run's.
    """
    style, script = _file("page.css"), _file("page.js") + (live.script if live else "")
    policy = f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}"
    top, *sections = parts.items()
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            title=title,
            top=Markup(top[1].html),  # noqa: S704 - drawn by a template that escapes
            sections=[(name, part.title, Markup(part.html)) for name, part in sections],  # noqa: S704
            style=Markup(style),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own file
            policy=None if live else policy,
            nonce=live.nonce if live else None,
            revision=live.revision if live else None,
            home=live.home if live else "",
            candidates=None if data is None else Markup(data),  # noqa: S704
            about=about,
        )
    )


def render(
    view: RunView, diagnose: Callable[[], Sequence[Diagnostic]] | None = None, against: Sequence[RunView] = ()
) -> str:
    """The report as HTML, self-contained; see `draw`."""
    return document(draw(view, diagnose, against))


def _drawn(env: Environment, card: Card, reading: Reading, figures: Summary) -> str:
    try:
        return env.get_template(f"{card.name}.html.j2").render(
            {**card.build(reading, figures), "metric": reading.metric}
        )
    except AbsentError as absent:
        return env.get_template("absent.html.j2").render(reason=str(absent))
    except Exception as error:  # noqa: BLE001 - a card that fails shows its error and leaves the others standing
        return env.get_template("broken.html.j2").render(error=f"{type(error).__name__}: {error}")


def _data(value: object) -> str:
    """JSON that no text in it can end: it stands in an element that the browser reads as data, not as a script."""
    return json.dumps(value, ensure_ascii=True).replace("<", "\\u003c")


@cache
def environment() -> Environment:
    """One for all pages: to compile the templates takes longer than to fill them."""
    env = Environment(
        loader=PackageLoader("deltanas.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "pct": lambda share: f"{100 * share:.1f}",
        "minus": lambda gain: gain.replace("-", "\N{MINUS SIGN}"),
        "count": lambda number: f"{number:,}",
        "counted": counted,
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
