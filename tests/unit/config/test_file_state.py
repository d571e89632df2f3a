"""What of a file is a change."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from monitor.config.file_state import file_state, file_states


def write(path: Path) -> None:
    path.write_text("other text")


def replace_with_the_same_text(path: Path) -> None:
    path.with_suffix(".new").write_text(path.read_text())
    path.with_suffix(".new").replace(path)


def link(path: Path) -> None:
    path.with_suffix(".target").write_text(path.read_text())
    path.unlink()
    path.symlink_to(path.with_suffix(".target"))


@pytest.mark.parametrize("change", [write, replace_with_the_same_text, link, Path.unlink])
def test_a_file_that_is_written_replaced_linked_or_removed_looks_different(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    path = tmp_path / "file"
    path.write_text("text")
    before = file_state(path)
    change(path)
    assert file_state(path) != before


def test_a_pipe_looks_the_same_after_it_was_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    before = file_state(tmp_path / "pipe")
    ends = os.open(tmp_path / "pipe", os.O_RDWR)
    os.write(ends, b"text")
    os.read(ends, 4)
    os.close(ends)
    assert before is not None
    assert file_state(tmp_path / "pipe") == before


def test_a_file_that_is_not_changed_looks_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    paths = [tmp_path / "file", tmp_path / "missing"]
    assert file_states(paths) == file_states(paths)
    assert file_states(paths)[tmp_path / "missing"] is None


def test_a_path_that_no_file_can_have_is_a_missing_file(tmp_path: Path) -> None:
    assert file_state(tmp_path / "null\0character") is None
