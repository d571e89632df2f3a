"""
The config as an operator meets it: files in, one Config out, or lines to read.

``tests/data/config`` holds one file a rule; the lines that it is answered with stand at its top, after ``#:``.
"""

import os
import shutil
from ipaddress import ip_network
from pathlib import Path
from typing import Final

import pytest
import trustme
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.config.access import Token, User
from monitor.config.file_state import file_states
from monitor.config.load import load
from monitor.config.settings import Annotations, Events, Health, Log, Poll, Upgrades, schema
from monitor.config.types import Account, Config, Controller, SecretFile, SecretVariable, Tls
from monitor.config.web_config import WebConfig
from monitor.model.errors import ConfigError
from monitor.model.secret import Secret

_EXAMPLES: Final = Path(__file__).parents[2] / "data" / "config"
_INVALID: Final = sorted(path.name for path in _EXAMPLES.glob("*.yml") if path.read_text().startswith("#: "))
_ENVIRON: Final = {"AVI_PASSWORD": "s3cret-in-env\n", "EMPTY": "\n"}
_SECRETS: Final = ("hunter2", "s3cret", "12345678")
_ONE: Final = """
controllers:
  - {name: dc1, url: https://avi.example.net, username: svc, password_file: dc1.password}
"""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples, with the files that they name."""
    site = tmp_path_factory.mktemp("config") / "site"
    shutil.copytree(_EXAMPLES, site)
    (site / "dc1.password").write_text("s3cret-in-file\n")
    (site / "empty.password").write_text("\n")
    (site / "binary.password").write_bytes(b"s3cret-\xff")
    (site / "huge.password").write_bytes(b"s3cret" * 20_000)
    trustme.CA().cert_pem.write_to_path(site / "ca.pem")
    return site


@pytest.fixture
def here(site: Path, tmp_path: Path) -> Path:
    """A directory of one's own, with a password and a CA."""
    shutil.copy(site / "dc1.password", tmp_path)
    shutil.copy(site / "ca.pem", tmp_path)
    return tmp_path


def _load(directory: Path, text: str) -> Config:
    (directory / "config.yml").write_text(text)
    return load(directory / "config.yml", _ENVIRON)


def _problems(path: Path) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(path, _ENVIRON)
    return caught.value.problems


@pytest.mark.parametrize("name", _INVALID)
def test_an_invalid_file_gives_these_problems(site: Path, name: str) -> None:
    rows = (site / name).read_text().splitlines()
    expected = [row.removeprefix("#: ") for row in rows if row.startswith("#: ")]
    assert [problem.replace(f"{site}/", "") for problem in _problems(site / name)] == expected


@pytest.mark.parametrize("name", _INVALID)
def test_no_problem_shows_a_secret(site: Path, name: str) -> None:
    text = "\n".join(_problems(site / name))
    assert [secret for secret in _SECRETS if secret in text] == []


def test_the_full_example_sets_every_key(site: Path) -> None:
    tree = yaml.safe_load((site / "full.yml").read_text())
    defs = schema()["$defs"]
    assert isinstance(defs, dict)
    controllers = [key for each in tree["controllers"] for key in each]
    tls = [key for each in tree["controllers"] for key in each.get("tls", ())]
    assert set(tree) | {"database_file", "database_password_file"} == set(defs["Settings"]["properties"])
    sections = ("health", "poll", "log", "events", "upgrades")
    assert {key: set(tree[key]) for key in sections} == {key: set(defs[key.title()]["properties"]) for key in sections}
    write = [key for each in tree["controllers"] for key in each.get("write", ())]
    assert set(tree["annotations"]) == set(defs["Annotations"]["properties"])
    assert {key for each in tree["tokens"] for key in each} == set(defs["TokenSettings"]["properties"])
    assert {key for each in tree["users"] for key in each} == set(defs["UserSettings"]["properties"])
    assert {*write, "password_file"} == set(defs["WriteSettings"]["properties"])
    assert set(controllers) == set(defs["ControllerSettings"]["properties"])
    assert set(tls) == set(defs["TlsSettings"]["properties"])
    upgrades = [key for each in tree["controllers"] for key in each.get("upgrades", ())]
    assert set(upgrades) == set(defs["ControllerUpgrades"]["properties"])


