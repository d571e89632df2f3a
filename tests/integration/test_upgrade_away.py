"""While the Controllers are away, all on show is as of then: rules 5 and 8 of docs/upgrade-watching.md."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from structlog.testing import capture_logs

from monitor.daemon.app import Daemon
from monitor.model.errors import PollError
from monitor.model.snapshot import ObjectList
from monitor.polling.fleet import Entry
from monitor.polling.health import excuse
from monitor.simulator import Fault, GroupSpec, Simulator
from tests.support.daemons import QUICK, connected, exposition, failed, polled, until, watching
from tests.support.nights import START, Night, phase_of, planned, polled_anew, upgrade_night
from tests.support.polling import exposition_of

MAY_CHANGE = {
    "avi_controller_up",
    "avi_controller_upgrade_phase",
    "avi_controller_last_poll_attempt_timestamp_seconds",
    "avi_controller_poll_failures_total",
    "avi_controller_polls_total",
    "avi_controller_poll_interval_seconds",
    "avi_controller_poll_duration_seconds_bucket",
    "avi_controller_poll_duration_seconds_count",
    "avi_controller_poll_duration_seconds_sum",
}
"""What a failed poll of Controllers that are upgraded may change on show."""


def lines_of(entry: Entry) -> dict[str, str]:
    """The samples of a controller: series, and value."""
    samples = [line.rpartition(" ") for line in exposition_of(entry).splitlines() if not line.startswith("#")]
    return {series: value for series, _, value in samples}


def of_dc1(daemon: Daemon, *names: str) -> list[str]:
    """The values of these families ``avi_controller_…`` without labels, as text."""
    lines = lines_of(daemon.fleet.entries["dc1"])
    return [lines.get(f'avi_controller_{name}{{controller="dc1"}}', "absent") for name in names]


@contextmanager
def last_good(daemon: Daemon) -> Iterator[Callable[[], Entry]]:
    """The entry of dc1 after its last good poll, at any time."""
    good: list[Entry] = []

    def keep(name: str, entry: Entry | None, _changes: object) -> None:
        if name == "dc1" and entry and entry.session.up:
            good[:] = [entry]

    unsubscribe = daemon.fleet.subscribe(keep)
    try:
        yield lambda: good[0]
    finally:
        unsubscribe()


async def test_nothing_on_show_changes_but_that_they_are_away(tmp_path: Path) -> None:
    async with upgrade_night(tmp_path, planned()) as (daemon, night):
        with last_good(daemon) as good:
            await night.go_to("controllers")
            await night.go_to("away", after_s=-1.0)
            for moment in ("away", "unready"):
                await night.go_to(moment, after_s=10.0)
                before, now = lines_of(good()), lines_of(daemon.fleet.entries["dc1"])
                changed = {series for series in before.keys() | now.keys() if before.get(series) != now.get(series)}
                assert {series.partition("{")[0] for series in changed} <= MAY_CHANGE
                served = await exposition(daemon)
                assert served["avi_controller_upgrade_phase", (("controller", "dc1"), ("phase", "away"))] == 1.0
                shown = of_dc1(daemon, "up", "upgrade_in_progress", "auth_suspended")
                assert shown == ["0.0", "1.0", "0.0"]
                entry = daemon.fleet.entries["dc1"]
                assert not any(each.health.stale for each in entry.collections.values())
                assert entry.objects("upgrade") is good().objects("upgrade"), "no state is invented"


async def test_failures_while_away_count_as_the_upgrade_and_are_logged_at_info(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with upgrade_night(tmp_path, planned(bad_gateway_s=20.0)) as (daemon, night):
            await night.go_to("controllers")
            await night.go_to("away", after_s=-1.0)
            first = len(logs)
            assert phase_of(daemon) == "controllers"
            await night.go_to("away")
            await night.go_to("unready")
            await night.go_to("back", after_s=-5.0)  # 502, a page of a gateway
            entry = daemon.fleet.entries["dc1"]
            assert entry.session.under_way
            assert entry.session.reason == "upgrading"
            assert entry.collections["image"].health.failures.keys() == {"upgrading"}
            assert not entry.collections["upgrade"].health.failures
            await night.go_to("back")
            night_logs = [log for log in logs[first:] if log["log_level"] != "debug" and log.get("controller") == "dc1"]
    (down,) = [log for log in night_logs if log["event"] == "controller_down"]
    assert (down["reason"], down["log_level"]) == ("upgrading", "info")
    before_return = night_logs[: [log["event"] for log in night_logs].index("controller_returned")]
    assert {log["log_level"] for log in before_return} == {"info"}
    assert not [log for log in before_return if log["event"] in {"controller_stale", "object_vanished"}]


async def test_the_pace_is_the_active_one_as_long_as_a_unit_moves(tmp_path: Path) -> None:
    """The image is idle all the time."""
    paces: list[float] = []
    async with upgrade_night(tmp_path, planned()) as (daemon, night):
        paces.append(daemon.fleet.entries["dc1"].session.interval_s)
        for moment in ("checks", "controllers", "back", "first_group", "done"):
            await night.go_to(moment)
            await polled(daemon, "dc1", 2)
            paces.append(daemon.fleet.entries["dc1"].session.interval_s)
    assert paces == [0.1, 0.05, 0.05, 0.05, 0.05, 0.1]


async def test_what_has_been_suspended_for_more_than_an_hour_is_polled_less_often(tmp_path: Path) -> None:
    """An hour by the clock of the daemon, which is that of the simulation."""
    poll = {**QUICK, "idle_interval": "60s"}
    groups = [GroupSpec(ses=2, outcome="suspended")]
    spec = planned(at=0.0, system=False, groups_after_s=0.5, groups=groups)
    async with upgrade_night(tmp_path, spec, poll=poll, step_s=37.0) as (daemon, night):
        await night.go_to("back")  # a second later, when the group has begun: no poll finds all at rest
        await night.go_to("suspended")
        assert phase_of(daemon) == "suspended"
        assert daemon.fleet.entries["dc1"].session.interval_s == 0.05
        night.simulator.clock.advance(3601.0)
        await until(daemon, "dc1", lambda entry: entry.session.interval_s == 30.0)


async def test_an_upgrade_is_no_excuse_for_a_certificate_that_does_not_verify(tmp_path: Path) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    def issued(by: trustme.CA) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        by.issue_cert("127.0.0.1").configure_cert(context)
        return context

    simulator = Simulator(planned(), start=START, speed=0.0, tls=issued(authority))
    trusting = {"tls": {"ca_file": str(tmp_path / "ca.pem")}}
    async with (
        simulator,
        watching(simulator, tmp_path, wall=simulator.clock.now, of_each=trusting) as daemon,
    ):
        dc1 = simulator.controllers["dc1"]
        await until(daemon, "dc1", lambda entry: entry.session.up)
        await Night(simulator, "dc1", seen=lambda: polled_anew(daemon, "dc1")).go_to("controllers")
        assert daemon.fleet.entries["dc1"].session.under_way
        dc1.swap_certificate(issued(stranger))
        await dc1.stop_listening()
        await dc1.start_listening()
        await failed(daemon, "dc1", "tls", 2)
        assert of_dc1(daemon, "up", "upgrade_in_progress") == ["0.0", "0.0"]
        dc1.swap_certificate(issued(authority))
        dc1.faults.add(Fault("html_503"))
        await failed(daemon, "dc1", "upgrading", 2)
        assert of_dc1(daemon, "up", "upgrade_in_progress") == ["0.0", "1.0"]
        dc1.faults.clear()
        await until(daemon, "dc1", lambda entry: entry.session.up)


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x03\x00\x7a\x02"], ids=["at once", "within the server's reply"])
async def test_a_handshake_that_is_cut_may_be_an_upgrade(sent: bytes) -> None:
    """A portal that is being stopped still accepts connections."""

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(sent)
        writer.close()

    simulator = Simulator(planned(), speed=0.0)  # it does not listen: only the account is used
    async with await asyncio.start_server(cut, "127.0.0.1", 0) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with connected(simulator.controllers["dc1"], url=url) as client:
            with pytest.raises(PollError) as caught:
                await client.list_images(ObjectList())
    assert excuse(caught.value).reason == "upgrading", caught.value
