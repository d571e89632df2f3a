"""`check-config` as an operator uses it before the first start: its warnings, and the whole way of a poll."""

import re
import ssl
import sys
import time
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from hashlib import sha256
from pathlib import Path

import pytest
import trustme
import yaml

from monitor.cli.commands.simulate import write_config
from monitor.simulator import Account, ControllerSpec, Fault, GroupSpec, Simulator, UploadSpec
from tests.support.command_line import call
from tests.support.programs import output_of

COMMAND = (sys.executable, "-W", "error", "-m", "monitor", "check-config")
"""A process of its own; needed for TLS, too: uvloop's connections outlive its loop, which fails a test."""

NO_COMPRESSION = """
import zlib

class Refusing:
    def __init__(self, *options):
        self._compressor = compressobj(*options)
        self.flush = self._compressor.flush

    def compress(self, data):
        if b"avi_image_info{" in data:
            raise ValueError("not on this host")
        return self._compressor.compress(data)

compressobj, zlib.compressobj = zlib.compressobj, Refusing
try:
    from isal import isal_zlib
    isal_zlib.compressobj = Refusing
except ImportError:
    pass
"""


async def check(config: Path, *options: str) -> tuple[int, str, str]:
    return await call("check-config", "--config", str(config), *options)


def set_keys(config: Path, **keys: object) -> None:
    """Set keys of the first controller."""
    written = yaml.safe_load(config.read_text())
    written["controllers"][0] |= keys
    config.write_text(yaml.safe_dump(written))


async def test_warnings_do_not_make_a_configuration_invalid(tmp_path: Path) -> None:
    async with Simulator([ControllerSpec(name="dc1")], speed=0.0) as simulator:
        config = write_config(simulator, tmp_path, {})
    (tmp_path / "dc1.password").write_text(" s3cret\n")
    (tmp_path / "dc1.password").chmod(0o644)
    status, out, errors = await check(config)
    assert (status, out) == (0, f"{config}: valid, 1 controller in 1 file\n")
    assert errors == (
        f"warning: {tmp_path}/dc1.password: found mode 0644, with which every user of this machine may read it, "
        "expected one for the daemon's user and group alone, such as 0600\n"
        f"warning: {tmp_path}/dc1.password: found blanks at the beginning or the end, which are part of the password; "
        "remove them if not\n"
    )


async def test_a_probe_shows_what_would_be_exported_and_logs_out(tmp_path: Path) -> None:
    spec = ControllerSpec(
        name="dc1", images=2, uploads=(UploadSpec(duration=100.0, started_ago=50.0),), tenants=("tenant-1",)
    )
    async with Simulator([spec], speed=0.0) as simulator:
        dc1 = simulator.controllers["dc1"]
        config = write_config(simulator, tmp_path, {})
        status, out, errors = await check(config, "--probe")
        assert (dc1.logins, dc1.logouts, len(dc1.sessions)) == (1, 1, 0)
    assert (status, errors) == (0, "")
    lines = out.splitlines()[1:]
    assert lines[0] == "dc1: ok, version 30.2.1, api_version 30.2.1, 3 images"
    enough = "a role with read access to Image and Controller is enough"
    assert f"  account      admin: a superuser: more than this needs; {enough}" in lines
    assert "               sees the tenants admin, tenant-1" in lines
    assert "  certificate  none: with http:// the password is sent unencrypted" in lines
    assert "  clock        agrees with that of this machine to 5 s" in lines
    assert "  images       2 completed, 1 in_progress" in lines
    first = lines.index("  images       2 completed, 1 in_progress") + 1
    assert "  in_progress  " in lines[first], "what is not finished stands first"
    assert len([line for line in lines if re.search(r"  completed  100%  \d of \d tasks$", line)]) == 2
    assert len([line for line in lines if re.search(r"  in_progress  \d+%  \d of \d tasks$", line)]) == 1
    assert lines[-2] == "  upgrades     1 cluster, 30.2.1"
    assert re.fullmatch(
        r"  exported     \d+ series: \d+\.\d kB a scrape, \d+\.\d kB compressed; the poll took \d+\.\d\d s", lines[-1]
    )


async def test_a_probe_shows_which_units_there_are_and_what_hides_them(tmp_path: Path) -> None:
    groups = (GroupSpec(ses=3), GroupSpec(cloud="aws", ses=1))
    reader = Account(username="reader", password="reads images", reads_upgrades=False)
    async with Simulator([ControllerSpec(name="dc1", groups=groups, accounts=(reader,))], speed=0.0) as simulator:
        _, out, _ = await check(write_config(simulator, tmp_path, {}), "--probe")
        assert "  upgrades     1 cluster, 2 SE groups, 4 SEs, 30.2.1\n" in out

        config = write_config(simulator, tmp_path, {})
        config.write_text(config.read_text().replace("username: admin", "username: reader"))
        (tmp_path / "dc1.password").write_text(reader.password)
        status, out, _ = await check(config, "--probe")
        assert "  upgrades     403: give the role read access to Controller (PERMISSION_CONTROLLER)\n" in out
        assert status == 0, "images are watched all the same"

        config.write_text(config.read_text() + "upgrades: {watch: false}\n")
        _, out, _ = await check(config, "--probe")
        assert "  upgrades " not in out


async def test_a_probe_says_that_a_controller_is_too_old_to_have_upgrade_status(tmp_path: Path) -> None:
    async with Simulator([ControllerSpec(name="dc1", version="18.2.5")], speed=0.0) as simulator:
        status, out, _ = await check(write_config(simulator, tmp_path, {}), "--probe")
    assert "  upgrades     404: there is no upgrade status before 18.2.6\n" in out
    assert status == 0


