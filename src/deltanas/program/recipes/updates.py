"""What trains a network beside its optimizer, and what stands there by no name that is read: no recipe covers these."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from deltanas.program.net_class import net_class
from deltanas.program.recipes.reading import RecipeSource

_RUNS_TEXT = frozenset({"exec", "eval", "compile", "__import__"})
_TABLES = frozenset({"vars", "globals", "locals"})
_OWN_TABLES = frozenset({"__dict__", "_modules"})
_GIVES_WEIGHTS = frozenset({"parameters", "named_parameters", "state_dict", "get_parameter"})
_WEIGHTS = frozenset({"weight", "bias", "data"})
_SAME = frozenset({"values", "items", "view", "view_as", "reshape", "flatten", "detach", "squeeze", "unsqueeze", "t"})
"""Methods that give what they are called of, or parts of it, in the same memory."""
_HOLDERS = frozenset({"list", "tuple", "dict", "zip", "enumerate", "reversed", "iter", "next", "filter", "sorted"})
_NO_VALUES = frozenset({"requires_grad_", "share_memory_", "retain_grad_", "apply_", "map_"})
_WHOLE = frozenset({"vector_to_parameters"})
_ALONE = "leave the weights to the optimizer's step(): a recipe says nothing of what changes them besides"


def require_read(source: RecipeSource) -> None:
    """Raises RecipeError where a text is run as code, or names are set that the text does not tell."""
    for node in source.nodes:
        name = _builtin(source, node)
        if name in _RUNS_TEXT:
            why = f"{name} runs a text that is not read, so another recipe may be trained"
            raise source.fault(node, why, f"write what it does in place of {name}(...)")
        if _gives_table(source, node, name) or _sets_untold(source, node):
            why = "this may set the optimizer or the loss by a name that is not read"
            raise source.fault(node, why, "set attributes as in `self.optimizer = ...`")


def _builtin(source: RecipeSource, node: ast.AST) -> str:
    """The name of one of Python's own functions; "" for anything else."""
    if isinstance(node, ast.Name) and source.is_free(node.id):
        return node.id
    module, _, name = source.dotted(node).rpartition(".") if isinstance(node, ast.Name | ast.Attribute) else ("",) * 3
    return name if module == "builtins" else ""


def _gives_table(source: RecipeSource, node: ast.AST, name: str) -> bool:
    """An object's attributes as a dictionary, but where that is only read: `f(**self.__dict__)`, `vars(a)["b"]`."""
    if name not in _TABLES and not (isinstance(node, ast.Attribute) and node.attr in _OWN_TABLES):
        return False
    above = source.parents.get(node)
    if isinstance(above, ast.Call) and above.func is node:
        above = source.parents.get(above)
    match above:
        case ast.keyword(arg=None) | ast.Subscript(slice=ast.Constant(), ctx=ast.Load()):
            return False
    return True


def _sets_untold(source: RecipeSource, node: ast.AST) -> bool:
    """An attribute set by a name that is put together, of a network that may have its optimizer by then."""
    match node:
        case ast.Call(func=ast.Name(id="setattr"), args=[of, name, _]):
            pass
        case ast.Call(func=ast.Attribute(value=of, attr="__setattr__"), args=[*_, name, _]):
            pass
        case _:
            return False
    owner = source.owner(node)
    building = getattr(owner, "name", "") == "__init__"
    layer = source.class_of(node)
    other = layer is not None and layer is not net_class(source.tree) and isinstance(of, ast.Name) and of.id == "self"
    return not isinstance(name, ast.Constant) and not building and not other


def require_steps_alone(source: RecipeSource) -> None:
    """Raises RecipeError where weights are changed by anything but the optimizer's step.

    By a gradient that is anywhere; otherwise in what `learn` comes to, as a constructor sets weights too. And where
    something is hooked in, which may change gradients and outputs as well.
    """
    for node in source.nodes:
        if isinstance(node, ast.Attribute) and node.attr.startswith("register_") and "hook" in node.attr:
            why = f"{node.attr} hooks something in that may change outputs, gradients or weights"
            raise source.fault(node, why, "write what it does into forward or learn")
    trained = _reached(source, "learn")
    gradients = any(isinstance(node, ast.Attribute) and node.attr == "grad" for node in source.nodes)
    for node in (one for one in source.nodes if gradients or one in trained):
        for target, by in _changes(node):
            if _is_gradient(target):
                continue
            if (gradients and _by_gradient(source, target, by)) or (node in trained and _is_weight(source, target)):
                told = source.of(target).splitlines()[0][:80]
                raise source.fault(node, f"`{told}` is changed here, beside the optimizer", _ALONE)


