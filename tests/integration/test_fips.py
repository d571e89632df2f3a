"""A host in FIPS mode, where OpenSSL refuses every hash but the approved ones."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import bcrypt
import pytest
import yaml

from monitor.cli.commands.simulate import write_config
from monitor.simulator import ControllerSpec, Simulator, UploadSpec
from tests.support.programs import line_with, output_of

COMMAND = (sys.executable, "-m", "monitor")

# What hashlib does there: BLAKE2 is missing, and MD5 is only for what is no security feature.
SITECUSTOMIZE = """
import hashlib

def refuse(data=b"", /, *, usedforsecurity=True, **other):
    raise ValueError("[digital envelope routines] unsupported")

def md5(data=b"", /, *, usedforsecurity=True, allowed=hashlib.md5):
    return refuse() if usedforsecurity else allowed(data, usedforsecurity=False)

hashlib.blake2b = hashlib.blake2s = refuse
hashlib.md5 = md5
"""
SPEC = ControllerSpec(name="dc1", images=1, uploads=(UploadSpec(duration=600.0, started_ago=300.0),))
USER, PASSWORD = "prometheus", "correct horse"


@pytest.fixture
def fips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that are started from now on are on such a host."""
    (tmp_path / "fips").mkdir()
    (tmp_path / "fips" / "sitecustomize.py").write_text(SITECUSTOMIZE)
    paths = [str(tmp_path / "fips"), str(Path.cwd()), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))


@asynccontextmanager
async def daemon_of(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the daemon as long as the context lasts."""
    daemon = await asyncio.create_subprocess_exec(*COMMAND, "run", *arguments, stderr=asyncio.subprocess.PIPE)
    try:
        yield daemon
    finally:
        daemon.kill()
        await daemon.communicate()


async def text_of(http: aiohttp.ClientSession, url: str) -> str:
    async with http.get(url) as response:
        assert response.status == 200
        return await response.text()


@pytest.mark.usefixtures("fips")
async def test_on_a_fips_host_the_daemon_polls_and_serves_page_and_metrics(tmp_path: Path) -> None:
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    web_config = tmp_path / "web.yml"
    web_config.write_text(yaml.safe_dump({"basic_auth_users": {USER: hashed}}))
    async with Simulator([SPEC], speed=0.0) as simulator:
        settings = {"listen": "127.0.0.1:0", "database": f"sqlite:///{tmp_path}/state.db"}
        users = [{"name": USER, "scopes": ["admin"]}]
        config = write_config(simulator, tmp_path, {**settings, "users": users})
        async with daemon_of("--config", str(config), "--web.config.file", str(web_config)) as daemon:
            url = "http://" + json.loads(await line_with(daemon.stderr, '"started"'))["address"]
            await line_with(daemon.stderr, "controller_up")
            headers = {"Authorization": aiohttp.encode_basic_auth(USER, PASSWORD)}
            async with aiohttp.ClientSession(headers=headers) as http:
                page, metrics, images = [await text_of(http, url + path) for path in ("/", "/metrics", "/api/image")]
    assert "<title>" in page
    assert 'avi_controller_up{controller="dc1"} 1' in metrics
    assert "avi_image_progress_ratio" in metrics
    assert json.loads(images)["count"] == 2


@pytest.mark.usefixtures("fips")
async def test_on_a_fips_host_a_probe_is_good(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator:
        config = write_config(simulator, tmp_path, {"database": f"sqlite:///{tmp_path}/state.db"})
        status, out, err = await output_of(*COMMAND, "check-config", "--probe", "--config", str(config))
    assert (status, err) == (0, "")
    assert "dc1: ok" in out
