"""A reload: all or nothing, and a controller whose settings are equal notices nothing of it."""

import asyncio
import gc
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trustme
import yaml
from structlog.testing import capture_logs

from monitor.cli.commands.simulate import write_config
from monitor.config.load import load
from monitor.config.types import Config
from monitor.daemon.app import Daemon, running
from monitor.model.errors import ConfigError, PatchProblem
from monitor.simulator import ControllerSpec, Fault, SimulatedController, Simulator
from tests.support.conformance import require_conformance
from tests.support.daemons import (
    QUICK,
    QUICK_RELOAD,
    QUICK_WATCH,
    exposition,
    failed,
    polled,
    samples,
    scrape,
    until,
    watching,
)
from tests.support.operators import ALICE, BOB, EVE, ROOT, TOKENS, ask, audit, patch, token
from tests.support.stores import opened

Settings = dict[str, Any]
RARE = {**QUICK, "active_interval": "1h", "idle_interval": "1h", "stale_after": "2h"}
FLEET = tuple(ControllerSpec(name=f"dc{number}", images=2) for number in (1, 2, 3))


class Site:
    """A daemon that watches dc1 and dc2 of three Controllers, and the files that it reads."""

    def __init__(self, daemon: Daemon, simulator: Simulator, folder: Path) -> None:
        self.daemon = daemon
        self.controllers = simulator.controllers
        self._folder = folder
        self._whole: Settings = yaml.safe_load((folder / "config.yml").read_text())

    def edit(self, change: Callable[[Settings], object]) -> None:
        """Change the config that names all three, and write it."""
        whole = yaml.safe_load(yaml.safe_dump(self._whole))
        change(whole)
        self.write(yaml.safe_dump(whole))

    def write(self, text: str) -> None:
        (self._folder / "config.yml").write_text(text)

    async def reload(self) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        difference = await self.daemon.reloader.reload()
        return difference.added, difference.changed, difference.removed


def only(*names: str) -> Callable[[Settings], None]:
    """Watch these controllers only."""

    def change(settings: Settings) -> None:
        settings["controllers"] = [each for each in settings["controllers"] if each["name"] in names]

    return change


def pin(settings: Settings) -> None:
    """Have dc1 asked for another version than before."""
    only("dc1", "dc2")(settings)
    settings["controllers"][0]["api_version"] = "22.1.3"


def trust(settings: Settings, ca_file: Path) -> None:
    """Have dc1 verified by the CAs of this file."""
    only("dc1", "dc2")(settings)
    settings["controllers"][0]["tls"] = {"ca_file": str(ca_file)}


@asynccontextmanager
async def sited(folder: Path, poll: dict[str, Any] = RARE, **settings: Any) -> AsyncIterator[Site]:  # noqa: ANN401  of `watching`
    async with (
        Simulator(FLEET, speed=0.0) as simulator,
        watching(simulator, folder, poll=poll, tokens=TOKENS, **settings) as daemon,
    ):
        site = Site(daemon, simulator, folder)
        site.edit(only("dc1", "dc2"))
        await site.reload()
        for name in ("dc1", "dc2"):
            await until(daemon, name, lambda entry: entry.session.up)
        yield site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with sited(tmp_path) as site:
        yield site


def counters(controller: SimulatedController) -> tuple[int, int, int]:
    """What a Controller has seen of the daemon."""
    return controller.logins, controller.logouts, len(controller.requests)


async def test_what_is_kept_of_the_images_of_a_controller_is_forgotten_with_it(tmp_path: Path) -> None:
    async with sited(tmp_path) as site:
        site.edit(only("dc1"))
        await site.reload()
    async with opened(f"sqlite:///{tmp_path}/state.db") as store:
        assert len(store.marks.of("dc1", "image")) == 2
        assert not store.marks.of("dc2", "image")


