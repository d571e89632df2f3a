"""``images`` and ``image``: what a running daemon knows of the images."""

from collections.abc import Sequence
from typing import get_args

import click

from monitor.avi.paging import PAGE_SIZE
from monitor.cli.api.responses import AuditRecord, CommandError, Rejected, decode_api_image
from monitor.cli.options import api_command, controller_option, image_argument
from monitor.cli.params import Access, OutputFormat, Utf8Text
from monitor.config.validation import quoted
from monitor.model.image import ImageState

_AUDIT_RECORDS = 5  # the newest ones; GET /api/audit has the others


@click.command()
@click.option("--controller", type=Utf8Text(), default="", help="Only the images of this controller.")
@click.option("--state", type=click.Choice(get_args(ImageState)), help="Only the images in this state.")
@api_command
async def images(access: Access, output: OutputFormat, *, controller: str, state: ImageState | None) -> None:
    """Show the images of all controllers, the failed ones first."""
    from monitor.cli.api.client import connect  # noqa: PLC0415  it imports aiohttp
    from monitor.cli.output.printing import print_image_list, print_image_table  # noqa: PLC0415  it imports rich

    async with connect(access) as client:
        query = {"controller": controller} if controller else {}
        raws = await client.images(**query, page_size=str(PAGE_SIZE))
        needs_controllers = output == "text" or (controller and not raws)
        controllers = await client.controllers() if needs_controllers else []
    if controller and not raws and controller not in {each.name for each in controllers}:
        raise Rejected(f"there is no controller {quoted(controller)} that you may see")
    selected = [each for each in map(decode_api_image, raws) if state in {None, each.image.state}]
    if output == "json":
        print_image_list(selected)
    else:
        print_image_table(selected, [each for each in controllers if controller in {"", each.name}])


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
            audit = await client.audit(api_image, limit=_AUDIT_RECORDS)
        except CommandError as error:
            audit = error
    print_image(api_image, audit)
