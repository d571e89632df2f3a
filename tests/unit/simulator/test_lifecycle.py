"""The images of one upload, from a plan and a time."""

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.simulator.image_builds import base_image
from monitor.simulator.lifecycle import TASKS, UploadPlan, plan_upload, render_image
from monitor.simulator.random_values import SeededRandom
from monitor.simulator.specs import UploadSpec
from tests.support.strategies import BOUNDED

START = 1_740_000_000.0
NODES = ("10.0.0.11", "10.0.0.12", "10.0.0.13")
NAMES = [task.name for task in TASKS]


def make_plan(spec: UploadSpec, *, nodes: tuple[str, ...] = NODES, seed: str = "7") -> UploadPlan:
    built = base_image(SeededRandom(seed), version="30.2.1", kind=spec.kind, name=spec.name, host=nodes[0])
    return plan_upload(spec, built, nodes=nodes, started_at=START, rng=SeededRandom(seed))


def at(plan: UploadPlan, seconds: float) -> dict[str, Any]:
    return render_image(plan, plan.latest_change(START + seconds))


def node_events(image: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (event["task_name"], node["ip"]["addr"], node.get("status", ""))
        for event in image["events"]
        for node in event["nodes_events"]
    ]


PLANS = st.builds(
    make_plan,
    st.builds(
        UploadSpec,
        outcome=st.sampled_from(("completed", "failed", "stalled")),
        duration=st.floats(1.0, 5000.0),
        failing_task=st.sampled_from(("", *NAMES)),
        smooth=st.booleans(),
    ),
    nodes=st.sampled_from((NODES, NODES[:1])),
    seed=st.text(max_size=5),
)
OFFSETS = st.lists(st.floats(0.0, 10_000.0), min_size=1, max_size=6).map(sorted)


@BOUNDED
@given(plan=PLANS, offsets=OFFSETS)
def test_completed_tasks_and_progress_never_decrease(plan: UploadPlan, offsets: list[float]) -> None:
    images = [at(plan, offset) for offset in offsets]
    assert all(before["tasks_completed"] <= after["tasks_completed"] for before, after in pairwise(images))
    assert all(before["progress"] <= after["progress"] for before, after in pairwise(images))


@BOUNDED
@given(plan=PLANS, offsets=OFFSETS)
def test_progress_and_tasks_stay_within_their_limits(plan: UploadPlan, offsets: list[float]) -> None:
    for image in (at(plan, offset) for offset in offsets):
        assert 0 <= image["progress"] <= 100
        assert 0 <= image["tasks_completed"] <= image["total_tasks"] == len(TASKS)
        assert (image["progress"] == 100) == (image["img_state"]["state"] == "IMAGE_FSM_COMPLETED")


@BOUNDED
@given(plan=PLANS, offsets=OFFSETS)
def test_events_name_planned_tasks_in_order_on_nodes_of_the_cluster(plan: UploadPlan, offsets: list[float]) -> None:
    for image in (at(plan, offset) for offset in offsets):
        names = [event["task_name"] for event in image["events"]]
        assert names == NAMES[: len(names)]
        assert {node for _, node, _ in node_events(image)} <= set(NODES)


@BOUNDED
@given(plan=PLANS, offsets=OFFSETS)
def test_the_image_survives_json_at_any_time(plan: UploadPlan, offsets: list[float]) -> None:
    for image in (at(plan, offset) for offset in offsets):
        assert msgspec.json.decode(msgspec.json.encode(image)) == image


@BOUNDED
@given(plan=PLANS)
def test_the_image_changes_at_the_planned_offsets_and_only_there(plan: UploadPlan) -> None:
    for begin, end in pairwise(plan.changes):
        assert at(plan, begin) == at(plan, begin + (end - begin) / 3)
    modified = [int(render_image(plan, change)["_last_modified"]) for change in plan.changes]
    assert modified == sorted(set(modified))


def test_an_upload_starts_without_a_task() -> None:
    image = at(make_plan(UploadSpec(duration=100.0)), 0.0)
    assert image["img_state"]["state"] == "IMAGE_FSM_STARTED"
    assert image["events"] == []


