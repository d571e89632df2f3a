"""Lines and cells about units and about the upgrade of a controller."""

from typing import Any

import pytest

from monitor.cli.api.view import ControllerView
from monitor.cli.output.upgrade_text import (
    checks_text,
    describe_checks,
    describe_phase,
    describe_read_time,
    describe_return,
    describe_unit,
    describe_unit_outage,
    describe_upgrade,
    disrupted_text,
    engines_text,
    unit_versions,
)
from tests.support.stream_messages import DOWN, NEW, NOW, UP, after, state
from tests.support.stream_units import GROUP, OLD, cluster, group, unit, units_part, upgrade

AWAY: dict[str, Any] = {"up": False, "reason": "upgrading", "cause": "refused", "stale": False, "seen_at": 900.0}
ETA = {"ends_at": NOW + 240, "earliest": NOW + 180, "latest": NOW + 360}


def controller(*units: dict[str, object], health: dict[str, Any] = UP, **status: Any) -> ControllerView:  # noqa: ANN401
    return after(state(units_part("dc1", *units, status=upgrade(**status), health=health)))[0].controllers["dc1"]


def line(shown: dict[str, object], *, health: dict[str, Any] = UP) -> str:
    view = controller(shown, health=health)
    return describe_unit("dc1", view, view.units[str(shown["uuid"])].object, now=NOW)


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (cluster("idle", progress_ratio=0.0), "dc1  cluster-0-1  30.2.1  idle"),
        (
            cluster("running", target="31.2.2-9123-20250615", progress_ratio=0.5, eta=ETA),
            "dc1  cluster-0-1  30.2.1 → 31.2.2  running  50%  4 min left (3–6)",
        ),
        (
            cluster("checking", checks={"checks": 20, "completed": 11, "warnings": 1}),
            "dc1  cluster-0-1  30.2.1 → 31.2.2  checking  checks 11/20 1 warning",
        ),
        (
            group("suspended", engines={"completed": 2, "suspended": 1, "not_started": 2}, reason="SE 3 is away"),
            "dc1  internet@aws  30.2.1 → 31.2.2  suspended  2/5 1✗ SEs  SE 3 is away",
        ),
        (
            group("running", standing="stalled", changed_at=NOW - 1800),
            "dc1  internet@aws  30.2.1 → 31.2.2  running  no move for 30 min",
        ),
        (
            group("running", virtual_services={"all": 25, "disrupted": 2}),
            "dc1  internet@aws  30.2.1 → 31.2.2  running  2/25 VSs disrupted",
        ),
        (group("failed", standing="acknowledged"), "dc1  internet@aws  30.2.1  failed (acknowledged)"),
        (unit("se-1", "se", "running", patch="2p1"), "dc1  se-1  30.2.1-2p1 → 31.2.2  running"),
    ],
)
def test_a_unit_is_described_on_one_line(shown: dict[str, object], text: str) -> None:
    assert line(shown) == text


def test_a_unit_of_a_controller_that_is_away_is_as_of_the_last_read() -> None:
    assert (
        line(cluster("running", eta=ETA), health=AWAY) == "dc1  cluster-0-1  30.2.1 → 31.2.2  running  as of 00:15:00Z"
    )


def of_group(**more: object) -> Any:  # noqa: ANN401
    return controller(group("running", **more)).units[GROUP].object  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("more", "texts"),
    [
        ({}, ("", "", "", OLD)),
        ({"engines": {"completed": 12, "in_progress": 1, "failed": 1}}, ("12/14 1✗", "", "", OLD)),
        ({"virtual_services": {"all": None, "disrupted": 3}}, ("", "3", "", OLD)),
        ({"virtual_services": {"all": 3}}, ("", "", "", OLD)),
        ({"checks": {"warnings": 2, "errors": 1}}, ("", "", "1 error, 2 warnings", OLD)),
        ({"checks": {}}, ("", "", "passed", OLD)),
        ({"version": "", "target": "31.2.2-1"}, ("", "", "", "31.2.2")),
    ],
)
def test_the_cells_of_a_unit(more: dict[str, object], texts: tuple[str, ...]) -> None:
    shown = of_group(**more)
    assert (engines_text(shown), disrupted_text(shown), checks_text(shown), unit_versions(shown)) == texts


