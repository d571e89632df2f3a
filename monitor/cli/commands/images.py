"""``images`` and ``image``: what a running daemon knows of the images, and which of them may be deleted."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

import click

from monitor.avi.paging import PAGE_SIZE
from monitor.cli.api.responses import AuditRecord, CommandError, ControllerStatus, Rejected, decode_api_image
from monitor.cli.options import api_command, controller_option, image_argument
from monitor.cli.params import Access, OutputFormat, Utf8Text
from monitor.config.validation import quoted
from monitor.model.image import ImageState

if TYPE_CHECKING:
    from monitor.cli.api.client import DaemonClient

_AUDIT_RECORDS = 5  # the newest ones; GET /api/audit has the others


@click.command()
@click.option("--controller", type=Utf8Text(), default="", help="Only the images of this controller.")
@click.option("--state", type=click.Choice(get_args(ImageState)), help="Only the images in this state.")
@click.option("--deletable", is_flag=True, help="Show which images may be deleted, and why the others may not.")
@api_command
async def images(
    access: Access, output: OutputFormat, *, controller: str, state: ImageState | None, deletable: bool
) -> None:
    """Show the images of all controllers, the failed ones first. Nothing is ever deleted."""
    if deletable and state:
        raise click.UsageError("--deletable shows the images of all states: it cannot be combined with --state")
    if deletable:
        await _show_inventory(access, output, controller)
    else:
        await _show_images(access, output, controller, state)


async def _show_inventory(access: Access, output: OutputFormat, controller: str) -> None:
    from monitor.cli.api.client import connect  # noqa: PLC0415  it imports aiohttp
    from monitor.cli.output.inventory import print_inventory, print_inventory_table  # noqa: PLC0415  it imports rich

    async with connect(access) as client:
        query = {"controller": controller} if controller else {}
        by_version = await client.inventory(**query, page_size=str(PAGE_SIZE))
        controllers = await _controllers(client, output, controller, found=bool(by_version))
    if output == "json":
        print_inventory(by_version)
    else:
        print_inventory_table(by_version, controllers)


async def _show_images(access: Access, output: OutputFormat, controller: str, state: ImageState | None) -> None:
    from monitor.cli.api.client import connect  # noqa: PLC0415  it imports aiohttp
    from monitor.cli.output.printing import print_image_list, print_image_table  # noqa: PLC0415  it imports rich

    async with connect(access) as client:
        query = {"controller": controller} if controller else {}
        raws = await client.images(**query, page_size=str(PAGE_SIZE))
        controllers = await _controllers(client, output, controller, found=bool(raws))
    selected = [each for each in map(decode_api_image, raws) if state in {None, each.image.state}]
    if output == "json":
        print_image_list(selected)
    else:
        print_image_table(selected, controllers)


async def _controllers(
    client: "DaemonClient", output: OutputFormat, name: str, *, found: bool
) -> list[ControllerStatus]:
    """
    Return the controllers of which images are shown; none for JSON, which does not show them.

    ``found``: whether there are images. Raises: Rejected when there are none, and no controller with this name.
    """
    if output == "json" and (found or not name):
        return []
    selected = [each for each in await client.controllers() if name in {"", each.name}]
    if name and not found and not selected:
        raise Rejected(f"there is no controller {quoted(name)} that you may see")
    return selected


@click.command()
@image_argument
@controller_option
@api_command
async def image(access: Access, output: OutputFormat, *, image: str, controller: str) -> None:
    """
    Show one image: its properties, what each node did, its annotations, and its last changes.

    IMAGE is its uuid, or its name if no other image has the same.
    """
    from monitor.cli.api.client import connect  # noqa: PLC0415  it imports aiohttp
    from monitor.cli.output.printing import print_image, print_json  # noqa: PLC0415  it imports rich

    async with connect(access) as client:
        api_image = await client.find_image(image, controller)
        if output == "json":
            print_json(bytes(api_image.raw))
            return
        audit: Sequence[AuditRecord] | CommandError
        try:
            audit = await client.audit(api_image.image.uuid, api_image.controller, limit=_AUDIT_RECORDS)
        except CommandError as error:
            audit = error
    print_image(api_image, audit)