def test_a_completed_upload_has_its_end_and_its_duration() -> None:
    image = at(make_plan(UploadSpec(duration=100.0)), 1000.0)
    assert image["img_state"]["state"] == "IMAGE_FSM_COMPLETED"
    assert (image["progress"], image["tasks_completed"], image["duration"]) == (100, 6, 100)
    assert (image["start_time"], image["end_time"]) == ("2025-02-19 21:20:00", "2025-02-19 21:21:40")
    assert {status for _, _, status in node_events(image)} == {"SYSERR_SUCCESS"}


def test_a_failed_upload_fails_in_one_task_on_one_node() -> None:
    spec = UploadSpec(outcome="failed", duration=100.0, failing_task="Copy to repository")
    image = at(make_plan(spec), 1000.0)
    failed = [event for event in node_events(image) if event[2] != "SYSERR_SUCCESS"]
    assert [(task, node) for task, node, _ in failed] == [("Copy to repository", "10.0.0.13")]
    assert image["img_state"]["state"] == "IMAGE_FSM_FAILED"
    assert "10.0.0.13" in image["img_state"]["reason"]
    assert (image["tasks_completed"], "end_time" in image) == (3, True)


def test_a_failed_upload_no_longer_changes() -> None:
    plan = make_plan(UploadSpec(outcome="failed", duration=100.0))
    assert at(plan, 100.0) == at(plan, 100_000.0)


def test_a_stalled_upload_hangs_on_one_node_and_never_ends() -> None:
    plan = make_plan(UploadSpec(outcome="stalled", duration=100.0, failing_task="Extract package", failing_node=1))
    image = at(plan, 1_000_000.0)
    running = [event for event in node_events(image) if event[2] == "SYSERR_PENDING"]
    assert running == [("Extract package", "10.0.0.12", "SYSERR_PENDING")]
    assert image["img_state"]["state"] == "IMAGE_FSM_IN_PROGRESS"
    assert image["progress"] < 100
    assert "end_time" not in image


def test_a_node_that_has_not_begun_a_task_has_neither_times_nor_status() -> None:
    plan = make_plan(UploadSpec(duration=1000.0))
    first = min(span.begin for span in plan.node_tasks)
    waiting = [node for node in at(plan, first)["events"][0]["nodes_events"] if "start_time" not in node]
    assert len(waiting) == 2
    assert all(node.keys() == {"ip"} for node in waiting)


def test_the_steps_of_a_task_run_one_after_the_other() -> None:
    steps = at(make_plan(UploadSpec(duration=1000.0)), 2000.0)["events"][1]["sub_events"]
    assert [step["message"] for step in steps] == list(TASKS[1].steps)
    assert all(before["end_time"] <= after["start_time"] for before, after in pairwise(steps))


def test_a_cluster_of_one_node_replicates_to_itself() -> None:
    image = at(make_plan(UploadSpec(), nodes=NODES[:1]), 1000.0)
    assert ("Replicate to followers", "10.0.0.11", "SYSERR_SUCCESS") in node_events(image)


def test_without_smooth_progress_changes_only_when_a_task_ends() -> None:
    plan = make_plan(UploadSpec(duration=100.0, smooth=False))
    assert {render_image(plan, change)["progress"] for change in plan.changes} == {0, 16, 33, 50, 66, 83, 100}


@pytest.mark.parametrize("status", ["completed", "failed", "stalled"])
def test_the_status_of_older_versions_follows_the_outcome(status: str) -> None:
    image = at(make_plan(msgspec.convert({"outcome": status, "failing_task": "Finalize"}, UploadSpec)), 1000.0)
    healthy = {"completed": "SYSERR_SUCCESS", "stalled": "SYSERR_PENDING"}
    assert image["status"].startswith(healthy.get(status, "SYSERR_MC_"))


def test_the_same_seed_gives_the_same_plan_and_another_seed_another_plan() -> None:
    one, same, other = (make_plan(UploadSpec(), seed=seed) for seed in ("7", "7", "8"))
    assert (one == same, one == other) == (True, False)
