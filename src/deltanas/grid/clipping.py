"""Does a network clip its gradients? It hides how large a loss is, so a comparison of losses has to say so."""

from __future__ import annotations

import ast

from deltanas.program.canonical import parsed

_LIMITS = {"clip_grad_norm_": "max_norm", "clip_grad_value_": "clip_value"}


def clipping_of(source: str) -> str:
    """The calls that clip gradients, each with its limit as it is written, as "clip_grad_norm_ 1.0".

    "none" where there are none, or the source does not parse.
    """
    found = []
    tree = parsed(source)
    for node in ast.walk(tree) if tree else ():
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", None) or getattr(node.func, "id", "")
        if name in _LIMITS:
            named = {word.arg: word.value for word in node.keywords}
            limit = named.get(_LIMITS[name], node.args[1] if len(node.args) > 1 else None)
            found.append(f"{name} {ast.unparse(limit)}" if limit else name)
    return ", ".join(found) or "none"
