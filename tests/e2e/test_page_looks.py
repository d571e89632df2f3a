"""The page is accessible: in light and dark, in a wide and a narrow window, with a screen reader."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from monitor.daemon.app import Daemon
from tests.support.accessibility import Scheme, assert_accessible
from tests.support.browser import (
    CLIENT_ERROR,
    address,
    demo_fleet,
    module_browser,
    newest_upload,
    open_page,
    rows,
)
from tests.support.operators import ROOT, TOKENS, patch

pytestmark = pytest.mark.asyncio(loop_scope="module")
browser = pytest_asyncio.fixture(module_browser, scope="module", loop_scope="module")


async def show_fleet(page: Page) -> None:
    await expect(rows(page).first).to_have_attribute("data-standing", "failed")


async def show_image(page: Page) -> None:
    await expect(page.locator("svg.timeline")).to_be_visible()
    await expect(page.get_by_role("table", name="Audit records")).to_be_visible()
    await page.locator("td[data-state=failed]").get_by_text("message").click()


async def show_dialog(page: Page) -> None:
    await page.get_by_role("button", name="Adjust").click()
    await expect(page.get_by_role("dialog").get_by_role("button", name="Dry run")).to_be_visible()


async def show_comparison(page: Page) -> None:
    await page.get_by_role("button", name="Remove change").click()
    await expect(page.get_by_role("dialog").get_by_role("button", name="Confirm")).to_be_visible()


async def show_token(page: Page) -> None:
    await expect(page.get_by_role("region", name="A token is needed")).to_be_visible()


View = tuple[str, bool, Callable[[Page], Awaitable[None]]]
VIEWS: Final[list[View]] = [
    ("fleet", False, show_fleet),
    ("image", True, show_image),
    ("dialog", True, show_dialog),
    ("comparison", True, show_comparison),
    ("token", False, show_token),
]
"""The name; whether it shows the failed image, or the fleet; and what opens it and waits for it."""


@asynccontextmanager
async def failed_and_annotated(folder: Path) -> AsyncIterator[tuple[Daemon, str]]:
    """The demo without anonymous access, and its failed image, which is annotated."""
    async with demo_fleet(folder, at_s=900.0, tokens=TOKENS, anonymous=[]) as (daemon, simulator):
        uuid = newest_upload(simulator.controllers["fra"])
        await patch(daemon, uuid, {"annotations": {"change": "CHG0042", "owner": "night shift"}})
        yield daemon, uuid


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_each_view_is_accessible_and_fits_a_wide_and_a_narrow_window(
    browser: Browser, tmp_path: Path, scheme: Scheme
) -> None:
    """Would find low contrast, a control without a name, a heading out of order, and a table wider than a phone."""
    async with failed_and_annotated(tmp_path) as (daemon, uuid):
        for name, of_image, show in VIEWS:
            path, token = address("fra", uuid) if of_image else "/", "" if name == "token" else ROOT
            how: dict[str, Any] = {"allow": [CLIENT_ERROR], "token": token, "bypass_csp": True, "color_scheme": scheme}
            async with open_page(browser, daemon.url, path, **how) as page:
                await show(page)
                await assert_accessible(page, f"{name}-{scheme}", whole=name == "image")


async def test_the_dark_scheme_has_other_colours(browser: Browser, tmp_path: Path) -> None:
    """Would find a colour scheme that is ignored."""
    background = "getComputedStyle(document.body).backgroundColor"
    async with demo_fleet(tmp_path) as (daemon, _), open_page(browser, daemon.url) as page:
        light = await page.evaluate(background)
        await page.emulate_media(color_scheme="dark")
        assert await page.evaluate(background) != light


async def test_nothing_is_animated_with_reduced_motion(browser: Browser, tmp_path: Path) -> None:
    """Would find a progress bar that is animated although the reader's system asks for reduced motion."""
    moving = """[...document.querySelectorAll("*")].map((each) => getComputedStyle(each)).filter(
      (style) => style.animationName !== "none" || parseFloat(style.transitionDuration) > 0).length"""
    async with demo_fleet(tmp_path) as (daemon, _), open_page(browser, daemon.url) as page:
        await expect(rows(page).first).to_be_visible()
        assert await page.evaluate(moving) > 0
        await page.emulate_media(reduced_motion="reduce")
        assert await page.evaluate(moving) == 0