def test_the_full_example_loads(site: Path) -> None:
    from_file = SecretFile(site / "dc1.password")
    beside = SecretFile(site / "controllers.d" / ".." / "dc1.password")
    assert load(site / "full.yml", _ENVIRON, site / "web.yaml") == Config(
        listen_host="::",
        listen_port=9973,
        database="postgresql://monitor:hunter2@db.example.net/monitor",
        health=Health(listen=("127.0.0.1", 9974)),
        poll=Poll(
            active_interval_s=2,
            idle_interval_s=90,
            timeout_s=0.3,
            stale_after_s=3600,
            max_backoff_s=120,
            concurrency=8,
            max_response=2**30,
        ),
        log=Log(level="debug", format="console"),
        events=Events(detail_for_s=86400, max_series_per_image=100, max_series_per_controller=1000),
        upgrades=Upgrades(
            watch=False,
            full_interval_s=1800,
            hold_for_s=10800,
            return_backoff_s=5,
            max_reads_per_poll=12,
            se_series=0,
            max_series_per_controller=2000,
        ),
        annotations=Annotations(export=frozenset({"change/number", "owner"})),
        stalled_after_s=300,
        anonymous=frozenset({"metrics"}),
        server_names=frozenset({"monitor.example.net", "monitor"}),
        trusted_proxies=frozenset(map(ip_network, ("10.0.0.0/8", "2001:db8::/32", "192.0.2.1/32"))),
        tokens=(
            Token(
                name="alice",
                digest=b"\x0f" * 32,
                scopes=frozenset({"annotate"}),
                controllers=frozenset({"dc1", "dc2"}),
            ),
            Token(name="alice", digest=b"\x1e" * 32, scopes=frozenset({"metrics", "read"})),
        ),
        users=(User(name="bob", scopes=frozenset({"admin"}), controllers=frozenset({"lab"})),),
        web=WebConfig(path=site / "web.yaml", users={"bob": Secret(f"$2b$04${'.' * 53}")}),
        controllers=(
            Controller(
                name="dc1",
                url="https://avi-dc1.example.net",
                username="svc-monitor",
                password=from_file,
                tenant="*",
                api_version="30.2.1",
                tls=Tls(authorities=(site / "ca.pem").read_text()),
                write=Account("svc-adjust", SecretVariable("AVI_PASSWORD", Secret("s3cret-in-env"))),
                watch_upgrades=True,
                upgrades_tenant="infra",
            ),
            Controller(
                name="lab",
                url="http://avi-lab.example.net:8080",
                username="svc-monitor",
                password=SecretVariable("AVI_PASSWORD", Secret("s3cret-in-env")),
                watch_upgrades=False,
            ),
            Controller(
                name="pinned",
                url="https://[2001:db8::1]:8443",
                username="svc-monitor",
                password=from_file,
                tls=Tls(fingerprints=frozenset({b"\x0f" * 32})),
                watch_upgrades=False,
            ),
            Controller(
                name="twice-pinned",
                url="https://avi-two.example.net",
                username="svc-monitor",
                password=from_file,
                tls=Tls(fingerprints=frozenset({b"\x0f" * 32, b"\x1e" * 32})),
                watch_upgrades=False,
            ),
            Controller(
                name="trusting",
                url="https://avi-old.example.net",
                username="svc-monitor",
                password=from_file,
                tls=Tls(insecure=True),
                watch_upgrades=False,
            ),
            Controller(
                name="dc2", url="https://dc2.example.net", username="svc", password=beside, watch_upgrades=False
            ),
            Controller(
                name="dc3", url="https://dc3.example.net", username="svc", password=beside, watch_upgrades=False
            ),
        ),
        controller_files=("controllers.d/*.yml",),
        files=(site / "full.yml", site / "controllers.d" / "dc2.yml", site / "controllers.d" / "dc3.yml"),
        file_states=file_states(
            [
                *(site / name for name in ("full.yml", "controllers.d/dc2.yml", "controllers.d/dc3.yml", "web.yaml")),
                *(site / "ca.pem", from_file.path, beside.path),
            ]
        ),
    )


