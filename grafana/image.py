"""*Image*: one image of one Controller, its events on every node, and its annotations."""

from typing import Final

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import frame, looks
from grafana.alerts import alerts
from grafana.frame import CONTROLLERS, Marked, Section, choice
from grafana.looks import BLUE, GREEN, PALE, PURPLE
from grafana.panels import Ask, Head, Panel, bars, lines, numbers, shaded, stacked, state, timeline
from grafana.promql import IMAGE, PLACE, UNIT, Scope, is_in, of
from grafana.tables import columns, cross, label, labels_of, value

OF: Final = Scope(f'{PLACE}, controller="$controller", image_uuid="$image"')
ACTIVE: Final = OF.active()
_ANY: Final = Scope(f'{PLACE}, controller="$controller"')
_NEWEST: Final = (  # the image that moved last comes first, and is selected by default
    f"sort_desc({_ANY.named(_ANY.each('avi_image_progress_changed_timestamp_seconds'))})"
)


def dashboard() -> Dashboard:
    """Build the dashboard."""
    return frame.framed(
        frame.IMAGE,
        "Avi images: Image",
        "One image on one Avi Load Balancer Controller: its progress, its events on each node, its annotations.",
        variables=[
            *frame.places(),
            choice("controller", "Controller", CONTROLLERS),
            choice(
                "image",
                "Image",
                f"query_result({_NEWEST})".replace("\n", " "),
                regex='/image="(?<text>[^"]*)",image_uuid="(?<value>[^"]*)"/',
                ordered=False,
            ),
        ],
        page="#/image/${controller:percentencode}/${image:percentencode}",
        annotations=_annotations(),
        sections=(
            Section("$image", (*_glance(), alerts(OF, "What fires on this image."))),
            Section("Progress", (_progress(), _tasks())),
            Section("Nodes and tasks", (_matrix(), _durations(), _task_states(), _events(), _raw())),
            Section("Upgrades", (_pinned(), _users(), _used_by())),
            Section("About", (_facts(), _times(), _annotation_count(), _annotated())),
        ),
        refresh="10s",
        since="now-1h",
    )


def _annotations() -> list[Marked]:
    changed = f"{OF.each('avi_image_state_changed_timestamp_seconds')} * 1000"
    state_now = f"max by ({IMAGE}, state) ({OF('avi_image_state')} == 1)"
    query = f"{changed}\n* on ({IMAGE}) group_left (state) {state_now}"
    acknowledged = f"{OF.each('avi_image_acknowledged')} == 1"
    return [
        Marked("State", color=PURPLE, query=query, title="{{state}}", tags="state", at_value=True),
        Marked("Acknowledged", color=PALE, query=acknowledged, title="acknowledged"),
    ]


def _glance() -> tuple[Panel, ...]:
    so_far = of(f"(time() - {OF.each('avi_image_start_timestamp_seconds')})", ACTIVE)
    took = f"{OF.each('avi_image_duration_seconds')}\nor {so_far}"
    unmoved = of(OF.seconds_without_move(), ACTIVE)
    return (
        state(Head("State", "The Controller's state of the image.", 4, 4), OF.image_code(), looks.IMAGE_STATES),
        numbers(
            Head("Progress", "Share of the processing that is done.", 4, 4),
            Ask(OF.each("avi_image_progress_ratio"), ""),
            unit="percentunit",
            base=BLUE,
            steps=((1.0, GREEN),),
        ),
        numbers(
            Head("Tasks", "How many tasks are done, of how many.", 4, 4),
            Ask(OF.each("avi_image_tasks_completed"), "done"),
            Ask(OF.each("avi_image_tasks"), "of"),
            unit="none",
            base="text",
        ),
        numbers(
            Head("Time left", "At the average pace since the start; nothing once it has ended.", 4, 4),
            Ask(of(OF.time_left(), ACTIVE), ""),
            unit="s",
            base="text",
        ),
        numbers(
            Head("No move for", "Since progress, a task or an event moved last; nothing once it has ended.", 4, 4),
            Ask(unmoved, ""),
            unit="s",
            steps=looks.STALL,
        ),
        numbers(
            Head("Duration", "As the Controller reports it; while it is being processed, the time so far.", 4, 4),
            Ask(took, ""),
            unit="s",
            base="text",
        ),
    )


def _progress() -> Panel:
    text = "Share of the processing that is done; a vertical line is a change of state."
    ask = Ask(OF.each("avi_image_progress_ratio"), "progress")
    return lines(Head("Progress over time", text, 12, 8), ask, unit="percentunit").max(1)


def _tasks() -> Panel:
    text = "Tasks done, and how many there are; more of them can come up while the image is being processed."
    done, every = Ask(OF.each("avi_image_tasks_completed"), "done"), Ask(OF.each("avi_image_tasks"), "all")
    return lines(Head("Tasks over time", text, 12, 8), done, every, unit="none").decimals(0)


def _matrix() -> Panel:
    text = "The present state of each task on each node. Where nodes differ, one of them is behind or has failed."
    head = Head("Tasks by node", text, 12, 9)
    return cross(head, OF.event_code("node, task"), row="task", column="node", shades=looks.EVENT_STATES)


