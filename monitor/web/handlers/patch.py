"""``PATCH`` of an image or a unit: validates the request, calls the patcher, and renders the result."""

import asyncio
from collections.abc import Callable, Mapping

import msgspec
from aiohttp import hdrs, web

from monitor.model.errors import PatchProblem
from monitor.model.tracked import Tracked, TrackedObject
from monitor.patching.body import MAX_BODY_BYTES, MEDIA_TYPES, Patch, decode_patch, is_version
from monitor.patching.kinds import IMAGE, UNIT, ObjectKind
from monitor.patching.representation import entity_tag, represent
from monitor.patching.request import PatchRequest, PatchResult
from monitor.patching.unit_body import decode_annotations
from monitor.polling.fleet import Entry
from monitor.web.context import CALLER, CONTEXT, REQUEST_ID
from monitor.web.entity_tags import sent_tags
from monitor.web.handlers.objects import Found, find_object
from monitor.web.problems import Problem

QUERY = ("name", "controller", "dry_run", "force")
"""The query parameters of a PATCH of an image."""

UNIT_QUERY = ("name", "controller", "dry_run")
"""Those of a PATCH of a unit."""

_ACCEPT_PATCH = {"Accept-Patch": ", ".join(MEDIA_TYPES)}
_OPTIONS = {"Allow": "GET, HEAD, OPTIONS, PATCH", **_ACCEPT_PATCH}
BOOLEANS: Mapping[str, bool] = {"true": True, "True": True, "1": True, "false": False, "False": False, "0": False}


async def patch_image(request: web.Request) -> web.Response:
    """
    Annotate or adjust one image.

    Returns 200 with the whole Image after the change and its ``ETag``; for ``?dry_run=true`` the Image as it would be,
    and ``changes``: before and after, by field.
    """
    return await _patch(request, IMAGE, decode_patch, query=QUERY)


async def patch_unit(request: web.Request) -> web.Response:
    """Annotate one unit in its present operation. The reply is as that of `patch_image`."""
    return await _patch(request, UNIT, decode_annotations, query=UNIT_QUERY)


async def _patch(
    request: web.Request, kind: ObjectKind, decode: Callable[[bytes], Patch], *, query: tuple[str, ...]
) -> web.Response:
    _require_known_query(request, query)
    api_version = _api_version(request)
    flags = {name: _flag(request, name) for name in ("dry_run", "force")}
    body = await _body(request)
    try:
        patch = decode(body)
        if request.app[CONTEXT].forwarder.is_standby():
            return await request.app[CONTEXT].forwarder.pass_on(request, body, request[REQUEST_ID])
        entry, tracked = find_object(request, kind)
        _require_name(request, kind, tracked)
        _require_tenant(request, kind, entry, tracked)
        _require_scope(request, patch)
        patch_request = _patch_request(request, kind, (entry, tracked), patch, api_version, **flags)
        if not flags["dry_run"]:
            request.app[CONTEXT].authenticator.count_change(request[CALLER])
        result = await request.app[CONTEXT].patcher.apply(patch_request)
    except PatchProblem as problem:
        raise Problem(
            problem.kind, problem.detail, headers=problem.headers, path=problem.path, status=problem.status
        ) from problem
    return _response(kind, entry.name, result, dry_run=flags["dry_run"])


async def options_image(_request: web.Request) -> web.Response:
    """The methods of an image, and the media types that PATCH accepts (RFC 5789)."""
    return web.Response(status=204, headers=_OPTIONS)


async def options_unit(_request: web.Request) -> web.Response:
    """The methods of a unit, and the media types that PATCH accepts (RFC 5789)."""
    return web.Response(status=204, headers=_OPTIONS)


def _response(kind: ObjectKind, controller: str, result: PatchResult, *, dry_run: bool) -> web.Response:
    body = represent(result.raw, controller, result.annotations)
    if dry_run:
        body = msgspec.json.encode({"dry_run": True, kind.noun: msgspec.Raw(body), "changes": result.changes})
        return web.Response(body=body, content_type="application/json")
    tag = entity_tag(result.raw, controller, result.annotations)
    return web.Response(body=body, content_type="application/json", headers={"ETag": f'"{tag}"'})


