"""
`docs/architecture.md` is true: its map has every package, each name exists, and the steps of each way call each other.

In a way, the first name of a step is the caller, and the names after it are what it uses, in the order of its source.
What private functions of the same file do counts as the caller's own. The caller of each step was named before, or
(where one part leaves something for another) shares with the step before it the class through which it gets it.
"""

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

from monitor.web.routes import ROUTES

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "monitor" / "web" / "page"
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
WAYS = ("one image", "one PATCH", "one change to a browser", "one reload")
MOST_STEPS = 12  # a way that is longer is no longer a map

NAME = re.compile(r"`page/(?P<file>[\w-]+\.js)` `(?P<function>\w+)`|`(?P<dotted>monitor(?:\.\w+)+)`")


class Name(NamedTuple):
    """A name in the text. ``owner``: a module, a class or a file of the page; ``last``: what it has of that name."""

    owner: str
    last: str

    @property
    def in_page(self) -> bool:
        return self.owner.endswith(".js")


Step = Sequence[Name]


def names(text: str) -> list[Name]:
    """The names of functions and classes in a text, in order; those of packages and modules, too."""
    found = NAME.finditer(text)
    dotted = (each["dotted"].rpartition(".") if each["dotted"] else None for each in found)
    places = NAME.finditer(text)
    return [
        Name(owner[0], owner[2]) if owner else Name(each["file"], each["function"])
        for owner, each in zip(dotted, places, strict=True)
    ]


def section(heading: str) -> str:
    """The text under a heading of the second level."""
    return ARCHITECTURE.split(f"\n## {heading}\n", 1)[1].partition("\n## ")[0]


def steps(way: str) -> list[Step]:
    """The numbered steps of a way, each as its names."""
    items = re.split(r"^\d+\. ", section(f"The way of {way}"), flags=re.MULTILINE)[1:]
    return [names(item) for item in items]


