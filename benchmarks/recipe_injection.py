"""How many injected recipes are right: each is read off the object that the sandbox builds of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from time import monotonic
from typing import Annotated, Literal

import typer

from benchmarks.recipe_audit import Found, audits, differs_elsewhere, fault
from benchmarks.space import SIDES, lemur_classifier, shape_pools
from deltanas import nets
from deltanas.calibrate import where
from deltanas.check import ContractGate
from deltanas.cli.output import Json, print_figures, say
from deltanas.errors import DataError, UsageError
from deltanas.intervals import wilson
from deltanas.lemur import open_tree
from deltanas.program import Probe, Program, Refused
from deltanas.program.recipes import LOSSES, OPTIMIZERS, RecipeError, with_recipe
from deltanas.records import Draft
from deltanas.sandbox import Pool
from deltanas.seams import Built
from deltanas.whole import append_rows, read_rows
from deltanas.wiring import program_of

BASES = tuple(
    """AirNet AirNext AlexNet BagNet ComplexNet ConvNeXt ConvNeXtTransformer DPN107 DPN131 DPN68 DarkNet DenseNet
    Diffuser EfficientNet FCN16s FCN8s GoogLeNet ICNet LRASPP MNASNet MaxVit MoEv2 MobileNetV2 MobileNetV3 RESNETLSTM
    RegNet ResNet ResNetTransformer ShuffleNet SwinTransformer UNet2D VGG VisionTransformer""".split()  # noqa: SIM905
)
"""LEMUR's networks whose losses and optimizers were varied in print."""
BAR = 0.99
"""Share of the variants of bases that build and train that must be right."""
RATE = 0.003
"""No base has it."""
MEMORY_GB = 8.0
"""Of a child: two moments of each of VGG's 130 million weights are beside them, and the object that is read off."""
_OURS = 28
_PART = 8
"""Figures of each part of a build's probe."""
Verdict = Literal["right", "refused", "wrong"]


@dataclass(frozen=True, slots=True)
class Variant:
    """A line of the table.

    Attributes:
        base: name of the network; those of LEMUR behind `lemur:`. side: height and width of its images; 0 where it
            builds at none. verdict: "right": built and as asked. "refused": by the injection, or a base that does not
            build. "wrong": injected, and not as asked. why: what is wrong, or the refusal.
    """

    base: str
    side: int
    loss: str
    optimizer: str
    verdict: Verdict
    why: str = ""


@dataclass(frozen=True, eq=False)
class _Base:
    name: str
    program: Program
    shape: tuple[int, int, int]
    built: Built
    found: Found


def check_injections(
    lemur: Path | None, out: Path, *, only: Sequence[str], seconds: float, say: Callable[[str], None]
) -> dict[str, object]:
    """Add lines to `out`, a `Variant` each, base by base, until all are there or the time is up.

    lemur: nn-dataset's wheel or folder. only: names of networks; all if empty.
    """
    began, started = where(), monotonic()
    done = [Variant(**row) for row in read_rows(out)]
    with shape_pools(MEMORY_GB) as pool_of:
        for name, program in _programs(lemur, only).items():
            if any(one.base == name for one in done):
                continue
            if monotonic() - started > seconds:
                break
            made = _checked(name, program, pool_of)
            append_rows(out, [asdict(one) for one in made])
            done += made
            told = ", ".join(f"{n} {verdict}" for verdict, n in Counter(one.verdict for one in made).items())
            say(f"{name}: {told} {next((one.why for one in made if one.why), '')}")
    return {**began, "load_after": where()["load"], **summary(done)}


def _programs(lemur: Path | None, only: Sequence[str]) -> dict[str, Program | None]:
    """None for a base that LEMUR's release does not hold."""
    found: dict[str, Program | None] = {name: program_of(source) for name, source in nets.baselines().items()}
    if lemur is not None:
        with open_tree(lemur) as tree:
            held = {f"nn/{name}.py": name for name in BASES}
            sources = {held[name]: tree.read(name).decode() for name in tree.names if name in held}
        if not sources:
            raise DataError(f"{lemur} holds none of the networks", "pip download --no-deps nn-dataset==1.2.6")
        found |= {f"lemur:{name}": lemur_classifier(sources[name]) if name in sources else None for name in BASES}
    if unknown := set(only) - found.keys():
        raise UsageError(f"no network {', '.join(sorted(unknown))}", f"known: {', '.join(found)}")
    return {name: program for name, program in found.items() if not only or name in only}


