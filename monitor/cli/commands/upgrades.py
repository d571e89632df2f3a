"""``upgrades`` and ``upgrade``: what a running daemon knows of the upgrades of Controllers."""

from collections.abc import Sequence
from typing import get_args

import click

from monitor.cli.api.responses import AuditRecord, CommandError, Rejected
from monitor.cli.options import api_command
from monitor.cli.params import Access, OutputFormat, Utf8Text
from monitor.config.validation import quoted
from monitor.model.upgrade import UnitKind, UpgradeState

_AUDIT_RECORDS = 5  # the newest ones; GET /api/audit has the others


@click.command()
@click.option("--controller", type=Utf8Text(), default="", help="Only the units of this controller.")
@click.option("--state", type=click.Choice(get_args(UpgradeState)), help="Only the units in this state.")
@click.option("--kind", type=click.Choice(get_args(UnitKind)), help="Only the units of this kind.")
@click.option("--all", "show_all", is_flag=True, help="Also units at rest, and Service Engines.")
@api_command
async def upgrades(
    access: Access,
    output: OutputFormat,
    *,
    controller: str,
    state: UpgradeState | None,
    kind: UnitKind | None,
    show_all: bool,
) -> None:
    """Show the upgrades of all controllers: where each stands, and its units, those first that need an operator."""
    from monitor.cli.api.client import connect  # noqa: PLC0415  it imports aiohttp
    from monitor.cli.api.subscription import read_state  # noqa: PLC0415
    from monitor.cli.output.upgrade_printing import Selection, print_upgrade_list, print_upgrades  # noqa: PLC0415  rich

    async with connect(access) as client:
        view, now = await read_state(client)
    if controller and controller not in view.controllers:
        raise Rejected(f"there is no controller {quoted(controller)} that you may see")
    selection = Selection(controller, state, kind, show_all=show_all)
    if output == "json":
        print_upgrade_list(view, selection)
    else:
        print_upgrades(view, selection, now=now)


@click.command()
@click.argument("UNIT", type=Utf8Text())
@click.option("--controller", type=Utf8Text(), default="", help="The controller that has the unit.")
@api_command
async def upgrade(access: Access, output: OutputFormat, *, unit: str, controller: str) -> None:
    """
    Show one unit: its properties, its tasks or Service Engines, its pre-checks, annotations and last changes.

    UNIT is a uuid, group@cloud, a name if no other unit has the same, or the name of a controller for its cluster.
    """
    from monitor.cli.api.client import connect  # noqa: PLC0415  it imports aiohttp
    from monitor.cli.api.subscription import read_state  # noqa: PLC0415
    from monitor.cli.api.unit_details import earlier_operations, read_tasks, read_unit  # noqa: PLC0415
    from monitor.cli.output.printing import print_json  # noqa: PLC0415  it imports rich
    from monitor.cli.output.upgrade_printing import print_unit  # noqa: PLC0415
    from monitor.cli.output.upgrade_target import find_unit  # noqa: PLC0415
    from monitor.cli.output.watch_state import UpgradeTarget  # noqa: PLC0415

    async with connect(access) as client:
        view, now = await read_state(client)
        if (key := find_unit(view, UpgradeTarget(unit, controller))) is None:
            who = f"{quoted(controller)} has no" if controller else "no controller that you may see has a"
            raise Rejected(f"{who} unit with the uuid or name {quoted(unit)}")
        body = await read_unit(client, key)
        if output == "json":
            print_json(body)
            return
        tasks = await read_tasks(client, key)
        audit: Sequence[AuditRecord] | CommandError
        try:
            audit = await client.audit(key[1], key[0], limit=_AUDIT_RECORDS)
        except CommandError as error:
            audit = error
    print_unit(view, key, tasks, earlier_operations(body), audit, now=now)
