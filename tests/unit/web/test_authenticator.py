"""Which credentials are accepted, as which caller, and how the others are refused."""

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import bcrypt
import pytest
from aiohttp import hdrs, web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from multidict import CIMultiDict
from structlog.testing import capture_logs

from monitor.config.access import Scope, Token, User, digest_of
from monitor.config.settings import Events, Log, Poll
from monitor.config.types import Config
from monitor.config.web_config import WebConfig
from monitor.config.web_tls import TlsServer
from monitor.metrics.self_metrics import SelfMetrics
from monitor.model.secret import Secret
from monitor.web.auth.authenticator import Authenticator, Caller
from monitor.web.auth.passwords import Passwords
from monitor.web.problems import Problem
from tests.support.strategies import BOUNDED

TOKENS = (
    Token(name="alice", digest=digest_of("aum_old"), scopes=frozenset({"annotate"})),
    Token(name="alice", digest=digest_of("aum_new"), scopes=frozenset({"adjust"}), controllers=frozenset({"dc1"})),
    Token(name="root", digest=digest_of("aum_root"), scopes=frozenset({"admin"})),
)
USERS = (User(name="bob", scopes=frozenset({"read"}), controllers=frozenset({"dc2"})),)
WEB = WebConfig(
    path=Path("web.yml"),
    users={
        "bob": Secret(bcrypt.hashpw("p:ss wörd".encode(), bcrypt.gensalt(4)).decode()),
        "carol": Secret(bcrypt.hashpw(b"carol", bcrypt.gensalt(4)).decode()),
    },
)
ANONYMOUS = Caller("anonymous", frozenset({"metrics", "read"}))


class Bench:
    """An authenticator, its clock and its counter of failures."""

    def __init__(self, *, web: WebConfig | None = WEB, passwords: Passwords | None = None) -> None:
        self.now = 1000.0
        self.own = SelfMetrics()
        self.config = Config(
            listen_host="127.0.0.1",
            listen_port=0,
            database="sqlite://",
            poll=Poll(),
            log=Log(),
            events=Events(),
            controllers=(),
            files=(),
            anonymous=frozenset({"metrics", "read"}),
            tokens=TOKENS,
            users=USERS,
            web=web,
        )
        self.authenticator = Authenticator(self.config, self.own, clock=lambda: self.now, passwords=passwords)

    @property
    def failures(self) -> float | None:
        return self.own.registry.get_sample_value("avi_upgrade_monitor_auth_failures_total")

    async def authenticate(self, *credentials: str, source: str = "192.0.2.1") -> Caller:
        headers = CIMultiDict((hdrs.AUTHORIZATION, each) for each in credentials)
        return await self.authenticator.authenticate(make_mocked_request("GET", "/", headers).clone(remote=source))

    async def refused(self, *credentials: str, source: str = "192.0.2.1") -> Problem:
        with pytest.raises(Problem) as caught:
            await self.authenticate(*credentials, source=source)
        return caught.value


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def challenges(problem: Problem) -> list[str]:
    return cast("CIMultiDict[str]", problem.headers).getall("WWW-Authenticate")


# -- credentials


async def test_a_request_without_credential_is_anonymous() -> None:
    assert await Bench().authenticate() == ANONYMOUS


@pytest.mark.parametrize(
    ("credential", "name", "scopes", "controllers"),
    [
        pytest.param("Bearer aum_old", "alice", {"annotate", "read"}, None, id="token"),
        pytest.param("Bearer aum_new", "alice", {"adjust", "annotate", "read"}, {"dc1"}, id="its-successor"),
        pytest.param(
            "bEARER   aum_root ", "root", {"admin", "adjust", "annotate", "read", "metrics"}, None, id="admin"
        ),
        pytest.param(basic("bob", "p:ss wörd"), "bob", {"read"}, {"dc2"}, id="user"),
        pytest.param(basic("carol", "carol"), "carol", {"metrics"}, None, id="user-not-listed"),
    ],
)
async def test_a_known_credential_gives_its_caller(
    credential: str, name: str, scopes: set[Scope], controllers: set[str] | None
) -> None:
    only = None if controllers is None else frozenset(controllers)
    bench = Bench()
    for _ in range(2):  # computed, and cached
        assert await bench.authenticate(credential) == Caller(name, frozenset(scopes), only)
    assert bench.failures == 0


