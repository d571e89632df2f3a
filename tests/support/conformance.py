"""Checks responses of the daemon against its OpenAPI document."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from jsonschema import Draft202012Validator

from monitor.web.openapi import document
from monitor.web.routes import ROUTES

DOCUMENT = document(ROUTES)
_OF_NO_ROUTE = {"no-such-route": 404, "method-not-allowed": 405}


def require_conformance(method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """
    Raise AssertionError when the document does not have this response; without such a route it must be a problem.

    ``path``: without a query. ``headers``: a case-insensitive mapping.
    """
    operation = _operation(method, path)
    if operation is None:
        assert status == _OF_NO_ROUTE[_require_problem(body)]
        return
    response = operation["responses"].get(str(status))
    assert response is not None, f"{method} {path} answered {status}, which is not documented: {body[:500]!r}"
    required = [name for name, header in response["headers"].items() if header["required"]]
    assert [name for name in required if name not in headers] == []
    _require_content(response.get("content", {}), headers.get("Content-Type", ""), body, bodiless=method == "HEAD")


def _operation(method: str, path: str) -> Any:  # noqa: ANN401  JSON
    documented = "get" if method == "HEAD" else method.lower()
    for template, methods in DOCUMENT["paths"].items():
        if re.fullmatch(re.sub(r"{\w+}", "[^{}/]+", template), path):
            return methods.get(documented)
    return None


def _require_content(content: Mapping[str, Any], content_type: str, body: bytes, *, bodiless: bool) -> None:
    if not content or bodiless:
        assert not body
        return
    media_type = content_type.partition(";")[0]
    assert media_type in content
    if media_type.endswith("json"):
        _validator(content[media_type]["schema"]).validate(msgspec.json.decode(body))


def _require_problem(body: bytes) -> str:
    problem = msgspec.json.decode(body)
    _validator({"$ref": "#/components/schemas/ProblemDetails"}).validate(problem)
    return str(problem["type"]).rpartition(":")[2]


def _validator(schema: Mapping[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]})
