"""``metrics``: the table of the metric families."""

import click


@click.command()
def metrics() -> None:
    """Print the table of the metric families."""
    from monitor.metrics.families import FAMILIES  # noqa: PLC0415  it imports prometheus_client

    for family in FAMILIES:
        labels = ", ".join((*family.identity, *family.labels))
        click.echo(f"{family.name}\n    {family.kind}; {labels}\n    {family.help}")
