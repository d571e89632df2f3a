"""
The JSON schema of a PATCH body, put together from the types with which ``monitor.patching.body`` decodes.

What JSON schema cannot say is left to the answers 400 and 422: that no key stands twice, that nothing is nested deeper
than any Image, that the steps of a ``json_patch`` can be one operation, that an image has no more annotations than it
may.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from monitor.patching.annotations import Value
from monitor.patching.body import FORMS, MEDIA_TYPES, Change, Delete, Merge
from monitor.patching.fields import ADJUSTABLE, LISTS, CloudInfo
from monitor.web.route import Body

Json = Any

REF: Final = "#/components/schemas/{name}"
# as in annotations.Key, with `/` written as a JSON pointer writes it (RFC 6901)
_ANNOTATION: Final = r"^/annotations/([a-zA-Z0-9._-]|~1){1,63}$(?!\n)"

_COMPONENTS: Final = msgspec.json.schema_components([Change, Delete, Merge, CloudInfo], ref_template=REF)[1]
_BESIDE: Final[Mapping[str, Json]] = {
    name: _COMPONENTS["Merge"]["properties"][name] for name in ("annotations", "_last_modified")
}
"""What may stand in every body, beside what it asks of the Controller."""

_OPERATIONS: Final = {form: f"{form.capitalize()}Operation" for form in FORMS if form != "json_patch"}


def _object(properties: Mapping[str, Json], *required: str, **more: Json) -> Json:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
        **more,
    }


def _setting() -> Json:
    """A partial Image that sets fields."""
    return {**_COMPONENTS["Change"], "title": "Set", "properties": _COMPONENTS["Change"]["properties"] | _BESIDE} | {
        "description": "A partial Image: values to set. Annotations are merged, null removes one."
    }


def _unsetting() -> Json:
    """A partial Image that unsets fields: never beside others that are set, which would be two operations."""
    nulls = {field: {"type": "null"} for field in ADJUSTABLE}
    return _object({**nulls, **_BESIDE}, title="Unset", description="A partial Image: fields to unset.")


def _operation(form: str) -> Json:
    """The Controller's own form. What may stand beside it may not stand inside, too."""
    inside = {"$ref": REF.format(name=FORMS[form].__name__)}
    doubled = [
        {"required": [form, name], "properties": {form: {"type": "object", "required": [name]}}} for name in _BESIDE
    ]
    return _object({form: inside, **_BESIDE}, form, **{"not": {"anyOf": doubled}})


def _steps() -> Json:
    """The form of the vendor's SDK. Annotations stand in the steps or beside them."""
    beside = {name: shape for name, shape in _BESIDE.items() if name != "annotations"}
    within = _object({"json_patch": _list_of("Step"), **beside}, "json_patch")
    return {"anyOf": [within, _object({"json_patch": _list_of("FieldStep"), **_BESIDE}, "json_patch")]}


def _list_of(name: str) -> Json:
    return {"type": "array", "items": {"$ref": REF.format(name=name)}}


def _field_step() -> Json:
    """A step that adjusts: which value may go to which field."""
    kinds = _COMPONENTS["Change"]["properties"]
    sets = [_one_step(["add", "replace"], {"const": f"/{field}"}, kinds[field]) for field in ADJUSTABLE]
    appends = [_one_step(["add"], {"const": f"/{field}/-"}, kinds[field]["items"]) for field in sorted(LISTS)]
    removes = _one_step(["remove"], {"enum": [f"/{field}" for field in ADJUSTABLE]}, None)
    return {"anyOf": [*sets, *appends, removes]}


def _step() -> Json:
    """Any step."""
    sets = _one_step(["add", "replace"], {"pattern": _ANNOTATION}, msgspec.json.schema(Value))
    removes = _one_step(["remove"], {"pattern": _ANNOTATION}, None)
    return {"anyOf": [{"$ref": REF.format(name="FieldStep")}, sets, removes]}


def _one_step(operations: list[str], path: Json, value: Json) -> Json:
    """``value``: None where any may stand, and none has to."""
    properties = {"op": {"enum": operations}, "path": {"type": "string", **path}, "value": value or {}}
    return _object(properties, "op", "path", *(["value"] if value else []))


def _examples() -> Mapping[str, Json]:
    rename = {"name": "31.2.2-9001, staged"}
    return {
        "annotate": {"annotations": {"change": "CHG0042311", "owner": "net-ops"}},
        "acknowledge": {"annotations": {"acknowledged": "true"}},
        "rename": rename,
        "rename, in the Controller's form": {"replace": rename},
        "rename, in the SDK's form": {"json_patch": [{"op": "replace", "path": "/name", "value": rename["name"]}]},
    }


PATCH_BODY: Final = Body(
    description="One operation: a partial Image, or one in the Controller's own form, or in that of the vendor's SDK.",
    media_types=MEDIA_TYPES,
    schema={
        "anyOf": [{"$ref": REF.format(name=name)} for name in ("Set", "Unset", *_OPERATIONS.values(), "JsonPatch")]
    },
    components={
        **{name: _COMPONENTS[name] for name in _COMPONENTS if name != "Merge"},
        "Set": _setting(),
        "Unset": _unsetting(),
        "FieldStep": _field_step(),
        "Step": _step(),
        **{name: _operation(form) for form, name in _OPERATIONS.items()},
        "JsonPatch": _steps(),
    },
    examples=_examples(),
)
