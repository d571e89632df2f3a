"""The OpenAPI document is valid, and describes the scope, parameters, bodies and responses of every route."""

import re
from collections.abc import Mapping
from typing import Any, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator

from monitor import __version__
from monitor.config.access import Scope
from monitor.patching.body import MEDIA_TYPES, is_version
from monitor.web import parameters
from monitor.web.openapi import document, problems_of, statuses
from monitor.web.problems import HEADERS, PROBLEM_KINDS, TYPE
from monitor.web.route import Parameter, Route
from monitor.web.routes import ROUTES
from tests.support.strategies import BOUNDED

DOCUMENT = document(ROUTES)
OF_NO_ROUTE = {"method-not-allowed"}  # the problem of a path that has no such route

every_route = pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")


def operation(route: Route) -> Mapping[str, Any]:
    found: Mapping[str, Any] = DOCUMENT["paths"][route.path][route.method.lower()]
    return found


def test_the_document_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()
    assert DOCUMENT["info"]["version"] == __version__
    assert DOCUMENT["info"]["license"]["identifier"] == "Apache-2.0"
    assert not any("://" in server["url"] for server in DOCUMENT["servers"])


def test_the_document_has_the_routes_and_no_others() -> None:
    found = [(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods]
    assert sorted(found) == sorted((route.method, route.path) for route in ROUTES)
    names = [operation(route)["operationId"] for route in ROUTES]
    assert len(set(names)) == len(names)


@every_route
def test_every_route_has_a_summary_and_a_successful_response(route: Route) -> None:
    assert operation(route)["summary"]
    assert any(int(status) < 400 for status in operation(route)["responses"])
    assert all(response["description"] for response in operation(route)["responses"].values())


@every_route
def test_every_route_has_a_scope_and_its_security_requirements(route: Route) -> None:
    found = operation(route)
    assert found["x-scope"] in {*get_args(Scope), "open"}
    assert [{scheme: [route.scope]} for scheme in ("bearer", "basic") if route.scope != "open"] == [
        each for each in found["security"] if each
    ]
    assert ({} in found["security"]) == (route.scope in {"metrics", "read"})


@every_route
def test_every_path_segment_and_parameter_is_described(route: Route) -> None:
    described = [each for each in operation(route)["parameters"] if each["description"]]
    assert len(described) == len(operation(route)["parameters"])
    in_path = {each["name"] for each in described if each["in"] == "path" and each["required"]}
    assert in_path == set(re.findall(r"{(\w+)}", route.path))


@every_route
def test_every_request_body_is_described_with_examples(route: Route) -> None:
    assert (route.request_body is not None) == (route.method in {"PATCH", "PUT"})  # POST is used for commands
    if route.request_body:
        content = operation(route)["requestBody"]["content"]
        assert tuple(content) == MEDIA_TYPES
        assert all(each["examples"] for each in content.values())


@every_route
def test_every_problem_is_described_with_its_status_type_and_headers(route: Route) -> None:
    for kind in problems_of(route):
        for status in statuses(kind):
            response = operation(route)["responses"][str(status)]
            schema = response["content"]["application/problem+json"]["schema"]
            assert TYPE + kind in schema["properties"]["type"]["enum"]
            assert HEADERS.get(kind, {}).keys() <= response["headers"].keys()


def test_every_problem_belongs_to_a_route() -> None:
    used = {kind for route in ROUTES for kind in problems_of(route)}
    assert used == PROBLEM_KINDS.keys() - OF_NO_ROUTE
    assert DOCUMENT["x-problems"].keys() == {TYPE + kind for kind in PROBLEM_KINDS}


def test_no_status_is_both_a_response_and_a_problem_of_one_route() -> None:
    for route in ROUTES:
        assert not route.responses.keys() & {status for kind in problems_of(route) for status in statuses(kind)}


def pattern_of(name: str, rows: tuple[Parameter, ...]) -> str:
    (found,) = [each for each in rows if each.name == name]
    (meta,) = found.type.__metadata__
    return str(meta.pattern)


def test_a_patch_has_the_headers_of_the_vendors_call() -> None:
    seed = {"X-Avi-Tenant", "X-Avi-Tenant-UUID", "X-Avi-Version", "X-CSRFToken"}
    rows = {each.name: each for each in parameters.PATCH if each.location == "header"}
    assert seed <= rows.keys()
    assert {name for name in seed if rows[name].required} == {"X-Avi-Version"}
    assert "not needed" in rows["X-CSRFToken"].description


VERSION = pattern_of("X-Avi-Version", parameters.PATCH)


@BOUNDED
@given(text=st.from_regex(VERSION) | st.text("0123456789.३\n", max_size=12))
@example(text="30.2.1")
@example(text="30.2.1.1.1")
def test_the_described_version_is_the_accepted_one(text: str) -> None:
    documented = re.search(VERSION, text) is not None and not text.endswith("\n")  # no header can have it
    assert documented == is_version(text)
