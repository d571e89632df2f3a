"""The tables of metric families: an image or a health in, literal exposition text out."""

from collections.abc import Sequence
from typing import TypeVar, get_args

import pytest
from msgspec.structs import replace

from monitor.metrics.controller import READ_FAMILIES, SESSION_FAMILIES
from monitor.metrics.family import CORE, DETAIL, NODE, Family, Subject, escape, format_number
from monitor.metrics.image import IMAGE_FAMILIES
from monitor.metrics.scrape_order import AnyFamily, families_of, scrape_columns
from monitor.model.errors import Reason
from monitor.model.health import ReadHealth, SessionHealth
from monitor.model.image import Image, ImageState
from monitor.model.tracked import Event
from monitor.polling.resources import FAMILIES

S = TypeVar("S")

IMAGE = Image(
    uuid="u1",
    name="31.1.1-9122",
    tenant="admin",
    type="system",
    version="31.1.1",
    patch="2p1",
    uber_bundle=True,
    state="in_progress",
    progress_ratio=0.37,
    tasks=6,
    tasks_completed=2,
    state_changed_at=1739443000.25,
    started_at=1739442665.0,
    ended_at=1739443001.0,
    last_modified_at=1739443002.5,
    duration_s=335.0,
    events=(
        Event("Extract", "n1", "succeeded", "SYSERR_SUCCESS", 1739442665.0, 1739442760.0, 95.0),
        Event("Copy", "n1", "running", "", 1739442770.0),
        Event("Copy", "n2", "failed", "SYSERR_IO"),
    ),
)
CHANGED_AT = 1739443003.125

SESSION = SessionHealth(
    up=True,
    version="31.1.1",
    api_version="30.2.1",
    interval_s=5.0,
    attempted_at=1739443000.5,
    polls=6,
    durations=(1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 3),
    durations_sum_s=61.5,
    logins=2,
    certificate_expires_at=1750000000.0,
)
READ = ReadHealth(
    succeeded_at=1739443001.5,
    failures={"dns": 2, "tls": 1},
    bad_objects=1,
    series_dropped=40,
    unknown_values={"type": 2, "time": 1},
)


def family_of(families: Sequence[Family[S]], name: str) -> Family[S]:
    (family,) = (each for each in families if each.name == name)
    return family


def of_image(name: str, image: Image = IMAGE, *, controller: str = "c1") -> str:
    return of_subject(name, Subject(image, CHANGED_AT), controller=controller)


def of_subject(name: str, subject: Subject[Image], *, controller: str = "c1") -> str:
    family = family_of(IMAGE_FAMILIES, name)
    return family.render((escape(controller), escape(subject.object.uuid)), subject).decode()


def of_health(name: str, session: SessionHealth = SESSION, read: ReadHealth = READ, *, controller: str = "c1") -> str:
    if name in {family.name for family in READ_FAMILIES}:
        return family_of(READ_FAMILIES, name).render((escape(controller), "image"), read).decode()
    return family_of(SESSION_FAMILIES, name).render((escape(controller),), session).decode()


# --- one row of the table each

