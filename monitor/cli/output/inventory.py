"""What ``images --deletable`` prints: which images may be deleted, and why the others may not."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
from rich.text import Text

from monitor.cli.api.responses import ControllerStatus, InventoryImage, decode, decode_api_image
from monitor.cli.output.printing import outage_text, print_json
from monitor.cli.output.tables import plain_table, print_output, safe_text

_ANSWERS: Final = {True: Text("yes", "green"), None: Text("not known", "yellow"), False: Text("no")}
"""Whether an image may be deleted, in the order of display."""


def print_inventory(by_version: Mapping[str, Sequence[msgspec.Raw]]) -> None:
    """Print the images in the form of ``GET /api/image-inventory``, as one page."""
    results = [{"version": version, "image_info": images} for version, images in by_version.items()]
    print_json(msgspec.json.encode({"count": len(results), "results": results}))


def print_inventory_table(
    by_version: Mapping[str, Sequence[msgspec.Raw]], controllers: Iterable[ControllerStatus]
) -> None:
    """Print the images, those first that may be deleted, and which of these controllers cannot be polled."""
    images = [decode(bytes(raw), InventoryImage) for raws in by_version.values() for raw in raws]
    images.sort(key=lambda each: list(_ANSWERS).index(each.deletable))
    table = plain_table(("Controller", "Image", "Version", "Delete", "Why"), map(_cells, images))
    outages = (outage_text(each) for each in controllers if not each.up)
    print_output(table if images else "No images", *outages)


def _cells(found: InventoryImage) -> tuple[Text, ...]:
    api_image = decode_api_image(found.image)
    image = api_image.image
    why = "; ".join(reason.text for reason in found.reasons)
    version = safe_text(" ".join(filter(None, (image.version, image.patch))))
    controller, name = safe_text(api_image.controller), safe_text(image.name or image.uuid)
    return controller, name, version, _ANSWERS[found.deletable], safe_text(why or "no unit refers to it")
