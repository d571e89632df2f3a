"""The owner of the configuration: when it reads the files, what it refuses, and that nothing of that is applied."""

import asyncio
import os
import ssl
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest
import trustme
from structlog.testing import capture_logs

from monitor.config.load import load
from monitor.config.types import Config, Difference
from monitor.config.web_config import WebConfig
from monitor.daemon.reload import Reloader, ReloadTiming, read_settled
from monitor.metrics.self_metrics import SelfMetrics
from monitor.model.errors import ConfigError
from tests.support.limits import WAIT_TIMEOUT_S

HASH = f"$2b$04${'.' * 53}"
TLS = "tls_server_config: {cert_file: server.pem, key_file: server.key}\n"
CONFIG = """
controller_files: ["more/*.yml"]
controllers: [{name: dc1, url: https://avi.example.net, username: svc, password_file: password}]
"""
EVERY_FILE = """
controllers:
  - {name: dc1, url: https://avi.example.net, username: svc, password_file: password, tls: {ca_file: ca.pem},
     write: {username: svc, password_file: write-password}}
"""
CA = trustme.CA()
AT_ONCE = ReloadTiming(watch_interval_s=0.0, settle_s=0.0, retry_interval_s=0.0)

Logs = list[MutableMapping[str, Any]]


class Files:
    """A config with a web configuration on disk, its owner, and what was applied."""

    def __init__(self, path: Path, web: str = TLS, timing: ReloadTiming = AT_ONCE) -> None:
        self.path = path
        self.applied: list[Config] = []
        self.happened = asyncio.Event()
        self.announced: list[str] = []
        self.ended = asyncio.Event()
        self.metrics = SelfMetrics()
        self.write("config.yml", CONFIG)
        self.write("password", "s3cret")
        self.write("web.yml", web)
        self.issue()
        self.load = partial(load, path / "config.yml", {}, path / "web.yml")
        self.reloader = self.make_reloader(timing)

    def make_reloader(self, timing: ReloadTiming) -> Reloader:
        return Reloader(
            self.load(),
            self.load,
            self._apply,
            self.metrics,
            now=lambda: 1.0,
            on_begin=lambda: self.announced.append("begin"),
            on_end=self._end,
            timing=timing,
        )

    async def _apply(self, config: Config) -> Difference:
        self.applied.append(config)
        self.happened.set()
        return Difference((), (), ())

    def _end(self) -> None:
        self.announced.append("end")
        self.ended.set()

    @property
    def webs(self) -> list[WebConfig]:
        return [config.web for config in self.applied if config.web]

    @property
    def successful(self) -> float | None:
        return self.metrics.registry.get_sample_value("avi_upgrade_monitor_config_last_reload_successful")

    def write(self, name: str, text: str | bytes) -> None:
        """Whole at once, by renaming."""
        (self.path / "new").write_bytes(text if isinstance(text, bytes) else text.encode())
        (self.path / "new").replace(self.path / name)

    def issue(self, name: str = "server") -> None:
        issued = CA.issue_cert("localhost")
        self.write(f"{name}.key", issued.private_key_pem.bytes())
        self.write(f"{name}.pem", b"".join(pem.bytes() for pem in issued.cert_chain_pems))

    async def check_files(self, times: int = 2) -> None:
        for _ in range(times):
            with suppress(ConfigError):
                await self.reloader.check_files()


@pytest.fixture
async def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def logs() -> Iterator[Logs]:
    with capture_logs() as logs:
        yield logs


def events(logs: Logs) -> list[str]:
    return [log["event"] for log in logs]


# -- the watcher


async def test_files_that_do_not_change_are_not_read(files: Files, logs: Logs) -> None:
    await files.check_files(5)
    assert (files.applied, logs) == ([], [])


async def test_a_changed_file_is_applied_once_and_logged(files: Files, logs: Logs) -> None:
    files.write("web.yml", f"{TLS}basic_auth_users: {{bob: {HASH}}}\n")
    await files.check_files(5)
    (web,) = files.webs
    assert list(web.users) == ["bob"]
    assert isinstance(web.tls_context, ssl.SSLContext)
    assert logs == [{"event": "reloaded", "log_level": "info", "added": (), "changed": (), "removed": ()}]