IMAGE_TEXTS = {
    "avi_image_info": (
        'avi_image_info{controller="c1",image="31.1.1-9122",image_uuid="u1",patch="2p1",tenant="admin",type="system",'
        'uber_bundle="true",version="31.1.1"} 1.0\n'
    ),
    "avi_image_progress_ratio": 'avi_image_progress_ratio{controller="c1",image_uuid="u1"} 0.37\n',
    "avi_image_tasks": 'avi_image_tasks{controller="c1",image_uuid="u1"} 6.0\n',
    "avi_image_tasks_completed": 'avi_image_tasks_completed{controller="c1",image_uuid="u1"} 2.0\n',
    "avi_image_state": (
        'avi_image_state{controller="c1",image_uuid="u1",state="started"} 0.0\n'
        'avi_image_state{controller="c1",image_uuid="u1",state="in_progress"} 1.0\n'
        'avi_image_state{controller="c1",image_uuid="u1",state="completed"} 0.0\n'
        'avi_image_state{controller="c1",image_uuid="u1",state="failed"} 0.0\n'
        'avi_image_state{controller="c1",image_uuid="u1",state="unknown"} 0.0\n'
    ),
    "avi_image_state_changed_timestamp_seconds": (
        'avi_image_state_changed_timestamp_seconds{controller="c1",image_uuid="u1"} 1.73944300025e+09\n'
    ),
    "avi_image_start_timestamp_seconds": (
        'avi_image_start_timestamp_seconds{controller="c1",image_uuid="u1"} 1.739442665e+09\n'
    ),
    "avi_image_end_timestamp_seconds": (
        'avi_image_end_timestamp_seconds{controller="c1",image_uuid="u1"} 1.739443001e+09\n'
    ),
    "avi_image_last_modified_timestamp_seconds": (
        'avi_image_last_modified_timestamp_seconds{controller="c1",image_uuid="u1"} 1.7394430025e+09\n'
    ),
    "avi_image_duration_seconds": 'avi_image_duration_seconds{controller="c1",image_uuid="u1"} 335.0\n',
    "avi_image_progress_changed_timestamp_seconds": (
        'avi_image_progress_changed_timestamp_seconds{controller="c1",image_uuid="u1"} 1.739443003125e+09\n'
    ),
    "avi_image_annotations": 'avi_image_annotations{controller="c1",image_uuid="u1"} 0.0\n',
    "avi_image_acknowledged": 'avi_image_acknowledged{controller="c1",image_uuid="u1"} 0.0\n',
    "avi_image_annotation_info": "",
    "avi_image_node_events": (
        'avi_image_node_events{controller="c1",image_uuid="u1",node="n1",state="pending"} 0.0\n'
        'avi_image_node_events{controller="c1",image_uuid="u1",node="n1",state="running"} 1.0\n'
        'avi_image_node_events{controller="c1",image_uuid="u1",node="n1",state="succeeded"} 1.0\n'
        'avi_image_node_events{controller="c1",image_uuid="u1",node="n1",state="failed"} 0.0\n'
        'avi_image_node_events{controller="c1",image_uuid="u1",node="n2",state="pending"} 0.0\n'
        'avi_image_node_events{controller="c1",image_uuid="u1",node="n2",state="running"} 0.0\n'
        'avi_image_node_events{controller="c1",image_uuid="u1",node="n2",state="succeeded"} 0.0\n'
        'avi_image_node_events{controller="c1",image_uuid="u1",node="n2",state="failed"} 1.0\n'
    ),
    "avi_image_node_event_state": (
        'avi_image_node_event_state{controller="c1",image_uuid="u1",node="n1",state="succeeded",'
        'status="SYSERR_SUCCESS",task="Extract"} 1.0\n'
        'avi_image_node_event_state{controller="c1",image_uuid="u1",node="n1",state="running",status="",'
        'task="Copy"} 1.0\n'
        'avi_image_node_event_state{controller="c1",image_uuid="u1",node="n2",state="failed",status="SYSERR_IO",'
        'task="Copy"} 1.0\n'
    ),
    "avi_image_node_event_start_timestamp_seconds": (
        'avi_image_node_event_start_timestamp_seconds{controller="c1",image_uuid="u1",node="n1",task="Extract"}'
        " 1.739442665e+09\n"
        'avi_image_node_event_start_timestamp_seconds{controller="c1",image_uuid="u1",node="n1",task="Copy"}'
        " 1.73944277e+09\n"
    ),
    "avi_image_node_event_end_timestamp_seconds": (
        'avi_image_node_event_end_timestamp_seconds{controller="c1",image_uuid="u1",node="n1",task="Extract"}'
        " 1.73944276e+09\n"
    ),
    "avi_image_node_event_duration_seconds": (
        'avi_image_node_event_duration_seconds{controller="c1",image_uuid="u1",node="n1",task="Extract"} 95.0\n'
    ),
}


@pytest.mark.parametrize(("name", "text"), IMAGE_TEXTS.items(), ids=IMAGE_TEXTS.keys())
def test_an_image_is_rendered_as(name: str, text: str) -> None:
    assert of_image(name) == text


def test_every_image_family_has_its_literal_text_here() -> None:
    assert [family.name for family in IMAGE_FAMILIES] == list(IMAGE_TEXTS)