def test_the_minimal_example_has_the_defaults(site: Path) -> None:
    config = load(site / "minimal.yml", {})
    assert config == Config(
        listen_host="127.0.0.1",
        listen_port=9972,
        database="sqlite:////var/lib/avi-upgrade-monitor/state.db",
        poll=Poll(
            active_interval_s=5,
            idle_interval_s=60,
            timeout_s=10,
            stale_after_s=300,
            max_backoff_s=60,
            concurrency=64,
            max_response=32 * 1024 * 1024,
        ),
        log=Log(level="info", format="json"),
        events=Events(detail_for_s=86400, max_series_per_image=2000, max_series_per_controller=10000),
        upgrades=Upgrades(
            watch=True,
            full_interval_s=900,
            hold_for_s=7200,
            return_backoff_s=15,
            max_reads_per_poll=24,
            se_series=200,
            max_series_per_controller=10000,
        ),
        anonymous=None,
        annotations=Annotations(export=frozenset()),
        tokens=(),
        users=(),
        web=None,
        controllers=(
            Controller(
                name="dc1",
                url="https://avi.example.net",
                username="svc",
                password=SecretFile(site / "dc1.password"),
                tenant="admin",
                api_version=None,
                tls=Tls(authorities=None, fingerprints=frozenset(), insecure=False),
                write=None,
                watch_upgrades=True,
                upgrades_tenant="",
            ),
        ),
        files=(site / "minimal.yml",),
        file_states=file_states([site / "minimal.yml", site / "dc1.password"]),
    )


@pytest.mark.parametrize(
    ("everywhere", "here_alone", "watched"),
    [
        pytest.param("", "", True, id="nothing-stated"),
        pytest.param("upgrades: {watch: false}", "", False, id="off-everywhere"),
        pytest.param("", "{watch: false}", False, id="off-for-the-controller"),
        pytest.param("upgrades: {watch: false}", "{watch: true}", True, id="on-for-the-controller-alone"),
        pytest.param("upgrades: {watch: false}", '{tenant: "*"}', False, id="off-everywhere-beside-another-key"),
    ],
)
def test_a_controller_has_the_last_word_on_whether_its_upgrades_are_watched(
    here: Path, everywhere: str, here_alone: str, watched: bool
) -> None:
    stated = f", upgrades: {here_alone}}}" if here_alone else "}"
    (controller,) = _load(here, f"{everywhere}\n{_ONE.replace('}', stated)}").controllers
    assert controller.watch_upgrades is watched


class _WritingEnviron(dict[str, str]):
    """An environment in which a file is written whenever a variable is looked up."""

    def __init__(self, path: Path, text: str) -> None:
        super().__init__(_ENVIRON)
        self._path, self._text = path, text

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        self._path.write_text(self._text)
        return super().get(name, default)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.5], ids=["emptied", "half", "one-and-a-half"])
def test_a_ca_file_that_is_written_while_it_is_read_is_a_problem_like_any_other(here: Path, share: float) -> None:
    pem = (here / "ca.pem").read_text()
    (here / "config.yml").write_text(
        "controllers:\n"
        "- {name: a, url: https://a.example, username: u, tls: {ca_file: ca.pem}, password_env: AVI_PASSWORD}\n"
    )
    environ = _WritingEnviron(here / "ca.pem", (2 * pem)[: int(share * len(pem))])
    with pytest.raises(ConfigError) as caught:
        load(here / "config.yml", environ)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{here}/config.yml: controllers[0].tls.ca_file: found ")
    assert problem.endswith(
        ", expected a PEM file of CA certificates: there is none in it, or one that is not complete"
    )


def test_a_config_does_not_show_a_secret(site: Path) -> None:
    text = repr(load(site / "full.yml", _ENVIRON, site / "web.yaml"))
    assert "$2b$" not in text
    assert [secret for secret in _SECRETS if secret in text] == []
    assert "'postgresql://db.example.net/monitor'" in text


