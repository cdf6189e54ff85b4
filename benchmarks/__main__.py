"""`python -m benchmarks NAME ...` in the root of a checkout; without a name, the list of them."""

from __future__ import annotations

import ast
import runpy
import sys
from pathlib import Path

from deltanas.errors import DeltanasError, UsageError


def main() -> None:
    known = _known()
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        width = max(map(len, known))
        sys.stdout.write("python -m benchmarks NAME ...   (NAME --help: its options)\n\n")
        sys.stdout.writelines(f"  {name:{width}}  {about}\n" for name, about in known.items())
        return
    name = sys.argv.pop(1)
    try:
        if name not in known:
            raise UsageError(f"no benchmark {name!r}", f"known: {', '.join(known)}")
        runpy.run_module(f"benchmarks.{name}", run_name="__main__", alter_sys=True)
    except DeltanasError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(2 if isinstance(error, UsageError) else 1) from None


def _known() -> dict[str, str]:
    """The modules beside this one that have a `main`, with the first line of their docstring."""
    known = {}
    for file in sorted(Path(__file__).parent.glob("[!_]*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body):
            known[file.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return known


if __name__ == "__main__":
    main()
