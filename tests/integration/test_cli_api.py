"""The commands for people, against a daemon that runs, and against what else may stand where a daemon should."""

import asyncio
import json
import re
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from monitor.avi.values import HIGHEST_VERSION
from monitor.cli import main
from monitor.daemon.app import Daemon
from monitor.simulator import ControllerSpec, Fault, Simulator, UploadSpec
from tests.support.daemons import QUICK, failed, until, watching
from tests.support.operators import ALICE, BOB, EVE, ROOT, TOKENS, ask, patch
from tests.support.programs import output_of

RARELY = {"active_interval": "1h", "idle_interval": "1h", "stale_after": "3h", "timeout": "5s"}
"""What the daemon has seen stays as it is, unless a PATCH makes it look again."""

DC1 = ControllerSpec(
    name="dc1",
    version="30.2.1",
    images=1,
    uploads=(
        UploadSpec(name="broken", duration=60.0, started_ago=100.0, outcome="failed", failing_task="Extract package"),
        UploadSpec(name="running", duration=1000.0, started_ago=500.0),
    ),
)
DC2 = ControllerSpec(name="dc2", version="31.2.2")


async def run(url: str, *arguments: str, token: str = BOB, width: int = 0, **environment: str) -> Result:
    """A command as a person runs it; ``width``: of the terminal, none by default."""
    variables: dict[str, str | None] = {"AVI_UPGRADE_MONITOR_URL": url, "AVI_UPGRADE_MONITOR_TOKEN": token or None}
    if width:
        variables |= {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": str(width)}
    result = await asyncio.to_thread(CliRunner(env=variables | environment).invoke, main, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result


class People:
    """What people have before them: a daemon on two Controllers."""

    def __init__(self, daemon: Daemon, simulator: Simulator) -> None:
        self.daemon = daemon
        self.dc1, self.dc2 = (simulator.controllers[name] for name in ("dc1", "dc2"))
        self.uuids = {track.image.name: track.image.uuid for _, track in daemon.fleet.images()}

    async def __call__(self, *arguments: str, **how: Any) -> Result:  # noqa: ANN401  as run
        return await run(self.daemon.url, *arguments, **how)

    async def annotations(self, name: str) -> dict[str, str]:
        """Those of an image, as the daemon has them."""
        got = await ask(self.daemon, "GET", f"/api/image/{self.uuids[name]}")
        return msgspec.convert(got.json["annotations"], dict[str, str])


@asynccontextmanager
async def people(
    folder: Path, prepare: Callable[[Simulator], object] = str, *, poll: Mapping[str, object] = RARELY
) -> AsyncIterator[People]:
    """``prepare``: what else is on the Controllers."""
    with capture_logs():  # else they would stand between what a command prints
        async with Simulator([DC1, DC2], speed=0.0) as simulator:
            prepare(simulator)
            async with watching(simulator, folder, poll=poll, tokens=TOKENS) as daemon:
                for name in ("dc1", "dc2"):
                    await until(daemon, name, lambda entry: entry.health.up)
                yield People(daemon, simulator)


@asynccontextmanager
async def something_else(
    answer: Callable[[bytes], bytes], tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that answers the head of a request with these bytes and hangs up; its URL, and what it was sent."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(1)
        heads.append(first if first == b"\x16" else first + await reader.readuntil(b"\r\n\r\n"))  # 16: a TLS hello
        writer.write(answer(heads[-1]))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}", heads


def http(body: bytes, *lines: str, status: str = "200 OK") -> bytes:
    head = "\r\n".join((f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *lines))
    return head.encode() + b"\r\n\r\n" + body


def rows(result: Result) -> list[list[str]]:
    """The words of each line without those of bars."""
    assert result.exit_code == 0, result.output
    return [line.replace("━", "").replace("╸", "").split() for line in result.stdout.splitlines()]


# -- images


async def test_images_stand_in_a_table_the_failed_ones_first(tmp_path: Path) -> None:
    async with people(tmp_path) as they:
        (finished,) = set(they.uuids) - {"broken", "running"}
        head, *lines = rows(await they("images"))
        assert head == ["Controller", "Image", "State", "Progress", "Tasks"]
        assert [line[:3] for line in lines] == [
            ["dc1", "broken", "failed"],
            ["dc1", "running", "in_progress"],
            ["dc1", finished, "completed"],
        ]
        assert lines[2][3:] == ["100%", "6", "of", "6"]


async def test_an_acknowledged_image_is_marked_and_its_annotations_are_counted(tmp_path: Path) -> None:
    async with people(tmp_path) as they:
        await patch(they.daemon, they.uuids["broken"], {"annotations": {"acknowledged": "yes", "change": "CHG1"}})
        head, line, *_ = rows(await they("images"))
        assert head[-1] == "Annot."
        assert (line[2:4], line[-1]) == (["failed", "(ack)"], "2")


async def test_images_as_json_are_the_daemons_own(tmp_path: Path) -> None:
    async with people(tmp_path) as they:
        result = await they("images", "--output", "json")
        assert result.exit_code == 0
        found = (await ask(they.daemon, "GET", "/api/image")).body.decode() + "\n"
        moving = re.compile(r'(?<="stalled_seconds":)[0-9.]+')  # which the clock moves in between
        assert moving.sub("…", result.stdout) == moving.sub("…", found)


async def test_images_of_a_state_or_of_a_controller(tmp_path: Path) -> None:
    async with people(tmp_path) as they:
        assert [line[1] for line in rows(await they("images", "--state", "failed"))[1:]] == ["broken"]
        (one,) = json.loads((await they("images", "--state", "failed", "--output", "json")).stdout)["results"]
        assert one["name"] == "broken"
        assert (await they("images", "--controller", "dc2")).stdout == "No images\n"
        assert len(rows(await they("images", "--controller", "dc1"))) == 4


async def test_images_come_in_pages_and_are_shown_as_one(tmp_path: Path) -> None:
    def put(simulator: Simulator) -> None:
        for place in range(250):
            simulator.controllers["dc2"].put({"uuid": f"image-{place}", "name": f"n{place}"})

    async with people(tmp_path, put) as they:
        result = await they("images", "--controller", "dc2", "--output", "json")
        listed = json.loads(result.stdout)
        assert (listed["count"], len(listed["results"]), list(listed)) == (250, 250, ["count", "results"])


@pytest.mark.parametrize("output", ["text", "json"])
async def test_a_controller_that_is_not_there_is_refused(tmp_path: Path, output: str) -> None:
    async with people(tmp_path) as they:
        result = await they("images", "--controller", "dc9", "--output", output)
        assert (result.exit_code, result.stdout) == (4, "")
        assert 'there is no controller "dc9" that you may see' in result.stderr.replace("\\", "")


async def test_a_controller_that_cannot_be_read_is_named_below_the_table(tmp_path: Path) -> None:
    async with people(tmp_path, poll=QUICK) as they:
        await they.dc2.stop_listening()
        await failed(they.daemon, "dc2", "connect")
        lines = (await they("images")).stdout.splitlines()
        assert lines[-1].startswith("dc2: not read at present (connect); its images are as of 2")
        assert "dc2" not in (await they("images", "--controller", "dc1")).stdout


async def test_a_controller_that_was_never_read_or_not_for_long_is_named_as_such() -> None:
    dead = b'{"name": "dc1", "up": false, "reason": "dns"}, {"name": "dc2", "up": false}'
    seen = b'"stale": true, "last_poll_success_timestamp_seconds": 0'
    stale = b'{"name": "dc3", "up": false, "reason": "timeout", %b}' % seen
    controllers = http(b'{"results": [%b]}' % b", ".join((dead, stale)))
    async with something_else(lambda head: controllers if b"/controllers" in head else http(b'{"results": []}')) as at:
        assert (await run(at[0], "images")).stdout.splitlines() == [
            "No images",
            "dc1: not read at present (dns)",
            "dc2: not read at present (not yet)",
            "dc3: not read at present (timeout); its images of 1970-01-01 00:00:00Z are too old to be shown",
        ]


@pytest.mark.parametrize("width", [80, 100, 140])
async def test_the_table_fits_its_terminal_and_shows_bars(tmp_path: Path, width: int) -> None:
    async with people(tmp_path) as they:
        result = await they("images", width=width)
        head, line, *_ = rows(result)
        assert "Progress" in "".join(head)
        assert "broken" in "".join(line)
        assert "━━" in result.stdout
        assert max(map(visible, result.stdout.splitlines())) <= width


def visible(line: str) -> int:
    """How many columns a line takes."""
    return sum(len(part.partition("m")[2]) if place else len(part) for place, part in enumerate(line.split("\x1b[")))


# -- image


async def test_an_image_shows_its_facts_its_events_its_annotations_and_its_audit(tmp_path: Path) -> None:
    async with people(tmp_path) as they:
        await patch(they.daemon, they.uuids["broken"], {"annotations": {"change": "CHG1"}})
        result = await they("image", "broken", token=ROOT)
        text = [" ".join(line) for line in rows(result)]
        node = they.dc1.nodes[-1]
        assert text[0] == "broken"
        assert {"controller dc1", f"uuid {they.uuids['broken']}", "tasks 1 of 6", "change CHG1"} <= set(text)
        assert f"Task {' '.join(they.dc1.nodes)}" in text
        assert "Validate package succeeded succeeded succeeded" in text
        assert "Extract package succeeded succeeded failed" in text
        assert [line for line in text if line.startswith(f"Extract package on {node}: SYSERR_")]
        assert text[-1].endswith('bob done annotations.change unset → "CHG1"')


async def test_an_image_as_json_is_the_daemons_own(tmp_path: Path) -> None:
    async with people(tmp_path) as they:
        got = await ask(they.daemon, "GET", f"/api/image/{they.uuids['broken']}")  # which no clock moves
        for named in ("broken", they.uuids["broken"]):
            result = await they("image", named, "--output", "json")
            assert (result.exit_code, result.stdout) == (0, got.body.decode() + "\n")


@pytest.mark.parametrize(("token", "why"), [(EVE, "403 Forbidden"), ("", "401 Valid credentials are required")])
async def test_the_audit_is_one_quiet_line_for_whom_it_is_not_for(tmp_path: Path, token: str, why: str) -> None:
    async with people(tmp_path) as they:
        result = await they("image", "running", token=token)
        assert (result.exit_code, result.stderr) == (0, "")
        *_, annotations, _, audit = result.stdout.splitlines()
        assert annotations == "No annotations"
        assert audit.startswith(f"No audit: {why}: /api/audit needs the scope admin")
        assert (await they("image", "running", token=ROOT)).stdout.endswith("\nNo records in the audit\n")


async def test_an_image_that_nobody_has_is_refused(tmp_path: Path) -> None:
    async with people(tmp_path) as they:
        for command in (["image", "x"], ["annotate", "x", "a=b"], ["patch", "x", "--set", "name=y"]):
            result = await they(*command)
            assert (result.exit_code, result.stdout) == (4, "")
            assert 'no controller that you may see has an image of the uuid or name "x"' in result.stderr
        elsewhere = await they("image", "broken", "--controller", "dc2", "--output", "json")
        assert elsewhere.exit_code == 4
        assert '"dc2" has no image of the uuid or name "broken"' in json.loads(elsewhere.stderr)["detail"]


async def test_a_name_that_several_have_is_answered_with_all_of_them(tmp_path: Path) -> None:
    def put(simulator: Simulator) -> None:
        simulator.controllers["dc1"].put({"uuid": "image-1", "name": "twin"})
        simulator.controllers["dc2"].put({"uuid": "image-2", "name": "twin"})

    async with people(tmp_path, put) as they:
        result = await they("image", "twin")
        assert result.exit_code == 4
        assert result.stderr.splitlines()[1:] == ["  dc1  image-1", "  dc2  image-2"]
        assert rows(await they("image", "twin", "--controller", "dc2"))[2] == ["uuid", "image-2"]


async def test_a_uuid_on_two_controllers_is_the_daemons_to_refuse(tmp_path: Path) -> None:
    def put(simulator: Simulator) -> None:
        for name, controller in simulator.controllers.items():
            controller.put({"uuid": "image-1", "name": f"of-{name}"})

    async with people(tmp_path, put) as they:
        result = await they("annotate", "image-1", "a=b")
        assert result.exit_code == 4
        assert result.stderr.startswith("avi-upgrade-monitor: 409 Ambiguous image: the image image-1 is on dc1, dc2;")
        assert "\n  see: --controller\n" in result.stderr
        assert rows(await they("image", "image-1", "--controller", "dc2"))[0] == ["of-dc2"]


# -- annotate


async def test_annotations_are_set_and_removed(tmp_path: Path) -> None:
    async with people(tmp_path) as they:
        result = await they("annotate", "broken", "change=CHG1", "acknowledged=true", "note=a=b-", token=ALICE)
        assert rows(result)[:2] == [["dc1", "broken:", "annotated"], ["Annotations"]]
        assert await they.annotations("broken") == {"change": "CHG1", "acknowledged": "true", "note": "a=b-"}
        removed = await they("annotate", "broken", "note-", "acknowledged-", "--output", "json", token=ALICE)
        assert json.loads(removed.stdout)["annotations"] == {"change": "CHG1"}
        assert await they.annotations("broken") == {"change": "CHG1"}


async def test_a_dry_run_shows_what_would_change_and_changes_nothing(tmp_path: Path) -> None:
    async with people(tmp_path) as they:
        await patch(they.daemon, they.uuids["broken"], {"annotations": {"old": "1"}})
        result = await they("annotate", "broken", "new=2", "old-", "--dry-run")
        assert rows(result)[1:] == [
            ["annotations.new", "unset", "→", '"2"'], ["annotations.old", '"1"', "→", "unset"],
        ]  # fmt: skip
        asjson = json.loads((await they("annotate", "broken", "new=2", "--dry-run", "--output", "json")).stdout)
        assert (asjson["dry_run"], asjson["changes"]) == (True, {"annotations.new": [None, "2"]})
        nothing = await they("annotate", "broken", "old=1", "--dry-run")
        assert nothing.stdout == "dc1  broken: nothing would change (dry run)\n"
        assert await they.annotations("broken") == {"old": "1"}


async def test_who_has_no_credential_or_too_little_of_one_is_told_what_is_missing(tmp_path: Path) -> None:
    async with people(tmp_path) as they:
        nobody = await they("annotate", "broken", "a=b", token="")
        assert nobody.exit_code == 4
        assert "401 Valid credentials are required" in nobody.stderr
        assert "see: --token-file, or AVI_UPGRADE_MONITOR_TOKEN" in nobody.stderr
        alice = await they("patch", "broken", "--set", "name=x", token=ALICE)
        assert alice.exit_code == 4
        assert "403 Forbidden: alice may annotate; changing name needs the scope adjust" in alice.stderr
        assert they.dc1.image(they.uuids["broken"])["name"] == "broken"


@pytest.mark.parametrize("output", ["text", "json"])
async def test_a_refusal_names_the_path_and_the_request(tmp_path: Path, output: str) -> None:
    async with people(tmp_path) as they:
        result = await they("annotate", "broken", "a=" + "x" * 1025, "--output", output)
        assert (result.exit_code, result.stdout) == (4, "")
        if output == "json":
            problem = json.loads(result.stderr)
            assert (problem["status"], problem["path"]) == (422, "$.annotations.a")
            assert problem["type"] == "urn:avi-upgrade-monitor:problem:bad-patch"
        else:
            first, path, request = result.stderr.splitlines()
            assert first.startswith("avi-upgrade-monitor: 422 The body is not a valid patch: found 1,025 char")
            assert path == "  path: $.annotations.a"
            assert request.startswith("  request: ")


# -- patch


async def test_fields_are_set_in_their_types_and_unset(tmp_path: Path) -> None:
    async with people(tmp_path) as they:
        cloud = [{"cloud_name": "lab", "cloud_data_values": []}]
        result = await they(
            "patch", "broken", "--set", "name=31.1.1=x", "--set", "uber_bundle=true",
            "--set", f"cloud_info_values={json.dumps(cloud)}",
        )  # fmt: skip
        assert rows(result)[:3] == [["dc1", "31.1.1=x:", "patched"], ["name", '"31.1.1=x"'], ["uber_bundle", "true"]]
        image = they.dc1.image(they.uuids["broken"])
        assert (image["name"], image["uber_bundle"]) == ("31.1.1=x", True)
        assert image["cloud_info_values"] == cloud
        gone = await they("patch", they.uuids["broken"], "--unset", "cloud_info_values")
        assert rows(gone)[1] == ["cloud_info_values", "[]"]
        assert not they.dc1.image(they.uuids["broken"]).get("cloud_info_values")


async def test_a_patch_as_json_is_the_image_after_it(tmp_path: Path) -> None:
    async with people(tmp_path) as they:
        result = await they("patch", "broken", "--set", "name=mended", "--output", "json")
        assert json.loads(result.stdout)["name"] == "mended"


async def test_a_dry_run_of_a_patch_shows_before_and_after(tmp_path: Path) -> None:
    async with people(tmp_path) as they:
        arguments = ("patch", "broken", "--set", "name=mended", "--dry-run")
        assert rows(await they(*arguments))[1:] == [["name", '"broken"', "→", '"mended"']]
        changes = json.loads((await they(*arguments, "--output", "json")).stdout)["changes"]
        assert changes == {"name": ["broken", "mended"]}
        assert they.dc1.image(they.uuids["broken"])["name"] == "broken"


async def test_a_field_of_the_controllers_own_is_refused_by_its_path(tmp_path: Path) -> None:
    async with people(tmp_path) as they:
        result = await they("patch", "broken", "--set", "progress=100")
        assert result.exit_code == 4
        assert "progress is not an operator's to change" in result.stderr
        assert "\n  path: $.replace.progress\n" in result.stderr


async def test_an_image_under_way_is_patched_by_force_alone(tmp_path: Path) -> None:
    async with people(tmp_path) as they:
        refused = await they("patch", "running", "--set", "name=x")
        assert (refused.exit_code, "\n  see: --force\n" in refused.stderr) == (4, True)
        assert (await they("patch", "running", "--set", "name=x", "--force")).exit_code == 0


async def test_if_unchanged_lets_nobody_be_overwritten(tmp_path: Path) -> None:
    async with people(tmp_path) as they:
        unchanged = await they("patch", "broken", "--set", "uber_bundle=true", "--if-unchanged", "--dry-run")
        assert unchanged.exit_code == 0
        they.dc1.touch(they.uuids["broken"], name="somebody else's")
        result = await they("patch", "broken", "--set", "name=ours", "--if-unchanged")
        assert result.exit_code == 4
        assert "412 The image has changed" in result.stderr
        assert they.dc1.image(they.uuids["broken"])["name"] == "somebody else's"


async def test_a_patch_is_sent_in_the_controllers_version_unless_another_is_given(tmp_path: Path) -> None:
    async with people(tmp_path) as they:
        await they("patch", "broken", "--set", "name=a")
        await they("patch", they.uuids["broken"], "--set", "name=b", "--api-version", "22.1.3")
        sent = [each.headers["X-Avi-Version"] for each in they.dc1.requests if each.method == "PATCH"]
        assert sent == ["30.2.1", "22.1.3"]
        newer = await they("patch", they.uuids["broken"], "--set", "name=c", "--api-version", HIGHEST_VERSION)
        assert (newer.exit_code, "\n  see: --api-version\n" in newer.stderr) == (4, True)


@pytest.mark.parametrize("output", ["text", "json"])
async def test_a_controller_that_fails_is_nobodys_refusal(tmp_path: Path, output: str) -> None:
    async with people(tmp_path) as they:
        they.dc1.faults.order(Fault("html_502", method="PATCH"))
        result = await they("patch", "broken", "--set", "name=x", "--output", output)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "502" in result.stderr
        assert output == "text" or json.loads(result.stderr)["status"] == 502


async def test_a_change_that_was_perhaps_done_is_said_to_be_perhaps_done(tmp_path: Path) -> None:
    async with people(tmp_path) as they:
        they.dc1.faults.order(Fault("lost_reply", method="PATCH"))
        result = await they("patch", "broken", "--set", "name=x")
        assert (result.exit_code, "504 The outcome is unknown" in result.stderr) == (1, True)


# -- the command line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["patch", "x"], "give --set or --unset"),
        (["patch", "x", "--set", "name=a", "--unset", "type"], "--set and --unset: they are two requests"),
        (["patch", "x", "--set", "name=a", "--set", "name=b"], "'name' is named twice"),
        (["patch", "x", "--set", "name"], "expected field=value"),
        (["patch", "x", "--set", "uber_bundle=maybe"], 'found "maybe", expected true or false'),
        (["patch", "x", "--set", "cloud_info_values=[{"], 'found "[{", expected JSON'),
        (["patch", "x", "--set", "name=a", "--api-version", "new\n"], "expected a version such as 30.2.1"),
        (["annotate", "x"], "Missing argument"),
        (["annotate", "x", "nonsense"], "expected key=value to set it, or key- to remove it"),
        (["annotate", "x", "=b"], "expected key=value to set it, or key- to remove it"),
        (["annotate", "x", "a=1", "a-"], "'a' is named twice"),
        (["annotate", "x", "a=\udce4"], "expected a text in UTF-8"),
        (["image", "\udce4"], "expected a text in UTF-8"),
        (["image", "x", "--output", "yaml"], "'yaml' is not one of 'text', 'json'"),
        (["image", "x", "--url", "ftp://h"], 'found "ftp://h", expected the daemon\'s origin'),
        (["image", "x", "--url", "http://me:secret@h"], "found a user name or password in the URL (not shown)"),
        (["image", "x", "--timeout", "soon"], "not a duration"),
        (["image", "x", "--ca-file", "/nowhere"], "expected a PEM file of CA certificates: No such file or directory"),
        (["image", "x", "--token", "aum_on_a_command_line"], "No such option"),
        (["image", "x", "--token-file", "/nowhere"], "--token-file: /nowhere cannot be read: No such file"),
        (["image", "x", "--token-file", "/dev/null"], "--token-file: /dev/null is empty"),
        (["image", "x", "--url", "http://monitor.example.net"], "a token goes over http:// to this machine alone"),
        (["image", "x", "--url", "http://10.0.0.1:9972"], "a token goes over http:// to this machine alone"),
    ],
)
async def test_a_wrong_command_line_ends_with_2_before_anybody_is_asked(arguments: list[str], words: str) -> None:
    result = await run("http://127.0.0.1:1", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in " ".join(result.stderr.split())
    assert [secret for secret in (BOB, "me:secret", "aum_on_a_command_line") if secret in result.stderr] == []


async def test_the_help_names_the_variable_that_can_hold_a_token() -> None:
    lines = (await run("", "image", "--help")).stdout.splitlines()
    assert [line.split()[0] for line in lines if "The token itself" in line] == ["AVI_UPGRADE_MONITOR_TOKEN"]


async def test_a_token_that_is_none_is_not_shown() -> None:
    result = await run("http://127.0.0.1:1", "images", token="aum_\x1b[31m secret")
    assert (result.exit_code, "secret" in result.output) == (2, False)
    assert "expected printable ASCII without spaces" in result.stderr


async def test_a_token_of_a_file_is_taken_before_that_of_the_environment(tmp_path: Path) -> None:
    async with people(tmp_path) as they:
        file = tmp_path / "token"
        file.write_text(f"{ALICE}\n")
        for how in (["--token-file", str(file)], []):
            known = {} if how else {"AVI_UPGRADE_MONITOR_TOKEN_FILE": str(file)}
            result = await they("annotate", "broken", "a=b", *how, token=EVE, **known)
            assert result.exit_code == 0, result.stderr


async def test_a_token_goes_over_http_to_loopback_alone_and_without_one_anything_goes() -> None:
    result = await run("http://monitor.invalid", "images", token="")
    assert result.exit_code == 1
    assert "http://monitor.invalid: its name leads nowhere" in result.stderr


async def test_the_commands_start_without_what_they_do_not_need() -> None:
    program = "import sys, monitor.cli; print([m for m in ('aiohttp', 'sqlalchemy') if m in sys.modules])"
    assert await output_of(sys.executable, "-c", program) == (0, "[]\n", "")


async def test_a_process_ends_as_its_command_does(tmp_path: Path) -> None:
    async with people(tmp_path) as they:
        command = (sys.executable, "-W", "error", "-m", "monitor", "image")
        status, out, errors = await output_of(*command, "broken", "--url", they.daemon.url)
        assert (status, errors, out.splitlines()[0]) == (0, "", "broken")
        status, out, errors = await output_of(*command, "nothing", "--url", they.daemon.url)
        assert (status, out, len(errors.splitlines())) == (4, "", 1)


# -- where no daemon is

PAGE = b"<html><body>\x1b[31mLog in, please</body></html>"
ELSEWHERE: Sequence[tuple[str, bytes, int, str]] = (
    ("page", http(PAGE, "Content-Type: text/html"), 1, "200 OK, with text/html and none of the daemon's JSON: is this"),
    ("list", http(b"[]"), 1, "is this the daemon?"),
    ("other-json", http(b'{"results": 7}'), 1, "the answer is not what this version knows: Expected `array`"),
    ("bad-image", http(b'{"results": [{"name": 7, "uuid": "u"}]}'), 1, "the answer is not what this version knows"),
    ("no-utf-8", http(b'{"results": ["\xff"]}'), 1, "none of the daemon's JSON"),
    ("empty", http(b""), 1, "with nothing and none"),
    ("redirect", http(b"", "Location: http://h/\x1b[2J", status="302 Found"), 1, "which is not followed"),
    ("page-502", http(PAGE, status="502 Bad Gateway"), 1, "502 Bad Gateway"),
    ("page-403", http(PAGE, "Content-Type: text/html", status="403 Forbidden"), 4, "403 Forbidden, with text/html"),
    ("odd-problem", http(b'{"detail":7}', status="422 No"), 4, "422 No, with nothing and none of the daemon's JSON"),
    ("truncated", http(b'{"results": []}')[:-3], 1, "the connection broke in the middle of the answer"),
    ("silence", b"", 1, "no connection"),
    ("ssh", b"SSH-2.0-OpenSSH_9.2\r\n", 1, "no answer of its own: not HTTP as it should be"),
    ("endless", http(b" " * (64 * 1024 * 1024 + 1)), 1, "no answer of its own: more than 67108864 bytes"),
    ("no-gzip", http(b"not gzip", "Content-Encoding: gzip"), 1, "not compressed as it says"),
)


@pytest.mark.parametrize("output", ["text", "json"])
@pytest.mark.parametrize(
    ("answer", "status", "words"), [row[1:] for row in ELSEWHERE], ids=[row[0] for row in ELSEWHERE]
)
async def test_whatever_answers_instead_of_a_daemon_is_said_in_words(
    answer: bytes, status: int, words: str, output: str
) -> None:
    async with something_else(lambda _: answer) as (url, heads):
        result = await run(url, "images", "--output", output)
    assert (result.exit_code, result.stdout, "\x1b" in result.stderr) == (status, "", False)
    assert words in (json.loads(result.stderr)["detail"] if output == "json" else result.stderr)
    assert heads


@pytest.mark.parametrize("output", ["text", "json"])
async def test_a_problem_that_is_none_of_ours_moves_no_cursor(output: str) -> None:
    answer = http(b'{"detail": "\\u001b[31m", "status": 422, "title": "\xc2\x9b2J"}', status="422 No")
    async with something_else(lambda _: answer) as (url, _):
        result = await run(url, "images", "--output", output)
    assert (result.exit_code, result.stderr.isascii(), "\x1b" in result.stderr) == (4, True, False)


async def test_nobody_listening_is_said_in_one_line() -> None:
    result = await run("http://127.0.0.1:1", "images")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "avi-upgrade-monitor: http://127.0.0.1:1: no connection: Connection refused\n"


async def test_https_to_one_that_speaks_http_is_said_in_words() -> None:
    async with something_else(lambda _: LISTED) as (url, _):
        result = await run(url.replace("http", "https"), "images")
    assert (result.exit_code, result.stdout) == (1, "")
    assert ": no trusted connection: [SSL: " in result.stderr


async def test_an_answer_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    async with people(tmp_path) as they:
        for output in ("text", "json"):
            command = f'exec "$0" -m monitor images --url {they.daemon.url} --output {output} >/dev/full'
            status, _, errors = await output_of("sh", "-c", command, sys.executable)
            assert (status, errors) == (1, "avi-upgrade-monitor: No space left on device\n")


async def test_silence_is_waited_for_as_long_as_is_said() -> None:
    heard = asyncio.Event()

    async def listen(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await heard.wait()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        result = await run(url, "images", "--timeout", "50ms")
        heard.set()
    assert result.exit_code == 1
    assert "no answer (see --timeout): no whole answer within the deadline\n" in result.stderr


IMAGE = b'{"uuid": "image-1", "name": "n", "controller": "dc1"}'
LISTED = http(b'{"count": 1, "results": [%b]}' % IMAGE)


DOUBTFUL = {
    "silence": b"",
    "page": http(PAGE),
    "page-504": http(PAGE, status="504 Gateway Timeout"),
    "truncated": LISTED[:-5],
}


@pytest.mark.parametrize("answer", DOUBTFUL.values(), ids=DOUBTFUL)
async def test_a_change_without_a_good_answer_is_in_doubt(answer: bytes) -> None:
    async with something_else(lambda head: answer if head.startswith(b"PATCH") else LISTED) as (url, heads):
        result = await run(url, "patch", "image-1", "--set", "name=x", "--api-version", "30.2.1")
    assert result.exit_code == 1
    assert "nobody knows whether it was done: look at the image before you repeat it" in result.stderr
    assert [head.split()[0] for head in heads] == [b"GET", b"PATCH"]


async def test_without_an_etag_nothing_is_changed_if_unchanged() -> None:
    async with something_else(lambda head: http(IMAGE) if b"/image-1" in head else LISTED) as (url, heads):
        result = await run(url, "patch", "n", "--set", "name=x", "--api-version", "30.2.1", "--if-unchanged")
    assert (result.exit_code, "the image came without an ETag" in result.stderr) == (1, True)
    assert [head for head in heads if head.startswith(b"PATCH")] == []


async def test_without_the_audit_the_image_is_shown_all_the_same() -> None:
    down = http(PAGE, status="503 Service Unavailable")
    async with something_else(lambda head: down if b"/api/audit" in head else LISTED) as (url, _):
        result = await run(url, "image", "image-1")
    assert rows(result)[0] == ["n"]
    assert result.stdout.splitlines()[-1].startswith("No audit: 503 Service Unavailable")


async def test_a_controller_whose_version_is_unknown_is_asked_in_the_newest_that_we_know() -> None:
    controllers = http(b'{"count": 1, "results": [{"name": "dc1", "api_version": ""}]}')

    def answer(head: bytes) -> bytes:
        return http(IMAGE) if head.startswith(b"PATCH") else controllers if b"/controllers" in head else LISTED

    async with something_else(answer) as (url, heads):
        assert (await run(url, "annotate", "n", "a=b")).exit_code == 0
    assert f"X-Avi-Version: {HIGHEST_VERSION}".encode() in heads[-1]


async def test_a_ca_of_ones_own_is_trusted_when_it_is_named_and_not_otherwise(tmp_path: Path) -> None:
    authority, other = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    for name, ca in (("good", authority), ("wrong", other)):
        ca.cert_pem.write_to_path(str(tmp_path / name))
    async with something_else(lambda _: http(b'{"results": []}'), context) as (url, heads):
        trusting = await run(url, "images", "--ca-file", str(tmp_path / "good"))
        assert (trusting.exit_code, trusting.output) == (0, "No images\n")
        assert f"Authorization: Bearer {BOB}".encode() in heads[0]
        for how in ([], ["--ca-file", str(tmp_path / "wrong")]):
            result = await run(url, "images", *how)
            assert result.exit_code == 1
            assert "no trusted connection: unable to get local issuer certificate; --ca-file names" in result.stderr
            assert BOB not in result.stderr


# -- strangers' texts

HOSTILE = "\x1b[31mred\x07[bold]b[/bold]\n\u202emoc\x9b2J"


@pytest.mark.parametrize("width", [0, 100])
async def test_no_text_of_a_stranger_moves_the_cursor_or_is_markup(tmp_path: Path, width: int) -> None:
    def put(simulator: Simulator) -> None:
        strange = {"state": "IMAGE_FSM_FAILED", "reason": HOSTILE}
        event = {"task_name": HOSTILE, "nodes_events": [{"ip": {"addr": HOSTILE}, "status": HOSTILE}]}
        simulator.controllers["dc2"].put(
            {"uuid": "image-1", "name": HOSTILE, "img_state": strange, "events": [event], "progress": 50}
        )

    shown = ("\\x1b[31m", "[bold]b[/bold]")
    async with people(tmp_path, put) as they:
        commands = (
            ["annotate", "image-1", f"note={HOSTILE}", "--dry-run"],
            ["annotate", "image-1", f"note={HOSTILE}"],
            [
                "patch",
                "image-1",
                "--set",
                "name=[bold]b[/bold]\u202emoc",
                "--dry-run",
            ],  # of the rest, no request has it
            ["images"],
            ["image", "image-1"],
            ["images", "--output", "json"],
            ["image", "image-1", "--output", "json"],
            ["image", HOSTILE, "--controller", "dc1"],
        )
        for command in commands:
            result = await they(*command, token=ROOT, width=width)
            for char in ("\x1b[31mred", "\x07", "\u202e", "\x9b"):
                assert char not in result.output, command
            assert "json" in command or shown[1] in result.output.replace("\n", ""), command
        assert shown[0] in (await they("images")).stdout
        same = json.loads((await they("image", "image-1", "--output", "json")).stdout)
        assert (same["name"], same["annotations"]["note"]) == (HOSTILE, HOSTILE)
