"""Declared dependencies are those that monitor/ imports; those whose private parts it uses have an upper bound."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT: Mapping[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PRIVATE_PARTS_USED = ("aiohttp", "aiosqlite")
owners = cache(packages_distributions)  # it reads the metadata of all that is installed


def canonical(name: str) -> str:
    """As package registries compare names (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


REQUIRED = {canonical(requirement.name): requirement for requirement in map(Requirement, PROJECT["dependencies"])}
OPTIONAL = {canonical(Requirement(text).name) for texts in PROJECT["optional-dependencies"].values() for text in texts}


def imports(node: ast.AST) -> Iterator[str]:
    """The top-level modules that a piece of code imports, except those of Python and our own."""
    for part in ast.walk(node):
        match part:
            case ast.Import(names=names):
                modules = [alias.name for alias in names]
            case ast.ImportFrom(module=str(module), level=0):
                modules = [module]
            case _:
                continue
        found = {module.partition(".")[0] for module in modules}
        yield from found - sys.stdlib_module_names - {"monitor"}


def distributions(node: ast.AST) -> set[str]:
    """The distributions that a piece of code imports, by their canonical names."""
    return {canonical(owner) for module in imports(node) for owner in owners()[module]}


@cache
def sources() -> list[ast.Module]:
    """Of all modules, parsed."""
    return [ast.parse(path.read_text()) for path in sorted((ROOT / "monitor").rglob("*.py"))]


def test_every_import_is_declared_and_every_declared_dependency_is_imported() -> None:
    """Greenlet is neither: SQLAlchemy imports it, and declares it in its extra `asyncio`."""
    imported = set[str]().union(*map(distributions, sources()))
    assert imported == REQUIRED.keys() | OPTIONAL
    assert REQUIRED["sqlalchemy"].extras == {"asyncio"}


def test_an_optional_dependency_is_imported_only_where_its_absence_is_handled() -> None:
    """In a `try`, or in a `with suppress(ImportError)`."""
    guards = [part for tree in sources() for part in ast.walk(tree) if isinstance(part, ast.Try | ast.With)]
    guarded = {statement for guard in guards for statement in optional_imports(guard)}
    assert {statement for tree in sources() for statement in optional_imports(tree)} == guarded


def optional_imports(node: ast.AST) -> Iterator[ast.AST]:
    """The import statements of optional dependencies."""
    for part in ast.walk(node):
        if isinstance(part, ast.Import | ast.ImportFrom) and distributions(part) & OPTIONAL:
            yield part


@pytest.mark.parametrize("name", PRIVATE_PARTS_USED)
def test_a_dependency_whose_private_parts_are_used_has_an_upper_bound(name: str) -> None:
    assert "<" in {specifier.operator for specifier in REQUIRED[name].specifier}


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_the_pinned_version_is_within_the_declared_bounds(name: str) -> None:
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "tests" / "requirements.txt").read_text(), re.MULTILINE))
    assert pins[name] in REQUIRED[name].specifier
