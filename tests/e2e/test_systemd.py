"""The units as systemd judges them, the example config as the daemon reads it, the scripts."""

import re
from pathlib import Path

import pytest
import yaml
from alembic.script import ScriptDirectory

from monitor.config.load import load
from monitor.config.settings import Poll
from monitor.config.types import SecretFile
from monitor.patching.client import PATCH_TIMEOUT_FACTOR
from tests.support.programs import output_of, program

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy" / "systemd"
SERVICE = DEPLOY / "avi-upgrade-monitor.service"
SOCKET = DEPLOY / "avi-upgrade-monitor.socket"
MOST_EXPOSED = 1.2
"""Of 10, as ``systemd-analyze security`` counts what a service could do to its machine."""


@pytest.fixture
def installed(tmp_path: Path) -> tuple[Path, Path]:
    """The units with a program in place of the one that is not installed here."""
    present = tmp_path / "avi-upgrade-monitor"
    present.write_text("#!/bin/sh\n")
    present.chmod(0o755)
    service, listening = tmp_path / SERVICE.name, tmp_path / SOCKET.name
    service.write_text(SERVICE.read_text().replace("/opt/avi-upgrade-monitor/bin/avi-upgrade-monitor", str(present)))
    listening.write_text(SOCKET.read_text())
    return service, listening


async def test_systemd_finds_nothing_wrong_with_the_units(installed: tuple[Path, Path]) -> None:
    analyze = program("systemd-analyze")
    assert await output_of(analyze, "verify", "--man=no", *map(str, installed)) == (0, "", "")


async def test_the_service_is_confined_as_far_as_promised() -> None:
    analyze = program("systemd-analyze")
    threshold = f"--threshold={MOST_EXPOSED * 10:.0f}"
    status, out, errors = await output_of(analyze, "security", "--offline=true", "--no-pager", threshold, str(SERVICE))
    assert (status, errors) == (0, ""), out
    (exposure,) = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", out)
    assert 0.0 < float(exposure) <= MOST_EXPOSED


def test_a_patch_under_way_has_the_time_that_the_daemon_gives_it_before_systemd_ends_both() -> None:
    (given,) = re.findall(r"^TimeoutStopSec=(\d+)s$", SERVICE.read_text(), re.MULTILINE)
    assert int(given) >= PATCH_TIMEOUT_FACTOR * Poll().timeout_s + 10


def test_a_service_that_the_watchdog_ends_leaves_no_core() -> None:
    assert "\nLimitCORE=0\n" in SERVICE.read_text()


def test_a_reload_checks_the_file_that_the_daemon_was_started_with() -> None:
    """Otherwise a reload of a wrong file would succeed, or one of a good file fail."""
    (start,) = re.findall(r"^ExecStart=(.*)$", SERVICE.read_text(), re.MULTILINE)
    check, signal = re.findall(r"^ExecReload=(.*)$", SERVICE.read_text(), re.MULTILINE)
    assert check == f"+/usr/bin/nsenter --target $MAINPID --mount -- {start.replace(' run ', ' check-config ')}"
    assert signal == '/bin/sh -c "kill -HUP $MAINPID"'


def test_the_socket_unit_listens_where_the_daemon_does_by_default() -> None:
    (address,) = re.findall(r"^ListenStream=(.*)$", SOCKET.read_text(), re.MULTILINE)
    assert address == yaml.safe_load((DEPLOY / "config.yml").read_text())["listen"] == "127.0.0.1:9972"


def test_the_example_config_names_secrets_as_the_unit_passes_them(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (name,) = re.findall(r"^LoadCredential=(\w+):/etc/avi-upgrade-monitor/secrets$", SERVICE.read_text(), re.MULTILINE)
    (credentials / f"{name}_dc1.password").write_text("secret")
    config = tmp_path / "config.yml"
    there = f"/run/credentials/{SERVICE.name}"
    config.write_text((DEPLOY / "config.yml").read_text().replace(there, str(credentials)))
    (controller,) = load(config).controllers
    assert controller.password == SecretFile(credentials / "secret_dc1.password")


def test_what_is_a_comment_in_the_example_config_is_good_too(tmp_path: Path) -> None:
    (tmp_path / "secret_dc1.password").write_text("secret")
    text = (DEPLOY / "config.yml").read_text().replace(f"/run/credentials/{SERVICE.name}", str(tmp_path))
    for key in ("anonymous:", "tokens:", "tls: {fingerprint"):
        text = text.replace(f"# {key}", key)
    text = text.replace("#   # `avi", "  # `avi").replace("#   - {name: alice", "  - {name: alice")
    config = tmp_path / "config.yml"
    config.write_text(text)
    read = load(config)
    assert (read.anonymous, [token.name for token in read.tokens]) == (frozenset({"metrics", "read"}), ["alice"])
    assert read.controllers[0].tls.fingerprints


@pytest.mark.parametrize(
    ("arguments", "python", "says"),
    [
        ((), "python3", 'expected the wheel to install, or uninstall; found ""'),
        (("nothing.whl",), "python3", 'expected the wheel to install, or uninstall; found "nothing.whl"'),
        (("README.md",), "false", "expected Python 3.11 or newer with venv (Debian: python3-venv), found false"),
    ],
)
async def test_the_installer_says_what_it_expected_before_it_does_anything(
    arguments: tuple[str, ...], python: str, says: str
) -> None:
    given = [str(ROOT / name) if (ROOT / name).exists() else name for name in arguments]
    status, out, errors = await output_of("env", f"PYTHON={python}", str(DEPLOY / "install.sh"), *given)
    assert (status, out) == (1, "")
    assert errors.startswith(f"install.sh: {says}")


def test_the_number_of_the_last_migration_is_that_of_the_schema() -> None:
    """The installer compares them by name, to know whether a version changes the schema of the database."""
    scripts = ScriptDirectory(str(ROOT / "monitor" / "store" / "migrations"))
    last = max(path.name for path in (ROOT / "monitor" / "store" / "migrations" / "versions").glob("[0-9]*_*.py"))
    assert scripts.get_current_head() == last.partition("_")[0]


@pytest.mark.parametrize(
    "script",
    [
        "deploy/systemd/install.sh",
        "tests/debian-packages.sh",
        "tests/e2e/nspawn.sh",
        "tests/e2e/nspawn-inside.sh",
        "tests/e2e/buildah.sh",
        "tests/matrix.sh",
        "tests/page/check-types.sh",
    ],
)
async def test_scripts_are_good_shell(script: str) -> None:
    shellcheck = program("shellcheck")
    assert await output_of(shellcheck, "--severity=warning", str(ROOT / script)) == (0, "", "")
