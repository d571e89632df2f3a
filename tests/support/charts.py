"""The Helm chart in deploy/kubernetes/chart, rendered by Helm's own library."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import helm_python
import yaml

CHART: Final = Path(__file__).parents[2] / "deploy" / "kubernetes" / "chart"
RELEASE: Final = "avi"
NAMESPACE: Final = "monitoring"

Json = dict[str, Any]

_DIGEST: Final = f"sha256:{'5' * 64}"
_PEER: Final = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
CONTROLLER: Final = {
    "name": "dc1",
    "url": "https://avi-dc1.example.net",
    "username": "svc-monitor",
    "password_file": "/run/secrets/avi-passwords/dc1",
}

CASES: Final[Mapping[str, Json]] = {
    "the-defaults": {},
    "the-demo": {"demo": True},
    "a-fleet-in-sqlite": {
        "config": {"controllers": [CONTROLLER], "tokens": [], "stalled_after": "15m"},
        "secrets": ["avi-passwords"],
        "persistence": {"storageClass": "fast", "annotations": {"backup": "daily"}},
    },
    "a-volume-that-exists": {"persistence": {"existingClaim": "state"}, "existingConfigMap": "my-config"},
    "nothing-is-kept": {
        "persistence": {"enabled": False},
        "existingSecret": "my-config",
        "serviceAccount": {"create": False},
    },
    "replicas-with-everything": {
        "replicas": 2,
        "commonLabels": {"team": "net"},
        "image": {"digest": _DIGEST, "pullSecrets": ["registry"]},
        "config": {"controllers": [CONTROLLER], "database_file": "/run/secrets/avi-database/url"},
        "secrets": ["avi-passwords", "avi-database"],
        "service": {"type": "LoadBalancer", "ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv4", "IPv6"]},
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "hosts": ["avi.example.net"],
            "tls": [{"secretName": "avi-tls", "hosts": ["avi.example.net"]}],
        },
        "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["avi.example.net"]},
        "serviceMonitor": {
            "enabled": True,
            "labels": {"release": "prometheus"},
            "endpoint": {"authorization": {"credentials": {"name": "token", "key": "token"}}},
        },
        "podMonitor": {"enabled": True, "endpoint": {"relabelings": [{"targetLabel": "site", "replacement": "ams"}]}},
        "prometheusRule": {"enabled": True},
        "dashboards": {"enabled": True, "annotations": {"grafana_folder": "Avi"}},
        "networkPolicy": {
            "enabled": True,
            "from": [_PEER],
            "controllers": {"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}], "ports": [443, 8443]},
            "extraEgress": [{"ports": [{"port": 636}]}],
        },
        "podLabels": {"pod": "label"},
        "priorityClassName": "high",
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["avi-dc1.example.net"]}],
        "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]},
        "extraArgs": ["--log-level=debug"],
        "extraEnv": [{"name": "A", "value": "b"}],
        "extraEnvFrom": [{"secretRef": {"name": "environment"}}],
        "extraVolumes": [{"name": "more", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
        "extraInitContainers": [{"name": "first", "image": "busybox"}],
        "extraContainers": [{"name": "beside", "image": "busybox"}],
        "extraManifests": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-more"}},
            'apiVersion: v1\nkind: Secret\nmetadata: {name: "{{ .Release.Name }}-text"}\n',
        ],
    },
}
"""Values that people give, which together render everything that the chart has."""


@cache
def chart() -> helm_python.Chart:
    """The chart, loaded once."""
    return helm_python.Chart.load(CHART)


def defaults() -> Json:
    """The values of values.yaml."""
    read: Json = yaml.safe_load((CHART / "values.yaml").read_text())
    return read


def render(values: Json) -> Mapping[str, str]:
    """The text of each template. Raises: helm_python.HelmError."""
    return _render(json.dumps(values))


@cache
def _render(values: str) -> Mapping[str, str]:
    return chart().render(json.loads(values), name=RELEASE, namespace=NAMESPACE)


def objects(values: Json) -> tuple[Json, ...]:
    """Every object that the values make."""
    return _objects(json.dumps(values))


@cache
def _objects(values: str) -> tuple[Json, ...]:
    texts = [text for name, text in _render(values).items() if not name.endswith(".txt")]
    return tuple(each for text in texts for each in yaml.load_all(text, Loader=yaml.CSafeLoader) if each)


def one(values: Json, kind: str, name: str = "avi-avi-upgrade-monitor") -> Json:
    """The object of a kind and name."""
    (found,) = (each for each in objects(values) if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return found


def pod_of(values: Json) -> Json:
    """The spec of the daemon's pod."""
    spec: Json = one(values, "StatefulSet")["spec"]["template"]["spec"]
    return spec


def config_of(values: Json) -> str:
    """The text of the daemon's config file."""
    text: str = one(values, "ConfigMap", "avi-avi-upgrade-monitor-config")["data"]["config.yml"]
    return text
