"""A plain `nn.Module` of (channels, classes) as a program by the contract, or what is missing for it, line by line."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from deltanas.program.canonical import parsed, unparsed

_HEAD = '''

def supported_hyperparameters() -> set[str]:
    return {"lr", "momentum"}


class %(net)s(torch.nn.Module):
    """`%(name)s` by the contract: it is built for the images and classes that are given, and says how it learns."""

    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.device = device
        self.network = %(name)s(%(given)s)

    def forward(self, x):
        return self.network(x)

    def train_setup(self, prm):
        self.to(self.device)
        self.criteria = torch.nn.CrossEntropyLoss()
        self.optimizer = torch.optim.AdamW(self.parameters(), lr=prm["lr"], betas=(prm["momentum"], 0.99))

    def learn(self, train_data):
        self.train()
        for inputs, labels in train_data:
            self.optimizer.zero_grad()
            loss = self.criteria(self(inputs.to(self.device)), labels.to(self.device))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.parameters(), max_norm=1.0)
            self.optimizer.step()
'''


@dataclass(frozen=True, slots=True)
class Adapted:
    """source: the program, None where something is missing. faults: what, each with its line. name: of the class."""

    source: str | None
    faults: tuple[str, ...] = ()
    name: str = ""


def adapted(source: str, name: str | None = None, offered: Sequence[str] = ()) -> Adapted:
    """The module as a program. Nothing is executed; whether it builds is seen by a check.

    name: of the class; the last one that is a Module if not given. offered: packages that a program may import beside
    the standard library; () does not look.
    """
    tree = parsed(source)
    if tree is None:
        line, why = unparsed(source)
        return Adapted(None, (f"line {line}: no Python that this interpreter reads: {why}",))
    modules = _modules(tree)
    chosen = modules.get(name) if name else next(reversed(modules.values()), None)
    if chosen is None:
        known = ", ".join(modules) or "none"
        missing = f"no class {name}" if name else "no class that derives from torch.nn.Module"
        return Adapted(None, (f"{missing} at the top of the file; classes that do: {known}",))
    faults = (*_constructor_faults(chosen, modules), *_forward_faults(chosen, modules), *_faults(tree, offered))
    if faults:
        return Adapted(None, faults, chosen.name)
    return Adapted(_wrapped(source, tree, chosen.name, _given(chosen, modules)), (), chosen.name)


def _wrapped(source: str, tree: ast.Module, name: str, given: str) -> str:
    """The text as it is, without what runs it as a script, and the class that follows the contract behind it."""
    lines = source.rstrip("\n").split("\n")
    if any(isinstance(node, ast.ClassDef) and node.name == "Net" for node in tree.body):  # the contract's has that name
        own = next(fresh for number in count() if (fresh := f"Plain{number or ''}") not in source)
        _rename(lines, tree, "Net", own)
        name = own if name == "Net" else name
    for node in reversed(tree.body):
        if _is_script(node):
            del lines[node.lineno - 1 : node.end_lineno]
    first = _first_line(tree)
    if not any(_imports_torch(node) for node in tree.body):
        lines.insert(first, "import torch")
    return "\n".join(lines).rstrip("\n") + "\n" + _HEAD % {"net": "Net", "name": name, "given": given}


def _rename(lines: list[str], tree: ast.Module, old: str, new: str) -> None:
    """Give a name of the module another, wherever it is read: `super(Net, self)` means the class as it was."""
    places = [(n.lineno, n.col_offset) for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == old]
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == old:
            line = lines[node.lineno - 1]
            places.append((node.lineno, len(line[: line.index(old, line.index("class") + 5)].encode())))
    for number, column in sorted(places, reverse=True):
        text = lines[number - 1].encode()
        if text[column:].startswith(old.encode()):  # within an f-string a place may be told wrongly
            lines[number - 1] = (text[:column] + new.encode() + text[column + len(old) :]).decode()


def _first_line(tree: ast.Module) -> int:
    """Number of lines before the place where an import may stand: behind the docstring and what is from the future."""
    last = 0
    for place, node in enumerate(tree.body):
        is_text = place == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not is_text and not (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
            break
        last = node.end_lineno or node.lineno
    return last


def _imports_torch(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import) and any(each.name == "torch" and each.asname is None for each in node.names)


def _is_script(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).replace('"', "'") in (
        "__name__ == '__main__'",
        "'__main__' == __name__",
    )


def _modules(tree: ast.Module) -> dict[str, ast.ClassDef]:
    """Classes that derive from a Module, directly or by another class of the file."""
    found: dict[str, ast.ClassDef] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            bases = [ast.unparse(base) for base in node.bases]
            if any(base.split(".")[-1] == "Module" or base in found for base in bases):
                found[node.name] = node
    return found


def _method(node: ast.ClassDef, name: str, modules: Mapping[str, ast.ClassDef]) -> ast.FunctionDef | None:
    """Its own, or the one that it inherits from a class that stands before it."""
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and each.name == name:
            return each
    bases = (modules.get(ast.unparse(base)) for base in node.bases)
    before = (base for base in bases if base is not None and base.lineno < node.lineno)
    return next((found for base in before if (found := _method(base, name, modules))), None)


def _given(node: ast.ClassDef, modules: Mapping[str, ast.ClassDef]) -> str:
    """What the constructor is called with; "" where its first value is the number of classes and none of channels."""
    found = _method(node, "__init__", modules)
    names = [each.arg for each in (*found.args.args, *found.args.kwonlyargs)][1:] if found else []
    if not names or "class" not in names[0].lower():
        return "in_shape[1], out_shape[0]"
    channels = [name for name in names if "chan" in name.lower() or name.lower().startswith("in_")]
    return f"{channels[0]}=in_shape[1], {names[0]}=out_shape[0]" if channels else ""


def _constructor_faults(node: ast.ClassDef, modules: Mapping[str, ast.ClassDef]) -> Iterator[str]:
    found = _method(node, "__init__", modules)
    if found is None:
        yield f"line {node.lineno}: class {node.name} has no __init__(self, channels, classes)"
        return
    needed, allowed = _counts(found)
    if needed > 2 or allowed < 2 or not _given(node, modules):
        given = ast.unparse(found.args) or "nothing"
        yield (
            f"line {found.lineno}: {node.name}.__init__ takes ({given}); it must work with two values, the number of"
            " channels of an image and the number of classes: give all others a default"
        )


def _forward_faults(node: ast.ClassDef, modules: Mapping[str, ast.ClassDef]) -> Iterator[str]:
    found = _method(node, "forward", modules)
    if found is None:
        yield f"line {node.lineno}: class {node.name} has no forward(self, x)"
        return
    needed, allowed = _counts(found)
    if needed > 1 or allowed < 1:
        given = ast.unparse(found.args)
        yield f"line {found.lineno}: {node.name}.forward takes ({given}); it must work with a batch alone"


def _counts(function: ast.FunctionDef) -> tuple[int, float]:
    """Number of positional arguments beside `self` that a call must give, and that it may give."""
    args = function.args
    places = len(args.posonlyargs) + len(args.args) - 1
    named = sum(default is None for default in args.kw_defaults)
    return places - len(args.defaults) + 3 * named, float("inf") if args.vararg else places


def _faults(tree: ast.Module, offered: Sequence[str]) -> Iterator[str]:
    """What does not work in a sandbox."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from _foreign(node.lineno, [each.name for each in names], offered)
            case ast.ImportFrom(module=module, level=level):
                if level:
                    yield f"line {node.lineno}: a relative import; a program is one file"
                elif module:
                    yield from _foreign(node.lineno, [module], offered)
            case ast.Call(func=ast.Attribute(attr="cuda")):
                yield f"line {node.lineno}: .cuda() names a device; leave it out, the program is moved as a whole"


def _foreign(line: int, modules: Sequence[str], offered: Sequence[str]) -> Iterator[str]:
    for module in modules:
        root = module.partition(".")[0]
        if offered and root not in offered and root not in sys.stdlib_module_names:
            yield f"line {line}: {root} can't be imported in the sandbox; there are {', '.join(offered)}"