HEALTH_TEXTS = {
    "avi_controller_stale": 'avi_controller_stale{controller="c1",resource="image"} 0.0\n',
    "avi_controller_last_poll_success_timestamp_seconds": (
        'avi_controller_last_poll_success_timestamp_seconds{controller="c1",resource="image"} 1.7394430015e+09\n'
    ),
    "avi_controller_poll_failures_total": (
        'avi_controller_poll_failures_total{controller="c1",reason="dns",resource="image"} 2.0\n'
        'avi_controller_poll_failures_total{controller="c1",reason="connect",resource="image"} 0.0\n'
        'avi_controller_poll_failures_total{controller="c1",reason="tls",resource="image"} 1.0\n'
        'avi_controller_poll_failures_total{controller="c1",reason="timeout",resource="image"} 0.0\n'
        'avi_controller_poll_failures_total{controller="c1",reason="auth",resource="image"} 0.0\n'
        'avi_controller_poll_failures_total{controller="c1",reason="throttled",resource="image"} 0.0\n'
        'avi_controller_poll_failures_total{controller="c1",reason="upgrading",resource="image"} 0.0\n'
        'avi_controller_poll_failures_total{controller="c1",reason="redirect",resource="image"} 0.0\n'
        'avi_controller_poll_failures_total{controller="c1",reason="http_4xx",resource="image"} 0.0\n'
        'avi_controller_poll_failures_total{controller="c1",reason="http_5xx",resource="image"} 0.0\n'
        'avi_controller_poll_failures_total{controller="c1",reason="oversize",resource="image"} 0.0\n'
        'avi_controller_poll_failures_total{controller="c1",reason="incomplete",resource="image"} 0.0\n'
        'avi_controller_poll_failures_total{controller="c1",reason="decode",resource="image"} 0.0\n'
        'avi_controller_poll_failures_total{controller="c1",reason="internal",resource="image"} 0.0\n'
        'avi_controller_poll_failures_total{controller="c1",reason="forbidden",resource="image"} 0.0\n'
        'avi_controller_poll_failures_total{controller="c1",reason="absent",resource="image"} 0.0\n'
    ),
    "avi_controller_bad_objects_total": 'avi_controller_bad_objects_total{controller="c1",resource="image"} 1.0\n',
    "avi_controller_series_dropped_total": (
        'avi_controller_series_dropped_total{controller="c1",resource="image"} 40.0\n'
    ),
    "avi_controller_unknown_values_total": (
        'avi_controller_unknown_values_total{controller="c1",field="time",resource="image"} 1.0\n'
        'avi_controller_unknown_values_total{controller="c1",field="type",resource="image"} 2.0\n'
    ),
    "avi_controller_up": 'avi_controller_up{controller="c1"} 1.0\n',
    "avi_controller_auth_suspended": 'avi_controller_auth_suspended{controller="c1"} 0.0\n',
    "avi_controller_upgrade_in_progress": 'avi_controller_upgrade_in_progress{controller="c1"} 0.0\n',
    "avi_controller_info": 'avi_controller_info{api_version="30.2.1",controller="c1",version="31.1.1"} 1.0\n',
    "avi_controller_last_poll_attempt_timestamp_seconds": (
        'avi_controller_last_poll_attempt_timestamp_seconds{controller="c1"} 1.7394430005e+09\n'
    ),
    "avi_controller_poll_interval_seconds": 'avi_controller_poll_interval_seconds{controller="c1"} 5.0\n',
    "avi_controller_polls_total": 'avi_controller_polls_total{controller="c1"} 6.0\n',
    "avi_controller_poll_duration_seconds": (
        'avi_controller_poll_duration_seconds_bucket{controller="c1",le="0.01"} 1.0\n'
        'avi_controller_poll_duration_seconds_bucket{controller="c1",le="0.025"} 1.0\n'
        'avi_controller_poll_duration_seconds_bucket{controller="c1",le="0.05"} 1.0\n'
        'avi_controller_poll_duration_seconds_bucket{controller="c1",le="0.1"} 3.0\n'
        'avi_controller_poll_duration_seconds_bucket{controller="c1",le="0.25"} 3.0\n'
        'avi_controller_poll_duration_seconds_bucket{controller="c1",le="0.5"} 3.0\n'
        'avi_controller_poll_duration_seconds_bucket{controller="c1",le="1.0"} 3.0\n'
        'avi_controller_poll_duration_seconds_bucket{controller="c1",le="2.5"} 3.0\n'
        'avi_controller_poll_duration_seconds_bucket{controller="c1",le="5.0"} 3.0\n'
        'avi_controller_poll_duration_seconds_bucket{controller="c1",le="10.0"} 3.0\n'
        'avi_controller_poll_duration_seconds_bucket{controller="c1",le="+Inf"} 6.0\n'
        'avi_controller_poll_duration_seconds_count{controller="c1"} 6.0\n'
        'avi_controller_poll_duration_seconds_sum{controller="c1"} 61.5\n'
    ),
    "avi_controller_logins_total": 'avi_controller_logins_total{controller="c1"} 2.0\n',
    "avi_controller_tls_certificate_expiry_timestamp_seconds": (
        'avi_controller_tls_certificate_expiry_timestamp_seconds{controller="c1"} 1.75e+09\n'
    ),
    "avi_controller_tls_insecure": 'avi_controller_tls_insecure{controller="c1"} 0.0\n',
}


