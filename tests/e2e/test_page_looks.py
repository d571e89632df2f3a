"""Whoever comes can read the page: in light and dark, in a wide and a narrow window, with or without eyes."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, ViewportSize, expect

from monitor.daemon.app import Daemon
from tests.support.browser import (
    REFUSED,
    address,
    fleet,
    keep,
    newest,
    of_module,
    opened,
    require_no_sideways_scroll,
    rows,
)
from tests.support.operators import ROOT, TOKENS, patch

pytestmark = pytest.mark.asyncio(loop_scope="module")
browser = pytest_asyncio.fixture(of_module, scope="module", loop_scope="module")

AXE: Final = (files("axe_playwright_python") / "axe.min.js").read_text()
WIDTHS: Final = {"wide": ViewportSize(width=1280, height=900), "narrow": ViewportSize(width=390, height=844)}
Scheme = Literal["light", "dark"]


class Found(msgspec.Struct, frozen=True):
    """What axe has against the page: the rule, how grave it is, and where."""

    rule: str
    impact: str
    where: list[str]


async def violations(page: Page) -> list[Found]:
    """All that axe finds; the page has to have come with ``bypass_csp``, as axe is a script of another origin."""
    if not await page.evaluate("'axe' in window"):
        await page.add_script_tag(content=AXE)
    run = """axe.run({resultTypes: ["violations"]}).then(({violations}) => violations.map(
      ({id, impact, nodes}) => ({rule: id, impact, where: nodes.map((node) => node.html.slice(0, 200))})))"""
    return msgspec.convert(await page.evaluate(run), list[Found])


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
"""The name; whether it is of the image that failed, or of all; and what there is to do and to wait for."""


@asynccontextmanager
async def failed_and_annotated(folder: Path) -> AsyncIterator[tuple[Daemon, str]]:
    """The demo, where one who has no token sees nothing; and the image that failed there."""
    async with fleet(folder, at_s=900.0, tokens=TOKENS, anonymous=[]) as (daemon, simulator):
        uuid = newest(simulator.controllers["fra"])
        await patch(daemon, uuid, {"annotations": {"change": "CHG0042", "owner": "night shift"}})
        yield daemon, uuid


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_each_view_can_be_read_by_everybody_and_fits_a_wide_and_a_narrow_window(
    browser: Browser, tmp_path: Path, scheme: Scheme
) -> None:
    """Would find text too pale, a control without a name, a heading out of order, and a table wider than a phone."""
    async with failed_and_annotated(tmp_path) as (daemon, uuid):
        for name, of_image, show in VIEWS:
            path, token = address("fra", uuid) if of_image else "/", "" if name == "token" else ROOT
            how: dict[str, Any] = {"allow": [REFUSED], "token": token, "bypass_csp": True, "color_scheme": scheme}
            async with opened(browser, daemon.url, path, **how) as page:
                await show(page)
                await require_readable(page, f"{name}-{scheme}")


async def require_readable(page: Page, name: str) -> None:
    """Nothing sticks out, and axe has nothing against it, on a desk and on a phone; with a picture of each."""
    for width, size in WIDTHS.items():
        await page.set_viewport_size(size)
        await require_no_sideways_scroll(page)
        await keep(page, f"{name}-{width}", whole=name.startswith("image"))
        found = await violations(page)
        assert found == [], name


async def test_light_and_dark_are_not_the_same(browser: Browser, tmp_path: Path) -> None:
    """Would find a scheme that is asked for and not given."""
    background = "getComputedStyle(document.body).backgroundColor"
    async with fleet(tmp_path) as (daemon, _), opened(browser, daemon.url) as page:
        light = await page.evaluate(background)
        await page.emulate_media(color_scheme="dark")
        assert await page.evaluate(background) != light


async def test_nothing_moves_for_who_wants_no_motion(browser: Browser, tmp_path: Path) -> None:
    """Would find a bar that glides for somebody whom that makes sick."""
    moving = """[...document.querySelectorAll("*")].map((each) => getComputedStyle(each)).filter(
      (style) => style.animationName !== "none" || parseFloat(style.transitionDuration) > 0).length"""
    async with fleet(tmp_path) as (daemon, _), opened(browser, daemon.url) as page:
        await expect(rows(page).first).to_be_visible()
        assert await page.evaluate(moving) > 0
        await page.emulate_media(reduced_motion="reduce")
        assert await page.evaluate(moving) == 0
