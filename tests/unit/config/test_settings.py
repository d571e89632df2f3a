"""The shape of the config file: the rules between its keys, and a JSON schema that agrees with what ``load`` takes."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from monitor.config.settings import Settings, schema
from monitor.config.settings_rules import RULES_OF_SETTINGS
from monitor.config.validation import ParseContext, check

_EXAMPLES: Final = Path(__file__).parents[2] / "data" / "config"
_TYPES: Final[dict[str, type]] = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}


_TOKEN: Final = {"name": "alice", "sha256": "0f" * 32, "scopes": ["read"]}
_LEAST: Final = {"name": "dc1", "url": "https://avi.example.net", "username": "svc", "password_env": "SET"}


@pytest.mark.parametrize(
    ("tree", "problem"),
    [
        pytest.param({}, None, id="nothing-stated"),
        pytest.param({"controllers": [_LEAST]}, None, id="one-controller"),
        pytest.param({"poll": {"stale_after": "70s"}}, None, id="stale-after-one-missed-poll"),
        pytest.param(
            {"poll": {"stale_after": "69s"}},
            'poll.stale_after: found "69s", expected at least idle_interval + timeout (70s), '
            "or a healthy controller would go stale between two polls",
            id="stale-before-the-next-poll",
        ),
        pytest.param({"poll": {"active_interval": "60s"}}, None, id="active-as-slow-as-idle"),
        pytest.param(
            {"poll": {"active_interval": "61s"}},
            'poll.active_interval: found "61s", expected at most idle_interval (1m)',
            id="active-slower-than-idle",
        ),
        pytest.param({"listen": "127.0.0.1:1", "health": {"listen": "10.0.0.1:1"}}, None, id="two-hosts"),
        pytest.param({"listen": ":0", "health": {"listen": ":0"}}, None, id="two-free-ports"),
        pytest.param({"health": {"listen": ":9973"}}, None, id="two-ports"),
        pytest.param(
            {"health": {"listen": ":9972"}},
            'health.listen: found ":9972", expected another port than that of listen',
            id="one-address-twice",
        ),
        pytest.param({"poll": {"stale_after": "2h"}}, None, id="hold-for-like-stale-after"),
        pytest.param(
            {"poll": {"stale_after": "10m"}, "upgrades": {"hold_for": "9m"}},
            'upgrades.hold_for: found "9m", expected at least poll.stale_after (10m), '
            "or a controller would go stale sooner during an upgrade than at any other time",
            id="hold-for-below-stale-after",
        ),
        pytest.param(
            {"poll": {"stale_after": "5 h"}, "upgrades": {"hold_for": "1m"}},
            'poll.stale_after: found "5 h", expected a duration such as 300ms, 5s or 2m',
            id="hold-for-beside-a-bad-stale-after",
        ),
        pytest.param(
            {"controllers": [_LEAST | {"tls": {"fingerprint": "0f" * 32, "insecure_skip_verify": False}}]},
            None,
            id="one-trust",
        ),
        pytest.param(
            {"controllers": [_LEAST | {"tls": {"fingerprint": "0f" * 32, "insecure_skip_verify": True}}]},
            "controllers[0].tls: found fingerprint and insecure_skip_verify, expected at most one of them",
            id="two-trusts",
        ),
        pytest.param(
            {"controllers": [{key: value for key, value in _LEAST.items() if key != "password_env"}]},
            "controllers[0].password_file: found none, expected exactly one of password_file and password_env",
            id="no-password",
        ),
        pytest.param({"controllers": [_LEAST | {"url": "http://127.0.0.1"}]}, None, id="http-to-loopback"),
        pytest.param({"controllers": [_LEAST | {"url": "http://a", "allow_http": True}]}, None, id="http-allowed"),
        pytest.param(
            {"controllers": [_LEAST | {"url": "http://a:80"}]},
            'controllers[0].url: found http:// to "a", expected https://, '
            "or allow_http: true to send the password unencrypted",
            id="http",
        ),
        pytest.param(
            {"controllers": [_LEAST | {"write": {"username": "svc"}}]},
            "controllers[0].write.password_file: found none, expected exactly one of password_file and password_env",
            id="no-password-to-write",
        ),
        pytest.param({"tokens": [_TOKEN]}, None, id="token"),
        pytest.param({"tokens": [_TOKEN, _TOKEN | {"sha256": "1e" * 32}]}, None, id="one-name-twice"),
        pytest.param(
            {"tokens": [_TOKEN | {"scopes": []}]},
            "tokens[0].scopes: found an empty list, expected at least one",
            id="no-scope",
        ),
        pytest.param(
            {"users": [{"name": "anonymous", "scopes": ["read"]}]},
            "users[0].name: found anonymous, expected another name: it means a client without credentials",
            id="anonymous-by-name",
        ),
    ],
)
def test_what_keys_must_be_to_each_other(tree: object, problem: str | None) -> None:
    context = ParseContext(Path(), {"SET": "s3cret"})
    assert check(tree, Settings, context, RULES_OF_SETTINGS)[1] == ((problem,) if problem else ())


def _faults(value: Any, shape: dict[str, Any], path: str = "") -> Iterator[str]:  # noqa: ANN401 any YAML
    """As much of JSON Schema as ours uses."""
    if "$ref" in shape:
        yield from _faults(value, schema()["$defs"][shape["$ref"].rpartition("/")[2]], path)
    if "oneOf" in shape and sum(not list(_faults(value, each, path)) for each in shape["oneOf"]) != 1:
        yield f"{path}: oneOf"
    if not isinstance(value, _TYPES[shape.get("type", "object")] if "type" in shape else object):
        yield f"{path}: {shape['type']}"
        return
    if value not in shape.get("enum", [value]) or not re.search(shape.get("pattern", ""), str(value)):
        yield f"{path}: {shape.get('enum') or shape['pattern']}"
    if isinstance(value, list):
        for place, each in enumerate(value):
            yield from _faults(each, shape["items"], f"{path}[{place}]")
    if isinstance(value, dict):
        yield from (f"{path}.{key}: required" for key in shape.get("required", ()) if key not in value)
        for key, each in value.items() if "properties" in shape else ():
            known = shape["properties"].get(key)
            yield from _faults(each, known, f"{path}.{key}") if known else [f"{path}.{key}: unknown"]


@pytest.mark.parametrize("name", ["full.yml", "minimal.yml"])
def test_the_schema_accepts_what_loads(name: str) -> None:
    assert list(_faults(yaml.safe_load((_EXAMPLES / name).read_text()), schema())) == []


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("unknown-key.yml", ".pol: unknown"),
        ("missing-key.yml", ".controllers[0].url: required"),
        ("two-passwords.yml", ".controllers[0]: oneOf"),
        ("duration-unfit.yml", ".poll.idle_interval: string"),
        ("api-version-number.yml", ".controllers[0].api_version: string"),
        ("token-unfit.yml", ".tokens[1].sha256: ^(?:[0-9a-f]{64})$"),
        ("token-unfit.yml", ".tokens[1].scopes[1]: ['adjust', 'admin', 'annotate', 'metrics', 'read']"),
        ("token-unfit.yml", ".users[0].scopes: required"),
        ("write-unfit.yml", ".controllers[0].write: oneOf"),
        ("log-unfit.yml", ".log.format: ['console', 'json']"),
    ],
)
def test_the_schema_refuses(name: str, fault: str) -> None:
    assert fault in list(_faults(yaml.safe_load((_EXAMPLES / name).read_text()), schema()))


def test_no_object_of_the_schema_takes_unknown_keys() -> None:
    assert {name for name, each in schema()["$defs"].items() if each["additionalProperties"] is not False} == set()


def test_every_key_is_described() -> None:
    keys = [
        (name, key, field)
        for name, each in schema()["$defs"].items()
        for key, field in each["properties"].items()
        if "$ref" not in field
    ]
    assert len(keys) > 25
    assert [(name, key) for name, key, field in keys if not field.get("description")] == []


def test_a_default_is_written_as_in_the_file() -> None:
    defs = schema()["$defs"]
    defaults = {key: field.get("default") for key, field in defs["Poll"]["properties"].items()}
    assert defaults == {
        "active_interval": "5s",
        "idle_interval": "1m",
        "timeout": "10s",
        "stale_after": "5m",
        "max_backoff": "1m",
        "concurrency": 64,
        "max_response": "32MiB",
    }
    assert defs["Upgrades"]["properties"]["hold_for"]["default"] == "2h"
    assert defs["Settings"]["properties"]["listen"]["default"] == "127.0.0.1:9972"
    assert list(_faults(defaults, defs["Poll"])) == []
