"""The values of the Helm chart: each has an effect, stands in the README, and a wrong one is refused with its path."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import helm_python
import pytest
import yaml

from deploy.kubernetes.values_schema import with_config_of_daemon
from monitor.cli import main
from tests.support.charts import CASES, CHART, CONTROLLER, Json, chart, config_of, defaults, one, pod_of, render

README: Final = (CHART / "README.md").read_text()
EVERYTHING: Final = CASES["replicas-with-everything"]
OBJECT: Final[Json] = {"a": "b"}

CHANGES: Final[dict[str, Any]] = {
    "nameOverride": "monitor",
    "fullnameOverride": "monitor",
    "commonLabels": OBJECT,
    "image.repository": "registry.example.net/monitor",
    "image.tag": "1.2.3",
    "image.digest": f"sha256:{'0' * 64}",
    "image.pullPolicy": "Always",
    "image.pullSecrets": ["other"],
    "config": {"stalled_after": "15m"},
    "existingConfigMap": "mine",
    "existingSecret": "mine",
    "secrets": ["other"],
    "replicas": 3,
    "service.type": "NodePort",
    "service.port": 80,
    "service.annotations": OBJECT,
    "service.labels": OBJECT,
    "service.ipFamilyPolicy": "SingleStack",
    "service.ipFamilies": ["IPv6"],
    "ingress.enabled": False,
    "ingress.className": "other",
    "ingress.annotations": OBJECT,
    "ingress.hosts": ["other.example.net"],
    "ingress.tls": [],
    "httpRoute.enabled": False,
    "httpRoute.annotations": OBJECT,
    "httpRoute.parentRefs": [{"name": "other"}],
    "httpRoute.hostnames": ["other.example.net"],
    "httpRoute.timeouts": {"request": "1h"},
    **{
        f"{kind}.{key}": value
        for kind in ("serviceMonitor", "podMonitor")
        for key, value in {
            "enabled": False,
            "labels": OBJECT,
            "interval": "1m",
            "scrapeTimeout": "5s",
            "endpoint": {"scheme": "https"},
        }.items()
    },
    "prometheusRule.enabled": False,
    "prometheusRule.labels": OBJECT,
    "prometheusRule.runbookUrl": "https://wiki.example.net",
    "dashboards.enabled": False,
    "dashboards.labels": OBJECT,
    "dashboards.annotations": OBJECT,
    "networkPolicy.enabled": False,
    "networkPolicy.from": [],
    "networkPolicy.controllers.to": [],
    "networkPolicy.controllers.ports": [8443],
    "networkPolicy.database.to": [{"ipBlock": {"cidr": "192.0.2.1/32"}}],
    "networkPolicy.database.port": 6432,
    "networkPolicy.extraEgress": [],
    "podDisruptionBudget.enabled": False,
    "podDisruptionBudget.maxUnavailable": "50%",
    "topologySpreadConstraints": [OBJECT],
    "resources": {"requests": {"cpu": "1"}},
    "terminationGracePeriodSeconds": 90,
    **{f"{probe}Probe": {"periodSeconds": 3} for probe in ("liveness", "readiness", "startup")},
    "serviceAccount.create": False,
    "serviceAccount.name": "other",
    "serviceAccount.annotations": OBJECT,
    "podSecurityContext": {"runAsUser": 1000},
    "securityContext": {"runAsUser": 1000},
    **dict.fromkeys(("annotations", "podAnnotations", "podLabels", "nodeSelector", "affinity", "dnsConfig"), OBJECT),
    "updateStrategy": {"type": "OnDelete"},
    "priorityClassName": "low",
    "tolerations": [],
    "hostAliases": [],
    "extraArgs": ["--no-config-watch"],
    **{f"extra{name}": [] for name in ("Env", "EnvFrom", "Volumes", "VolumeMounts", "InitContainers", "Containers")},
    "extraManifests": [],
}
"""Another value for each than in the case that renders everything."""

OF_ONE_REPLICA: Final[dict[str, Any]] = {
    "demo": True,
    "persistence.enabled": False,
    "persistence.existingClaim": "mine",
    "persistence.size": "5Gi",
    "persistence.storageClass": "fast",
    "persistence.accessModes": ["ReadWriteOncePod"],
    "persistence.annotations": OBJECT,
}
"""The same against the defaults."""


def values_of(schema: Json, values: Json, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield path and default of each value; one whose members the schema does not name is one value."""
    for key, value in values.items():
        described = schema["properties"][key]
        if described == {"$ref": "#/properties/serviceMonitor"}:
            described = schema["properties"]["serviceMonitor"]
        if "properties" in described:
            yield from values_of(described, value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


@cache
def documented() -> dict[str, Any]:
    """Path and default of each value."""
    schema = chart().schema
    assert schema
    return dict(values_of(schema, defaults()))


def nested(path: str, value: Any) -> Json:  # noqa: ANN401  whatever YAML holds
    head, _, rest = path.partition(".")
    return {head: nested(rest, value) if rest else value}


# --- each value


def test_every_value_stands_in_the_readme_with_its_default_and_no_other() -> None:
    lines = re.findall(r"^\| `([\w.]+)` \| `(.*?)` \| .+ \|$", README, re.MULTILINE)
    assert {path: yaml.safe_load(default) for path, default in lines} == documented()
    assert len(lines) == len(documented())


@pytest.mark.parametrize(
    "text", re.findall(r"^```yaml\n(.*?)^```", README, re.MULTILINE | re.DOTALL), ids=["one", "replicas"]
)
def test_the_values_that_the_readme_shows_are_accepted(text: str) -> None:
    assert render(yaml.safe_load(text))


def test_every_value_is_changed_below() -> None:
    assert CHANGES.keys() | OF_ONE_REPLICA.keys() == documented().keys()


@pytest.mark.parametrize("path", [*CHANGES, *OF_ONE_REPLICA])
def test_another_value_makes_other_objects(path: str) -> None:
    """A value that is documented and that no template uses."""
    base, value = ({}, OF_ONE_REPLICA[path]) if path in OF_ONE_REPLICA else (EVERYTHING, CHANGES[path])
    changed = nested(path, value)
    assert render(_merged(base, changed)) != render(base)


def _merged(base: Json, changed: Json) -> Json:
    """The values with some replaced; of mappings that Helm itself merges, the one that is given alone."""
    return {
        **base,
        **{
            key: _merged(base.get(key, {}), value)
            if isinstance(value, dict) and isinstance(base.get(key), dict)
            else value
            for key, value in changed.items()
        },
    }


# --- values that do not fit


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"replicas": "two"}, "at '/replicas': got string, want integer"),
        ({"replica": 2}, "additional properties 'replica' not allowed"),
        ({"service": {"port": 0}}, "at '/service/port': minimum: got 0, want 1"),
        ({"service": {"annotations": {"a": 1}}}, "at '/service/annotations/a': got number, want string"),
        ({"image": {"digest": "latest"}}, "at '/image/digest'"),
        ({"secrets": [{"name": "a"}]}, "at '/secrets/0': got object, want string"),
        ({"podMonitor": {"interval": 15}}, "at '/podMonitor/interval': got number, want string"),
        ({"config": {"poll": {"timeout": 3}}}, "at '/config/poll/timeout': got number, want string"),
        ({"config": {"poll": {"timeout": ""}}}, "at '/config/poll/timeout': minLength"),
        ({"config": {"pol": {}}}, "at '/config': additional properties 'pol' not allowed"),
        ({"config": {"controllers": [{**CONTROLLER, "tls": {"ca": "a"}}]}}, "at '/config/controllers/0/tls'"),
    ],
    ids=str,
)
def test_a_value_of_a_wrong_type_is_refused_with_its_path(values: Json, message: str) -> None:
    """Otherwise the API server refuses what was rendered, or the daemon crash-loops with its config."""
    with pytest.raises(helm_python.HelmValuesError, match=re.escape(message)):
        render(values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"replicas": 2}, "replicas is 2, but the database is a file"),
        ({"replicas": 2, "demo": True, "config": {"database": "postgresql://db/a"}}, "replicas is 2"),
        ({"config": {"health": None}}, "config.health.listen is missing"),
        ({"ingress": {"enabled": True}}, "ingress.hosts is empty"),
        ({"httpRoute": {"enabled": True}}, "httpRoute.parentRefs is empty"),
    ],
    ids=str,
)
def test_values_that_contradict_each_other_are_refused_with_what_to_do(values: Json, message: str) -> None:
    with pytest.raises(helm_python.HelmRenderError, match=re.escape(message)):
        render(values)