async def test_a_probe_names_a_failed_read_of_the_upgrade_status(tmp_path: Path) -> None:
    async with Simulator([ControllerSpec(name="dc1")], speed=0.0) as simulator:
        simulator.controllers["dc1"].faults.add(Fault("http_500", path="/api/upgradestatusinfo"))
        status, out, _ = await check(write_config(simulator, tmp_path, {}), "--probe")
    assert "  upgrades     failed: http_5xx; the log says why\n" in out
    assert status == 0


async def test_a_probe_names_objects_that_cannot_be_read_and_succeeds(tmp_path: Path) -> None:
    async with Simulator([ControllerSpec(name="dc1", images=2)], speed=0.0) as simulator:
        simulator.controllers["dc1"].faults.add(Fault("wrong_types"))
        status, out, errors = await check(write_config(simulator, tmp_path, {}), "--probe")
    assert (status, errors) == (0, "")
    assert "api_version 30.2.1, 2 images" in out
    assert len(re.findall(r"^ +image-\S+ cannot be read, and is left out: .*\$", out, re.MULTILINE)) == 1


async def test_a_probe_of_a_controller_without_images_says_so(tmp_path: Path) -> None:
    async with Simulator([ControllerSpec(name="dc1")], speed=0.0) as simulator:
        _, out, _ = await check(write_config(simulator, tmp_path, {}), "--probe")
    assert "  images       none: there are none, or the account sees none in this tenant\n" in out


async def test_a_probe_shows_the_certificate_its_expiry_and_how_it_is_verified(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued = authority.issue_cert("127.0.0.1", not_after=datetime.now(UTC) + timedelta(days=10.5))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(context)
    pin = sha256(ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())).hexdigest()
    async with Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0, tls=context) as simulator:
        config = write_config(simulator, tmp_path, {}, tmp_path / "ca.pem")
        status, out, _ = await output_of(*COMMAND, "--config", str(config), "--probe")
        assert status == 0
        assert re.search(r"  certificate  .*, expires at \d{4}-\S+ \S+, in 1[01] days: renew it soon\n", out)
        assert f"               verified by ca_file; its SHA-256 is {pin}\n" in out
        set_keys(config, tls={"fingerprint": "0f" * 32})
        status, out, _ = await output_of(*COMMAND, "--config", str(config), "--probe")
    assert status == 1
    assert f"dc1: failed, tls (login): the certificate has the fingerprint {pin}" in out


@pytest.mark.parametrize(
    ("offset_s", "text"), [(7200.0, "2.0 h ahead of"), (-7200.0, "2.0 h behind")], ids=["ahead", "behind"]
)
async def test_a_probe_shows_how_far_the_clock_of_the_controller_is_from_ours(
    tmp_path: Path, offset_s: float, text: str
) -> None:
    async with Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator:
        date = formatdate(time.time() + offset_s, usegmt=True)
        simulator.controllers["dc1"].faults.add(Fault("wrong_date", path="/login", value=date))
        _, out, _ = await check(write_config(simulator, tmp_path, {}), "--probe")
    assert f"  clock        {text} that of this machine: set both by NTP\n" in out


async def test_a_probe_tries_the_account_that_adjusts_images_too(tmp_path: Path) -> None:
    accounts = (Account(username="writer", password="w", superuser=False),)
    async with Simulator([ControllerSpec(name="dc1", images=1, accounts=accounts)], speed=0.0) as simulator:
        dc1, config = simulator.controllers["dc1"], write_config(simulator, tmp_path, {})
        (tmp_path / "writer.password").write_text("w\n")
        (tmp_path / "writer.password").chmod(0o600)
        set_keys(config, write={"username": "writer", "password_file": "writer.password"})
        status, out, errors = await check(config, "--probe")
        assert (status, errors, dc1.logins, dc1.logouts) == (0, "", 2, 2)
        assert "  write        writer: logged in; whether it may change images shows only when it does\n" in out
        (tmp_path / "writer.password").write_text("wrong\n")
        status, out, errors = await check(config, "--probe")
        assert (status, dc1.failed_logins) == (1, 1)
        assert "dc1: ok, " in out
        assert "  write        writer: failed, auth (login): 401 Invalid credentials\n" in out
    assert errors == "avi-upgrade-monitor: 1 of 1 controllers failed the probe\n"


async def test_a_probe_that_fails_after_the_log_in_shows_what_it_found_and_logs_out(tmp_path: Path) -> None:
    async with Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator:
        dc1, config = simulator.controllers["dc1"], write_config(simulator, tmp_path, {})
        dc1.faults.add(Fault("http_500"))
        status, out, _ = await check(config, "--probe")
        assert (status, dc1.logins, dc1.logouts) == (1, 1, 1)
    assert "dc1: failed, http_5xx (images): 500 " in out
    assert "               sees the tenants admin\n" in out
    assert "  clock        agrees with that of this machine to 5 s\n" in out
    assert "exported" not in out


async def test_a_probe_fails_where_a_later_step_of_a_poll_fails_on_this_host(tmp_path: Path) -> None:
    """Here the compression of what a scrape would get: log-in and list are good, and no poll could ever be."""
    (tmp_path / "sitecustomize.py").write_text(NO_COMPRESSION)
    async with Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator:
        dc1, config = simulator.controllers["dc1"], write_config(simulator, tmp_path, {})
        command = (*COMMAND, "--config", str(config), "--probe")
        status, out, errors = await output_of("env", f"PYTHONPATH={tmp_path}", *command)
        assert (status, dc1.logins, dc1.logouts) == (1, 1, 1)
    assert "dc1: failed, internal (scrape): ValueError\n" in out
    assert "ValueError: not on this host" in errors
