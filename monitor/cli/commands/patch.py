"""``annotate`` and ``patch``: one request that changes an image, and its result."""

from collections.abc import Iterable, Mapping

import click
import msgspec
from msgspec import Struct

from monitor.cli.api.objects import ApiObject, image_object, image_path, unit_path
from monitor.cli.api.responses import ServerError
from monitor.cli.options import api_command, controller_option, image_argument
from monitor.cli.params import (
    Access,
    AnnotationEdit,
    AnnotationEditType,
    FieldValue,
    FieldValueType,
    OutputFormat,
    Utf8Text,
    Version,
)
from monitor.patching.fields import Json

_api_version_option = click.option(
    "--api-version", type=Version(), default="", help="The X-Avi-Version of the request.  [default: the controller's]"
)
_dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")


class _PatchRequest(Struct, frozen=True, kw_only=True):
    """
    One change. ``target``: the uuid or name of the image. ``body``: of the PATCH.

    ``controller`` and ``api_version``: empty to be looked up. ``units``: whether the target may also be the uuid of a
    unit.
    """

    target: str
    controller: str
    body: Mapping[str, Json]
    api_version: str
    dry_run: bool
    force: bool = False
    if_unchanged: bool = False
    units: bool = False


@click.command()
@image_argument
@click.argument("CHANGES", metavar="KEY=VALUE|KEY-...", nargs=-1, required=True, type=AnnotationEditType())
@controller_option
@_api_version_option
@_dry_run_option
@api_command
async def annotate(
    access: Access,
    output: OutputFormat,
    *,
    image: str,
    changes: tuple[AnnotationEdit, ...],
    controller: str,
    api_version: str,
    dry_run: bool,
) -> None:
    """
    Set annotations of an image (KEY=VALUE), or remove them (KEY-). They are not sent to the Controller.

    IMAGE is its uuid, or its name if no other image has the same. It may also be the uuid of what is upgraded as one: a
    cluster, an SE group or a Service Engine. Those annotations belong to its present operation.
    """
    from monitor.cli.output.printing import print_annotated, print_dry_run, print_json  # noqa: PLC0415  it imports rich

    body: Mapping[str, Json] = {"annotations": _unique(changes)}
    request = _PatchRequest(
        target=image, controller=controller, body=body, api_version=api_version, dry_run=dry_run, units=True
    )
    before, response_body = await _send(access, request)
    if output == "json":
        print_json(response_body)
    elif dry_run:
        print_dry_run(before, response_body)
    else:
        print_annotated(response_body)


@click.command()
@image_argument
@click.option(
    "--set", "settings", multiple=True, type=FieldValueType(), help="Set a field; can be given more than once."
)
@click.option(
    "--unset", "unset", multiple=True, type=Utf8Text(), metavar="FIELD", help="Unset a field; can be given repeatedly."
)
@controller_option
@_api_version_option
@click.option("--force", is_flag=True, help="Also while the Controller is still processing the image.")
@click.option("--if-unchanged", is_flag=True, help="Only if the image has not changed since this command read it.")
@_dry_run_option
@api_command
async def patch(
    access: Access,
    output: OutputFormat,
    *,
    image: str,
    settings: tuple[FieldValue, ...],
    unset: tuple[str, ...],
    controller: str,
    api_version: str,
    force: bool,
    if_unchanged: bool,
    dry_run: bool,
) -> None:
    """
    Change an image on its Controller: set fields, or unset them.

    IMAGE is its uuid, or its name if no other image has the same.
    """
    from monitor.cli.output.printing import print_dry_run, print_json, print_patched  # noqa: PLC0415  it imports rich

    if settings and unset:
        why = "they are two requests to the Controller, and the second could fail alone"
        raise click.UsageError(f"--set and --unset cannot be combined: {why}")
    if not settings and not unset:
        raise click.UsageError("nothing to do: give --set or --unset")
    fields = _unique(settings or [(field, None) for field in unset])
    request = _PatchRequest(
        target=image,
        controller=controller,
        body={"replace" if settings else "delete": fields},
        api_version=api_version,
        dry_run=dry_run,
        force=force,
        if_unchanged=if_unchanged,
    )
    before, response_body = await _send(access, request)
    if output == "json":
        print_json(response_body)
    elif dry_run:
        print_dry_run(before, response_body)
    else:
        print_patched(response_body, fields)


def _unique(pairs: Iterable[tuple[str, Json]]) -> dict[str, Json]:
    """Return the pairs as a dict. Raises: UsageError for a key that is given twice."""
    found: dict[str, Json] = {}
    for key, value in pairs:
        if key in found:
            raise click.UsageError(f"{key!r} is given twice")
        found[key] = value
    return found


async def _send(access: Access, request: _PatchRequest) -> tuple[ApiObject, bytes]:
    """Return the target before the request, and the body of the response. Raises: Rejected, ServerError."""
    from monitor.cli.api.client import connect  # noqa: PLC0415  it imports aiohttp

    async with connect(access) as client:
        unit = await client.find_unit(request.target, request.controller) if request.units else None
        before = unit or image_object(await client.find_image(request.target, request.controller))
        path = unit_path(before.uuid) if unit else image_path(before.uuid)
        query = {"controller": before.controller}
        headers = {"X-Avi-Version": request.api_version or await client.api_version(before.controller)}
        if request.if_unchanged:
            headers["If-Match"] = _require_etag((await client.request("GET", path, query)).etag)
        flags = {"dry_run": request.dry_run, "force": request.force}
        query |= {name: "true" for name, is_set in flags.items() if is_set}
        headers["Content-Type"] = "application/json"
        body = msgspec.json.encode(request.body)
        return before, (await client.request("PATCH", path, query, headers=headers, body=body)).body


def _require_etag(etag: str) -> str:
    if not etag:
        raise ServerError("the image has no ETag, so --if-unchanged cannot be checked; nothing was changed")
    return etag
