"""``images``, ``image``, ``annotate`` and ``patch`` against a running daemon."""

import json
import re
from pathlib import Path

import pytest

from monitor.avi.values import HIGHEST_VERSION
from monitor.simulator import Fault, Simulator
from tests.support.command_line import command_line, fake_server, http_response, rows, run
from tests.support.daemons import QUICK, failed, until
from tests.support.operators import ALICE, EVE, ROOT, ask, patch

# -- images


async def test_images_are_a_table_with_the_failed_ones_first(tmp_path: Path) -> None:
    async with command_line(tmp_path) as cli:
        (finished,) = set(cli.uuids) - {"broken", "running"}
        head, *lines = rows(await cli("images"))
        assert head == ["Controller", "Image", "State", "Progress", "Tasks"]
        assert [line[:3] for line in lines] == [
            ["dc1", "broken", "failed"],
            ["dc1", "running", "in_progress"],
            ["dc1", finished, "completed"],
        ]
        assert lines[2][3:] == ["100%", "6", "of", "6"]


async def test_an_acknowledged_image_is_marked_and_its_annotations_are_counted(tmp_path: Path) -> None:
    async with command_line(tmp_path) as cli:
        await patch(cli.daemon, cli.uuids["broken"], {"annotations": {"acknowledged": "yes", "change": "CHG1"}})
        head, *lines = rows(await cli("images"))
        assert head[-1] == "Annot."
        (line,) = [line for line in lines if line[1] == "broken"]
        assert (line[2:4], line[-1]) == (["failed", "(ack)"], "2")


async def test_images_as_json_are_the_response_of_the_daemon(tmp_path: Path) -> None:
    async with command_line(tmp_path) as cli:
        result = await cli("images", "--output", "json")
        assert result.exit_code == 0
        found = (await ask(cli.daemon, "GET", "/api/image")).body.decode() + "\n"
        clock_dependent = re.compile(r'(?<="stalled_seconds":)[0-9.]+')  # the clock changes it between the two
        assert clock_dependent.sub("…", result.stdout) == clock_dependent.sub("…", found)


async def test_images_can_be_filtered_by_state_and_controller(tmp_path: Path) -> None:
    async with command_line(tmp_path) as cli:
        assert [line[1] for line in rows(await cli("images", "--state", "failed"))[1:]] == ["broken"]
        (one,) = json.loads((await cli("images", "--state", "failed", "--output", "json")).stdout)["results"]
        assert one["name"] == "broken"
        assert (await cli("images", "--controller", "dc2")).stdout == "No images\n"
        assert len(rows(await cli("images", "--controller", "dc1"))) == 4


async def test_all_pages_of_images_are_printed_as_one(tmp_path: Path) -> None:
    def put(simulator: Simulator) -> None:
        for place in range(250):
            simulator.controllers["dc2"].put({"uuid": f"image-{place}", "name": f"n{place}"})

    async with command_line(tmp_path, put) as cli:
        result = await cli("images", "--controller", "dc2", "--output", "json")
        listed = json.loads(result.stdout)
        assert (listed["count"], len(listed["results"]), list(listed)) == (250, 250, ["count", "results"])


@pytest.mark.parametrize("output", ["text", "json"])
async def test_an_unknown_controller_is_rejected(tmp_path: Path, output: str) -> None:
    async with command_line(tmp_path) as cli:
        result = await cli("images", "--controller", "dc9", "--output", output)
        assert (result.exit_code, result.stdout) == (4, "")
        assert 'there is no controller "dc9" that you may see' in result.stderr.replace("\\", "")


async def test_a_controller_that_cannot_be_polled_is_listed_below_the_table(tmp_path: Path) -> None:
    async with command_line(tmp_path, poll=QUICK) as cli:
        await cli.dc2.stop_listening()
        await failed(cli.daemon, "dc2", "connect")
        lines = (await cli("images")).stdout.splitlines()
        assert lines[-1].startswith("dc2: cannot be polled (connect); its images are as of 2")
        assert "dc2" not in (await cli("images", "--controller", "dc1")).stdout


async def test_a_controller_without_a_recent_poll_is_listed_with_the_reason() -> None:
    dead = b'{"name": "dc1", "up": false, "reason": "dns"}, {"name": "dc2", "up": false}'
    seen = b'"stale": true, "last_poll_success_timestamp_seconds": 0'
    stale = b'{"name": "dc3", "up": false, "reason": "timeout", %b}' % seen
    controllers = http_response(b'{"results": [%b]}' % b", ".join((dead, stale)))
    async with fake_server(
        lambda head: controllers if b"/controllers" in head else http_response(b'{"results": []}')
    ) as at:
        assert (await run(at[0], "images")).stdout.splitlines() == [
            "No images",
            "dc1: cannot be polled (dns)",
            "dc2: not polled yet",
            "dc3: cannot be polled (timeout); its images of 1970-01-01 00:00:00Z are too old to be shown",
        ]