async def test_a_controller_is_added_and_another_removed_and_the_third_notices_nothing(site: Site) -> None:
    before, entry = counters(site.controllers["dc1"]), site.daemon.fleet.entries["dc1"]
    site.edit(only("dc1", "dc3"))
    assert await site.reload() == (("dc3",), (), ("dc2",))
    await until(site.daemon, "dc3", lambda entry: entry.session.up)
    series = await exposition(site.daemon)
    assert {dict(labels).get("controller") for _, labels in series} == {None, "dc1", "dc3"}
    assert site.controllers["dc2"].sessions == {}, "it was logged out of"
    assert (counters(site.controllers["dc1"]), site.daemon.fleet.entries["dc1"]) == (before, entry)


async def test_a_controller_that_is_changed_keeps_its_images_until_the_next_poll_and_its_counters(
    site: Site,
) -> None:
    before = site.daemon.fleet.entries["dc1"]
    seen: list[int] = []
    unsubscribe = site.daemon.fleet.subscribe(
        lambda _name, entry, _: seen.append(len(entry.objects("image")) if entry else 0)
    )
    site.edit(pin)
    assert await site.reload() == ((), ("dc1",), ())
    entry = await until(site.daemon, "dc1", lambda entry: entry.session.api_version == "22.1.3" and entry.session.up)
    await until(site.daemon, "dc1", lambda entry: entry.session.polls == before.session.polls + 1)
    unsubscribe()
    assert set(seen) == {2}
    assert len(entry.objects("image")) == 2
    assert (site.controllers["dc1"].logins, len(site.controllers["dc1"].sessions)) == (2, 1)


@pytest.mark.parametrize(
    ("change", "difference"),
    [(pin, ((), ("dc1",), ())), (only("dc2"), ((), (), ("dc1",)))],
    ids=["changed", "removed"],
)
async def test_a_patch_under_way_is_carried_out_though_its_controller_is_changed_or_removed(
    site: Site, change: Callable[[Settings], object], difference: tuple[tuple[str, ...], ...]
) -> None:
    dc1 = site.controllers["dc1"]
    (uuid, *_) = site.daemon.fleet.entries["dc1"].objects("image")
    dc1.faults.add(Fault("hang", method="PATCH"))
    async with asyncio.TaskGroup() as tasks:
        patching = tasks.create_task(patch(site.daemon, uuid, {"name": "renamed"}))
        await dc1.wait_for_requests(1, method="PATCH")
        site.edit(change)
        assert await site.reload() == difference, "a reload does not wait for a PATCH"
        assert not patching.done()
        site.edit(lambda settings: (change(settings), settings.update(events={"detail_for": "1h"})))
        assert await site.reload() == ((), (), ()), "nor does the next one"
        dc1.faults.clear()
    got = patching.result()
    assert (got.status, got.json["name"]) == (200, "renamed")
    assert [entry["outcome"] for entry in await audit(site.daemon)] == ["done"]
    assert len(await dc1.wait_for_requests(1, method="PATCH")) == 1
    await dc1.wait_for_requests(1, path="/logout", answered=True)
    watched = "dc1" in site.daemon.context.tenants
    assert ("dc1" in site.daemon.fleet.entries, len(dc1.sessions)) == (watched, int(watched))


async def test_a_patch_whose_controller_is_changed_before_the_change_is_sent_is_carried_out_too(
    site: Site,
) -> None:
    dc1 = site.controllers["dc1"]
    (uuid, *_) = site.daemon.fleet.entries["dc1"].objects("image")
    dc1.faults.add(Fault("hang", method="GET", path=f"/api/image/{uuid}"))
    async with asyncio.TaskGroup() as tasks:
        patching = tasks.create_task(patch(site.daemon, uuid, {"name": "renamed"}))
        await dc1.wait_for_requests(1, method="GET", path=f"/api/image/{uuid}")
        site.edit(pin)
        await site.reload()
        dc1.faults.clear()
        dc1.faults.add(Fault("hang", method="PATCH"))
        await dc1.wait_for_requests(1, method="PATCH")
        for _ in range(3):
            await site.reload()
        assert (patching.done(), dc1.logouts) == (False, 0)
        dc1.faults.clear()
    assert patching.result().status == 200


