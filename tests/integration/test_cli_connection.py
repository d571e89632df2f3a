"""The options and the connection of the commands that use the API: wrong ones, and servers that are not the daemon."""

import asyncio
import json
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import trustme

from monitor.avi.values import HIGHEST_VERSION
from monitor.simulator import Simulator
from tests.support.command_line import command_line, fake_server, http_response, rows, run
from tests.support.operators import ALICE, BOB, EVE, ROOT
from tests.support.programs import output_of

# -- the command line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["patch", "x"], "give --set or --unset"),
        (
            ["patch", "x", "--set", "name=a", "--unset", "type"],
            "--set and --unset cannot be combined: they are two requests",
        ),
        (["patch", "x", "--set", "name=a", "--set", "name=b"], "'name' is given twice"),
        (["patch", "x", "--set", "name"], "expected field=value"),
        (["patch", "x", "--set", "uber_bundle=maybe"], 'found "maybe", expected true or false'),
        (["patch", "x", "--set", "cloud_info_values=[{"], 'found "[{", expected JSON'),
        (["patch", "x", "--set", "name=a", "--api-version", "new\n"], "expected a version such as 30.2.1"),
        (["annotate", "x"], "Missing argument"),
        (["annotate", "x", "nonsense"], "expected key=value to set it, or key- to remove it"),
        (["annotate", "x", "=b"], "expected key=value to set it, or key- to remove it"),
        (["annotate", "x", "a=1", "a-"], "'a' is given twice"),
        (["annotate", "x", "a=\udce4"], "expected a text in UTF-8"),
        (["image", "\udce4"], "expected a text in UTF-8"),
        (["image", "x", "--output", "yaml"], "'yaml' is not one of 'text', 'json'"),
        (["image", "x", "--url", "ftp://h"], 'found "ftp://h", expected the daemon\'s origin'),
        (["image", "x", "--url", "http://me:secret@h"], "found a user name or password in the URL (not shown)"),
        (["image", "x", "--url", "http://me:secret@h/monitor"], "found a user name or password in the URL (not shown)"),
        (["image", "x", "--url", "http://h/monitor?t=me:secret"], "found a query or fragment in the URL (not shown)"),
        (["image", "x", "--url", "http://h//monitor"], 'found "http://h//monitor", expected the daemon\'s origin'),
        (["image", "x", "--timeout", "soon"], "not a duration"),
        (["image", "x", "--ca-file", "/nowhere"], "expected a PEM file of CA certificates: No such file or directory"),
        (["image", "x", "--token", "aum_on_a_command_line"], "No such option"),
        (["image", "x", "--token-file", "/nowhere"], "--token-file: /nowhere cannot be read: No such file"),
        (["image", "x", "--token-file", "/dev/null"], "--token-file: /dev/null is empty"),
        (["image", "x", "--url", "http://monitor.example.net"], "a token is sent over http:// only to this machine"),
        (["image", "x", "--url", "http://10.0.0.1:9972"], "a token is sent over http:// only to this machine"),
    ],
)
async def test_an_invalid_command_line_ends_with_2_before_any_request(arguments: list[str], words: str) -> None:
    result = await run("http://127.0.0.1:1", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in " ".join(result.stderr.split())
    assert [secret for secret in (BOB, "me:secret", "aum_on_a_command_line") if secret in result.stderr] == []


async def test_the_help_lists_the_variable_for_the_token() -> None:
    lines = (await run("", "image", "--help")).stdout.splitlines()
    assert [line.split()[0] for line in lines if "The token itself" in line] == ["AVI_UPGRADE_MONITOR_TOKEN"]


async def test_an_invalid_token_is_not_shown() -> None:
    result = await run("http://127.0.0.1:1", "images", token="aum_\x1b[31m secret")
    assert (result.exit_code, "secret" in result.output) == (2, False)
    assert "expected printable ASCII without spaces" in result.stderr


async def test_the_token_file_has_precedence_over_the_token_variable(tmp_path: Path) -> None:
    async with command_line(tmp_path) as cli:
        file = tmp_path / "token"
        file.write_bytes(b"\xef\xbb\xbf" + f"{ALICE}\r\n".encode())  # as editors on other systems write it
        for how in (["--token-file", str(file)], []):
            known = {} if how else {"AVI_UPGRADE_MONITOR_TOKEN_FILE": str(file)}
            result = await cli("annotate", "broken", "a=b", *how, token=EVE, **known)
            assert result.exit_code == 0, result.stderr


async def test_without_a_token_http_to_another_host_is_allowed() -> None:
    result = await run("http://monitor.invalid", "images", token="")
    assert result.exit_code == 1
    assert "http://monitor.invalid: the host name does not resolve" in result.stderr


async def test_heavy_modules_are_imported_only_when_needed() -> None:
    program = "import sys, monitor.cli; print([m for m in ('aiohttp', 'sqlalchemy') if m in sys.modules])"
    assert await output_of(sys.executable, "-c", program) == (0, "[]\n", "")


async def test_a_process_has_the_exit_code_of_its_command(tmp_path: Path) -> None:
    async with command_line(tmp_path) as cli:
        command = (sys.executable, "-W", "error", "-m", "monitor", "image")
        status, out, errors = await output_of(*command, "broken", "--url", cli.daemon.url)
        assert (status, errors, out.splitlines()[0]) == (0, "", "broken")
        status, out, errors = await output_of(*command, "nothing", "--url", cli.daemon.url)
        assert (status, out, len(errors.splitlines())) == (4, "", 1)


# -- servers that are not the daemon

PAGE = b"<html><body>\x1b[31mLog in, please</body></html>"
NOT_THE_DAEMON: Sequence[tuple[str, bytes, int, str]] = (
    (
        "page",
        http_response(PAGE, "Content-Type: text/html"),
        1,
        "200 OK: expected the daemon's JSON, found text/html; is this",
    ),
    ("list", http_response(b"[]"), 1, "is this the daemon?"),
    ("other-json", http_response(b'{"results": 7}'), 1, "this version cannot decode the response: Expected `array`"),
    (
        "bad-image",
        http_response(b'{"results": [{"name": 7, "uuid": "u"}]}'),
        1,
        "this version cannot decode the response",
    ),
    ("no-utf-8", http_response(b'{"results": ["\xff"]}'), 1, "expected the daemon's JSON"),
    ("empty", http_response(b""), 1, "expected the daemon's JSON, found no Content-Type"),
    ("redirect", http_response(b"", "Location: http://h/\x1b[2J", status="302 Found"), 1, "which is not followed"),
    ("page-502", http_response(PAGE, status="502 Bad Gateway"), 1, "502 Bad Gateway"),
    (
        "page-403",
        http_response(PAGE, "Content-Type: text/html", status="403 Forbidden"),
        4,
        "403 Forbidden: expected the daemon's JSON, found text/html",
    ),
    (
        "odd-problem",
        http_response(b'{"detail":7}', status="422 No"),
        4,
        "422 No: expected the daemon's JSON, found no Content-Type",
    ),
    ("truncated", http_response(b'{"results": []}')[:-3], 1, "the connection broke during the reply"),
    ("silence", b"", 1, "no connection"),
    ("ssh", b"SSH-2.0-OpenSSH_9.2\r\n", 1, "unusable response: the reply is not valid HTTP"),
    ("endless", http_response(b" " * (64 * 1024 * 1024 + 1)), 1, "unusable response: more than 67108864 bytes"),
    ("no-gzip", http_response(b"not gzip", "Content-Encoding: gzip"), 1, "not compressed as its header says"),
)


@pytest.mark.parametrize("output", ["text", "json"])
@pytest.mark.parametrize(
    ("answer", "status", "words"), [row[1:] for row in NOT_THE_DAEMON], ids=[row[0] for row in NOT_THE_DAEMON]
)
async def test_a_response_that_is_not_the_daemons_is_described(
    answer: bytes, status: int, words: str, output: str
) -> None:
    async with fake_server(lambda _: answer) as (url, heads):
        result = await run(url, "images", "--output", output)
    assert (result.exit_code, result.stdout, "\x1b" in result.stderr) == (status, "", False)
    assert words in (json.loads(result.stderr)["detail"] if output == "json" else result.stderr)
    assert heads


@pytest.mark.parametrize("output", ["text", "json"])
async def test_control_characters_of_a_foreign_problem_are_escaped(output: str) -> None:
    answer = http_response(b'{"detail": "\\u001b[31m", "status": 422, "title": "\xc2\x9b2J"}', status="422 No")
    async with fake_server(lambda _: answer) as (url, _):
        result = await run(url, "images", "--output", output)
    assert (result.exit_code, result.stderr.isascii(), "\x1b" in result.stderr) == (4, True, False)


async def test_a_refused_connection_is_reported_on_one_line() -> None:
    result = await run("http://127.0.0.1:1", "images")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "avi-upgrade-monitor: http://127.0.0.1:1: no connection: Connection refused\n"


async def test_https_to_an_http_server_is_described() -> None:
    async with fake_server(lambda _: LISTED) as (url, _):
        result = await run(url.replace("http", "https"), "images")
    assert (result.exit_code, result.stdout) == (1, "")
    assert ": the TLS connection failed: [SSL: " in result.stderr


async def test_a_full_disk_at_standard_output_is_reported_on_one_line(tmp_path: Path) -> None:
    async with command_line(tmp_path) as cli:
        for output in ("text", "json"):
            command = f'exec "$0" -m monitor images --url {cli.daemon.url} --output {output} >/dev/full'
            status, _, errors = await output_of("sh", "-c", command, sys.executable)
            assert (status, errors) == (1, "avi-upgrade-monitor: No space left on device\n")


async def test_a_silent_server_is_a_timeout() -> None:
    done = asyncio.Event()

    async def stay_silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.close()

    server = await asyncio.start_server(stay_silent, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        result = await run(url, "images", "--timeout", "50ms")
        done.set()
    assert result.exit_code == 1
    assert "no response in time (see --timeout): no complete reply within the timeout\n" in result.stderr


IMAGE = b'{"uuid": "image-1", "name": "n", "controller": "dc1"}'
LISTED = http_response(b'{"count": 1, "results": [%b]}' % IMAGE)


UNUSABLE = {
    "silence": b"",
    "page": http_response(PAGE),
    "page-504": http_response(PAGE, status="504 Gateway Timeout"),
    "truncated": LISTED[:-5],
}


@pytest.mark.parametrize("answer", UNUSABLE.values(), ids=UNUSABLE)
async def test_a_change_without_a_usable_response_has_an_unknown_outcome(answer: bytes) -> None:
    async with fake_server(lambda head: answer if head.startswith(b"PATCH") else LISTED) as (url, heads):
        result = await run(url, "patch", "image-1", "--set", "name=x", "--api-version", "30.2.1")
    assert result.exit_code == 1
    assert "the outcome is unknown: look at the image before you repeat the command" in result.stderr
    assert [head.split()[0] for head in heads] == [b"GET", b"PATCH"]


async def test_without_an_etag_if_unchanged_changes_nothing() -> None:
    async with fake_server(lambda head: http_response(IMAGE) if b"/image-1" in head else LISTED) as (url, heads):
        result = await run(url, "patch", "n", "--set", "name=x", "--api-version", "30.2.1", "--if-unchanged")
    assert (result.exit_code, "the image has no ETag" in result.stderr) == (1, True)
    assert [head for head in heads if head.startswith(b"PATCH")] == []


async def test_the_image_is_shown_also_without_the_audit() -> None:
    down = http_response(PAGE, status="503 Service Unavailable")
    async with fake_server(lambda head: down if b"/api/audit" in head else LISTED) as (url, _):
        result = await run(url, "image", "image-1")
    assert rows(result)[0] == ["n"]
    assert result.stdout.splitlines()[-1].startswith("Audit not available: 503 Service Unavailable")


async def test_for_an_unknown_controller_version_the_highest_known_one_is_sent() -> None:
    controllers = http_response(b'{"count": 1, "results": [{"name": "dc1", "api_version": ""}]}')

    def answer(head: bytes) -> bytes:
        return http_response(IMAGE) if head.startswith(b"PATCH") else controllers if b"/controllers" in head else LISTED

    async with fake_server(answer) as (url, heads):
        assert (await run(url, "annotate", "n", "a=b")).exit_code == 0
    assert f"X-Avi-Version: {HIGHEST_VERSION}".encode() in heads[-1]


async def test_a_private_ca_is_trusted_only_with_ca_file(tmp_path: Path) -> None:
    authority, other = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    for name, ca in (("good", authority), ("wrong", other)):
        ca.cert_pem.write_to_path(str(tmp_path / name))
    of_windows = b"\xef\xbb\xbf" + authority.cert_pem.bytes().replace(b"\n", b"\r\n")
    (tmp_path / "of-windows").write_bytes(of_windows)
    async with fake_server(lambda _: http_response(b'{"results": []}'), context) as (url, heads):
        for name in ("good", "of-windows"):
            trusted = await run(url, "images", "--ca-file", str(tmp_path / name))
            assert (trusted.exit_code, trusted.output) == (0, "No images\n")
        assert f"Authorization: Bearer {BOB}".encode() in heads[0]
        for how in ([], ["--ca-file", str(tmp_path / "wrong")]):
            result = await run(url, "images", *how)
            assert result.exit_code == 1
            assert "the TLS connection failed: unable to get local issuer certificate; --ca-file names" in result.stderr
            assert BOB not in result.stderr


# -- foreign text

HOSTILE = "\x1b[31mred\x07[bold]b[/bold]\n\u202emoc\x9b2J"


@pytest.mark.parametrize("width", [0, 100])
async def test_foreign_text_is_escaped_and_not_interpreted(tmp_path: Path, width: int) -> None:
    def put(simulator: Simulator) -> None:
        strange = {"state": "IMAGE_FSM_FAILED", "reason": HOSTILE}
        event = {"task_name": HOSTILE, "nodes_events": [{"ip": {"addr": HOSTILE}, "status": HOSTILE}]}
        simulator.controllers["dc2"].put(
            {"uuid": "image-1", "name": HOSTILE, "img_state": strange, "events": [event], "progress": 50}
        )

    shown = ("\\x1b[31m", "[bold]b[/bold]")
    async with command_line(tmp_path, put) as cli:
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
            result = await cli(*command, token=ROOT, width=width)
            for char in ("\x1b[31mred", "\x07", "\u202e", "\x9b"):
                assert char not in result.output, command
            assert "json" in command or shown[1] in result.output.replace("\n", ""), command
        assert shown[0] in (await cli("images")).stdout
        same = json.loads((await cli("image", "image-1", "--output", "json")).stdout)
        assert (same["name"], same["annotations"]["note"]) == (HOSTILE, HOSTILE)
