"""How many edits are applied as they were meant, fault by fault, and whether a wrong program is ever made."""

from __future__ import annotations

import difflib
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from random import Random
from typing import Annotated

import typer

from benchmarks.edit_faults import FAULTS, Case, Change, Fault, Site, places, text_of
from benchmarks.edit_refusals import REFUSALS
from deltanas import nets
from deltanas.calibrate import where
from deltanas.cli.output import Json, print_figures
from deltanas.errors import DataError, EditError
from deltanas.intervals import wilson
from deltanas.program import apply_edit

APPLIED_BAR = 0.99
"""Share of the edits with one right reading that must be applied."""
_NETS = "ab/nn/nn/"
_VARIANT = re.compile(r"-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}$")
_TRIES = 200
_INSERTED = ("self.extra = nn.Dropout(0.1)", "x = torch.relu(x)", "width = max(8, width // 2)", "assert x.dim() == 4")


@dataclass(frozen=True, slots=True)
class Count:
    """Edits with one fault: n of them, so many answered right, so many made into a wrong program; 95 % of the share."""

    fault: str
    right: int
    wrong: int
    n: int
    low: float
    high: float


def bench_edits(lemur: Path | None, *, each: int, seed: int) -> dict[str, object]:
    """`each`: edits of each fault, made from LEMUR's programs, or from the built-in networks without them."""
    programs = lemur_programs(lemur) if lemur else nets.baselines()
    right: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    total: Counter[str] = Counter()
    has_answer: Counter[str] = Counter()
    for case in corpus(programs, each=each, seed=seed):
        made = _made(case)
        total[case.fault] += 1
        has_answer[case.fault] += case.right is not None
        right[case.fault] += made == case.right
        wrong[case.fault] += made not in (case.right, None)
    counts = [_count(fault, right[fault], wrong[fault], n) for fault, n in total.items()]
    applied = _sum("with one right reading", [count for count in counts if has_answer[count.fault]])
    refused = _sum("with none", [count for count in counts if not has_answer[count.fault]])
    everything = _sum("all", counts)
    return {
        **where(),
        "programs": len(programs),
        "source": str(lemur or "built-in networks"),
        "seed": seed,
        "faults": [asdict(count) for count in (*counts, applied, refused, everything)],
        "bars": f"no wrong program; {APPLIED_BAR:.0%} of the edits with one right reading applied",
        "kept": everything.wrong == 0 and applied.right >= APPLIED_BAR * applied.n,
    }


def corpus(programs: Mapping[str, str], *, each: int, seed: int) -> Iterator[Case]:
    """So many cases of each fault; fewer where the programs don't yield as many."""
    names = sorted(programs)
    lines = {name: tuple(programs[name].splitlines()) for name in names}
    for number, fault in enumerate([*FAULTS, *REFUSALS]):
        rng = Random(f"{seed}:{number}")
        for _ in range(each):
            case = _drawn(rng, fault, lines, names)
            if case is not None:
                yield case
    yield from _variants(Random(f"{seed}:variants"), lines, each)


def lemur_programs(place: Path) -> dict[str, str]:
    """The networks in LEMUR's wheel, or in a folder into which pip installed it, by name.

    Raises DataError where there are none.
    """
    if place.is_file() and zipfile.is_zipfile(place):
        with zipfile.ZipFile(place) as wheel:
            members = [name for name in wheel.namelist() if name.startswith(_NETS) and name.endswith(".py")]
            found = {PurePosixPath(name).stem: wheel.read(name).decode("utf-8") for name in members}
    else:
        found = {path.stem: path.read_text("utf-8") for path in place.glob(f"{_NETS}*.py")}
    programs = {name: source for name, source in found.items() if source.strip()}
    if not programs:
        raise DataError(f"{place} holds no LEMUR: no {_NETS}*.py", "pip download --no-deps nn-dataset==1.2.6")
    return programs