async def test_a_changed_image_is_not_shown_for_another_controller_that_has_the_name_now(site: Site) -> None:
    def change(settings: Settings) -> None:
        dc3 = settings["controllers"][2]
        only("dc1")(settings)
        settings["controllers"][0] |= {key: dc3[key] for key in ("url", "username", "password_file")}

    dc1, dc3 = site.controllers["dc1"], site.controllers["dc3"]
    (uuid, *_) = site.daemon.fleet.entries["dc1"].objects("image")
    dc3.put({"uuid": uuid, "name": "a copy"})
    dc1.faults.add(Fault("hang", method="PATCH"))
    names: set[str] = set()
    async with asyncio.TaskGroup() as tasks:
        patching = tasks.create_task(patch(site.daemon, uuid, {"name": "renamed"}))
        await dc1.wait_for_requests(1, method="PATCH")
        site.edit(change)
        await site.reload()
        await until(site.daemon, "dc1", lambda entry: uuid in entry.objects("image"))
        unsubscribe = site.daemon.fleet.subscribe(
            lambda _name, entry, _: (
                names.update(track.object.name for track in entry.objects("image").values()) if entry else None
            )
        )
        dc1.faults.clear()
    assert patching.result().status == 200
    await site.reload()
    unsubscribe()
    assert "renamed" not in names


async def test_a_patch_outlives_a_reload_and_the_end_after_it(tmp_path: Path) -> None:
    async with sited(tmp_path) as site, asyncio.TaskGroup() as tasks:
        dc1 = site.controllers["dc1"]
        (uuid, *_) = site.daemon.fleet.entries["dc1"].objects("image")
        dc1.faults.add(Fault("slow_reply", method="PATCH", seconds=0.5))
        patching = asyncio.get_running_loop().create_task(patch(site.daemon, uuid, {"name": "renamed"}))
        tasks.create_task(dc1.wait_for_requests(1, method="PATCH"))
        site.edit(only("dc2"))
        await dc1.wait_for_requests(1, method="PATCH")
        await site.reload()
    assert (await patching).status == 200
    assert (dc1.logins, dc1.logouts, dc1.sessions) == (1, 1, {})


async def test_a_patch_whose_session_was_ended_before_its_first_request_is_refused(site: Site) -> None:
    """It has its client, and waits for the database, while a reload ends the session."""
    (uuid, *_) = site.daemon.fleet.entries["dc1"].objects("image")
    writer = site.daemon.context.patcher._targets["dc1"].writer
    site.edit(pin)
    await site.reload()
    with pytest.raises(PatchProblem, match="nothing was changed: a reload") as caught:
        await writer.get_image(uuid)
    assert caught.value.kind == "controller-busy"
    await until(site.daemon, "dc1", lambda _: len(site.controllers["dc1"].sessions) == 1)