@pytest.mark.parametrize("width", [80, 100, 140])
async def test_the_table_fits_the_terminal_and_has_bars(tmp_path: Path, width: int) -> None:
    async with command_line(tmp_path) as cli:
        result = await cli("images", width=width)
        head, line, *_ = rows(result)
        assert "Progress" in "".join(head)
        assert "broken" in "".join(line)
        assert "━━" in result.stdout
        assert max(map(visible, result.stdout.splitlines())) <= width


def visible(line: str) -> int:
    """Return the width of a line in columns."""
    return sum(len(part.partition("m")[2]) if place else len(part) for place, part in enumerate(line.split("\x1b[")))


# -- image


async def test_an_image_shows_its_facts_its_events_its_annotations_and_its_audit(tmp_path: Path) -> None:
    async with command_line(tmp_path) as cli:
        await patch(cli.daemon, cli.uuids["broken"], {"annotations": {"change": "CHG1"}})
        result = await cli("image", "broken", token=ROOT)
        text = [" ".join(line) for line in rows(result)]
        node = cli.dc1.nodes[-1]
        assert text[0] == "broken"
        assert {"controller dc1", f"uuid {cli.uuids['broken']}", "tasks 1 of 6", "change CHG1"} <= set(text)
        assert f"Task {' '.join(cli.dc1.nodes)}" in text
        assert "Validate package succeeded succeeded succeeded" in text
        assert "Extract package succeeded succeeded failed" in text
        assert [line for line in text if line.startswith(f"Extract package on {node}: SYSERR_")]
        assert text[-1].endswith('bob done annotations.change unset → "CHG1"')


async def test_an_image_as_json_is_the_response_of_the_daemon(tmp_path: Path) -> None:
    async with command_line(tmp_path) as cli:
        got = await ask(cli.daemon, "GET", f"/api/image/{cli.uuids['broken']}")  # it does not depend on the clock
        for named in ("broken", cli.uuids["broken"]):
            result = await cli("image", named, "--output", "json")
            assert (result.exit_code, result.stdout) == (0, got.body.decode() + "\n")


@pytest.mark.parametrize(("token", "why"), [(EVE, "403 Forbidden"), ("", "401 Valid credentials are required")])
async def test_without_access_to_the_audit_one_line_says_so(tmp_path: Path, token: str, why: str) -> None:
    async with command_line(tmp_path) as cli:
        result = await cli("image", "running", token=token)
        assert (result.exit_code, result.stderr) == (0, "")
        *_, annotations, _, audit = result.stdout.splitlines()
        assert annotations == "No annotations"
        assert audit.startswith(f"Audit not available: {why}: /api/audit needs the scope admin")
        assert (await cli("image", "running", token=ROOT)).stdout.endswith("\nNo audit records\n")


async def test_an_unknown_image_is_rejected(tmp_path: Path) -> None:
    async with command_line(tmp_path) as cli:
        for command in (["image", "x"], ["annotate", "x", "a=b"], ["patch", "x", "--set", "name=y"]):
            result = await cli(*command)
            assert (result.exit_code, result.stdout) == (4, "")
            assert 'no controller that you may see has an image with the uuid or name "x"' in result.stderr
        elsewhere = await cli("image", "broken", "--controller", "dc2", "--output", "json")
        assert elsewhere.exit_code == 4
        assert '"dc2" has no image with the uuid or name "broken"' in json.loads(elsewhere.stderr)["detail"]


async def test_an_ambiguous_name_is_rejected_with_all_images_that_match(tmp_path: Path) -> None:
    def put(simulator: Simulator) -> None:
        simulator.controllers["dc1"].put({"uuid": "image-1", "name": "twin"})
        simulator.controllers["dc2"].put({"uuid": "image-2", "name": "twin"})

    async with command_line(tmp_path, put) as cli:
        result = await cli("image", "twin")
        assert result.exit_code == 4
        assert result.stderr.splitlines()[1:] == ["  dc1  image-1", "  dc2  image-2"]
        assert rows(await cli("image", "twin", "--controller", "dc2"))[2] == ["uuid", "image-2"]


