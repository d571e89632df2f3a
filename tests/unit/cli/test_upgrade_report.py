"""The report on an upgrade as Markdown."""

from collections.abc import Sequence

import pytest

from monitor.cli.output.upgrade_report import markdown
from monitor.model.upgrade_log import UpgradeEvent
from monitor.polling.upgrade_report import (
    AnnotatedUnit,
    CheckReport,
    EngineReport,
    PhaseSpan,
    UnitReport,
    UpgradeReport,
)


def report(phases: Sequence[str] = ("controllers", "service_engines"), **fields: object) -> UpgradeReport:
    spans = [PhaseSpan(phase, 100.0 * place, 100.0 * place + 100.0, 100.0) for place, phase in enumerate(phases)]
    given: dict[str, object] = {
        "controller": "dc1", "began_at": 0.0, "ended_at": 200.0, "seconds": 200.0, "operation": "upgrade",
        "from_version": "30.2.1", "to_version": "31.2.2", "phase": "none", "done": True, "left_behind": [],
        "away_seconds": 0.0, "phases": spans, "units": [], "annotations": [], "engine_names": {}, "events": [],
        "events_left_out": 0,
    }  # fmt: skip
    return UpgradeReport(**{**given, **fields})  # type: ignore[arg-type]


def group(**fields: object) -> UnitReport:
    given: dict[str, object] = {
        "uuid": "g1", "kind": "se_group", "name": "group-1", "cloud": "aws", "operation": "upgrade",
        "state": "completed", "reason": "", "left_behind": False, "from_version": "30.2.1", "to_version": "31.2.2",
        "began_at": 0.0, "ended_at": 60.0, "seconds": 60.0, "service_engines": None,
        "virtual_services_disrupted": None, "checks": None, "check_exceptions": (),
    }  # fmt: skip
    return UnitReport(**{**given, **fields})  # type: ignore[arg-type]


def engines(**fields: object) -> EngineReport:
    given: dict[str, object] = {
        "expected": 4, "completed": 3, "failed": 0, "in_progress": 0, "not_started": 0, "suspended": 0, "skipped": 0,
        "failed_uuids": (), "suspended_uuids": (), "typical_seconds": None, "longest_seconds": None,
    }  # fmt: skip
    return EngineReport(**{**given, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "result"),
    [
        (report(), "**done**: the Controllers and every group that took part are at the new version"),
        (report(done=False, left_behind=["a", "b"]), "**not done**; left behind: a, b"),
        (report(done=False), "**not done**"),
        (report(ended_at=None, phase="away"), "**not over**, phase: Controllers away"),
        (report(["checking"], done=False), "over: only pre-checks ran, and nothing was changed"),
    ],
)
def test_the_result_is_said_in_words(given: UpgradeReport, result: str) -> None:
    assert f"- Result: {result}" in markdown(given).splitlines()


def test_an_upgrade_that_goes_on_took_no_time_yet() -> None:
    """Would find a report in the middle of a night that reads as if all were over."""
    (going_on,) = [line for line in markdown(report(ended_at=None)).splitlines() if line.startswith("- Took: ")]
    (over,) = [line for line in markdown(report()).splitlines() if line.startswith("- Took: ")]
    assert going_on == f"{over} so far"


def test_what_went_wrong_is_listed_with_the_names_of_service_engines() -> None:
    failed = group(
        state="failed",
        reason="se-b is lost",
        left_behind=True,
        service_engines=engines(failed=1, failed_uuids=("b",), suspended=1, suspended_uuids=("c",)),
    )
    text = markdown(report(units=[failed, group(uuid="g2", name="fine")], engine_names={"b": "se-b"}))
    wrong = text.partition("## What went wrong\n\n")[2].splitlines()
    assert wrong == [
        "- group-1@aws: failed: se-b is lost",
        "- group-1@aws: left behind",
        "- group-1@aws: Service Engines that failed: se-b",
        "- group-1@aws: Service Engines that are suspended: c",
    ]


def test_how_long_service_engines_took_is_said_where_it_was_seen() -> None:
    timed = engines(typical_seconds=240.0, longest_seconds=540.0, skipped=1)
    text = markdown(report(units=[group(service_engines=timed, virtual_services_disrupted=2)]))
    told = "3 of 4 completed, 1 skipped; 4 min each, 9 min at most"
    assert f"| group-1@aws | completed | 30.2.1 → 31.2.2 | 60 s | {told} | 2 |" in text.splitlines()


def test_texts_of_others_are_neither_markup_nor_cells() -> None:
    check = CheckReport("SYSERR_CHECK_DISK", "warning", "<b>", ("a|b", "*c*\n# d"))
    events = [UpgradeEvent(at=5.0, what="service_engine", unit="g1", engine="[x](y)", before="", after="in_progress")]
    text = markdown(
        report(
            units=[group(name="`g`", check_exceptions=(check,))],
            annotations=[AnnotatedUnit(1.0, "a_b", "g1", {"ticket": "#1", "old": None})],
            events=events,
            events_left_out=3,
        )
    )
    assert "- \\`g\\`@aws: warning: SYSERR\\_CHECK\\_DISK: \\<b\\>; a\\|b; \\*c\\*\\\\n\\# d" in text.splitlines()
    assert "- 1970-01-01 00:00:01Z a\\_b on \\`g\\`@aws: ticket = \\#1, old removed" in text.splitlines()
    assert "| 1970-01-01 00:00:05Z | \\[x\\](y) of \\`g\\`@aws |  | in progress |" in text.splitlines()
    assert text.splitlines()[-1] == "3 later events were too many to be kept."
