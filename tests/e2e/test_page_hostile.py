"""What Controllers and people wrote is shown as they wrote it: nothing of it runs, nothing of it breaks the page."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, ViewportSize, expect

from monitor.daemon.app import Daemon
from tests.support.browser import fleet, keep, newest, of_module, opened, require_no_sideways_scroll, row, rows
from tests.support.daemons import until
from tests.support.operators import ROOT, TOKENS, patch

pytestmark = pytest.mark.asyncio(loop_scope="module")
browser = pytest_asyncio.fixture(of_module, scope="module", loop_scope="module")

NARROW = ViewportSize(width=390, height=844)
HOSTILE = {
    "script": "<script>alert(1)</script>",
    "image": '<img src="x" onerror="alert(1)">',
    "quotes": "\"' autofocus onfocus='alert(1)' `${alert(1)}` &lt;b&gt; \\u003cscript",
    "scheme": "javascript:alert(1)//https://elsewhere.example.net/x.png",
    "right-to-left": "\u202egpj.exe\u202c \u2067right\u2066 \u202etnetnoc",
    "long-word": "W" * 10_000,
    "long-text": "<b>many words</b> " * 556,
}
NAMED, NOTED, SAID = 200, 1024, 10_000
"""The most characters that the daemon keeps of a name, of an annotation, and of what a node said."""


@asynccontextmanager
async def planted(folder: Path) -> AsyncIterator[Daemon]:
    """On fra, for each hostile text an image that failed and says nothing else; its uuid is image- and the name."""
    settings = {"tokens": TOKENS, "anonymous": ["metrics", "read"]}
    async with fleet(folder, at_s=900.0, **settings) as (daemon, simulator):
        fra = simulator.controllers["fra"]
        sample = json.dumps(fra.image(newest(fra)))
        for name, text in HOSTILE.items():
            fra.put(spoilt(json.loads(sample), text) | {"uuid": f"image-{name}"})
        await until(daemon, "fra", lambda entry: {f"image-{name}" for name in HOSTILE} <= entry.objects("image").keys())
        yield daemon


def spoilt(image: dict[str, Any], text: str) -> dict[str, Any]:
    """The same image with this text in place of all its own."""
    for task in image["events"]:
        task["task_name"] = f"{task['task_name']} {text}"
        for event in task["nodes_events"]:
            event["message"] = text
    return image | {"name": text, "status": text, "img_state": image["img_state"] | {"reason": text}}


async def test_foreign_text_is_shown_as_text_and_nothing_of_it_runs(browser: Browser, tmp_path: Path) -> None:
    """Would find markup made of names, an attribute that ends early, and a row wider than the window."""
    async with planted(tmp_path) as daemon, opened(browser, daemon.url, token=ROOT) as page:
        for name, text in HOSTILE.items():
            body = {"annotations": {"note": text[:NOTED]}}
            assert (await patch(daemon, f"image-{name}", body)).status == 200
        await keep(page, "hostile-fleet")
        await require_calm(page)
        for name, text in HOSTILE.items():
            shown = row(page, f"image-{name}")
            await expect(shown.locator("a bdi")).to_have_text(text[:NAMED])
            await shown.get_by_role("link").click()
            await expect(page.locator("svg.timeline")).to_be_visible()
            await read_all(page, text)
            await require_calm(page)
            await keep(page, f"hostile-{name}", whole=False)
            await page.go_back()


async def read_all(page: Page, text: str) -> None:
    """The name, what was noted, and what a node said, each to its end."""
    await expect(page.get_by_role("heading", level=1).locator("bdi")).to_have_text(text[:NAMED])
    await page.locator("table.matrix summary").last.click()
    note, said = page.locator("tr[data-annotation=note] td").first, page.locator("table.matrix details[open] p").first
    for shown, whole in ((note, text[:NOTED]), (said, text[:SAID])):
        for button in await shown.get_by_role("button", name="Show all").all():
            await button.click()
        await expect(shown.locator("bdi")).to_have_text(whole)


async def require_calm(page: Page) -> None:
    """Only our own elements are there, and nothing is wider than the window, wide or narrow."""
    assert await page.locator("script").count() == 1
    assert await page.locator("img, iframe, object, embed, b, [onerror], [onfocus], [autofocus]").count() == 0
    assert await page.evaluate("[...document.links].every((link) => link.protocol.startsWith('http'))")
    await require_no_sideways_scroll(page)
    wide = page.viewport_size
    assert wide
    await page.set_viewport_size(NARROW)
    await require_no_sideways_scroll(page)
    await page.set_viewport_size(wide)


async def test_an_address_that_somebody_made_up_does_no_harm(browser: Browser, tmp_path: Path) -> None:
    """Would find a link to our page that makes it do what its sender wants."""
    async with fleet(tmp_path) as (daemon, _), opened(browser, daemon.url) as page:
        for text in (HOSTILE["script"], HOSTILE["image"], "%E0%A4%A", HOSTILE["long-word"]):
            await page.goto(f"{daemon.url}/#/?q={quote(text)}")
            await expect(page.get_by_role("searchbox")).to_have_value(text)
            await expect(page.locator("[data-part=empty]")).to_be_visible()
            for place in (quote(text, safe=""), text):
                await page.goto(f"{daemon.url}/#/image/{place}/{place}")
                await expect(page.locator("#missing, #fleet").filter(visible=True)).to_have_count(1)
                await require_calm(page)
        await page.get_by_role("link", name="Avi upgrade monitor").click()
        await page.get_by_role("searchbox").fill("")
        await expect(rows(page)).to_have_count(16)