@cache
def module_of(dotted: str) -> tuple[str, tuple[str, ...]]:
    """The module that a dotted name begins with, and the rest of it."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:length])
        if path.with_suffix(".py").exists() or (path / "__init__.py").exists():
            return ".".join(parts[:length]), tuple(parts[length:])
    raise LookupError(dotted)


@cache
def tree_of(module: str) -> ast.Module:
    path = ROOT.joinpath(*module.split("."))
    return ast.parse(
        (path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py").read_text()
    )


def targets(node: ast.stmt) -> set[str]:
    """The names that a statement of a module defines."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Assign(targets=assigned):
            return {target.id for target in assigned if isinstance(target, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
        case _:
            return set()


def definition(name: Name) -> ast.AST:
    """What defines a name: a function, a class, or an assignment."""
    module, rest = module_of(f"{name.owner}.{name.last}")
    found: ast.AST = tree_of(module)
    for part in rest:
        body: Iterable[ast.stmt] = getattr(found, "body", ())
        found = next(each for each in body if part in targets(each))
    return found


def is_instance_attribute(name: Name) -> bool:
    """Whether the class sets it on itself, so that only its instances have it."""
    return re.search(rf"\bself\.{name.last}\b[^=\n]* = ", ast.unparse(definition(Name(*split(name.owner))))) is not None


def split(dotted: str) -> tuple[str, str]:
    owner, _, last = dotted.rpartition(".")
    return owner, last


def resolve(dotted: str) -> object:
    """What a dotted name is; None when it is nothing, or only instances have it."""
    module, rest = module_of(dotted)
    found: object = import_module(module)
    for part in rest:
        found = getattr(found, part, None)
    return found


def exists(name: Name) -> bool:
    if name.in_page:
        return (PAGE / name.owner).exists() and js_body((PAGE / name.owner).read_text(), name.last) != ""
    if resolve(f"{name.owner}.{name.last}") is not None:
        return True
    return isinstance(resolve(name.owner), type) and is_instance_attribute(name)


def js_body(source: str, function: str) -> str:
    """A function, method or class of a formatted script: from its head to the line that closes it; else nothing."""
    head = rf"^( *)(?:export )?(?:async )?(?:function |class )?{function}(?:\(.*\))? (?:extends \w+ )?{{$"
    found = re.search(head, source, re.MULTILINE)
    return source[found.start() : source.index(f"\n{found[1]}}}\n", found.end())] if found else ""


def js_uses(source: str, body: str, *, inside: tuple[str, ...] = ()) -> Iterator[str]:
    """Every word of a function in order, with those of the private methods that it calls."""
    for word in re.findall(r"#?\w+", body.partition("{\n")[2]):
        yield word
        if word.startswith("#") and word not in inside:
            yield from js_uses(source, js_body(source, word), inside=(*inside, word))


def references(node: ast.AST) -> Iterator[str]:
    """
    Every name that code refers to, in the order in which it is evaluated: arguments before the call.

    Of `changes.update_mark` it is `update_mark` alone: a function that may not be called has the name of the module.
    """
    match node:
        case ast.Call(func=ast.Attribute(value=value, attr=attribute), args=args, keywords=keywords):
            parts = (*args, *keywords) if isinstance(value, ast.Name) else (value, *args, *keywords)
            yield from (word for each in parts for word in references(each))
            yield attribute
        case ast.Call(func=function, args=args, keywords=keywords):
            yield from (word for each in (*args, *keywords, function) for word in references(each))
        case ast.ListComp(elt=element, generators=generators) | ast.GeneratorExp(elt=element, generators=generators):
            yield from (word for each in (*generators, element) for word in references(each))
        case ast.Attribute(value=value, attr=attribute):
            yield from () if isinstance(value, ast.Name) else references(value)
            yield attribute
        case ast.Name(id=name):
            yield name
        case _:
            yield from (word for each in ast.iter_child_nodes(node) for word in references(each))


def python_uses(module: str, node: ast.AST, *, inside: tuple[str, ...] = ()) -> Iterator[str]:
    """The references of code in order, with those of the private functions and classes of its file that it uses."""
    for word in references(node):
        yield word
        if word in private_parts(module) and word not in inside:
            yield from python_uses(module, private_parts(module)[word], inside=(*inside, word))


@cache
def private_parts(module: str) -> Mapping[str, ast.AST]:
    """The private functions, methods and classes of a file by name."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    every = (each for each in ast.walk(tree_of(module)) if isinstance(each, kinds))
    return {each.name: each for each in every if each.name.startswith("_") and not each.name.endswith("__")}


@cache
def uses(name: Name) -> tuple[str, ...]:
    """What the source of a function, class or row refers to, in order."""
    if name.in_page:
        source = (PAGE / name.owner).read_text()
        return tuple(js_uses(source, js_body(source, name.last)))
    return tuple(python_uses(module_of(f"{name.owner}.{name.last}")[0], definition(name)))


def first_unused(step: Step) -> Name | None:
    """The first name of a step that its caller does not use, or not in this order; None when all are right."""
    caller, *used = step
    left = iter(uses(caller))
    return next((name for name in used if not any(word.lstrip("_") == name.last.lstrip("_") for word in left)), None)


def is_protocol(owner: str) -> bool:
    return not owner.endswith(".js") and getattr(resolve(owner), "_is_protocol", False)


def follows(step: Step, before: Sequence[Step]) -> bool:
    """
    Whether a step goes on where those before it have led.

    Its caller was named, or the method of a Protocol that it implements; or it is a row of a class that was named, or
    first takes something from such a class; or it is the first of the page, behind the handler of a route.
    """
    caller, *used = step
    named = [name for each in before for name in each]
    protocols = {name.last for name in named if is_protocol(name.owner)}
    classes = {each for name in named for each in classes_of(name)}
    shared = used and {class_of_row(caller), *(classes_of(used[0]) - classes_of(caller))} & classes
    behind_http = caller.in_page and is_handler(before[-1][0])
    return caller in named or caller.last in protocols or behind_http or bool(shared)


def is_handler(name: Name) -> bool:
    return not name.in_page and resolve(f"{name.owner}.{name.last}") in [route.handler for route in ROUTES]


def class_of_row(name: Name) -> str:
    """The class that a row of a table is made of."""
    made_of = type(resolve(f"{name.owner}.{name.last}")) if not name.in_page else object
    return f"{made_of.__module__}.{made_of.__qualname__}"


def classes_of(name: Name) -> set[str]:
    """The class that a name is, or is a part of."""
    every = set() if name.in_page else {name.owner, f"{name.owner}.{name.last}"}
    return {each for each in every if isinstance(resolve(each), type)}


def breaks(way: Sequence[Step]) -> list[str]:
    """What is wrong with the steps of a way."""
    found = [f"{step[0]} does not use {name}, or earlier" for step in way if (name := first_unused(step))]
    steps_before = [(step, way[:place]) for place, step in enumerate(way)][1:]
    return found + [f"no step leads to {step[0]}" for step, before in steps_before if not follows(step, before)]


def test_every_name_exists() -> None:
    assert len(names(ARCHITECTURE)) > 80
    assert [name for name in names(ARCHITECTURE) if not exists(name)] == []


def test_a_name_that_does_not_exist_is_found() -> None:
    invented = "`monitor.polling.fleet.Fleet.publish_all` `monitor.polling.fleet.Fleeet` `page/fleet.js` `applyAll`"
    assert [exists(name) for name in names(invented)] == [False, False, False]
    assert exists(Name("monitor.polling.fleet.Fleet", "entries"))  # set in __init__


@pytest.mark.parametrize("way", WAYS)
def test_the_steps_of_a_way_call_each_other(way: str) -> None:
    told = steps(way)
    assert 5 <= len(told) <= MOST_STEPS
    assert breaks(told) == []


@pytest.mark.parametrize("way", WAYS)
def test_steps_in_the_wrong_order_are_found(way: str) -> None:
    assert breaks(steps(way)[::-1])


@pytest.mark.parametrize("way", WAYS)
def test_a_call_that_the_code_does_not_make_is_found(way: str) -> None:
    foreign = Name("monitor.store.migrate", "migrate")
    for step in steps(way):
        assert [first_unused([*step[:place], foreign, *step[place:]]) for place in range(1, len(step) + 1)] == [
            foreign
        ] * len(step)


def test_names_of_a_step_in_the_wrong_order_are_found() -> None:
    apply_list, *used = next(step for step in steps("one image") if step[0].last == "apply_list")
    assert first_unused([apply_list, *used]) is None
    assert first_unused([apply_list, *used[::-1]]) is not None


def test_every_package_stands_in_the_map_and_no_other() -> None:
    packages = {found.parent.name for found in (ROOT / "monitor").glob("*/__init__.py")}
    rows = re.findall(r"^\| `monitor\.(\w+)` \|", section("The packages"), re.MULTILINE)
    assert sorted(rows) == sorted(packages)


def test_the_layers_are_those_of_the_import_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract.get("containers") == ["monitor"]]
    (block,) = re.findall(r"```text\n(.*?)```", section("The layers"), re.DOTALL)
    assert block.splitlines() == layers


def paths(text: str) -> set[str]:
    """What looks like a path of the repository: with a slash or a known ending, in backticks."""
    quoted = re.findall(r"`([\w./*-]+)`", text)
    return {each for each in quoted if re.search(r"^(?!page/)[\w.-]+/|\.(py|md|toml|yml|sh|json)$|^Makefile$", each)}


@pytest.mark.parametrize(("name", "text"), [("architecture", ARCHITECTURE), ("contributing", CONTRIBUTING)])
def test_every_path_exists(name: str, text: str) -> None:
    assert len(paths(text)) > {"architecture": 2, "contributing": 20}[name]
    assert [path for path in sorted(paths(text)) if not any(ROOT.glob(path))] == []


def test_the_make_targets_of_contributing_exist() -> None:
    targets_there = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"`make ([\w-]+)`", CONTRIBUTING)) <= {*targets_there}


def test_no_module_is_longer_than_350_lines_and_the_poller_no_longer_than_150() -> None:
    texts = {path: path.read_text() for path in sorted((ROOT / "monitor").rglob("*.py"))}
    assert [str(path.relative_to(ROOT)) for path, text in texts.items() if len(text.splitlines()) > 350] == []
    module = ast.parse(texts[ROOT / "monitor" / "polling" / "poller.py"])
    (poller,) = [each for each in module.body if isinstance(each, ast.ClassDef) and each.name == "Poller"]
    assert poller.end_lineno
    assert poller.end_lineno - poller.lineno < 150
