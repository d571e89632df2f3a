"""Tables of units, at any width, and the live screen of upgrades."""

import io
from typing import Any

import pytest
from rich.console import Console

from monitor.cli.api.messages import Message
from monitor.cli.output.live_screen import Sorted, render_screen, upgrade_screen_of
from monitor.cli.output.upgrade_screen import sort_units
from monitor.cli.output.upgrade_target import find_unit
from monitor.cli.output.watch_state import UpgradeTarget, WatchState
from tests.support.stream_messages import DOWN, NOW, after, state
from tests.support.stream_units import cluster, group, unit, units_part, upgrade

ALL = UpgradeTarget()
ETA = {"ends_at": NOW + 240, "earliest": NOW + 180, "latest": NOW + 360}
HIT = {"all": 25, "disrupted": 2}
FORTY = {"completed": 12, "in_progress": 1, "not_started": 27}
SE_PHASE = "UPGRADE_FSM_SE_UPGRADE_IN_PROGRESS"
QUIET = upgrade(operation="", from_version="", to_version="")
NIGHT = state(
    units_part(
        "dc1",
        cluster("running", progress_ratio=1.0, version="31.2.2", checks={"warnings": 1}, fsm=SE_PHASE),
        group("running", "g-2", name="Default-Group", cloud="Default-Cloud", progress_ratio=0.4, engines=FORTY,
              eta=ETA),
        group("suspended", "g-1", engines={"completed": 2, "suspended": 1}, virtual_services=HIT),
        group("idle", "g-3", name="later"),
        unit("se-1", "se", "running"),
        unit("se-2", "se", "failed"),
        status=upgrade("service_engines", done=False, eta=ETA),
    ),
    units_part("dc2", cluster("idle"), group("idle", name="quiet"), status=QUIET),
)  # fmt: skip


def render(
    *messages: Message, target: UpgradeTarget = ALL, width: int = 160, height: int = 20, lost: str = ""
) -> list[str]:
    view, _ = after(*messages)
    watched = WatchState(target, view, find_unit(view, target), lost, NOW if lost else None)
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as capture:
        screen = upgrade_screen_of(watched, target, Sorted(sort_units), now=NOW, height=height)
        console.print(render_screen(screen))
    without_bars = capture.get().translate(dict.fromkeys(map(ord, "━╸╺")))
    return [" ".join(line.split()) for line in without_bars.splitlines()]


def test_what_needs_an_operator_comes_first_and_what_rests_is_left_out() -> None:
    assert render(NIGHT) == [
        "dc1: upgrading the Service Engines, upgrade 30.2.1 → 31.2.2, 4 min left (3–6)",
        "Controller Phase Unit Version State Progress SEs VS hit Checks",
        "dc1 service_engines cluster-0-1 31.2.2 running 100% 1 warning",
        "dc1 service_engines internet@aws 30.2.1 → 31.2.2 suspended 2/3 1✗ 2/25",
        "dc1 service_engines se-2 30.2.1 failed",
        "dc1 service_engines Default-Group@Default-Cloud 30.2.1 → 31.2.2 running 40% 12/40 4 min left (3–6)",
        "dc1 service_engines later@aws 30.2.1 idle",
    ]


def test_a_narrow_terminal_has_the_columns_that_an_operator_needs_most() -> None:
    lines = render(NIGHT, width=80)
    assert lines[1:] == [
        "Unit State Progress SEs VS hit",
        "cluster-0-1 running 100%",
        "internet@aws suspended 2/3 1✗ 2/25",
        "se-2 failed",
        "Default-Group@Default-Cloud running 40% 12/40 4 min left (3–6)",
        "later@aws idle",
    ]


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160, 300])
def test_no_line_is_longer_than_the_terminal_is_wide(width: int) -> None:
    view, _ = after(NIGHT)
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as capture:
        screen = upgrade_screen_of(WatchState(ALL, view), ALL, Sorted(sort_units), now=NOW, height=40)
        console.print(render_screen(screen))
    text = capture.get()
    assert max(map(len, text.splitlines())) <= width
    assert "suspended" in text
    assert ("━" in text) is (width >= 80)


def test_rows_that_do_not_fit_are_counted() -> None:
    lines = render(NIGHT, height=5)
    assert lines[-1] == "and 3 more"
    assert len(lines) == 5


def test_many_controllers_leave_room_for_units() -> None:
    several = [units_part(f"dc{n}", cluster("running"), status=upgrade("controllers")) for n in range(9)]
    lines = render(state(*several), height=12)
    assert lines[3:6] == [
        "dc3: upgrading the Controllers, upgrade 30.2.1 → 31.2.2",
        "and 5 more controllers",
        "Controller Phase Unit Version State",
    ]
    assert (lines[-1], len(lines)) == ("and 4 more", 12)


