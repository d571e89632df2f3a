"""
Decode which images a Controller says are in use: ``GET /api/image-inventory``, of releases from 32.2.1 on. Pure.

Source: Avi API object ImageInventory.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from monitor.avi.page_decoder import BYTES_PER_OBJECT
from monitor.avi.paging import uuid_of
from monitor.avi.values import clip
from monitor.avi.wire import UNREADABLE, Identity, Wire
from monitor.model.errors import BadAnswer

FIRST_VERSION: Final = (32, 2, 1)
"""The release that has the inventory first."""


class _Info(Wire):
    image: Identity | None = None
    in_use: bool | None = None


class _Images(Wire):
    image_info: list[_Info] | None = None


class _Inventory(Wire):
    results: list[_Images]


_decoder: Final = msgspec.json.Decoder(_Inventory)


def decode_images_in_use(body: bytes, *, max_response: int) -> Mapping[str, bool]:
    """
    Return whether each image is in use, by uuid; images of which it is not told are left out.

    ``max_response``: as in `monitor.avi.page_decoder.PageDecoder`. Raises: BadAnswer.
    """
    if body.count(b"{") > max_response // BYTES_PER_OBJECT:
        raise BadAnswer(
            "oversize",
            f"more than {max_response // BYTES_PER_OBJECT} JSON objects; see `max_response`",
            phase="inventory",
        )
    try:
        inventory = _decoder.decode(body)
    except UNREADABLE as error:
        raise BadAnswer("decode", clip(str(error)), phase="inventory") from error
    infos = [info for images in inventory.results for info in images.image_info or ()]
    return {uuid_of(info.image): info.in_use for info in infos if info.image and info.in_use is not None}
