"""
Declared dependencies are those that monitor/ imports; those whose private parts it uses have an upper bound.

The locks have what is declared, and all of them the same versions.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PYPROJECT: Mapping[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT: Mapping[str, Any] = PYPROJECT["project"]
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


def lock(path: str) -> dict[str, tuple[str, frozenset[str]]]:
    """By the name of each package of a lock: its version, and the hashes of its files."""
    entries = re.findall(
        r"^([\w.-]+)==(\S+) \\\n((?: +--hash=\S+(?: \\)?\n)+)", (ROOT / path).read_text(), re.MULTILINE
    )
    return {name: (version, frozenset(re.findall(r"--hash=(\S+)", hashes))) for name, version, hashes in entries}


RUNTIME, BUILD, TESTS = map(
    lock, ("deploy/requirements.txt", "deploy/requirements-build.txt", "tests/requirements.txt")
)


def everything_for(wanted: Iterable[str]) -> set[str]:
    """The packages that these requirements amount to, on Python 3.11, for which the locks are made."""
    found: set[str] = set()
    pending = [(text, "") for text in wanted]
    while pending:
        text, extra = pending.pop()
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"python_version": "3.11", "extra": extra}):
            continue
        found.add(canonical(requirement.name))
        inner = requires(requirement.name) or ()
        pending += [(each, extra) for each in inner for extra in (requirement.extras or {""})]
    return found


def test_the_lock_of_the_daemon_has_what_is_declared_with_all_extras_and_nothing_else() -> None:
    """Pip installs a lock without looking for dependencies: one that is missing would be found by the first import."""
    extras = [text for texts in PROJECT["optional-dependencies"].values() for text in texts]
    assert everything_for([*PROJECT["dependencies"], *extras]) == RUNTIME.keys()


def test_the_lock_of_the_build_has_what_the_build_requires() -> None:
    (backend,) = PYPROJECT["build-system"]["requires"]
    assert everything_for([backend, "editables"]) == BUILD.keys(), "hatchling asks for editables when it is called"


def test_the_tests_run_with_what_is_installed_elsewhere() -> None:
    assert (RUNTIME | BUILD).items() <= TESTS.items()
    assert RUNTIME.items() & BUILD.items() == {(name, RUNTIME[name]) for name in RUNTIME.keys() & BUILD.keys()}


def test_the_declared_bounds_admit_the_pinned_versions() -> None:
    refused = [name for name, requirement in REQUIRED.items() if RUNTIME[name][0] not in requirement.specifier]
    assert refused == []


def test_the_classifiers_name_the_pythons_that_are_tested() -> None:
    """A Python that `make test` and `make pythons` run, and a registry does not show; or one that only it shows."""
    oldest = PYPROJECT["project"]["requires-python"].removeprefix(">=")
    (others,) = re.findall(r"\$\{PYTHONS:-([\d. ]+)\}", (ROOT / "tests" / "pythons.sh").read_text())
    classified = re.findall(r"Python :: (3\.\d+)", "\n".join(PYPROJECT["project"]["classifiers"]))
    assert classified == [oldest, *others.split()]
