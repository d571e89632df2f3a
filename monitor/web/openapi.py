"""
Makes the OpenAPI document from the table of routes. Knows no route.

The problems that every route may answer with (authentication, unexpected errors) are added here, so that no row of the
table can forget them.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, get_args

import msgspec
from msgspec import Struct

from monitor import __version__
from monitor.config.access import AnonymousScope
from monitor.model.errors import ProblemKind
from monitor.patching.failures import PASSED_THROUGH
from monitor.web.openapi_patch import REF
from monitor.web.problems import HEADERS, PROBLEM_KINDS, TYPE, ProblemDetails
from monitor.web.route import Header, Parameter, Response, Route

Json = Any

_DESCRIPTION: Final = """\
Watches the image objects of Avi Load Balancer Controllers. Images have the Controller's own shape, and are changed \
with the Controller's own call, so that the vendor's SDK works against this daemon unchanged.

Every route that answers GET also answers HEAD. Errors are `application/problem+json` (RFC 9457). `x-scope` is the \
scope that the caller needs; `open` needs no authentication. Where `security` has an empty requirement, the \
configuration may also allow anonymous callers.
"""
# not an HTTP request, a client certificate that is not allowed, the page of another site, `rate_limit`, an unexpected
# error
_ON_EVERY_ROUTE: Final[tuple[ProblemKind, ...]] = (
    "bad-request", "forbidden", "misdirected-request", "too-many-requests", "internal-error"
)  # fmt: skip
_OF_AUTHENTICATION: Final[tuple[ProblemKind, ...]] = ("unauthorized", "too-many-failures")
_REQUEST_ID: Final = Header(
    "X-Request-ID", "The id of the request in the log and in the audit: the client's own, or a random one."
)


def document(routes: Iterable[Route]) -> dict[str, Json]:
    """The whole document, as JSON values."""
    rows = list(routes)
    paths: dict[str, dict[str, Json]] = {}
    for route in rows:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "avi-upgrade-monitor",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The daemon that serves this document."}],
        "paths": paths,
        "components": {"schemas": _schemas(rows), "securitySchemes": _SECURITY_SCHEMES},
        "x-problems": {
            TYPE + kind: {"status": statuses(kind), "title": title} for kind, (_, title) in PROBLEM_KINDS.items()
        },
    }


def statuses(kind: ProblemKind) -> list[int]:
    """The statuses that a kind of problem may have: its own, or the Controller's where that is passed on."""
    return sorted(PASSED_THROUGH) if kind == "controller-refused" else [PROBLEM_KINDS[kind][0]]


def problems_of(route: Route) -> tuple[ProblemKind, ...]:
    """Every kind of problem that the route may answer with."""
    return (*route.problems, *_ON_EVERY_ROUTE, *(_OF_AUTHENTICATION if route.scope != "open" else ()))


_SECURITY_SCHEMES: Final[Json] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A token of the configuration."},
    "basic": {"type": "http", "scheme": "basic", "description": "A user of the web configuration."},
}


def _security(route: Route) -> list[Json]:
    """Either scheme, with the scope as the role; an empty requirement where anonymous callers may be allowed."""
    if route.scope == "open":
        return []
    optional: list[Json] = [{}] if route.scope in get_args(AnonymousScope) else []
    return [*({scheme: [route.scope]} for scheme in _SECURITY_SCHEMES), *optional]


def _operation(route: Route) -> Json:
    operation: dict[str, Json] = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "security": _security(route),
        "x-scope": route.scope,
        "parameters": [_parameter(each) for each in route.parameters],
        "responses": {str(status): response for status, response in _responses(route)},
    }
    if body := route.request_body:
        examples = {name: {"value": value} for name, value in body.examples.items()}
        content = {media_type: {"schema": body.schema, "examples": examples} for media_type in body.media_types}
        operation["requestBody"] = {"description": body.description, "required": True, "content": content}
    return operation


def _parameter(parameter: Parameter) -> Json:
    return {
        "name": parameter.name,
        "in": parameter.location,
        "description": parameter.description,
        "required": parameter.required,
        "schema": msgspec.json.schema(parameter.type),
    }


def _responses(route: Route) -> Iterator[tuple[int, Json]]:
    """Each status once, in ascending order."""
    kinds = problems_of(route)
    of_problems = {status for kind in kinds for status in statuses(kind)}
    for status in sorted(of_problems | route.responses.keys()):
        if status in route.responses:
            yield status, _response(route.responses[status])
        else:
            yield status, _problem_response(status, [kind for kind in kinds if status in statuses(kind)])


def _response(row: Response) -> Json:
    response: dict[str, Json] = {"description": row.description, "headers": _headers(*row.headers)}
    if row.types:
        schemas = [_schema(each) for each in row.types]
        schema = {"anyOf": schemas} if len(schemas) > 1 else schemas[0]
        response["content"] = {media_type: {"schema": schema} for media_type in row.media_types}
    return response


def _problem_response(status: int, kinds: list[ProblemKind]) -> Json:
    """The problems with one status; a header is required when all of them have it."""
    schema = {
        "allOf": [_schema(ProblemDetails)],
        "properties": {"type": {"enum": [TYPE + kind for kind in kinds]}, "status": {"const": status}},
    }
    by_kind = [HEADERS.get(kind, {}) for kind in kinds]
    descriptions = {name: description for each in by_kind for name, description in each.items()}
    headers = [
        Header(name, description, required=all(name in each for each in by_kind))
        for name, description in descriptions.items()
    ]
    return {
        "description": "; ".join(f"{kind}: {PROBLEM_KINDS[kind][1]}" for kind in kinds),
        "headers": _headers(*headers),
        "content": {"application/problem+json": {"schema": schema}},
    }


def _headers(*headers: Header) -> Json:
    return {
        each.name: {"description": each.description, "required": each.required, "schema": {"type": "string"}}
        for each in (*headers, _REQUEST_ID)
    }


def _schema(type_: Any) -> Json:  # noqa: ANN401  any type that msgspec describes
    return {"$ref": REF.format(name=type_.__name__)} if _is_struct(type_) else msgspec.json.schema(type_)


def _is_struct(type_: Any) -> bool:  # noqa: ANN401
    return isinstance(type_, type) and issubclass(type_, Struct)


def _schemas(routes: Iterable[Route]) -> Mapping[str, Json]:
    """Every schema that the document refers to, by name."""
    rows = list(routes)
    types = [each for row in rows for response in row.responses.values() for each in response.types if _is_struct(each)]
    schemas = msgspec.json.schema_components([*types, ProblemDetails], ref_template=REF)[1]
    for row in rows:
        schemas |= row.request_body.components if row.request_body else {}
    return dict(sorted(schemas.items()))
