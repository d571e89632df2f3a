"""The commands for people at a terminal: they ask a daemon that runs, and change what it lets them change."""

from collections.abc import Coroutine
from typing import Any, Literal, get_args

import click

from monitor.cli.options import Access, Output, api_command, stream_command
from monitor.cli.params import Duration, Note, NoteType, Setting, SettingType, Text, Version
from monitor.model.image import ImageState
from monitor.patching.fields import Json

Doing = Coroutine[Any, Any, None]

_image = click.argument("IMAGE", type=Text())
_controller = click.option("--controller", type=Text(), default="", help="The one that has it.")
_dry_run = click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
_api_version = click.option(
    "--api-version", type=Version(), default="", help="The X-Avi-Version of what is sent; the controller's by default."
)


@click.command("images")
@click.option("--controller", type=Text(), default="", help="Only those of this one.")
@click.option("--state", type=click.Choice(get_args(ImageState)), help="Only those in this state.")
@api_command
def images_command(access: Access, output: Output, *, controller: str, state: ImageState | None) -> Doing:
    """Show the images of all controllers, the failed ones first."""
    from monitor.cli.commands import images as looking  # noqa: PLC0415  the other commands start faster without it

    return looking.show_images(access, output, controller=controller, state=state)


@click.command("image")
@_image
@_controller
@api_command
def image_command(access: Access, output: Output, *, image: str, controller: str) -> Doing:
    """
    Show one image: what it is, what each node did, its annotations, and who changed it.

    IMAGE is its uuid, or its name where only one has it.
    """
    from monitor.cli.commands import images as looking  # noqa: PLC0415

    return looking.show_image(access, output, text=image, controller=controller)


@click.command("watch")
@click.option("--image", type=Text(), default="", help="Only this one: its uuid, or its name.")
@click.option("--controller", type=Text(), default="", help="Only the images of this one.")
@click.option("--until", type=click.Choice(["completed", "failed"]), help="End when the image is in this state.")
@click.option("--timeout", "patience_s", type=Duration(), help="How long in all.  [default: for ever]")
@stream_command
def watch_command(
    access: Access,
    output: Output,
    *,
    image: str,
    controller: str,
    until: Literal["completed", "failed"] | None,
    patience_s: float | None,
) -> Doing:
    """
    Show the images of all controllers as they change; or wait for one of them.

    With --until it ends with 0 once the image has come to that state, with 1 when it cannot any more, and with 3 when
    the time is over. An image that is not there yet is waited for.
    """
    from monitor.cli.commands import watch  # noqa: PLC0415
    from monitor.cli.output import target as wanted  # noqa: PLC0415

    if until and not image:
        raise click.UsageError("--until: say of which image, with --image")
    order = watch.Order(wanted.Wanted(image, controller), until, patience_s)
    return watch.watch(access, output, order)


@click.command("annotate")
@_image
@click.argument("CHANGES", metavar="KEY=VALUE|KEY-...", nargs=-1, required=True, type=NoteType())
@_controller
@_api_version
@_dry_run
@api_command
def annotate_command(
    access: Access,
    output: Output,
    *,
    image: str,
    changes: tuple[Note, ...],
    controller: str,
    api_version: str,
    dry_run: bool,
) -> Doing:
    """
    Set annotations of an image (KEY=VALUE), or remove them (KEY-). No Controller sees them.

    IMAGE is its uuid, or its name where only one has it.
    """
    from monitor.cli.commands import patch as changing  # noqa: PLC0415

    body: dict[str, Json] = {"annotations": _once(changes)}
    order = changing.Order(text=image, controller=controller, body=body, api_version=api_version, dry_run=dry_run)
    return changing.annotate(access, output, order)


@click.command("patch")
@_image
@click.option("--set", "settings", multiple=True, type=SettingType(), help="Set a field; more than one can be.")
@click.option("--unset", "unset", multiple=True, type=Text(), metavar="FIELD", help="Unset a field.")
@_controller
@_api_version
@click.option("--force", is_flag=True, help="Also while the Controller is still processing the image.")
@click.option("--if-unchanged", is_flag=True, help="Only if it is still what it was when this command read it.")
@_dry_run
@api_command
def patch_command(
    access: Access,
    output: Output,
    *,
    image: str,
    settings: tuple[Setting, ...],
    unset: tuple[str, ...],
    controller: str,
    api_version: str,
    force: bool,
    if_unchanged: bool,
    dry_run: bool,
) -> Doing:
    """
    Change an image on its Controller: set fields, or unset them.

    IMAGE is its uuid, or its name where only one has it.
    """
    from monitor.cli.commands import patch as changing  # noqa: PLC0415

    if bool(settings) == bool(unset):
        why = "they are two requests to the Controller, and the second could fail alone"
        raise click.UsageError(f"--set and --unset: {why}" if unset else "nothing to do: give --set or --unset")
    fields = _once(settings or [(field, None) for field in unset])
    order = changing.Order(
        text=image,
        controller=controller,
        body={"replace" if settings else "delete": fields},
        api_version=api_version,
        dry_run=dry_run,
        force=force,
        if_unchanged=if_unchanged,
    )
    return changing.patch(access, output, order, tuple(fields))


def _once(pairs: "tuple[Note, ...] | tuple[Setting, ...] | list[tuple[str, Json]]") -> dict[str, Json]:
    """By key. Raises: UsageError for one that is named twice."""
    found: dict[str, Json] = {}
    for key, value in pairs:
        if key in found:
            raise click.UsageError(f"{key!r} is named twice")
        found[key] = value
    return found


COMMANDS = (images_command, image_command, watch_command, annotate_command, patch_command)
