"""What the daemon logs: each change of health once, a bad image once; and that no secret is in the log or elsewhere."""

import json
from collections.abc import AsyncIterator, Iterable, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from monitor.daemon.app import Daemon
from monitor.simulator import ControllerSpec, Fault, SimulatedController, Simulator, UploadSpec
from tests.support.daemons import failed, polled, rewrite, scrape, until, watching

SPEC = ControllerSpec(name="dc1", images=1, uploads=(UploadSpec(duration=600.0, started_ago=300.0),))
Log = MutableMapping[str, Any]


@asynccontextmanager
async def logged(folder: Path) -> AsyncIterator[tuple[SimulatedController, Daemon, list[Log]]]:
    """A daemon that had one good poll, and all that it logs, down to debug and before anything is masked."""
    with capture_logs() as logs:
        async with Simulator([SPEC], speed=0.0) as simulator, watching(simulator, folder) as daemon:
            await polled(daemon, "dc1")
            yield simulator.controllers["dc1"], daemon, logs


def events_named(logs: Iterable[Log], event: str) -> list[Log]:
    return [log for log in logs if log["event"] == event]


def controller_events(logs: Iterable[Log]) -> list[str]:
    """The events of controllers that are logged at more than debug."""
    return [log["event"] for log in logs if log["log_level"] != "debug" and log["event"].startswith("controller_")]


# -- health


async def test_a_failure_is_logged_once_and_so_is_its_end(tmp_path: Path) -> None:
    async with logged(tmp_path) as (dc1, daemon, logs):
        dc1.faults.add(Fault("http_500"))
        await failed(daemon, "dc1", "http_5xx", 10)
        dc1.faults.clear()
        await polled(daemon, "dc1", 3)
        assert controller_events(logs) == ["controller_up", "controller_down", "controller_up"]
        (down,) = events_named(logs, "controller_down")
        assert (down["log_level"], down["controller"], down["reason"]) == ("warning", "dc1", "http_5xx")
        assert down["cause"] == "images: 500 without a message"
        assert len(events_named(logs, "poll")) > 13


async def test_another_reason_is_logged_again(tmp_path: Path) -> None:
    async with logged(tmp_path) as (dc1, daemon, logs):
        dc1.faults.add(Fault("http_500"))
        await failed(daemon, "dc1", "http_5xx", 2)
        await dc1.stop_listening()
        await failed(daemon, "dc1", "connect", 2)
        await dc1.start_listening()
        dc1.faults.clear()
        await polled(daemon, "dc1")
        assert [log["reason"] for log in events_named(logs, "controller_down")] == ["http_5xx", "connect"]


async def test_an_upgrade_is_logged_as_info(tmp_path: Path) -> None:
    async with logged(tmp_path) as (dc1, daemon, logs):
        dc1.faults.add(Fault("html_503"))
        await failed(daemon, "dc1", "upgrading", 2)
        await dc1.stop_listening()
        await failed(daemon, "dc1", "upgrading", 4)  # no connection is what an upgrade is like
        (down,) = events_named(logs, "controller_down")
        assert (down["reason"], down["log_level"]) == ("upgrading", "info")


async def test_a_suspended_log_in_is_an_event_of_its_own(tmp_path: Path) -> None:
    async with logged(tmp_path) as (dc1, daemon, logs):
        dc1.password = "changed"
        dc1.expire_sessions()
        await failed(daemon, "dc1", "auth", 5)
        (suspended,) = events_named(logs, "controller_auth_suspended")
        assert (suspended["log_level"], suspended["cause"]) == ("warning", "login: 401 Invalid credentials")
        assert not events_named(logs, "controller_down")


async def test_a_good_poll_is_logged_as_debug_only(tmp_path: Path) -> None:
    async with logged(tmp_path) as (_, daemon, logs):
        await polled(daemon, "dc1", 5)
        assert controller_events(logs) == ["controller_up"]
        assert {log["event"] for log in logs if log["log_level"] not in {"debug", "info"}} == {"controller_up"}


