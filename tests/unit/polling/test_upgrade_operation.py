"""When a unit begins a new operation, and what is none: neither a restart nor a field that merely appears."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from monitor.model.tracked import OperationMark
from monitor.model.upgrade import OperationName, Upgrade, UpgradeState
from monitor.polling.upgrade_operation import update_operation

FIRST, SECOND, SEEN = 1_700_000_000.0, 1_750_000_000.0, 1_750_000_300.0
IDLE = Upgrade(uuid="u1", kind="se_group", state="idle")


def unit(
    state: UpgradeState, started_at: float | None = SECOND, operation: OperationName = "upgrade", *, check: bool = False
) -> Upgrade:
    return Upgrade(
        uuid="u1", kind="se_group", state=state, started_at=started_at, operation=operation, evaluation=check
    )


def keys_of(*steps: Upgrade) -> list[str]:
    """The keys after each of these reads, which are a minute apart."""
    mark, keys = None, list[str]()
    for place, step in enumerate(steps):
        mark = update_operation(mark, step, at=SEEN + 60.0 * place)
        keys.append(mark.key)
    return keys


def test_a_unit_with_which_nothing_was_ever_done_has_no_operation() -> None:
    assert update_operation(None, IDLE, at=SEEN) == OperationMark()


def test_the_key_is_the_start_that_is_told() -> None:
    assert update_operation(None, unit("running"), at=SEEN) == OperationMark("1750000000.000", "upgrade", SECOND, True)


def test_the_key_is_the_moment_when_it_was_first_seen_where_no_start_is_told() -> None:
    assert keys_of(unit("queued", None)) == ["1750000300.000"]


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([unit("running"), unit("running"), unit("completed")], id="it goes on and ends"),
        pytest.param([unit("queued", None), unit("running", SECOND)], id="a start appears"),
        pytest.param([unit("running"), unit("running", None), unit("running")], id="a start is left out"),
        pytest.param([unit("running", operation=""), unit("running")], id="an operation appears"),
        pytest.param([unit("running"), unit("running", operation=""), unit("running")], id="an operation is left out"),
        pytest.param([unit("running"), unit("running", SECOND + 0.9)], id="a start in another resolution"),
        pytest.param([unit("running"), unit("aborting"), unit("failed")], id="it fails"),
        pytest.param([unit("running"), unit("suspended")], id="it is suspended"),
        pytest.param([unit("completed"), unit("completed")], id="it had ended before"),
    ],
)
def test_no_operation_begins(steps: Sequence[Upgrade]) -> None:
    assert len(set(keys_of(*steps))) == 1


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([unit("completed", FIRST), unit("queued", FIRST)], id="it waits, and tells the old start"),
        pytest.param([unit("completed", FIRST), unit("running", SECOND)], id="it runs"),
        pytest.param([unit("failed", FIRST), unit("queued", None)], id="it waits after a failure"),
        pytest.param([unit("suspended"), unit("running")], id="it is resumed"),
        pytest.param([unit("checked", check=True), unit("running")], id="after the checks it runs"),
        pytest.param([unit("completed", FIRST), unit("completed", SECOND)], id="it was not seen"),
        pytest.param([unit("completed", FIRST), unit("completed", FIRST, "rollback")], id="another operation"),
        pytest.param([unit("running"), unit("running", operation="patch")], id="another one while it runs"),
        pytest.param([IDLE, unit("completed")], id="the first was not seen"),
        pytest.param([IDLE, unit("queued", None)], id="the first"),
    ],
)
def test_a_new_operation_begins(steps: Sequence[Upgrade]) -> None:
    first, second = keys_of(*steps)
    assert first != second


def test_a_restart_of_the_daemon_is_no_new_operation() -> None:
    stored = update_operation(None, unit("running", None), at=SEEN)
    assert update_operation(stored, unit("running", None), at=SEEN + 3600.0) == stored


def test_what_happened_while_the_daemon_did_not_run_is_seen() -> None:
    stored = update_operation(None, unit("running", FIRST), at=SEEN)
    assert update_operation(stored, unit("failed", SECOND), at=SEEN + 3600.0).key == "1750000000.000"


def test_a_mark_keeps_what_is_not_told_any_more() -> None:
    mark = update_operation(None, unit("running"), at=SEEN)
    assert update_operation(mark, unit("failed", None, ""), at=SEEN) == replace(mark, active=False)