async def test_another_ca_in_the_same_file_changes_the_controller(site: Site, tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"

    trustme.CA().cert_pem.write_to_path(ca_file)
    site.edit(partial(trust, ca_file=ca_file))
    assert await site.reload() == ((), ("dc1",), ())
    assert await site.reload() == ((), (), ())
    trustme.CA().cert_pem.write_to_path(ca_file)
    assert await site.reload() == ((), ("dc1",), ())


async def test_a_ca_file_that_is_half_written_changes_nothing(site: Site, tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(ca_file)
    ca_file.write_text(ca_file.read_text()[:200])
    site.edit(partial(trust, ca_file=ca_file))
    with pytest.raises(ConfigError, match=r"controllers\[0\].tls.ca_file: found .*, expected a PEM file"):
        await site.reload()
    assert site.daemon.fleet.entries["dc1"].session.up
    trustme.CA().cert_pem.write_to_path(ca_file)
    assert await site.reload() == ((), ("dc1",), ())


async def test_a_controller_with_another_url_starts_without_the_images_of_the_old_one(site: Site) -> None:
    def change(settings: Settings) -> None:
        dc3 = settings["controllers"][2]
        only("dc1")(settings)
        settings["controllers"][0] |= {key: dc3[key] for key in ("url", "username", "password_file")}

    theirs = set(site.daemon.fleet.entries["dc1"].objects("image"))
    site.edit(change)
    assert await site.reload() == ((), ("dc1",), ("dc2",))
    entry = await until(site.daemon, "dc1", lambda entry: entry.session.up)
    assert not theirs & set(entry.objects("image"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("controllers: [", "not YAML"),
        ("controllers: dc1", "expected a list"),
        ("{}", "listen: found"),
    ],
    ids=["syntax", "type", "empty"],
)
async def test_a_bad_file_changes_nothing_and_the_reason_is_in_reply_log_and_metric(
    site: Site, text: str, words: str
) -> None:
    before = {name: counters(controller) for name, controller in site.controllers.items()}
    site.write(text)
    with capture_logs() as logs:
        got = await ask(site.daemon, "POST", "/-/reload", token=ROOT)
    assert (got.status, got.kind) == (422, "bad-config")
    require_conformance("POST", "/-/reload", got.status, got.headers, got.body)
    assert any(words in problem for problem in got.json["problems"])
    (said,) = [log for log in logs if log["event"] == "reload_failed"]
    assert (said["log_level"], list(said["problems"])) == ("warning", got.json["problems"])
    shown = await scrape(site.daemon)
    assert samples(shown, "avi_upgrade_monitor_config_last_reload_successful") == [0.0]
    assert {name: counters(controller) for name, controller in site.controllers.items()} == before
    site.edit(only("dc1", "dc2"))
    assert (await ask(site.daemon, "POST", "/-/reload", token=ROOT)).json == {"added": [], "changed": [], "removed": []}
    assert samples(await scrape(site.daemon), "avi_upgrade_monitor_config_last_reload_successful") == [1.0]


@pytest.mark.parametrize("secret", ["", ALICE, BOB, EVE])
async def test_only_an_admin_may_reload(site: Site, secret: str) -> None:
    assert (await ask(site.daemon, "POST", "/-/reload", token=secret)).status in {401, 403}


async def test_a_token_is_rotated_without_a_restart(site: Site) -> None:
    new = "aum_alice_2"
    (uuid, *_) = site.daemon.fleet.entries["dc1"].objects("image")

    async def statuses() -> list[int]:
        body = {"annotations": {"a": "b"}}
        return [(await patch(site.daemon, uuid, body, token=secret)).status for secret in (ALICE, new)]

    assert await statuses() == [200, 401]
    site.edit(lambda settings: settings["tokens"].append(token("alice", new, "annotate")))
    await site.reload()
    assert await statuses() == [200, 200]
    site.edit(lambda settings: settings.update(tokens=[token("alice", new, "annotate")]))
    await site.reload()
    assert await statuses() == [401, 200]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("listen", "127.0.0.1:1"),
        ("database", "sqlite:////elsewhere.db"),
        ("log", {"level": "debug"}),
        ("log", {"format": "console"}),
    ],
)
async def test_what_needs_a_restart_is_refused(site: Site, key: str, value: object) -> None:
    site.edit(lambda settings: settings.update({key: value}))
    path = ".".join((key, *value)) if isinstance(value, dict) else key
    with pytest.raises(ConfigError, match=f"{path}: found .* as at the start: changing it needs a restart"):
        await site.reload()


async def test_annotations_that_are_exported_newly_appear_with_the_next_poll(tmp_path: Path) -> None:
    async with sited(tmp_path, poll=dict(QUICK)) as site:
        (uuid, *_) = site.daemon.fleet.entries["dc1"].objects("image")
        await patch(site.daemon, uuid, {"annotations": {"change": "CHG1"}})
        site.edit(lambda settings: settings.update(annotations={"export": ["change"]}))
        await site.reload()
        await polled(site.daemon, "dc1", 2)
        assert samples(await scrape(site.daemon), "avi_image_annotation_info", value="CHG1") == [1.0]
        assert site.controllers["dc1"].logins == 1


@pytest.mark.parametrize("change", [only("dc1", "dc2"), pin], ids=["same-settings", "other-settings"])
async def test_no_reload_tries_a_refused_password_again(tmp_path: Path, change: Callable[[Settings], None]) -> None:
    async with sited(tmp_path, poll=dict(QUICK)) as site:
        dc1 = site.controllers["dc1"]
        dc1.password = "changed"
        dc1.expire_sessions()
        await failed(site.daemon, "dc1", "auth", 3)
        assert dc1.failed_logins == 1
        site.edit(change)
        for _ in range(3):
            await site.reload()
            await failed(site.daemon, "dc1", "auth", 3)
        assert dc1.failed_logins == 1
        (tmp_path / "dc1.password").write_text("changed")
        await until(site.daemon, "dc1", lambda entry: entry.session.up)
        assert dc1.failed_logins == 1