# -- images


async def test_a_bad_image_is_logged_once_though_it_keeps_changing(tmp_path: Path) -> None:
    async with logged(tmp_path) as (dc1, daemon, logs):
        uuid = next(iter(daemon.fleet.entries["dc1"].objects("image")))
        for name in ("one", "two", "three"):
            dc1.touch(uuid, progress=["forty"], name=name)
            await polled(daemon, "dc1", 2)
        (bad,) = events_named(logs, "bad_object")
        assert (bad["log_level"], bad["uuid"]) == ("warning", uuid)
        assert "$.progress" in bad["cause"]
        assert daemon.fleet.entries["dc1"].collections["image"].health.bad_objects == 3


async def test_a_bad_image_that_was_good_in_between_is_logged_again(tmp_path: Path) -> None:
    async with logged(tmp_path) as (dc1, daemon, logs):
        uuid = next(iter(daemon.fleet.entries["dc1"].objects("image")))
        for progress in (["forty"], 40, ["fifty"]):
            dc1.touch(uuid, progress=progress)
            await polled(daemon, "dc1", 2)
        assert len(events_named(logs, "bad_object")) == 2


async def test_objects_without_a_uuid_are_logged_once(tmp_path: Path) -> None:
    async with logged(tmp_path) as (dc1, daemon, logs):
        dc1.put({"name": "without a uuid"})
        await polled(daemon, "dc1", 4)
        (bad,) = events_named(logs, "bad_object")
        assert (bad["uuid"], bad["objects"]) == ("", 1)


async def test_an_image_is_logged_when_it_appears_changes_its_state_and_vanishes(tmp_path: Path) -> None:
    async with logged(tmp_path) as (dc1, daemon, logs):
        uuid = dc1.upload(duration=60.0, outcome="failed")
        await polled(daemon, "dc1", 2)
        dc1.clock.advance(10.0)
        await polled(daemon, "dc1", 2)
        dc1.clock.advance(100.0)
        await polled(daemon, "dc1", 2)
        dc1.remove(uuid)
        await polled(daemon, "dc1", 2)
        story = [(log["event"], log["log_level"]) for log in logs if log.get("uuid") == uuid]
        assert story == [
            ("object_appeared", "info"), ("object_state_changed", "info"), ("object_failed", "warning"),
            ("object_vanished", "info"),
        ]  # fmt: skip


# -- secrets


PAGES = ("/metrics", "/", "/-/ready", "/-/healthy", "/api/image", "/api/controllers", "/nowhere")


class Secrets:
    """Every password, cookie and token of a Controller so far."""

    def __init__(self, controller: SimulatedController) -> None:
        self.controller = controller
        self.seen: set[str] = set()

    def note(self) -> None:
        self.seen.add(self.controller.password)
        for session in self.controller.sessions.values():
            self.seen |= {session.session_id, session.csrf}

    def shown_in(self, text: str) -> set[str]:
        return {secret for secret in self.seen if secret in text}


async def _all_pages(daemon: Daemon) -> str:
    texts = [await scrape(daemon, page) for page in PAGES]
    openmetrics = await scrape(daemon, "/metrics", Accept="application/openmetrics-text")
    return "\n".join([*texts, openmetrics])


