"""What leaves the machine in a recording: what is on the allow-list, and pseudonyms in the place of all else."""

import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.avi import wire
from monitor.avi.image import decode_image
from monitor.avi.members import MEMBERS, PASSING, TASKS, TEXTS
from monitor.avi.pseudonyms import Pseudonyms
from monitor.avi.scrub import Scrubber
from monitor.avi.upgrade import decode_upgrade
from monitor.model.errors import BadObject
from monitor.model.masking import KnownSecrets
from monitor.model.secret import Secret
from tests.support.strategies import BOUNDED, FEW, dumps, image_fields, images, json_values
from tests.support.upgrade_strategies import units

DATA = Path(__file__).parents[2] / "data"
KEY = b"a key that a test may know"
CANARY = "canary of Acme/Prod"
Steps = tuple[str | int, ...]


def scrubber(*names: str, secret: str = "", keep_texts: bool = True) -> Scrubber:
    secrets = KnownSecrets()
    if secret:
        secrets.add(Secret(secret))
    return Scrubber(KEY, secrets, names=names, keep_texts=keep_texts)


def scrubbed(document: object, **options: Any) -> Any:  # noqa: ANN401  any JSON
    return scrubber(**options).body(dumps(document))


def documents() -> list[object]:
    """The two replies that there are, with a value in every member that the decoders read as a text."""
    return [json.loads((DATA / name).read_text()) for name in ("image-page.json", "upgrade-status-at-rest.json")]


def places(value: object, at: Steps = ()) -> Iterator[tuple[Steps, str]]:
    """Every string of a document, with the way to it, and the member in which it stands."""
    if isinstance(value, str):
        yield at, next((step for step in reversed(at) if isinstance(step, str)), "")
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*at, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*at, index))


def replaced(document: object, at: Steps, text: str) -> object:
    """The document with another text at this place."""
    changed: Any = deepcopy(document)
    part = changed
    for step in at[:-1]:
        part = part[step]
    part[at[-1]] = text
    return changed


def test_no_string_at_any_place_survives_that_is_not_on_the_allow_list() -> None:
    for document in documents():
        for at, member in places(document):
            out = json.dumps(scrubbed(replaced(document, at, CANARY)))
            assert ("canary" in out) == (member in TEXTS | TASKS), at


def test_a_name_that_is_known_survives_in_no_free_text_and_in_no_task() -> None:
    for document in documents():
        for at, member in places(document):
            text = f"of {CANARY}: copied" if member in TEXTS | TASKS else CANARY
            out = json.dumps(scrubbed([{"name": CANARY}, replaced(document, at, text)]))
            assert "canary" not in out, at


def test_a_member_name_that_is_not_known_is_replaced_as_a_string_is() -> None:
    out = scrubbed({"labels": {"acme_prod": 1, "acme_test": 2}, "results": [{"acme_prod": True}]})
    assert out == {"member_1": {"member_2": 1, "member_3": 2}, "results": [{"member_2": True}]}


@BOUNDED
@given(json_values)
def test_every_string_of_any_json_is_allowed_or_a_pseudonym(document: object) -> None:
    try:
        out = scrubbed(document, keep_texts=False)
    except msgspec.MsgspecError:
        return  # no JSON: the recorder writes its size alone
    for name, text in strings(out):
        assert name in MEMBERS or re.fullmatch(r"member_\d+|", name)
        assert is_allowed(name, text) or is_pseudonym(text), (name, text)


@FEW
@given(images | units)
def test_no_part_of_a_string_of_an_object_survives_that_is_not_allowed(document: dict[str, object]) -> None:
    out = json.dumps(scrubbed(marked(document), keep_texts=False), ensure_ascii=False)
    assert MARK not in out


MARK = "\N{SNOWMAN}acme"


