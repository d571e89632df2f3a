"""What the Helm chart makes belongs together, is restricted, and has the rules and dashboards of the repository."""

import gzip
import json
import re
import tarfile
from pathlib import Path
from typing import Final

import helm_python
import pytest
import yaml

from tests.support.charts import CASES, CHART, Json, chart, objects, one, pod_of, render
from tests.support.dashboards import FILES as DASHBOARDS
from tests.support.programs import output_of, program
from tests.support.rules import PROMETHEUS, RULES

EVERYTHING: Final = CASES["replicas-with-everything"]

each_case = pytest.mark.parametrize("values", [pytest.param(values, id=name) for name, values in CASES.items()])


def selects(selector: Json, labels: Json) -> bool:
    return selector.items() <= labels.items()


@each_case
def test_every_selector_finds_the_pods_of_the_daemon_and_not_that_of_the_test(values: Json) -> None:
    """A Service without endpoints, or one that leads to the pod of `helm test`; a budget or policy of nothing."""
    labels = one(values, "StatefulSet")["spec"]["template"]["metadata"]["labels"]
    test = one(values, "Pod", "avi-avi-upgrade-monitor-test")["metadata"]["labels"]
    kinds = {"Service", "StatefulSet", "PodDisruptionBudget", "PodMonitor", "NetworkPolicy"}
    selectors = [_pod_labels(each) for each in objects(values) if each["kind"] in kinds]
    assert [(selects(each, labels), selects(each, test)) for each in selectors] == [(True, False)] * len(selectors)


def _pod_labels(found: Json) -> Json:
    selector = found["spec"].get("podSelector") or found["spec"]["selector"]
    labels: Json = selector.get("matchLabels", selector)
    return labels


def test_the_service_monitor_finds_one_service_so_that_no_pod_is_scraped_twice() -> None:
    selector = one(EVERYTHING, "ServiceMonitor")["spec"]["selector"]["matchLabels"]
    services = [each["metadata"] for each in objects(EVERYTHING) if each["kind"] == "Service"]
    assert [each["name"] for each in services if selects(selector, each["labels"])] == ["avi-avi-upgrade-monitor"]


@each_case
def test_every_port_that_is_named_is_one_of_the_container(values: Json) -> None:
    """A probe, Service, monitor or policy of a port that does not exist."""
    daemon = pod_of(values)["containers"][0]
    ports = {each["name"] for each in daemon["ports"]}
    texts = "\n".join(text for name, text in render(values).items() if not name.endswith(".txt"))
    named = set(re.findall(r"\b(?:targetPort|port): ([a-z]\w*)", texts))
    assert named <= ports == {"http", "health"}


def test_the_ports_are_those_that_the_daemon_listens_on() -> None:
    values = {"config": {"listen": "0.0.0.0:8080", "health": {"listen": "[::]:8081"}}}
    ports = pod_of(values)["containers"][0]["ports"]
    assert ports == [{"name": "http", "containerPort": 8080}, {"name": "health", "containerPort": 8081}]


@pytest.mark.parametrize("values", [CASES["the-demo"], EVERYTHING], ids=["the-demo", "replicas"])
def test_every_container_of_ours_is_restricted(values: Json) -> None:
    """What the Pod Security Standard `restricted` demands, and what a scanner asks for beside it."""
    for pod in (pod_of(values), one(values, "Pod", "avi-avi-upgrade-monitor-test")["spec"]):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"].items() >= {"runAsNonRoot": True, "runAsUser": 65532}.items()
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}
        for container in pod["containers"]:
            if container["name"] == "beside":
                continue
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"].keys() == {"requests", "limits"}


# --- one source for rules and dashboards


def test_the_rules_are_those_of_the_repository() -> None:
    spec = one(EVERYTHING, "PrometheusRule")["spec"]
    ours = [group for path in sorted(RULES.glob("*.yml")) for group in yaml.safe_load(path.read_text())["groups"]]
    assert spec == {"groups": ours}


async def test_promtool_accepts_the_rules_with_another_place_for_the_runbooks(tmp_path: Path) -> None:
    values = {"prometheusRule": {"enabled": True, "runbookUrl": "https://wiki.example.net/avi"}}
    spec = one(values, "PrometheusRule")["spec"]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(spec))
    status, out, err = await output_of(program("promtool"), "check", "rules", str(tmp_path / "rules.yml"))
    assert (status, err) == (0, ""), out
    urls = {
        rule["annotations"]["runbook_url"] for group in spec["groups"] for rule in group["rules"] if "alert" in rule
    }
    assert {url.rpartition("/")[0] for url in urls} == {"https://wiki.example.net/avi"}


@pytest.mark.parametrize("kind", ["ServiceMonitor", "PodMonitor"])
def test_a_monitor_keeps_our_labels_and_gives_a_job_that_the_rules_know(kind: str) -> None:
    """Would find series with `exported_node`, and a monitor whose absence raises no alert."""
    spec = one(EVERYTHING, kind)["spec"]
    (endpoint,) = spec.get("endpoints", ()) or spec["podMetricsEndpoints"]
    (job,) = (each["replacement"] for each in endpoint["relabelings"] if each["targetLabel"] == "job")
    (known,) = re.findall(r'up\{job=~"([^"]+)"\}', (RULES / "alerts.yml").read_text())
    assert re.fullmatch(known, job)
    assert endpoint["honorLabels"] is True
    scraped = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"][0]
    assert (scraped["job_name"], scraped["honor_labels"]) == (job, True)


def test_the_dashboards_are_those_of_the_repository() -> None:
    maps = [each for each in objects(EVERYTHING) if "-dashboard-" in each["metadata"]["name"]]
    assert {each["metadata"]["labels"]["grafana_dashboard"] for each in maps} == {"1"}
    rendered = {name: json.loads(text) for each in maps for name, text in each["data"].items()}
    assert rendered == {f"avi-upgrade-monitor-{path.name}": json.loads(path.read_text()) for path in DASHBOARDS}


def test_the_package_has_files_in_place_of_the_links(tmp_path: Path) -> None:
    """A chart that was packaged with links that lead nowhere: no rule and no dashboard."""
    with tarfile.open(helm_python.package(CHART, destination=tmp_path)) as package:
        members = {each.name.removeprefix("avi-upgrade-monitor/"): each for each in package.getmembers()}
        assert all(each.isfile() for each in members.values())
        for path in (*RULES.glob("*.yml"), *DASHBOARDS):
            content = package.extractfile(members[f"files/{path.parent.name}/{path.name}"])
            assert content
            assert content.read() == path.read_bytes()
    assert {"README.md", "LICENSE", "values.schema.json"} <= members.keys()


def test_a_release_fits_into_the_secret_that_helm_keeps_it_in() -> None:
    """Helm keeps chart and manifest, compressed and in base64, in one Secret of 1 MiB at most."""
    kept = {"files": chart().files, "templates": chart().templates, "manifest": dict(render(EVERYTHING))}
    assert len(gzip.compress(json.dumps(kept).encode())) * 4 / 3 < 0.5 * 2**20