def _made(case: Case) -> str | None:
    try:
        return apply_edit(case.base, case.edit).source
    except EditError:
        return None


def _count(fault: str, right: int, wrong: int, n: int) -> Count:
    share = wilson(right, n)
    return Count(fault, right, wrong, n, share.low, share.high)


def _sum(name: str, counts: Sequence[Count]) -> Count:
    right, wrong, n = (sum(values) for values in zip(*((c.right, c.wrong, c.n) for c in counts), strict=True))
    return _count(name, right, wrong, n)


def _drawn(rng: Random, fault: Fault, lines: Mapping[str, tuple[str, ...]], names: Sequence[str]) -> Case | None:
    for _ in range(_TRIES):
        change = _change(rng, lines[rng.choice(names)])
        case = fault(rng, change) if change else None
        if case is not None and case.right != case.base:
            return case
    return None


def _change(rng: Random, base: tuple[str, ...]) -> Change | None:
    """One to three changes of lines, far enough from one another for three quoted lines around each."""
    sites: list[Site] = []
    for start in sorted(rng.sample(range(len(base)), min(len(base), rng.choice([1, 1, 2, 3])))):
        if not base[start].strip() or (sites and start - sites[-1].end < 8):
            continue
        indent = base[start][: len(base[start]) - len(base[start].lstrip())]
        number = re.compile(r"\d+")
        match rng.choice(["number", "name", "insert", "delete", "two"]):
            case "number" if number.search(base[start]):
                end, new = start + 1, [number.sub(str(rng.randint(2, 512)), base[start], count=1)]
            case "insert":
                start, end, new = start + 1, start + 1, [indent + rng.choice(_INSERTED)]
            case "delete":
                end, new = start + 1, []
            case "two" if start + 1 < len(base):
                end, new = start + 2, [indent + rng.choice(_INSERTED), base[start], *base[start + 1 : start + 2]]
            case _:
                end, new = start + 1, [base[start] + "  # changed"]
        before, after = (min(rng.randint(1, 3), room) for room in (start, len(base) - end))
        if before + after + end - start:
            sites.append(Site(start, end, tuple(new), before, after))
    return Change(base, tuple(sites)) if sites else None


def _variants(rng: Random, lines: Mapping[str, tuple[str, ...]], most: int) -> Iterator[Case]:
    """From a network of LEMUR to one that a model made of it, as a diff without numbers."""
    pairs = [(_VARIANT.sub("", name), name) for name in sorted(lines) if _VARIANT.search(name)]
    pairs = [(base, variant) for base, variant in pairs if base in lines and lines[base] != lines[variant]]
    for base, variant in rng.sample(pairs, min(most, len(pairs))):
        old, new = lines[base], lines[variant]
        for context in range(3, 12):
            groups = difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(context)
            spans = [(group[0][1], group[-1][2]) for group in groups]
            if all(places(old, old[start:end]) == 1 for start, end in spans):
                diff = difflib.unified_diff(old, new, n=context, lineterm="")
                edit = "".join(f"{'@@ ... @@' if line.startswith('@@') else line}\n" for line in diff)
                yield Case("diff: to a variant of LEMUR's", text_of(old), edit, text_of(new))
                break


def main(
    lemur: Annotated[
        Path | None, typer.Option(help="LEMUR's wheel, or the folder into which pip installed it.", metavar="PATH")
    ] = None,
    each: Annotated[int, typer.Option(help="Edits of each fault.", min=1)] = 40,
    seed: Annotated[int, typer.Option(help="The root of all chance.", min=0)] = 0,
    as_json: Json = False,
) -> None:
    """Apply a corpus of faulty edits; count correct, refused and wrong results.

    They are made from LEMUR's networks, or, without --lemur, from the built-in ones. 95 % Wilson intervals.
    """
    print_figures(bench_edits(lemur, each=each, seed=seed), ["faults"], as_json=as_json)


if __name__ == "__main__":
    typer.run(main)
