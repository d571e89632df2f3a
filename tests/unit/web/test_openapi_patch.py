"""The documented schema of a PATCH body accepts what ``decode_patch`` accepts, and nothing else."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator
from schemathesis import Case, GenerationMode

from monitor.model.errors import PatchProblem
from monitor.patching.body import FORMS, Patch, decode_patch
from monitor.patching.fields import ADJUSTABLE, OWNED, Adjustment
from monitor.patching.unit_body import decode_annotations
from monitor.web.openapi import document
from monitor.web.openapi_patch import PATCH_BODY, REF, UNIT_PATCH_BODY
from monitor.web.route import RequestBody
from monitor.web.routes import ROUTES
from tests.support.strategies import BOUNDED

pytestmark = pytest.mark.unmeasured
FEW = settings(
    BOUNDED, max_examples=25, suppress_health_check=list(HealthCheck)
)  # strategies made from schemas filter a lot
FORM_NAMES = [shape["$ref"].rpartition("/")[2] for shape in PATCH_BODY.schema["anyOf"]]
CLOUD = {"cloud_name": "vc", "cloud_data_values": [{"key": "region", "values": ["eu"]}]}

GOOD: Mapping[str, Any] = {"type": "IMAGE_TYPE_PATCH", "cloud_info_values": [CLOUD]} | dict.fromkeys(
    ("uber_bundle", "fips_mode_transition_applicable"), True
)
ODD: tuple[Any, ...] = (
    "x", "", "x" * 1024, "x" * 1025, "a\0", "a\n", "\x1b[31m", "\x7f", "\x9b", "é\u00a0", None, True, 0, 1.5, CLOUD, [],
    [CLOUD], [CLOUD | {"more": 1}], [{"cloud_name": 5}], [{"cloud_name": "a\n"}], [{"cloud_data_values": []}],
    [{"cloud_name": "x", "cloud_data_values": [{"key": "\0", "values": []}]}],
    [{"cloud_name": "x", "cloud_data_values": [{"key": "k", "values": ["\x1b"]}]}],
    {}, {"a": "x"}, {"a": None}, ["a"], [5],
)  # fmt: skip
KEYS = ("a", "a/b", "A.b_c-d", "k" * 63, "k" * 64, "a b", "a\n", "é", "")
OTHER_PATHS = (
    "/cloud_info_values/-", "/cloud_info_values/0", "/name/-", "/annotations", "/annotations/a", "/annotations/a~1b",
    "/annotations/a/b", "/annotations/a~0b", "/annotations/a\n", "/annotations/", "/annotations/" + "~1" * 63,
    "/annotations/" + "~1" * 64, "/progress", "/x", "/", "", "name", "/name\n",
)  # fmt: skip

odd: st.SearchStrategy[Any] = st.sampled_from(ODD)
notes = st.dictionaries(st.sampled_from(KEYS), st.just("x") | odd, max_size=2) | st.lists(st.sampled_from(KEYS)) | odd
members = st.fixed_dictionaries({}, optional={"annotations": notes, "_last_modified": st.just("1") | odd})
fields = st.lists(
    st.sampled_from([*ADJUSTABLE, min(OWNED), "x"]).flatmap(
        lambda field: st.tuples(st.just(field), st.just(GOOD.get(field, "x")) | st.none() | odd)
    ),
    max_size=2,
).map(dict)
images = st.builds(lambda ours, theirs: {**ours, **theirs}, members, fields)
steps = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "replace", "remove", "test", None]), "path": st.sampled_from(OTHER_PATHS)},
    optional={"value": odd, "from": st.just("/name")},
) | st.sampled_from(list(ADJUSTABLE)).flatmap(
    lambda field: st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "replace", "remove"]), "path": st.just(f"/{field}")},
        optional={"value": st.just(GOOD.get(field, "x")) | odd},
    )
)
contents = {form: (st.lists(steps, max_size=2) if form == "json_patch" else images) | odd for form in FORMS}
one_operation = st.sampled_from(list(FORMS)).flatmap(lambda form: st.fixed_dictionaries({form: contents[form]}))
operations = one_operation | st.fixed_dictionaries({}, optional=contents)
near_misses = images | st.builds(lambda form, beside: {**form, **beside}, operations, members) | odd


Decode = Callable[[bytes], Patch]


def validator_of(body: RequestBody) -> Draft202012Validator:
    return Draft202012Validator({**body.schema, "components": {"schemas": body.components}})


VALIDATORS: Mapping[Decode, Draft202012Validator] = {
    decode_patch: validator_of(PATCH_BODY),
    decode_annotations: validator_of(UNIT_PATCH_BODY),
}
VALIDATOR = VALIDATORS[decode_patch]
of_each_kind = pytest.mark.parametrize("decode", VALIDATORS, ids=["image", "unit"])


def refusal_of(body: object, decode: Decode = decode_patch) -> PatchProblem | None:
    try:
        decode(json.dumps(body).encode())
    except PatchProblem as refusal:
        return refusal
    return None


def beyond_schemas(refusal: PatchProblem) -> bool:
    """Whether it is refused for what JSON schema cannot express: the order of steps, and depth of nesting."""
    return refusal.kind == "bad-json" or (refusal.kind, refusal.path) == ("two-operations", "$.json_patch")


def agree(body: object, decode: Decode = decode_patch) -> bool:
    """Whether schema and decoder both accept the body, or both refuse it."""
    refusal = refusal_of(body, decode)
    if VALIDATORS[decode].is_valid(body):
        return refusal is None or beyond_schemas(refusal)
    return refusal is not None


def requests_of(form: str, mode: GenerationMode) -> st.SearchStrategy[Case[Any]]:
    """Valid or invalid requests by the document, as if this form were the only one."""
    narrowed = document(ROUTES)
    for content in narrowed["paths"]["/api/image/{uuid}"]["patch"]["requestBody"]["content"].values():
        content["schema"] = {"$ref": REF.format(name=form)}
        del content["examples"]
    return schemathesis.openapi.from_dict(narrowed)["/api/image/{uuid}"]["PATCH"].as_strategy(generation_mode=mode)


VALID = {form: requests_of(form, GenerationMode.POSITIVE) for form in FORM_NAMES}
INVALID = {form: requests_of(form, GenerationMode.NEGATIVE) for form in FORM_NAMES}


@pytest.mark.parametrize("form", FORM_NAMES)
@FEW
@given(data=st.data())
def test_a_body_that_is_valid_by_the_document_is_accepted(form: str, data: st.DataObject) -> None:
    refusal = refusal_of(data.draw(VALID[form]).body)
    assert refusal is None or beyond_schemas(refusal), refusal


@pytest.mark.parametrize("form", FORM_NAMES)
@FEW
@given(data=st.data())
def test_a_body_that_is_invalid_by_the_document_is_refused(form: str, data: st.DataObject) -> None:
    body = data.draw(INVALID[form]).body
    assert not isinstance(body, dict | list) or agree(body)


def with_one_member() -> Iterator[object]:
    """Every field with every value, as the only field, in every form."""
    for field, value in product([*ADJUSTABLE, min(OWNED), "x", "_last_modified", "annotations"], ODD):
        for image in ({field: value}, {field: GOOD.get(field, "x")}):
            yield image
            yield from ({form: image} for form in FORMS)
            yield {"add": {}} | image


def with_one_annotation() -> Iterator[object]:
    """Every key with a valid value, and every value with a valid key, in every place."""
    notes = [{key: "x"} for key in KEYS] + [{"a": value} for value in ODD] + [[key] for key in KEYS]
    for each in notes:
        yield {"annotations": each}
        yield {"delete": {}, "annotations": each}
        yield from ({form: {"annotations": each}} for form in FORMS)


def with_one_step() -> Iterator[object]:
    """Every path with every value, in every operation and in an unknown one."""
    for path, value in product([*(f"/{field}" for field in ADJUSTABLE), *OTHER_PATHS], ODD):
        for operation in ("add", "replace", "remove"):
            yield {"json_patch": [{"op": operation, "path": path, "value": value}]}
    for path, field in [*((path, "x") for path in OTHER_PATHS), *((f"/{field}", field) for field in ADJUSTABLE)]:
        for op in ("add", "replace", "remove", "test", None):
            step = {"op": op, "path": path}
            yield from ({"json_patch": [each]} for each in (step, step | {"value": GOOD.get(field, "x")}))
            yield {"json_patch": [step | {"value": "x"}], "annotations": {}}


@pytest.mark.parametrize(
    "bodies", [with_one_member, with_one_annotation, with_one_step], ids=lambda each: each.__name__
)
@of_each_kind
def test_schema_and_decoder_agree_on_bodies_with_one_fault(
    bodies: Callable[[], Iterable[object]], decode: Decode
) -> None:
    assert [body for body in bodies() if not agree(body, decode)] == []


@of_each_kind
@settings(FEW, max_examples=200)
@given(body=near_misses)
def test_schema_and_decoder_agree_on_bodies_that_are_nearly_valid(body: object, decode: Decode) -> None:
    assert agree(body, decode), refusal_of(body, decode)


@pytest.mark.parametrize("name", PATCH_BODY.examples)
def test_every_example_is_accepted(name: str) -> None:
    body = PATCH_BODY.examples[name]
    assert refusal_of(body) is None
    VALIDATOR.validate(body)
    if name in UNIT_PATCH_BODY.examples:
        assert refusal_of(body, decode_annotations) is None
        VALIDATORS[decode_annotations].validate(body)


@pytest.mark.parametrize(
    ("body", "accepted"),
    [
        ({"name": "x", "se_patch_ref": None}, False),
        ({"name": None, "se_patch_ref": None}, True),
        ({"replace": {"name": "x"}, "annotations": {"a": None}}, True),
        ({"replace": {"annotations": {}}, "annotations": {}}, False),
        ({"add": {"_last_modified": "1"}, "_last_modified": "1"}, False),
        ({"add": {}, "delete": {}}, False),
        ({"json_patch": [{"op": "add", "path": "/annotations/a", "value": "x"}], "annotations": {}}, False),
        ({"json_patch": [], "annotations": {}, "_last_modified": "1"}, True),
        ({"json_patch": [{"op": "remove", "path": "/name"}]}, True),
        ({"json_patch": [{"op": "replace", "path": "/name"}]}, False),
    ],
    ids=lambda value: json.dumps(value)[:60],
)
def test_the_schema_says_which_members_may_be_combined(body: Any, accepted: bool) -> None:  # noqa: ANN401
    assert (VALIDATOR.is_valid(body), refusal_of(body) is None) == (accepted, accepted)


def test_the_value_of_a_remove_step_is_ignored() -> None:
    step = {"op": "remove", "path": "/cloud_info_values", "value": [CLOUD]}
    assert decode_patch(json.dumps({"json_patch": [step]}).encode()).adjustment == Adjustment(
        "delete", {"cloud_info_values": None}
    )
