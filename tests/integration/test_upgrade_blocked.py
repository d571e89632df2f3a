"""What an upgrade keeps operators from, and what it excuses after it: rules 13 and 14 of docs/upgrade-watching.md."""

from pathlib import Path

from structlog.testing import capture_logs

from monitor.daemon.app import Daemon
from monitor.simulator import Fault, GroupSpec, SimulatedController
from tests.support.daemons import exposition, failed, polled, until
from tests.support.nights import phase_of, planned, upgrade_night
from tests.support.operators import ALICE, BOB, TOKENS, ask, audit, patch


async def in_progress(daemon: Daemon) -> tuple[float, float, str | None]:
    """Up, whether an upgrade is in progress, and the phase."""
    series, dc1 = await exposition(daemon), (("controller", "dc1"),)
    shown = [series[f"avi_controller_{name}", dc1] for name in ("up", "upgrade_in_progress")]
    return shown[0], shown[1], phase_of(daemon)


def about_images(controller: SimulatedController) -> list[str]:
    """The requests about one image that the Controller received."""
    return [each.method for each in controller.requests if each.path.startswith("/api/image/")]


def idle_image(daemon: Daemon) -> str:
    return next(iter(daemon.fleet.entries["dc1"].objects("image")))


# -- 2.4.13


async def test_an_upgrade_of_the_system_is_in_progress_until_its_last_group_ends(tmp_path: Path) -> None:
    seen: dict[str, tuple[float, float, str | None]] = {}
    async with upgrade_night(tmp_path, planned()) as (daemon, night):
        seen["before"] = await in_progress(daemon)
        for moment in ("checks", "controllers", "away", "back", "groups", "first_group", "done"):
            await night.go_to(moment)
            seen[moment] = await in_progress(daemon)
    assert seen == {
        "before": (1.0, 0.0, "none"),
        "checks": (1.0, 0.0, "checking"),
        "controllers": (1.0, 1.0, "controllers"),
        "away": (0.0, 1.0, "away"),
        "back": (1.0, 1.0, "service_engines"),
        "groups": (1.0, 1.0, "service_engines"),
        "first_group": (1.0, 1.0, "service_engines"),
        "done": (1.0, 0.0, "none"),
    }


async def test_an_outage_while_the_groups_go_is_no_upgrade(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with upgrade_night(tmp_path, planned()) as (daemon, night):
            await night.go_to("groups")
            assert await in_progress(daemon) == (1.0, 1.0, "service_engines")
            await night.controller.stop_listening()
            await failed(daemon, "dc1", "connect", 2)
            assert await in_progress(daemon) == (0.0, 0.0, "service_engines")
            await night.controller.start_listening()
            await polled(daemon, "dc1", 2)
            assert await in_progress(daemon) == (1.0, 1.0, "service_engines")
    downs = [(log["log_level"], log["reason"]) for log in logs if log["event"] == "controller_down"]
    assert downs == [("info", "upgrading"), ("warning", "connect")]
    assert [log["event"] for log in logs if log["event"] in {"controller_returned", "controller_up"}] == [
        "controller_up",
        "controller_returned",
        "controller_up",
    ]


async def test_groups_that_follow_on_another_night_block_nothing(tmp_path: Path) -> None:
    spec = planned(system=False, groups_after_s=3600.0, groups=[GroupSpec(ses=2)])
    async with upgrade_night(tmp_path, spec, step_s=300.0) as (daemon, night):
        await night.go_to("back")
        assert await in_progress(daemon) == (1.0, 0.0, "none")
        await night.go_to("groups")
        assert await in_progress(daemon) == (1.0, 0.0, "service_engines")


# -- 2.4.14


async def test_an_adjustment_is_refused_without_asking_the_controllers_while_they_are_upgraded(tmp_path: Path) -> None:
    async with upgrade_night(tmp_path, planned(), tokens=TOKENS) as (daemon, night):
        uuid = idle_image(daemon)
        for moment in ("controllers", "away"):
            await night.go_to(moment)
            got = await patch(daemon, uuid, {"name": "renamed"}, token=BOB)
            assert (got.status, got.kind) == (503, "controller-upgrading")
            assert int(got.headers["Retry-After"]) > 0
            tried = await ask(daemon, "PATCH", f"/api/image/{uuid}", {"name": "x"}, query={"dry_run": "true"})
            assert (tried.status, tried.kind) == (503, "controller-upgrading")
        assert not about_images(night.controller)
        entries = await audit(daemon)
        assert [(entry["outcome"], entry["answer"]) for entry in entries] == [("refused", None)] * 2

        await night.go_to("done")
        renamed = await patch(daemon, uuid, {"name": "renamed"}, token=BOB)
        assert (renamed.status, renamed.json["name"]) == (200, "renamed")
        assert "PATCH" in about_images(night.controller)


async def test_annotations_go_on_while_the_controllers_are_upgraded(tmp_path: Path) -> None:
    async with upgrade_night(tmp_path, planned(), tokens=TOKENS) as (daemon, night):
        uuid = idle_image(daemon)
        for moment in ("controllers", "away"):
            await night.go_to(moment)
            got = await patch(daemon, uuid, {"annotations": {"at": moment}}, token=ALICE)
            assert (got.status, got.json["annotations"]["at"]) == (200, moment)
        assert not about_images(night.controller)


async def test_an_adjustment_after_a_503_is_refused_without_asking_until_a_poll_is_good(tmp_path: Path) -> None:
    """No unit says that there is an upgrade: the Controller itself does."""
    async with upgrade_night(tmp_path, planned(at=86_400.0), tokens=TOKENS) as (daemon, night):
        uuid = idle_image(daemon)
        night.controller.faults.add(Fault("html_503"))
        await until(daemon, "dc1", lambda entry: entry.session.under_way)
        got = await patch(daemon, uuid, {"name": "renamed"})
        assert (got.status, got.kind) == (503, "controller-upgrading")
        assert not about_images(night.controller)
        night.controller.faults.clear()
        await polled(daemon, "dc1", 2)
        assert (await patch(daemon, uuid, {"name": "renamed"})).status == 200
