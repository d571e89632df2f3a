"""
The JSON schema of a PATCH body, made from the types that ``monitor.patching.body`` decodes.

What JSON schema cannot express is only checked by the decoder (400 or 422): that no key is repeated, that nothing is
nested deeper than any Image, that the steps of a ``json_patch`` form one operation, and the number of annotations of an
image.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from monitor.patching.annotations import Value
from monitor.patching.body import FORMS, MEDIA_TYPES, Delete, Merge, SetFields
from monitor.patching.fields import ADJUSTABLE, LISTS, CloudInfo
from monitor.web.route import RequestBody

Json = Any

REF: Final = "#/components/schemas/{name}"
# as annotations.Key, with `/` escaped as in a JSON pointer (RFC 6901)
_ANNOTATION: Final = r"^/annotations/([a-zA-Z0-9._-]|~1){1,63}$(?!\n)"

_COMPONENTS: Final = msgspec.json.schema_components([SetFields, Delete, Merge, CloudInfo], ref_template=REF)[1]
_COMMON: Final[Mapping[str, Json]] = {
    name: _COMPONENTS["Merge"]["properties"][name] for name in ("annotations", "_last_modified")
}
"""Members that every body may have, beside those for the Controller."""

_OPERATIONS: Final = {form: f"{form.capitalize()}Operation" for form in FORMS if form != "json_patch"}


def _object(properties: Mapping[str, Json], *required: str, **more: Json) -> Json:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
        **more,
    }


def _set() -> Json:
    return {
        **_COMPONENTS["SetFields"],
        "title": "Set",
        "description": "A partial Image: values to set. Annotations are merged, null removes one.",
        "properties": _COMPONENTS["SetFields"]["properties"] | _COMMON,
    }


def _unset() -> Json:
    """Fields are only unset: to set others in the same body would be a second operation."""
    nulls = {field: {"type": "null"} for field in ADJUSTABLE}
    return _object({**nulls, **_COMMON}, title="Unset", description="A partial Image: fields to unset.")


def _operation(form: str, content_name: str) -> Json:
    """The Controller's own form. A common member may be inside or beside the operation, not both."""
    content = {"$ref": REF.format(name=content_name)}
    repeated = [
        {"required": [form, name], "properties": {form: {"type": "object", "required": [name]}}} for name in _COMMON
    ]
    return _object({form: content, **_COMMON}, form, **{"not": {"anyOf": repeated}})


def _json_patch() -> Json:
    """The form of the vendor's SDK. Annotations are either in the steps or beside them."""
    without = {name: schema for name, schema in _COMMON.items() if name != "annotations"}
    in_steps = _object({"json_patch": _list_of("Step"), **without}, "json_patch")
    return {"anyOf": [in_steps, _object({"json_patch": _list_of("FieldStep"), **_COMMON}, "json_patch")]}


def _list_of(name: str) -> Json:
    return {"type": "array", "items": {"$ref": REF.format(name=name)}}


def _field_step() -> Json:
    """A step that adjusts a field, with a value of the type of that field."""
    types = _COMPONENTS["SetFields"]["properties"]
    sets = [_step_schema(["add", "replace"], {"const": f"/{field}"}, types[field]) for field in ADJUSTABLE]
    appends = [_step_schema(["add"], {"const": f"/{field}/-"}, types[field]["items"]) for field in sorted(LISTS)]
    removes = _step_schema(["remove"], {"enum": [f"/{field}" for field in ADJUSTABLE]}, None)
    return {"anyOf": [*sets, *appends, removes]}


def _annotation_step() -> Json:
    sets = _step_schema(["add", "replace"], {"pattern": _ANNOTATION}, msgspec.json.schema(Value))
    removes = _step_schema(["remove"], {"pattern": _ANNOTATION}, None)
    return {"anyOf": [sets, removes]}


def _step_schema(operations: list[str], path: Json, value: Json) -> Json:
    """``value``: None when the operation needs none and ignores it."""
    properties = {"op": {"enum": operations}, "path": {"type": "string", **path}, "value": value or {}}
    return _object(properties, "op", "path", *(["value"] if value else []))


def _any_of(*names: str) -> Json:
    return {"anyOf": [{"$ref": REF.format(name=name)} for name in names]}


def _annotations_json_patch() -> Json:
    """As `_json_patch`: annotations are either in the steps or beside them."""
    beside = _object({"json_patch": {"type": "array", "maxItems": 0}, **_COMMON}, "json_patch")
    modified = {"_last_modified": _COMMON["_last_modified"]}
    return {"anyOf": [_object({"json_patch": _list_of("AnnotationStep"), **modified}, "json_patch"), beside]}


def _annotations_in(name: str) -> Json:
    """The content of an operation, of which only the common members are left."""
    return _object({member: _COMPONENTS[name]["properties"][member] for member in _COMMON})


def _examples() -> Mapping[str, Json]:
    rename = {"name": "31.2.2-9001, staged"}
    return {
        "annotate": {"annotations": {"change": "CHG0042311", "owner": "net-ops"}},
        "acknowledge": {"annotations": {"acknowledged": "true"}},
        "rename": rename,
        "rename, in the Controller's form": {"replace": rename},
        "rename, in the SDK's form": {"json_patch": [{"op": "replace", "path": "/name", "value": rename["name"]}]},
    }


PATCH_BODY: Final = RequestBody(
    description="One operation: a partial Image, or one in the form of the Controller or of the vendor's SDK.",
    media_types=MEDIA_TYPES,
    schema=_any_of("Set", "Unset", *_OPERATIONS.values(), "JsonPatch"),
    components={
        **{name: _COMPONENTS[name] for name in _COMPONENTS if name != "Merge"},
        "Set": _set(),
        "Unset": _unset(),
        "FieldStep": _field_step(),
        "AnnotationStep": _annotation_step(),
        "Step": _any_of("FieldStep", "AnnotationStep"),
        **{name: _operation(form, FORMS[form].__name__) for form, name in _OPERATIONS.items()},
        "JsonPatch": _json_patch(),
    },
    examples=_examples(),
)

_OF_ANNOTATIONS: Final = {form: f"{form.capitalize()}Annotations" for form in _OPERATIONS}

UNIT_PATCH_BODY: Final = RequestBody(
    description="Annotations, in any form that a PATCH of an image has.",
    media_types=MEDIA_TYPES,
    schema=_any_of("Annotations", *_OF_ANNOTATIONS.values(), "AnnotationsJsonPatch"),
    components={
        "Annotations": _object(_COMMON, title="Annotations", description="Annotations to merge; null removes one."),
        "AnnotationsToSet": _annotations_in("SetFields"),
        "AnnotationsToDelete": _annotations_in("Delete"),
        "AnnotationStep": _annotation_step(),
        **{
            name: _operation(form, "AnnotationsToDelete" if form == "delete" else "AnnotationsToSet")
            for form, name in _OF_ANNOTATIONS.items()
        },
        "AnnotationsJsonPatch": _annotations_json_patch(),
    },
    examples={name: value for name, value in _examples().items() if value.keys() == {"annotations"}},
)