def _changes(node: ast.AST) -> Iterator[tuple[ast.expr, tuple[ast.expr, ...]]]:
    """(what is changed in place, by what): assignments to it, methods in place, torch's functions that write."""
    match node:
        case ast.AugAssign(target=target, value=value):
            yield target, (value,)
        case ast.Assign(targets=targets, value=value):
            for each in targets:
                if isinstance(each, ast.Subscript) or (isinstance(each, ast.Attribute) and each.attr == "data"):
                    yield each, (value,)
        case ast.Call(func=ast.Attribute(value=of, attr=name), args=args, keywords=keywords):
            if name.startswith("_foreach_") and name.endswith("_") and args:
                yield args[0], tuple(args[1:])
            elif name in _WHOLE and len(args) > 1:
                yield args[1], (args[0],)
            elif name.endswith("_") and not name.startswith("_") and name not in _NO_VALUES:
                yield of, (*args, *(one.value for one in keywords))
        case ast.Call(func=ast.Name(id=name), args=[vector, weights]) if name in _WHOLE:
            yield weights, (vector,)


def _reached(source: RecipeSource, start: str) -> frozenset[ast.AST]:
    """The code of a method, and of the functions and methods that it names, by turns."""
    found: set[ast.AST] = set()
    names, todo = {start}, [start]
    while todo:
        for function in source.functions(todo.pop()):
            if function.name == "__init__":
                continue
            inside = set(ast.walk(function))
            found |= inside
            more = {one.id for one in inside if isinstance(one, ast.Name)}
            more |= {one.attr for one in inside if isinstance(one, ast.Attribute)}
            todo += sorted(more - names)
            names |= more
    return frozenset(found)


def _is_gradient(node: ast.expr) -> bool:
    return any(isinstance(one, ast.Attribute) and one.attr == "grad" for one in _chain(node))


def _chain(node: ast.expr) -> Iterator[ast.expr]:
    """A value, what it is an attribute or an item of or a method's result, and so on."""
    at: ast.expr | None = node
    while at is not None:
        yield at
        match at:
            case ast.Attribute(value=inner) | ast.Subscript(value=inner) | ast.Starred(value=inner):
                at = inner
            case ast.Call(func=ast.Attribute(value=inner)):
                at = inner
            case _:
                at = None


def _by_gradient(source: RecipeSource, target: ast.expr, by: tuple[ast.expr, ...]) -> bool:
    """Whether the values are made of the gradient of what is changed, as in `p -= rate * p.grad`."""
    own = {ast.unparse(one) for one in _chain(target)}
    parts = {part for one in by for part in source.origin(one)}
    grads = [one for one in parts if isinstance(one, ast.Attribute) and one.attr == "grad"]
    return any(ast.unparse(one.value) in own for one in grads)


def _is_weight(source: RecipeSource, node: ast.AST, depth: int = 8) -> bool:
    """Whether an expression gives weights, or what holds them, as far as the text tells."""
    if depth == 0:
        return False
    match node:
        case ast.Name(id=name):
            owner = source.owner(node)
            bound = [value for at, value in source.settings(name, owner) if not isinstance(at, ast.AugAssign)]
            return any(_is_weight(source, one, depth - 1) for one in [*bound, *_given(source, owner, name)])
        case ast.Attribute():
            return _is_weight_attribute(source, node, depth)
        case ast.Subscript(slice=ast.Constant(value="params")):
            return True
        case (
            ast.Subscript(value=inner)
            | ast.Starred(value=inner)
            | ast.ListComp(elt=inner)
            | ast.GeneratorExp(elt=inner)
        ):
            return _is_weight(source, inner, depth - 1)
        case ast.Tuple(elts=several) | ast.List(elts=several):
            return any(_is_weight(source, one, depth - 1) for one in several)
        case ast.Call(func=ast.Name(id=name), args=args) if name in _HOLDERS:
            return any(_is_weight(source, one, depth - 1) for one in args)
        case ast.Call(func=ast.Attribute(value=inner, attr=name)):
            if name in _GIVES_WEIGHTS:
                return True
            return (name in _SAME or name.endswith("_")) and _is_weight(source, inner, depth - 1)
    return False


def _is_weight_attribute(source: RecipeSource, node: ast.Attribute, depth: int) -> bool:
    if node.attr in _WEIGHTS | _GIVES_WEIGHTS:
        return True
    if node.attr == "grad":
        return False
    owner = source.class_of(node)
    made = source.attributes.get((owner.name, node.attr)) if owner else None
    if made is None:
        return _is_weight(source, node.value, depth - 1)
    return isinstance(made, ast.Call) and source.dotted(made.func).endswith(".Parameter")


def _given(source: RecipeSource, function: ast.AST, name: str) -> list[ast.expr]:
    """What calls give for a function's argument."""
    if not isinstance(function, ast.FunctionDef):
        return []
    names = [one.arg for one in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
    if name not in names:
        return []
    found: list[ast.expr] = []
    for node in source.nodes:
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == function.name:
            place = names.index(name) - (names[0] == "self" and isinstance(node.func, ast.Attribute))
            found += node.args[place : place + 1]
            found += [one.value for one in node.keywords if one.arg == name]
    return found
