"""
What a row of the table of routes says: who may, what it takes, what it gives. Knows no route, and no OpenAPI.

Types are those that decode and encode, so that what is published is what is done.
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
    """A value of the path, of the query, or a header of the request. ``kind``: a type that msgspec can describe."""

    place: Literal["path", "query", "header"]
    name: str
    description: str
    kind: Any = str
    required: bool = False


class Header(Struct, frozen=True):
    """A header of an answer. ``always``: whether it never lacks."""

    name: str
    description: str
    always: bool = True


class Answer(Struct, frozen=True):
    """What comes with one status. ``kinds``: the body is of one of these types; without any there is none."""

    description: str
    kinds: tuple[Any, ...] = ()
    media_types: tuple[str, ...] = ("application/json",)
    headers: tuple[Header, ...] = ()


class Body(Struct, frozen=True):
    """The body of a request. ``schema``: its JSON schema; ``components``: those that it refers to, by name."""

    description: str
    media_types: tuple[str, ...]
    schema: Json
    components: Mapping[str, Json]
    examples: Mapping[str, Json]


class Route(Struct, frozen=True):
    """
    One row. ``scope``: what a caller must be allowed; ``open``: everybody may.

    ``answers``: by status, when all is well. ``problems``: kinds that may come instead, beside those of
    authentication and those of every route.
    """

    method: str
    path: str
    scope: Scope | Literal["open"]
    summary: str
    handler: Handler
    answers: Mapping[int, Answer]
    problems: tuple[ProblemKind, ...] = ()
    takes: tuple[Parameter, ...] = ()
    body: Body | None = None
