"""
What a row of the table of routes says, in the words of OpenAPI. Knows no route, and does not make the document.

The types are those that decode requests and encode responses, so that the document cannot differ from the code.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

from aiohttp import web
from msgspec import Struct

from monitor.config.access import Scope
from monitor.model.errors import ProblemKind

Json = Any
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Parameter(Struct, frozen=True):
    """``location``: OpenAPI's ``in``. ``type``: one that msgspec can describe as a JSON schema."""

    location: Literal["path", "query", "header"]
    name: str
    description: str
    type: Any = str
    required: bool = False


class Header(Struct, frozen=True):
    """A header of a response. ``required``: whether every such response has it."""

    name: str
    description: str
    required: bool = True


class Response(Struct, frozen=True):
    """The response with one status. ``types``: the body has one of them; empty: no body."""

    description: str
    types: tuple[Any, ...] = ()
    media_types: tuple[str, ...] = ("application/json",)
    headers: tuple[Header, ...] = ()


class RequestBody(Struct, frozen=True):
    """``schema``: its JSON schema; ``components``: those that the schema refers to, by name."""

    description: str
    media_types: tuple[str, ...]
    schema: Json
    components: Mapping[str, Json]
    examples: Mapping[str, Json]


class Route(Struct, frozen=True):
    """
    One row. ``scope``: what the caller needs; ``open``: nothing, not even authentication.

    ``responses``: by status, other than problems. ``problems``: those of this route, beside those of authentication
    and those that every route may have.
    """

    method: str
    path: str
    scope: Scope | Literal["open"]
    summary: str
    handler: Handler
    responses: Mapping[int, Response]
    problems: tuple[ProblemKind, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    request_body: RequestBody | None = None
