"""From images to exposition text: literal headers, budgets, and the same bytes as prometheus-client's own."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector

from monitor.avi.image import decode_image
from monitor.avi.paging import assemble, decode_page
from monitor.metrics.controller import READ_FAMILIES, SESSION_FAMILIES
from monitor.metrics.exposition import order_pieces
from monitor.metrics.family import CORE, DETAIL, NODE, Family, Subject
from monitor.metrics.image import IMAGE_FAMILIES
from monitor.metrics.render import (
    apply_budget,
    drop_tier,
    header,
    join_by_family,
    render_again,
    render_changes,
    render_health,
    render_object,
)
from monitor.metrics.scrape_order import families_of
from monitor.model.errors import Reason
from monitor.model.health import DURATION_BOUNDS_S, ReadHealth, SessionHealth
from monitor.model.image import Image, ImageState
from monitor.model.tracked import Event, RenderedObject
from tests.support.strategies import BOUNDED, FEW, Healths, Seen, fleets, sessions

AT = 1739443003.125
EVENTS = (
    Event("Extract", "n1", "succeeded", "SYSERR_SUCCESS", 100.0, 195.0, 95.0),
    Event("Extract", "n2", "running", "", 100.0),
)
IMAGE = Image(uuid="u1", state="in_progress", progress_ratio=0.5, events=EVENTS)
CORE_SERIES, NODE_SERIES, DETAIL_SERIES = 10, 8, 6  # of IMAGE


def rendered_of(image: Image = IMAGE, *, finest_tier: int = DETAIL, max_series: int = 1000) -> RenderedObject:
    return render_object(IMAGE_FAMILIES, "c1", Subject(image, AT), finest_tier=finest_tier, max_series=max_series)


def names_in(rendered: RenderedObject) -> set[str]:
    """The families of which something is left."""
    return {family.name for family, text in zip(IMAGE_FAMILIES, rendered.lines, strict=True) if text}


def names_of(*tiers: int) -> set[str]:
    return {family.name for family in IMAGE_FAMILIES if family.tier in tiers}


# --- annotations


NOTES = {"acknowledged": "true", "change": "CHG1", "team": "net"}
EXPORTED = frozenset({"change", "team"})


@pytest.mark.parametrize("finest_tier", [CORE, NODE, DETAIL])
def test_rendering_only_the_annotations_gives_the_same_as_rendering_everything(finest_tier: int) -> None:
    annotated = Subject(IMAGE, AT, NOTES, EXPORTED)
    rendered_again = render_object(IMAGE_FAMILIES, "c1", annotated, finest_tier=finest_tier, max_series=1000)
    assert (
        render_again(
            IMAGE_FAMILIES,
            rendered_of(finest_tier=finest_tier),
            "c1",
            Subject(replace(IMAGE, events=()), AT, NOTES, EXPORTED),
        )
        == rendered_again
    )
    assert render_again(IMAGE_FAMILIES, rendered_again, "c1", Subject(IMAGE, AT, {}, EXPORTED)) == rendered_of(
        finest_tier=finest_tier
    )


def test_annotations_of_an_object_that_a_budget_dropped_are_not_rendered() -> None:
    hidden = drop_tier(IMAGE_FAMILIES, rendered_of(), CORE)
    assert render_again(IMAGE_FAMILIES, hidden, "c1", Subject(IMAGE, AT, NOTES, EXPORTED)) == hidden
    assert render_again(IMAGE_FAMILIES, RenderedObject(), "c1", Subject(IMAGE, AT, NOTES, EXPORTED)) == RenderedObject()


# --- headers


def family_with(**fields: object) -> Family[SessionHealth]:
    (up, *_) = SESSION_FAMILIES
    return Family(**{**{name: getattr(up, name) for name in up.__struct_fields__}, **fields})


HELP = 'Counts "odd" things,\nC:\\temp.'


@pytest.mark.parametrize(
    ("family", "openmetrics", "text"),
    [
        pytest.param(
            family_with(name="a_total", kind="counter", help="Things."),
            False,
            b"# HELP a_total Things.\n# TYPE a_total counter\n",
            id="counter, text",
        ),
        pytest.param(
            family_with(name="a_total", kind="counter", help="Things."),
            True,
            b"# HELP a Things.\n# TYPE a counter\n",
            id="counter, OpenMetrics",
        ),
        pytest.param(
            family_with(name="a_total", kind="gauge", help="Things."),
            True,
            b"# HELP a_total Things.\n# TYPE a_total gauge\n",
            id="a gauge keeps its name",
        ),
        pytest.param(
            family_with(name="a", kind="histogram", help="Things."),
            False,
            b"# HELP a Things.\n# TYPE a histogram\n",
            id="histogram",
        ),
        pytest.param(
            family_with(name="a", kind="gauge", help=HELP),
            False,
            b'# HELP a Counts "odd" things,\\nC:\\\\temp.\n# TYPE a gauge\n',
            id="help that bites, text",
        ),
        pytest.param(
            family_with(name="a", kind="gauge", help=HELP),
            True,
            b'# HELP a Counts \\"odd\\" things,\\nC:\\\\temp.\n# TYPE a gauge\n',
            id="help that bites, OpenMetrics",
        ),
    ],
)
def test_a_header_is(family: Family[SessionHealth], text: bytes, *, openmetrics: bool) -> None:
    assert header(family, openmetrics=openmetrics) == text


# --- rendered_objects


def test_a_rendered_object_counts_its_series_by_tier() -> None:
    assert rendered_of().series == (CORE_SERIES, NODE_SERIES, DETAIL_SERIES)


@pytest.mark.parametrize(
    ("finest_tier", "series"),
    [
        pytest.param(CORE, (CORE_SERIES, 0, 0), id="core"),
        pytest.param(NODE, (CORE_SERIES, NODE_SERIES, 0), id="core and nodes"),
        pytest.param(DETAIL, (CORE_SERIES, NODE_SERIES, DETAIL_SERIES), id="all"),
    ],
)
def test_an_object_is_rendered_up_to_the_given_tier(finest_tier: int, series: tuple[int, int, int]) -> None:
    rendered = rendered_of(finest_tier=finest_tier)

    assert (rendered.series, rendered.dropped) == (series, 0)


@pytest.mark.parametrize(
    ("state", "drop_order"),
    [("started", 1), ("in_progress", 1), ("failed", 1), ("completed", 0), ("unknown", 0)],
)
def test_series_of_an_active_or_failed_image_are_dropped_last(state: ImageState, drop_order: int) -> None:
    assert rendered_of(Image(uuid="u1", state=state)).drop_order == drop_order


@pytest.mark.parametrize(
    ("max_series", "series", "dropped"),
    [
        pytest.param(24, (10, 8, 6), 0, id="exactly enough"),
        pytest.param(23, (10, 8, 0), 6, id="one too few for detail"),
        pytest.param(18, (10, 8, 0), 6, id="exactly enough for nodes"),
        pytest.param(17, (10, 0, 0), 14, id="one too few for nodes"),
        pytest.param(0, (10, 0, 0), 14, id="an image is never dropped by its own budget"),
    ],
)
def test_an_image_over_its_budget_loses_its_finest_tiers(
    max_series: int, series: tuple[int, int, int], dropped: int
) -> None:
    rendered = rendered_of(max_series=max_series)

    assert (rendered.series, rendered.dropped) == (series, dropped)


@pytest.mark.parametrize(
    ("tier", "left"),
    [
        pytest.param(DETAIL, (CORE, NODE), id="detail"),
        pytest.param(NODE, (CORE, DETAIL), id="nodes"),
        pytest.param(CORE, (), id="core, and so everything"),
    ],
)
def test_without_a_tier_its_families_are_empty(tier: int, left: tuple[int, ...]) -> None:
    before = rendered_of()

    assert names_in(drop_tier(IMAGE_FAMILIES, before, tier)) == names_in(before) & names_of(*left)


def test_without_a_tier_its_series_are_not_counted() -> None:
    assert drop_tier(IMAGE_FAMILIES, rendered_of(), NODE).series == (CORE_SERIES, 0, DETAIL_SERIES)


def test_dropping_a_tier_does_not_change_the_order_of_dropping() -> None:
    before = rendered_of()

    assert drop_tier(IMAGE_FAMILIES, before, CORE).drop_order == before.drop_order == 1


def test_joined_lines_are_those_of_each_image_in_order() -> None:
    images = (Image(uuid="u1", tasks=1), Image(uuid="u2", tasks=2))
    gathered = dict(
        zip(
            (family.name for family in IMAGE_FAMILIES),
            join_by_family(IMAGE_FAMILIES, map(rendered_of, images)),
            strict=True,
        )
    )

    assert gathered["avi_image_tasks"] == (
        b'avi_image_tasks{controller="c1",image_uuid="u1"} 1.0\navi_image_tasks{controller="c1",image_uuid="u2"} 2.0\n'
    )


def test_a_controller_without_images_has_one_empty_text_a_family() -> None:
    assert list(join_by_family(IMAGE_FAMILIES, [])) == [b""] * len(IMAGE_FAMILIES)


def of_session(health: SessionHealth) -> tuple[bytes, ...]:
    return render_health(SESSION_FAMILIES, ("c1",), health)


def test_a_health_has_one_text_a_family() -> None:
    first, *others = render_health(SESSION_FAMILIES, ('c"1',), SessionHealth(up=True, polls=1))

    assert (first, len(others)) == (b'avi_controller_up{controller="c\\"1"} 1.0\n', len(SESSION_FAMILIES) - 1)


@FEW
@given(sessions, sessions)
def test_a_family_that_is_not_rendered_again_has_the_same_text(before: SessionHealth, after: SessionHealth) -> None:
    assert render_changes(SESSION_FAMILIES, ("c1",), (before, of_session(before)), after) == of_session(after)


@FEW
@given(sessions, sessions)
def test_what_every_poll_changes_is_rendered_alone(before: SessionHealth, other: SessionHealth) -> None:
    after = replace(before, **{field: getattr(other, field) for field in SessionHealth.EACH_POLL})
    texts = of_session(before)
    kept = render_changes(SESSION_FAMILIES, ("c1",), (before, texts), after)
    assert kept == of_session(after)
    pairs = zip(SESSION_FAMILIES, texts, kept, strict=True)
    assert all(new is old for family, old, new in pairs if not family.each_poll)


def test_an_equal_health_is_not_rendered_again() -> None:
    before, after = SessionHealth(up=True, polls=2), SessionHealth(up=True, polls=2)

    texts = of_session(before)
    kept = render_changes(SESSION_FAMILIES, ("c1",), (before, texts), after)
    assert all(new is old for new, old in zip(kept, texts, strict=True))


# --- budgets of a controller


def fleet_of(*states: ImageState) -> dict[str, RenderedObject]:
    return {
        f"u{place}": rendered_of(Image(uuid=f"u{place}", state=state, events=EVENTS))
        for place, state in enumerate(states)
    }


def series_of(rendered_objects: Mapping[str, RenderedObject]) -> list[tuple[int, int, int]]:
    return [rendered.series for rendered in rendered_objects.values()]


def test_objects_within_the_budget_are_unchanged() -> None:
    rendered_objects = fleet_of("completed", "failed")

    kept, dropped = apply_budget(IMAGE_FAMILIES, rendered_objects, max_series=46)

    assert (kept is rendered_objects, dropped) == (True, 0)


@pytest.mark.parametrize(
    ("max_series", "series", "dropped"),
    [
        pytest.param(68, [(9, 8, 6), (9, 8, 0), (9, 8, 6)], 6, id="detail of the completed one goes first"),
        pytest.param(
            62, [(9, 8, 0), (9, 8, 0), (9, 8, 6)], 12, id="then detail of the active and failed ones, in their order"
        ),
        pytest.param(56, [(9, 8, 0), (9, 8, 0), (9, 8, 0)], 18, id="until there is none"),
        pytest.param(50, [(9, 8, 0), (9, 0, 0), (9, 8, 0)], 26, id="then nodes of the completed one"),
        pytest.param(27, [(9, 0, 0), (9, 0, 0), (9, 0, 0)], 42, id="then nodes of the active and failed ones"),
        pytest.param(26, [(9, 0, 0), (0, 0, 0), (9, 0, 0)], 51, id="then the whole completed image"),
        pytest.param(9, [(0, 0, 0), (0, 0, 0), (9, 0, 0)], 60, id="then whole active and failed ones"),
        pytest.param(0, [(0, 0, 0), (0, 0, 0), (0, 0, 0)], 69, id="until nothing is left"),
    ],
)
def test_objects_over_the_budget_lose_series(max_series: int, series: list[tuple[int, int, int]], dropped: int) -> None:
    kept, count = apply_budget(IMAGE_FAMILIES, fleet_of("failed", "completed", "in_progress"), max_series=max_series)

    assert (series_of(kept), count) == (series, dropped)


def test_a_budget_does_not_drop_the_core_series_of_what_is_never_dropped() -> None:
    rendered_objects = {uuid: replace(each, never_dropped=True) for uuid, each in fleet_of("failed").items()}

    kept, dropped = apply_budget(IMAGE_FAMILIES, rendered_objects, max_series=0)

    assert (series_of(kept), dropped) == ([(9, 0, 0)], 14)


def test_a_budget_keeps_the_order_of_objects() -> None:
    kept, _ = apply_budget(IMAGE_FAMILIES, fleet_of("failed", "completed", "in_progress"), max_series=30)

    assert list(kept) == ["u0", "u1", "u2"]


def test_the_lines_within_a_budget_are_as_many_as_counted() -> None:
    kept, _ = apply_budget(IMAGE_FAMILIES, fleet_of("failed", "completed", "in_progress"), max_series=30)

    assert [b"".join(each.lines).count(b"\n") for each in kept.values()] == [sum(each) for each in series_of(kept)]


sizes = st.integers(0, 40)
rendered_objects_drawn = st.dictionaries(
    st.text(max_size=3),
    st.builds(RenderedObject, st.just((b"",) * len(IMAGE_FAMILIES)), st.tuples(sizes, sizes, sizes), st.integers(0, 3)),
    max_size=8,
)
budgets = st.integers(0, 300)


@BOUNDED
@given(rendered_objects_drawn, budgets)
def test_a_budget_is_kept(rendered_objects: dict[str, RenderedObject], max_series: int) -> None:
    kept, _ = apply_budget(IMAGE_FAMILIES, rendered_objects, max_series=max_series)

    assert sum(map(sum, series_of(kept))) <= max_series


@BOUNDED
@given(rendered_objects_drawn, budgets)
def test_every_series_is_kept_or_counted_as_dropped(
    rendered_objects: dict[str, RenderedObject], max_series: int
) -> None:
    kept, dropped = apply_budget(IMAGE_FAMILIES, rendered_objects, max_series=max_series)

    assert sum(map(sum, series_of(kept))) + dropped == sum(map(sum, series_of(rendered_objects)))


@BOUNDED
@given(rendered_objects_drawn, budgets)
def test_nothing_is_dropped_while_finer_or_less_important_series_remain(
    rendered_objects: dict[str, RenderedObject], max_series: int
) -> None:
    kept, _ = apply_budget(IMAGE_FAMILIES, rendered_objects, max_series=max_series)
    places = [(uuid, tier) for uuid in rendered_objects for tier in (CORE, NODE, DETAIL)]
    lost = [(uuid, tier) for uuid, tier in places if rendered_objects[uuid].series[tier] > kept[uuid].series[tier]]
    left = [(uuid, tier) for uuid, tier in places if kept[uuid].series[tier]]

    def rank(place: tuple[str, int]) -> tuple[int, int]:
        uuid, tier = place
        return -tier, rendered_objects[uuid].drop_order

    assert max(map(rank, lost), default=(-3, 0)) <= min(map(rank, left), default=(1, 3))


@BOUNDED
@given(rendered_objects_drawn, budgets)
def test_no_more_is_dropped_than_the_budget_asks_for(
    rendered_objects: dict[str, RenderedObject], max_series: int
) -> None:
    kept, dropped = apply_budget(IMAGE_FAMILIES, rendered_objects, max_series=max_series)
    largest = max((max(rendered.series) for rendered in rendered_objects.values()), default=0)

    assert not dropped or sum(map(sum, series_of(kept))) > max_series - largest


# --- the oracle: what prometheus-client makes of the same nouns, after the design's table and not after our rows

Labels = tuple[str, ...]
Samples = Iterable[tuple[Labels, float]]
ORACLE_IMAGE: dict[str, tuple[Labels, Callable[[Image], Samples]]] = {}
ORACLE_SESSION: dict[str, tuple[Labels, Callable[[SessionHealth], Samples]]] = {}
ORACLE_READ: dict[str, tuple[Labels, Callable[[ReadHealth], Samples]]] = {}
FAMILIES: Final = families_of([IMAGE_FAMILIES])
HELPS: Final = {family.name: family.help for family in FAMILIES}
REASONS: Final[tuple[Reason, ...]] = (
    "dns", "connect", "tls", "timeout", "auth", "throttled", "upgrading", "redirect",
    "http_4xx", "http_5xx", "oversize", "incomplete", "decode", "internal", "forbidden", "absent",
)  # fmt: skip


def one(value: float | None) -> Samples:
    return [] if value is None else [((), value)]


def info(image: Image) -> Samples:
    uber_bundle = "true" if image.uber_bundle else "false"
    yield (image.name, image.tenant, image.type, image.version, image.patch, uber_bundle), 1


def node_events(image: Image) -> Samples:
    for node in {event.node for event in image.events}:
        for state in ("pending", "running", "succeeded", "failed"):
            yield (node, state), len([e for e in image.events if e.node == node and e.state == state])


def event_states(image: Image) -> Samples:
    for event in image.events:
        yield (event.node, event.task, event.state, event.status), 1


def of_events(read: Callable[[Event], float | None]) -> Callable[[Image], Samples]:
    def samples(image: Image) -> Samples:
        values = ((event, read(event)) for event in image.events)
        return [((event.node, event.task), value) for event, value in values if value is not None]

    return samples


STATES: Final = ("started", "in_progress", "completed", "failed", "unknown")
ORACLE_IMAGE |= {
    "avi_image_info": (("image", "tenant", "type", "version", "patch", "uber_bundle"), info),
    "avi_image_progress_ratio": ((), lambda image: one(image.progress_ratio)),
    "avi_image_tasks": ((), lambda image: one(image.tasks)),
    "avi_image_tasks_completed": ((), lambda image: one(image.tasks_completed)),
    "avi_image_state": (("state",), lambda image: [((state,), image.state == state) for state in STATES]),
    "avi_image_state_changed_timestamp_seconds": ((), lambda image: one(image.state_changed_at)),
    "avi_image_start_timestamp_seconds": ((), lambda image: one(image.started_at)),
    "avi_image_end_timestamp_seconds": ((), lambda image: one(image.ended_at)),
    "avi_image_last_modified_timestamp_seconds": ((), lambda image: one(image.last_modified_at)),
    "avi_image_duration_seconds": ((), lambda image: one(image.duration_s)),
    "avi_image_progress_changed_timestamp_seconds": ((), lambda _: one(AT)),
    "avi_image_annotations": ((), lambda _: one(0)),
    "avi_image_acknowledged": ((), lambda _: one(0)),
    "avi_image_annotation_info": (("key", "value"), lambda _: ()),
    "avi_image_node_events": (("node", "state"), node_events),
    "avi_image_node_event_state": (("node", "task", "state", "status"), event_states),
    "avi_image_node_event_start_timestamp_seconds": (("node", "task"), of_events(lambda event: event.started_at)),
    "avi_image_node_event_end_timestamp_seconds": (("node", "task"), of_events(lambda event: event.ended_at)),
    "avi_image_node_event_duration_seconds": (("node", "task"), of_events(lambda event: event.duration_s)),
}
ORACLE_SESSION |= {
    "avi_controller_up": ((), lambda health: one(health.up if health.polls else None)),
    "avi_controller_auth_suspended": ((), lambda health: one(health.auth_suspended)),
    "avi_controller_upgrade_in_progress": ((), lambda health: one(health.upgrading)),
    "avi_controller_info": (
        ("version", "api_version"),
        lambda health: [((health.version, health.api_version), 1)] if health.version else [],
    ),
    "avi_controller_last_poll_attempt_timestamp_seconds": ((), lambda health: one(health.attempted_at)),
    "avi_controller_poll_interval_seconds": ((), lambda health: one(health.interval_s or None)),
    "avi_controller_tls_certificate_expiry_timestamp_seconds": ((), lambda health: one(health.certificate_expires_at)),
    "avi_controller_tls_insecure": ((), lambda health: one(health.tls_insecure)),
    "avi_controller_polls_total": ((), lambda health: one(health.polls)),
    "avi_controller_logins_total": ((), lambda health: one(health.logins)),
}
ORACLE_READ |= {
    "avi_controller_stale": ((), lambda health: one(health.stale)),
    "avi_controller_last_poll_success_timestamp_seconds": ((), lambda health: one(health.succeeded_at)),
    "avi_controller_poll_failures_total": (
        ("reason",),
        lambda health: [((reason,), health.failures.get(reason, 0)) for reason in REASONS],
    ),
    "avi_controller_bad_objects_total": ((), lambda health: one(health.bad_objects)),
    "avi_controller_series_dropped_total": ((), lambda health: one(health.series_dropped)),
    "avi_controller_unknown_values_total": (
        ("field",),
        lambda health: [((field,), times) for field, times in health.unknown_values.items()],
    ),
}

Known = Mapping[str, tuple[tuple[Image, ...], Healths]]
"""The fleet that a drawn one decodes to."""


def decoded(fleet: Mapping[str, Seen]) -> Known:
    """Through the bytes of a page, as a poll would."""
    return {name: (tuple(images_of(objects)), health) for name, (objects, health) in fleet.items()}


def images_of(objects: Mapping[str, dict[str, object]]) -> Iterator[Image]:
    results = [{**fields, "uuid": uuid} for uuid, fields in objects.items()]
    listing = assemble([decode_page(json.dumps({"count": len(results), "results": results}).encode())])
    assert listing is not None
    for raw in listing.raws.values():
        image, _ = decode_image(raw)
        yield image


class Oracle(Collector):
    """The same fleet as prometheus-client's own families."""

    def __init__(self, fleet: Known) -> None:
        self._fleet = fleet

    def collect(self) -> Iterator[Metric]:
        for name, (labels, read_image) in ORACLE_IMAGE.items():
            gauge = GaugeMetricFamily(name, HELPS[name], labels=("controller", "image_uuid", *labels))
            for controller, (images, _) in self._fleet.items():
                for image in images:
                    for values, sample in read_image(image):
                        gauge.add_metric((controller, image.uuid, *values), sample)
            yield gauge
        yield from self._healths(ORACLE_SESSION, lambda controller, healths: ((controller,), healths[0]), "controller")
        yield from self._healths(
            ORACLE_READ, lambda controller, healths: ((controller, "image"), healths[1]), "controller", "resource"
        )
        yield self._durations()

    def _healths(
        self,
        oracle: Mapping[str, tuple[Labels, Callable[[Any], Samples]]],
        of: Callable[[str, Healths], tuple[Labels, object]],
        *identity: str,
    ) -> Iterator[Metric]:
        for name, (labels, read) in oracle.items():
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            family = kind(name, HELPS[name], labels=(*identity, *labels))
            for controller, (_, healths) in self._fleet.items():
                values, health = of(controller, healths)
                for more, sample in read(health):
                    family.add_metric((*values, *more), sample)
            yield family

    def _durations(self) -> Metric:
        name = "avi_controller_poll_duration_seconds"
        family = HistogramMetricFamily(name, HELPS[name], labels=("controller",))
        bounds = [*map(str, DURATION_BOUNDS_S), "+Inf"]
        for controller, (_, (health, _)) in self._fleet.items():
            upto = [(bound, sum(health.durations[: place + 1])) for place, bound in enumerate(bounds)]
            family.add_metric((controller,), upto, health.durations_sum_s)
        return family


