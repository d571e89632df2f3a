"""How images look: the failed ones first, within the width there is, and no stranger's text is more than text."""

import io

import pytest
from rich.console import Console, RenderableType
from rich.text import Text

from monitor.cli.output.tables import Row, change_table, event_table, facts_of, image_table
from monitor.model.image import Image
from monitor.model.tracked import Event

NAME = "30.1.2-9642-20240307.181200"
FAILED = Image(uuid="image-1", name=NAME, state="failed", progress_ratio=0.72, tasks=6, tasks_completed=3)
ACTIVE = Image(uuid="image-2", name=NAME, state="in_progress", progress_ratio=0.4, tasks=6, tasks_completed=2)
DONE = Image(uuid="image-3", name=NAME, state="completed", progress_ratio=1.0, tasks=6, tasks_completed=6)


def drawn(drawing: RenderableType, width: int = 120) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as capture:
        console.print(drawing)
    return [line.rstrip() for line in capture.get().splitlines()]


ROWS = (
    Row("fra", DONE),
    Row("fra", ACTIVE, remark=Text("2")),
    Row("ams", FAILED, acknowledged=True, remark=Text("3")),
    Row("fra", FAILED),
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
def test_bars_grow_with_the_terminal_and_names_are_never_cut(width: int, text: str) -> None:
    assert drawn(image_table(ROWS, remark="Notes"), width) == text.splitlines()


def test_a_column_without_a_remark_is_left_out() -> None:
    assert drawn(image_table([Row("fra", DONE)], remark="Notes"))[0].split()[-1] == "Tasks"


def test_a_progress_that_is_not_told_is_not_made_up() -> None:
    assert drawn(image_table([Row("fra", Image(uuid="image-9"))]))[1].split() == ["fra", "image-9", "unknown"]


def test_facts_that_a_controller_does_not_tell_are_left_out() -> None:
    assert drawn(facts_of("dc1", Image(uuid="image-9", state_changed_at=0.0), acknowledged=False)) == [
        "controller  dc1",
        "uuid        image-9",
        "state       unknown since 1970-01-01 00:00:00Z",
    ]


def test_events_stand_as_tasks_by_nodes_and_below_them_how_the_failed_ones_failed() -> None:
    events = (
        Event("Extract", "10.0.0.2", "failed", "SYSERR_DISK"),
        Event("Extract", "10.0.0.1", "succeeded", "SYSERR_SUCCESS"),
        Event("Copy", "10.0.0.1", "running", ""),
    )
    assert drawn(event_table(events)) == [
        "Task     10.0.0.1   10.0.0.2",
        "Extract  succeeded  failed",
        "Copy     running",
        "Extract on 10.0.0.2: SYSERR_DISK",
    ]


def test_changes_stand_as_before_and_after() -> None:
    changes = {"name": ("a\x1b[2J", "ä"), "uber_bundle": (None, True), "list": ([{"k": 1}], [])}
    assert drawn(change_table(changes)) == [
        'name         "a\\u001b[2J" → "ä"',
        "uber_bundle  unset → true",
        'list         [{"k": 1}] → []',
    ]
