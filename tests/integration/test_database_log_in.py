"""A password of the database that is rotated while the daemon runs, at a PostgreSQL that asks for it."""

import asyncio
from pathlib import Path

import pytest

from monitor.config.load import load
from monitor.config.types import Config
from monitor.store import Store
from tests.support.limits import WAIT_TIMEOUT_S
from tests.support.postgres import Server
from tests.support.stores import closing, is_up, recover

ROLE = "rotated"


@pytest.fixture
def url(postgres_server: Server, postgres_url: str) -> str:
    """As a role that needs a password, ``first``."""
    postgres_server.create_role(ROLE, "first")
    return postgres_url.replace("postgres@", f"{ROLE}@")


def configured(folder: Path, text: str) -> Config:
    (folder / "config.yml").write_text(f"{text}\ncontroller_files: [none.d/*]\n")
    return load(folder / "config.yml", {})


def of_config(config: Config) -> Store:
    return Store(config.database, log_in=config.log_in_to_database, transaction_timeout_s=30.0)


async def fails(store: Store, cause: str) -> None:
    """Flush as the daemon does, until the database is down for this cause: its sessions end a moment later."""
    async with asyncio.timeout(WAIT_TIMEOUT_S):
        while not store.database.cause.startswith(cause):
            await store.try_flush()


@pytest.mark.parametrize("key", ["database_file", "database_password_file"])
async def test_a_rotated_password_is_taken_without_a_restart(
    tmp_path: Path, postgres_server: Server, url: str, key: str
) -> None:
    """Would find a daemon that goes on with the password of its start, and stays down."""
    secret = tmp_path / "secret"
    whole = key == "database_file"

    def write(password: str) -> None:
        secret.write_text(url.replace(f"{ROLE}@", f"{ROLE}:{password}@") if whole else password)

    write("first")
    text = f"{key}: secret" if whole else f"database: {url}\n{key}: secret"
    async with closing(of_config(configured(tmp_path, text))) as store:
        await store.open()
        assert is_up(store)
        postgres_server.set_password(ROLE, "second")
        await fails(store, f'password authentication failed for user "{ROLE}"')
        secret.write_text("")
        await fails(store, f"{key}: {secret}")
        write("second")
        await recover(store)
