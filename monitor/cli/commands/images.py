"""``images`` and ``image``: what a daemon knows, for people or as its own JSON."""

import click
from rich.console import RenderableType
from rich.text import Text

from monitor.avi.paging import PAGE_SIZE
from monitor.cli.api.client import Remote, calling
from monitor.cli.api.responses import (
    Audit,
    Controllers,
    Failure,
    Health,
    Record,
    Rejected,
    Seen,
    decode,
    decode_seen,
    show_json,
)
from monitor.cli.options import Access, Output
from monitor.cli.output.tables import (
    Row,
    annotation_table,
    changes_of,
    event_table,
    facts_of,
    image_table,
    moment,
    plain_table,
    put,
    said,
)
from monitor.config.validation import printable, quoted
from monitor.model.image import ImageState
from monitor.model.tracked import is_acknowledged

_RECORDS = 5  # of the audit; all of them are the audit's own matter


async def show_images(access: Access, output: Output, *, controller: str, state: ImageState | None) -> None:
    """
    All images, or those of one controller, or in one state.

    Raises: ServerError; Rejected, also when there is no such controller.
    """
    async with calling(access) as remote:
        query = {"controller": controller} if controller else {}
        raws = await remote.images(**query, page_size=str(PAGE_SIZE))
        controllers = await remote.controllers() if output == "text" or (controller and not raws) else Controllers([])
    if controller and not raws and controller not in {each.name for each in controllers.results}:
        raise Rejected(f"there is no controller {quoted(controller)} that you may see")
    shown = [seen for seen in map(decode_seen, raws) if state in {None, seen.image.state}]
    if output == "json":
        put_json(b'{"count":%d,"results":[%b]}' % (len(shown), b",".join(bytes(seen.raw) for seen in shown)))
        return
    absences = (_absence(each) for each in controllers.results if not each.up and controller in {"", each.name})
    put(image_table(map(_row, shown), remark="Annot.") if shown else "No images", *absences)


def _row(seen: Seen) -> Row:
    number = str(len(seen.annotations) or "")
    return Row(seen.controller, seen.image, is_acknowledged(seen.annotations), Text(number))


def _absence(health: Health) -> Text:
    """Why the images of a controller are old or missing: else it would look as if it had none."""
    why = f"not read at present ({health.reason or 'not yet'})"
    if health.seen_at is None:
        return said(f"{health.name}: {why}", "yellow")
    at = moment(health.seen_at)
    shown = f"its images of {at} are too old to be shown" if health.stale else f"its images are as of {at}"
    return said(f"{health.name}: {why}; {shown}", "yellow")


async def show_image(access: Access, output: Output, *, text: str, controller: str) -> None:
    """
    One image, by uuid or name.

    Raises: ServerError; Rejected, also when none or several are meant.
    """
    async with calling(access) as remote:
        seen = await find(remote, text, controller)
        if output == "json":
            put_json(bytes(seen.raw))
            return
        audit = await _audit(remote, seen)
    facts = facts_of(seen.controller, seen.image, acknowledged=is_acknowledged(seen.annotations))
    events: list[RenderableType] = ["", event_table(seen.image.events)] if seen.image.events else []
    put(said(seen.image.name or seen.image.uuid, "bold"), facts, *events, "", *annotations_of(seen), "", *audit)


def annotations_of(seen: Seen) -> tuple[RenderableType, ...]:
    """Under their heading."""
    if not seen.annotations:
        return (Text("No annotations"),)
    return Text("Annotations", "bold"), annotation_table(seen.annotations)


async def find(remote: Remote, text: str, controller: str) -> Seen:
    """
    The image whose uuid, else whose name it is. ``controller``: the only one to look at, or empty.

    Raises: ServerError; Rejected when there is none or more than one.
    """
    among = {"controller": controller} if controller else {}
    if raws := await remote.images(uuid=text, **among):
        # Where several have the uuid, the daemon says which.
        return decode_seen(raws[0]) if len(raws) == 1 else (await remote.image(text, controller))[0]
    found = [decode_seen(raw) for raw in await remote.images(name=text, **among)]
    if not found:
        where = f"{quoted(controller)} has" if controller else "no controller that you may see has"
        raise Rejected(f"{where} {'no' if controller else 'an'} image of the uuid or name {quoted(text)} at present")
    if len(found) > 1:
        each = "".join(f"\n  {printable(seen.controller)}  {printable(seen.image.uuid)}" for seen in found)
        raise Rejected(f"{len(found)} images are named {quoted(text)}; give the uuid of one:{each}")
    return found[0]


async def _audit(remote: Remote, seen: Seen) -> tuple[RenderableType, ...]:
    """The last records; or one quiet line, for the image was shown all the same."""
    query = {"image": seen.image.uuid, "controller": seen.controller, "page_size": str(_RECORDS)}
    try:
        records = decode((await remote.ask("GET", "/api/audit", query)).body, Audit).results
    except Failure as error:  # most callers are not the admin whom it is for
        return (Text(f"No audit: {str(error).partition(chr(10))[0]}", "dim"),)
    if not records:
        return (Text("No records in the audit"),)
    return Text("Audit", "bold"), plain_table(("When", "Who", "OutcomeKind", "What"), map(_told, records))


def _told(record: Record) -> tuple[Text, ...]:
    what = "; ".join(filter(None, (changes_of(record.changes), printable(record.detail))))
    return Text(moment(record.at)), said(record.actor), said(record.outcome or "under way"), Text(what)


def put_json(body: bytes) -> None:
    """The daemon's JSON as it is."""
    click.echo(show_json(body))