async def test_no_reload_tries_a_refused_password_of_the_writing_account_again(tmp_path: Path) -> None:
    (tmp_path / "write.password").write_text("wrong")
    write = {"username": "writer", "password_file": str(tmp_path / "write.password")}
    async with sited(tmp_path, of_each={"write": write}) as site:
        dc1, uuid = site.controllers["dc1"], next(iter(site.daemon.fleet.entries["dc1"].objects("image")))
        for change in (only("dc1", "dc2"), pin):
            assert (await patch(site.daemon, uuid, {"name": "renamed"})).kind == "controller-failed"
            assert dc1.failed_logins == 1
            site.edit(change)
            await site.reload()
        assert (await patch(site.daemon, uuid, {"name": "renamed"})).kind == "controller-failed"
        assert dc1.failed_logins == 1


async def test_a_new_controller_file_is_found_by_the_watcher(tmp_path: Path) -> None:
    async with sited(tmp_path, reload_timing=QUICK_WATCH, controller_files=["more/*.yml"]) as site:
        whole = yaml.safe_load((tmp_path / "config.yml").read_text())
        (tmp_path / "more").mkdir()
        template = whole["controllers"][0]
        dc3 = site.controllers["dc3"]
        entry = {**template, "name": "dc3", "url": dc3.url, "password_file": str(tmp_path / "dc3.password")}
        (tmp_path / "more" / "dc3.yml").write_text(yaml.safe_dump({"controllers": [entry]}))
        await until(site.daemon, "dc3", lambda entry: entry.session.up)
        (tmp_path / "more" / "dc3.yml").unlink()
        while "dc3" in site.daemon.fleet.entries:
            await ask(site.daemon, "GET", "/-/healthy")


def controller_file(site: Site, folder: Path, password_file: Path) -> str:
    """The text of a controller file with dc3."""
    whole = yaml.safe_load((folder / "config.yml").read_text())
    dc3 = {"name": "dc3", "url": site.controllers["dc3"].url, "password_file": str(password_file)}
    return yaml.safe_dump({"controllers": [{**whole["controllers"][0], **dc3}]})


async def test_a_controller_file_that_is_edited_in_place_is_read_again(tmp_path: Path) -> None:
    more = tmp_path / "more.yml"
    more.write_text("controllers: []  # none yet\n")
    async with sited(tmp_path, reload_timing=QUICK_WATCH, controller_files=["more.yml"]) as site:
        with more.open("r+") as file:
            file.write(controller_file(site, tmp_path, tmp_path / "dc3.password"))
        await until(site.daemon, "dc3", lambda entry: entry.session.up)


async def test_a_file_that_a_controller_file_names_may_come_later_and_until_then_the_problem_is_logged_once(
    tmp_path: Path,
) -> None:
    async with sited(tmp_path, dict(QUICK), reload_timing=QUICK_WATCH, controller_files=["more/*.yml"]) as site:
        (tmp_path / "more").mkdir()
        late = tmp_path / "late.password"
        with capture_logs() as logs:
            (tmp_path / "more" / "dc3.yml").write_text(controller_file(site, tmp_path, late))
            for words in ("No such file or directory", "it is empty"):
                while not any(words in str(line.get("problems")) for line in logs):
                    await polled(site.daemon, "dc1")
                await polled(site.daemon, "dc1", 5)  # so that it is read again, with the same result
                late.touch()
            late.write_text(site.controllers["dc3"].password)
            await until(site.daemon, "dc3", lambda entry: entry.session.up)
    assert [line["event"] for line in logs if line["event"].startswith("reload")] == [
        "reload_failed",
        "reload_failed",
        "reloaded",
    ]


