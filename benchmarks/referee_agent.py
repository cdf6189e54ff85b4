"""A small language model of this machine plays under the referee, as an agent does: what does it manage?

    python -m benchmarks referee_agent RUN [--llm SPEC] [--slots N] [--decoding free|anchored]

It starts `deltanas serve --mcp RUN` as the client of an agent does, by the SDK. For each slot it asks, writes an edit
towards one of the goals that the referee names, lets it be checked, tries again with the reason where it is refused,
three times at most, and tells it. It sees what the server sends and nothing else. `free`: whatever the model writes;
`anchored`: its SEARCH side is held to lines of the source. One line of JSON a slot, then what became of all.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any, Literal

from mcp import Client, StdioServerParameters

from deltanas.llm import Model, Request, open_model
from deltanas.propose.goals import goals
from deltanas.propose.grammar import anchored_grammar
from deltanas.propose.prompt import render

TRIES = 3
Decoding = Literal["free", "anchored"]


async def played(server: StdioServerParameters, model: Model, slots: int, decoding: Decoding) -> list[dict[str, Any]]:
    async with Client(server) as client:
        found = []
        for number in range(slots):
            asked = await _called(client, "ask")
            if asked["slot"] is None:
                sys.stderr.write(f"{asked['reason']}\n")
                break
            found.append(await _answered(client, model, asked, f"{decoding}:{number}", decoding))
            sys.stdout.write(json.dumps(found[-1]) + "\n")
        return found


async def _answered(
    client: Client, model: Model, asked: dict[str, Any], key: str, decoding: Decoding
) -> dict[str, Any]:
    """One slot: tries until the gates let an edit through, then the last one is told."""
    reasons: list[str] = []
    edit = kind = ""
    tries = 0
    while tries < TRIES:
        kind, request = asking(asked, f"{key}:{tries}", decoding, reasons)
        tries += 1
        (reply,) = model.generate([request])
        edit = reply.text
        checked = await _called(client, "check", slot=asked["slot"], edit=edit)
        if checked["status"] == "checked":
            break
        reasons.append(checked["reason"])
    told = await _called(client, "tell", slot=asked["slot"], edit=edit, kind=kind)
    kept = ("slot", "status", "verdict", "reason", "accuracy", "gain", "low", "high")
    return {**{name: told[name] for name in kept}, "kind": kind, "tries": tries, "refused": reasons}


def asking(asked: dict[str, Any], key: str, decoding: Decoding, reasons: list[str]) -> tuple[str, Request]:
    """A goal and a line of the source are drawn; what was refused for the slot is told."""
    rng, source = Random(key), str(asked["source"])
    kind = rng.choice(sorted(asked["known"]["goals"]))
    place = rng.choice([line for line in source.split("\n") if "nn." in line and line.startswith("        ")])
    messages = render(
        "blocks",
        source=source,
        goal=rng.choice(goals()[kind]).text,
        facts=(),
        earlier="\n".join(reasons),
        place=place,
        reason=False,
    )
    grammar = anchored_grammar(source, place) if decoding == "anchored" else None
    return kind, Request(messages, key, grammar, max_tokens=256)


async def _called(client: Client, tool: str, /, **given: object) -> dict[str, Any]:
    found = await client.call_tool(tool, given)
    if found.is_error or found.structured_content is None:
        raise SystemExit(f"{tool}: {found.content}")
    return dict(found.structured_content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run of strategy outside")
    parser.add_argument("--llm", default="smollm2", metavar="SPEC")
    parser.add_argument("--slots", type=int, default=6)
    parser.add_argument("--decoding", choices=("free", "anchored"), default="free")
    given = parser.parse_args()
    command = str(Path(sys.executable).with_name("deltanas"))
    arguments = ["serve", "--mcp", str(given.run), "--as", f"{given.llm}-{given.decoding}"]
    server = StdioServerParameters(command=command, args=arguments, env=dict(os.environ))
    rows = asyncio.run(played(server, open_model(given.llm), given.slots, given.decoding))
    tries = sum(row["tries"] for row in rows)
    told = Counter(f"{row['status']}/{row['verdict']}" for row in rows)
    sys.stdout.write(
        f"{len(rows)} slots, {tries} edits written: " + ", ".join(f"{n} {k}" for k, n in told.items()) + "\n"
    )


if __name__ == "__main__":
    main()