async def test_the_watcher_reads_a_file_that_looks_the_same_twice(files: Files) -> None:
    files.write("web.yml", f"{TLS}# half of i")
    await files.check_files(1)
    files.write("web.yml", f"{TLS}# half of it, and the rest\n")
    await files.check_files(1)
    assert files.applied == []
    await files.check_files(1)
    assert len(files.applied) == 1


async def test_a_change_between_reading_and_watching_is_noticed(files: Files) -> None:
    """The watcher compares with the files as they were when they were read, not when it first looked."""
    files.write("web.yml", f"{TLS}# changed before the first look\n")
    await files.check_files(2)
    assert len(files.applied) == 1


async def test_controller_files_that_come_change_and_go_are_applied(files: Files) -> None:
    (files.path / "more").mkdir()
    names = []
    one = "{{name: {}, url: https://avi.example.net, username: svc, password_file: ../password}}"
    for text in (f"controllers: [{one.format('dc2')}]", f"controllers: [{one.format('dc3')}]"):
        files.write("more/a.yml", text)
        await files.check_files(3)
        names.append([controller.name for controller in files.applied[-1].controllers])
    (files.path / "more" / "a.yml").unlink()
    await files.check_files(3)
    names.append([controller.name for controller in files.applied[-1].controllers])
    assert (names, len(files.applied)) == ([["dc1", "dc2"], ["dc1", "dc3"], ["dc1"]], 3)


@pytest.mark.parametrize("name", ["config.yml", "password", "write-password", "ca.pem", "web.yml"])
async def test_every_file_that_the_configuration_names_is_watched(files: Files, name: str) -> None:
    """Would find a Secret or a ConfigMap that is replaced, and that the daemon goes on without."""
    files.write("write-password", "s3cret")
    files.write("ca.pem", CA.cert_pem.bytes())
    files.write("config.yml", EVERY_FILE)
    await files.check_files(3)
    assert len(files.applied) == 1
    files.write(name, f"{(files.path / name).read_text()}\n")
    await files.check_files(3)
    assert len(files.applied) == 2


async def test_a_password_file_that_is_being_written_changes_nothing(files: Files, logs: Logs) -> None:
    """Would find a controller that is polled with an empty password, and one problem that is logged again and again."""
    files.write("password", "")
    await files.check_files(5)
    files.write("password", "n3w")
    await files.check_files(3)
    assert (events(logs), len(files.applied)) == (["reload_failed", "reloaded"], 1)


async def test_a_swapped_folder_is_one_change(files: Files) -> None:
    """As the kubelet replaces a ConfigMap: each file is a link through `..data`, which is renamed to the new folder."""
    for folder in ("..1", "..2"):
        (files.path / folder).mkdir()
    for name in ("config.yml", "password"):
        (files.path / name).rename(files.path / "..1" / name)
        (files.path / name).symlink_to(f"..data/{name}")
    (files.path / "..data").symlink_to("..1")
    (files.path / "..2" / "config.yml").write_text(f"poll: {{timeout: 3s}}\n{CONFIG}")
    (files.path / "..2" / "password").write_text("n3w")
    (files.path / "..data_tmp").symlink_to("..2")
    (files.path / "..data_tmp").rename(files.path / "..data")
    rmtree(files.path / "..1")
    await files.check_files(5)
    assert [config.poll.timeout_s for config in files.applied] == [3.0]


async def test_without_a_watcher_only_a_request_reads_the_files(files: Files, tmp_path: Path) -> None:
    """The watcher of a second daemon shows how long the first one has had to notice the changes."""
    (tmp_path / "other").mkdir()
    other = Files(tmp_path / "other")
    unwatched = files.make_reloader(ReloadTiming(watch_interval_s=None, settle_s=0.0))
    async with asyncio.timeout(WAIT_TIMEOUT_S), asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(each.run(), name="reload") for each in (unwatched, other.reloader)]
        for times in (1, 2):
            for each in (files, other):
                each.write("web.yml", f"{TLS}# changed {times}\n")
            other.happened.clear()
            await other.happened.wait()
        assert (files.applied, len(other.applied)) == ([], 2)
        unwatched.request()
        await files.happened.wait()
        for task in running:
            task.cancel()
    assert len(files.applied) == 1


