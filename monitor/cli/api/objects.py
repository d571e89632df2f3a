"""The images and units of the API, as far as ``annotate`` and ``patch`` show them."""

from collections.abc import Mapping
from urllib.parse import quote

from msgspec import Struct

from monitor.cli.api.responses import ApiImage


class ApiObject(Struct, frozen=True):
    """An image or a unit."""

    uuid: str = ""
    name: str | None = None
    controller: str = ""
    annotations: Mapping[str, str] = {}


class UnitPage(Struct, frozen=True):
    """``GET /api/upgradestatusinfo``: one page of units."""

    results: list[ApiObject]


def image_object(found: ApiImage) -> ApiObject:
    """Return what is shown of an image."""
    return ApiObject(found.image.uuid, found.image.name, found.controller, found.annotations)


def image_path(uuid: str) -> str:
    """Return the path of the route of one image."""
    return f"/api/image/{quote(uuid, safe='')}"


def unit_path(uuid: str) -> str:
    """Return the path of the route of one unit."""
    return f"/api/upgradestatusinfo/{quote(uuid, safe='')}"
