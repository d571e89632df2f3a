"""The container files as far as they can be judged without an engine; ``tests/e2e/buildah.sh`` builds and runs them."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import RawTestServer
from click.testing import CliRunner

from monitor.cli import main
from monitor.config.settings import Poll
from monitor.patching.client import PATCH_TIMEOUT_FACTOR
from monitor.simulator import SCENARIOS
from tests.support.programs import output_of

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy" / "container"
CONTAINERFILE = (DEPLOY / "Containerfile").read_text()
SERVICES = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]


async def test_hadolint_finds_nothing_wrong_with_the_containerfile() -> None:
    hadolint = str(Path(sys.executable).with_name("hadolint"))
    strictly = ("--no-color", "--failure-threshold", "style")
    assert await output_of(hadolint, *strictly, str(DEPLOY / "Containerfile")) == (0, "", "")


def test_what_runs_needs_no_shell_and_is_not_root() -> None:
    last_stage = CONTAINERFILE.rsplit("\nFROM ", 1)[1]
    instructions = re.findall(r"^(?: +)?(USER|CMD|ENTRYPOINT) (.*)$", last_stage, re.MULTILINE)
    assert [name for name, _ in instructions] == ["USER", "CMD", "ENTRYPOINT", "CMD"]
    assert instructions[0][1] == "65532:65532"
    assert all(arguments.startswith("[") for _, arguments in instructions[1:])


def health_check() -> list[str]:
    """The program of the image's health check, and its arguments."""
    (command,) = re.findall(r"^HEALTHCHECK .*\n +CMD (\[.*\])$", CONTAINERFILE, re.MULTILINE)
    found: list[str] = json.loads(command)
    return found


@pytest.mark.parametrize("status", [200, 503])
async def test_the_health_check_asks_the_daemon_itself_whatever_proxy_the_environment_names(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(status=status if request.path == "/-/healthy" else 404)

    async with RawTestServer(answer) as daemon:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.setenv("AVI_UPGRADE_MONITOR_URL", str(daemon.make_url("")).rstrip("/"))
        program, *arguments = health_check()
        assert program == "python"
        ended, _, errors = await output_of(sys.executable, *arguments)
    assert (ended == 0) == (status == 200), errors


def test_the_script_that_runs_the_image_asks_as_the_image_does() -> None:
    assert f'run python -c "{health_check()[-1]}"' in (ROOT / "tests" / "e2e" / "buildah.sh").read_text()


def test_a_patch_under_way_has_the_time_that_the_daemon_gives_it_before_an_engine_ends_both() -> None:
    runs = re.findall(r"^docker run (.*)$", (DEPLOY / "README.md").read_text(), re.MULTILINE)
    given = [re.search(r"--stop-timeout (\d+)", run) for run in runs] + [
        re.fullmatch(r"(\d+)s", SERVICES["monitor"]["stop_grace_period"])
    ]
    assert len(given) == 2
    assert all(each and int(each[1]) >= PATCH_TIMEOUT_FACTOR * Poll().timeout_s + 10 for each in given)


def test_everything_that_is_copied_from_the_checkout_is_there_and_not_ignored() -> None:
    ignored = (DEPLOY / ".containerignore").read_text().splitlines()
    copied = [
        word
        for line in re.findall(r"^COPY (?!--from)(.*)$", CONTAINERFILE, re.MULTILINE)
        for word in shlex.split(line)[:-1]
    ]
    assert copied
    assert [path for path in copied if not (ROOT / path).exists() or f"!{path}" not in ignored] == []
    assert sorted(copied) == sorted(line[1:] for line in ignored if line.startswith("!")), "nothing else gets in"


def test_every_engine_ignores_the_same() -> None:
    files = [(DEPLOY / name).read_text() for name in (".containerignore", "Containerfile.dockerignore")]
    assert files[0] == files[1]


@pytest.mark.parametrize("service", SERVICES)
def test_every_path_that_a_service_mounts_is_there(service: str) -> None:
    volumes = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["volumes"]
    for mount in SERVICES[service].get("volumes", ()):
        source = mount.split(":")[0]
        assert source in volumes or (DEPLOY / source).resolve().exists(), mount
        assert source in volumes or mount.endswith(":ro"), mount


def test_every_image_has_its_version() -> None:
    images = [each["image"] for each in SERVICES.values()]
    assert [image for image in images if re.search(r":(latest)?$", image) or ":" not in image] == []


def test_the_monitor_of_the_compose_file_is_built_here_and_confined() -> None:
    monitor = SERVICES["monitor"]
    build = monitor["build"]
    assert (DEPLOY / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).is_file()
    assert (monitor["read_only"], monitor["cap_drop"]) == (True, ["ALL"])


def test_the_command_of_the_compose_file_is_one_of_ours() -> None:
    name, *options = SERVICES["monitor"]["command"]
    wanted = main.commands[name].make_context(name, options)
    assert wanted.params["listen"] == "127.0.0.1:9972"
    uploads = [upload for spec in SCENARIOS["fleet"].controllers for upload in spec.uploads]
    lasts_s = max(upload.duration - upload.started_ago for upload in uploads) / wanted.params["speed"]
    assert lasts_s >= 600.0, "a dashboard shows what Prometheus has scraped some times"
    assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0


def test_the_compose_services_meet_where_the_shipped_files_say() -> None:
    """They share one loopback, so the addresses of a single machine hold."""
    prometheus = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    (targets,) = (target for job in prometheus["scrape_configs"] for target in job["static_configs"])
    assert targets["targets"] == [SERVICES["monitor"]["command"][2]]
    (manager,) = prometheus["alerting"]["alertmanagers"]
    assert manager["static_configs"] == [{"targets": ["127.0.0.1:9093"]}]
    assert SERVICES["grafana"]["environment"]["PROMETHEUS_URL"] == "http://127.0.0.1:9090"
    others = {name: service["network_mode"] for name, service in SERVICES.items() if name != "monitor"}
    assert set(others.values()) == {"service:monitor"}


def test_grafana_starts_with_a_dashboard_that_is_provisioned() -> None:
    grafana = SERVICES["grafana"]
    (folder,) = (mount.split(":")[1] for mount in grafana["volumes"] if "/dashboards:" in mount)
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == folder
    assert (ROOT / "grafana" / "dashboards" / home.name).is_file()
    provider = yaml.safe_load((ROOT / "grafana/provisioning/dashboards/avi-upgrade-monitor.yml").read_text())
    assert provider["providers"][0]["options"]["path"] == folder
