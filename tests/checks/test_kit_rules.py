"""The rules as a program makes them: the committed files, and what an installation may set."""

from monitor.kit.rules.settings import Settings
from monitor.kit.rules.write import rule_files
from tests.support.rules import RULES


def test_the_committed_rules_are_what_the_program_writes() -> None:
    """A rule that was changed in a file of rules, or in the table alone."""
    written = rule_files(Settings(), "prometheus")
    assert written.keys() == {path.name for path in RULES.iterdir()}
    for name, text in written.items():
        assert (RULES / name).read_text() == text, f"{name}: avi-upgrade-monitor kit rules --output ."