def scrape_of(fleet: Known, *, openmetrics: bool) -> bytes:
    """What a scrape would send."""
    headers = [header(family, openmetrics=openmetrics) for family in FAMILIES]
    rows = [
        [
            *join_by_family(IMAGE_FAMILIES, all_rendered(name, images)),
            *render_health(READ_FAMILIES, (name, "image"), read),
            *render_health(SESSION_FAMILIES, (name,), session),
        ]
        for name, (images, (session, read)) in fleet.items()
    ]
    return b"".join([*order_pieces(headers, rows), b"# EOF\n" if openmetrics else b""])


def all_rendered(controller: str, images: Iterable[Image]) -> Iterator[RenderedObject]:
    return (
        render_object(IMAGE_FAMILIES, controller, Subject(image, AT), finest_tier=DETAIL, max_series=10**6)
        for image in images
    )


def in_lines(text: bytes) -> list[bytes]:
    return sorted(text.split(b"\n"))


def in_samples(families: Iterable[Metric]) -> list[tuple[str, list[tuple[str, str]], float]]:
    samples = (sample for family in families for sample in family.samples)
    return sorted((sample.name, sorted(sample.labels.items()), sample.value) for sample in samples)


def test_the_oracle_knows_every_family() -> None:
    assert sorted([*ORACLE_IMAGE, *ORACLE_SESSION, *ORACLE_READ, "avi_controller_poll_duration_seconds"]) == sorted(
        HELPS
    )


@FEW
@given(fleets.map(decoded))
def test_the_text_format_is_that_of_prometheus_client_and_no_series_comes_twice(fleet: Known) -> None:
    """Byte for byte, and it is parsed back to the same samples."""
    text = scrape_of(fleet, openmetrics=False)
    series = [line.rpartition(b" ")[0] for line in text.split(b"\n") if line[:1] != b"#"]

    assert in_lines(text) == in_lines(generate_latest(Oracle(fleet)))
    assert in_samples(parse_text(text.decode())) == in_samples(Oracle(fleet).collect())
    assert len(set(series)) == len(series)


@FEW
@given(fleets.map(decoded))
def test_openmetrics_is_that_of_prometheus_client(fleet: Known) -> None:
    """Byte for byte, and it is parsed back to the same samples."""
    text = scrape_of(fleet, openmetrics=True)
    theirs: bytes = generate_openmetrics(Oracle(fleet))  # type: ignore[no-untyped-call]
    parsed = parse_openmetrics(text.decode())  # type: ignore[no-untyped-call]

    assert in_lines(text) == in_lines(theirs)
    assert in_samples(parsed) == in_samples(Oracle(fleet).collect())