def test_checks_without_counts_have_a_word() -> None:
    assert describe_checks(of_group(fsm="UPGRADE_PRE_CHECK_WARNING")) == "a warning"
    assert describe_checks(of_group()) == "no error"


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ({"phase": None}, ""),
        ({"phase": "none"}, ""),
        ({"phase": "none", "done": True}, "dc1: done, at 30.2.1"),
        (
            {"phase": "none", "done": False, "left_behind": {"se_group": 1, "se": 2}},
            "dc1: not done, at 30.2.1, 1 group and 2 SEs left behind",
        ),
        ({"phase": "checking"}, "dc1: pre-checks, upgrade 30.2.1 → 31.2.2"),
        ({"phase": "checking", "operation": "", "to_version": ""}, "dc1: pre-checks, 30.2.1"),
        (
            {"phase": "service_engines", "left_behind": {"se_group": 3}},
            "dc1: upgrading the Service Engines, upgrade 30.2.1 → 31.2.2",
        ),
        ({"phase": "none", "readable": False}, "dc1: the daemon may not read the upgrade status"),
    ],
)
def test_a_phase_is_described_on_one_line(status: dict[str, Any], text: str) -> None:
    assert describe_phase("dc1", controller(cluster("completed"), **status)) == text


def test_a_controller_without_upgrades_says_so() -> None:
    assert describe_phase("dc1", ControllerView()) == "dc1: upgrades are not watched"
    assert describe_upgrade("dc1", ControllerView(), now=NOW) == "dc1: upgrades are not watched"


def test_the_time_left_stands_behind_the_phase_until_the_controllers_are_away() -> None:
    at_work = controller(cluster("running"), phase="controllers", eta=ETA)
    assert describe_upgrade("dc1", at_work, now=NOW).endswith("30.2.1 → 31.2.2, 4 min left (3–6)")
    away = controller(cluster("running"), health=AWAY, phase="away", eta=ETA, away_since=NOW - 180, held_until=8100)
    assert describe_upgrade("dc1", away, now=NOW) == (
        "dc1: the Controllers are away, rebooting, upgrade 30.2.1 → 31.2.2, "
        "away for 3 min; units are as of 00:15:00Z, held until 02:15:00Z"
    )
    assert (describe_read_time(at_work, now=NOW), describe_read_time(away, now=NOW)) == (
        "as of 00:16:40Z", "as of 00:15:00Z"
    )  # fmt: skip


def test_a_return_names_how_long_it_took_and_what_follows() -> None:
    away = controller(cluster("running"), health=AWAY, phase="away", away_since=NOW - 240).upgrade
    assert away
    back = controller(cluster("running", version="31.2.2"), phase="service_engines")
    assert describe_return("dc1", away, back, now=NOW) == (
        "dc1: the Controllers are back after 4 min, at 31.2.2; upgrading the Service Engines"
    )
    assert describe_return("dc1", away, ControllerView(), now=NOW) == "dc1: the Controllers are back after 4 min"


def test_an_outage_is_described_unless_an_upgrade_explains_it() -> None:
    assert describe_unit_outage("dc1", controller(cluster("idle"))) == ""
    assert describe_unit_outage("dc1", controller(health=AWAY, phase="away", away_since=NOW)) == ""
    assert describe_unit_outage("dc1", controller(health=NEW, phase=None)) == "dc1: not polled yet"
    assert describe_unit_outage("dc1", controller(health=DOWN)) == (
        "dc1: cannot be polled (connect: refused); its units are as of 1970-01-01 00:15:00Z"
    )
