"""
The fields of an image that an operator may change on its Controller, and what a change does to them. Pure.

The allow-list is ours: no Controller publishes which fields of an Image it lets clients change. Names and types are the
vendor's.
Source: Avi API objects Image, ImageCloudData and ImageCloudSpecificData, releases 18.2.6 to 32.2.1.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

Operation = Literal["add", "replace", "delete"]
Json = Any  # any JSON value

# as in annotations.Key, `$` alone would allow a newline at the end
PLAIN: Final = r"^[^\x00-\x1f\x7f-\x9f]*$(?!\n)"
"""
The pattern of every string that is sent to a Controller: without control characters, which would change what a terminal
shows and break lines of logs.
"""

Line = Annotated[str, Meta(pattern=PLAIN)]
Text = Annotated[str, Meta(min_length=1, max_length=1024, pattern=PLAIN)]


class CloudValues(Struct, frozen=True, forbid_unknown_fields=True):
    """One parameter of a cloud."""

    key: Line
    values: list[Line] = []


class CloudInfo(Struct, frozen=True, forbid_unknown_fields=True):
    """Values for one cloud."""

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
"""Fields that the Controller owns (and ``controller``, which we add): refused by name."""

LISTS: Final = frozenset({"cloud_info_values"})


class Adjustment(Struct, frozen=True):
    """
    A change of an image on its Controller, in the form in which it is sent.

    ``fields``: JSON values by field name. For ``delete``, a list names the entries to remove, None unsets the field.
    """

    operation: Operation
    fields: Mapping[str, Json]


def field_changes(image: Mapping[str, Json], adjustment: Adjustment) -> Mapping[str, tuple[Json, Json]]:
    """Return the fields of an image before and after an adjustment; None: absent."""
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
    Encode the body of the request in the Controller's form.

    ``image``: as it is on the Controller now; a field to unset is sent with its present value.
    """
    fields = {
        field: image.get(field) if value is None and adjustment.operation == "delete" else value
        for field, value in adjustment.fields.items()
    }
    return msgspec.json.encode({adjustment.operation: fields})
