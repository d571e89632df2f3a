"""What ``watch --upgrade`` prints for the messages of a stream, which unit it means, and how its wait ends."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from monitor.cli.api.messages import Message
from monitor.cli.api.responses import CommandError, ConnectionLost, Rejected, TargetFailed, WaitTimeout
from monitor.cli.api.subscription import Connected
from monitor.cli.output.display import Display, JsonDisplay, LineDisplay
from monitor.cli.output.upgrade_target import find_unit
from monitor.cli.output.upgrade_wait import Wait
from monitor.cli.output.watch_state import UpgradeTarget
from monitor.cli.output.watcher import Watcher
from tests.support.stream_messages import DOWN, NEW, NOW, UP, after, change, image, part, state
from tests.support.stream_units import CLUSTER, GROUP, OLD, cluster, group, unit, units_part, upgrade

ALL = UpgradeTarget()
AWAY: dict[str, Any] = {"up": False, "reason": "upgrading", "cause": "refused", "stale": False, "seen_at": 900.0}
SE_PHASE: dict[str, Any] = {"fsm": "UPGRADE_FSM_SE_UPGRADE_IN_PROGRESS", "version": "31.2.2"}
FIRST = cluster("checking", checks={"checks": 20, "completed": 1})
UPGRADING = upgrade("controllers", done=False)
GONE = upgrade("away", done=False, away_since=NOW - 240, held_until=8100.0)
NIGHT = (
    state(
        units_part("dc1", FIRST, group("idle"), status=upgrade("checking", done=False)),
        units_part("dc2", cluster("completed"), unit("se-1", "se", "idle"), status=upgrade(done=True)),
    ),
    change(units_part("dc1", cluster("running", progress_ratio=0.1), status=UPGRADING, health=None)),
    change(units_part("dc1", cluster("running", progress_ratio=0.1, newer=[2]), health=None)),
    change(units_part("dc1", status=GONE, health=AWAY)),
    change(units_part("dc1", status=GONE, health={**AWAY, "cause": "503"})),
    change(units_part("dc1", cluster("running", **SE_PHASE), group("running"), status=upgrade("service_engines"))),
    change(units_part("dc1", unit("se-2", "se", "failed"), health=None)),
    change(units_part("dc1", health=None, gone=["se-2"])),
    change(units_part("dc2", health=DOWN)),
    change(units_part("dc2", health=UP, gone=["se-1"])),
    change({"controller": "dc2", "removed": True}),
)  # fmt: skip


def play(display: Display, target: UpgradeTarget = ALL, story: Sequence[Message] = NIGHT) -> None:
    watcher = Watcher(target, None, display, lambda: NOW)
    for message in story:
        assert not watcher.handle(message)


def test_each_change_is_a_line_and_the_controllers_leave_and_return_in_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    play(LineDisplay())
    assert capsys.readouterr().out.splitlines() == [
        "dc1: pre-checks, upgrade 30.2.1 → 31.2.2",
        "dc1  cluster-0-1  30.2.1 → 31.2.2  checking  checks 1/20",
        "dc2: done, at 30.2.1",
        "dc2  cluster-0-1  30.2.1  completed",
        "dc1: upgrading the Controllers, upgrade 30.2.1 → 31.2.2",
        "dc1  cluster-0-1  30.2.1 → 31.2.2  running  10%",
        "dc1: the Controllers are away, rebooting, upgrade 30.2.1 → 31.2.2",
        "dc1: the Controllers are back after 4 min, at 31.2.2; upgrading the Service Engines",
        "dc1  cluster-0-1  31.2.2  running",
        "dc1  internet@aws  30.2.1 → 31.2.2  running",
        "dc1  se-2  30.2.1  failed",
        "dc1  se-2  gone",
        "dc2: cannot be polled (connect: refused); its units are as of 1970-01-01 00:15:00Z",
        "dc2: polled again",
        "dc2  cluster-0-1  gone",
        "dc2: no longer watched",
    ]


def test_a_unit_that_is_asked_for_is_shown_whatever_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    play(LineDisplay(), UpgradeTarget("internet@aws"), NIGHT[:7])
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "internet" in line] == [
        "dc1  internet@aws  30.2.1  idle",
        "dc1  internet@aws  30.2.1 → 31.2.2  running",
    ]
    assert not [line for line in lines if "cluster" in line or "dc2" in line]


def test_each_change_is_a_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    play(JsonDisplay())
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    dc2 = [each["event"] for each in printed if each["controller"] == "dc2"]
    assert dc2[:6] == ["controller", "phase", "unit", "unit", "controller", "controller"]
    assert dc2[6:] == ["unit_gone", "unit_gone", "controller"]
    first = next(each for each in printed if each["event"] == "unit")
    assert first == {"event": "unit", "now": NOW, "controller": "dc1", **FIRST}
    away = next(each for each in printed if each.get("phase") == "away")
    assert (away["away_since"], away["held_until"], away["to_version"]) == (NOW - 240, 8100.0, "31.2.2")
    assert {each["uuid"] for each in printed if each["event"] == "unit_gone"} == {"se-1", "se-2", CLUSTER}


def test_images_and_upgrades_are_watched_apart(capsys: pytest.CaptureFixture[str]) -> None:
    both = units_part("dc1", cluster("running"), status=upgrade("controllers"))
    both["resources"] = {**both["resources"], **part("dc1", image("1"))["resources"]}  # type: ignore[dict-item]
    play(LineDisplay(), story=[state(both), change(part("dc1", health=None, gone=["1"]))])
    assert "n-1" not in capsys.readouterr().out


TWINS = state(
    units_part("dc1", cluster("running"), group("idle", "g-1"), group("idle", "g-2", cloud="azure"), status=upgrade()),
    units_part("dc2", cluster("completed"), group("idle", "g-3", name="intranet"), status=upgrade()),
)


@pytest.mark.parametrize(
    ("target", "key"),
    [
        (UpgradeTarget("g-2"), ("dc1", "g-2")),
        (UpgradeTarget("internet@azure"), ("dc1", "g-2")),
        (UpgradeTarget("intranet"), ("dc2", "g-3")),
        (UpgradeTarget("cluster-0-1"), ("dc1", CLUSTER)),
        (UpgradeTarget("dc2"), ("dc2", CLUSTER)),
        (UpgradeTarget("dc2", "dc1"), None),
        (UpgradeTarget("g-2", "dc2"), None),
        (UpgradeTarget(""), None),
    ],
    ids=["uuid", "with-its-cloud", "name", "the-active-one", "a-controller", "another-controller", "elsewhere", "all"],
)
def test_a_unit_is_found_by_its_uuid_its_cloud_its_name_or_its_controller(
    target: UpgradeTarget, key: tuple[str, str] | None
) -> None:
    assert find_unit(after(TWINS)[0], target) == key


def test_an_ambiguous_name_is_rejected_with_all_units_that_match() -> None:
    with pytest.raises(
        Rejected, match='"internet" matches 2 units; give --controller or a uuid:\n  dc1  g-1  internet@aws'
    ):
        find_unit(after(TWINS)[0], UpgradeTarget("internet"))
    with pytest.raises(Rejected, match='there is no controller "dc9" that you may see'):
        find_unit(after(TWINS)[0], UpgradeTarget(controller="dc9"))


def test_a_unit_that_does_not_exist_yet_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    watcher = Watcher(UpgradeTarget("g-9"), None, LineDisplay(), lambda: NOW)
    watcher.handle(TWINS)
    watcher.handle(change(units_part("dc1", group("running", "g-9"))))
    shown = capsys.readouterr()
    assert shown.err == 'avi-upgrade-monitor: no unit with the uuid or name "g-9" yet; waiting for it\n'
    assert "internet@aws  30.2.1 → 31.2.2  running" in shown.out


# -- how a wait ends

RUNNING = state(
    units_part("dc1", cluster("running", key="2"), group("idle"), status=upgrade("controllers", done=False))
)
DONE = change(units_part("dc1", cluster("completed", key="2", version="31.2.2"), status=upgrade(done=True)))


class Waiting:
    """A wait for the upgrade of dc1, at a clock that a test advances."""

    def __init__(self, **wait: Any) -> None:  # noqa: ANN401
        self.clock = NOW
        target = UpgradeTarget(controller="dc1", wait=Wait(until="completed", **wait))
        self.watcher = Watcher(target, None, LineDisplay(), lambda: self.clock)


def test_a_wait_ends_when_the_daemon_says_that_it_is_done() -> None:
    waiting = Waiting()
    assert [waiting.watcher.handle(message) for message in (Connected(), RUNNING, DONE)] == [False, False, True]
    assert waiting.watcher.decides_in_s is None


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (
            change(units_part("dc1", cluster("failed", reason="no\x1b disk"))),
            r"dc1: cluster-0-1: failed: no\x1b disk (as of 00:16:40Z)",
        ),
        (
            change(units_part("dc1", group("suspended"), health=DOWN)),
            "dc1: internet@aws: suspended (as of 00:15:00Z)",
        ),
        (change({"controller": "dc1", "removed": True}), "dc1: the daemon does not watch this controller"),
        (
            change(units_part("dc1", status=upgrade(None, readable=False))),
            "dc1: the Controller does not let the daemon read the upgrade status",
        ),
    ],
    ids=["failed", "suspended", "removed", "unreadable"],
)
def test_a_wait_that_fails_names_unit_reason_and_time(message: Message, text: str) -> None:
    waiting = Waiting()
    waiting.watcher.handle(RUNNING)
    with pytest.raises(TargetFailed) as caught:
        waiting.watcher.handle(message)
    assert (str(caught.value), caught.value.exit_status) == (text, 1)


IDLE = state(units_part("dc1", cluster("completed", key="1"), status=upgrade(done=True)))


@pytest.mark.parametrize("early_s", [0.0, 0.001])
def test_a_wait_ends_by_itself_when_no_upgrade_has_begun_in_time(early_s: float) -> None:
    waiting = Waiting(begin_within_s=60.0)
    waiting.watcher.handle(IDLE)
    assert waiting.watcher.decides_in_s == 60.0
    waiting.clock += 60.0 - early_s
    error = waiting.watcher.timeout_error()
    assert isinstance(error, WaitTimeout)
    assert str(error) == "dc1: no upgrade began; cluster-0-1 is completed at 30.2.1 (as of 00:17:40Z)"


def test_a_wait_does_not_end_by_itself_while_the_connection_is_lost() -> None:
    waiting = Waiting(begin_within_s=60.0)
    waiting.watcher.handle(IDLE)
    waiting.watcher.handle(ConnectionLost("gone"))
    waiting.clock += 3600.0
    assert waiting.watcher.decides_in_s is None
    assert str(waiting.watcher.timeout_error()).startswith("timed out; dc1: done, at 30.2.1")


@pytest.mark.parametrize(
    ("story", "text"),
    [
        ([], "no response from the daemon yet"),
        (
            [RUNNING],
            "dc1: upgrading the Controllers, upgrade 30.2.1 → 31.2.2; dc1  cluster-0-1  30.2.1 → 31.2.2  running",
        ),
        (
            [RUNNING, change(units_part("dc1", status=GONE, health=AWAY))],
            "away for 4 min; units are as of 00:15:00Z, held until 02:15:00Z; dc1  cluster-0-1  30.2.1 → 31.2.2",
        ),
        ([state(units_part("dc1", status=upgrade(None), health=NEW))], "dc1: not polled yet"),
    ],
    ids=["no-daemon", "running", "away", "not-polled-yet"],
)
def test_a_timeout_says_how_far_the_upgrade_was(story: Sequence[Message], text: str) -> None:
    waiting = Waiting()
    for message in story:
        waiting.watcher.handle(message)
    error = str(waiting.watcher.timeout_error())
    assert error.startswith("timed out")
    assert text in error


def test_a_timeout_without_a_wait_speaks_of_what_is_watched() -> None:
    error = timeout_of(UpgradeTarget("internet@azure"))
    assert str(error) == f"timed out; dc1: not done, at {OLD}; dc1  internet@azure  30.2.1  idle"
    assert str(timeout_of(UpgradeTarget("x"))).startswith('timed out; no unit with the uuid or name "x" was found')


def timeout_of(target: UpgradeTarget) -> CommandError:
    watcher = Watcher(target, None, LineDisplay(), lambda: NOW)
    watcher.handle(TWINS)
    watcher.handle(change(units_part("dc1", status=upgrade(done=False))))
    return watcher.timeout_error()


def test_a_group_that_is_gone_is_no_reason_to_fail() -> None:
    waiting = Waiting()
    waiting.watcher.handle(RUNNING)
    assert not waiting.watcher.handle(change(units_part("dc1", gone=[GROUP])))
