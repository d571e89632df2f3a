"""Tables: sorted, fitted to the width of the terminal, with foreign text escaped."""

import io

import pytest
from rich.console import Console, RenderableType
from rich.text import Text

from monitor.cli.output.tables import ImageRow, change_table, event_table, image_facts, image_table
from monitor.model.image import Event, Image

NAME = "30.1.2-9642-20240307.181200"
FAILED = Image(uuid="image-1", name=NAME, state="failed", progress_ratio=0.72, tasks=6, tasks_completed=3)
ACTIVE = Image(uuid="image-2", name=NAME, state="in_progress", progress_ratio=0.4, tasks=6, tasks_completed=2)
DONE = Image(uuid="image-3", name=NAME, state="completed", progress_ratio=1.0, tasks=6, tasks_completed=6)


def render(renderable: RenderableType, width: int = 120) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as capture:
        console.print(renderable)
    return [line.rstrip() for line in capture.get().splitlines()]


ROWS = (
    ImageRow("fra", DONE),
    ImageRow("fra", ACTIVE, remark=Text("2")),
    ImageRow("ams", FAILED, acknowledged=True, remark=Text("3")),
    ImageRow("fra", FAILED),
)


WIDE = f"""\
Controller  Image                        State         Progress                              Tasks   Notes
fra         {NAME}  failed        ━━━━━━━━━━━━━━━━━━━━━╸           72%  3 of 6
ams         {NAME}  failed (ack)  ━━━━━━━━━━━━━━━━━━━━━╸           72%  3 of 6  3
fra         {NAME}  in_progress   ━━━━━━━━━━━━                     40%  2 of 6  2
fra         {NAME}  completed     ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━  100%  6 of 6
"""
OF_80 = f"""\
Controller Image                       State        Progress    Tasks  Notes
fra        {NAME} failed       ━━━━    72% 3 of 6
ams        {NAME} failed (ack) ━━━━    72% 3 of 6 3
fra        {NAME} in_progress  ━━      40% 2 of 6 2
fra        {NAME} completed    ━━━━━━ 100% 6 of 6
"""
NARROW = """\
Controller Image                  State        Progress Tasks  Notes
fra        30.1.2-9642-20240307.1 failed        72%     3 of 6
           81200
ams        30.1.2-9642-20240307.1 failed (ack)  72%     3 of 6 3
           81200
fra        30.1.2-9642-20240307.1 in_progress   40%     2 of 6 2
           81200
fra        30.1.2-9642-20240307.1 completed    100%     6 of 6
           81200
"""


@pytest.mark.parametrize(("width", "text"), [(110, WIDE), (80, OF_80), (68, NARROW)])
def test_bars_grow_with_the_terminal_and_names_are_never_truncated(width: int, text: str) -> None:
    assert render(image_table(ROWS, remark="Notes"), width) == text.splitlines()


def test_an_empty_remark_column_is_omitted() -> None:
    assert render(image_table([ImageRow("fra", DONE)], remark="Notes"))[0].split()[-1] == "Tasks"


def test_unknown_progress_is_not_shown() -> None:
    assert render(image_table([ImageRow("fra", Image(uuid="image-9"))]))[1].split() == ["fra", "image-9", "unknown"]


def test_unknown_facts_are_omitted() -> None:
    assert render(image_facts("dc1", Image(uuid="image-9", state_changed_at=0.0), acknowledged=False)) == [
        "controller  dc1",
        "uuid        image-9",
        "state       unknown since 1970-01-01 00:00:00Z",
    ]


def test_events_are_a_table_of_tasks_and_nodes_with_the_failures_below() -> None:
    events = (
        Event("Extract", "10.0.0.2", "failed", "SYSERR_DISK"),
        Event("Extract", "10.0.0.1", "succeeded", "SYSERR_SUCCESS"),
        Event("Copy", "10.0.0.1", "running", ""),
    )
    assert render(event_table(events)) == [
        "Task     10.0.0.1   10.0.0.2",
        "Extract  succeeded  failed",
        "Copy     running",
        "Extract on 10.0.0.2: SYSERR_DISK",
    ]


def test_changes_are_shown_as_before_and_after() -> None:
    changes = {"name": ("a\x1b[2J", "ä"), "uber_bundle": (None, True), "list": ([{"k": 1}], [])}
    assert render(change_table(changes)) == [
        'name         "a\\u001b[2J" → "ä"',
        "uber_bundle  unset → true",
        'list         [{"k": 1}] → []',
    ]
