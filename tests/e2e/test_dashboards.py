"""
A real Prometheus scrapes the demo fleet, and Controllers in the middle of an upgrade, and is asked every query of every
dashboard, its variables filled in.

Its scrape config and rules are those that we ship, sixty times as fast (``tests.support.rules.hurried``).
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp
import msgspec
from msgspec.structs import replace

from monitor.daemon.app import Daemon
from monitor.simulator import SCENARIOS, ControllerSpec, Simulator
from monitor.simulator.faults import Fault
from monitor.simulator.specs import UploadSpec
from monitor.simulator.upgrade_specs import CheckSpec, GroupSpec, UpgradeSpec
from tests.support.daemons import UNHURRIED, until, watching
from tests.support.dashboards import Asked, Json, asked, boards, filled, promql_of, variables
from tests.support.nights import Night, polled_anew
from tests.support.operators import TOKENS, ask, patch
from tests.support.programs import eventually, free_address
from tests.support.prometheus import Prometheus, any_image, prometheus_running, scraped, shipped, write_rules

MAY_BE_EMPTY = {
    "fleet/panel/Controllers/I": "the simulated Controllers speak plain HTTP, and have no certificate to expire",
    **dict.fromkeys(
        (
            "image/panel/Users/D",
            "image/panel/Users/E",
            "upgrade/panel/Images in use/E",
            "upgrade/panel/Images in use/F",
        ),
        "no unit of the simulated Controllers has a patch",
    ),
}
MOMENTARY = {"fleet/annotation/Changes": "asks for changes of the last seconds, of which there are none any more"}
WATCHED_S = 690.0  # longer than the ten minutes after which an upload stands still, and while one is still in flight
ONE, PAIR = ("127.0.0.1",), ("127.0.0.1", "localhost")
"""The names by which Prometheus scrapes the daemon."""
ANYWHERE = {"job": ".+", "cluster": ".*"}
GRAFANAS_OWN = {"__rate_interval": "4s", "__range": "1m"}  # as it counts them when a scrape is a second

UPLOADED = (UploadSpec(duration=60.0, started_ago=600.0, version="31.2.2"),)
UPGRADE = UpgradeSpec(at=200.0, version="31.2.2", controllers_s=60.0, outage_s=30.0, unready_s=10.0)
UPGRADED = (
    ControllerSpec(
        name="dus",
        version="30.2.1",
        images=2,
        uploads=UPLOADED,
        groups=(
            GroupSpec(ses=3, outcome="suspended", disrupted=2),
            GroupSpec(name="internet", ses=6),
        ),
        upgrade=replace(UPGRADE, checks=CheckSpec(warnings=1), groups_at_once=1),
    ),
    ControllerSpec(
        name="osl",
        version="30.2.1",
        images=2,
        uploads=UPLOADED,
        groups=(GroupSpec(), GroupSpec(name="Default-Group", cloud="aws-frankfurt", ses=1)),
        upgrade=replace(UPGRADE, outcome="never_back"),
    ),
    ControllerSpec(
        name="rom",
        version="30.2.1",
        images=2,
        uploads=UPLOADED,
        groups=(GroupSpec(ses=1), GroupSpec(name="forgotten", ses=1, outcome="left_behind")),
        upgrade=UPGRADE,
    ),
    ControllerSpec(
        name="vie",
        version="31.2.2",
        images=1,
        groups=(GroupSpec(ses=1),),
        upgrade=UpgradeSpec(at=600.0, dry_run=True),
    ),
)
"""In the middle of the SE groups, with one suspended; away; done, but for a group; and in a dry run."""

ON_UPGRADE: Mapping[str, Mapping[str, list[str]]] = {
    "dus": {
        "Phase": ["Service Engines"],
        "From → to": ["30.2.1 → 31.2.2"],
        "Progress of the Controllers": ["1"],
        "Whole upgrade": ["not done"],
        "At the Controllers' version": ["4", "9"],
        "Service Engines to look at": ["0", "1"],
        "Virtual services disrupted": ["2"],
        "Failed and unseen": ["1", "0"],
        "Left behind": [],
        "Readable": ["yes"],
        "Units": ["shown"],
    },
    "osl": {
        "Phase": ["away"],
        "From → to": ["30.2.1 → 31.2.2"],
        "Progress of the Controllers": ["0.37"],
        "Whole upgrade": ["not done"],
        "At the Controllers' version": ["5", "5"],
        "Service Engines to look at": ["0", "0"],
        "Virtual services disrupted": ["0"],
        "Failed and unseen": ["0", "0"],
        "Left behind": [],
        "Readable": ["yes"],
        "Units": ["shown"],
    },
    "rom": {
        "Phase": ["none"],
        "From → to": ["30.2.1 → 31.2.2"],
        "Progress of the Controllers": ["1"],
        "Whole upgrade": ["not done"],
        "At the Controllers' version": ["1", "2"],
        "Service Engines to look at": ["0", "0"],
        "Virtual services disrupted": ["0"],
        "Failed and unseen": ["0", "0"],
        "Left behind": ["1", "1"],
        "Readable": ["yes"],
        "Units": ["shown"],
    },
    "vie": {
        "Phase": ["none"],
        "From → to": ["31.2.2"],
        "Progress of the Controllers": [],
        "Whole upgrade": [],
        "At the Controllers' version": ["1", "1"],
        "Service Engines to look at": ["0", "0"],
        "Virtual services disrupted": ["0"],
        "Failed and unseen": ["0", "0"],
        "Left behind": [],
        "Readable": ["yes"],
        "Units": ["shown"],
    },
}
"""By controller and title: what the panels at the top of *Upgrade* show."""

Selection = Mapping[str, str]


class Series(msgspec.Struct, frozen=True):
    """One series of an answer; its last value."""

    labels: dict[str, str]
    value: float


class Grafana:
    """Asks a Prometheus what Grafana would ask it."""

    def __init__(self, prometheus: Prometheus, session: aiohttp.ClientSession) -> None:
        self.prometheus = prometheus
        self._session = session

    async def answer(self, query: str, *, instant: bool = True) -> list[Series]:
        """For now, or for the last seconds; one that Prometheus does not take fails the test."""
        now = time.time()
        span = {"time": str(now)} if instant else {"start": str(now - 3.0), "end": str(now), "step": "1"}
        path = "query" if instant else "query_range"
        async with self._session.post(
            f"{self.prometheus.url}/api/v1/{path}", data={"query": query, **span}
        ) as response:
            answer = await response.json()
        assert answer["status"] == "success", (query, answer)
        result = answer["data"]["result"]
        return [Series(each["metric"], float((each.get("value") or each["values"][-1])[1])) for each in result]

    async def selections(self, board: Json) -> list[Selection]:
        """All that a person can choose on the dashboard; of a variable of several values all at once."""
        chosen: list[Selection] = [GRAFANAS_OWN]
        for variable in variables(board):
            name = variable["name"]
            chosen = [{**each, name: value} for each in chosen for value in await self._values(variable, each)]
        return chosen

    async def _values(self, variable: Json, chosen: Selection) -> Iterable[str]:
        series = await self.answer(filled(promql_of(variable["query"]), chosen))
        values = [value for each in series for value in _taken(variable, each.labels)]
        if not variable.get("multi"):
            return values
        return [variable.get("allValue") or f"({'|'.join(map(re.escape, values))})".replace("\\", "\\\\")]


def _taken(variable: Json, labels: Mapping[str, str]) -> list[str]:
    """The value that a series gives the variable: its one label, or what the pattern finds in its text."""
    if not variable["regex"]:
        return list(labels.values())
    text = ",".join(f'{name}="{labels[name]}"' for name in sorted(labels))
    found = re.search(variable["regex"].strip("/").replace("(?<", "(?P<"), f"{{{text}}}")
    assert found, text
    return [found["value"]]


@asynccontextmanager
async def prometheus_on(daemon: Daemon, folder: Path) -> AsyncIterator[Prometheus]:
    """A Prometheus that scrapes the daemon and evaluates the rules; its targets can be changed."""
    settings = shipped("prometheus.yml", {"127.0.0.1:9093": free_address()})
    (job,) = settings["scrape_configs"]
    del job["static_configs"]
    job["file_sd_configs"] = [{"files": [f"{folder}/targets.json"], "refresh_interval": "1s"}]
    write_rules(folder)
    write_targets(daemon, folder, ONE)
    async with prometheus_running(settings, folder) as prometheus:
        yield prometheus


def write_targets(daemon: Daemon, folder: Path, hosts: Iterable[str]) -> None:
    """Let Prometheus scrape the daemon by each of these names, as targets of one job in one cluster."""
    port = daemon.url.rpartition(":")[2]
    targets = {"targets": [f"{host}:{port}" for host in hosts], "labels": {"cluster": "lab"}}
    (folder / "targets.new").write_text(json.dumps([targets]))
    (folder / "targets.new").replace(folder / "targets.json")


@asynccontextmanager
async def eventful_fleet(folder: Path) -> AsyncIterator[tuple[Daemon, Grafana]]:
    """
    The demo fleet when it is most interesting, and the upgraded Controllers, seen by a Prometheus.

    One upload has failed and is annotated, one has stood still for long, others move; one Controller answers nothing
    but errors, one reports an unknown state, one answers no read of the upgrade status, and a client came with a wrong
    token.
    """
    specs = (*SCENARIOS["fleet"].controllers, *UPGRADED)
    simulator = Simulator(specs, speed=0.0, start=time.time() - WATCHED_S)  # so that it ends at the present
    annotations = {"export": ["change"]}
    async with (
        simulator,
        aiohttp.ClientSession() as session,
        watching(
            simulator,
            folder,
            poll=UNHURRIED,
            tokens=TOKENS,
            annotations=annotations,
            wall=simulator.clock.now,
        ) as daemon,
        prometheus_on(daemon, folder) as prometheus,
    ):
        await Night(simulator, "dus", seen=partial(all_polled, daemon)).advance(WATCHED_S)
        await play_incidents(simulator, daemon)
        await scraped(daemon, 3)
        yield daemon, Grafana(prometheus, session)


async def all_polled(daemon: Daemon) -> None:
    """Wait until each Controller was polled anew."""
    async with asyncio.TaskGroup() as waiting:
        for name in daemon.fleet.entries:
            waiting.create_task(polled_anew(daemon, name))


async def play_incidents(simulator: Simulator, daemon: Daemon) -> None:
    """Let all this happen."""
    entry = await until(daemon, "fra", any_image("failed"))
    (failed,) = (uuid for uuid, track in entry.objects("image").items() if track.object.state == "failed")
    assert (await patch(daemon, failed, {"annotations": {"change": "CHG0042"}})).status == 200
    acknowledged = {"annotations": {"acknowledged": "true"}}
    for kind, path in (("image", "/api/image"), ("upgrade", "/api/upgradestatusinfo")):  # of a Controller that is well
        uuid = next(iter(daemon.fleet.entries["vie"].objects(kind)))
        assert (await ask(daemon, "PATCH", f"{path}/{uuid}", acknowledged)).status == 200
    assert (await ask(daemon, "GET", "/api/image", token="wrong")).status == 401
    simulator.controllers["ams"].faults.add(Fault("unknown_enum", times=1))
    await until(daemon, "ams", lambda entry: bool(entry.collections["image"].health.unknown_values))
    simulator.controllers["lab"].faults.add(Fault("html_502"))
    await until(daemon, "lab", lambda entry: not entry.session.up)
    for path in ("/api/upgradestatussummary", "/api/upgradestatusinfo"):
        simulator.controllers["sin"].faults.add(Fault("html_502", path=path))
    await until(daemon, "sin", lambda entry: bool(entry.collections["upgrade"].health.failures))


async def unanswered(grafana: Grafana, queries: Iterable[Asked]) -> list[Asked]:
    """Those that nothing came for, whatever is chosen."""
    chosen = {name: await grafana.selections(board) for name, board in boards().items()}
    return [query for query in queries if not await found(grafana, query, chosen[query.board])]


async def found(grafana: Grafana, query: Asked, chosen: Iterable[Selection]) -> bool:
    """Whether some choice has an answer; all are asked, because none may be an error."""
    answers = [await grafana.answer(filled(query.query, each), instant=query.instant) for each in chosen]
    labels = set(re.findall(r"\{\{(\w+)\}\}", query.legend))
    assert all(labels <= series.labels.keys() for answer in answers for series in answer), query
    return any(answers)


async def test_every_query_of_every_dashboard_is_answered(tmp_path: Path) -> None:
    """By one daemon, and then as by a pair of them: with every series twice."""
    async with eventful_fleet(tmp_path) as (daemon, grafana):
        for hosts in (ONE, PAIR):
            write_targets(daemon, tmp_path, hosts)
            up = [float(len(hosts))]
            await eventually(lambda: values(grafana, "sum(up)"), up.__eq__)
            await require_dashboards(grafana)


async def require_dashboards(grafana: Grafana) -> None:
    """Every query of every dashboard is answered, and so is every rule, from now on."""
    since = time.time()
    await require_answers(grafana)
    await require_the_numbers(grafana)
    await require_the_stalled_upload(grafana)
    await require_the_upgrades(grafana)
    health = await eventually(
        lambda: grafana.prometheus.health_of_rules(since=since), lambda health: "unknown" not in health.values()
    )
    assert {name: state for name, state in health.items() if state != "ok"} == {}


async def values(grafana: Grafana, query: str) -> list[float]:
    return [series.value for series in await grafana.answer(query)]


async def require_answers(grafana: Grafana) -> None:
    """Every query but those that may be empty has an answer; one that had it is not asked again."""
    every = (query for name, board in boards().items() for query in asked(name, board))
    missing = [query for query in every if str(query) not in MOMENTARY]

    async def ask_again() -> set[str]:
        missing[:] = await unanswered(grafana, missing)
        return {str(query) for query in missing}

    assert await eventually(ask_again, lambda left: left <= MAY_BE_EMPTY.keys()) == MAY_BE_EMPTY.keys()


async def require_the_numbers(grafana: Grafana) -> None:
    """What stands at the top of *Fleet*."""
    expected = {
        "Controllers watched": 9.0,
        "Controllers down": 1.0,
        "In flight": 2.0,
        "Standing still": 1.0,
        "Failed, unseen": 1.0,
        "Nodes with failures": 1.0,
    }
    found = await eventually(
        lambda: numbers(grafana), lambda found: found == {title: [number] for title, number in expected.items()}
    )
    assert found == {title: [number] for title, number in expected.items()}


async def numbers(grafana: Grafana) -> dict[str, list[float]]:
    """What each of them has; nothing until Prometheus has scraped all that its query asks for."""
    board = boards()["fleet"]
    (chosen,) = await grafana.selections(board)
    stats = {panel["title"]: panel["targets"][0]["expr"] for panel in board["panels"] if panel["type"] == "stat"}
    answers = {title: await grafana.answer(filled(query, chosen)) for title, query in stats.items()}
    return {title: [each.value for each in series] for title, series in answers.items()}


async def require_the_stalled_upload(grafana: Grafana) -> None:
    """The table of the uploads in flight: one row an upload in every column, and the one that stands is on ``sin``."""
    columns = await eventually(
        lambda: uploads_in_flight(grafana),
        lambda columns: bool(columns["Progress"]) and len({frozenset(rows) for rows in columns.values()}) == 1,
    )
    assert [controller for (controller, _), still_s in columns["No move for"].items() if still_s > 600.0] == ["sin"]
    assert all(0.0 < ratio < 1.0 for ratio in columns["Progress"].values())
    assert all(left_s > 0.0 for left_s in columns["Time left"].values())


async def require_the_upgrades(grafana: Grafana) -> None:
    """What stands at the top of *Upgrade*, for some of the Controllers; those on an upgrade are offered first."""
    offered = [chosen["controller"] for chosen in await grafana.selections(boards()["upgrade"])]
    assert set(offered[:2]) == {"dus", "osl"}
    found = await eventually(lambda: upgrades(grafana), lambda found: found == ON_UPGRADE)
    assert found == ON_UPGRADE


async def upgrades(grafana: Grafana) -> dict[str, dict[str, list[str]]]:
    """By controller and title: the series of the panel, as the panel shows them, those of seconds left out."""
    return {name: await shown_of(grafana, name) for name in ON_UPGRADE}


async def shown_of(grafana: Grafana, controller: str) -> dict[str, list[str]]:
    board = boards()["upgrade"]
    shown = {}
    for panel in board["panels"]:
        if panel["type"] == "stat" and panel["fieldConfig"]["defaults"]["unit"] != "s":
            queries = [filled(target["expr"], ANYWHERE | {"controller": controller}) for target in panel["targets"]]
            found = [series for query in queries for series in await grafana.answer(query)]
            texts = {key: text["text"] for each in mappings(panel) for key, text in each["options"].items()}
            shown[panel["title"]] = [
                each.labels.get("way") or texts.get(f"{each.value:g}", f"{each.value:.3g}") for each in found
            ]
    return shown


def mappings(panel: Json) -> list[Json]:
    """Which text stands for which value."""
    found: list[Json] = panel["fieldConfig"]["defaults"].get("mappings") or []
    return found


async def uploads_in_flight(grafana: Grafana) -> dict[str, dict[tuple[str, str], float]]:
    """The columns of that table, by title: (controller, image uuid) → value."""
    board = boards()["fleet"]
    (chosen,) = await grafana.selections(board)
    (table,) = (panel for panel in board["panels"] if (panel["type"], panel["title"]) == ("table", "Uploads in flight"))
    titles = dict(
        next(each for each in table["transformations"] if each["id"] == "organize")["options"]["renameByName"]
    )
    return {
        titles[f"Value #{target['refId']}"]: {
            (series.labels["controller"], series.labels["image_uuid"]): series.value
            for series in await grafana.answer(filled(target["expr"], chosen))
        }
        for target in table["targets"]
    }
