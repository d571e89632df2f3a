"""``readiness``: whether an upgrade of a controller to an image may begin. It starts nothing."""

import click

from monitor.cli.api.responses import NotReady, decode
from monitor.cli.options import api_command
from monitor.cli.params import Access, OutputFormat, Utf8Text
from monitor.config.validation import printable


@click.command()
@click.argument("CONTROLLER", type=Utf8Text())
@click.option("--image", type=Utf8Text(), required=True, help="The image to upgrade to: its uuid or name.")
@api_command
async def readiness(access: Access, output: OutputFormat, *, controller: str, image: str) -> None:
    """
    Show what speaks for and against an upgrade of CONTROLLER to an image.

    The exit code is 0 when nothing speaks against it, also with warnings, and 1 otherwise. Nothing is started: the last
    line is the request that lets the Controller run its own pre-checks, which change nothing.
    """
    from monitor.cli.api.client import connect  # noqa: PLC0415  it imports aiohttp
    from monitor.cli.output.printing import print_json  # noqa: PLC0415  it imports rich
    from monitor.cli.output.readiness import print_readiness  # noqa: PLC0415
    from monitor.polling.readiness import ReadinessReport  # noqa: PLC0415

    async with connect(access) as client:
        response = await client.request("GET", "/api/readiness", {"controller": controller, "image": image})
    report = decode(response.body, ReadinessReport)
    if output == "json":
        print_json(response.body)
    else:
        print_readiness(report)
    against = [line.name for line in report.lines if line.verdict == "no_go"]
    if against:
        raise NotReady(printable(f"{controller} is not ready for {image}: {', '.join(against)}"))