@pytest.mark.parametrize(
    ("listen", "loopback"),
    [
        pytest.param("127.0.0.1:0", True, id="ipv4"),
        pytest.param("127.8.9.10:9972", True, id="all-of-127"),
        pytest.param("'[::1]:9972'", True, id="ipv6"),
        pytest.param("localhost:9972", True, id="name"),
        pytest.param("0.0.0.0:9972", False, id="any-ipv4"),
        pytest.param("'[::]:9972'", False, id="any-ipv6"),
        pytest.param(":9972", False, id="any"),
        pytest.param("monitor.example.net:9972", False, id="another-name"),
    ],
)
def test_loopback_is_known(here: Path, listen: str, loopback: bool) -> None:
    assert _load(here, f"listen: {listen}\nanonymous: []\n{_ONE}").loopback is loopback


def test_anonymous_can_be_empty(here: Path) -> None:
    assert _load(here, f"anonymous: []\n{_ONE}").anonymous == frozenset()


@pytest.mark.parametrize(
    ("stated", "users", "may"),
    [
        pytest.param("listen: 127.0.0.1:0", False, {"metrics", "read"}, id="loopback"),
        pytest.param("listen: 127.0.0.1:0", True, set(), id="loopback-with-users"),
        pytest.param("anonymous: [metrics]", True, {"metrics"}, id="stated-beside-users"),
        pytest.param("listen: ':0'", True, set(), id="everywhere-with-users"),
        pytest.param("listen: ':0'\nanonymous: [read]", False, {"read"}, id="everywhere-stated"),
    ],
)
def test_what_a_client_without_credentials_may_do(
    here: Path, site: Path, stated: str, users: bool, may: set[str]
) -> None:
    (here / "config.yml").write_text(f"{stated}\n{_ONE}")
    config = load(here / "config.yml", _ENVIRON, site / "web.yaml" if users else None)
    assert config.anonymous_scopes == may


def test_on_another_address_than_loopback_a_web_configuration_without_users_gives_no_access(here: Path) -> None:
    (here / "config.yml").write_text(f"listen: ':0'\n{_ONE}")
    (here / "web.yml").write_text("{}")
    with pytest.raises(ConfigError) as caught:
        load(here / "config.yml", _ENVIRON, here / "web.yml")
    assert caught.value.problems == (
        (
            f'{here}/config.yml: listen: ":0" is not loopback, so the config must say who has access: '
            "set tokens, anonymous, or basic_auth_users in the web config"
        ),
    )


def test_a_token_gives_access_on_any_address(here: Path) -> None:
    token = f"tokens: [{{name: alice, sha256: {'0f' * 32}, scopes: [read]}}]\n"
    assert _load(here, f"listen: ':0'\n{token}{_ONE}").anonymous_scopes == frozenset()


def test_problems_of_the_config_and_of_the_web_configuration_come_at_once(here: Path) -> None:
    (here / "config.yml").write_text(f"pol: 1\nusers: [{{name: bob, scopes: [read]}}]\n{_ONE}")
    (here / "web.yml").write_text("basic_auth_users: {bob: hunter2}")
    with pytest.raises(ConfigError) as caught:
        load(here / "config.yml", _ENVIRON, here / "web.yml")
    first, second = caught.value.problems
    assert first.startswith(f"{here}/config.yml: pol: unknown key")
    assert second == (
        f"{here}/web.yml: basic_auth_users.bob: found a value (not shown), "
        "expected a bcrypt hash, such as `htpasswd -nBC 10 NAME` prints"
    )


def test_a_user_that_the_web_configuration_does_not_have_is_a_problem(here: Path, site: Path) -> None:
    (here / "config.yml").write_text(f"users: [{{name: eve, scopes: [read]}}]\n{_ONE}")
    with pytest.raises(ConfigError) as caught:
        load(here / "config.yml", _ENVIRON, site / "web.yaml")
    assert caught.value.problems == (
        f'{here}/config.yml: users[0].name: found "eve", expected a user of {site}/web.yaml',
    )


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost"])
def test_http_to_this_machine_is_fine(here: Path, url: str) -> None:
    assert _load(here, _ONE.replace("https://avi.example.net", f"'{url}'")).controllers[0].url == url


def test_a_pattern_that_matches_nothing_is_fine(here: Path) -> None:
    assert _load(here, f"controller_files: [controllers.d/*.yml]\n{_ONE}").files == (here / "config.yml",)


