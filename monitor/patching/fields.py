"""
What an operator may change of an image on its Controller, and what a change makes of it. Pure.

The allow-list is ours: no Controller publishes which fields of an Image it lets go. Names and types are the vendor's.
Source: Avi API objects Image, ImageCloudData and ImageCloudSpecificData, releases 18.2.6 to 32.2.1.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

Operation = Literal["add", "replace", "delete"]
Json = Any  # what a field of the Controller's may hold

# as in annotations.Key, `$` alone would let a newline pass at the end
PLAIN: Final = r"^[^\x00-\x1f\x7f-\x9f]*$(?!\n)"
"""What every text that goes out is: control characters would be carried out by terminals, and break lines of logs."""

Line = Annotated[str, Meta(pattern=PLAIN)]
Text = Annotated[str, Meta(min_length=1, max_length=1024, pattern=PLAIN)]


class CloudValues(Struct, frozen=True, forbid_unknown_fields=True):
    """One parameter of a cloud."""

    key: Line
    values: list[Line] = []


class CloudInfo(Struct, frozen=True, forbid_unknown_fields=True):
    """What is particular to one cloud."""

    cloud_name: Line
    cloud_data_values: list[CloudValues] = []


ADJUSTABLE: Final[Mapping[str, Any]] = {
    "name": Text,
    "controller_patch_ref": Text,
    "se_patch_ref": Text,
    "controller_patch_name": Text,
    "se_patch_name": Text,
    "uber_bundle": bool,
    "fips_mode_transition_applicable": bool,
    "type": Literal["IMAGE_TYPE_SYSTEM", "IMAGE_TYPE_PATCH", "IMAGE_TYPE_MUST_CHECK"],
    "cloud_info_values": list[CloudInfo],
}
"""The fields of an Image that an operator may change, and their types."""

OWNED: Final = frozenset(
    {
        "uuid", "url", "tenant_ref", "status", "img_state", "progress", "total_tasks", "tasks_completed", "duration",
        "start_time", "end_time", "events", "migrations", "controller_info", "se_info", "dryrun_info",
        "in_use_info", "controller",
    }
)  # fmt: skip
"""Those that are the Controller's own (and ``controller``, which is ours): refused by name."""

LISTS: Final = frozenset({"cloud_info_values"})


class Adjustment(Struct, frozen=True):
    """
    A change of the image on its Controller, as it goes out.

    ``fields``: JSON values by field name. For ``delete`` a list names the entries to lose, None unsets it all.
    """

    operation: Operation
    fields: Mapping[str, Json]


def adjust(image: Mapping[str, Json], adjustment: Adjustment) -> Mapping[str, tuple[Json, Json]]:
    """What an adjustment makes of the image's fields: before and after of each one named; None: not there."""
    return {
        field: (image.get(field), _after(image.get(field), adjustment.operation, value))
        for field, value in adjustment.fields.items()
    }


def _after(before: Json, operation: Operation, value: Json) -> Json:
    if isinstance(value, list) and operation == "add":
        return [*(before or ()), *value]
    if operation == "delete":
        return [entry for entry in before if entry not in value] if _are_lists(before, value) else None
    return value


def _are_lists(before: Json, value: Json) -> bool:
    return isinstance(before, list) and isinstance(value, list)


def encode_adjustment(adjustment: Adjustment, image: Mapping[str, Json]) -> bytes:
    """
    Write the one request in the Controller's form.

    ``image``: as it is there now; what is to be unset is named by its value.
    """
    fields = {
        field: image.get(field) if value is None and adjustment.operation == "delete" else value
        for field, value in adjustment.fields.items()
    }
    return msgspec.json.encode({adjustment.operation: fields})