def _durations() -> Panel:
    text = "How long each task took on each node, as reported; a node much slower than the others stands out."
    query = OF.each("avi_image_node_event_duration_seconds", by="node, task")
    return bars(Head("Duration by task and node", text, 12, 9), query, row="task", column="node", unit="s")


def _task_states() -> Panel:
    text = "The state of each task on each node, over time: which took long, and which waited for another."
    ask = Ask(OF.event_code("node, task"), "{{node}} · {{task}}")
    return timeline(Head("Tasks over time by node", text, 16, 12), ask, looks.EVENT_STATES, rows=24)


def _events() -> Panel:
    text = "Events of all nodes, by state: grey turns to green when all goes well."
    asks = (
        Ask(f"sum({OF.each('avi_image_node_events', is_in(shade.text), by='node')})", shade.text)
        for shade in reversed(looks.EVENT_STATES)
    )
    panel = lines(Head("Events by state", text, 8, 12), *asks, unit="none")
    return shaded(stacked(panel), looks.EVENT_STATES)


def _raw() -> Panel:
    text = "Every task on every node, with the Controller's raw status."
    own = "node, task"
    start = OF.each("avi_image_node_event_start_timestamp_seconds", by=own)
    end = OF.each("avi_image_node_event_end_timestamp_seconds", by=own)
    took = OF.each("avi_image_node_event_duration_seconds", by=own)
    rows = (
        label("node", "Node", *looks.width(150)),
        label("task", "Task"),
        value("State", OF.event_code(f"{own}, status"), *looks.colored(*looks.EVENT_STATES), *looks.width(120)),
        label("status", "Status"),
        value("Began", f"{start} * 1000", *looks.unit("dateTimeAsIso"), *looks.width(180)),
        value("Ended", f"{end} * 1000", *looks.unit("dateTimeAsIso"), *looks.width(180)),
        value("Took", took, *looks.unit("s"), *looks.width(110)),
    )
    return columns(Head("What each node did", text, 24, 10), *rows, by="Began")


def _pinned() -> Panel:
    text = "In use: the Controller would not delete it, because a unit refers to it, as far as is known."
    return state(Head("Delete", text, 4, 7), OF.each("avi_image_pinned"), looks.PINNED)


def _users() -> Panel:
    text = "How many units refer to the image, by how they do, Service Engines included."
    roles = ("current", "target", "previous", "patch", "previous patch")
    asks = (Ask(OF.each("avi_image_users", is_in(role.replace(" ", "_"), "role")), role) for role in roles)
    return numbers(Head("Users", text, 6, 7), *asks, unit="none", base="text").no_value("None")


def _used_by() -> Panel:
    text = "The Controllers and SE groups that refer to the image, and how; the unit leads to the upgrade."
    uses = OF.each("avi_upgrade_image_info", by=f"{UNIT}, kind, role")
    states = _ANY.unit_named(f"({uses}\n* on ({UNIT}) group_left () {_ANY.unit_code()})")
    rows = (
        label("controller", "Controller", *looks.HIDDEN),
        label("unit", "Unit", *frame.TO_UPGRADE),
        label("kind", "Kind", *looks.width(110)),
        label("role", "Role", *looks.width(130)),
        value("State", states, *looks.colored(*looks.UNIT_STATES), *looks.width(130)),
    )
    return columns(Head("Used by", text, 14, 7), *rows, by="Unit").no_value("No unit")


def _facts() -> Panel:
    text = "What the image is, as the Controller describes it."
    names = ("image", "version", "type", "patch", "uber_bundle", "tenant", "image_uuid")
    titles = ("Name", "Version", "Type", "Patch", "Uber bundle", "Tenant", "uuid")
    rows = (label(name, title) for name, title in zip(names, titles, strict=True))
    query = OF.each("avi_image_info", by=", ".join(names))
    return columns(Head("Facts", text, 24, 4), *rows, labels_of(query))


def _times() -> Panel:
    text = "When what happened: by the Controller's clock, but for the last move, which is by the monitor's."
    families = {
        "Processing began": "avi_image_start_timestamp_seconds",
        "Processing ended": "avi_image_end_timestamp_seconds",
        "State changed": "avi_image_state_changed_timestamp_seconds",
        "Object written": "avi_image_last_modified_timestamp_seconds",
        "Last move seen": "avi_image_progress_changed_timestamp_seconds",
    }
    asks = (Ask(f"{OF.each(family)} * 1000", title) for title, family in families.items())
    return numbers(Head("Times", text, 12, 7), *asks, unit="dateTimeAsIso", base="text")


def _annotation_count() -> Panel:
    text = "How many annotations the image has, and whether one of them acknowledges its failure."
    asks = (
        Ask(OF.each("avi_image_annotations"), "Annotations"),
        Ask(OF.each("avi_image_acknowledged"), "Acknowledged"),
    )
    panel = numbers(Head("Noted", text, 4, 7), *asks, unit="none", base="text")
    return panel.override_by_name("Acknowledged", [looks.prop("unit", "bool_yes_no")])


def _annotated() -> Panel:
    text = "Annotations whose keys the monitor's configuration exports under annotations.export; by default none."
    query = OF.each("avi_image_annotation_info", by="key, value")
    rows = (label("key", "Key", *looks.width(200)), label("value", "Value"), labels_of(query))
    return columns(Head("Annotations", text, 8, 7), *rows, by="Key").no_value("No exported annotation")
