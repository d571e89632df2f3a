"""
`make demo` through the whole upgrade of its Controller ``ams``: promtool reads what a scrape says, once a second.

Real time passes, so `make night` runs it, and not `make test`; there, tests/e2e/test_upgrade_prometheus.py does the
same at each moment of a night.
"""

import asyncio
import re
import sys
from pathlib import Path
from typing import Final

import aiohttp

from tests.support.programs import eventually, free_address, is_up, output_of, program, started

DONE: Final = 'avi_controller_upgrade_done{controller="ams"} 1.0'
PHASE: Final = re.compile(r'avi_controller_upgrade_phase\{controller="ams",phase="(\w+)"\} 1\.0')


async def test_promtool_finds_nothing_wrong_with_the_demo_at_any_second_of_its_upgrade(tmp_path: Path) -> None:
    address, phases = free_address(), list[str]()
    command = (sys.executable, "-m", "monitor", "demo", "--listen", address, "--speed", "60")
    async with started(*command, log=tmp_path / "demo.log"), aiohttp.ClientSession() as session:
        await eventually(lambda: is_up(session, f"http://{address}/-/ready"), bool)
        text = ""
        while DONE not in text:
            async with session.get(f"http://{address}/metrics") as response:
                text = await response.text()
            phases += PHASE.findall(text)
            found = await output_of(program("promtool"), "check", "metrics", stdin=text.encode())
            assert found == (0, "", ""), f"after {phases}"
            await asyncio.sleep(1.0)
    assert set(phases) >= {"none", "controllers", "away", "service_engines"}