@pytest.mark.parametrize(("name", "text"), HEALTH_TEXTS.items(), ids=HEALTH_TEXTS.keys())
def test_a_health_is_rendered_as(name: str, text: str) -> None:
    assert of_health(name) == text


def test_every_controller_family_has_its_literal_text_here() -> None:
    assert [family.name for family in (*READ_FAMILIES, *SESSION_FAMILIES)] == list(HEALTH_TEXTS)


# --- absent beats invented

WITH_ONLY_A_UUID = {
    "avi_image_info": (
        'avi_image_info{controller="c1",image="",image_uuid="u1",patch="",tenant="",type="",uber_bundle="false",'
        'version=""} 1.0\n'
    ),
    "avi_image_state": (
        'avi_image_state{controller="c1",image_uuid="u1",state="started"} 0.0\n'
        'avi_image_state{controller="c1",image_uuid="u1",state="in_progress"} 0.0\n'
        'avi_image_state{controller="c1",image_uuid="u1",state="completed"} 0.0\n'
        'avi_image_state{controller="c1",image_uuid="u1",state="failed"} 0.0\n'
        'avi_image_state{controller="c1",image_uuid="u1",state="unknown"} 1.0\n'
    ),
    "avi_image_progress_changed_timestamp_seconds": (
        'avi_image_progress_changed_timestamp_seconds{controller="c1",image_uuid="u1"} 1.739443003125e+09\n'
    ),
    "avi_image_annotations": 'avi_image_annotations{controller="c1",image_uuid="u1"} 0.0\n',
    "avi_image_acknowledged": 'avi_image_acknowledged{controller="c1",image_uuid="u1"} 0.0\n',
}


@pytest.mark.parametrize("name", IMAGE_TEXTS.keys())
def test_a_family_without_a_value_has_no_series(name: str) -> None:
    assert of_image(name, Image(uuid="u1")) == WITH_ONLY_A_UUID.get(name, "")


@pytest.mark.parametrize(
    "name",
    [
        "avi_controller_info",
        "avi_controller_last_poll_attempt_timestamp_seconds",
        "avi_controller_last_poll_success_timestamp_seconds",
        "avi_controller_unknown_values_total",
        "avi_controller_tls_certificate_expiry_timestamp_seconds",
        "avi_controller_up",
        "avi_controller_poll_interval_seconds",
    ],
)
def test_before_the_first_poll_there_is_no(name: str) -> None:
    assert of_health(name, SessionHealth(), ReadHealth()) == ""


def test_after_a_first_poll_that_failed_a_controller_is_not_up() -> None:
    assert of_health("avi_controller_up", SessionHealth(polls=1)) == 'avi_controller_up{controller="c1"} 0.0\n'


def test_every_reason_of_failures_exists_at_zero_from_the_start() -> None:
    assert of_health("avi_controller_poll_failures_total", read=ReadHealth()).count(" 0.0\n") == len(get_args(Reason))


def test_zero_is_a_value() -> None:
    assert of_image("avi_image_progress_ratio", replace(IMAGE, progress_ratio=0.0)).endswith(" 0.0\n")


# --- states