async def test_no_secret_is_shown_whatever_ends_the_session(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    shown = ""
    async with logged(tmp_path) as (dc1, daemon, logs):
        secrets = Secrets(dc1)
        for kind in ("switch_session", "unauthorized", "csrf_rotation", "session_expiry", "http_500", "redirect"):
            secrets.note()
            dc1.faults.add(Fault(kind))
            await until(daemon, "dc1", lambda entry: not entry.session.up or kind == "csrf_rotation")  # noqa: B023
            secrets.note()
            shown += await _all_pages(daemon)
            dc1.faults.clear()
            await polled(daemon, "dc1", 2)
        dc1.password = "the password after this one"
        dc1.expire_sessions()
        await failed(daemon, "dc1", "auth", 2)
        secrets.note()
        shown += await _all_pages(daemon)
        rewrite(tmp_path / "dc1.password", dc1.password)
        await polled(daemon, "dc1")
        secrets.note()
        shown += await _all_pages(daemon)
    assert len(secrets.seen) > 10
    assert not secrets.shown_in(shown)
    assert not secrets.shown_in(str(logs))
    assert not secrets.shown_in(caplog.text)


ECHOES = {
    "refusal": lambda text: Fault("http_500", value=f"no, {text} will not do"),
    "redirect": lambda text: Fault("redirect", value=f"https://elsewhere.invalid/?session={text}"),
    "at-log-in": lambda text: Fault("http_500", path="/", value=text),
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
async def test_no_secret_is_shown_though_the_controller_echoes_it(tmp_path: Path, echo: Any) -> None:  # noqa: ANN401
    async with logged(tmp_path) as (dc1, daemon, logs):
        secrets = Secrets(dc1)
        secrets.note()
        (session,) = dc1.sessions.values()
        for secret in (dc1.password, session.csrf, session.session_id):
            dc1.faults.add(echo(secret))
            entry = await until(daemon, "dc1", lambda entry: not entry.session.up)
            assert not secrets.shown_in(entry.session.cause)
            assert not secrets.shown_in(await _all_pages(daemon))
            dc1.faults.clear()
            await polled(daemon, "dc1", 2)
    assert not secrets.shown_in(str(logs))


def _csrf_token(controller: SimulatedController) -> str:
    ((_, session),) = controller.sessions.items()
    return session.csrf


async def test_no_secret_of_an_ended_session_is_shown_though_the_controller_repeats_it(tmp_path: Path) -> None:
    """A password and a token that were replaced, and those of a session that has ended."""
    async with logged(tmp_path) as (dc1, daemon, logs):
        secrets = Secrets(dc1)
        secrets.note()
        dc1.rotate_csrf()
        await polled(daemon, "dc1", 2)
        secrets.note()
        dc1.password = "the password after this one"
        rewrite(tmp_path / "dc1.password", dc1.password)
        dc1.expire_sessions()
        await polled(daemon, "dc1", 2)
        for secret in sorted(secrets.seen):
            dc1.faults.add(Fault("http_500", value=f"{secret} is of an older session"))
            entry = await until(daemon, "dc1", lambda entry: not entry.session.up)
            assert entry.session.cause == "images: 500 <secret> is of an older session"
            assert not secrets.shown_in(await _all_pages(daemon))
            dc1.faults.clear()
            await polled(daemon, "dc1", 2)
    assert len(secrets.seen) == 4
    assert not secrets.shown_in(str(logs))


async def test_no_secret_from_before_a_reload_is_shown_though_the_controller_repeats_it(tmp_path: Path) -> None:
    """A controller with new settings has a new client, which has never seen the session of the one before."""
    async with logged(tmp_path) as (dc1, daemon, _):
        token = _csrf_token(dc1)
        config = tmp_path / "config.yml"
        rewrite(config, config.read_text().replace("username:", "api_version: '30.2.1'\n  username:"))
        await daemon.reloader.reload()
        await polled(daemon, "dc1", 2)
        dc1.faults.add(Fault("http_500", value=f"{token} is of an older session"))
        entry = await until(daemon, "dc1", lambda entry: not entry.session.up)
    assert entry.session.cause == "images: 500 <secret> is of an older session"


async def test_a_version_that_repeats_a_secret_is_masked(tmp_path: Path) -> None:
    async with logged(tmp_path) as (dc1, daemon, _):
        echo = json.dumps({"version": {"Version": f"30.2.1 {dc1.password}"}})
        dc1.faults.add(Fault("invalid_json", path="/login", value=echo))
        dc1.expire_sessions()
        await until(daemon, "dc1", lambda entry: entry.session.version == "30.2.1 <secret>")
        assert dc1.password not in await _all_pages(daemon)
