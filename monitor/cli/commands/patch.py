"""``annotate`` and ``patch``: one request that changes an image, and what became of it."""

from collections.abc import Mapping

import msgspec
from rich.text import Text

from monitor.avi.values import HIGHEST_VERSION
from monitor.cli.api.client import Remote, calling, path_of
from monitor.cli.api.responses import Answer, DryRun, Seen, ServerError, decode, decode_seen
from monitor.cli.commands.images import annotations_of, find, put_json
from monitor.cli.options import Access, Output
from monitor.cli.output.tables import change_table, put, said, value_table
from monitor.patching.fields import Json


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is to be done. ``text``: the image's uuid or name. ``body``: of the PATCH.

    ``controller`` and ``api_version``: empty where they are to be found out.
    """

    text: str
    controller: str
    body: Mapping[str, Json]
    api_version: str
    dry_run: bool
    force: bool = False
    if_unchanged: bool = False


async def annotate(access: Access, output: Output, order: Order) -> None:
    """Change annotations, and show them. Raises: Rejected, ServerError."""
    before, answer = await _do(access, order)
    if not _shown(before, answer, output, order):
        after = decode_seen(msgspec.Raw(answer.body))
        put(_headline(after, "annotated"), *annotations_of(after))


async def patch(access: Access, output: Output, order: Order, fields: tuple[str, ...]) -> None:
    """Change an image on its Controller, and show the ``fields`` that were meant. Raises: Rejected, ServerError."""
    before, answer = await _do(access, order)
    if not _shown(before, answer, output, order):
        image = decode(answer.body, dict[str, Json])
        after = decode_seen(msgspec.Raw(answer.body))
        put(_headline(after, "patched"), value_table({field: image.get(field) for field in fields}))


def _shown(before: Seen, answer: Answer, output: Output, order: Order) -> bool:
    """Show what looks the same for every change; False when the rest is to do."""
    if output == "json":
        put_json(answer.body)
    elif order.dry_run:
        changes = decode(answer.body, DryRun).changes
        what = "would be changed so (dry run)" if changes else "nothing would change (dry run)"
        put(_headline(before, what), *([change_table(changes)] if changes else []))
    return output == "json" or order.dry_run


def _headline(seen: Seen, what: str) -> Text:
    return said(f"{seen.controller}  {seen.image.name or seen.image.uuid}: {what}", "bold")


async def _do(access: Access, order: Order) -> tuple[Seen, Answer]:
    """The image before it, and the answer."""
    async with calling(access) as remote:
        seen = await find(remote, order.text, order.controller)
        headers = {
            "Content-Type": "application/json",
            "X-Avi-Version": order.api_version or await _api_version(remote, seen.controller),
        }
        if order.if_unchanged:
            seen, tag = await remote.image(seen.image.uuid, seen.controller)
            headers["If-Match"] = _require(tag)
        flags = {"dry_run": order.dry_run, "force": order.force}
        query = {"controller": seen.controller, **{name: "true" for name, given in flags.items() if given}}
        body = msgspec.json.encode(order.body)
        return seen, await remote.ask("PATCH", path_of(seen.image.uuid), query, headers=headers, body=body)


def _require(tag: str) -> str:
    if not tag:
        raise ServerError("the image came without an ETag, so a change of it would not be noticed; nothing was changed")
    return tag


async def _api_version(remote: Remote, controller: str) -> str:
    """The one in which the daemon asks that controller; while it does not know it, the newest that we know."""
    known = (each.api_version for each in (await remote.controllers()).results if each.name == controller)
    return next(known, "") or HIGHEST_VERSION