@pytest.mark.parametrize("state", get_args(ImageState))
def test_exactly_one_state_is_one(state: ImageState) -> None:
    lines = of_image("avi_image_state", replace(IMAGE, state=state)).splitlines()

    assert [line for line in lines if line.endswith(" 1.0")] == [
        f'avi_image_state{{controller="c1",image_uuid="u1",state="{state}"}} 1.0'
    ]


@pytest.mark.parametrize(
    ("health", "name"),
    [
        pytest.param(SessionHealth(auth_suspended=True), "avi_controller_auth_suspended", id="suspended"),
        pytest.param(SessionHealth(upgrading=True), "avi_controller_upgrade_in_progress", id="upgrading"),
        pytest.param(SessionHealth(tls_insecure=True), "avi_controller_tls_insecure", id="insecure"),
    ],
)
def test_a_bad_state_of_a_session_is_one(health: SessionHealth, name: str) -> None:
    assert of_health(name, health) == f'{name}{{controller="c1"}} 1.0\n'


def test_a_read_that_is_stale_is_one() -> None:
    text = 'avi_controller_stale{controller="c1",resource="image"} 1.0\n'

    assert of_health("avi_controller_stale", read=ReadHealth(stale=True)) == text


# --- text that bites


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        pytest.param("plain", "plain", id="plain"),
        pytest.param('a "b"', r"a \"b\"", id="quotes"),
        pytest.param("C:\\temp", r"C:\\temp", id="backslash"),
        pytest.param("a\nb", r"a\nb", id="newline"),
        pytest.param("a\\nb", r"a\\nb", id="backslash and n"),
        pytest.param('\\"', r"\\\"", id="backslash and quote"),
        pytest.param("Zürich 🚀", "Zürich 🚀", id="unicode"),
        pytest.param("{0} {} %s", "{0} {} %s", id="placeholders"),
    ],
)
def test_a_label_value_is_escaped(text: str, escaped: str) -> None:
    assert escape(text) == escaped


BITES = 'a"b\\c\n{0}'
BITES_ESCAPED = r"a\"b\\c\n{0}"


def test_an_identity_with_special_characters_stays_one_label() -> None:
    image = Image(uuid=BITES, tasks=1)

    assert of_image("avi_image_tasks", image, controller=BITES) == (
        f'avi_image_tasks{{controller="{BITES_ESCAPED}",image_uuid="{BITES_ESCAPED}"}} 1.0\n'
    )


def test_names_with_special_characters_stay_one_label_each() -> None:
    image = Image(uuid="u1", name=BITES, tenant=BITES, type=BITES, version=BITES, patch=BITES)

    assert of_image("avi_image_info", image) == (
        f'avi_image_info{{controller="c1",image="{BITES_ESCAPED}",image_uuid="u1",patch="{BITES_ESCAPED}",'
        f'tenant="{BITES_ESCAPED}",type="{BITES_ESCAPED}",uber_bundle="false",version="{BITES_ESCAPED}"}} 1.0\n'
    )


@pytest.mark.parametrize("name", [family.name for family in IMAGE_FAMILIES if family.tier == DETAIL])
def test_nodes_and_tasks_with_special_characters_stay_one_label_each(name: str) -> None:
    text = of_image(name, Image(uuid="u1", events=(Event(BITES, BITES, "failed", "other", 1.0, 2.0, 3.0),)))

    assert (text.count(f'node="{BITES_ESCAPED}"'), text.count(f'task="{BITES_ESCAPED}"'), text.count("\n")) == (1, 1, 1)


def test_a_node_with_special_characters_is_counted_under_its_own_name() -> None:
    text = of_image("avi_image_node_events", Image(uuid="u1", events=(Event("Copy", BITES, "failed", "other"),)))

    assert text.endswith(f'node="{BITES_ESCAPED}",state="failed"}} 1.0\n')


def test_versions_with_special_characters_stay_one_label_each() -> None:
    assert of_health("avi_controller_info", SessionHealth(version=BITES, api_version=BITES), controller=BITES) == (
        f'avi_controller_info{{api_version="{BITES_ESCAPED}",controller="{BITES_ESCAPED}",'
        f'version="{BITES_ESCAPED}"}} 1.0\n'
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0.0"),
        (1, "1.0"),
        (True, "1.0"),
        (0.37, "0.37"),
        (999999.5, "999999.5"),
        (1000000, "1e+06"),
        (1739443000.25, "1.73944300025e+09"),
        (float("inf"), "+Inf"),
    ],
    ids=str,
)
def test_a_number_is_written_as_by_other_exporters(value: float, text: str) -> None:
    assert format_number(value) == text


