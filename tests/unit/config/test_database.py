"""Where the database is: what a URL means and shows, and a URL or a password in a file of its own."""

from pathlib import Path

import pytest

from monitor.config.config_warnings import warnings_of
from monitor.config.database import DATABASE, DatabaseUrl
from monitor.config.load import load
from monitor.config.types import Config
from monitor.config.validation import InvalidValue, ParseContext
from monitor.model.errors import ConfigError

URL = "postgresql://monitor:s3cret@db.example.net/monitor"
URL_FILE = "database_file: url"
PASSWORD_FILE = "database: postgresql://monitor@db.example.net/monitor\ndatabase_password_file: password"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    for name, content in {"url": f"{URL}\n", "password": "s3cret\n"}.items():
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o600)
    return tmp_path


def configured(here: Path, text: str) -> Config:
    (here / "config.yml").write_text(f"{text}\ncontroller_files: [none.d/*]\n")
    return load(here / "config.yml", {})


def problem(here: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        configured(here, text)
    (only,) = caught.value.problems
    assert "s3cret" not in only
    return only.removeprefix(f"{here}/config.yml: ")


# -- the URL


@pytest.mark.parametrize("url", ["sqlite:////var/lib/x/state.db", "postgresql://u:p@h/db", "sqlite://"])
def test_a_url_means_itself(url: str) -> None:
    assert DATABASE.parse(url, ParseContext(Path("/etc"), {})) == url


def test_a_path_in_a_url_is_relative_to_the_file_that_has_it() -> None:
    assert DATABASE.parse("sqlite:///state.db", ParseContext(Path("/etc"), {})) == "sqlite:////etc/state.db"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:state.db",
        "sqlite://state.db",
        "sqlite:///state.db?mode=ro",
        "postgresql://user@host:port/db",
        "postgresql+asyncpg://h/db",
    ],
)
def test_a_url_is_refused(url: str) -> None:
    with pytest.raises((InvalidValue, ValueError)):
        DATABASE.parse(url, ParseContext(Path("/etc"), {}))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:////var/lib/state.db", "sqlite:////var/lib/state.db"),
        ("sqlite://", "sqlite://"),
        ("postgresql://h:5432,i/db", "postgresql://h:5432,i/db"),
        ("postgresql://u:hunter2@h/db", "postgresql://h/db"),
        ("postgresql://h/db?password=hunter2", "postgresql://h/db"),
        ("postgresql://u:hunter2@/db?host=/run", "postgresql:///db"),
        ("postgresql://u:hun/ter2@h/db", "postgresql://<secret>"),
        ("postgresql://u:hun?ter2@h/db", "postgresql://<secret>"),
        ("postgresql://u:hun#ter2@h/db", "postgresql://<secret>"),
        ("postgresql://h/db?password=hun@ter2", "postgresql://<secret>"),
        ("postgresql://u:hun@ter2@h/db", "postgresql://<secret>"),
    ],
)
def test_of_a_url_only_the_place_is_shown(url: str, shown: str) -> None:
    """Would find a password in a message, also one that should have been percent-encoded."""
    assert repr(DatabaseUrl(url)) == repr(shown)
    assert str(DatabaseUrl(url)) == url


# -- the files


def test_a_new_connection_takes_what_the_file_holds_by_now(here: Path) -> None:
    config = configured(here, URL_FILE)
    assert (config.database, config.log_in_to_database()) == (URL, (URL, None))
    (here / "url").write_text("postgresql://other:n3w@db.example.net/monitor?sslmode=require")
    assert config.log_in_to_database() == ("postgresql://other:n3w@db.example.net/monitor?sslmode=require", None)


def test_a_new_connection_takes_the_password_that_the_file_holds_by_now(here: Path) -> None:
    config = configured(here, PASSWORD_FILE)
    assert config.log_in_to_database() == ("postgresql://monitor@db.example.net/monitor", "s3cret")
    (here / "password").write_text("n3w\n")
    assert config.log_in_to_database() == ("postgresql://monitor@db.example.net/monitor", "n3w")


@pytest.mark.parametrize(("text", "name"), [(URL_FILE, "url"), (PASSWORD_FILE, "password")])
def test_the_file_is_watched_as_all_others(here: Path, text: str, name: str) -> None:
    assert here / name in configured(here, text).file_states


