"""The rules of axe, and the windows in which the views of the page have to fit."""

from collections.abc import Iterable
from importlib.resources import files
from typing import Final, Literal

import msgspec
from playwright.async_api import Page, ViewportSize

from tests.support.browser import assert_no_horizontal_scroll, save_screenshot

WIDTHS: Final = {"wide": ViewportSize(width=1280, height=900), "narrow": ViewportSize(width=390, height=844)}
Scheme = Literal["light", "dark"]

_AXE: Final = (files("axe_playwright_python") / "axe.min.js").read_text()


class Violation(msgspec.Struct, frozen=True):
    """A rule of axe that the page violates: its name, its impact, and the elements."""

    rule: str
    impact: str
    where: list[str]


async def violations(page: Page) -> list[Violation]:
    """What axe finds. The page must be opened with ``bypass_csp``, as axe is injected into it."""
    if not await page.evaluate("'axe' in window"):
        await page.add_script_tag(content=_AXE)
    run = """axe.run({resultTypes: ["violations"]}).then(({violations}) => violations.map(
      ({id, impact, nodes}) => ({rule: id, impact, where: nodes.map((node) => node.html.slice(0, 200))})))"""
    return msgspec.convert(await page.evaluate(run), list[Violation])


async def assert_accessible(
    page: Page, name: str, *, widths: Iterable[str] = tuple(WIDTHS), whole: bool = False
) -> None:
    """
    Check the width and axe's rules, in a wide and a narrow window, with a screenshot of each.

    ``whole``: the screenshots have the parts that are out of sight, too.
    """
    for width in widths:
        await page.set_viewport_size(WIDTHS[width])
        await assert_no_horizontal_scroll(page)
        await save_screenshot(page, f"{name}-{width}", whole=whole)
        found = await violations(page)
        assert found == [], name
