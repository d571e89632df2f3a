"""Upgrades in ``GET /api/events`` of a real daemon: units, phases, and the time that the Controllers are away."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import yaml

from monitor.polling.fleet import Entry
from monitor.simulator import Simulator
from tests.support.daemons import exposition, polled, until, watching
from tests.support.events import Reader, reading
from tests.support.nights import Moment, planned, polled_anew, upgrade_night
from tests.support.operators import ROOT, TOKENS, patch, token
from tests.support.unit_client import SPEC

NARROW: Final = "aum_narrow"
HOLD_FOR_S: Final = 7200.0


def upgrade_says(**members: object) -> Callable[[Reader], bool]:
    """Whether a reader was told this of the upgrade of dc1."""
    return lambda reader: members.items() <= reader.upgrades.get("dc1", {}).items()


def units(reader: Reader, kind: str) -> list[dict[str, Any]]:
    """The units of this kind on dc1, as a reader was told last."""
    found = (each for (name, resource, _), each in reader.objects.items() if (name, resource) == ("dc1", "upgrade"))
    return [unit for unit in found if unit["kind"] == kind]


async def test_a_reader_follows_a_whole_upgrade_and_resumes_in_its_middle(tmp_path: Path) -> None:
    async with upgrade_night(tmp_path, step_s=60.0) as (daemon, night):
        async with reading(daemon) as reader:
            await reader.until(upgrade_says(phase="none", done=None, readable=True, away_since=None))
            moments: list[tuple[Moment, str]] = [
                ("checks", "checking"),
                ("controllers", "controllers"),
                ("away", "away"),
            ]
            for moment, phase in moments:
                await night.go_to(moment)
                await reader.until(upgrade_says(phase=phase))
            away, last_good = reader.upgrades["dc1"], reader.reads["dc1", "upgrade"]["seen_at"]
            assert (away["from_version"], away["to_version"], away["operation"]) == ("30.2.1", "31.2.2", "upgrade")
            assert last_good < night.time_of("away") <= away["away_since"] <= night.simulator.clock.now()
            assert away["held_until"] == last_good + HOLD_FOR_S
            (cluster,) = units(reader, "controller")
            assert (cluster["uuid"], cluster["state"], cluster["checks"]["warnings"]) == (away["cluster"], "running", 1)
            assert cluster["target"].startswith("31.2.2-")
            assert {upgrade["phase"] for name, upgrade in reader.upgrades.items() if name != "dc1"} == {"none"}
        await night.go_to("back")
        async with reading(daemon, Last_Event_ID=reader.last_id) as again:
            await night.go_to("groups")
            await again.until(upgrade_says(phase="service_engines", away_since=None, held_until=None))
            await again.until(lambda reader: any(unit["oldest_engine"] for unit in units(reader, "se_group")))
            (group,) = (unit for unit in units(again, "se_group") if unit["oldest_engine"])
            assert (group["state"], group["engines"]["in_progress"], group["engines"]["failed"]) == ("running", 1, 0)
            await night.go_to("done")
            await again.until(upgrade_says(phase="none", done=True, from_version="30.2.1", to_version="31.2.2"))
            await again.until(lambda reader: all(unit["state"] == "completed" for unit in units(reader, "se_group")))
            assert set(again.kinds) == {"change"}, "it missed nothing, and was sent nothing twice"


async def test_a_token_that_is_limited_to_some_controllers_sees_their_upgrades_only(tmp_path: Path) -> None:
    tokens = [*TOKENS, token("narrow", NARROW, "read", controllers=["dc2"])]
    async with (
        upgrade_night(tmp_path, tokens=tokens) as (daemon, night),
        reading(daemon, token=NARROW) as reader,
    ):
        entry = await until(daemon, "dc2", lambda entry: bool(entry.objects("upgrade")))
        await night.go_to("checks")
        (uuid, *_) = entry.objects("image")
        await patch(daemon, uuid, {"annotations": {"change": "CHG-1"}}, token=ROOT)
        await reader.until(lambda reader: bool(reader.image(uuid).get("annotations")))
        assert reader.upgrades.keys() == {"dc2"}
        assert {name for name, _, _ in reader.objects} == {"dc2"}
        assert {uuid for _, resource, uuid in reader.objects if resource == "upgrade"} == {*entry.objects("upgrade")}


async def test_upgrades_that_are_not_watched_are_not_in_the_stream_and_leave_it_when_they_no_longer_are(
    tmp_path: Path,
) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator, watching(simulator, tmp_path) as daemon:
        watched = await until(daemon, "dc1", lambda entry: bool(entry.objects("upgrade")))
        async with reading(daemon) as reader:
            await reader.until(lambda reader: len(units(reader, "controller")) == 1)
            assert reader.upgrades["dc1"]["readable"]
            path = tmp_path / "config.yml"
            path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "upgrades": {"watch": False}}))
            await daemon.reloader.reload()
        await until(daemon, "dc1", lambda entry: "upgrade" not in entry.collections)
        async with reading(daemon, Last_Event_ID=reader.last_id) as again:
            again.objects = {("dc1", "upgrade", uuid): {} for uuid in watched.objects("upgrade")}
            await again.until(lambda reader: not reader.objects)
            assert (again.upgrades["dc1"]["readable"], again.upgrades["dc1"]["phase"]) == (None, None)
        await polled(daemon, "dc1")
        async with reading(daemon) as fresh:
            state = await fresh.next()
            assert state
            (part,) = state["parts"]
            assert (part.keys(), part["resources"].keys()) == ({"controller", "session", "resources"}, {"image"})


async def test_a_forecast_stands_while_the_controllers_are_away_until_it_is_overdue(tmp_path: Path) -> None:
    def forecasts(entry: Entry) -> list[object]:
        progress = [tracked.progress for tracked in entry.objects("upgrade").values()]
        return [each.forecast for each in progress if each and each.forecast]

    async with (
        upgrade_night(tmp_path, planned(outage_s=86_400.0, system=False)) as (daemon, night),
        reading(daemon) as reader,
    ):
        await night.go_to("controllers")
        await night.go_to("away")
        await reader.until(upgrade_says(phase="away"))
        (cluster,) = units(reader, "controller")
        latest = cluster["eta"]["latest"]
        assert reader.upgrades["dc1"]["eta"]["ends_at"] == cluster["eta"]["ends_at"], "the groups have another night"
        for at in (latest, latest + 1.0):
            night.simulator.clock.advance(at - night.simulator.clock.now())
            entry = await polled_anew(daemon, "dc1")
            shown = {name for name, _ in await exposition(daemon)} >= {"avi_upgrade_forecast_end_timestamp_seconds"}
            assert (shown, bool(forecasts(entry))) == (at == latest, at == latest)
        await reader.until(lambda reader: units(reader, "controller")[0]["eta"] is None)
        assert units(reader, "controller") == [{**cluster, "eta": None}], "nothing else is altered"
        await reader.until(upgrade_says(eta=None))
