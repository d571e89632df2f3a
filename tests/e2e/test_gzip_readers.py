"""A compressed scrape is one gzip stream that every reader reads to its end; some stop after a first member."""

import gzip
from html import unescape
from pathlib import Path

import aiohttp

from monitor.simulator import ControllerSpec, Simulator
from tests.support.daemons import polled, watching
from tests.support.programs import output_of, program

SPEC = ControllerSpec(name="dc1", images=3)
LAST = 'avi_upgrade_monitor_build_info{version="'


async def test_curl_reads_a_compressed_scrape_to_its_end(tmp_path: Path) -> None:
    curl = program("curl")
    async with Simulator([SPEC], speed=0.0) as simulator, watching(simulator, tmp_path) as daemon:
        await polled(daemon, "dc1")
        await output_of(
            curl, "--silent", "--fail", f"{daemon.url}/metrics"
        )  # so that its own request is counted in both others
        _, plain, _ = await output_of(curl, "--silent", "--fail", f"{daemon.url}/metrics")
        status, compressed, errors = await output_of(
            curl, "--silent", "--fail", "--compressed", f"{daemon.url}/metrics"
        )
    assert (status, errors) == (0, "")
    assert names(compressed) == names(plain)
    assert LAST in compressed


async def test_chromium_reads_a_compressed_scrape_to_its_end(tmp_path: Path) -> None:
    chromium = program("chromium-headless-shell")
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync")
    quiet = ("--disable-background-networking", "--disable-component-update", f"--user-data-dir={tmp_path}/profile")
    async with Simulator([SPEC], speed=0.0) as simulator, watching(simulator, tmp_path) as daemon:
        await polled(daemon, "dc1")
        _, page, _ = await output_of(chromium, *flags, *quiet, "--dump-dom", f"{daemon.url}/metrics")
    assert LAST in unescape(page)
    assert "avi_image_progress_ratio" in page


async def test_a_compressed_scrape_is_one_gzip_member(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator, watching(simulator, tmp_path) as daemon:
        await polled(daemon, "dc1")
        headers = {"Accept-Encoding": "gzip"}
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.get(f"{daemon.url}/metrics", headers=headers) as response,
        ):
            body = await response.read()
            assert response.headers["Content-Encoding"] == "gzip"
            assert int(response.headers["Content-Length"]) == len(body)
    assert LAST in gzip.decompress(body).decode()


def names(text: str) -> list[str]:
    """The series of an exposition, without their values, which move."""
    return [line.rpartition(" ")[0] for line in text.splitlines()]
