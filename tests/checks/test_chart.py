"""The Helm chart: what it makes is valid to Kubernetes, to the operators and to the daemon, and belongs together."""

import json
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar, Final

import helm_python
import kubernetes_validate
import pytest
from click.testing import CliRunner

import monitor
from monitor.cli import main
from monitor.config.reload_rules import keys_of
from monitor.config.settings import Settings
from tests.support.charts import CASES, CHART, CONTROLLER, RELEASE, Json, chart, config_of, objects, one, pod_of
from tests.support.programs import output_of, program

ROOT: Final = Path(__file__).parents[2]
EVERYTHING: Final = CASES["replicas-with-everything"]
CUSTOM: Final = {
    "monitoring.coreos.com/v1": "@kubernetes-models/prometheus-operator",
    "gateway.networking.k8s.io/v1": "@kubernetes-models/gateway-api",
}
PODS: Final = {"app.kubernetes.io/name": "avi-upgrade-monitor", "app.kubernetes.io/instance": RELEASE}

each_case = pytest.mark.parametrize("values", [pytest.param(values, id=name) for name, values in CASES.items()])


@each_case
@pytest.mark.parametrize("version", ["1.25", kubernetes_validate.latest_version()])
def test_kubernetes_knows_every_field(values: Json, version: str) -> None:
    """A field that is misspelled, of a wrong type or place, or newer than the oldest Kubernetes that we name."""
    judged = [each for each in objects(values) if each["apiVersion"] not in CUSTOM]
    for each in judged:
        kubernetes_validate.validate(each, version, strict=True)
    assert {"StatefulSet", "Service", "Pod"} <= {each["kind"] for each in judged}


async def test_the_operators_know_every_field_of_their_kinds(tmp_path: Path) -> None:
    """As above: TypeScript refuses an unknown member, and each object validates itself by the schema of its kind."""
    node, node_packages = program("node"), Path(sys.prefix) / "node"
    program("npm")
    assert await output_of(str(ROOT / "tests/node/install.sh"), str(node_packages)) == (0, "", "")
    (tmp_path / "node_modules").symlink_to(node_packages / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    custom = [each for values in CASES.values() for each in objects(values) if each["apiVersion"] in CUSTOM]
    assert sorted(each["kind"] for each in custom) == ["HTTPRoute", "PodMonitor", "PrometheusRule", "ServiceMonitor"]
    (tmp_path / "objects.ts").write_text("\n".join(map(_typescript, custom)))
    there = (program("env"), f"--chdir={tmp_path}", node)
    tsc = ("node_modules/typescript/bin/tsc", "--strict", "--skipLibCheck", "--module", "nodenext", "objects.ts")
    assert await output_of(*there, *tsc) == (0, "", "")
    assert await output_of(*there, "objects.js") == (0, "", "")


def _typescript(custom: Json) -> str:
    """A program that gives the object the type of its kind, and checks it."""
    api, kind = custom["apiVersion"], custom["kind"]
    return (
        f'import {{ {kind}, I{kind} }} from "{CUSTOM[api]}/{api}/{kind}";\n'
        f"const a{kind}: I{kind} = {json.dumps(custom)};\n"
        f"new {kind}(a{kind}).validate();\n"
    )


@each_case
def test_the_daemon_accepts_the_config_that_is_rendered(values: Json, tmp_path: Path) -> None:
    """A key that the daemon does not know, or a default that it refuses: an install that crash-loops."""
    if "existingConfigMap" in values or "existingSecret" in values:
        assert all(each["kind"] != "ConfigMap" for each in objects(values))
        return
    for path in ("dc1", "url"):
        (tmp_path / path).write_text("postgresql://monitor@db/avi" if path == "url" else "s3cret")
    text = re.sub(r"/run/secrets/[\w-]+", str(tmp_path), config_of(values))
    (tmp_path / "config.yml").write_text(text)
    result = CliRunner().invoke(main, ["check-config", "--config", str(tmp_path / "config.yml")])
    assert result.exit_code == 0, result.output


@each_case
def test_the_program_takes_the_arguments_of_each_container(values: Json) -> None:
    """An option that was renamed: a pod that crash-loops."""
    ours = [each for each in pod_of(values)["containers"] if "avi-upgrade-monitor" in each["image"]]
    for container in ours:
        command, *arguments = container["args"]
        with main.commands[command].make_context(command, arguments):
            pass


def test_helm_finds_nothing_to_say_but_that_there_is_no_icon() -> None:
    found = helm_python.lint(CHART, EVERYTHING, strict=True)
    assert [each["error"] for each in found["messages"]] == ["icon is recommended"]


# --- versions and the test of a release


def test_the_versions_of_chart_and_daemon_are_one() -> None:
    metadata = chart().metadata
    assert metadata["version"] == metadata["appVersion"] == monitor.__version__
    assert metadata["kubeVersion"] == ">=1.25.0-0"  # the oldest that is judged above


def test_a_key_that_changes_with_a_restart_only_restarts_the_pods_and_no_other_does() -> None:
    """Would find a changed `log.level` that has no effect, and pods that restart for a new Controller."""
    restart = {key.path.split(".")[0] for key in keys_of(Settings) if key.reload == "restart"}
    (picked,) = re.findall(r'pick \.Values\.config ((?:"\w+" )+)', (CHART / "templates/statefulset.yaml").read_text())
    assert {word.strip('"') for word in picked.split()} == restart
    assert _checksum({}) == _checksum({"config": {"controllers": [CONTROLLER]}})
    assert _checksum({}) != _checksum({"config": {"log": {"level": "debug"}}})


def _checksum(values: Json) -> str:
    annotations: Mapping[str, str] = one(values, "StatefulSet")["spec"]["template"]["metadata"]["annotations"]
    return annotations["checksum/restart-keys"]


class _Health(BaseHTTPRequestHandler):
    status: ClassVar = 200
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def served() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Health) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize("status", [200, 503])
async def test_the_test_of_a_release_succeeds_when_the_daemon_is_ready(served: int, status: int) -> None:
    """A hook whose own script is wrong, or that succeeds whatever the daemon says."""
    _Health.status = status
    (container,) = one({}, "Pod", "avi-avi-upgrade-monitor-test")["spec"]["containers"]
    _, option, script, _, _, url = container["command"]
    assert url == "http://avi-avi-upgrade-monitor-headless:9973/-/ready"
    ready = f"http://127.0.0.1:{served}/-/ready"
    exit_status, _, _ = await output_of(sys.executable, option, script, "127.0.0.1", str(served), ready)
    assert (exit_status == 0) == (status == 200)
    assert _Health.asked[-1] == "/-/ready"
