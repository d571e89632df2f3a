"""``report``: what happened in an upgrade of one controller, as Markdown for the change ticket, or as JSON."""

import click

from monitor.cli.api.responses import decode
from monitor.cli.options import api_command
from monitor.cli.params import Access, OutputFormat, Utf8Text
from monitor.polling.upgrade_log import MAX_LOGS


@click.command()
@click.argument("CONTROLLER", type=Utf8Text())
@click.option(
    "--number",
    type=click.IntRange(1, MAX_LOGS),
    default=1,
    show_default=True,
    help="Which upgrade: 1 is the last one, 2 the one before it.",
)
@api_command
async def report(access: Access, output: OutputFormat, *, controller: str, number: int) -> None:
    """
    Show what happened in the last upgrade of a controller, as Markdown.

    Phases and how long they took, the Controllers' absence, groups and Service Engines, pre-checks, and who annotated
    what. Also of an upgrade that goes on.
    """
    from monitor.cli.api.client import connect  # noqa: PLC0415  it imports aiohttp
    from monitor.cli.output.printing import print_json  # noqa: PLC0415  it imports rich
    from monitor.cli.output.upgrade_report import markdown  # noqa: PLC0415
    from monitor.polling.upgrade_report import UpgradeReport  # noqa: PLC0415

    async with connect(access) as client:
        query = {"controller": controller, "number": str(number)}
        response = await client.request("GET", "/api/upgrade-report", query)
    if output == "json":
        print_json(response.body)
    else:
        click.echo(markdown(decode(response.body, UpgradeReport)), nl=False)
