"""What ``images``, ``image``, ``annotate`` and ``patch`` print: the daemon's responses as tables, or as JSON."""

from collections.abc import Iterable, Mapping, Sequence

import click
from rich.console import RenderableType
from rich.text import Text

from monitor.cli.api.objects import ApiObject
from monitor.cli.api.responses import (
    ApiImage,
    AuditRecord,
    CommandError,
    ControllerStatus,
    DryRun,
    ascii_json,
    decode,
)
from monitor.cli.output.tables import (
    ImageRow,
    annotation_table,
    change_table,
    changes_text,
    event_table,
    format_time,
    image_facts,
    image_table,
    plain_table,
    print_output,
    safe_text,
    value_table,
)
from monitor.config.validation import printable
from monitor.model.tracked import is_acknowledged
from monitor.patching.fields import Json


def print_json(body: bytes) -> None:
    """Print the daemon's JSON unchanged."""
    click.echo(ascii_json(body))


def print_image_list(images: Sequence[ApiImage]) -> None:
    """Print the images in the form of ``GET /api/image``, as one page."""
    print_json(b'{"count":%d,"results":[%b]}' % (len(images), b",".join(bytes(image.raw) for image in images)))


def print_image_table(images: Sequence[ApiImage], controllers: Iterable[ControllerStatus]) -> None:
    """Print the images, and why the images of these controllers are outdated or missing."""
    rows = (
        ImageRow(each.controller, each.image, each.standing, each.standing_rank, Text(str(len(each.annotations) or "")))
        for each in images
    )
    outages = (outage_text(controller) for controller in controllers if not controller.up)
    print_output(image_table(rows, remark="Annot.") if images else "No images", *outages)


def outage_text(controller: ControllerStatus) -> Text:
    """Say why the images of a controller that cannot be polled are outdated or missing."""
    problem = f"cannot be polled ({controller.reason})" if controller.reason else "not polled yet"
    if controller.seen_at is None:
        return safe_text(f"{controller.name}: {problem}", "yellow")
    at = format_time(controller.seen_at)
    shown = f"its images of {at} are too old to be shown" if controller.stale else f"its images are as of {at}"
    return safe_text(f"{controller.name}: {problem}; {shown}", "yellow")


def print_image(api_image: ApiImage, audit: Sequence[AuditRecord] | CommandError) -> None:
    """Print everything about one image. ``audit``: its last records, or why the client cannot read them."""
    image = api_image.image
    facts = image_facts(api_image.controller, image, acknowledged=is_acknowledged(api_image.annotations))
    events: list[RenderableType] = ["", event_table(image.events)] if image.events else []
    print_output(
        safe_text(image.name or image.uuid, "bold"),
        facts,
        *events,
        "",
        *annotations_part(api_image.annotations),
        "",
        *audit_part(audit),
    )


def annotations_part(annotations: Mapping[str, str]) -> tuple[RenderableType, ...]:
    """Return the lines about the annotations."""
    if not annotations:
        return (Text("No annotations"),)
    return Text("Annotations", "bold"), annotation_table(annotations)


def audit_part(audit: Sequence[AuditRecord] | CommandError) -> tuple[RenderableType, ...]:
    """Return one line for an error: only an admin can read the audit, and the image was shown."""
    if isinstance(audit, CommandError):
        return (Text(f"Audit not available: {str(audit).partition(chr(10))[0]}", "dim"),)
    if not audit:
        return (Text("No audit records"),)
    return Text("Audit", "bold"), plain_table(("When", "Who", "Outcome", "What"), map(_audit_cells, audit))


def _audit_cells(record: AuditRecord) -> tuple[Text, ...]:
    what = "; ".join(filter(None, (changes_text(record.changes), printable(record.detail))))
    outcome = record.outcome or "in progress"
    return Text(format_time(record.at)), safe_text(record.actor), safe_text(outcome), Text(what)


def print_dry_run(before: ApiObject, body: bytes) -> None:
    """Print what a PATCH would change."""
    changes = decode(body, DryRun).changes
    title = "would change as follows (dry run)" if changes else "nothing would change (dry run)"
    print_output(_headline(before, title), *([change_table(changes)] if changes else []))


def print_annotated(body: bytes) -> None:
    """Print the annotations of the image or unit that a PATCH returned."""
    after = decode(body, ApiObject)
    print_output(_headline(after, "annotated"), *annotations_part(after.annotations))


def print_patched(body: bytes, fields: Iterable[str]) -> None:
    """Print these fields of the image that a PATCH returned."""
    values: Mapping[str, Json] = decode(body, dict[str, Json])
    after = decode(body, ApiObject)
    print_output(_headline(after, "patched"), value_table({field: values.get(field) for field in fields}))


def _headline(shown: ApiObject, title: str) -> Text:
    return safe_text(f"{shown.controller}  {shown.name or shown.uuid}: {title}", "bold")
