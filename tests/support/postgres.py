"""A real PostgreSQL server for the tests: started once, in a folder of its own, reached by a socket in it."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path

import asyncpg
import pytest

from tests.support.limits import WAIT_TIMEOUT_S
from tests.support.stores import migrated_url

_numbers = count(1)

# nothing here outlives the session, so nothing has to be on a disk
_SETTINGS = "-F -c listen_addresses='' -c shared_buffers=16MB -c max_wal_size=64MB -c jit=off"


def _find_programs() -> Path | None:
    """The folder of the server's programs: on the path, or where Debian puts them, the newest first."""
    on_path = shutil.which("postgres")
    found = [Path(on_path).resolve()] if on_path else []
    by_version = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: -float(path.parts[4]))
    return next((path.parent for path in [*found, *by_version] if (path.parent / "initdb").exists()), None)


class Server:
    """One server. A client that reaches its folder may do anything."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self.folder = folder
        self._user = "postgres" if os.getuid() == 0 else None  # it refuses to run as root
        self._unused: list[str] = []
        if self._user:
            shutil.chown(folder, self._user)
        self._run("initdb", "-D", f"{folder}/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N", "--locale=C")

    def start(self) -> None:
        """Start it; it answers when this returns."""
        self._control(
            "start", "-t", f"{WAIT_TIMEOUT_S:.0f}", "-l", f"{self.folder}/log", "-o", f"{_SETTINGS} -k {self.folder}"
        )

    def stop(self) -> None:
        """Stop it, and end all connections."""
        self._control("stop", "-m", "fast")

    def crash(self) -> None:
        """End it in the middle of everything: the next start recovers."""
        self._control("stop", "-m", "immediate")

    def create(self) -> str:
        """An empty database, by its name."""
        if self._unused:
            return self._unused.pop()
        name = f"monitor_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def drop(self, name: str) -> None:
        """End the connections to a database, and empty it for `create`: to make one costs ten times as much."""
        end = f"SELECT pg_terminate_backend(pid, {1000 * WAIT_TIMEOUT_S:.0f}) FROM pg_stat_activity"  # noqa: S608  ours
        ours = f"datname = '{name}' AND pid <> pg_backend_pid()"
        empty = f"ALTER DATABASE {name} RESET ALL; DROP SCHEMA public CASCADE; CREATE SCHEMA public"
        self.execute(f"BEGIN READ WRITE; {end} WHERE {ours}; {empty}; COMMIT", name)
        self._unused.append(name)

    def url(self, name: str) -> str:
        """How the daemon reaches a database."""
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def create_role(self, name: str, password: str) -> None:
        """A role that may do anything, and has to give its password."""
        access = self.folder / "data" / "pg_hba.conf"
        access.write_text(f"local all {name} scram-sha-256\n{access.read_text()}")
        self.execute(f"DROP ROLE IF EXISTS {name}")
        self.execute(f"CREATE ROLE {name} SUPERUSER LOGIN PASSWORD '{password}'")
        self.execute("SELECT pg_reload_conf()")

    def set_password(self, name: str, password: str) -> None:
        """Another password for a role, whose connections end."""
        self.execute(f"ALTER ROLE {name} PASSWORD '{password}'")
        end = f"SELECT pg_terminate_backend(pid, {1000 * WAIT_TIMEOUT_S:.0f}) FROM pg_stat_activity"  # noqa: S608  ours
        self.execute(f"{end} WHERE usename = '{name}'")

    def execute(self, statement: str, database: str = "postgres") -> str:
        """Run one statement; the rows that it gives, as text."""
        address = ("-h", str(self.folder), "-U", "postgres", "-d", database)
        return self._run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *address, "-c", statement)

    def _control(self, action: str, *arguments: str) -> None:
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-w", action, *arguments)

    def _run(self, program: str, *arguments: str) -> str:
        # the server inherits standard output and error, and so would keep a pipe open for ever
        with tempfile.TemporaryFile() as output:
            ended = subprocess.run(
                [self._programs / program, *arguments],
                check=False,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                cwd="/",
                user=self._user,
                group=self._user,
                extra_groups=[] if self._user else None,
            )
            output.seek(0)
            text = output.read().decode()
        assert ended.returncode == 0, f"{program} failed:\n{text}"
        return text.strip()


@asynccontextmanager
async def session(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A session at the server, as of another program."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@contextmanager
def serving() -> Iterator[Server]:
    """A server for as long as the context lasts; the test is skipped where the program is missing."""
    programs = _find_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server on this machine (Debian: the package postgresql)")
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:  # not pytest's, which only its own user may enter
        server = Server(programs, Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """The server that the tests of a worker share; a test must not stop it."""
    with serving() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: Server) -> Iterator[str]:
    """A database of this test's own."""
    name = postgres_server.create()
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without rows, of either kind: what is promised of the one holds for the other."""
    if request.param == "sqlite":
        return migrated_url(tmp_path)
    url: str = request.getfixturevalue("postgres_url")
    return url