def test_the_schema_of_the_config_is_that_of_the_daemon() -> None:
    """A config key that the daemon has and the chart refuses."""
    schema = chart().schema
    assert schema
    assert schema == with_config_of_daemon(schema), ".venv/bin/python -m deploy.kubernetes.values_schema"


# --- what the values do


def test_one_replica_keeps_its_database_on_a_volume_and_replicas_keep_nothing() -> None:
    (claim,) = one({}, "StatefulSet")["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"] == {"storage": "1Gi"}
    assert "volumeClaimTemplates" not in one(EVERYTHING, "StatefulSet")["spec"]
    assert {"name": "state", "emptyDir": {}} in pod_of(EVERYTHING)["volumes"]


def test_a_budget_and_a_spread_come_with_the_second_replica() -> None:
    """A budget for one pod would stop every drain of its node."""
    with pytest.raises(ValueError, match="not enough values"):
        one({}, "PodDisruptionBudget")
    assert "topologySpreadConstraints" not in pod_of({})
    assert one(EVERYTHING, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    (spread,) = pod_of(EVERYTHING)["topologySpreadConstraints"]
    assert spread["topologyKey"] == "kubernetes.io/hostname"


def test_a_secret_is_mounted_where_the_config_names_it() -> None:
    pod = pod_of(EVERYTHING)
    mounts = {each["name"]: each["mountPath"] for each in pod["containers"][0]["volumeMounts"]}
    secrets = {mounts[each["name"]]: each["secret"]["secretName"] for each in pod["volumes"] if "secret" in each}
    assert secrets == {"/run/secrets/avi-passwords": "avi-passwords", "/run/secrets/avi-database": "avi-database"}
    named = re.findall(r"(/run/secrets/[\w-]+)/", config_of(EVERYTHING))
    assert sorted(named) == sorted(secrets)


def test_a_variable_takes_the_place_of_ours_and_is_never_there_twice() -> None:
    """Helm 4 applies on the server, which refuses a name that is there twice."""
    url = "https://$(POD_NAME).avi-avi-upgrade-monitor-headless.monitoring.svc:9972"
    given = {"name": "AVI_UPGRADE_MONITOR_ADVERTISE_URL", "value": url}
    ours = {each["name"]: each.get("value") for each in pod_of({})["containers"][0]["env"]}
    assert ours.pop(given["name"]) == url.replace("https", "http")
    env = pod_of({"extraEnv": [given]})["containers"][0]["env"]
    assert [each["name"] for each in env] == [*ours, given["name"]]
    assert env[-1] == given
    assert given["name"] in {each.envvar for each in main.commands["run"].params}


def test_the_demo_watches_what_the_simulator_writes_and_is_open_to_every_client() -> None:
    values = {"demo": True, "config": {"controllers": [CONTROLLER], "tokens": []}}
    config = yaml.safe_load(config_of(values))
    assert config["anonymous"] == ["metrics", "read"]
    assert "controllers" not in config
    (simulator,) = (each for each in pod_of(values)["containers"] if each["name"] == "simulator")
    folder = next(each["mountPath"] for each in simulator["volumeMounts"] if each["name"] == "demo")
    assert f"--config-dir={folder}" in simulator["args"]
    assert config["controller_files"] == [f"{folder}/controllers.y*ml"]


def test_the_policy_lets_in_the_peers_the_pods_themselves_and_the_test_and_out_what_the_daemon_needs() -> None:
    spec = one(EVERYTHING, "NetworkPolicy")["spec"]
    clients, health = spec["ingress"]
    apps = [
        each.get("podSelector", {}).get("matchLabels", {}).get("app.kubernetes.io/name") for each in clients["from"]
    ]
    assert apps == [None, "avi-upgrade-monitor", "avi-upgrade-monitor-test"]
    assert "from" not in health
    ports = [[port["port"] for port in each["ports"]] for each in spec["egress"]]
    assert ports == [[53, 53], [443, 8443], [5432], [9972], [636]]


def test_the_grace_period_is_that_of_the_image() -> None:
    """A PATCH that is under way is carried out first."""
    compose = yaml.safe_load((CHART.parents[1] / "container" / "compose.yaml").read_text())
    grace = compose["services"]["monitor"]["stop_grace_period"]
    assert f"{pod_of({})['terminationGracePeriodSeconds']}s" == grace
