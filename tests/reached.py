"""What code a process can reach: a graph of names, read from the source and never run.

A function or class reaches every function, class and constant that it names, wherever that was imported from. A class
reaches all its methods. So the graph says rather too much than too little.
"""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[1]
_PACKAGES: Final = ("models", "referral_rewards", "activities", "workflows", "worker")


@dataclass(slots=True)
class _Module:
    """The definitions of a module by name, and what the names that it imported stand for."""

    name: str
    defines: dict[str, list[ast.stmt]] = field(default_factory=lambda: defaultdict(list))
    imports: dict[str, str] = field(default_factory=dict)
    loose: list[ast.stmt] = field(default_factory=list)


@cache
def _modules() -> Mapping[str, _Module]:
    found = {}
    for package in _PACKAGES:
        for path in sorted((_ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(_ROOT).with_suffix("").parts).removesuffix(".__init__")
            found[name] = _read(name, ast.parse(path.read_text()))
    return found


def _read(name: str, tree: ast.Module) -> _Module:
    module = _Module(name)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for each in node.names:
                module.imports[each.asname or each.name] = f"{node.module}.{each.name}"
        elif isinstance(node, ast.Import):
            for each in node.names:
                module.imports[each.asname or each.name] = each.name
    for statement in tree.body:
        match statement:
            case ast.FunctionDef(name=its) | ast.AsyncFunctionDef(name=its) | ast.ClassDef(name=its):
                module.defines[its].append(statement)
            case ast.Assign(targets=[ast.Name(id=its), *_]) | ast.AnnAssign(target=ast.Name(id=its)):
                module.defines[its].append(statement)
            case ast.Import() | ast.ImportFrom():
                pass
            case _:
                module.loose.append(statement)
    return module


def reached(roots: Iterable[str]) -> frozenset[str]:
    """Return what is reached from all that stands in these modules and packages, as ``module.name``."""
    modules = _modules()
    begin = [name for name in modules for root in roots if name == root or name.startswith(f"{root}.")]
    waiting = [f"{name}.{each}" for name in begin for each in modules[name].defines]
    for name in begin:
        for statement in modules[name].loose:
            waiting += _named(modules[name], statement)
    found: set[str] = set()
    while waiting:
        each = waiting.pop()
        if each in found:
            continue
        found.add(each)
        module, _, name = each.rpartition(".")
        for statement in modules[module].defines[name]:
            waiting += _named(modules[module], statement)
    return frozenset(found)


def definitions(*packages: str) -> Iterator[tuple[str, list[ast.stmt]]]:
    """Every definition of these packages, as ``module.name``, with its source."""
    for name, module in _modules().items():
        if name.partition(".")[0] in packages:
            yield from ((f"{name}.{each}", trees) for each, trees in module.defines.items())


def _named(module: _Module, tree: ast.AST) -> Iterator[str]:
    """Every definition of ours that a piece of code names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and (dotted := _dotted(node)) is not None:
            found = _definition(module, dotted)
            if found is not None:
                yield found


def _dotted(node: ast.expr) -> str | None:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            before = _dotted(value)
            return f"{before}.{name}" if before else None
    return None


def _definition(module: _Module, dotted: str) -> str | None:
    first, _, rest = dotted.partition(".")
    if first in module.defines:
        return f"{module.name}.{first}"
    if first not in module.imports:
        return None
    return _resolved(module.imports[first] + (f".{rest}" if rest else ""))


@cache
def _resolved(dotted: str) -> str | None:
    """The definition that a full name stands for, also where a package hands on what it imported."""
    modules, parts = _modules(), dotted.split(".")
    for length in range(len(parts) - 1, 0, -1):
        module = modules.get(".".join(parts[:length]))
        if module is not None:
            name = parts[length]
            if name in module.defines:
                return f"{module.name}.{name}"
            handed_on = module.imports.get(name)
            return _resolved(".".join([handed_on, *parts[length + 1 :]])) if handed_on else None
    return None