@pytest.mark.parametrize("name", ["server.pem", "server.key"])
async def test_a_certificate_without_its_key_is_applied_when_both_are_there(
    files: Files, logs: Logs, name: str
) -> None:
    files.issue("next")
    other = {"server.pem": "server.key", "server.key": "server.pem"}[name]
    files.write(name, (files.path / name.replace("server", "next")).read_bytes())
    await files.check_files(4)
    assert files.applied == []
    files.write(other, (files.path / other.replace("server", "next")).read_bytes())
    await files.check_files(4)
    assert len(files.applied) == 1
    assert [(log["event"], log["log_level"]) for log in logs] == [("reload_failed", "warning"), ("reloaded", "info")]


async def test_a_bad_file_changes_nothing_and_each_set_of_problems_is_logged_once(files: Files, logs: Logs) -> None:
    files.write("web.yml", "basic_auth_users: {bob: s3cret}\n")
    await files.check_files(5)
    files.write("web.yml", "tls: {}\n")
    await files.check_files(5)
    assert (files.applied, files.successful) == ([], 0.0)
    assert [log["problems"][0].partition(": ")[2][:25] for log in logs] == [
        "basic_auth_users.bob: fou",
        "tls: unknown key, expecte",
    ]
    assert "s3cret" not in str(logs)


async def test_a_bad_file_that_is_as_before_again_is_good_again(files: Files, logs: Logs) -> None:
    files.write("web.yml", "tls: {}\n")
    await files.check_files()
    files.write("web.yml", TLS)
    await files.check_files(4)
    assert (events(logs), files.successful) == (["reload_failed", "reloaded"], 1.0)


async def test_a_removed_file_is_a_problem(files: Files, logs: Logs) -> None:
    (files.path / "web.yml").unlink()
    await files.check_files(3)
    (log,) = logs
    assert log["problems"] == (f"{files.path}/web.yml: cannot be read: No such file or directory",)


async def test_a_bad_file_is_read_again_when_a_file_that_it_newly_names_is_there(files: Files, logs: Logs) -> None:
    files.write("web.yml", TLS.replace("server.", "next."))
    await files.check_files(3)
    files.issue("next")
    await files.check_files(3)
    assert events(logs) == ["reload_failed", "reloaded"]
    files.issue("server")
    await files.check_files(3)
    assert len(files.applied) == 1, "a file that is no longer named is no longer watched"
    files.issue("next")
    await files.check_files(3)
    assert len(files.applied) == 2


async def test_a_bad_file_is_not_read_again_before_the_retry_interval(tmp_path: Path, logs: Logs) -> None:
    files = Files(tmp_path, timing=ReloadTiming(settle_s=0.0, retry_interval_s=3600.0))
    files.write("web.yml", TLS.replace("server.", "next."))
    await files.check_files(3)
    files.issue("next")
    await files.check_files(3)
    assert events(logs) == ["reload_failed"]


async def test_a_link_that_is_pointed_at_another_file_is_a_change(files: Files) -> None:
    (files.path / "old.yml").write_text(TLS)
    (files.path / "new.yml").write_text(f"{TLS}basic_auth_users: {{bob: {HASH}}}\n")
    (files.path / "web.yml").unlink()
    (files.path / "web.yml").symlink_to("old.yml")
    await files.check_files()
    assert len(files.applied) == 1
    (files.path / "link").symlink_to("new.yml")
    (files.path / "link").replace(files.path / "web.yml")
    os.utime(files.path / "new.yml", ns=(0, 0))
    await files.check_files()
    assert [list(web.users) for web in files.webs] == [[], ["bob"]]


async def test_without_tls_there_is_no_context(tmp_path: Path) -> None:
    files = Files(tmp_path, "{}\n")
    files.write("web.yml", f"basic_auth_users: {{bob: {HASH}}}\n")
    await files.check_files()
    assert [(list(web.users), web.tls_context) for web in files.webs] == [(["bob"], None)]


async def test_it_watches_by_itself(files: Files) -> None:
    files.write("web.yml", f"{TLS}# changed\n")
    async with asyncio.timeout(WAIT_TIMEOUT_S), asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(files.reloader.run(), name="reload")
        await files.happened.wait()
        watching.cancel()
    assert len(files.applied) == 1