def marked(value: object, member: str = "") -> object:
    """The value with a mark behind each string that is not allowed, and after each member name that is not known."""
    if isinstance(value, dict):
        return {name if name in MEMBERS else name + MARK: marked(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [marked(inner, member) for inner in value]
    return value + MARK if isinstance(value, str) and not is_allowed(member, value) else value


def strings(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for inner_name, inner in value.items():
            yield inner_name, ""
            yield from strings(inner, inner_name)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner, name)
    elif isinstance(value, str):
        yield name, value


def is_allowed(name: str, text: str) -> bool:
    """By rules that are simpler than those of the program, and let more pass where that names nothing."""
    if text == "" or re.fullmatch(r"[\d:.+TZ -]*\d[\d:.+TZ -]*", text):
        return True
    forms = {id(pattern): pattern for pattern in PASSING.values()}
    return name in TASKS or (name in PASSING and id(PASSING[name]) in forms and PASSING[name].match(text) is not None)


def is_pseudonym(text: str) -> bool:
    return (
        re.fullmatch(r"name-\d+|10(\.\d{1,3}){3}|fd[0-9a-f:]+|https?://(name-\d+)?(:\d+)?.*|/api/.*", text) is not None
    )


@BOUNDED
@given(st.lists(st.text(min_size=1), min_size=2, unique=True))
def test_a_string_has_one_pseudonym_and_no_other_string_has_it(texts: list[str]) -> None:
    document = [{"name": text} for text in (*texts, *texts)]
    out = [each["name"] for each in Scrubber(KEY, KnownSecrets()).body(msgspec.json.encode(document))]  # type: ignore[union-attr,index,call-overload]
    assert out[: len(texts)] == out[len(texts) :]
    assert len(set(out)) == len(texts)


@BOUNDED
@given(st.sets(st.ip_addresses(v=4).map(str), min_size=2), st.sets(st.ip_addresses(v=6).map(str)), st.sets(st.uuids()))
def test_addresses_and_uuids_keep_their_form_and_are_told_apart(v4: set[str], v6: set[str], uuids: set[object]) -> None:
    of = Pseudonyms(KEY)
    made = {text: of.address(text) or "" for text in (*v4, *v6)}
    assert all(made[text].startswith("10.") for text in v4)
    assert all(made[text].startswith("fd") and ":" in made[text] for text in v6)
    made |= {str(uuid): of.id(str(uuid)) or "" for uuid in uuids}
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", made[str(uuid)]) for uuid in uuids)
    assert len(set(made.values())) == len(made)


def test_two_values_whose_pseudonyms_would_be_the_same_get_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.avi.pseudonyms.digest", lambda _key, message, _hash: bytes([message[0]]) * 32)
    of = Pseudonyms(KEY)
    assert [of.address("192.0.2.1"), of.address("192.0.2.2"), of.address("192.0.2.1")] == [
        "10.48.48.48", "10.49.49.49", "10.48.48.48"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("uuid", "form"),
    [
        ("image-0d9c1f4e-6a55-4c0b-9c43-2f0f6f1f8a11", r"image-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
        ("se-i-0a1b2c3d4e5f60718", r"se-i-[0-9a-f]{17}"),
        ("se-005056b0a1b2-avitag-1", r"se-[0-9a-f]{12}-avitag-1"),
        ("9e107d9d372bb6826bd81d3542a419d6", r"[0-9a-f]{32}"),
    ],
)
def test_a_uuid_keeps_its_prefix_and_its_form(uuid: str, form: str) -> None:
    (made,) = scrubbed({"uuid": uuid}).values()
    assert re.fullmatch(form, made)
    assert made != uuid


@pytest.mark.parametrize("name", ["cluster-0-1", "Default-Group", "se-frankfurt-1", "acme-0d9c1f4e", "deadbeef"])
def test_a_name_is_no_uuid(name: str) -> None:
    assert scrubbed({"name": name}) == {"name": "name-1"}


def test_references_lead_to_the_same_object_as_before() -> None:
    uuid = "image-0d9c1f4e-6a55-4c0b-9c43-2f0f6f1f8a11"
    url = f"https://avi.acme.com/api/image/{uuid}"
    made = scrubbed(
        {"uuid": uuid, "url": url, "name": "golden", "image_ref": f"{url}#golden", "next": f"/api/image/{uuid}"}
    )
    assert re.fullmatch(rf"https://name-\d/api/image/{made['uuid']}", made["url"])
    assert made["image_ref"] == f"{made['url']}#{made['name']}"
    assert made["next"] == f"/api/image/{made['uuid']}"


@pytest.mark.parametrize(
    ("url", "made"),
    [
        ("/api/image?page_size=200&page=2", "/api/image?page_size=200&page=2"),
        ("/api/image/?name=golden", "/api/image/?name=name-1"),
        ("/api/image/?name=31.1.1-9122-20250213.101500", "/api/image/?name=31.1.1-9122-20250213.101500"),
        ("/api/image?include_name=true&owner=acme", "/api/image?include_name=true&member_1=name-1"),
        ("/api/image?owner=200&sort", "/api/image?member_1=name-1&sort"),
        ("https://avi.acme.com:8443/api/tenant/prod#prod", "https://name-1:8443/api/tenant/name-2#name-2"),
        ("https://[2001:db8::1]/api/image", r"https://\[fd[0-9a-f:]+\]/api/image"),
        ("https://root:secret@192.0.2.1/", r"https://10\.\d+\.\d+\.\d+/"),
        ("https:///api/image", "https:///api/image"),
        ("ftp://acme/a%20b", "other://name-1/name-2"),
        ("acme", "name-1"),
    ],
)
def test_a_url_keeps_what_the_api_has_in_it(url: str, made: str) -> None:
    found = scrubber().url(url)
    assert found == made or re.fullmatch(made, found)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("Init segroup(Default-Group)", "Init segroup(name-1)"),
        ("Init segroup(DEFAULT-GROUP)", "Init segroup(name-1)"),
        ("xDefault-Groupx", "xname-1x"),
        ("dc in the dcs, DC_1", "name-2 in the dcs, name-2_1"),
        ("from 192.0.2.1.", r"from 10\.\d+\.\d+\.\d+\."),
        ("ip192.0.2.1, 999.1.2.3", r"ip10\.\d+\.\d+\.\d+, 999\.1\.2\.3"),
        ("at fe80::1 and ::ffff:192.0.2.1", r"at fd[0-9a-f:]+ and fd[0-9a-f:]+"),
        ("2025-02-13 10:31:05 took 00:01:35, 10:31", "2025-02-13 10:31:05 took 00:01:35, 10:31"),
        ("00:50:56:b0:a1:b2 is not found", "name-3 is not found"),
        ("mail root@acme.com or see www.acme.com, acme.local", "mail name-3 or see name-4, name-5"),
        ("31.2.2-9123-20250615.024303 in controller.pkg", "31.2.2-9123-20250615.024303 in controller.pkg"),
        ("GET https://acme/api/image: 502", "GET https://name-3/api/image: 502"),
        ("se-i-0a1b2c3d4e5f60718 has left", r"se-i-[0-9a-f]{17} has left"),
        ("", ""),
    ],
)
def test_a_free_text_is_kept_without_what_it_names(text: str, made: str) -> None:
    found = scrubber("Default-Group", "dc").text(text)
    assert found == made or re.fullmatch(made, found)


def test_a_name_in_another_case_that_only_a_pattern_takes_for_the_same_is_replaced_too() -> None:
    assert "ſecret" not in scrubber("Secret").text("Secret, ſecret")


def test_the_name_of_a_task_passes_and_names_in_it_are_replaced_as_whole_words() -> None:
    events = [{"task_name": "InstallImage on prod", "sub_tasks": ["Install", "reproduce prod"]}]
    assert scrubbed([{"name": "prod"}, {"events": events}], keep_texts=False)[1] == {
        "events": [{"task_name": "InstallImage on name-1", "sub_tasks": ["Install", "reproduce name-1"]}]
    }


def test_free_texts_can_be_left_out() -> None:
    out = scrubbed({"reason": "any", "seg_status": {"notes": ["one", "two"]}}, keep_texts=False)
    assert out == {"reason": "", "seg_status": {"notes": ["", ""]}}


def test_the_vendors_words_are_replaced_but_are_no_names_in_texts() -> None:
    build = {"product": "controller", "hash": "", "path": "2025-02-13 10:31:02"}
    assert scrubbed({"build": build, "reason": "the controller is full"}) == {
        "build": {"product": "name-1", "hash": "", "path": "2025-02-13 10:31:02"},
        "reason": "the controller is full",
    }


def test_no_secret_stands_in_what_is_kept() -> None:
    secret = "UPGRADE_31"
    document = {
        "upgrade_ops": secret,
        "reason": f"refused {secret}",
        "task_name": secret,
        "name": secret,
        "next": secret,
    }
    out = json.dumps(scrubbed(document, secret=secret))
    assert secret not in out
    assert out.count("<secret>") == 3


def test_a_secret_that_came_later_is_masked_in_what_was_kept_before() -> None:
    secrets = KnownSecrets()
    scrub = Scrubber(KEY, secrets)
    body = b'{"reason": "of UPGRADE_31", "upgrade_ops": "UPGRADE_31"}'
    before = scrub.body(body)
    secrets.add(Secret("UPGRADE_31"))
    assert scrub.body(body) == {"reason": "of <secret>", "upgrade_ops": "<secret>"} != before
    secrets.add(Secret("of <sec"))
    assert scrub.text("of UPGRADE_31") == "of <secret>"


def test_a_version_that_is_an_address_is_an_address() -> None:
    assert scrubbed({"version": "192.0.2.1"})["version"].startswith("10.")


def test_a_log_in_leaves_its_members_and_the_version() -> None:
    reply = {
        "user": {"username": "root"},
        "version": {"Version": "30.2.1", "Tag": "30.2.1-9114"},
        "acme": [1],
        "sso": True,
    }
    assert scrubber().login_body(dumps(reply)) == {
        "user": None,
        "version": {"Version": "30.2.1", "Tag": "30.2.1-9114"},
        "member_1": None,
        "sso": None,
    }
    assert scrubber().login_body(b'{"version": "30.2.1"}') == {"version": "30.2.1"}
    assert scrubber().login_body(b'{"error": "bad"}') == {"error": None}
    assert scrubber().login_body(b"<html>") is None


def test_every_member_that_is_read_is_recorded_under_its_own_name() -> None:
    modules = [import_module(f"monitor.avi.{path.stem}") for path in Path(wire.__file__).parent.glob("[a-z]*.py")]
    kinds = {kind for module in modules for kind in vars(module).values() if isinstance(kind, type)}
    read = {
        field.encode_name for kind in kinds if issubclass(kind, wire.Wire) for field in msgspec.structs.fields(kind)
    }
    assert read - MEMBERS == set()
    assert read > {"uuid", "se_upgrade_completed", "in_use", "session_cookie_name"}


def test_what_hypothesis_draws_for_an_image_is_known() -> None:
    assert set(image_fields) - MEMBERS == set()


@FEW
@given(images | units)
def test_what_decides_is_decoded_as_before(document: dict[str, object]) -> None:
    document = {**document, "uuid": "image-0d9c1f4e-6a55-4c0b-9c43-2f0f6f1f8a11"}
    out = scrubbed(document)
    decoders: tuple[Callable[[msgspec.Raw], Any], ...] = (decode_image, decode_upgrade)
    for decode in decoders:
        try:
            before, unknown_before = decode(msgspec.Raw(dumps(document)))
        except BadObject as error:
            with pytest.raises(BadObject, match=re.escape(str(error).partition(" - at ")[2])):
                decode(msgspec.Raw(dumps(out)))
            continue
        after, unknown_after = decode(msgspec.Raw(dumps(out)))
        assert facts(after) == facts(before)
        assert sorted(unknown_after) == sorted(unknown_before)


def facts(decoded: Any) -> dict[str, object]:  # noqa: ANN401  an Image or an Upgrade
    """What no name is a part of."""
    names = {
        "uuid", "name", "tenant", "cloud", "type", "version", "previous", "patch", "reason", "images", "engines",
        "notes", "events", "checks", "dry_run", "fsm", "target",
    }  # fmt: skip
    told = {field: getattr(decoded, field) for field in decoded.__struct_fields__ if field not in names}
    return {**told, "events": [(each.state, each.started_at, each.ended_at) for each in decoded.events]}
