"""``config-schema``: the JSON schema of the configuration."""

import click


@click.command()
def config_schema() -> None:
    """Print the JSON schema of the configuration, for editors."""
    import msgspec  # noqa: PLC0415

    from monitor.config.settings import schema  # noqa: PLC0415

    click.echo(msgspec.json.format(msgspec.json.encode(schema()), indent=2))