# -- the same answer on every way


async def by_request(files: Files) -> None:
    with suppress(ConfigError):
        await files.reloader.reload()


async def by_signal(files: Files) -> None:
    async with asyncio.timeout(WAIT_TIMEOUT_S), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(files.reloader.run(), name="reload")
        files.reloader.request()
        await files.ended.wait()
        running.cancel()


async def by_watcher(files: Files) -> None:
    await files.check_files(3)


WAYS = [by_request, by_signal, by_watcher]
Way = Callable[[Files], Any]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("before", "after", "values"),
    [
        pytest.param(TLS, "{}\n", "found nothing, expected a mapping", id="off"),
        pytest.param("{}\n", TLS, "found a mapping, expected nothing", id="on"),
    ],
)
async def test_only_a_restart_turns_tls_on_or_off(
    tmp_path: Path, way: Way, before: str, after: str, values: str
) -> None:
    files = Files(tmp_path, before)
    files.write("web.yml", after)
    with capture_logs() as logs:
        await way(files)
    assert files.applied == []
    needs = "as at the start: adding or removing it needs a restart"
    assert [log["problems"] for log in logs] == [(f"{tmp_path}/web.yml: tls_server_config: {values} {needs}",)]


async def test_what_is_refused_in_one_file_keeps_back_the_others(files: Files) -> None:
    """An operator who changes both files gets both changes, or neither."""
    files.write("config.yml", f"poll: {{timeout: 3s}}\n{CONFIG}")
    files.write("web.yml", "{}\n")
    await by_watcher(files)
    await by_request(files)
    assert files.applied == []


async def test_a_reload_is_announced_when_it_is_requested_or_applied(files: Files) -> None:
    files.write("web.yml", "tls: {}\n")
    await files.check_files(5)
    assert files.announced == []
    await by_request(files)
    assert files.announced == ["begin", "end"]
    files.write("web.yml", f"{TLS}# good\n")
    await files.check_files(3)
    assert files.announced == ["begin", "end"] * 2


# -- a file that is being written


class Writer:
    """Loads, and then goes on to write a file: ``rest`` of it after each reading."""

    def __init__(self, files: Files, name: str, *rest: str) -> None:
        self._files = files
        self._name = name
        self._rest = list(rest)

    def load(self) -> Config:
        try:
            return self._files.load()
        finally:
            if self._rest:
                self._files.write(self._name, self._rest.pop(0))


async def test_half_a_file_is_not_returned_but_read_again_when_it_is_whole(files: Files) -> None:
    files.write("web.yml", "{}\n")
    config = await read_settled(Writer(files, "web.yml", f"{TLS}# ha", f"{TLS}# half\n").load, AT_ONCE)
    assert config.web is not None
    assert config.web.tls is not None
    assert (files.path / "web.yml").read_text() == f"{TLS}# half\n"


async def test_half_a_file_that_is_bad_is_no_problem_when_it_is_whole(files: Files) -> None:
    files.write("web.yml", "tls_server_conf")
    config = await read_settled(Writer(files, "web.yml", TLS).load, AT_ONCE)
    assert config.web is not None


@pytest.mark.parametrize("name", ["config.yml", "web.yml", "server.pem"])
async def test_a_file_that_keeps_changing_is_a_problem(files: Files, name: str) -> None:
    texts = [f"{(files.path / name).read_text()}#{' ' * number}\n" for number in range(3)]
    timing = ReloadTiming(settle_s=0.001, max_reads=3)
    with pytest.raises(ConfigError) as caught:
        await read_settled(Writer(files, name, *texts).load, timing)
    assert caught.value.problems == (
        f"{files.path}/{name}: changed while it was read, expected it to stay the same for 1ms",
    )


async def test_the_file_has_to_stay_the_same_for_the_time_that_is_given(files: Files) -> None:
    async def write() -> None:
        await asyncio.sleep(0.05)
        files.write("web.yml", TLS)

    files.write("web.yml", "{}\n")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write(), name="write")
        config = await read_settled(files.load, ReloadTiming(settle_s=0.2))
    assert config.web is not None
    assert config.web.tls is not None