@pytest.mark.parametrize(
    "credentials",
    [
        pytest.param(("Bearer aum_none",), id="unknown-token"),
        pytest.param(("Bearer",), id="no-token"),
        pytest.param(("Bearer aum_old aum_old",), id="two-tokens"),
        pytest.param(("Bearer aum_old", "Bearer aum_old"), id="two-headers"),
        pytest.param(("aum_old",), id="no-scheme"),
        pytest.param(("",), id="empty"),
        pytest.param(("Digest username=bob",), id="another-scheme"),
        pytest.param((basic("bob", "wrong"),), id="wrong-password"),
        pytest.param((basic("eve", "carol"),), id="unknown-user"),
        pytest.param((basic("alice", "aum_old"),), id="token-as-password"),
        pytest.param(("Basic !!!",), id="no-base64"),
        pytest.param(("Basic " + b64encode(b"bob").decode(),), id="no-colon"),
        pytest.param(("Basic " + b64encode(b"\xff:x").decode(),), id="no-utf-8"),
    ],
)
async def test_any_other_credential_is_refused_and_never_treated_as_anonymous(credentials: tuple[str, ...]) -> None:
    bench = Bench()
    problem = await bench.refused(*credentials)
    assert (problem.status, problem.kind) == (401, "unauthorized")
    assert bench.failures == 1


@BOUNDED
@given(credential=st.text(st.characters(exclude_characters="\r\n\0", codec="utf-8"), max_size=40))
def test_any_text_is_refused_and_logged_once(credential: str) -> None:
    with capture_logs() as logs:
        problem = asyncio.run(Bench(web=None).refused(credential))
    assert (problem.status, len(logs)) == (401, 1)


async def test_each_accepted_scheme_has_a_challenge_of_its_own() -> None:
    with_users, without = await Bench().refused("Bearer x"), await Bench(web=None).refused("Bearer x")
    bearer = 'Bearer realm="avi-upgrade-monitor"'
    assert challenges(without) == [bearer]
    assert challenges(with_users) == [bearer, 'Basic realm="avi-upgrade-monitor", charset="UTF-8"']


# -- scopes


async def test_a_caller_has_the_included_scopes_and_sees_its_own_controllers() -> None:
    caller = await Bench().authenticate("Bearer aum_new")
    assert [scope for scope in ("metrics", "read", "annotate", "adjust", "admin") if caller.may(scope)] == [
        "read", "annotate", "adjust"
    ]  # fmt: skip
    assert [name for name in ("dc1", "dc2") if caller.sees(name)] == ["dc1"]
    assert ANONYMOUS.sees("dc2")


async def test_an_anonymous_caller_without_the_scope_is_asked_for_a_credential() -> None:
    with pytest.raises(Problem) as caught:
        Bench().authenticator.authorize(ANONYMOUS, "annotate", "PATCH")
    assert (caught.value.status, caught.value.kind) == (401, "unauthorized")
    assert caught.value.detail == "PATCH needs the scope annotate: send a token or a password that has it"
    assert len(challenges(caught.value)) == 2


async def test_a_known_caller_without_the_scope_is_told_which_it_has_and_needs() -> None:
    bench = Bench()
    caller = await bench.authenticate("Bearer aum_old")
    bench.authenticator.authorize(caller, "annotate", "PATCH")
    with pytest.raises(Problem) as caught:
        bench.authenticator.authorize(caller, "adjust", "PATCH")
    assert (caught.value.status, caught.value.kind) == (403, "forbidden")
    assert caught.value.detail == "PATCH needs the scope adjust; alice has annotate, read"


# -- too many failures


async def test_after_ten_failures_the_source_must_wait_and_no_hash_is_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench, computed = Bench(), []
    monkeypatch.setattr(bcrypt, "checkpw", lambda *_: computed.append(1))
    for number in range(10):
        assert (await bench.refused(basic("bob", str(number)))).status == 401
    problem = await bench.refused(basic("bob", "11"))
    assert (problem.status, problem.kind, problem.headers["Retry-After"]) == (429, "too-many-failures", "6")
    assert (len(computed), bench.failures) == (10, 11)
    assert (await bench.refused("Bearer wrong")).status == 429
    assert (await bench.refused("Bearer wrong", source="192.0.2.2")).status == 401
    bench.now += 6.0
    assert (await bench.refused("Bearer wrong")).status == 401


async def test_failures_do_not_lock_out_known_credentials_of_the_same_source() -> None:
    bench = Bench()
    await bench.authenticate(basic("carol", "carol"))
    for _ in range(20):
        await bench.refused("Bearer wrong")
    assert (await bench.authenticate(basic("carol", "carol"))).name == "carol"
    assert (await bench.authenticate("Bearer aum_old")).name == "alice"
    assert await bench.authenticate() == ANONYMOUS