async def test_a_uuid_on_two_controllers_is_rejected_by_the_daemon(tmp_path: Path) -> None:
    def put(simulator: Simulator) -> None:
        for name, controller in simulator.controllers.items():
            controller.put({"uuid": "image-1", "name": f"of-{name}"})

    async with command_line(tmp_path, put) as cli:
        result = await cli("annotate", "image-1", "a=b")
        assert result.exit_code == 4
        assert result.stderr.startswith("avi-upgrade-monitor: 409 Ambiguous image: the image image-1 is on dc1, dc2;")
        assert "\n  see: --controller\n" in result.stderr
        assert rows(await cli("image", "image-1", "--controller", "dc2"))[0] == ["of-dc2"]


# -- annotate


async def test_annotations_are_set_and_removed(tmp_path: Path) -> None:
    async with command_line(tmp_path) as cli:
        result = await cli("annotate", "broken", "change=CHG1", "acknowledged=true", "note=a=b-", token=ALICE)
        assert rows(result)[:2] == [["dc1", "broken:", "annotated"], ["Annotations"]]
        assert await cli.annotations("broken") == {"change": "CHG1", "acknowledged": "true", "note": "a=b-"}
        removed = await cli("annotate", "broken", "note-", "acknowledged-", "--output", "json", token=ALICE)
        assert json.loads(removed.stdout)["annotations"] == {"change": "CHG1"}
        assert await cli.annotations("broken") == {"change": "CHG1"}


async def test_a_dry_run_prints_the_changes_and_makes_none(tmp_path: Path) -> None:
    async with command_line(tmp_path) as cli:
        await patch(cli.daemon, cli.uuids["broken"], {"annotations": {"old": "1"}})
        result = await cli("annotate", "broken", "new=2", "old-", "--dry-run")
        assert rows(result)[1:] == [
            ["annotations.new", "unset", "→", '"2"'], ["annotations.old", '"1"', "→", "unset"],
        ]  # fmt: skip
        asjson = json.loads((await cli("annotate", "broken", "new=2", "--dry-run", "--output", "json")).stdout)
        assert (asjson["dry_run"], asjson["changes"]) == (True, {"annotations.new": [None, "2"]})
        nothing = await cli("annotate", "broken", "old=1", "--dry-run")
        assert nothing.stdout == "dc1  broken: nothing would change (dry run)\n"
        assert await cli.annotations("broken") == {"old": "1"}


async def test_a_unit_is_annotated_by_its_uuid(tmp_path: Path) -> None:
    async with command_line(tmp_path) as cli:
        uuid = cli.dc1.upgrades.cluster_uuid
        await until(cli.daemon, "dc1", lambda entry: bool(entry.objects("upgrade")))
        dry = await cli("annotate", uuid, "acknowledged=true", "--dry-run", token=ALICE)
        assert rows(dry)[1:] == [["annotations.acknowledged", "unset", "→", '"true"']]
        result = await cli("annotate", uuid, "acknowledged=true", token=ALICE)
        assert rows(result) == [["dc1", "cluster-0-1:", "annotated"], ["Annotations"], ["acknowledged", "true"]]
        got = await ask(cli.daemon, "GET", f"/api/upgradestatusinfo/{uuid}")
        assert got.json["annotations"] == {"acknowledged": "true"}
        patched = await cli("patch", uuid, "--set", "name=x")
        assert (patched.exit_code, "no controller that you may see has an image" in patched.stderr) == (4, True)


async def test_an_insufficient_token_is_rejected_with_what_is_missing(tmp_path: Path) -> None:
    async with command_line(tmp_path) as cli:
        anonymous = await cli("annotate", "broken", "a=b", token="")
        assert anonymous.exit_code == 4
        assert "401 Valid credentials are required" in anonymous.stderr
        assert "see: --token-file, or AVI_UPGRADE_MONITOR_TOKEN" in anonymous.stderr
        alice = await cli("patch", "broken", "--set", "name=x", token=ALICE)
        assert alice.exit_code == 4
        assert "403 Forbidden: alice may annotate; changing name needs the scope adjust" in alice.stderr
        assert cli.dc1.image(cli.uuids["broken"])["name"] == "broken"


@pytest.mark.parametrize("output", ["text", "json"])
async def test_a_rejection_names_the_path_and_the_request(tmp_path: Path, output: str) -> None:
    async with command_line(tmp_path) as cli:
        result = await cli("annotate", "broken", "a=" + "x" * 1025, "--output", output)
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


