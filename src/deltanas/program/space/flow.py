"""Which arguments of a network's layers hold one and the same width, by following the data through its forward pass.

Nothing is executed. Where the code can't be followed a width counts as fixed; a check in the sandbox has the last word.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from deltanas.program.net_class import net_class
from deltanas.program.space.source import Source, given
from deltanas.program.space.tables import FUNCTIONS, METHODS, PASSING, SAME, SIDES, Flow, Width

_MOST_STEPS = 4000
"""Calls that are followed in one program at most."""


@dataclass
class _Place:
    """A function whose code is followed: the class it belongs to, and what its names stand for."""

    owner: ast.ClassDef | None
    flows: dict[str, Flow] = field(default_factory=dict)
    modules: dict[str, ast.expr] = field(default_factory=dict)
    depth: int = 0


@dataclass
class _Summary:
    """A class or function that makes a module: its parameters, and the widths that enter, leave and stay inside."""

    names: tuple[str, ...]
    enters: Width
    leaves: Flow
    inside: list[Width]


class Follower:
    """Follows every class of a program; `widths` are those that can be changed."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._of: dict[int, Width] = {}
        self._made: list[Width] = []
        self._summaries: dict[str, _Summary | None] = {}
        self._steps = 0
        self._functions = {node.name: node for node in source.tree.body if isinstance(node, ast.FunctionDef)}
        net = net_class(source.tree)
        for name, owner in source.classes.items():
            if owner is net:
                self._follow_net(owner)
            else:
                self._summary(name)

    def widths(self) -> Iterator[Width]:
        """Each width that no code but its sites depends on, as far as was seen."""
        seen: set[int] = set()
        for width in self._made:
            root = width.root()
            if id(root) not in seen and not root.fixed and not root.through and root.sites:
                seen.add(id(root))
                yield root

    # Widths

    def _new(self, *, fixed: bool = False, through: bool = False) -> Width:
        self._made.append(Width(fixed=fixed, through=through))
        return self._made[-1]

    def _at(self, node: ast.expr | None) -> Width:
        """The width that an argument holds."""
        if node is None:
            return self._new(fixed=True)
        if id(node) not in self._of:
            self._of[id(node)] = self._new()
            self._of[id(node)].sites.append(node)
        return self._of[id(node)]

    def _meet(self, flow: Flow, node: ast.expr | None) -> None:
        """The argument `node` must hold the width of `flow`."""
        if len(flow) == 1:
            flow[0].join(self._at(node))
        elif not flow or node is None:
            self._fix((*flow, self._at(node)))
        else:
            roots = [part.root() for part in flow]
            for root in roots:  # as often as it enters the sum, however often the code is followed
                if root.sums.count(node) < roots.count(root):
                    root.sums.append(node)
            self._fix((self._at(node),))

    def _same(self, one: Flow, two: Flow) -> Flow:
        """Two tensors that are added, or two ways to the same name."""
        if not one or not two:
            return one or two
        if len(one) == 1 == len(two):
            return (one[0].join(two[0]),)
        if [part.root() for part in one] != [part.root() for part in two]:
            self._fix((*one, *two))
        return one

    def _fix(self, flow: Flow) -> Flow:
        for part in flow:
            part.root().fixed = True
        return flow

    # Modules

    def _through(self, module: ast.expr | None, flow: Flow, place: _Place) -> Flow:
        """What a module makes of a tensor, its constructor standing at `module`."""
        self._steps += 1
        if isinstance(module, ast.IfExp):
            return self._same(self._through(module.body, flow, place), self._through(module.orelse, flow, place))
        if isinstance(module, ast.Name) and module.id in place.modules:
            return self._through(place.modules[module.id], flow, place)
        if isinstance(module, ast.Call) and self._steps < _MOST_STEPS:
            name = self._source.dotted(module.func).rpartition(".")[2]
            if name in SIDES or name in SAME:
                return self._layer(module, name, flow)
            if name in PASSING:
                return flow
            if name in ("Sequential", "ModuleList"):
                for element in elements(module):
                    flow = self._element(element, flow, place)
                return flow
            summary = self._called(module, place)
            if summary is not None:
                return self._instance(module, summary, flow)
        return self._fix((*self._fix(flow), self._new()))[-1:]

    def _element(self, element: ast.expr, flow: Flow, place: _Place) -> Flow:
        if isinstance(element, ast.Tuple) and len(element.elts) == 2:  # ("name", layer) of an OrderedDict
            return self._through(element.elts[1], flow, place)
        if not isinstance(element, ast.Starred):
            return self._through(element, flow, place)
        made = element.value
        if isinstance(made, ast.ListComp | ast.GeneratorExp) and isinstance(made.generators[0].target, ast.Name):
            index = made.generators[0].target.id
            if not any(isinstance(node, ast.Name) and node.id == index for node in ast.walk(made.elt)):
                return self._same(flow, self._through(made.elt, flow, place))  # the same block, again and again
        return self._through(None, flow, place)

    def _layer(self, call: ast.Call, name: str, flow: Flow) -> Flow:
        if name in SAME:
            names = ("num_groups", "num_channels") if name == "GroupNorm" else (SAME[name], "num_heads")
            node = (given(call, (*names, *"abcdefgh")) or {}).get(SAME[name])
            if name != "PReLU" or node is not None:
                self._meet(flow, node)
            return flow
        arguments = given(call, (*SIDES[name], "stride", "padding", "dilation", "groups", *"abcdefgh")) or {}
        groups = arguments.get("groups")
        if SIDES[name][0] in ("in_channels", "in_features"):
            self._meet(flow, arguments.get(SIDES[name][0]))
        out = self._at(arguments.get("out_channels") or arguments.get("out_features"))
        if groups is not None and not isinstance(groups, ast.Constant):
            # Depthwise: as many groups as channels.
            texts = {side: self._source.of(arguments[side]) for side in SIDES[name][:2] if side in arguments}
            if self._source.of(groups) in texts.values() and len(flow) == 1:
                flow[0].join(self._at(groups))
                if len(set(texts.values())) == 1:
                    out = flow[0].join(out)
                else:
                    self._fix((*flow, out))
            else:
                self._fix((*flow, out))
        return (out,)

    def _called(self, call: ast.Call, place: _Place) -> _Summary | None:
        """The class, function or method of the program that makes the module."""
        if isinstance(call.func, ast.Name):
            return self._summary(call.func.id)
        if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "self" and place.owner:
            return self._summary(f"{place.owner.name}.{call.func.attr}")
        return None

    def _instance(self, call: ast.Call, summary: _Summary, flow: Flow) -> Flow:
        arguments = given(call, summary.names)
        made: dict[int, Width] = {}
        for width in (*summary.inside, summary.enters, *summary.leaves):
            root = width.root()
            made.setdefault(id(root), self._outside(root, summary, arguments))
        enters = made[id(summary.enters.root())]
        if len(flow) == 1:
            flow[0].join(enters)
        elif enters.root().sites:
            for site in enters.root().sites:
                self._meet(flow, site)
        else:
            self._fix((*flow, enters))
        return tuple(made[id(width.root())] for width in summary.leaves)

    def _outside(self, width: Width, summary: _Summary, arguments: dict[str, ast.expr] | None) -> Width:
        """What a width of a class is to the code that makes an instance: the arguments given for it."""
        names = [site.id if isinstance(site, ast.Name) and site.id in summary.names else "" for site in width.sites]
        if not any(names) and not width.fixed and all(isinstance(site, ast.Constant) for site in width.sites):
            return width if width.sites else self._new()
        outside = self._new(fixed=arguments is None or not all(names) or bool(width.sums) or width.fixed)
        for name in dict.fromkeys(filter(None, names)):
            outside = outside.join(self._at((arguments or {}).get(name)))
        return outside

    # Classes and functions

    def _summary(self, name: str) -> _Summary | None:
        if name not in self._summaries:
            self._summaries[name] = None  # one that makes itself is not followed
            self._summaries[name] = self._summarised(name)
        return self._summaries[name]

    def _summarised(self, name: str) -> _Summary | None:
        if "." in name:
            owner, _, method = name.partition(".")
            return self._maker(self._method(self._source.classes.get(owner), method), self._source.classes.get(owner))
        if name in self._functions:
            return self._maker(self._functions[name], None)
        owner_class = self._source.classes.get(name)
        forward, init = self._method(owner_class, "forward"), self._method(owner_class, "__init__")
        if owner_class is None or forward is None or init is None or len(forward.args.args) < 2:
            return None
        before = len(self._made)
        enters = self._new(through=True)
        place = _Place(owner_class, {forward.args.args[1].arg: (enters,)})
        for argument in forward.args.args[2:]:
            place.flows[argument.arg] = (self._new(fixed=True),)
        leaves = self._body(forward.body, place) or (self._new(fixed=True),)
        return self._closed(init, enters, leaves, before)

    def _maker(self, function: ast.FunctionDef | None, owner: ast.ClassDef | None) -> _Summary | None:
        """A function that returns a module."""
        returns = [node for node in ast.walk(function) if isinstance(node, ast.Return)] if function else []
        if function is None or len(returns) != 1 or not isinstance(returns[0].value, ast.Call):
            return None
        before = len(self._made)
        enters = self._new(through=True)
        return self._closed(function, enters, self._through(returns[0].value, (enters,), _Place(owner)), before)

    def _closed(self, init: ast.FunctionDef, enters: Width, leaves: Flow, before: int) -> _Summary:
        for width in leaves:
            width.root().through = True
        inside = {id(w.root()): w.root() for w in self._made[before:] if not w.root().through and w.root().sites}
        names = tuple(argument.arg for argument in init.args.args if argument.arg != "self")
        return _Summary(names, enters, leaves, list(inside.values()))

    def _method(self, owner: ast.ClassDef | None, name: str) -> ast.FunctionDef | None:
        found = (
            [node for node in owner.body if isinstance(node, ast.FunctionDef) and node.name == name] if owner else []
        )
        return found[-1] if found else None

    def _follow_net(self, owner: ast.ClassDef) -> None:
        forward = self._method(owner, "forward")
        if forward is not None and len(forward.args.args) > 1:
            place = _Place(owner, {forward.args.args[1].arg: (self._new(fixed=True),)})
            self._fix(self._body(forward.body, place))

    # Code

    def _body(self, body: Sequence[ast.stmt], place: _Place) -> Flow:
        """Follow statements; the flow that they return."""
        returned: Flow = ()
        for statement in body:
            match statement:
                case ast.Return(value=ast.expr() as value):
                    returned = self._same(returned, self._flow(value, place))
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    place.flows[name] = self._flow(value, place)
                case ast.AugAssign(target=ast.Name(id=name), value=value):
                    place.flows[name] = self._same(place.flows.get(name, ()), self._flow(value, place))
                case ast.Assign(targets=[ast.Tuple(elts=[ast.Name(id=first), *others])], value=ast.Call() as value):
                    place.flows[first] = self._flow(value, place)
                    place.flows.update((other.id, ()) for other in others if isinstance(other, ast.Name))
                case ast.If(body=then, orelse=otherwise):
                    before = dict(place.flows)
                    one = self._body(then, place)
                    after, place.flows = place.flows, before
                    two = self._body(otherwise, place)
                    returned = self._same(returned, self._same(one, two))
                    for name, flow in after.items():
                        place.flows[name] = self._same(place.flows.get(name, ()), flow)
                case ast.For(target=ast.Name(id=name), iter=over, body=inner):
                    for module in self._looped(over, place):
                        place.modules[name] = module
                        returned = self._same(returned, self._body(inner, place))
                case _:
                    for node in ast.walk(statement):
                        if isinstance(node, ast.Name) and node.id in place.flows:
                            self._fix(place.flows[node.id])
        return returned

    def _looped(self, over: ast.expr, place: _Place) -> list[ast.expr]:
        """The modules of a list that a loop goes over; one that is not known where they can't be seen."""
        made = self._attribute(over, place)
        found = elements(made) if isinstance(made, ast.Call) else []
        if not found or any(isinstance(element, ast.Starred) for element in found):
            return [ast.Name("?", ast.Load())]
        return found

    def _attribute(self, node: ast.expr, place: _Place) -> ast.expr | None:
        """What `self.name` was set to."""
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self" and place.owner:
            extended = (
                f"self.{node.attr}.{method}(" in self._source.text for method in ("add_module", "append", "extend")
            )
            return None if any(extended) else self._source.attributes.get((place.owner.name, node.attr))
        return None

    def _flow(self, node: ast.expr, place: _Place) -> Flow:
        match node:
            case ast.Name(id=name):
                return place.flows.get(name, ())
            case ast.BinOp(left=left, right=right):
                return self._same(self._flow(left, place), self._flow(right, place))
            case ast.UnaryOp(operand=operand):
                return self._flow(operand, place)
            case ast.IfExp(body=one, orelse=two):
                return self._same(self._flow(one, place), self._flow(two, place))
            case ast.Subscript(value=ast.Call() as call, slice=ast.Constant(value=0)):
                return self._flow(call, place)
            case ast.Call():
                return self._call(node, place)
            case ast.Tuple() | ast.List() | ast.Subscript():
                for child in ast.walk(node):
                    if isinstance(child, ast.Name):
                        self._fix(place.flows.get(child.id, ()))
        return ()

    def _call(self, call: ast.Call, place: _Place) -> Flow:
        arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
        head, _, name = self._source.dotted(call.func).rpartition(".")
        if head.startswith("torch"):
            if name in ("cat", "concat", "concatenate"):
                return self._cat(call, place)
            if name in FUNCTIONS and call.args:
                return self._flow(call.args[0], place)
        elif isinstance(call.func, ast.Name) and call.func.id in place.modules:
            return self._through(place.modules[call.func.id], self._joined(call.args, place), place)
        elif isinstance(call.func, ast.Attribute):
            made = self._attribute(call.func, place)
            if made is not None:
                return self._through(made, self._joined(call.args, place), place)
            method = self._method(place.owner, call.func.attr) if ast.unparse(call.func.value) == "self" else None
            if method is not None and place.depth < 8:
                given_flows = [self._flow(argument, place) for argument in call.args]
                names = [argument.arg for argument in method.args.args[1:]]
                inner = _Place(place.owner, dict(zip(names, given_flows, strict=False)), depth=place.depth + 1)
                return self._body(method.body, inner)
            of = self._flow(call.func.value, place)
            if of and call.func.attr in METHODS:
                if call.func.attr in ("view", "reshape") and len(call.args) == 2 and not _free(call.args[1]):
                    self._meet(of, call.args[1])
                return of
            self._fix(of)
        flows = [self._flow(argument, place) for argument in arguments]
        if not any(flows):
            return ()
        for flow in flows:
            self._fix(flow)
        return (self._new(fixed=True),)

    def _joined(self, arguments: Sequence[ast.expr], place: _Place) -> Flow:
        """The flow into a module: query, key and value of an attention are of one width."""
        flow: Flow = ()
        for argument in arguments:
            flow = self._same(flow, self._flow(argument, place))
        return flow or (self._new(fixed=True),)

    def _cat(self, call: ast.Call, place: _Place) -> Flow:
        parts = call.args[0] if call.args else None
        dim = next((k.value for k in call.keywords if k.arg == "dim"), call.args[1] if len(call.args) > 1 else None)
        if isinstance(parts, ast.List | ast.Tuple) and dim is not None and ast.unparse(dim) in ("1", "-1", "-3"):
            flows = [self._flow(part, place) for part in parts.elts]
            if all(flows):
                return tuple(part for flow in flows for part in flow)
        for node in ast.walk(call):
            if isinstance(node, ast.Name):
                self._fix(place.flows.get(node.id, ()))
        return (self._new(fixed=True),)


def _free(size: ast.expr) -> bool:
    """Whether a size is left to torch, or read off a tensor."""
    return ast.unparse(size) == "-1" or any(isinstance(node, ast.Attribute) for node in ast.walk(size))


def elements(call: ast.Call) -> list[ast.expr]:
    """What a Sequential or ModuleList is made of."""
    if len(call.args) == 1 and isinstance(call.args[0], ast.List):
        return call.args[0].elts
    if len(call.args) == 1 and isinstance(call.args[0], ast.Call) and call.args[0].args:
        inner = call.args[0].args[0]  # OrderedDict([("name", layer), ...])
        return inner.elts if isinstance(inner, ast.List) else list(call.args)
    return list(call.args)