# --- annotations


NOTED = Subject(
    IMAGE, CHANGED_AT, {"change": 'CHG"1', "team": "net", "acknowledged": "yes"}, frozenset({"change", "who"})
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("avi_image_annotations", 'avi_image_annotations{controller="c1",image_uuid="u1"} 3.0\n'),
        ("avi_image_acknowledged", 'avi_image_acknowledged{controller="c1",image_uuid="u1"} 1.0\n'),
        (
            "avi_image_annotation_info",
            'avi_image_annotation_info{controller="c1",image_uuid="u1",key="change",value="CHG\\"1"} 1.0\n',
        ),
    ],
)
def test_annotations_are_counted_and_only_the_exported_ones_shown(name: str, text: str) -> None:
    assert of_subject(name, NOTED) == text


def test_annotations_that_are_not_known_have_no_rows() -> None:
    unknown = NOTED._replace(annotations=None)

    assert not [family.name for family in IMAGE_FAMILIES if family.changes_alone and list(family.rows(unknown))]


def test_the_families_changes_alone_are_those_that_change_with_annotations() -> None:
    names = [family.name for family in IMAGE_FAMILIES if family.changes_alone]

    assert names == ["avi_image_annotations", "avi_image_acknowledged", "avi_image_annotation_info"]


# --- the tables themselves


def test_no_two_families_share_a_name() -> None:
    names = [family.name for family in FAMILIES]

    assert len(set(names)) == len(names)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_is_named_after_its_kind(family: AnyFamily) -> None:
    assert family.name.endswith("_total") is (family.kind == "counter")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_help_text_is_one_sentence(family: AnyFamily) -> None:
    assert family.help.endswith(".")
    assert "\n" not in family.help


@pytest.mark.parametrize(
    ("tier", "names"),
    [
        pytest.param(
            DETAIL,
            [
                "avi_image_node_event_state",
                "avi_image_node_event_start_timestamp_seconds",
                "avi_image_node_event_end_timestamp_seconds",
                "avi_image_node_event_duration_seconds",
            ],
            id="detail: those with a task",
        ),
        pytest.param(NODE, ["avi_image_node_events"], id="node: those with a node but no task"),
    ],
)
def test_a_tier_holds(tier: int, names: list[str]) -> None:
    assert [family.name for family in IMAGE_FAMILIES if family.tier == tier] == names


def test_the_core_tier_has_neither_nodes_nor_tasks() -> None:
    labels = {label for family in IMAGE_FAMILIES if family.tier == CORE for label in family.labels}

    assert labels == {"image", "tenant", "type", "version", "patch", "uber_bundle", "state", "key", "value"}


def test_nothing_that_an_operator_edits_is_an_identity() -> None:
    assert {family.identity for family in FAMILIES} == {
        ("controller", "image_uuid"),
        ("controller", "unit_uuid", "kind"),
        ("controller", "resource"),
        ("controller",),
    }


# --- the columns of a scrape


def test_with_one_resource_every_column_of_a_scrape_begins_a_family() -> None:
    assert scrape_columns([IMAGE_FAMILIES]) == (*IMAGE_FAMILIES, *READ_FAMILIES, *SESSION_FAMILIES)


def test_with_two_resources_a_family_of_reads_has_a_column_for_each() -> None:
    first, second = IMAGE_FAMILIES[:2], IMAGE_FAMILIES[2:3]

    columns = scrape_columns([first, second])

    of_reads = columns[3 : 3 + 2 * len(READ_FAMILIES)]
    assert columns[:3] == (*first, *second)
    assert of_reads[::2] == READ_FAMILIES
    assert of_reads[1::2] == (None,) * len(READ_FAMILIES)
    assert columns[3 + 2 * len(READ_FAMILIES) :] == SESSION_FAMILIES


def test_families_of_two_resources_are_each_listed_once() -> None:
    first, second = IMAGE_FAMILIES[:2], IMAGE_FAMILIES[2:3]
    assert families_of([first, second]) == (*first, *second, *READ_FAMILIES, *SESSION_FAMILIES)