async def test_fields_are_set_with_their_types_and_unset(tmp_path: Path) -> None:
    async with command_line(tmp_path) as cli:
        cloud = [{"cloud_name": "lab", "cloud_data_values": []}]
        result = await cli(
            "patch", "broken", "--set", "name=31.1.1=x", "--set", "uber_bundle=true",
            "--set", f"cloud_info_values={json.dumps(cloud)}",
        )  # fmt: skip
        assert rows(result)[:3] == [["dc1", "31.1.1=x:", "patched"], ["name", '"31.1.1=x"'], ["uber_bundle", "true"]]
        image = cli.dc1.image(cli.uuids["broken"])
        assert (image["name"], image["uber_bundle"]) == ("31.1.1=x", True)
        assert image["cloud_info_values"] == cloud
        gone = await cli("patch", cli.uuids["broken"], "--unset", "cloud_info_values")
        assert rows(gone)[1] == ["cloud_info_values", "[]"]
        assert not cli.dc1.image(cli.uuids["broken"]).get("cloud_info_values")


async def test_a_patch_as_json_prints_the_patched_image(tmp_path: Path) -> None:
    async with command_line(tmp_path) as cli:
        result = await cli("patch", "broken", "--set", "name=mended", "--output", "json")
        assert json.loads(result.stdout)["name"] == "mended"


async def test_a_dry_run_of_a_patch_prints_values_before_and_after(tmp_path: Path) -> None:
    async with command_line(tmp_path) as cli:
        arguments = ("patch", "broken", "--set", "name=mended", "--dry-run")
        assert rows(await cli(*arguments))[1:] == [["name", '"broken"', "→", '"mended"']]
        changes = json.loads((await cli(*arguments, "--output", "json")).stdout)["changes"]
        assert changes == {"name": ["broken", "mended"]}
        assert cli.dc1.image(cli.uuids["broken"])["name"] == "broken"


async def test_a_read_only_field_is_rejected_with_its_path(tmp_path: Path) -> None:
    async with command_line(tmp_path) as cli:
        result = await cli("patch", "broken", "--set", "progress=100")
        assert result.exit_code == 4
        assert "the Controller owns progress, it cannot be changed" in result.stderr
        assert "\n  path: $.replace.progress\n" in result.stderr


async def test_an_active_image_is_patched_only_with_force(tmp_path: Path) -> None:
    async with command_line(tmp_path) as cli:
        refused = await cli("patch", "running", "--set", "name=x")
        assert (refused.exit_code, "\n  see: --force\n" in refused.stderr) == (4, True)
        assert (await cli("patch", "running", "--set", "name=x", "--force")).exit_code == 0


async def test_if_unchanged_overwrites_no_change_of_another_client(tmp_path: Path) -> None:
    async with command_line(tmp_path) as cli:
        unchanged = await cli("patch", "broken", "--set", "uber_bundle=true", "--if-unchanged", "--dry-run")
        assert unchanged.exit_code == 0
        cli.dc1.touch(cli.uuids["broken"], name="another client's")
        result = await cli("patch", "broken", "--set", "name=ours", "--if-unchanged")
        assert result.exit_code == 4
        assert "412 The object has changed" in result.stderr
        assert cli.dc1.image(cli.uuids["broken"])["name"] == "another client's"


async def test_a_patch_has_the_controllers_api_version_unless_another_is_given(tmp_path: Path) -> None:
    async with command_line(tmp_path) as cli:
        await cli("patch", "broken", "--set", "name=a")
        await cli("patch", cli.uuids["broken"], "--set", "name=b", "--api-version", "22.1.3")
        sent = [each.headers["X-Avi-Version"] for each in cli.dc1.requests if each.method == "PATCH"]
        assert sent == ["30.2.1", "22.1.3"]
        newer = await cli("patch", cli.uuids["broken"], "--set", "name=c", "--api-version", HIGHEST_VERSION)
        assert (newer.exit_code, "\n  see: --api-version\n" in newer.stderr) == (4, True)


@pytest.mark.parametrize("output", ["text", "json"])
async def test_a_failing_controller_is_a_server_error(tmp_path: Path, output: str) -> None:
    async with command_line(tmp_path) as cli:
        cli.dc1.faults.add(Fault("html_502", method="PATCH"))
        result = await cli("patch", "broken", "--set", "name=x", "--output", output)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "502" in result.stderr
        assert output == "text" or json.loads(result.stderr)["status"] == 502


async def test_a_lost_reply_is_an_unknown_outcome(tmp_path: Path) -> None:
    async with command_line(tmp_path) as cli:
        cli.dc1.faults.add(Fault("lost_reply", method="PATCH"))
        result = await cli("patch", "broken", "--set", "name=x")
        assert (result.exit_code, "504 The outcome is unknown" in result.stderr) == (1, True)