def test_without_files_it_is_the_configured_url(here: Path) -> None:
    assert configured(here, f"database: {URL}").log_in_to_database() == (URL, None)


@pytest.mark.parametrize(
    ("text", "name", "content", "expected"),
    [
        (URL_FILE, "url", None, "database_file: {}/url: No such file or directory"),
        (URL_FILE, "url", "\n", "database_file: {}/url: it is empty"),
        (
            URL_FILE,
            "url",
            "mysql://u:s3cret@h/db",
            "database_file: {}/url: what it holds is not sqlite:////absolute/path or postgresql://host/name",
        ),
        (
            URL_FILE,
            "url",
            "postgresql://u:s3cret@other/db",
            (
                "database_file: {}/url: found postgresql://other/db, "
                "expected postgresql://db.example.net/monitor as at the start"
            ),
        ),
        (PASSWORD_FILE, "password", None, "database_password_file: {}/password is empty or cannot be read"),
        (PASSWORD_FILE, "password", "\n", "database_password_file: {}/password is empty or cannot be read"),
    ],
    ids=["no-url", "empty-url", "no-url-of-ours", "other-database", "no-password", "empty-password"],
)
def test_a_file_that_is_unfit_at_a_new_connection_is_named_with_the_reason(
    here: Path, text: str, name: str, content: str | None, expected: str
) -> None:
    config = configured(here, text)
    if content is None:
        (here / name).unlink()
    else:
        (here / name).write_text(content)
    with pytest.raises(ValueError, match=r"^database_") as caught:
        config.log_in_to_database()
    assert str(caught.value) == expected.format(here)


@pytest.mark.parametrize(
    ("text", "content", "expected"),
    [
        (URL_FILE, "\n", 'database_file: found "url", expected a file that holds the URL of the database: it is empty'),
        (
            URL_FILE,
            "s3cret",
            (
                'database_file: found "url", expected a file that holds the URL of the database: '
                "what it holds is not sqlite:////absolute/path or postgresql://host/name"
            ),
        ),
        (
            "database_file: none",
            URL,
            (
                'database_file: found "none", expected a file that holds the URL of the database: '
                "No such file or directory"
            ),
        ),
        (
            f"database_file: {URL}",
            URL,
            (
                "database_file: found a value (not shown), expected a file that holds the URL of the database: "
                "No such file or directory"
            ),
        ),
        (
            f"database: {URL}\ndatabase_file: url",
            URL,
            "database_file: found database as well, expected one of them",
        ),
        (
            "database_file: url\ndatabase_password_file: password",
            URL,
            "database_password_file: found database_file as well, expected one of them: its URL has the password",
        ),
        (
            f"database: {URL}\ndatabase_password_file: password",
            URL,
            "database_password_file: found a password in database as well (not shown), expected one of them",
        ),
        (
            "database_password_file: password",
            URL,
            (
                "database_password_file: found one for SQLite, which has no password, "
                "expected a postgresql:// URL in database"
            ),
        ),
        (
            PASSWORD_FILE.replace(": password", ": ./none"),
            URL,
            (
                'database_password_file: found "./none", expected a file that holds the password: '
                "No such file or directory"
            ),
        ),
    ],
    ids=[
        "empty",
        "no-url",
        "missing",
        "the-url-itself",
        "both",
        "both-files",
        "two-passwords",
        "sqlite",
        "no-password",
    ],
)
def test_an_unfit_configuration_of_the_database_is_refused_with_the_reason(
    here: Path, text: str, content: str, expected: str
) -> None:
    (here / "url").write_text(content)
    assert problem(here, text) == expected


def test_a_sqlite_url_may_be_in_a_file_too(here: Path) -> None:
    (here / "url").write_text("sqlite:///state.db")
    assert configured(here, URL_FILE).database == f"sqlite:///{here}/state.db"


@pytest.mark.parametrize(("text", "name"), [(URL_FILE, "url"), (PASSWORD_FILE, "password")])
def test_a_file_with_the_password_that_every_user_may_read_is_a_warning(here: Path, text: str, name: str) -> None:
    config = configured(here, text)
    (here / name).chmod(0o644)
    assert [line.partition(":")[0] for line in warnings_of(config) if "mode" in line] == [f"{here}/{name}"]