async def test_a_bug_in_a_reload_leaves_the_daemon_as_it_was_and_is_logged_once(tmp_path: Path) -> None:
    bugs = [RuntimeError("a bug")]

    def load_with_bug(path: Path) -> Config:
        if bugs:
            raise bugs.pop()
        return load(path)

    async with Simulator(FLEET[:1], speed=0.0) as simulator:
        settings = {"listen": "127.0.0.1:0", "database": f"sqlite:///{tmp_path}/s.db", "poll": dict(QUICK)}
        path = write_config(simulator, tmp_path, settings)
        with capture_logs() as logs:
            async with running(
                load(path), now=time.time, rng=Random(7), load=partial(load_with_bug, path), reload_timing=QUICK_RELOAD
            ) as daemon:
                daemon.reloader.request()
                while not any(line["event"] == "reload_exception" for line in logs):
                    await polled(daemon, "dc1")
                assert samples(await scrape(daemon), "avi_upgrade_monitor_config_last_reload_successful") == [0.0]
                daemon.reloader.request()
                while not any(line["event"] == "reloaded" for line in logs):
                    await polled(daemon, "dc1")
                assert samples(await scrape(daemon), "avi_upgrade_monitor_config_last_reload_successful") == [1.0]
    (bug,) = [line for line in logs if line["event"] == "reload_exception"]
    assert (bug["log_level"], bug["exc_info"]) == ("error", True)


@pytest.mark.timeout(300)
async def test_many_reloads_disturb_no_other_controller_and_leak_nothing(tmp_path: Path) -> None:
    rng = Random(7)
    async with sited(tmp_path, poll=dict(QUICK)) as site:
        dc1 = site.controllers["dc1"]
        uuids = set(site.daemon.fleet.entries["dc1"].objects("image"))
        stop = asyncio.Event()

        async def scrapes() -> int:
            number = 0
            while not stop.is_set():
                named = re.findall(
                    r'avi_image_annotations{controller="dc1",image_uuid="(.*?)"}', await scrape(site.daemon)
                )
                assert sorted(named) == sorted(uuids), "a gap in the series of a controller that did not change"
                number += 1
            return number

        async def edits() -> None:
            for _ in range(60):
                others = rng.sample(["dc2", "dc3"], rng.randint(0, 2))
                pinned = rng.choice(["auto", "22.1.3", "30.2.1"])
                if rng.random() < 0.3:
                    site.write(rng.choice(["controllers: [", "{}", "listen: 5", ""]))
                else:
                    site.edit(partial(_shuffle, others=others, pinned=pinned))
                before = len(logs)
                for _ in range(rng.randint(1, 3)):
                    os.kill(os.getpid(), signal.SIGHUP)
                while not any(line["event"] in {"reloaded", "reload_failed"} for line in logs[before:]):
                    await ask(site.daemon, "GET", "/-/healthy")

        await steady(site)
        before = open_files_and_tasks()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, site.daemon.reloader.request)
        with capture_logs() as logs:
            async with asyncio.TaskGroup() as tasks:
                scraping = [tasks.create_task(scrapes()) for _ in range(2)]
                await edits()
                stop.set()
        asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
        assert {line["event"] for line in logs} >= {"reloaded", "reload_failed"}
        assert min(task.result() for task in scraping) > 10
        assert dc1.logins == 1
        await steady(site)
        assert open_files_and_tasks() == before
        for name in ("dc1", "dc2"):
            assert len(site.controllers[name].sessions) == 1
        assert site.controllers["dc3"].sessions == {}


def _shuffle(settings: Settings, *, others: list[str], pinned: str) -> None:
    only("dc1", *others)(settings)
    for each in settings["controllers"][1:]:
        each["api_version"] = pinned


async def steady(site: Site) -> None:
    """Watch dc1 and dc2 as at the start, and wait until all else has ended."""
    site.edit(only("dc1", "dc2"))
    await site.reload()
    for name in ("dc1", "dc2"):
        await polled(site.daemon, name, 2)
    gc.collect()


def open_files_and_tasks() -> tuple[int, set[str]]:
    """The number of open files, and the names of the tasks but those of single connections."""
    names = {task.get_name() for task in asyncio.all_tasks() if not task.get_name().startswith("Task-")}
    return len(os.listdir("/proc/self/fd")), names  # noqa: PTH208  it changes while it is read