async def test_failures_of_other_names_leave_attempts_to_a_user_that_exists() -> None:
    bench = Bench()
    for number in range(30):
        await bench.refused(basic(f"eve{number}", "x"))
    assert (await bench.refused(basic("eve", "x"))).status == 429
    assert [(await bench.refused(basic("bob", str(guess)))).status for guess in range(11)] == [401] * 10 + [429]
    assert (await bench.authenticate(basic("carol", "carol"))).name == "carol"


async def test_a_caller_may_make_so_many_changes_at_once_and_then_one_every_three_seconds() -> None:
    bench = Bench()
    alice, root = Caller("alice", frozenset({"annotate"})), Caller("root", frozenset({"admin"}))
    for _ in range(200):
        bench.authenticator.count_change(alice)
    with pytest.raises(Problem) as caught:
        bench.authenticator.count_change(alice)
    assert (caught.value.status, caught.value.kind) == (429, "too-many-changes")
    assert caught.value.headers["Retry-After"] == "3"
    bench.authenticator.count_change(root)
    bench.now += 3.0
    bench.authenticator.count_change(alice)


async def test_parallel_right_passwords_are_not_counted_as_failures() -> None:
    bench = Bench()
    async with asyncio.TaskGroup() as tasks:
        log_ins = [tasks.create_task(bench.authenticate(basic("carol", "carol")), name="log-in") for _ in range(30)]
    assert {task.result().name for task in log_ins} == {"carol"}
    for _ in range(10):
        assert (await bench.refused("Bearer wrong")).status == 401


async def test_parallel_guesses_do_not_evade_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, computed = Bench(), []
    monkeypatch.setattr(bcrypt, "checkpw", lambda *_: computed.append(1))
    async with asyncio.TaskGroup() as tasks:
        guesses = [tasks.create_task(bench.refused(basic("bob", str(each))), name="guess") for each in range(50)]
    assert sorted(task.result().status for task in guesses) == [401] * 10 + [429] * 40
    assert len(computed) == 10


async def test_while_the_queue_of_checks_is_full_clients_are_told_to_wait() -> None:
    bench = Bench(passwords=Passwords(max_waiting=0))
    async with asyncio.TaskGroup() as tasks:
        each = [
            tasks.create_task(bench.refused(basic("bob", str(number)), source=f"192.0.2.{number}"), name="guess")
            for number in range(5)
        ]
    busy = [task.result() for task in each if task.result().status == 429]
    assert [problem.headers["Retry-After"] for problem in busy] == ["1", "1", "1"]


async def test_each_checked_failure_is_logged_once_without_the_credential() -> None:
    bench = Bench()
    with capture_logs() as logs:
        for _ in range(15):
            await bench.refused(basic("bob", "canary"))
        await bench.refused("Bearer canary", source="2001:db8::1")
        await bench.refused("Canary canary", source="2001:db8::2")
    assert "canary" not in str(logs).lower()
    assert logs[9:] == [
        {"event": "auth_failed", "log_level": "warning", "source": source, "scheme": scheme}
        for source, scheme in (("192.0.2.1", "basic"), ("2001:db8::/64", "bearer"), ("2001:db8::/64", "other"))
    ]


# -- another web configuration


async def test_a_user_removed_from_the_web_configuration_is_refused_at_once() -> None:
    bench = Bench()
    await bench.authenticate(basic("carol", "carol"))
    web = WebConfig(path=Path("web.yml"), users={"bob": WEB.users["bob"]})
    bench.authenticator.set_config(replace(bench.config, web=web))
    assert (await bench.refused(basic("carol", "carol"))).status == 401
    assert (await bench.authenticate(basic("bob", "p:ss wörd"))).name == "bob"


# -- client certificates


def request_with(certificate: Mapping[str, object] | None) -> web.Request:
    request = make_mocked_request("GET", "/")
    assert request.transport is not None
    extra = {"peercert": certificate}
    request.transport.get_extra_info.side_effect = lambda name, default=None: extra.get(name, default)  # type: ignore[attr-defined]
    return request


async def test_a_client_certificate_needs_an_allowed_name() -> None:
    tls = TlsServer(cert_file=Path("c"), key_file=Path("k"), client_allowed_sans=("prometheus",))
    authenticator = Bench(web=WebConfig(path=Path("web.yml"), tls=tls)).authenticator
    authenticator.check_client_certificate(request_with({"subjectAltName": (("DNS", "prometheus"),)}))
    with pytest.raises(Problem) as caught:
        authenticator.check_client_certificate(request_with({"subjectAltName": (("DNS", "eve"),)}))
    assert (caught.value.status, caught.value.kind) == (403, "forbidden")


async def test_without_a_web_configuration_no_certificate_is_required() -> None:
    Bench(web=None).authenticator.check_client_certificate(request_with(None))