def _patch_request(
    request: web.Request, kind: ObjectKind, found: Found, patch: Patch, api_version: str, *, dry_run: bool, force: bool
) -> PatchRequest:
    entry, tracked = found
    operation = tracked.mark.operation
    return PatchRequest(
        controller=entry.name,
        uuid=request.match_info["uuid"],
        kind=kind,
        operation_key=operation.key if operation else None,
        patch=patch,
        api_version=api_version,
        if_match=sent_tags(request, hdrs.IF_MATCH),
        dry_run=dry_run,
        force=force,
        actor=request[CALLER].name,
        source=request.app[CONTEXT].authenticator.client_address(request),
        request_id=request[REQUEST_ID],
        client_connected=lambda: request.transport is not None and not request.transport.is_closing(),
    )


def _require_known_query(request: web.Request, known: tuple[str, ...]) -> None:
    """Refuse other parameters: a misspelt guard or dry run must not cause a change."""
    for key in request.query:
        if key not in known:
            raise Problem("bad-query", f"found {key[:40]!r}, expected only {', '.join(known)}")
        if len(request.query.getall(key)) > 1:
            raise Problem("bad-query", f"{key}: found more than once, expected once")


def _api_version(request: web.Request) -> str:
    version = request.headers.get("X-Avi-Version", "")
    if not is_version(version):
        found = f"found {version[:40]!r}" if version else "found none"
        raise Problem("no-version", f"X-Avi-Version: {found}, expected the API version of the body, such as 30.2.1")
    return version


def _flag(request: web.Request, name: str) -> bool:
    text = request.query.get(name, "false")
    if text not in BOOLEANS:
        raise Problem("bad-query", f"{name}: found {text[:40]!r}, expected true or false")
    return BOOLEANS[text]


async def _body(request: web.Request) -> bytes:
    """Read the body. Raises: Problem when its type is not supported, or it is too large or too slow."""
    charset = (request.charset or "utf-8").lower()
    coding = request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower()
    if request.content_type not in MEDIA_TYPES or charset not in {"utf-8", "utf8"} or coding != "identity":
        found = f"found {request.headers.get(hdrs.CONTENT_TYPE, 'none')[:80]!r}, coding {coding[:40]!r}"
        expected = f"expected {' or '.join(MEDIA_TYPES)} in UTF-8, uncompressed"
        raise Problem("unsupported-media-type", f"{found}; {expected}", headers=_ACCEPT_PATCH)
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise Problem("too-large", f"the body has {request.content_length} bytes; the limit is {MAX_BODY_BYTES}")
    timeout_s = request.app[CONTEXT].limits.body_timeout_s
    try:
        async with asyncio.timeout(timeout_s):
            return await request.read()
    except TimeoutError as error:
        raise Problem("request-timeout", f"the body did not arrive within {timeout_s:g} s") from error


def _require_name(request: web.Request, kind: ObjectKind, tracked: TrackedObject[Tracked]) -> None:
    """``?name=`` is a guard: an object with another name must not be changed."""
    name = request.query.get("name")
    if name is not None and name != tracked.object.name:
        raise Problem("name-mismatch", f"the {kind.noun} is named {tracked.object.name!r}, not {name[:200]!r}")


def _require_tenant(request: web.Request, kind: ObjectKind, entry: Entry, tracked: TrackedObject[Tracked]) -> None:
    """The tenant of the request must be watched: it is not forwarded to the Controller."""
    watched = request.app[CONTEXT].tenants[entry.name][kind.resource]
    for header in ("X-Avi-Tenant", "X-Avi-Tenant-UUID"):
        tenant = request.headers.get(header)
        if tenant is not None and watched != "*" and tenant not in {watched, tracked.object.tenant}:
            raise Problem("tenant-mismatch", f"{header}: {entry.name} is watched in the tenant {watched!r} only")


def _require_scope(request: web.Request, patch: Patch) -> None:
    """The route needs the scope annotate; a change on the Controller needs more."""
    if patch.adjustment and not request[CALLER].may("adjust"):
        fields = ", ".join(patch.adjustment.fields)
        raise Problem("forbidden", f"{request[CALLER].name} may annotate; changing {fields} needs the scope adjust")