def test_a_pattern_takes_files_alone_in_order_and_once(here: Path) -> None:
    (here / "c.d" / "directory.yml").mkdir(parents=True)
    for name in ("b", "a"):
        (here / "c.d" / f"{name}.yml").write_text("controllers: []")
    config = _load(here, f"controller_files: ['{here}/c.d/b.*', c.d/*.yml]\n{_ONE}")
    assert [path.name for path in config.files] == ["config.yml", "b.yml", "a.yml"]


def test_controllers_may_stand_in_controller_files_alone(site: Path) -> None:
    shutil.copy(site / "minimal.yml", site / "alone.d.yml")
    (site / "alone.yaml").write_text("controller_files: [alone.d.yml]\n")
    assert [each.name for each in load(site / "alone.yaml", {}).controllers] == ["dc1"]


@pytest.mark.parametrize(
    "text",
    [
        "listen: 127.0.0.1:9972",
        "controllers: []",
        "controller_files: [nothing.d/*.yml]",
        "controller_files: [none.yml]",
    ],
)
def test_a_configuration_may_have_no_controllers_yet(here: Path, text: str) -> None:
    """Would find a first install that crash-loops until its first controller is configured."""
    (here / "config.yml").write_text(text)
    (here / "none.yml").write_text("controllers: []")
    assert load(here / "config.yml", {}).controllers == ()


def test_how_each_file_looked_is_told_with_the_problems_too(here: Path) -> None:
    (here / "config.yml").write_text("poll: [")
    before = file_states([here / "config.yml", here / "no.yml"])
    with pytest.raises(ConfigError) as caught:
        load(here / "config.yml", _ENVIRON, here / "no.yml")
    assert caught.value.file_states == before


def test_a_missing_config_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    assert _problems(path) == (f"{path}: cannot be read: No such file or directory",)


def test_the_environment_of_the_process_is_the_default(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVI_PASSWORD", "s3cret-of-process")
    (here / "config.yml").write_text(_ONE.replace("password_file: dc1.password", "password_env: AVI_PASSWORD"))
    assert load(here / "config.yml").controllers[0].password.read() == Secret("s3cret-of-process")


def test_a_secret_file_is_read_each_time(tmp_path: Path) -> None:
    source = SecretFile(tmp_path / "password")
    texts = []
    for body in (b"one\r\n\n", b"", b"\n", b" two ", b"\xff"):
        source.path.write_bytes(body)
        secret = source.read()
        texts.append(secret and secret.reveal())
    source.path.unlink()
    assert [*texts, source.read()] == ["one", None, None, " two ", None, None]


def test_a_secret_variable_is_what_it_was_at_start(here: Path) -> None:
    environ = dict(_ENVIRON)
    (here / "config.yml").write_text(_ONE.replace("password_file: dc1.password", "password_env: AVI_PASSWORD"))
    password = load(here / "config.yml", environ).controllers[0].password
    environ.clear()
    assert password.read() == Secret("s3cret-in-env")
    assert repr(password) == "SecretVariable(name='AVI_PASSWORD', secret=<secret>)"


_TEXTS = st.text(max_size=40) | st.sampled_from(
    ["5s", "32MiB", "dc1", "https://avi.example.net", "dc1.password", "AVI_PASSWORD", ":0", "debug", "metrics", "admin"]
)
_KEYS = st.sampled_from(
    ["listen", "poll", "timeout", "log", "level", "anonymous", "controllers", "name", "url", "username", "tls",
     "tokens", "users", "sha256", "scopes",
     "password_file", "password_env", "password", "api_version", "fingerprint", "fingerprints", "allow_http"]
) | st.text(max_size=10)  # fmt: skip
_TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=6),
    max_leaves=20,
)
_FILES = st.text() | _TREES.map(lambda tree: yaml.safe_dump(tree, allow_unicode=True))


@settings(deadline=None)
@given(text=_FILES.map(str.encode) | st.binary())
def test_any_file_loads_or_gives_problems_that_name_it(site: Path, text: bytes) -> None:
    path = site / f"any-{os.getpid()}.yaml"
    path.write_bytes(text)
    try:
        load(path, _ENVIRON)
    except ConfigError as error:
        lines = str(error).splitlines()
        assert lines
        assert [line for line in lines if not line.startswith(f"{path}: ")] == []
