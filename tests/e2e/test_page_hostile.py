"""Hostile texts of Controllers and operators are shown as text: they run no code and do not break the page."""

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
from tests.support.browser import (
    assert_no_horizontal_scroll,
    demo_fleet,
    module_browser,
    newest_upload,
    open_page,
    row,
    rows,
    save_screenshot,
)
from tests.support.daemons import until
from tests.support.operators import ROOT, TOKENS, patch

pytestmark = pytest.mark.asyncio(loop_scope="module")
browser = pytest_asyncio.fixture(module_browser, scope="module", loop_scope="module")

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
MAX_NAME, MAX_ANNOTATION, MAX_MESSAGE = 200, 1024, 10_000
"""The most characters that the daemon keeps of a name, of an annotation, and of a node's message."""


@asynccontextmanager
async def hostile_fleet(folder: Path) -> AsyncIterator[Daemon]:
    """The demo with one more failed image per hostile text, on fra; its uuid is ``image-`` and the text's name."""
    settings = {"tokens": TOKENS, "anonymous": ["metrics", "read"]}
    async with demo_fleet(folder, at_s=900.0, **settings) as (daemon, simulator):
        fra = simulator.controllers["fra"]
        sample = json.dumps(fra.image(newest_upload(fra)))
        for name, text in HOSTILE.items():
            fra.put(with_text(json.loads(sample), text) | {"uuid": f"image-{name}"})
        await until(daemon, "fra", lambda entry: {f"image-{name}" for name in HOSTILE} <= entry.objects("image").keys())
        yield daemon


def with_text(image: dict[str, Any], text: str) -> dict[str, Any]:
    """The same image with this text in place of its own."""
    for task in image["events"]:
        task["task_name"] = f"{task['task_name']} {text}"
        for event in task["nodes_events"]:
            event["message"] = text
    return image | {"name": text, "status": text, "img_state": image["img_state"] | {"reason": text}}


async def test_hostile_text_is_shown_as_text_and_never_runs(browser: Browser, tmp_path: Path) -> None:
    """Would find names parsed as markup, an attribute that ends early, and a row wider than the window."""
    async with hostile_fleet(tmp_path) as daemon, open_page(browser, daemon.url, token=ROOT) as page:
        for name, text in HOSTILE.items():
            body = {"annotations": {"note": text[:MAX_ANNOTATION]}}
            assert (await patch(daemon, f"image-{name}", body)).status == 200
        await save_screenshot(page, "hostile-fleet")
        await assert_harmless(page)
        for name, text in HOSTILE.items():
            shown = row(page, f"image-{name}")
            await expect(shown.locator("a bdi")).to_have_text(text[:MAX_NAME])
            await shown.get_by_role("link").click()
            await expect(page.locator("svg.timeline")).to_be_visible()
            await expand_all(page, text)
            await assert_harmless(page)
            await save_screenshot(page, f"hostile-{name}", whole=False)
            await page.go_back()


async def expand_all(page: Page, text: str) -> None:
    """Check that the name, the annotation and the node's message can be read to their end."""
    await expect(page.get_by_role("heading", level=1).locator("bdi")).to_have_text(text[:MAX_NAME])
    await page.locator("table.matrix summary").last.click()
    annotation, message = (
        page.locator("tr[data-annotation=note] td").first,
        page.locator("table.matrix details[open] p").first,
    )
    for shown, whole in ((annotation, text[:MAX_ANNOTATION]), (message, text[:MAX_MESSAGE])):
        for button in await shown.get_by_role("button", name="Show all").all():
            await button.click()
        await expect(shown.locator("bdi")).to_have_text(whole)


async def assert_harmless(page: Page) -> None:
    """The page has only its own elements, and none is wider than the window, wide or narrow."""
    assert await page.locator("script").count() == 1
    assert await page.locator("img, iframe, object, embed, b, [onerror], [onfocus], [autofocus]").count() == 0
    assert await page.evaluate("[...document.links].every((link) => link.protocol.startsWith('http'))")
    await assert_no_horizontal_scroll(page)
    wide = page.viewport_size
    assert wide
    await page.set_viewport_size(NARROW)
    await assert_no_horizontal_scroll(page)
    await page.set_viewport_size(wide)


async def test_a_hostile_address_does_no_harm(browser: Browser, tmp_path: Path) -> None:
    """Would find a link to the page that runs code in it."""
    async with demo_fleet(tmp_path) as (daemon, _), open_page(browser, daemon.url) as page:
        for text in (HOSTILE["script"], HOSTILE["image"], "%E0%A4%A", HOSTILE["long-word"]):
            await page.goto(f"{daemon.url}/#/?q={quote(text)}")
            await expect(page.get_by_role("searchbox")).to_have_value(text)
            await expect(page.locator("[data-part=empty]")).to_be_visible()
            for place in (quote(text, safe=""), text):
                await page.goto(f"{daemon.url}/#/image/{place}/{place}")
                await expect(page.locator("#missing, #fleet").filter(visible=True)).to_have_count(1)
                await assert_harmless(page)
        await page.get_by_role("link", name="Avi upgrade monitor").click()
        await page.get_by_role("searchbox").fill("")
        await expect(rows(page)).to_have_count(16)