def test_lines_above_the_table_that_wrap_leave_less_room() -> None:
    lines = render(NIGHT, width=60, height=8)
    assert lines[1] == "4 min left (3–6)"
    assert lines[-1] == "and 2 more"
    assert len(lines) <= 8


def test_a_controller_that_is_away_is_no_outage_and_its_units_are_as_of_the_last_read() -> None:
    away: dict[str, Any] = {"up": False, "reason": "upgrading", "cause": "refused", "stale": False, "seen_at": 900.0}
    status = upgrade("away", done=False, away_since=NOW - 180, held_until=8100.0)
    lines = render(state(units_part("dc1", cluster("running", progress_ratio=0.5), status=status, health=away)))
    away_line = "dc1: the Controllers are away, rebooting, upgrade 30.2.1 → 31.2.2, away for 3 min"
    assert lines == [
        f"{away_line}; units are as of 00:15:00Z, held until 02:15:00Z",
        "Controller Phase Unit Version State Progress",
        "dc1 away cluster-0-1 30.2.1 → 31.2.2 running 50% as of 00:15:00Z",
    ]


def test_a_controller_that_cannot_be_polled_is_named_below() -> None:
    lines = render(state(units_part("dc1", cluster("completed"), status=upgrade(done=True), health=DOWN)), lost="gone")
    assert lines[-2:] == [
        "dc1: cannot be polled (connect: refused); its units are as of 1970-01-01 00:15:00Z",
        "Connection lost, as of 00:16:40Z; reconnecting: gone",
    ]


def test_an_upgrade_that_is_not_whole_is_named_also_when_nothing_is_under_way() -> None:
    behind = units_part("dc1", cluster("idle"), status=upgrade(done=False, left_behind={"se_group": 1}))
    unreadable = units_part("dc2", status=upgrade(None, readable=False))
    assert render(state(behind, unreadable)) == [
        "dc1: not done, at 30.2.1, 1 group left behind",
        "dc2: the daemon may not read the upgrade status",
        "No unit does or needs anything",
    ]


def test_of_one_controller_the_phase_is_shown_whatever_it_is() -> None:
    done = state(units_part("dc1", cluster("completed"), status=upgrade(done=True)), units_part("dc2"))
    assert render(done, target=UpgradeTarget(controller="dc1"))[0] == "dc1: done, at 30.2.1"


def test_a_controller_whose_upgrades_are_not_watched_says_so_when_it_is_asked_for() -> None:
    unwatched = state(units_part("dc1"), units_part("dc2", cluster("idle"), status=upgrade()))
    assert render(unwatched, target=UpgradeTarget(controller="dc1"))[0] == "dc1: upgrades are not watched"
    assert render(unwatched) == ["No unit does or needs anything"]


def test_one_unit_is_shown_with_its_details() -> None:
    eta = {**ETA, "why": "it stood\x1b still"}
    told: dict[str, Any] = {
        "started_at": 400.0,
        "tasks": 8,
        "tasks_completed": 2,
        "patch": "2p1",
        "previous_version": "22.1.6",
    }
    engines = {"completed": 12, "failed": 1, "in_progress": 2, "expected": 40}
    one = group(
        "running", name="web\x1b", tenant="admin", eta=eta, engines=engines, progress_ratio=0.3, changed_at=NOW - 20,
        virtual_services={"all": 25, "disrupted": 2}, annotations={"change": "CHG0042"}, duration_seconds=90.0, **told,
    )  # fmt: skip
    assert render(state(units_part("dc1", one, status=upgrade())), target=UpgradeTarget("web\x1b")) == [
        r"web\x1b@aws",
        "controller dc1",
        "uuid serviceenginegroup-1",
        "kind se_group",
        "tenant admin",
        "version 30.2.1-2p1",
        "before 22.1.6",
        "operation upgrade",
        "state running",
        "progress 30%",
        "tasks 2 of 8",
        "engines 12 of 40 Service Engines completed, 1 failed, 2 in progress",
        "disrupted 2/25 virtual services",
        "started 1970-01-01 00:06:40Z",
        "took 0:01:30",
        "estimate 4 min left (3–6)",
        r"because it stood\x1b still",
        "moved 20 s ago",
        "",
        "Annotations",
        "change CHG0042",
    ]


def test_one_unit_of_a_controller_that_cannot_be_polled_is_as_of_the_last_read() -> None:
    message = state(units_part("dc1", cluster("completed"), status=upgrade(), health=DOWN))
    assert "known as of 00:15:00Z" in render(message, target=UpgradeTarget("dc1"))


def test_an_empty_screen_says_what_it_waits_for() -> None:
    assert render() == ["Waiting for the daemon"]
    assert render(NIGHT, target=UpgradeTarget("x")) == ['No unit with the uuid or name "x" yet']
    assert render(state(units_part("dc1", status=upgrade(None)))) == ["No unit does or needs anything"]
