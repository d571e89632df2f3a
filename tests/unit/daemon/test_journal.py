"""Whether a stream is the journal's, and the priorities of lines."""

import os

import pytest

from monitor.daemon.journal import add_priority, is_journal


def test_a_stream_is_the_journals_if_the_variable_names_its_device_and_inode() -> None:
    """A variable that was inherited names the stream of another process: a terminal must not show priorities."""
    ours, theirs = os.pipe()
    file = os.fstat(ours)
    named = f"{file.st_dev}:{file.st_ino}"
    try:
        assert is_journal({"JOURNAL_STREAM": named}, ours)
        assert not is_journal({"JOURNAL_STREAM": f"{named}0"}, ours)
        assert not is_journal({}, ours)
    finally:
        os.close(ours)
        os.close(theirs)
    assert not is_journal({"JOURNAL_STREAM": named}, ours), "a closed descriptor is no error"


@pytest.mark.parametrize(
    ("level", "priority"), [("critical", 2), ("error", 3), ("warning", 4), ("info", 6), ("debug", 7)]
)
def test_each_line_has_the_priority_of_its_level(level: str, priority: int) -> None:
    """The journal makes an entry of each line, also of those of a traceback."""
    assert add_priority("down\n  because", level) == f"<{priority}>down\n<{priority}>  because"