def _checked(name: str, program: Program | None, pool_of: Callable[[tuple[int, int, int]], Pool]) -> list[Variant]:
    base = _base(name, program, pool_of) if program else "the release does not hold it"
    recipes = list(product(LOSSES, OPTIMIZERS))
    if isinstance(base, str):
        return [Variant(name, 0, *recipe, "refused", f"the base does not build: {base}") for recipe in recipes]
    made: dict[tuple[str, str], Program] = {}
    refused: dict[tuple[str, str], str] = {}
    for loss, optimizer in recipes:
        try:
            source = with_recipe(base.program.net, loss=loss, optimizer=optimizer, rate=RATE)
            made[loss, optimizer] = Program({**base.program.parts, "net": source})
        except RecipeError as error:
            refused[loss, optimizer] = error.message
    faults = _faults(base, made, pool_of(base.shape))
    side = base.shape[1]
    return [
        Variant(name, side, *recipe, "refused", refused[recipe])
        if recipe in refused
        else Variant(name, side, *recipe, "wrong" if faults[recipe] else "right", faults[recipe])
        for recipe in recipes
    ]


def _base(name: str, program: Program, pool_of: Callable[[tuple[int, int, int]], Pool]) -> _Base | str:
    """The base at the first shape that it takes; or why it takes none."""
    theirs = name.startswith("lemur:")
    reason = ""
    for shape in [(3, side, side) for side in SIDES] if theirs else [(1, _OURS, _OURS)]:
        (built,) = pool_of(shape).build([program])
        if isinstance(built, Refused):
            reason = reason or built.reason
            continue
        (found,) = audits([program], pool_of(shape), shape)
        return (
            f"its recipe can't be read: {found}"
            if isinstance(found, str)
            else _Base(name, program, shape, built, found)
        )
    return reason


def _faults(base: _Base, made: Mapping[tuple[str, str], Program], pool: Pool) -> dict[tuple[str, str], str]:
    """What is wrong with each variant, "" for nothing."""
    programs = list(made.values())
    contract = ContractGate().judge([Draft(one) for one in programs])
    builds, found = pool.build(programs), audits(programs, pool, base.shape)
    faults = {}
    for (recipe, program), judged, built, told in zip(made.items(), contract, builds, found, strict=True):
        loss, optimizer = recipe
        if isinstance(judged, Refused):
            why = judged.reason
        elif isinstance(built, Refused):
            why = built.reason
        elif isinstance(told, str):
            why = told
        elif differs_elsewhere(base.program.net, program.net):
            why = "more than the calls has changed"
        else:
            why = probe_fault(base.built.probe, built.probe) or fault(
                base.found, told, loss=loss, optimizer=optimizer, rate=RATE
            )
        faults[recipe] = why
    return faults


def probe_fault(base: Probe, made: Probe) -> str:
    """The network must compute as before, and train otherwise."""
    for part in range(4):
        figures = slice(part * _PART, (part + 1) * _PART)
        if (base[figures] == made[figures]) != (part < 3):
            return f"part {part + 1} of the probe is {'the same' if part == 3 else 'another'}"
    return ""


def summary(done: Sequence[Variant]) -> dict[str, object]:
    """Counts; shares are of the variants whose base builds and trains."""
    built = [one for one in done if one.side]
    right = sum(one.verdict == "right" for one in built)
    wrong = [one for one in done if one.verdict == "wrong"]
    share = wilson(right, len(built)) if built else None
    names = list(dict.fromkeys(one.base for one in done))
    return {
        "variants": len(done),
        "of_bases_that_build": len(built),
        "right": right,
        "refused": sum(one.verdict == "refused" for one in built),
        "wrong_and_accepted": len(wrong),
        "share": None if share is None else [round(value, 4) for value in (share.value, share.low, share.high)],
        "bars_kept": share is not None and share.value >= BAR and not wrong,
        "bases": [_row(name, [one for one in done if one.base == name]) for name in names],
    }


def _row(name: str, rows: Sequence[Variant]) -> dict[str, object]:
    counts = Counter(one.verdict for one in rows)
    reasons = "; ".join(dict.fromkeys(one.why for one in rows if one.why))
    return {
        "base": name,
        "side": rows[0].side or "none",
        "right": counts["right"],
        "wrong": counts["wrong"],
        "why": reasons,
    }


def main(
    out: Annotated[
        Path, typer.Option(help="JSON lines, a variant each; what is there is gone on from.", metavar="FILE")
    ],
    lemur: Annotated[
        Path | None, typer.Option(help="LEMUR's wheel, or the folder into which pip installed it.", metavar="PATH")
    ] = None,
    net: Annotated[list[str] | None, typer.Option(help="Name of a network; may be repeated. All if not given.")] = None,
    seconds: Annotated[float, typer.Option(help="No further network is begun after so many seconds.")] = 1e9,
    as_json: Json = False,
) -> None:
    """Inject the 18 recipes into each network and check what the sandbox builds of them.

    Checked are the contract, two training steps, the optimizer's class and arguments, that each trainable parameter is
    in one group, the groups' rates, value and gradient of the loss on fixed logits, that the network computes as
    before, and that nothing but the calls has changed.
    """
    result = check_injections(lemur, out, only=net or (), seconds=seconds, say=say)
    print_figures(result, ["bases"], as_json=as_json)


if __name__ == "__main__":
    typer.run(main)
