"""
The OpenAPI document: what the table of routes says, in the words that other programs read. Made once; knows no route.

Whatever may come from the door or from a bug of ours is added to every row here, so that no row can forget it.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, get_args

import msgspec
from msgspec import Struct

from monitor import __version__
from monitor.config.access import AnonymousScope
from monitor.model.errors import ProblemKind
from monitor.patching.patcher import THEIRS
from monitor.web.openapi_patch import REF
from monitor.web.problems import HEADERS, PROBLEM_KINDS, TYPE, ProblemDetails
from monitor.web.route import Answer, Header, Parameter, Route

Json = Any

_DESCRIPTION: Final = """\
Watches the image objects of Avi Load Balancer Controllers. The images are answered in the Controller's own shape, and \
changed with its own call, so that the vendor's SDK works against this daemon unchanged.

Whatever answers GET answers HEAD. Errors are `application/problem+json` (RFC 9457). `x-scope` is what a caller must \
be allowed; `open`: everybody may. Where the security says so, the configuration may let in callers who show nothing.
"""
# no HTTP at all, a client certificate that is not allowed, an unexpected exception
_ON_EVERY_ROUTE: Final[tuple[ProblemKind, ...]] = ("bad-request", "forbidden", "internal-error")
_OF_AUTHENTICATION: Final[tuple[ProblemKind, ...]] = ("unauthorized", "too-many-failures")
_REQUEST_ID: Final = Header("X-Request-ID", "The request's id, in the log and in the audit: the caller's own, or ours.")


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
        "servers": [{"url": "/", "description": "The daemon that gave this document."}],
        "paths": paths,
        "components": {"schemas": _schemas(rows), "securitySchemes": _SCHEMES},
        "x-problems": {
            TYPE + kind: {"status": statuses(kind), "title": title} for kind, (_, title) in PROBLEM_KINDS.items()
        },
    }


def statuses(kind: ProblemKind) -> list[int]:
    """The statuses that a kind of problem may have: its own, or the Controller's where that is passed on."""
    return sorted(THEIRS) if kind == "controller-refused" else [PROBLEM_KINDS[kind][0]]


def problems_of(route: Route) -> tuple[ProblemKind, ...]:
    """Every kind of problem that the route may answer with."""
    return (*route.problems, *_ON_EVERY_ROUTE, *(_OF_AUTHENTICATION if route.scope != "open" else ()))


_SCHEMES: Final[Json] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A token of the configuration."},
    "basic": {"type": "http", "scheme": "basic", "description": "A user of the web configuration."},
}


def _security(route: Route) -> list[Json]:
    """Either scheme, with the scope as the role that it needs; or nothing, where anonymous callers may be let in."""
    if route.scope == "open":
        return []
    optional: list[Json] = [{}] if route.scope in get_args(AnonymousScope) else []
    return [*({scheme: [route.scope]} for scheme in _SCHEMES), *optional]


def _operation(route: Route) -> Json:
    operation: dict[str, Json] = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "security": _security(route),
        "x-scope": route.scope,
        "parameters": [_parameter(each) for each in route.takes],
        "responses": {str(status): response for status, response in _responses(route)},
    }
    if route.body:
        examples = {name: {"value": value} for name, value in route.body.examples.items()}
        content = {kind: {"schema": route.body.schema, "examples": examples} for kind in route.body.media_types}
        operation["requestBody"] = {"description": route.body.description, "required": True, "content": content}
    return operation


def _parameter(parameter: Parameter) -> Json:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "required": parameter.required,
        "schema": msgspec.json.schema(parameter.kind),
    }


def _responses(route: Route) -> Iterator[tuple[int, Json]]:
    """By status, each once."""
    kinds = problems_of(route)
    found = {status for kind in kinds for status in statuses(kind)}
    for status in sorted(found | route.answers.keys()):
        if status in route.answers:
            yield status, _answer(route.answers[status])
        else:
            yield status, _refusal(status, [kind for kind in kinds if status in statuses(kind)])


def _answer(answer: Answer) -> Json:
    response: dict[str, Json] = {"description": answer.description, "headers": _headers(*answer.headers)}
    if answer.kinds:
        shapes = [_shape(kind) for kind in answer.kinds]
        schema = {"anyOf": shapes} if len(shapes) > 1 else shapes[0]
        response["content"] = {media_type: {"schema": schema} for media_type in answer.media_types}
    return response


def _refusal(status: int, kinds: list[ProblemKind]) -> Json:
    """Problems that come with one status; a header is promised where every one of them has it."""
    schema = {
        "allOf": [_shape(ProblemDetails)],
        "properties": {"type": {"enum": [TYPE + kind for kind in kinds]}, "status": {"const": status}},
    }
    of_each = [HEADERS.get(kind, {}) for kind in kinds]
    headers = [
        Header(name, words, always=all(name in each for each in of_each))
        for name, words in {name: words for each in of_each for name, words in each.items()}.items()
    ]
    return {
        "description": "; ".join(f"{kind}: {PROBLEM_KINDS[kind][1]}" for kind in kinds),
        "headers": _headers(*headers),
        "content": {"application/problem+json": {"schema": schema}},
    }


def _headers(*headers: Header) -> Json:
    return {
        each.name: {"description": each.description, "required": each.always, "schema": {"type": "string"}}
        for each in (*headers, _REQUEST_ID)
    }


def _shape(kind: Any) -> Json:  # noqa: ANN401  any type that msgspec describes
    return {"$ref": REF.format(name=kind.__name__)} if _is_struct(kind) else msgspec.json.schema(kind)


def _is_struct(kind: Any) -> bool:  # noqa: ANN401
    return isinstance(kind, type) and issubclass(kind, Struct)


def _schemas(routes: Iterable[Route]) -> Mapping[str, Json]:
    """Whatever the document refers to."""
    rows = list(routes)
    kinds = [kind for route in rows for answer in route.answers.values() for kind in answer.kinds if _is_struct(kind)]
    schemas = msgspec.json.schema_components([*kinds, ProblemDetails], ref_template=REF)[1]
    for route in rows:
        schemas |= route.body.components if route.body else {}
    return dict(sorted(schemas.items()))
