"""The modules of the program form no circle, and the import contracts notice what they are there to notice."""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SIMULATOR = "simulator"
PACKAGES = sorted(found.parent.name for found in ROOT.glob("monitor/*/__init__.py") if found.parent.name != SIMULATOR)
LAYERS = "Imports run one way"
SIMULATOR_APART = "The simulator shares no code with the daemon"


def module_name(path: Path, root: Path) -> str:
    """``monitor/web/__init__.py`` is the module ``monitor.web``."""
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def imported_names(tree: ast.Module, package: str) -> Iterator[str]:
    """Every dotted name that the module imports, wherever in the file: the imported name and what it is taken from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def module_graph(root: Path) -> Mapping[str, frozenset[str]]:
    """Each module below ``root/monitor`` with those that it imports; ``from package import name`` is of the package."""
    sources = {module_name(path, root): path for path in sorted(root.glob("monitor/**/*.py"))}
    graph = {}
    for name, path in sources.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        imported = imported_names(ast.parse(path.read_text()), package)
        found = (each if each in sources else each.rpartition(".")[0] for each in imported)
        graph[name] = frozenset(each for each in found if each in sources)
    return graph


def reachable(graph: Mapping[str, frozenset[str]], start: str) -> frozenset[str]:
    """All modules that are imported by ``start``, directly or through others."""
    seen: set[str] = set()
    waiting = [*graph[start]]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += graph[name]
    return frozenset(seen)


def circles(graph: Mapping[str, frozenset[str]]) -> list[list[str]]:
    """The groups of modules that import each other, each group once and sorted."""
    below = {name: reachable(graph, name) for name in graph}
    groups = {frozenset(other for other in below[name] if name in below[other]) for name in graph}
    return sorted(sorted(group) for group in groups if group)


def test_no_module_imports_itself_through_others() -> None:
    graph = module_graph(ROOT)
    assert "monitor.simulator.state" in graph["monitor.simulator.controller"]  # the graph is not empty by mistake
    assert circles(graph) == []


@pytest.mark.parametrize(
    "back",
    [
        "import monitor.one",
        "from monitor import one",
        "from monitor.one import x",
        "from . import one",
        "from .one import x",
        "def late() -> None:\n    from monitor import one",
        "if TYPE_CHECKING:\n    from monitor.one import x",
    ],
)
def test_a_circle_is_found_in_every_form_of_import(tmp_path: Path, back: str) -> None:
    folder = tmp_path / "monitor"
    folder.mkdir()
    sources = {"__init__": "", "one": "from monitor import two", "two": "import monitor.three", "three": back}
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(source)
    assert circles(module_graph(tmp_path)) == [["monitor.one", "monitor.three", "monitor.two"]]


def test_a_package_is_a_module_of_a_circle(tmp_path: Path) -> None:
    folder = tmp_path / "monitor"
    folder.mkdir()
    (folder / "__init__.py").write_text("from monitor.one import x")
    (folder / "one.py").write_text("from monitor import y")
    assert circles(module_graph(tmp_path)) == [["monitor", "monitor.one"]]


@pytest.fixture
def copied_tree(tmp_path: Path) -> Path:
    """The program and its contracts, where a test may plant an import."""
    shutil.copytree(ROOT / "monitor", tmp_path / "monitor", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def broken_contracts(root: Path) -> dict[str, str]:
    """The contracts that import-linter calls broken in this tree: by name, with what it says of them."""
    command: list[str | Path] = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"]
    linted = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    verdicts, _, details = linted.stdout.partition("\nContracts: ")
    broken = [line.removesuffix(" BROKEN") for line in verdicts.splitlines() if line.endswith(" BROKEN")]
    assert f" {len(broken)} broken." in details, linted.stdout + linted.stderr
    assert linted.returncode == bool(broken)
    return {name: details.partition(f"\n{name}\n---")[2].partition("\n---")[0] for name in broken}


def test_the_contracts_hold_where_nothing_is_planted(copied_tree: Path) -> None:
    assert broken_contracts(copied_tree) == {}


def test_an_import_of_any_package_into_the_simulator_breaks_its_contract(copied_tree: Path) -> None:
    clock = copied_tree / "monitor" / SIMULATOR / "clock.py"
    planted = "\n".join(f"import monitor.{package}" for package in PACKAGES)
    clock.write_text(f"{planted}\n{clock.read_text()}")
    report = broken_contracts(copied_tree)[SIMULATOR_APART]
    missed = [package for package in PACKAGES if f"monitor.simulator.clock -> monitor.{package} (l." not in report]
    assert (missed, len(PACKAGES)) == ([], 11)


def test_a_module_beside_the_packages_breaks_the_layers(copied_tree: Path) -> None:
    (copied_tree / "monitor" / "stray.py").touch()
    assert "monitor.stray" in broken_contracts(copied_tree)[LAYERS]
